"""A `Report` as one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from .document import BarFigure, Block, Figure, Report, Table
from .numbers import NUMERIC_KINDS, format_value
from .vega_bundle import vega_bundle

# Class of report.css for columns of text that would be squeezed to one word a line.
_TEXT_WIDTHS = {"meaning": "w", "message": "w", "name": "t", "comm": "p", "file": "t"}
_OPEN_UP_TO = 26  # rows of a table beside a chart that are shown unasked


@dataclass(frozen=True)
class Page:
    """What the template of a page gets beside its own text.

    Attributes
    ----------
    charts : dict of str to dict
        Vega-Lite of each figure that has anything to draw, by the id of its element.
    chart_ids : dict of int to str
        The same ids by the identity of the figure.
    themes : dict of str to dict
        Vega-Lite's ``config`` for light and for dark.
    """

    charts: dict[str, Any]
    chart_ids: dict[int, str]
    themes: dict[str, Any]

    @property
    def data(self) -> Markup:
        """Charts and themes as JSON that cannot end the element in which it stands."""
        return json_in_html({"charts": self.charts, "themes": self.themes})


def render_html(report: Report) -> str:
    """Return the report as HTML: styles, scripts and data inside, nothing loaded from anywhere.

    Every text of the trace (names of processes, files, messages) is escaped, in text and in data.
    """
    page = page_of(report.figures())
    scripts = {"report": Markup(_own_script())}
    if page.charts:
        scripts["vega"] = Markup(vega_bundle())
    policy = " ".join(_hash_source(script) for script in scripts.values())
    return _template().render(report=report, page=page, scripts=scripts, policy=Markup(policy))


def page_of(figures: Sequence[Figure]) -> Page:
    """Return the charts of these figures."""
    from .charts import specification  # altair takes a second to import
    from .charts.theme import DARK, LIGHT

    ids = {id(figure): f"chart-{number}" for number, figure in enumerate(figures, start=1)}
    charts = {ids[id(figure)]: specification(figure) for figure in figures}
    return Page(charts, ids, {"light": LIGHT, "dark": DARK})


def json_in_html(value: Any) -> Markup:
    """Return JSON for a script element: no character in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=float)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _is_open(block: Block) -> bool:
    """Whether the numbers of a figure say more than the figure: rankings, not bins."""
    return isinstance(block, BarFigure) and not block.is_distribution and len(block.table.rows) <= _OPEN_UP_TO


@cache
def _own_script() -> str:
    return (Path(__file__).parent / "templates" / "report.js").read_text(encoding="utf-8")


def _hash_source(script: str) -> str:
    """Return what allows exactly this script in a content security policy, and so no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


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
        numeric_kinds=NUMERIC_KINDS,
        is_table=lambda block: isinstance(block, Table),
        is_open=_is_open,
        open_up_to=_OPEN_UP_TO,
        identity=id,
        text_widths=_TEXT_WIDTHS,
    )
    return environment.get_template("report.html.j2")
