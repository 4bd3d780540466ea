"""Comparing: the same events under several schemes, side by side, in one pass over the trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from ..comparison_tables import ComparisonTables
from ..events import EVENT_SCHEMA
from ..replay import ReplayCore, check_settings, tell_origin
from ..replay.columns import span
from ..trace import Trace
from .choices import Choice, chosen_schemes, reference_of
from .disagreements import Disagreements
from .observations import Observer
from .side_by_side import replay_side_by_side

Progress = Callable[[int, int, str], None]
_STRETCH = 1 << 18  # events handed to all replays at once

__all__ = ["chosen_schemes", "run_comparison"]


def run_comparison(
    trace: Trace,
    choices: Iterable[Choice],
    *,
    options: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> ComparisonTables:
    """Replay a trace under several schemes and return what they cost and where they disagree.

    Parameters
    ----------
    trace : Trace
    choices : iterable of Choice
        What to replay: `chosen_schemes`.
    options : mapping of str to str, optional
        As for a replay, the same for all.
    progress : callable, optional
        Called with events done, events in all (0: unknown) and what is going on.

    Raises
    ------
    UsageError
        An unknown option or value.
    TraceError
        The trace cannot be read, or holds an operation that there is not.
    ReplayBug
        As `ReplayCore.finish`.
    """
    choices = list(choices)
    options = dict(options or {})
    for choice in choices:
        check_settings(choice.scheme, choice.rules, options)
    report = progress or _no_progress
    report(0, 0, "preparing the replay cores")
    pieces = iter(span(trace.batches(), _STRETCH))
    begun = list(islice(pieces, 1))  # a table tells what decides its replay once reading has begun
    cores = [_core(trace, choice, options) for choice in choices]
    reference = reference_of(choices)
    disagreements = Disagreements([choice.name for choice in choices], reference)
    finished = replay_side_by_side(
        cores, chain(begun, pieces), disagreements.add, lambda events: report(events, 0, "comparing")
    )
    summaries: dict[str, dict[str, Any]] = {}
    for choice, (core, _), (summary, _) in zip(choices, cores, finished, strict=True):
        tell_origin(summary, core, trace, choice.scheme, list(choice.rules), options)
        summaries[choice.name] = summary
    states = {choice.name: core.state for choice, (core, _) in zip(choices, cores, strict=True)}
    return ComparisonTables(
        summaries,
        reference,
        disagreements.against,
        {name: _overhead(state, summaries[name]["overhead_bytes"]) for name, state in states.items()},
        {name: _bytes_of(state) for name, state in states.items()},
        disagreements.merge_outcomes(),
        disagreements.walk_differences(),
        disagreements.findings().filter(pl.col("scheme").is_in(_with_findings(summaries))),
    )


def _core(trace: Trace, choice: Choice, options: Mapping[str, str]) -> tuple[ReplayCore, Observer]:
    observer = Observer()
    core = ReplayCore(
        trace.metadata,
        options,
        choice.rules,
        trace.path,
        keep_tables=False,
        taps=observer.taps,
        scheme=choice.scheme,
    )
    empty = pa.RecordBatch.from_pylist([], schema=EVENT_SCHEMA)
    core.feed(empty)  # compiles, or loads machine code, one core after the other
    return core, observer


def _with_findings(summaries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the replays under which it is defined which pages are lost."""
    return [name for name, each in summaries.items() if each["findings"]["unreachable_pages"] is not None]


def _overhead(state: Any, peaks: Mapping[str, int | None]) -> dict[str, int | None]:
    """Return the bytes that the scheme takes now, by machine; None where its peak is not defined either."""
    glob = state.glob[0]
    return {name: None if peak is None else int(glob[f"overhead_{name}"]) for name, peak in peaks.items()}


def _bytes_of(tables: Any) -> int:
    """Return the bytes of all arrays of a state."""
    if isinstance(tables, tuple):
        return sum(map(_bytes_of, tables))
    return int(np.asarray(getattr(tables, "array", tables)).nbytes)


def _no_progress(done: int, total: int, message: str) -> None:
    pass
