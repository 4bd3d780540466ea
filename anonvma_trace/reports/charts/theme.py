"""Colours and fonts of charts, for light and for dark paper, as Vega-Lite's ``config``."""

from __future__ import annotations

from typing import Any

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif'


def _theme(ink: str, soft: str, line: str, mark: str, category: list[str]) -> dict[str, Any]:
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "mark": {"color": mark},
        "rule": {"color": line},
        "text": {"color": ink, "fontSize": 12, "font": FONT},
        "range": {"category": category},
        "axis": {
            "domainColor": line,
            "gridColor": line,
            "gridOpacity": 0.6,
            "tickColor": line,
            "labelColor": soft,
            "titleColor": soft,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelLimit": 200,
            "labelPadding": 5,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": soft,
            "labelFontSize": 12,
            "orient": "top",
            "title": None,
            "labelLimit": 260,
        },
    }


LIGHT = _theme("#1d2329", "#5b6670", "#cfd6dc", "#2f6f9f", ["#2f6f9f", "#b3c6d4", "#c8781e", "#ddd5c3"])
"""On white paper, and in print."""

DARK = _theme("#e3e7ea", "#98a4ae", "#3a444d", "#6fb1de", ["#6fb1de", "#4a6275", "#e0a458", "#565042"])
"""On dark paper."""
