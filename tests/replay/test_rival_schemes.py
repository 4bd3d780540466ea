"""What each scheme costs, by formula and by worked example."""

from __future__ import annotations

import numpy as np
import pytest

from anonvma_trace import replay_trace
from anonvma_trace.events import TraceMetadata
from anonvma_trace.parsers import scenario_trace
from anonvma_trace.replay import SCHEMES, ReplayCore

from .generated import HEAP, events, fork_family, to_batches, walk_every_page

# Of a family of N children with P pages each: heads allocated, list insertions of forks.
HEADS = {
    "pte_chain": lambda n: 0,
    "anonmm": lambda n: n + 1,
    "anon_vma": lambda n: 1,
    "anon_vma_chain": lambda n: n + 1,
    "linux6": lambda n: n + 1,
}
INSERTIONS = {
    "pte_chain": lambda n, p: n * p,
    "anonmm": lambda n, p: n,
    "anon_vma": lambda n, p: n,
    "anon_vma_chain": lambda n, p: 2 * n,
    "linux6": lambda n, p: 2 * n,
}
LINES = [(None, 31, 7), ("32", 7, 3), ("64", 15, 7), ("128", 31, 15)]
SIZES = [(0, 3), (4, 2), (7, 5), pytest.param(1000, 1000, marks=pytest.mark.compiled)]


def family(scheme, *pieces, **options):
    core = ReplayCore(TraceMetadata(), options, scheme=scheme, keep_tables=False)
    for batch in to_batches(np.concatenate(pieces)):
        core.feed(batch)
    return core.finish()[0]


def replay(text, scheme, **options):
    return replay_trace(scenario_trace(text), scheme, options=options, check_every=1)


def walks(result):
    columns = ("mapcount", "vmas_visited", "miss_none", "miss_other", "hits", "outcome")
    return result.walks.select(columns).rows()


def test_every_scheme_has_its_formula():
    assert set(SCHEMES) <= HEADS.keys() & INSERTIONS.keys()


