"""The address space of one process over the trace."""

from __future__ import annotations

from math import log2

import pytest

from anonvma_trace.errors import UsageError
from anonvma_trace.events import PAGE_SIZE
from anonvma_trace.reports import build_report
from anonvma_trace.reports.address_space import KINDS, chosen_process, folded_heights, vmas_over_time
from anonvma_trace.reports.document import MapFigure

from .hand_made import EVENTS, HOSTILE, empty_results, hand_made_results


def test_the_process_whose_pages_cost_most_is_chosen():
    assert chosen_process(hand_made_results()) == 300
    assert chosen_process(hand_made_results(walks=[])) == 100  # most vmas over time
    assert chosen_process(empty_results()) is None


def test_a_vma_is_one_row_as_long_as_nothing_changes():
    rows = vmas_over_time(hand_made_results(), 100).rows(named=True)
    assert [(row["start"], row["from_event"], row["to_event"]) for row in rows] == [
        (0x10000, 1, 1_009),
        (0x10000, 1_010, EVENTS),
        (0x20000, 1_020, 2_019),
        (0x7F0000001000, 10, EVENTS),
    ]
    assert [row["kind"] for row in rows] == [KINDS[1], KINDS[0], KINDS[0], KINDS[3]]
    assert [row["protection"] for row in rows] == ["rw-", "rw-", "rw-", "r-x"]
    assert [row["pages"] for row in rows] == [4, 4, 1, 1]
    assert rows[3]["file"] == HOSTILE


def test_what_stood_longest_is_kept():
    frame = vmas_over_time(hand_made_results(), 100, limit=2)
    assert frame["to_event"].to_list() == [EVENTS, EVENTS]


def test_unused_parts_are_left_out_and_heights_are_logarithms():
    page = PAGE_SIZE
    heights, regions = folded_heights([0, 3 * page, 1 << 40], [3 * page, 4 * page, (1 << 40) + page])
    assert heights[0] == (0, 2)  # log2(3 + 1)
    assert heights[1] == (2, 2 + log2(2))
    assert heights[2][0] == pytest.approx(3 + 2.5)  # not the logarithm of a terabyte
    assert regions == [(0.0, "0x0"), (5.5, "0x10000000000")]


def test_overlapping_lives_lie_at_the_same_height():
    heights, _ = folded_heights([0, 0, PAGE_SIZE], [2 * PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE])
    assert heights[0] == (0, 2)
    assert heights[1] == (0, 1)
    assert heights[2] == (1, 2)


def test_nothing_has_no_height():
    assert folded_heights([], []) == ([], [])


def test_a_report_shows_the_process_asked_for():
    report = build_report(hand_made_results(), pid=200)
    (section,) = [section for section in report.sections if section.anchor == "address-space"]
    assert "pid 200" in section.parts[0].heading
    (figure,) = section.parts[0].blocks
    assert isinstance(figure, MapFigure)
    assert len(figure.heights) == len(figure.table.rows) == 1


def test_a_process_without_vmas_is_refused_by_name():
    with pytest.raises(UsageError, match="process 12345"):
        build_report(hand_made_results(), pid=12345)
