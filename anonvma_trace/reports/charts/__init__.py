"""Figures of a report as Altair charts: each defined once, for the page, for SVG and for notebooks.

A chart holds no more points than its figure's table has rows; a map or a family has as many as its shapes.
Altair takes about a second to import, so nothing imports this package until a chart is wanted.
"""

from __future__ import annotations

from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from ..document import BarFigure, FamilyFigure, Figure, MapFigure, TimeFigure
from .address_map import map_chart
from .bars import bar_chart
from .family import family_chart
from .fields import AnyChart, Drawing
from .over_time import time_chart
from .theme import LIGHT

__all__ = ["chart_of", "specification"]


def chart_of(figure: Figure, *, config: dict[str, Any] | None = None) -> AnyChart:
    """Return a figure as a chart that shows itself in a notebook.

    Parameters
    ----------
    figure : BarFigure, TimeFigure, FamilyFigure or MapFigure
        Any block of a report that is not a plain table.
    config : dict, optional
        Vega-Lite's ``config``: colours and fonts; by default those of the report on white.
    """
    # Unasked, altair checks every object against the schema as it is made, which takes most of the time.
    with debug_mode(False):
        chart, datasets = _drawn(figure)
        chart.config = alt.Config(**(LIGHT if config is None else config))
        chart.datasets = datasets
    return chart


def specification(figure: Figure) -> dict[str, Any]:
    """Return a figure in Vega-Lite, without colours: the page adds those of its light or dark theme."""
    with debug_mode(False):
        chart, datasets = _drawn(figure)
        specification = chart.to_dict(validate=False)
    for key in ("$schema", "config"):  # an address on the network; altair's own sizes
        specification.pop(key, None)
    return specification | {"datasets": datasets}


def _drawn(figure: Figure) -> Drawing:
    if isinstance(figure, BarFigure):
        return bar_chart(figure)
    if isinstance(figure, TimeFigure):
        return time_chart(figure)
    if isinstance(figure, FamilyFigure):
        return family_chart(figure)
    assert isinstance(figure, MapFigure)
    return map_chart(figure)
