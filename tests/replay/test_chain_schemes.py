"""Schemes with chains: what forks, merges, swap-ins and walks come to, worked out on paper.

The expected figures are those of the worked examples 11.20 to 11.22 of the specification, or follow from the kernel
functions named in `schemes.anon_vma_chain` and `schemes.linux6` in a few steps.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore

from .core_state import batch_of
from .generated import HEAP, events, fork_family, to_batches, walk_every_page
from .random_events import random_rows
from .scenario_text import scenario_rows
from .scheme_replay import SchemeReplay, page_tables

BOTH = ("anon_vma_chain", "linux6")
RULE_2011 = ("avc_rule_2011",)

FAMILY = "map 10 12 rw; w 10,11; fork m2; fork m3; fork m4; fork m5"
COPIES = "; ".join(f"m{pid}: w 10,11" for pid in range(2, 6))
WALKS = "; ".join(f"m{pid}: referenced 10,11" for pid in range(1, 6))


@pytest.mark.parametrize("scheme", BOTH)
def test_four_children_that_copied_both_pages(scheme):
    """11.20: 10 visits, one for each page, where rmap 39 makes 30; 5 anon_vmas, 9 chains, 8 insertions by forks."""
    replay = SchemeReplay(scheme, f"{FAMILY}; {COPIES}; {WALKS}")
    assert replay.summary["reclaim"]["vmas_visited"] == replay.summary["reclaim"]["hits"] == 10
    assert replay.summary["anon_vmas"] == {
        "allocated": 5, "freed": 0, "live": 5, "peak": 5, "longest_list": 5,
    }  # fmt: skip
    extra = replay.summary["extra"]
    assert (extra["chains_live"], extra["chains_peak"], extra["chains_allocated"]) == (9, 9, 9)
    assert extra["fork_insertions"] == 8
    assert extra["fork_objects"] == 12  # 8 chains and 4 anon_vmas
    assert extra["rmap_hot_ops"] == 0
    # the parent's two pages: the root's list has all five vmas, the parent's first
    assert replay.walks == [(1, 1, 5)] * 2 + [(own, 1, 1) for own in (2, 2, 3, 3, 4, 4, 5, 5)]


def test_memory_of_four_children():
    """9: anon_vmas, chains, and the fields of 5 vmas."""
    chains = SchemeReplay("anon_vma_chain", f"{FAMILY}; {COPIES}").summary["overhead_bytes"]
    assert chains == {"i386": 5 * 12 + 9 * 24 + 5 * 12, "x86_64": 5 * 24 + 9 * 48 + 5 * 24}
    today = SchemeReplay("linux6", f"{FAMILY}; {COPIES}").summary["overhead_bytes"]
    assert today == {"i386": None, "x86_64": 5 * 96 + 9 * 64 + 5 * 24}


@pytest.mark.parametrize(
    ("scheme", "chains"),
    [
        ("anon_vma_chain", [2, 3, 4, 5]),  # every ancestor's anon_vma stays
        ("linux6", [2, 3, 3, 3]),  # C3 reuses that of C1, which is gone and has one child; C4 that of C2
    ],
)
def test_parents_that_fork_and_exit(scheme, chains):
    """11.21."""
    text = "map 10 11 rw; w 10"
    for depth, expected in enumerate(chains, start=1):
        text += f"; m{depth}: fork m{depth + 1}; m{depth}: exit"
        replay = SchemeReplay(scheme, text)
        assert replay.chains == {(depth + 1, 10): expected}


D1A = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"


@pytest.mark.parametrize(
    ("scheme", "rules", "text", "last", "n_vmas"),
    [
        ("anon_vma_chain", (), D1A, (4, "not_adjacent", "ok"), 2),
        ("anon_vma_chain", RULE_2011, D1A, (0, "not_adjacent", "cloned"), 3),
        ("linux6", (), D1A, (0, "not_adjacent", "flags"), 3),  # [12,14), never written, lost ACCOUNT
        ("linux6", (), D1A.replace("rw;", "rw noreserve;"), (4, "not_adjacent", "ok"), 2),
    ],
)
def test_a_boundary_that_shifts_over_a_page(scheme, rules, text, last, n_vmas):
    """11.22(a): nobody loses the page as rmap 39 does (D1)."""
    replay = SchemeReplay(scheme, f"{text}; referenced 11", rules)
    assert replay.last_merge == last
    assert len(replay.vmas) == n_vmas
    assert replay.summary["reclaim"]["hits"] == 1
    assert replay.summary["findings"] == {"unreachable_pages": 0, "dangling_pages": 0, "bugs": 0}


@pytest.mark.parametrize(
    ("scheme", "rules", "in_child"),
    [
        ("anon_vma_chain", (), (2, "ok", "not_adjacent")),
        ("anon_vma_chain", RULE_2011, (0, "cloned", "not_adjacent")),
        ("linux6", (), (0, "cloned", "not_adjacent")),
    ],
)
def test_a_fork_childs_mapping_grows(scheme, rules, in_child):
    """11.22(b): since 2011 a faulted vma with two chains takes no new mapping; its parent's does in every era."""
    family = "map 10 12 rw; w 10; fork m2"
    child = SchemeReplay(scheme, f"{family}; m2: map 12 14 rw", rules)
    assert child.last_merge == in_child
    assert SchemeReplay(scheme, f"{family}; map 12 14 rw", rules).last_merge == (2, "ok", "not_adjacent")
    if in_child[0] == 0:
        assert child.summary["merges"]["refused"]["cloned"] == 1
        assert child.summary["merges"]["refused_new"] == 1


