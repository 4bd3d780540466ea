"""A `Report` as one self-contained HTML file."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from .document import BarFigure, Report, Table, TimeFigure
from .figures import bar_svgs, time_svg
from .numbers import NUMERIC_KINDS, format_value

# Class of report.css for columns of text that would be squeezed to one word a line.
_TEXT_WIDTHS = {"meaning": "w", "message": "w", "name": "t", "comm": "p"}


def render_html(report: Report) -> str:
    """Return the report as HTML: styles and figures inside, no script, nothing loaded from anywhere.

    Every text of the trace (names of processes, files, messages) is escaped.
    """
    return _template().render(report=report)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("anonvma_trace.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_value
    environment.filters["moment"] = lambda moment: f"{moment:%Y-%m-%d %H:%M %Z}".strip()
    environment.globals.update(
        bar_svgs=bar_svgs,
        time_svg=time_svg,
        numeric_kinds=NUMERIC_KINDS,
        block_kind=_block_kind,
        text_widths=_TEXT_WIDTHS,
    )
    return environment.get_template("report.html.j2")


def _block_kind(block: Table | BarFigure | TimeFigure) -> str:
    return {Table: "table", BarFigure: "bars", TimeFigure: "time"}[type(block)]
