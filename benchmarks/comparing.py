"""What comparing all schemes takes, beside one replay of the same trace.

``python -m benchmarks.comparing`` writes a trace of a fork family (copies on write, walks), replays it under `anon_vma`
alone, then compares all schemes. Both are told by the wall clock and in CPU seconds of all threads: with two idle CPUs
the wall clock is what a user waits; on a busy machine half the CPU seconds come nearer to it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anonvma_trace import compare_schemes, replay_trace
from anonvma_trace.events import TraceMetadata, schema_with_metadata
from anonvma_trace.replay import SCHEMES
from tests.replay.generated import fork_family, to_batches, walk_every_page

GOAL = 3.5


def write_trace(path: Path, n_children: int, n_pages: int) -> int:
    """Write a family that copies all its pages and is then walked; return the number of events."""
    rows = np.concatenate([fork_family(n_children, n_pages), walk_every_page(n_children, n_pages)])
    batches = to_batches(rows)
    pq.write_table(pa.Table.from_batches(batches, schema=schema_with_metadata(TraceMetadata())), path)
    return len(rows)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the wall clock, and CPU seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparing", description=__doc__)
    parser.add_argument("--children", type=int, default=200)
    parser.add_argument("--pages", type=int, default=2500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        small, path = Path(directory) / "small.parquet", Path(directory) / "family.parquet"
        write_trace(small, 2, 2)
        compare_schemes(small)  # compiles, or loads machine code
        replay_trace(small)
        n_events = write_trace(path, arguments.children, arguments.pages)
        one = timed(lambda: replay_trace(path))
        result = []
        all_of_them = timed(lambda: result.append(compare_schemes(path)))
    print(f"{n_events:,} events, {len(SCHEMES)} schemes")
    print(f"one replay      {one[0]:6.2f} s, {one[1]:6.2f} CPU seconds")
    print(f"all compared    {all_of_them[0]:6.2f} s, {all_of_them[1]:6.2f} CPU seconds")
    by_cpu = all_of_them[1] / one[1] / 2
    print(f"ratio           {all_of_them[0] / one[0]:6.2f}, by CPU seconds on two CPUs {by_cpu:.2f}")
    print(f"goal            {GOAL:6.2f}")
    for name, n_bytes in result[0].memory_bytes.items():
        print(f"state of {name:<16} {n_bytes / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
