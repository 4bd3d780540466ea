"""`survey_trace`: what a trace holds, in one pass over its events, without replaying them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .events import OPS, TraceMetadata
from .trace import Diagnostic, Loss, Trace


@dataclass
class TraceSurvey:
    """What one pass over a trace found.

    Attributes
    ----------
    path : str
        Where the trace came from.
    metadata : TraceMetadata
        Format, completeness, losses.
    events : int
        Rows of the event table.
    events_by_op : dict of str to int
        Rows of each operation that occurs, in the order of `anonvma_trace.events.OPS`.
    processes : int
        Distinct pids.
    first_ts, last_ts : int
        Time span on the trace's own clock, in nanoseconds; both 0 without events.
    line_counts : dict of str to int
        Lines (or records) of the input by what became of them.
    losses : list of Loss
        Kinds of lines that could not be read.
    diagnostics : list of Diagnostic
        What the parser assumed or noticed.
    """

    path: str
    metadata: TraceMetadata
    events: int = 0
    events_by_op: dict[str, int] = field(default_factory=dict)
    processes: int = 0
    first_ts: int = 0
    last_ts: int = 0
    line_counts: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def span_ns(self) -> int:
        """Nanoseconds between the first and the last event."""
        return self.last_ts - self.first_ts

    def to_dict(self) -> dict[str, Any]:
        """Return the survey as plain data, for JSON."""
        return {**asdict(self), "format": self.metadata.format, "span_ns": self.span_ns}


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
    by_op: Counter[str] = Counter()
    pids: set[int] = set()
    first_ts: int | None = None
    last_ts = 0
    events = 0
    for batch in trace.batches():
        if not batch.num_rows:
            continue
        events += batch.num_rows
        by_op.update(_counts(batch.column("op")))
        pids.update(pc.unique(batch.column("pid")).to_pylist())
        pids.update(pid for pid in pc.unique(batch.column("child")).to_pylist() if pid is not None)
        span = pc.min_max(batch.column("ts")).as_py()
        first_ts = span["min"] if first_ts is None else min(first_ts, span["min"])
        last_ts = max(last_ts, span["max"])
        if progress is not None:
            progress(events, 0, "reading")
    return TraceSurvey(
        path=trace.path,
        metadata=trace.metadata,
        events=events,
        events_by_op={op: by_op[op] for op in OPS if by_op[op]},
        processes=len(pids),
        first_ts=first_ts or 0,
        last_ts=last_ts,
        line_counts=trace.stream.line_counts,
        losses=trace.losses,
        diagnostics=trace.diagnostics,
    )


def _counts(column: pa.Array) -> dict[str, int]:
    return {
        entry["values"]: entry["counts"] for entry in pc.value_counts(column.cast(pa.string())).to_pylist()
    }
