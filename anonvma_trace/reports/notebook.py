"""A `Report` as the fragment of HTML that a notebook shows."""

from __future__ import annotations

from html import escape

from .document import Report, Table
from .numbers import format_value


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
