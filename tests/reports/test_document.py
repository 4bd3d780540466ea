"""Reports as data."""

from __future__ import annotations

import polars as pl
import pytest

from anonvma_trace.reports.document import BarFigure, Column, Table

COLUMNS = (
    Column("pid", "pid", "text"),
    Column("walks", "walks", summed=True),
    Column("mean", "mean", "mean"),
)


def ranking(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"pid": range(rows), "walks": [10] * rows, "mean": [1.5] * rows})


def test_rows_beyond_the_limit_are_summed_up_where_a_sum_has_a_meaning():
    table = Table.from_frame("Processes", COLUMNS, ranking(5_000))
    assert len(table.rows) == 20
    assert (table.hidden, table.rest) == (4_980, (None, 49_800, None))


@pytest.mark.parametrize("rows", [0, 20, 21])
def test_a_single_row_beyond_the_limit_is_shown_instead_of_being_one_more(rows):
    table = Table.from_frame("Processes", COLUMNS, ranking(rows))
    assert (len(table.rows), table.hidden, table.rest) == (rows, 0, None)


def test_without_a_limit_every_row_is_shown():
    assert len(Table.from_frame("Processes", COLUMNS, ranking(100), limit=None).rows) == 100


def test_a_column_is_found_by_name():
    table = Table.from_frame("Processes", COLUMNS, ranking(2))
    assert table.values("walks") == [10, 10]
    with pytest.raises(KeyError, match="visits"):
        table.values("visits")


def test_a_bar_stands_after_the_last_number():
    columns = (*COLUMNS, Column("meaning", "what it means", "text"))
    figure = BarFigure(Table("Processes", columns, ()), ("walks",))
    assert figure.bar_position == 3