@pytest.mark.parametrize(("n_children", "n_pages"), SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_walking_all_pages_after_all_were_copied(scheme, n_children, n_pages):
    """N = P = 1000: 501,501,000 visits under rmap 39, 1,001,000 under all others."""
    summary = family(scheme, fork_family(n_children, n_pages), walk_every_page(n_children, n_pages))
    pages = n_pages * (n_children + 1)
    visits = pages * (n_children + 2) // 2 if scheme == "anon_vma" else pages
    reclaim = summary["reclaim"]
    assert (reclaim["walks"], reclaim["hits"], reclaim["vmas_visited"]) == (pages, pages, visits)
    assert reclaim["miss_other"] == visits - pages
    assert reclaim["visited_per_walk"]["max"] == (n_children + 1 if scheme == "anon_vma" else 1)
    assert summary["anon_vmas"]["allocated"] == HEADS[scheme](n_children)
    assert summary["extra"]["fork_insertions"] == INSERTIONS[scheme](n_children, n_pages)
    assert summary["pages"]["live"] == pages


@pytest.mark.parametrize(("n_children", "n_pages"), SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_walking_shared_pages_before_any_is_copied(scheme, n_children, n_pages):
    pages = HEAP + np.arange(n_pages)
    summary = family(scheme, fork_family(n_children, n_pages, copied=False), events("referenced", 1, pages))
    visits = n_pages * (n_children + 1)
    assert (summary["reclaim"]["vmas_visited"], summary["reclaim"]["hits"]) == (visits, visits)


@pytest.mark.parametrize(("n_children", "n_pages"), SIZES)
@pytest.mark.parametrize(("line", "slots_i386", "slots_x86_64"), LINES)
def test_blocks_of_pte_chains(n_children, n_pages, line, slots_i386, slots_x86_64):
    """N = P = 1000: 33,000 blocks of 128 bytes before any page is copied, 1,000,000 entries added by forks."""
    options = {} if line is None else {"pte_chain_line": line}
    summary = family("pte_chain", fork_family(n_children, n_pages), **options)
    chained = n_pages if n_children else 0
    blocks_i386 = chained * -(-(n_children + 1) // slots_i386)
    blocks_x86_64 = chained * -(-(n_children + 1) // slots_x86_64)
    extra = summary["extra"]
    assert extra["pte_chain_blocks_i386_peak"] == blocks_i386
    assert extra["pte_chain_blocks_x86_64_peak"] == blocks_x86_64
    bytes_i386, bytes_x86_64 = (128, 64) if line is None else (int(line), int(line))
    assert summary["overhead_bytes"] == {
        "i386": bytes_i386 * blocks_i386,
        "x86_64": bytes_x86_64 * blocks_x86_64,
    }
    copies = n_children * n_pages
    assert (extra["rmap_adds"], extra["rmap_removes"]) == (n_pages + 2 * copies, copies)
    assert extra["rmap_hot_ops"] == extra["rmap_adds"] + extra["rmap_removes"]
    # A chain with one entry left is still a block; nothing was walked, so none collapsed.
    assert extra["pte_chain_blocks_i386"] == chained


def test_numbers_of_the_worked_case():
    assert 1000 * -(-1001 // 31) == 33_000 and 33_000 * 128 == 4_224_000
    assert 1000 * 1001 * 1002 // 2 == 501_501_000


MOVE = "map 10 14 rw; w 10; w 13; fork m2; move 12 14 50; referenced 51; m2: referenced 13"


def test_a_moved_page_leaves_its_entry_and_gets_a_new_one():
    """Example 11.7: one remove, two entries compared, one add; the page stays shared."""
    result = replay(MOVE, "pte_chain")
    extra = result.summary["extra"]
    assert (extra["rmap_removes"], extra["rmap_remove_steps"], extra["rmap_adds"]) == (1, 2, 5)
    assert walks(result) == [(2, 2, 0, 0, 2, "referenced"), (2, 2, 0, 0, 2, "not_referenced")]
    assert result.summary["pages"]["allocated"] == 2


def test_anonmm_copies_a_shared_page_that_moves():
    """Example 11.7: the copy is found at once, the page left behind after a look at the mm that it still points to."""
    result = replay(MOVE, "anonmm")
    assert result.summary["extra"]["mremap_copies"] == 1
    assert result.summary["pages"] | {"allocated": 3, "cow_copies": 0} == result.summary["pages"]
    assert walks(result) == [(1, 1, 0, 0, 1, "referenced"), (1, 2, 1, 0, 1, "referenced")]


def test_anonmm_moves_a_page_of_one_process_without_a_copy():
    result = replay("map 10 14 rw; w 13; move 12 14 50; referenced 51", "anonmm")
    assert result.summary["extra"]["mremap_copies"] == 0
    assert walks(result) == [(1, 1, 0, 0, 1, "referenced")]


def test_anonmm_copies_a_page_that_comes_back_from_swap_elsewhere():
    """Both map it from swap; the parent moved its entry, the child read first: index and address differ."""
    text = "map 10 11 rw; w 10; fork m2; swap_out 10; move 10 11 50; m2: r 10; r 50"
    summary = replay(text, "anonmm").summary
    assert summary["extra"]["swapin_copies"] == 1
    assert summary["pages"] | {"swapped_in": 1, "cow_copies": 0, "live": 2} == summary["pages"]


def test_a_page_moves_over_to_the_relative_that_still_maps_it():
    """The parent is gone: its anonmm is looked at first, once; then the page points to the child's."""
    result = replay(
        "map 10 11 rw; w 10; fork m2; exit; m2: referenced 10; m2: referenced 10; m2: exit", "anonmm"
    )
    assert [row[1] for row in walks(result)] == [2, 1]
    extra = result.summary["extra"]
    assert (extra["miss_extinct"], extra["migrations"]) == (1, 1)
    assert result.summary["anon_vmas"] == {
        "allocated": 2,
        "freed": 2,
        "live": 0,
        "peak": 2,
        "longest_list": 2,
    }


LOCKED = "map 10 11 rw; w 10; prot 10 11 r; fork m2; mlock 10 11; try_unmap 10"


def test_a_locked_vma_stops_a_chain_s_unmap_after_newer_entries_went():
    """The child's entry is the newer one; young ptes do not stop it. A block with one entry stays until looked at."""
    result = replay(LOCKED, "pte_chain")
    assert walks(result) == [(2, 2, 0, 0, 2, "fail_locked")]
    extra = result.summary["extra"]
    assert (extra["find_vma_calls"], extra["pte_chain_blocks_i386"]) == (2, 1)
    collapsed = replay(LOCKED + "; referenced 10", "pte_chain")
    assert collapsed.summary["extra"]["pte_chain_blocks_i386"] == 0


@pytest.mark.parametrize("scheme", ["pte_chain", "anonmm"])
@pytest.mark.parametrize(
    ("text", "vmas"),
    [
        ("map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw", 1),  # 11.2: rmap 39 leaves two
        ("map 10 12 rw; w 10; move 10 12 50; map 52 54 rw", 1),  # 11.9
        ("map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; reclaim 11; reclaim 11", 2),  # D1a
        ("map 10 12 rw; w 10; w 11; move 10 12 50; map 8 10 rw; move 50 52 10; reclaim 10", 1),  # D2a
    ],
)
def test_before_rmap_39_no_merge_is_refused_for_reverse_mapping_and_no_page_is_lost(scheme, text, vmas):
    summary = replay(text, scheme).summary
    assert summary["vmas"]["live"] == vmas
    assert summary["findings"] == {"unreachable_pages": 0, "dangling_pages": 0, "bugs": 0}
    assert summary["violations"] == 0
    assert summary["merges"]["refused_new"] == 0


def test_anonmm_takes_a_pointer_in_each_mm_and_an_object_for_each():
    summary = replay("map 10 11 rw; w 10; fork m2; fork m3", "anonmm").summary
    assert summary["overhead_bytes"] == {"i386": 3 * (24 + 4), "x86_64": 3 * (40 + 8)}
    assert summary["extra"]["fork_objects"] == 2
