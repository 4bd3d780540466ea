"""Walks over fork families cost what can be worked out on paper.

A parent writes P pages and forks N children one after the other. rmap 39 puts every copy of the vma at the head of one
list: child N, …, child 1, parent. A page that child k copied lies N + 1 - k vmas behind the head, a page of the parent
N + 1, so walking all pages once visits P (N + 1)(N + 2) / 2 vmas, and all but one visit of each walk meet another page.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from anonvma_trace.events import MADV_DONTNEED, TraceMetadata
from anonvma_trace.replay import ReplayCore

from .comparison import Lockstep
from .generated import HEAP, NONE, events, family_pids, fork_family, move, to_batches, walk_every_page


def replayed(*pieces: np.ndarray) -> tuple[dict, dict[str, pa.Table]]:
    core = ReplayCore(TraceMetadata())
    for batch in to_batches(np.concatenate(pieces)):
        core.feed(batch)
    return core.finish()


@pytest.mark.parametrize(
    ("n_children", "n_pages"),
    [(0, 3), (1, 1), (7, 5), pytest.param(1000, 1000, marks=pytest.mark.compiled)],
)
def test_walking_all_pages_after_all_were_copied(n_children, n_pages):
    """N = P = 1000: 501,501,000 vmas visited for 1,001,000 pages."""
    summary, tables = replayed(fork_family(n_children, n_pages), walk_every_page(n_children, n_pages))
    mappers, pages = n_children + 1, n_pages * (n_children + 1)
    visits = n_pages * mappers * (n_children + 2) // 2
    reclaim = summary["reclaim"]
    assert (summary["anon_vmas"]["allocated"], summary["anon_vmas"]["longest_list"]) == (1, mappers)
    assert (summary["pages"]["live"], summary["pages"]["cow_copies"]) == (pages, pages - n_pages)
    assert (reclaim["walks"], reclaim["hits"]) == (pages, pages)
    assert (reclaim["vmas_visited"], reclaim["miss_other"]) == (visits, visits - pages)
    assert reclaim["miss_rss"] + reclaim["miss_range"] + reclaim["miss_none"] + reclaim["miss_swap"] == 0
    assert reclaim["list_length_sum"] == pages * mappers
    assert reclaim["visited_per_walk"]["mean"] == (n_children + 2) / 2
    assert reclaim["visited_per_walk"]["max"] == mappers
    walks = tables["walks"]
    child = np.repeat(
        np.arange(mappers), n_pages
    )  # 0 is the parent: as many visits as the youngest possible child's
    np.testing.assert_array_equal(walks["vmas_visited"].to_numpy(), n_children + 1 - child)
    np.testing.assert_array_equal(walks["pid"].to_numpy(), child + 1)


def test_numbers_of_the_worked_case():
    """What the formulas above say for N = P = 1000, by hand."""
    assert 1000 * 1001 * 1002 // 2 == 501_501_000
    assert 501_501_000 - 1000 * 1001 == 500_500_000
    assert (1000 + 2) / 2 == 501


@pytest.mark.parametrize(
    ("n_children", "n_pages"), [(7, 5), pytest.param(1000, 1000, marks=pytest.mark.compiled)]
)
def test_walking_shared_pages_before_any_is_copied(n_children, n_pages):
    """Each page is mapped by all: a walk visits the whole list, and every visit is a hit."""
    pages = HEAP + np.arange(n_pages)
    summary, _ = replayed(fork_family(n_children, n_pages, copied=False), events("referenced", 1, pages))
    reclaim = summary["reclaim"]
    assert reclaim["vmas_visited"] == reclaim["hits"] == n_pages * (n_children + 1)
    assert reclaim["early_stops"] == 0


@pytest.mark.parametrize("n_children", [4, 9])
def test_a_vma_in_three_pieces_makes_the_list_three_times_as_long(n_children):
    n_pages = 6
    summary, _ = replayed(fork_family(n_children, n_pages, split=True), walk_every_page(n_children, n_pages))
    assert summary["anon_vmas"]["longest_list"] == 3 * (n_children + 1)
    reclaim = summary["reclaim"]
    # Of each member's three vmas two lie elsewhere; those behind the page's own vma are not visited.
    assert reclaim["miss_other"] == n_pages * (n_children + 1) * n_children // 2
    assert reclaim["miss_range"] == reclaim["vmas_visited"] - reclaim["miss_other"] - reclaim["hits"] > 0


def uneven_family(n_children: int, n_pages: int) -> np.ndarray:
    """A family with its vma split in three; children are gone, moved, without pages, with half of them."""
    children = family_pids(n_children)[1:]
    pages = HEAP + np.arange(n_pages)
    third, target = n_pages // 3, HEAP + 10 * n_pages
    gone, moved, emptied, halved = children[::3], children[1], children[4], children[7]
    alive = np.setdiff1d(family_pids(n_children), gone)
    return np.concatenate(
        [
            fork_family(n_children, n_pages, split=True),
            events("exit", gone),
            move(moved, HEAP + third, third, target),
            events("madvise", emptied, HEAP, n_pages, flags=MADV_DONTNEED),
            events("madvise", halved, HEAP, n_pages // 2, flags=MADV_DONTNEED),
            events("referenced", alive[:, None], pages),
            events("referenced", moved, target + np.arange(third)),
            events("reclaim", alive[:, None], pages),
            events("write_fault", alive[:, None], pages[::2]),
            events("scan", NONE, pages=n_children * n_pages // 2),
        ]
    )


def test_an_uneven_family_costs_what_the_slow_model_says():
    """50 x 20: split in three before the forks, every third child gone, one mapping moved, one mm with rss 0."""
    both = Lockstep()
    for batch in to_batches(uneven_family(50, 20)):
        both.feed(*batch.to_pylist())
    both.compare_state()
    both.compare_results()
    reclaim = both.core.summary()["reclaim"]
    met = ("miss_rss", "miss_range", "miss_none", "miss_other", "hits", "unmapped")
    assert all(reclaim[kind] > 0 for kind in met), reclaim  # else the family is not as uneven as it should be
