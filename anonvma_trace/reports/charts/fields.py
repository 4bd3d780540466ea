"""What charts share: rows as data, and a tooltip that says what the table says."""

from __future__ import annotations

from typing import Any, NamedTuple

import altair as alt

from ..document import Column, Table
from ..numbers import format_value

# Kinds that stay numbers in a chart, and how it writes them: as the table does.
_FORMATS: dict[str, str] = {"count": ",", "figure": ",", "mean": ",.2f"}
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart


class Drawing(NamedTuple):
    """A chart and its rows, apart: within the chart altair would copy them again and again.

    Attributes
    ----------
    chart : Chart or LayerChart
        Names its rows only.
    datasets : dict of str to list of dict
        Rows by name.
    """

    chart: AnyChart
    datasets: dict[str, list[dict[str, Any]]]


def rows_as_data(table: Table, **more: list[Any]) -> list[dict[str, Any]]:
    """Return the rows of a table as data of a chart.

    Counts and means stay numbers, which the chart draws; everything else is text as the table writes it, and so are
    numbers of which some are undefined. Further columns are given as lists, one value for each row.
    """
    numbers = _numbers(table)
    data = []
    for number, row in enumerate(table.rows):
        values = {
            column.name: value if column.name in numbers else format_value(value, column.kind)
            for column, value in zip(table.columns, row, strict=True)
        }
        data.append(values | {name: listed[number] for name, listed in more.items()})
    return data


def drawn_from(name: str = "rows") -> alt.Chart:
    """Return an empty chart of the rows of that name, which `Drawing.datasets` holds."""
    return alt.Chart(alt.NamedData(name=name))


def drawing(chart: AnyChart, height: int, **datasets: list[dict[str, Any]]) -> Drawing:
    """Return the whole: as wide as its place, so many pixels high."""
    # Set one by one: `properties` would copy and check the chart.
    chart.width, chart.height = "container", height
    chart.autosize = alt.AutoSizeParams(type="fit-x", contains="padding")
    return Drawing(chart, datasets)


def tooltips(table: Table) -> list[alt.Tooltip]:
    """Return a line of the tooltip for each column of a table; long explanations are left to the table."""
    numbers = _numbers(table)
    shown = [column for column in table.columns if column.name not in ("meaning", "picture")]
    return [_tooltip(column, column.name in numbers) for column in shown]


def _numbers(table: Table) -> set[str]:
    """Return the columns whose values all stay numbers."""
    return {
        column.name
        for at, column in enumerate(table.columns)
        if column.kind in _FORMATS and all(row[at] is not None for row in table.rows)
    }


def _tooltip(column: Column, is_number: bool) -> alt.Tooltip:
    title = f"{column.label}, {column.unit}" if column.unit else column.label
    if is_number:
        return alt.Tooltip(field=column.name, title=title, type="quantitative", format=_FORMATS[column.kind])
    return alt.Tooltip(field=column.name, title=title, type="nominal")


def measure(field: str, title: str = "", **more: Any) -> dict[str, Any]:
    """Return what a channel of numbers needs; whole numbers are written without decimals."""
    return {"field": field, "type": "quantitative", "title": title or None, **more}


def row_labels(table: Table) -> list[str]:
    """Return a name for each row, no two alike: its first column, and the process where the table names one."""
    names = [column.name for column in table.columns]
    first = table.columns[0]
    labels: list[str] = []
    seen: set[str] = set()
    for row in table.rows:
        label = format_value(row[0], first.kind)
        if first.name in ("pid", "anon_vma") and "comm" in names and row[names.index("comm")]:
            label += f"  {row[names.index('comm')]}"
        elif first.name == "purpose" and "outcome" in names:
            label += f", {row[names.index('outcome')]}"
        while label in seen:
            label += " ′"
        seen.add(label)
        labels.append(label)
    return labels
