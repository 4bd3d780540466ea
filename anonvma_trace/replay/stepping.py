"""Replaying up to one event, and over it: what stood before, what happened inside it, what stands afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..errors import UsageError
from ..trace import Trace
from . import ReplayCore, Taps, check_settings
from .columns import span
from .layout import COUNTERS, LOG_FIELDS
from .standing import Standing, what_stands

_SLICE = 1 << 18


class Step(NamedTuple):
    """One thing that happened inside an event, in order; addresses and `pgoff` in pages, flags as VM_* bits.

    Attributes
    ----------
    kind : {"merge", "split"}
    start, end, flags, file, pgoff, anon_vma
        merge: the range that asks for a neighbour. split: the vma before it; `pgoff` is the page of the cut.
    left, right : dict or None
        The neighbours as they stood (split: the two parts): ``vma, start, end, flags, file, pgoff, anon_vma``.
    case : int
        0 none, else 1 to 8 (split: 1 if the lower part is the new vma).
    left_side, right_side : int
        Outcome of each side, an index into `MERGE_SIDES`.
    """

    kind: str
    start: int
    end: int
    flags: int
    file: str | None
    pgoff: int
    anon_vma: int
    left: dict[str, Any] | None
    right: dict[str, Any] | None
    case: int
    left_side: int
    right_side: int


class SteppedEvent(NamedTuple):
    """One event with what stood before and after it.

    Attributes
    ----------
    event : int
        Its number.
    row : dict
        The row of the event table.
    space : int
        pid under which the vmas of its process stand: that of the process that made the mm; 0: of none.
    before, after : Standing
    gained : dict of str to int
        What the event added to each counter of the core.
    steps : list of Step
    tables : dict of str to pyarrow.Table
        The rows that the event added to result tables.
    """

    event: int
    row: dict[str, Any]
    space: int
    before: Standing
    after: Standing
    gained: dict[str, int]
    steps: list[Step]
    tables: dict[str, pa.Table]


def stand_at(
    trace: Trace, event: int, scheme: str, rules: Iterable[str], options: Mapping[str, str]
) -> Standing:
    """Return what stands when `event` (from 1; 0: nothing yet) has been replayed.

    Raises
    ------
    UsageError
        The trace has no such event, or there is no such scheme, rule or option.
    TraceError
        The trace cannot be read.
    """
    core, _ = _replayed_up_to(trace, event, event, scheme, rules, options)
    return what_stands(core.state, core.columns)


def step_over(
    trace: Trace, event: int, scheme: str, rules: Iterable[str], options: Mapping[str, str]
) -> SteppedEvent:
    """Replay up to `event` (from 1) and over it, and read the rest for its losses. Raises as `stand_at`."""
    if event < 1:
        raise _no_such_event(event, None)
    told: list[np.ndarray] = []
    core, rest = _replayed_up_to(trace, event - 1, event, scheme, rules, options, {"steps": told.append})
    row = next(rest, None)
    if row is None:
        raise _no_such_event(event, core.events)
    before = what_stands(core.state, core.columns)
    counters = _counters(core)
    space_before = _space(core, row)
    core.keep_tables = True
    core.tell_steps(event)
    core.feed(row)
    for _ in rest:
        pass  # what the trace lacks is known only at its end
    return SteppedEvent(
        event,
        row.to_pylist()[0],
        space_before or _space(core, row),
        before,
        what_stands(core.state, core.columns),
        {name: value - counters[name] for name, value in _counters(core).items()},
        [_step(words, core) for words in np.concatenate(told).tolist()],
        core.results.tables(),
    )


def _replayed_up_to(
    trace: Trace,
    event: int,
    asked: int,
    scheme: str,
    rules: Iterable[str],
    options: Mapping[str, str],
    taps: Taps | None = None,
) -> tuple[ReplayCore, Iterator[pa.RecordBatch]]:
    """Return a replay of the first `event` rows, and a row and pieces behind them; `asked` is for messages."""
    rules = tuple(rules)
    check_settings(scheme, rules, options)
    pieces = iter(span(trace.batches(), _SLICE))
    first = next(pieces, None)
    core = ReplayCore(trace.metadata, options, rules, trace.path, keep_tables=False, taps=taps, scheme=scheme)
    piece = first
    while piece is not None and core.events + piece.num_rows <= event:
        core.feed(piece)
        piece = next(pieces, None)
    wanted = event - core.events
    if piece is None:
        if wanted:
            raise _no_such_event(asked, core.events)
        return core, iter(())
    if wanted:
        core.feed(piece.slice(0, wanted))
    return core, chain((piece.slice(wanted, 1),), pieces)


def _no_such_event(event: int, events: int | None) -> UsageError:
    return UsageError(
        "--event",
        expected="the number of an event, from 1" if events is None else f"an event from 1 to {events:,}",
        found=f"{event:,}",
        hint="every result table names events; `inspect` counts them",
    )


def _counters(core: ReplayCore) -> dict[str, int]:
    return {name: int(core.state.glob[0][name]) for name in COUNTERS}


def _space(core: ReplayCore, row: pa.RecordBatch) -> int:
    """Return the pid under which the vmas of the row's process stand now, 0 if it has none."""
    from .address_space import mm_of

    pid = row["pid"][0].as_py()
    mm = mm_of(core.state, -1 if pid is None else pid)
    return int(core.state.proc[core.state.mm[mm].owner].pid) if mm else 0


def _step(words: list[int], core: ReplayCore) -> Step:
    fields = dict(zip(LOG_FIELDS["steps"], words, strict=True))
    left, right = (_neighbour(fields, side, core) for side in ("left", "right"))
    return Step(
        kind=("merge", "split")[fields["kind"] - 1],
        start=fields["start"],
        end=fields["end"],
        flags=fields["flags"],
        file=core.results.file_name(fields["file"]),
        pgoff=fields["pgoff"],
        anon_vma=fields["anon_vma"],
        left=left,
        right=right,
        case=fields["case"],
        left_side=fields["left"],
        right_side=fields["right"],
    )


def _neighbour(fields: dict[str, int], side: str, core: ReplayCore) -> dict[str, Any] | None:
    if not fields[f"{side}_vma"]:
        return None
    names = ("vma", "start", "end", "flags", "pgoff", "anon_vma")
    file = core.results.file_name(fields[f"{side}_file"])
    return {name: fields[f"{side}_{name}"] for name in names} | {"file": file}
