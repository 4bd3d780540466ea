"""Statistics of walks of file pages, from a table small enough to count by hand."""

from __future__ import annotations

import pytest

from anonvma_trace.reports import build_report, file_walks, reclaim_cost, render_markdown

from .hand_made import FILE_WALKS, HOSTILE, empty_results, hand_made_results


@pytest.fixture(scope="module")
def results():
    return hand_made_results()


def test_visits_add_up_with_those_that_a_locked_vma_ended(results):
    frame = file_walks.file_visit_results(results)
    assert frame.select("result", "visits").rows() == [
        ("hit", 6),
        ("miss_rss", 1),
        ("miss_range", 0),
        ("miss_none", 1),
        ("miss_swap", 0),
        ("miss_other", 1),
        ("locked", 1),  # the third walk
    ]
    assert frame["visits"].sum() == results.summary["file_reclaim"]["vmas_visited"]


def test_files_are_ranked_by_visits(results):
    frame = file_walks.dearest_files(results)
    assert frame.drop("share", "visited_per_walk").rows() == [
        ("/lib/a", 2, 3, 8, 4, 4),
        (HOSTILE, 1, 2, 2, 2, 1),
    ]
    assert frame["visited_per_walk"].to_list() == pytest.approx([8 / 3, 1])
    assert frame["share"].to_list() == pytest.approx([0.8, 0.2])


def test_walks_of_file_pages_and_of_anonymous_pages_are_never_mixed(results):
    walks = reclaim_cost.visited_distribution(results)["walks"].sum()
    of_files = reclaim_cost.visited_distribution(results, "file_walks")["walks"].sum()
    assert (walks, of_files) == (10, len(FILE_WALKS))
    without = hand_made_results(file_walks=[])
    assert reclaim_cost.walk_outcomes(without).equals(reclaim_cost.walk_outcomes(results))
    assert reclaim_cost.walk_outcomes(without, "file_walks").is_empty()


def test_nothing_walked_gives_empty_frames_and_a_sentence():
    assert file_walks.dearest_files(empty_results()).is_empty()
    assert file_walks.file_visit_results(empty_results())["share"].null_count() == 7
    text = render_markdown(build_report(empty_results()))
    assert "No file page was walked. No event names a mapped page of a file" in text
