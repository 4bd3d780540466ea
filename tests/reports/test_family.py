"""The fork family."""

from __future__ import annotations

import pytest

from anonvma_trace.reports.family import family, sharing, tree_places, with_ancestors

from .hand_made import PROCESSES, empty_results, hand_made_results


def test_processes_have_what_they_own_share_and_cost():
    rows = {row["pid"]: row for row in family(hand_made_results()).iter_rows(named=True)}
    assert list(rows) == [300, 100, 200]  # by vmas visited: 21, 12, 4
    assert (rows[100]["owned"], rows[100]["shared"], rows[100]["vmas_visited"], rows[100]["walks"]) == (
        2,
        0,
        12,
        5,
    )
    assert (rows[200]["owned"], rows[200]["shared"], rows[200]["vmas_visited"]) == (1, 1, 4)
    assert rows[300]["comm"] == "worker, worker again"
    assert rows[300]["parent"] == 100


def test_an_anon_vma_joins_its_owner_with_each_other_member():
    assert sharing(hand_made_results()).rows() == [
        (100, 200, 1, 14)
    ]  # anon_vma 1; the others have one member


def test_nothing_gives_no_family():
    assert family(empty_results()).is_empty()
    assert sharing(empty_results()).is_empty()


@pytest.mark.parametrize(
    ("parents", "places"),
    [
        ({1: None}, {1: (0.5, 0)}),
        ({1: None, 2: 1, 3: 1}, {1: (0.5, 0), 2: (0.25, 1), 3: (0.75, 1)}),
        ({5: 4, 6: None}, {5: (0.25, 0), 6: (0.75, 0)}),  # 4 is not in the trace
        ({1: 1}, {1: (0.5, 0)}),  # its own parent: a pid used again
    ],
)
def test_a_process_stands_in_the_middle_below_its_parent(parents, places):
    assert tree_places(parents) == places


def test_parents_in_a_circle_still_have_a_place_each():
    assert tree_places({1: 2, 2: 1, 3: 1}).keys() == {1, 2, 3}


def test_a_line_of_thousands_of_generations_has_a_place_for_each():
    parents = {1: None} | {pid: pid - 1 for pid in range(2, 5_001)}
    assert tree_places(parents)[5_000] == (0.5, 4_999)


def test_the_dearest_are_drawn_with_their_ancestors():
    processes = [(pid, f"w{pid}", pid - 1 or None, *PROCESSES[0][3:]) for pid in range(1, 101)]
    frame = family(hand_made_results(processes=processes, walks=[], members=[], anon_vmas=[]))
    drawn = with_ancestors(frame.reverse(), limit=100)
    assert drawn.height == 100
    assert with_ancestors(frame, limit=10)["pid"].to_list() == list(range(1, 11))
