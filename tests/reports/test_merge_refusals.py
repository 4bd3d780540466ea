"""Statistics of merge attempts and refusals, from a table small enough to count by hand."""

from __future__ import annotations

import pytest

from anonvma_trace.reports import merge_refusals
from anonvma_trace.tables import MERGE_REASONS

from .hand_made import HOSTILE, empty_results, hand_made_results


@pytest.fixture(scope="module")
def results():
    return hand_made_results()


def test_every_reason_and_every_case_has_a_meaning():
    assert tuple(merge_refusals.REASON_MEANINGS) == MERGE_REASONS
    assert list(merge_refusals.MERGE_CASES) == list(range(1, 9))


def test_a_side_without_neighbour_is_no_refusal(results):
    sides = merge_refusals.refused_sides(results)
    assert sides.height == 10
    assert set(sides["reason"]) == {"prev_next", "flags", "anon_diff", "pgoff_anon", "pgoff_file", "file"}


def test_an_attempt_that_merged_on_one_side_can_be_refused_on_the_other(results):
    sides = merge_refusals.refused_sides(results)
    assert sides.filter(sides["event"] == 30).select("side", "reason", "new").rows() == [
        ("right", "prev_next", True)
    ]


@pytest.mark.parametrize(
    ("event", "side", "mark"),
    [
        (70, "right", "same"),  # left is anon_diff, so the mark tells of the right side
        (70, "left", None),
        (80, "left", "null"),  # left is pgoff_anon itself
    ],
)
def test_the_anon_vma_mark_belongs_to_the_side_that_was_refused_for_pgoff(results, event, side, mark):
    sides = merge_refusals.refused_sides(results)
    row = sides.filter((sides["event"] == event) & (sides["side"] == side))
    assert row["pgoff_anon_vma"].to_list() == [mark]


def test_cases_come_from_the_summary(results):
    frame = merge_refusals.merge_cases(results)
    assert dict(frame.select("case", "attempts").iter_rows()) == {
        **{str(case): 0 for case in range(1, 9)},
        "2": 2,
        "7": 1,
        "8": 1,
        "none": 7,
    }
    assert frame["share"].sum() == pytest.approx(1)


def test_refusals_are_counted_by_reason_and_side_in_the_order_of_the_tests(results):
    frame = merge_refusals.refusals_by_reason(results)
    columns = ("reason", "refusals", "left", "right", "new", "not_new")
    assert frame.select(columns).rows() == [
        ("flags", 2, 0, 2, 0, 2),
        ("file", 1, 0, 1, 0, 1),
        ("anon_diff", 3, 2, 1, 3, 0),
        ("pgoff_anon", 2, 1, 1, 2, 0),
        ("pgoff_file", 1, 1, 0, 0, 1),
        ("prev_next", 1, 0, 1, 1, 0),
    ]


def test_refusals_by_reason_equal_the_summary(results):
    counts = dict(merge_refusals.refusals_by_reason(results).select("reason", "refusals").iter_rows())
    merges = results.summary["merges"]
    assert {reason: counts.get(reason, 0) for reason in MERGE_REASONS} == merges["refused"]
    assert merge_refusals.refusals_by_reason(results)["new"].sum() == merges["refused_new"]


def test_attempts_are_counted_by_operation(results):
    frame = merge_refusals.attempts_by_operation(results)
    # attempts, merged, no neighbour at all, refused without any merge, refusals, left, right, new
    assert frame.rows() == [
        ("mmap", 5, 2, 1, 2, 4, 2, 2, 2),
        ("mprotect", 4, 1, 0, 3, 4, 1, 3, 2),
        ("brk", 1, 1, 0, 0, 0, 0, 0, 0),
        ("mremap", 1, 0, 0, 1, 2, 1, 1, 2),
    ]


def test_attempts_are_counted_by_process(results):
    frame = merge_refusals.attempts_by_process(results)
    assert frame.select("pid", "comm", "attempts", "merged", "refusals", "new").rows() == [
        (200, HOSTILE, 3, 0, 5, 5),
        (100, "server", 5, 2, 3, 1),
        (300, "worker, worker again", 3, 2, 2, 0),
    ]


def test_the_most_refused_ranges_come_first(results):
    both_sides, first = merge_refusals.most_refused_ranges(results).head(2).iter_rows(named=True)
    assert (both_sides["reason"], both_sides["left"], both_sides["right"]) == ("anon_diff", 1, 1)
    assert (first["start"], first["end"], first["pages"]) == (0x7F0000001000, 0x7F0000002000, 1)
    assert (first["reason"], first["refusals"], first["left"], first["right"]) == ("flags", 2, 0, 2)
    assert (first["first_event"], first["last_event"]) == (40, 50)


def test_among_equally_refused_ranges_those_with_most_new_refusals_come_first(results):
    frame = merge_refusals.most_refused_ranges(results)
    assert frame.select("refusals", "new").rows() == [(2, 2), (2, 0), *[(1, 1)] * 4, *[(1, 0)] * 2]


def test_marks_and_missing_neighbours_are_counted_apart(results):
    assert merge_refusals.pgoff_anon_marks(results).rows() == [("same", 1), ("null", 1)]
    assert merge_refusals.own_source_attempts(results) == 1
    assert merge_refusals.missing_neighbours(results) == merge_refusals.MissingNeighbours(
        left=4, right=4, both=1
    )


def test_a_replay_of_nothing_has_empty_statistics():
    empty = empty_results()
    for statistic in (
        merge_refusals.refused_sides,
        merge_refusals.refusals_by_reason,
        merge_refusals.attempts_by_operation,
        merge_refusals.attempts_by_process,
        merge_refusals.most_refused_ranges,
        merge_refusals.pgoff_anon_marks,
    ):
        assert statistic(empty).height == 0
    assert merge_refusals.own_source_attempts(empty) == 0
    assert merge_refusals.missing_neighbours(empty) == merge_refusals.MissingNeighbours(0, 0, 0)