def test_a_fork_child_grows_in_place_up_to_an_unfaulted_neighbour():
    """What it grows over is part of no vma and copied from none, so that no fork child is asked."""
    child = SchemeReplay("linux6", "map 10 12 rw; w 10; fork m2; m2: map 14 16 rw; m2: resize 10 12 14")
    assert child.last_merge == (1, "ok", "ok")
    assert child.summary["merges"]["refused"]["cloned"] == 0


@pytest.mark.parametrize("scheme", BOTH)
def test_a_hole_between_two_anon_vmas(scheme):
    """11.22(c)."""
    replay = SchemeReplay(scheme, "map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw")
    assert replay.last_merge == (2, "ok", "prev_next")


@pytest.mark.parametrize("scheme", BOTH)
@pytest.mark.parametrize(
    ("after", "own"),
    [
        ("m1: exit; m2: w 10", True),  # exclusive: kept, and moved to the child's anon_vma
        ("m1: exit", False),
    ],
)
def test_a_page_that_only_the_child_has_left(scheme, after, own):
    replay = SchemeReplay(scheme, f"map 10 11 rw; w 10; fork m2; {after}; m2: referenced 10")
    assert replay.walks == [(2 if own else 1, 1, 1)]
    assert replay.summary["pages"]["cow_reuses"] == (1 if own else 0)


@pytest.mark.parametrize(
    ("text", "chain", "today"),
    [
        ("m2: r 10", 1, 1),  # the parent's entry is still there: all sharers must find it
        ("m1: exit; m2: r 10", 1, 2),  # only today does a read tell that nobody shares it
        ("m1: exit; m2: w 10", 2, 2),
    ],
)
def test_where_a_page_points_that_comes_back_from_swap(text, chain, today):
    for scheme, anon_vma in (("anon_vma_chain", chain), ("linux6", today)):
        replay = SchemeReplay(scheme, f"map 10 11 rw; w 10; fork m2; swap_out 10; {text}; m2: referenced 10")
        assert replay.walks[-1][0] == anon_vma, scheme


def test_pages_moved_into_a_vma_that_was_never_written():
    """D2: in 2.6.34 the pages are lost; since January 2026 they are not."""
    d2a = "map 10 12 rw; w 10,11; move 10 12 50; map 8 10 rw; move 50 52 10; referenced 10,11"
    lost = SchemeReplay("anon_vma_chain", d2a)
    assert lost.summary["findings"] == {"unreachable_pages": 2, "dangling_pages": 2, "bugs": 0}
    assert lost.summary["reclaim"]["hits"] == 0
    found = SchemeReplay("linux6", d2a)
    assert found.summary["findings"] == {"unreachable_pages": 0, "dangling_pages": 0, "bugs": 0}
    assert found.summary["reclaim"]["hits"] == 2
    assert [replay.vmas for replay in (lost, found)] == [[(1, 8, 12)]] * 2


