"""Which pages are mapped where does not depend on the scheme, as long as anonmm was not forced to copy.

Left out are rows after which walk order or a defect decides: locked vmas stop an unmap half way, `try_unmap` meets
young ptes (which pte_chain does not look at), an mremap that grows over several vmas is refused or not as they are
merged. After a copy that anonmm is forced to make a swap-out takes fewer ptes with it.
"""

from __future__ import annotations

import numba
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import SCHEMES, ReplayCore

from .core_state import CoreReplay
from .random_events import random_rows
from .scheme_replay import page_tables

MAP_LOCKED = 0x2000
MENDED = {"anon_vma": ("fix_propagate", "fix_move_merge")}
SEEDS = range(3) if numba.config.DISABLE_JIT else range(60)


def decided_by_events(row):
    """Whether what a row does to page tables follows from the rows alone."""
    op = row["op"]
    if op in ("mlock", "munlock", "try_unmap") or (
        op in ("mmap", "vma") and row.get("flags", 0) & MAP_LOCKED
    ):
        return False
    return op != "mremap" or row.get("new_len", row["len"]) <= row["len"]


class SchemeReplay(CoreReplay):
    def __init__(self, scheme):
        super().__init__()
        self.core = ReplayCore(TraceMetadata(), {}, MENDED.get(scheme, ()), scheme=scheme)

    def page_tables(self):
        return page_tables(self.core)


@pytest.mark.parametrize("seed", SEEDS)
def test_page_tables_do_not_depend_on_the_scheme(seed):
    rows = list(filter(decided_by_events, random_rows(seed, 250)))
    cores = {scheme: SchemeReplay(scheme) for scheme in SCHEMES}
    for begin in range(0, len(rows), 25):
        for core in cores.values():
            core.feed(*rows[begin : begin + 25])
        expected = cores["anon_vma"].page_tables()
        for scheme, core in cores.items():
            glob = core.core.state.glob[0]
            lossy = glob.bugs or glob.unreachable  # defect D2, which anon_vma_chain has as well
            copied = scheme == "anonmm" and glob.mremap_copies + glob.swapin_copies
            assert lossy or copied or core.page_tables() == expected, scheme


def test_no_seed_is_left_out_under_a_scheme_that_loses_no_page():
    """So the test above compares: under anon_vma_chain at most bugs and unreachable ptes are met."""
    for seed in SEEDS[:10]:
        for scheme in SCHEMES:
            if scheme == "anon_vma_chain":
                continue
            core = SchemeReplay(scheme)
            core.feed(*filter(decided_by_events, random_rows(seed, 250)))
            glob = core.core.state.glob[0]
            assert (glob.bugs, glob.unreachable) == (0, 0), (scheme, seed)
