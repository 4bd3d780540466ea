"""Figures as inline SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from anonvma_trace.reports.document import BarFigure, Column, Table, TimeFigure
from anonvma_trace.reports.figures import bar_svgs, nice_ticks, time_svg

BIN = (Column("from_event", "from event"), Column("to_event", "to event"))


def bars(*values: tuple[int, ...]) -> list[list[float]]:
    """Widths of the rectangles of each bar, in per cent."""
    names = [f"series{number}" for number in range(len(values[0]))]
    table = Table("Bars", tuple(Column(name, name) for name in names), values)
    return [
        [float(rect.get("width").rstrip("%")) for rect in ElementTree.fromstring(svg)]
        for svg in bar_svgs(BarFigure(table, tuple(names)))
    ]


def time_figure(rows, *, is_state=False, last=100) -> TimeFigure:
    table = Table("Walks & visits over the trace", (*BIN, Column("walks", "walks")), rows)
    return TimeFigure(table, "walks", 1, last, is_state)


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter("text")]


def test_bars_are_in_proportion_and_the_longest_fills_the_width():
    assert bars((10,), (5,), (0,)) == [[100], [50], []]


def test_a_bar_of_several_series_is_as_long_as_their_sum():
    assert bars((3, 1), (0, 2)) == [[75, 25], [50]]


def test_what_is_not_nothing_is_seen():
    assert bars((1_000_000,), (1,))[1] == [0.4]


def test_bars_of_nothing_but_zeros_are_empty():
    assert bars((0,), (0,)) == [[], []]


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (17, [0, 5, 10, 15]),
        (501_501_000, [0, 200_000_000, 400_000_000]),
    ],
)
def test_grid_lines_stand_at_round_values_up_to_the_highest(highest, ticks):
    assert nice_ticks(highest) == ticks


def test_columns_stand_at_the_place_of_their_events():
    svg = time_svg(time_figure([(1, 10, 4), (51, 60, 2)]))
    left, right = (rect for rect in ElementTree.fromstring(svg).iter("rect"))
    assert (left.get("x"), left.get("width")) == ("0.60%", "8.80%")  # a tenth of the axis, less the gap
    assert right.get("x") == "50.60%"
    assert float(left.get("height")) == pytest.approx(2 * float(right.get("height")), abs=0.2)


def test_a_level_holds_until_the_next_bin_that_says_otherwise():
    svg = time_svg(time_figure([(1, 10, 4), (51, 60, 2)], is_state=True))
    areas = list(ElementTree.fromstring(svg).iter("rect"))
    assert [(area.get("x"), area.get("width")) for area in areas] == [
        ("0.00%", "50.00%"),
        ("50.00%", "50.00%"),
    ]


def test_the_highest_value_and_the_ends_of_the_axis_are_labelled():
    labels = texts(time_svg(time_figure([(1, 50, 1_234), (51, 92_855, 7)], last=92_855)))
    assert "1,234" in labels
    assert {"event 1", "92,855"} <= set(labels)


def test_a_figure_says_what_it_shows_to_those_who_do_not_see_it():
    assert ElementTree.fromstring(time_svg(time_figure([(1, 100, 5)]))).get("aria-label") == (
        "Walks & visits over the trace: highest 5"
    )


@pytest.mark.parametrize("rows", [[], [(1, 1, 0)], [(1, 1, 3)]])
@pytest.mark.parametrize("is_state", [False, True])
def test_a_figure_of_next_to_nothing_is_still_well_formed(rows, is_state):
    svg = time_svg(time_figure(rows, is_state=is_state, last=1))
    numbers = [float(text) for text in re.findall(r'="(-?[\d.]+)%?"', svg)]
    assert ElementTree.fromstring(svg).tag == "svg"
    assert all(0 <= number <= 200 for number in numbers)
