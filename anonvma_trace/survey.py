"""`survey_trace`: what a trace holds, in one pass over its events, without replaying them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrow_arrays import as_numpy
from .events import OPS, TraceMetadata
from .trace import Diagnostic, Loss, Trace

LOSSES_KEPT = 3
"""Places remembered where the recorder lost events."""

_OP = {op: code for code, op in enumerate(OPS)}
_FAULTS = (_OP["read_fault"], _OP["write_fault"])
# Rows whose pid acts on an address space; a page named by its frame may be anyone's.
_NOT_OF_A_PROCESS = tuple(_OP[op] for op in ("scan", "mark", "lost"))
_NAME_A_PAGE = tuple(_OP[op] for op in ("reclaim", "referenced", "try_unmap", "swap_out"))


class LossPlace(NamedTuple):
    """Where the recorder lost events: how many (0: unknown), on which CPU (-1: any), line and time of the mark."""

    events: int
    cpu: int
    line: int
    ts: int


@dataclass
class TraceSurvey:
    """What one pass over a trace found.

    Attributes
    ----------
    path : str
        Where the trace came from.
    metadata : TraceMetadata
        Format, completeness, losses.
    parts : int
        Files that it was read from.
    events : int
        Rows of the event table.
    events_by_op : dict of str to int
        Rows of each operation that occurs, in the order of `anonvma_trace.events.OPS`.
    processes : int
        Distinct pids that act or are forked.
    unknown_processes : int
        Those of them that no fork row and no image tells the beginning of.
    execs, execs_with_image : int
        Rows of execs, and those that are followed by the new image.
    faults_with_frame : int
        Faults whose page is known by its frame number.
    first_ts, last_ts : int
        Time span on the trace's own clock, in nanoseconds; both 0 without events.
    loss_marks : int
        Rows `lost`.
    loss_places : list of LossPlace
        The first `LOSSES_KEPT`.
    line_counts : dict of str to int
        Lines (or records) of the input by what became of them.
    losses : list of Loss
        Kinds of lines that could not be read.
    diagnostics : list of Diagnostic
        What the parser assumed or noticed.
    """

    path: str
    metadata: TraceMetadata
    parts: int = 1
    events: int = 0
    events_by_op: dict[str, int] = field(default_factory=dict)
    processes: int = 0
    unknown_processes: int = 0
    execs: int = 0
    execs_with_image: int = 0
    faults_with_frame: int = 0
    first_ts: int = 0
    last_ts: int = 0
    loss_marks: int = 0
    loss_places: list[LossPlace] = field(default_factory=list)
    line_counts: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def span_ns(self) -> int:
        """Nanoseconds between the first and the last event."""
        return self.last_ts - self.first_ts

    @property
    def faults(self) -> int:
        """Rows of faults."""
        return sum(self.events_by_op.get(OPS[code], 0) for code in _FAULTS)

    def to_dict(self) -> dict[str, Any]:
        """Return the survey as plain data, for JSON."""
        places = [place._asdict() for place in self.loss_places]
        derived = {"format": self.metadata.format, "span_ns": self.span_ns, "loss_places": places}
        return {**asdict(self), **derived}


class _RowCounts:
    """Counts what the rows of a trace hold, batch by batch."""

    def __init__(self) -> None:
        self.by_op = np.zeros(len(OPS), dtype=np.int64)
        self.pids: set[int] = set()
        self.children: set[int] = set()
        self.not_forked: set[int] = set()  # acted before any fork row named them
        self.execs_with_image = 0
        self.faults_with_frame = 0
        self.first_ts: int | None = None
        self.last_ts = 0
        self.loss_places: list[LossPlace] = []
        self._exec_is_last = False  # the last row of the batch before was an exec

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the next batch, not an empty one."""
        op = _op_codes(batch.column("op"))
        self.by_op += np.bincount(op, minlength=len(OPS))
        self._add_times(batch)
        self._add_processes(batch, op)
        self._add_images(op)
        has_frame = as_numpy(batch.column("frame").is_valid())
        self.faults_with_frame += int(np.count_nonzero(has_frame & np.isin(op, _FAULTS)))
        for row in np.flatnonzero(op == _OP["lost"])[: LOSSES_KEPT - len(self.loss_places)].tolist():
            events, cpu, line, ts = (batch.column(name)[row].as_py() for name in ("len", "cpu", "line", "ts"))
            self.loss_places.append(LossPlace(events or 0, -1 if cpu is None else cpu, line or 0, ts))

    def _add_times(self, batch: pa.RecordBatch) -> None:
        span = pc.min_max(batch.column("ts")).as_py()
        self.first_ts = span["min"] if self.first_ts is None else min(self.first_ts, span["min"])
        self.last_ts = max(self.last_ts, span["max"])

    def _add_processes(self, batch: pa.RecordBatch, op: np.ndarray) -> None:
        has_address = as_numpy(batch.column("addr").is_valid())
        acts = ~np.isin(op, _NOT_OF_A_PROCESS) & (has_address | ~np.isin(op, _NAME_A_PAGE))
        pid = as_numpy(batch.column("pid"))
        children = set(pc.unique(batch.column("child").drop_null()).to_pylist())
        self.children |= children
        acting = set(np.unique(pid[acts]).tolist())
        self.not_forked |= acting - self.children
        self.pids |= acting | children

    def _add_images(self, op: np.ndarray) -> None:
        """Count the execs whose next row is a mapping that already stands."""
        follows_exec = np.append(self._exec_is_last, op[:-1] == _OP["exec"])
        self.execs_with_image += int(np.count_nonzero(follows_exec & (op == _OP["vma"])))
        self._exec_is_last = bool(op[-1] == _OP["exec"])


def survey_trace(trace: Trace, *, progress: Callable[[int, int, str], None] | None = None) -> TraceSurvey:
    """Read all events of `trace` once and count them.

    Parameters
    ----------
    trace : Trace
        Its events are read, batch by batch, and not kept.
    progress : callable, optional
        Called with (events read, 0, message) after each batch.

    Returns
    -------
    TraceSurvey

    Raises
    ------
    TraceError
        The input cannot be read.
    """
    counts = _RowCounts()
    events = 0
    for batch in trace.batches():
        if not batch.num_rows:
            continue
        counts.add(batch)
        events += batch.num_rows
        if progress is not None:
            progress(events, 0, "reading")
    metadata = trace.metadata
    unknown = set() if metadata.complete else counts.not_forked - set(metadata.known_pids)
    return TraceSurvey(
        path=trace.path,
        metadata=metadata,
        parts=trace.parts,
        events=events,
        events_by_op={op: n for op, n in zip(OPS, counts.by_op.tolist(), strict=True) if n},
        processes=len(counts.pids),
        unknown_processes=len(unknown),
        execs=int(counts.by_op[_OP["exec"]]),
        execs_with_image=counts.execs_with_image,
        faults_with_frame=counts.faults_with_frame,
        first_ts=counts.first_ts or 0,
        last_ts=counts.last_ts,
        loss_marks=int(counts.by_op[_OP["lost"]]),
        loss_places=counts.loss_places,
        line_counts=trace.stream.line_counts,
        losses=trace.losses,
        diagnostics=trace.diagnostics,
    )


def _op_codes(column: pa.Array) -> np.ndarray:
    """Return the operations as places in `OPS`."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = np.array([_OP[name] for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    return codes[as_numpy(encoded.indices)]
