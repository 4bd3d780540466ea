"""Figures as Altair charts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anonvma_trace.reports import build_report
from anonvma_trace.reports.charts import chart_of, specification
from anonvma_trace.reports.charts.theme import DARK
from anonvma_trace.reports.document import BarFigure, Column, Table, TimeFigure
from anonvma_trace.reports.numbers import format_value

from .hand_made import hand_made_results

BIN = (Column("from_event", "from event"), Column("to_event", "to event"))


def figures(results=None):
    report = build_report(results or hand_made_results())
    return [
        block
        for section in report.sections
        for part in section.parts
        for block in part.blocks
        if not isinstance(block, Table)
    ]


def rows_of(figure, name="rows"):
    return specification(figure)["datasets"][name]


def time_figure(rows, *, is_state=False, last=100):
    table = Table("Walks over the trace", (*BIN, Column("walks", "walks")), rows)
    return TimeFigure(table, "walks", 1, last, is_state)


@pytest.mark.parametrize("figure", figures(), ids=lambda figure: figure.table.title)
def test_every_chart_is_valid_vega_lite(figure):
    """Altair checks it against the schema, unlike when a report is written."""
    chart = chart_of(figure).to_dict(validate=True)
    assert chart["datasets"] == specification(figure)["datasets"]


@pytest.mark.parametrize("figure", figures(), ids=lambda figure: figure.table.title)
def test_a_chart_shows_the_numbers_of_its_table(figure):
    rows = rows_of(figure)
    assert len(rows) == len(figure.table.rows)
    for column in figure.table.columns:
        values = figure.table.values(column.name)
        is_number = column.kind in ("count", "figure", "mean") and None not in values
        expected = values if is_number else [format_value(value, column.kind) for value in values]
        assert [row[column.name] for row in rows] == expected


def test_a_bar_is_named_by_its_row_and_no_two_alike():
    columns = (Column("pid", "pid", "text"), Column("comm", "process", "text"), Column("walks", "walks"))
    figure = BarFigure(Table("t", columns, ((7, "a", 3), (7, "a", 2), (8, None, 1))), ("walks",))
    assert [row["label_"] for row in rows_of(figure)] == ["7  a", "7  a ′", "8"]


def test_parts_of_a_bar_add_up_to_its_number():
    columns = (Column("reason", "reason", "code"), Column("new", "new"), Column("old", "not new"))
    figure = BarFigure(Table("t", columns, (("flags", 3, 4),)), ("new", "old"))
    assert rows_of(figure)[0]["total_"] == 7


def test_bars_of_means_are_drawn_too():
    columns = (Column("scheme", "scheme", "code"), Column("value", "mean per walk", "mean"))
    chart = specification(BarFigure(Table("t", columns, (("anonmm", 3.5), ("anon_vma", 2.25))), ("value",)))
    assert [row["value"] for row in chart["datasets"]["rows"]] == [3.5, 2.25]
    assert chart["layer"][1]["encoding"]["text"]["format"] == ",.2f"


def test_bins_stand_upright():
    columns = (Column("bin", "vmas visited", "text"), Column("walks", "walks"))
    upright = specification(BarFigure(Table("t", columns, (("1", 5), ("2", 3))), ("walks",)))
    assert upright["layer"][0]["encoding"]["y"]["field"] == "walks"


def test_a_level_holds_until_the_next_bin_that_says_otherwise():
    figure = time_figure([(1, 10, 4), (51, 60, 2)], is_state=True)
    assert [(row["from_event"], row["until_"]) for row in rows_of(figure)] == [(1, 51), (51, 101)]
    assert [(row["from_event"], row["walks"]) for row in rows_of(figure, "edge")] == [
        (1, 4),
        (51, 2),
        (101, 2),
    ]


def test_an_amount_belongs_to_its_bin():
    figure = time_figure([(1, 10, 4), (51, 60, 2)])
    assert [(row["from_event"], row["until_"]) for row in rows_of(figure)] == [(1, 11), (51, 61)]


@pytest.mark.parametrize("rows", [[], [(1, 1, 0)], [(1, 1, 3)]])
@pytest.mark.parametrize("is_state", [False, True])
def test_a_figure_of_next_to_nothing_is_still_valid(rows, is_state):
    chart_of(time_figure(rows, is_state=is_state, last=1)).to_dict(validate=True)


def test_colours_are_those_of_the_page_or_of_white_paper():
    figure = figures()[0]
    assert "config" not in specification(figure)
    assert chart_of(figure, config=DARK).to_dict()["config"]["mark"]["color"] == DARK["mark"]["color"]


def test_nothing_imports_altair_before_a_chart_is_wanted():
    code = (
        "import sys, anonvma_trace.cli, anonvma_trace.reports, anonvma_trace.analysis;"
        "print(*{'altair', 'vl_convert'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