@pytest.mark.parametrize("scheme", BOTH)
def test_a_neighbours_anon_vma_is_shared_unless_it_is_a_fork_child(scheme):
    two = "map 10 14 rw; prot 12 14 rwx; w 10; {} w 12; prot 12 14 rw"
    shared = SchemeReplay(scheme, two.format(""))
    assert (shared.summary["anon_vmas"]["allocated"], shared.last_merge[0]) == (1, 7)
    child = SchemeReplay(scheme, two.format("fork m2;").replace(" w 12; prot", " m2: w 12; m2: prot"))
    assert child.summary["anon_vmas"]["allocated"] == 3  # of the parent's vma, of its copy, of m2's [12,14)
    assert child.last_merge == (0, "anon_diff", "not_adjacent")


def test_walks_today_visit_only_vmas_that_cover_the_page():
    """A vma in three pieces before three forks: lists of 12 in 2.6.34, of which 8 are range misses at most."""
    pieces = "map 10 13 rw; w 10,11,12; prot 11 12 r; fork m2; fork m3; fork m4; referenced 12"
    chains = SchemeReplay("anon_vma_chain", pieces).rows("walks")[0]
    today = SchemeReplay("linux6", pieces).rows("walks")[0]
    assert chains["list_length"] == today["list_length"] == 12
    assert (today["vmas_visited"], today["miss_range"], today["hits"]) == (4, 0, 4)
    assert (chains["miss_range"], chains["hits"]) == (8, 4)


def test_order_of_a_list_today():
    """By pgoff, then by insertion: the child moved its vma's bounds last, so it stands behind the others."""
    text = "map 10 12 rw; w 10; fork m2; fork m3; m1: resize 10 12 13; referenced 10"
    replay = SchemeReplay("linux6", text)
    state = replay.core.state
    chain, pids = int(state.rmap.anon_vma[1].head), []
    while chain:
        mm = state.vma[state.rmap.chain[chain].vma].mm
        pids.append(int(state.proc[state.mm[mm].owner].pid))
        chain = int(state.rmap.chain[chain].next)
    assert pids == [2, 3, 1]


@pytest.mark.parametrize(
    ("text", "n_vmas"),
    [
        ("map 10 14 rw; mlock 10 12; munlock 10 12", (2, 1)),  # today munlock merges
        ("map 10 14 rw; advise 10 12 sequential; advise 10 12 normal", (2, 1)),
        ("map 10 14 rw; advise 10 12 normal", (2, 1)),  # today advice that changes no flag does nothing
        ("map 10 12 rw; w 10; map 14 16 rw; resize 10 12 14", (2, 1)),  # today growth in place merges
        ("map 8 10 rw; brk 10; brk 12; brk 14", (1, 2)),  # today the heap never joins what lies below it
        ("map 10 12 rw; map 12 14 rw noreserve; map 14 16 rw", (3, 3)),  # ACCOUNT, or NORESERVE too
        ("map 10 12 r; map 12 14 r noreserve", (1, 2)),  # today a flag of its own
        ("map 10 12 rw; prot 10 12 r; map 12 14 r", (2, 1)),  # today ACCOUNT went with the permission
        ("map 10 12 rw; w 10; prot 10 12 r; map 12 14 r", (2, 2)),  # but not after a write
        ("map 10 14 rw; advise 10 14 dontfork; map 14 16 rw; advise 14 16 dontfork", (2, 1)),
    ],
)
def test_flags_and_merging_of_2004_and_today(text, n_vmas):
    options = {"brk_flags": "rw"}
    found = []
    for scheme in BOTH:
        core = ReplayCore(TraceMetadata(), options, check_every=1 << 20, scheme=scheme)
        core.feed(batch_of(scenario_rows(text)))
        summary, _ = core.finish()
        assert summary["violations"] == 0
        found.append(summary["vmas"]["live"])
    assert tuple(found) == n_vmas


