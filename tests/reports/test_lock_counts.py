"""Locks by operation."""

from __future__ import annotations

from anonvma_trace.replay.locks import OPERATIONS
from anonvma_trace.reports import build_report, lock_counts, render_markdown

from .hand_made import empty_results, hand_made_results


def test_each_operation_has_a_row_with_what_it_is():
    frame = lock_counts.locks_by_operation(hand_made_results())
    assert frame.drop("meaning").row(1) == ("vma_adjust", 3, 10, 3, 0, 4)
    assert frame.drop("meaning").row(-1) == ("walk", 0, None, 0, 19, 10)
    assert frame["operation"].to_list() == list(OPERATIONS) == list(lock_counts.OPERATION_MEANINGS)
    assert "" not in frame["meaning"].to_list()


def test_sums_leave_aside_what_is_not_defined():
    part = _parts(hand_made_results())[0]
    assert part.reading == (
        "page_table_lock is taken 44 times with the patch, 110 before it, the operation walk aside; anon_vma->lock, "
        "which was not there before, 41 times in all."
    )
    assert "only a replay of the scheme anonmm knows" in part.explanation


def test_vmas_visited_under_one_hold_are_told():
    assert "3.70 vmas on average, 17 at most" in _parts(hand_made_results())[1].reading


def test_results_without_locks_say_so():
    assert lock_counts.locks_by_operation(empty_results()).is_empty()
    assert "This result holds no counts of locks." in render_markdown(build_report(empty_results()))


def _parts(results):
    return next(section for section in build_report(results).sections if section.anchor == "locks").parts
