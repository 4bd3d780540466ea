"""What a notebook shows of a `Report`: findings and tables as HTML, each figure as a chart."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .document import Figure, Report, Table
from .numbers import format_value

if TYPE_CHECKING:
    from .charts.fields import AnyChart


class Plots(ABC):
    """Results of which a report can be made: its figures as charts."""

    @abstractmethod
    def _report(self, **how: Any) -> Report:
        """Return the report of these results."""

    def plots(self) -> list[str]:
        """Return the titles of all figures that have anything to draw, in the order of the report."""
        return list(_by_title(self._report()))

    def plot(self, title: str, **how: Any) -> AnyChart:
        """Return a figure of the report as an Altair chart, which shows itself in a notebook.

        Parameters
        ----------
        title : str
            One of `plots`; capitals do not matter.
        **how
            As for the report: of a `Replay`, ``pid=`` chooses the process whose address space is drawn.

        Raises
        ------
        UsageError
            No such figure; the message names the nearest.
        """
        from .charts import chart_of  # altair takes a second to import

        figures = _by_title(self._report(**how))
        for name, figure in figures.items():
            if name.casefold() == title.casefold():
                return chart_of(figure)
        near = difflib.get_close_matches(title, figures, n=1, cutoff=0)
        raise UsageError(
            f"figure {title!r}",
            expected="the title of a figure that has anything to draw",
            found="another one",
            hint=f"did you mean '{near[0]}'? `plots()` has all of them"
            if near
            else "there is nothing to draw",
        )


def _by_title(report: Report) -> dict[str, Figure]:
    return {figure.table.title: figure for figure in report.figures()}


def tables_html(report: Report) -> str:
    """Return notices, findings and tables of a report; texts of the trace are escaped."""
    notices = "".join(
        f"<p><b>{escape(notice.what)}</b> {escape(notice.consequence)}</p>" for notice in report.notices
    )
    findings = "".join(f"<li>{escape(text)}</li>" for text in report.findings)
    return f"{notices}<ul>{findings}</ul>" + "".join(map(_table_html, report.tables()))


def _table_html(table: Table) -> str:
    heads = "".join(f"<th>{escape(column.label)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(format_value(value, column.kind))}</td>"
            for value, column in zip(row, table.columns, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return f"<p><b>{escape(table.title)}</b></p><table><tr>{heads}</tr>{rows}</table>"
