"""What the specification says of `linux6` is what a kernel of today does: mappings, borders, pages and anon_vmas."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kernel_truth import replay_beside_kernel

SAMPLES = Path(__file__).parents[2] / "sample_traces"

# Snapshots taken, and anon_vmas that the kernel allocated while recording (kmem_cache_alloc of the slab anon_vma, by
# call site).
RECORDED = {
    "tiny-sh": (3, {"__anon_vma_prepare": 17, "anon_vma_fork": 24}),
    "threxec": (8, {"__anon_vma_prepare": 27, "anon_vma_fork": 44}),
    "shell": (25, {"__anon_vma_prepare": 184, "anon_vma_fork": 280}),
    "pycow": (9, {"__anon_vma_prepare": 46, "anon_vma_fork": 132}),
    "zoo": (42, {"__anon_vma_prepare": 135, "anon_vma_fork": 549}),
}


@pytest.mark.parametrize("name", RECORDED)
def test_linux6_stands_as_the_kernel_did(name):
    trace, snapshots = (
        next((SAMPLES / name).glob(f"{name}.{kind}.txt*")) for kind in ("ftrace", "snapshots")
    )
    truth, model = replay_beside_kernel(trace, snapshots)
    n_snapshots, allocations = RECORDED[name]
    told = "\n".join(truth.differences)
    assert truth.snapshots == n_snapshots
    assert truth.pages_equal == truth.borders_equal == truth.stacks_equal == n_snapshots, told
    assert truth.anon_equal == n_snapshots, told
    assert truth.allocations == allocations
    assert model.violations() == []