def mmap_row(lo, hi, flags):
    return {
        "ts": lo,
        "pid": 1,
        "op": "mmap",
        "addr": lo << 12,
        "len": (hi - lo) << 12,
        "prot": 3,
        "flags": flags,
    }


def test_a_threads_stack_stays_apart_today():
    """MAP_STACK gives NOHUGEPAGE; it keeps the vma from merging, and from sharing an anon_vma."""
    rows = [mmap_row(10, 12, 0x22), mmap_row(12, 14, 0x20022)]
    assert len(SchemeReplay("anon_vma_chain", rows).vmas) == 1
    today = SchemeReplay("linux6", rows)
    assert today.last_merge == (0, "flags", "not_adjacent")
    assert [row["flags"] for row in today.rows("vmas")] == ["ACCOUNT", "ACCOUNT|NOHUGEPAGE"]


def test_what_dontunmap_leaves_behind():
    """MREMAP_DONTUNMAP of a whole vma: its chains go, and the pages are found where they went."""
    rows = scenario_rows("map 10 12 rw; w 10,11; move 10 12 50; m1: referenced 50,51")
    rows[3]["flags"] = 1 | 2 | 4
    for scheme, chains in (
        ("anon_vma_chain", {(1, 10): 1, (1, 50): 1}),
        ("linux6", {(1, 10): 0, (1, 50): 1}),
    ):
        replay = SchemeReplay(scheme, rows)
        assert replay.chains == chains
        assert replay.summary["reclaim"]["hits"] == 2
        assert replay.summary["violations"] == 0


@pytest.mark.parametrize("scheme", BOTH)
@pytest.mark.parametrize(
    ("n_children", "n_pages"), [(7, 5), pytest.param(300, 40, marks=pytest.mark.compiled)]
)
def test_closed_forms(scheme, n_children, n_pages):
    """N children copied P pages: a walk of any page visits one vma; N + 1 anon_vmas, 2N + 1 chains."""
    core = ReplayCore(TraceMetadata(), scheme=scheme)
    for batch in to_batches(
        np.concatenate([fork_family(n_children, n_pages), walk_every_page(n_children, n_pages)])
    ):
        core.feed(batch)
    summary, _ = core.finish()
    pages = n_pages * (n_children + 1)
    reclaim = summary["reclaim"]
    assert reclaim["walks"] == reclaim["vmas_visited"] == reclaim["hits"] == pages
    assert reclaim["list_length_sum"] == n_pages * (n_children + 1) + n_pages * n_children
    assert summary["anon_vmas"]["allocated"] == n_children + 1
    assert summary["extra"]["chains_live"] == 2 * n_children + 1


@pytest.mark.parametrize("scheme", BOTH)
def test_walking_shared_pages_before_any_is_copied(scheme):
    core = ReplayCore(TraceMetadata(), scheme=scheme)
    walks = events("referenced", 1, HEAP + np.arange(5))
    for batch in to_batches(np.concatenate([fork_family(7, 5, copied=False), walks])):
        core.feed(batch)
    summary, _ = core.finish()
    assert summary["reclaim"]["vmas_visited"] == summary["reclaim"]["hits"] == 5 * 8


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("scheme", "rules"), [("anon_vma_chain", ()), ("anon_vma_chain", RULE_2011), ("linux6", ())]
)
@pytest.mark.parametrize("seed", [39, 19, 15, 7])
def test_every_invariant_holds_after_every_event(scheme, rules, seed):
    """In `linux6`, and under the rule of 2011, no page is ever lost either."""
    replay = SchemeReplay(scheme, list(random_rows(seed, 600)), rules, check_every=1)
    assert replay.summary["violations"] == 0, [
        row["message"] for row in replay.rows("diagnostics") if row["severity"] == "error"
    ]
    assert replay.summary["checked_events"] == 600
    if (scheme, rules) != ("anon_vma_chain", ()):
        assert replay.summary["findings"] == {"unreachable_pages": 0, "dangling_pages": 0, "bugs": 0}


