"""What charts share: rows as data, and a tooltip that says what the table says."""

from __future__ import annotations

from typing import Any

import altair as alt

from ..document import Column, Table
from ..numbers import format_value

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart


def rows_as_data(table: Table, **more: list[Any]) -> list[dict[str, Any]]:
    """Return the rows of a table as data of a chart.

    A count stays a number, which the chart draws; everything else is text as the table writes it. Further columns
    are given as lists, one value for each row.
    """
    data = []
    for number, row in enumerate(table.rows):
        values = {
            column.name: value
            if column.kind == "count" and value is not None
            else format_value(value, column.kind)
            for column, value in zip(table.columns, row, strict=True)
        }
        data.append(values | {name: listed[number] for name, listed in more.items()})
    return data


def tooltips(table: Table) -> list[alt.Tooltip]:
    """Return a line of the tooltip for each column of a table; long explanations are left to the table."""
    return [_tooltip(column) for column in table.columns if column.name not in ("meaning", "picture")]


def _tooltip(column: Column) -> alt.Tooltip:
    title = f"{column.label}, {column.unit}" if column.unit else column.label
    if column.kind == "count":
        return alt.Tooltip(field=column.name, title=title, type="quantitative", format=",")
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
