"""Statistics of reclaim cost, from tables small enough to count by hand."""

from __future__ import annotations

import pytest

from anonvma_trace.reports import reclaim_cost

from .hand_made import EVENTS, HOSTILE, empty_results, hand_made_results


@pytest.fixture(scope="module")
def results():
    return hand_made_results()


def test_walks_are_grouped_by_vmas_visited(results):
    frame = reclaim_cost.visited_distribution(results)
    assert frame.select("bin", "walks", "vmas_visited").rows() == [
        ("1", 3, 3),
        ("2", 2, 4),
        ("3–4", 4, 13),  # 4 + 3 + 3 + 3
        ("5–8", 0, 0),
        ("9–16", 0, 0),
        ("17–32", 1, 17),
    ]
    assert frame["walks_share"].to_list() == pytest.approx([0.3, 0.2, 0.4, 0, 0, 0.1])
    assert frame["visited_share"].sum() == pytest.approx(1)


def test_visit_results_stand_in_the_order_of_the_tests_and_add_up_to_the_visits(results):
    frame = reclaim_cost.visit_results(results)
    assert frame.select("result", "visits").rows() == [
        ("hit", 10),
        ("miss_rss", 2),
        ("miss_range", 16),
        ("miss_none", 2),
        ("miss_swap", 2),
        ("miss_other", 5),
    ]
    assert frame["visits"].sum() == results.summary["reclaim"]["vmas_visited"]


def test_visit_results_of_the_summary_equal_those_of_the_walks(results):
    walks = results.frame("walks")
    for result, (key, _) in reclaim_cost.VISIT_RESULTS.items():
        assert walks[key].sum() == results.summary["reclaim"][key], result


def test_outcomes_are_counted_by_purpose(results):
    frame = reclaim_cost.walk_outcomes(results)
    assert frame.rows() == [
        ("unmap", "success", 3, 8, 4, 3, 0),
        ("referenced", "not_referenced", 2, 20, 1, 1, 1),
        ("referenced", "referenced", 2, 5, 2, 0, 0),
        ("unmap", "again", 1, 1, 1, 1, 0),
        ("unmap", "fail_locked", 1, 1, 1, 0, 0),
        ("unmap", "fail_young", 1, 2, 1, 1, 0),
    ]


def test_cost_over_time_has_every_walk_in_the_bin_of_its_event(results):
    frame = reclaim_cost.cost_over_time(results)
    assert frame.height == 40
    assert (frame["from_event"][0], frame["to_event"][-1]) == (1, EVENTS)
    busy = frame.filter(frame["walks"] > 0)
    assert busy.select("walks", "vmas_visited", "dearest").rows() == [
        (5, 14, 4),  # events 40,001 to 40,004
        (2, 2, 1),
        (1, 1, 1),
        (1, 17, 17),
        (1, 3, 3),
    ]
    assert busy["visited_per_walk"][0] == pytest.approx(2.8)


def test_dearest_anon_vmas_come_first_and_those_without_walks_are_left_out(results):
    frame = reclaim_cost.dearest_anon_vmas(results)
    assert frame.select("anon_vma", "pid", "comm", "walks", "vmas_visited").rows() == [
        (5, 300, "worker, worker again", 2, 20),
        (1, 100, "server", 5, 14),
        (2, 100, "server", 2, 2),
        (4, 300, "worker, worker again", 1, 1),
    ]
    assert frame["share"][0] == pytest.approx(20 / 37)


def test_walks_count_for_the_process_that_first_mapped_the_page(results):
    frame = reclaim_cost.dearest_processes(results)
    assert frame.select("pid", "comm", "walks", "vmas_visited").rows() == [
        (300, "worker, worker again", 3, 21),
        (100, "server", 5, 12),
        (200, HOSTILE, 2, 4),
    ]


@pytest.mark.parametrize(
    "statistic",
    [
        reclaim_cost.visited_distribution,
        reclaim_cost.walk_outcomes,
        reclaim_cost.dearest_anon_vmas,
        reclaim_cost.dearest_processes,
    ],
)
def test_a_replay_of_nothing_has_empty_statistics_with_the_same_columns(statistic, results):
    empty = statistic(empty_results())
    assert empty.height == 0
    assert empty.columns == statistic(results).columns


def test_shares_of_nothing_are_undefined():
    assert reclaim_cost.visit_results(empty_results())["share"].to_list() == [None] * 6
