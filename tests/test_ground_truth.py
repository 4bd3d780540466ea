"""Scheme `linux6` against the kernel: bundled recordings with the snapshots and slab counts taken beside them.

The recordings are of kernel 6.18. A snapshot that differs in pages, permissions or borders, or an anon_vma too many or
too few, is a defect here until it is shown to be the kernel's clock.
"""

from __future__ import annotations

from functools import cache

import pytest

import anonvma_trace
from anonvma_trace import samples

pytestmark = pytest.mark.compiled

ALLOCATED = {
    # anon_vmas that the kernel allocated while it recorded, by call site: __anon_vma_prepare, anon_vma_fork
    # (kmem:kmem_cache_alloc recorded in another buffer beside the events)
    "tiny-sh": (17, 24),
    "threxec": (27, 44),
    "shell": (184, 280),
    "cowfork-50": (7, 548),
    "zoo": (135, 549),
    "pycow": (46, 132),
    "redis-midrun": (1, 107),
    "swapfork": (8, 30),
}


@cache
def replayed(name):
    sample = samples.get_sample(name)
    trace = anonvma_trace.read_trace(str(sample.path), maps=[str(path) for path in sample.maps])
    return anonvma_trace.replay_trace(trace, scheme="linux6", validate=[str(path) for path in sample.maps])


@pytest.mark.parametrize("name", sorted(ALLOCATED))
def test_layout_and_pages_are_the_kernels(name):
    told = replayed(name).summary["validation"]
    compared = told["compared"]
    assert compared > 0
    assert told["pages_equal"] == told["borders_equal"] == told["anon_pages_equal"] == compared


@pytest.mark.parametrize("name", sorted(ALLOCATED))
def test_every_anon_vma_is_made_where_the_kernel_made_it(name):
    sample = samples.get_sample(name)
    table = anonvma_trace.read_trace(str(sample.path), maps=[str(path) for path in sample.maps]).table
    lines, ops = table["line"].to_pylist(), table["op"].to_pylist()
    image = lines[ops.index("vma")]  # what stood at first has the line of the marker that begins the trace
    recorded = next(event for event, line in enumerate(lines, start=1) if line > image)
    made = [
        row["allocated_by"] == "fork"
        for row in replayed(name).to_arrow("anon_vmas").to_pylist()
        if row["allocated_event"] >= recorded  # the rows before stand for what was there already
    ]
    assert (len(made) - sum(made), sum(made)) == ALLOCATED[name]