PLANTED = {
    "list that leads nowhere": ("i3", lambda s: _set(s.rmap.chain[1], "next", 1 << 40)),
    "list without a way back": ("i3", lambda s: _set(s.rmap.chain[2], "prev", 3)),
    "tail of a list": ("i3", lambda s: _set(s.rmap.anon_vma[1], "tail", 0)),
    "chain of another vma": ("i3", lambda s: _set(s.rmap.chain[1], "vma", int(s.rmap.chain[2].vma))),
    "chains of a vma counted wrong": ("i3", lambda s: _set(s.vma[1], "n_chains", 5)),
    "vma without its own chain": ("i3", lambda s: _set(s.vma[1], "anon_vma", 2)),
    "chains counted wrong": ("figures", lambda s: _set(s.glob[0], "chains_live", 9)),
    "member of a chain": ("members", lambda s: _set(s.rmap.chain[1], "member", 2)),
    "free list": ("free-lists", lambda s: _set(s.glob[0], "chain_free", 1)),
    "top of the table": ("free-lists", lambda s: _set(s.glob[0], "chain_top", 1 << 40)),
    "mapping": ("i1", lambda s: _set(s.page[1], "index", 11)),
}
PLANTED_TODAY = {
    "order": ("i3", lambda s: _set(s.rmap.chain[1], "pgoff", 99)),
    "active vmas": ("figures", lambda s: _set(s.rmap.anon_vma[1], "n_active", 7)),
    "children": ("figures", lambda s: _set(s.rmap.anon_vma[1], "n_children", 7)),
}


def _set(record, field, value):
    setattr(record, field, value)


@pytest.mark.parametrize(
    ("scheme", "fault"),
    [(scheme, fault) for scheme in BOTH for fault in PLANTED]
    + [("linux6", fault) for fault in PLANTED_TODAY],
)
def test_a_planted_fault_is_found(scheme, fault):
    from anonvma_trace.replay.checking import Checker

    invariant, plant = (PLANTED | PLANTED_TODAY)[fault]
    core = ReplayCore(TraceMetadata(), scheme=scheme)
    core.feed(batch_of(scenario_rows("map 10 12 rw; w 10; fork m2; fork m3; m2: w 10; m3: exit")))
    checker = Checker()
    assert checker.check(core.state) == []
    plant(core.state)
    assert f"validate-{invariant}" in {told.code for told in checker.check(core.state)}


MENDED = ("anon_vma", ("fix_propagate", "fix_move_merge"))


@pytest.mark.compiled
@pytest.mark.parametrize("seed", [39, 19, 15, 7])
def test_page_tables_are_the_same_under_every_scheme(seed):
    """Where no lock ends an unmap half way, and no defect hides a page: same pages, same swap slots, same places."""
    rows = [
        row
        for row in random_rows(seed, 1500)
        if row["op"] not in ("mlock", "munlock", "mremap") and not row.get("flags", 0) & 0x2000
    ]
    cores = [
        ReplayCore(TraceMetadata(), {}, rules, scheme=scheme)
        for scheme, rules in (MENDED, ("anon_vma_chain", ()), ("anon_vma_chain", RULE_2011), ("linux6", ()))
    ]
    for begin in range(0, len(rows), 100):
        for core in cores:
            core.feed(batch_of(rows[begin : begin + 100]))
        first, *others = [page_tables(core) for core in cores]
        assert all(other == first for other in others), f"at the latest after row {begin + 100}"
    assert all(core.finish()[0]["findings"]["bugs"] == 0 for core in cores)


def test_nothing_of_another_scheme_is_imported():
    code = (
        "import sys; from anonvma_trace.replay.schemes import load_scheme; load_scheme('anon_vma'); "
        "print([name for name in sys.modules if 'chain' in name or 'linux6' in name or 'validate_' in name])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
