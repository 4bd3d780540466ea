"""Charts as SVG files, for documents that run no script."""

from __future__ import annotations

import vl_convert

from ..document import Figure
from . import chart_of
from .theme import LIGHT

WIDTH = 760  # pixels


def svg_of(figure: Figure, *, width: int = WIDTH) -> str:
    """Return a figure as SVG on white paper, `width` pixels wide; the text in it stays text."""
    chart = chart_of(figure, config=LIGHT | {"background": "#ffffff"})
    chart.width = width
    specification = chart.to_dict(validate=False)
    return vl_convert.vegalite_to_svg(specification)
