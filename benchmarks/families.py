"""Process families replayed side by side in threads, to the same events replayed by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore
from anonvma_trace.table_sinks import TablesInMemory

from .runs import ROWS_AT_ONCE


@dataclass(frozen=True)
class Timed:
    """What one replay took, by the clock and in CPU seconds of all threads, and its summary."""

    seconds: float
    cpu_seconds: float
    summary: dict[str, Any]


def _timed(replay: Callable[[], dict[str, Any]]) -> Timed:
    clock, cpu = time.perf_counter(), time.process_time()
    summary = replay()
    return Timed(time.perf_counter() - clock, time.process_time() - cpu, summary)


def _by_one(batches: list[pa.RecordBatch]) -> dict[str, Any]:
    core = ReplayCore(TraceMetadata())
    for batch in batches:
        core.feed(batch)
    return core.finish()[0]


def _side_by_side(batches: list[pa.RecordBatch], threads: int) -> dict[str, Any]:
    from anonvma_trace.replay.sharded import ShardedReplay

    core = ShardedReplay("anon_vma", TraceMetadata(), {}, (), "", TablesInMemory(), "full", threads)
    try:
        for batch in batches:
            core.feed(batch)
        return core.finish()[0]
    finally:
        core.close()


def gain(events: Iterable[pa.RecordBatch], threads: int, repeat: int) -> tuple[float, float]:
    """Return how many times faster threads are than one, and how many times they could be on idle processors.

    The first is by the clock. The second is the CPU seconds of one thread to those of all, times the threads: what work
    more than one thread does on top, and nothing of waiting.
    """
    batches = pa.Table.from_batches(events).combine_chunks().to_batches(ROWS_AT_ONCE)
    pairs = [
        (_timed(lambda: _by_one(batches)), _timed(lambda: _side_by_side(batches, threads)))
        for _ in range(repeat + 1)  # the first is to warm up
    ][1:]
    if any(one.summary != several.summary for one, several in pairs):
        raise SystemExit(
            "replays by one thread and by several differ; run tests/replay/test_sharded.py first"
        )
    by_clock = min(one.seconds for one, _ in pairs) / min(several.seconds for _, several in pairs)
    by_cpu = min(one.cpu_seconds for one, _ in pairs) / min(several.cpu_seconds for _, several in pairs)
    return by_clock, threads * by_cpu
