"""Timed replays of generated events: the core, the tests' slow model, plain Python objects.

Times are CPU seconds of the replaying thread. The replay waits for nothing, so they are the wall clock of an idle
machine, and they stay nearly the same on a busy one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore
from anonvma_trace.replay.columns import span
from tests.replay.naive import NaiveReplay

from .plain import PlainReplay, columns_of

ROWS_AT_ONCE = 1 << 18  # as many as `run_replay` feeds

Events = Callable[[], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class Run:
    """What one replay took, and its summary."""

    events: int
    seconds: float
    summary: dict[str, Any]

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds


def replay(events: Iterable[pa.RecordBatch]) -> Run:
    """Replay events with all result tables; making the events is not timed."""
    core = ReplayCore(TraceMetadata())
    seconds = 0.0
    for batch in span(events, ROWS_AT_ONCE):
        start = time.thread_time()
        core.feed(batch)
        seconds += time.thread_time() - start
    start = time.thread_time()
    summary, _ = core.finish()
    seconds += time.thread_time() - start
    return Run(core.events, seconds, summary)


def fastest(events: Events, repeat: int) -> Run:
    """Return the fastest of some replays of the same events."""
    runs = [replay(events()) for _ in range(repeat)]
    assert all(run.summary == runs[0].summary for run in runs)
    return min(runs, key=lambda run: run.seconds)


def replay_slowly(events: Iterable[pa.RecordBatch]) -> Run:
    """Replay events with the slow model; turning columns into rows is not timed."""
    model = NaiveReplay(TraceMetadata())
    seconds = 0.0
    for batch in events:
        rows = batch.to_pylist()
        start = time.thread_time()
        for row in rows:
            model.feed(row)
        seconds += time.thread_time() - start
    return Run(model.event, seconds, model.summary())


def replay_plainly(events: Iterable[pa.RecordBatch]) -> Run:
    """Replay events with plain Python objects, the collector off; turning columns into lists is not timed."""
    columns = columns_of(events)
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time()
        model = PlainReplay(columns)
        summary = model.run()
        seconds = time.thread_time() - start
    finally:
        gc.enable()
    return Run(len(columns.op), seconds, summary)


def require_equal(fast: Run, slow: Run, opponent: str = "the slow model") -> None:
    """Stop where core and opponent disagree: speeds of different results are not comparable."""
    for part in ("vmas", "anon_vmas", "pages", "merges", "reclaim"):
        if fast.summary[part] != slow.summary[part]:
            raise SystemExit(
                f"summary.{part}: expected {opponent}'s {slow.summary[part]}, "
                f"found the core's {fast.summary[part]}; run the tests of tests/replay first"
            )
