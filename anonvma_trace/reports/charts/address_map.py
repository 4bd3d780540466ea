"""An address space over the course of the trace: events from left to right, addresses from below."""

from __future__ import annotations

import json

import altair as alt

from ..document import MapFigure
from .fields import Drawing, drawing, drawn_from, measure, rows_as_data, tooltips
from .over_time import event_axis, zooming

_PIXELS = (240, 620)  # least and greatest height
_PIXELS_PER_UNIT = 2.2
_LABEL_DISTANCE = 13  # pixels between two addresses


def map_chart(figure: MapFigure) -> Drawing:
    """Return one rectangle for each vma between two changes, and the addresses beside unused parts."""
    top = max((high for _, high in figure.heights), default=1)
    pixels = min(max(round(top * _PIXELS_PER_UNIT), _PIXELS[0]), _PIXELS[1])
    data = rows_as_data(
        figure.table,
        low_=[round(low, 3) for low, _ in figure.heights],
        high_=[round(high, 3) for _, high in figure.heights],
        until_=[event + 1 for event in figure.table.values("to_event")],
    )
    scale = alt.Scale(domain=[0, top], nice=False)
    marks = _apart(figure, top, pixels)
    y = alt.Y(**measure("low_"), scale=scale, axis=_address_axis(marks))
    x = event_axis(figure.first_event, figure.last_event)
    rectangles = (
        drawn_from()
        .mark_rect(clip=True)
        .encode(
            x=x,
            x2=alt.X2(field="until_"),
            y=y,
            y2=alt.Y2(field="high_"),
            color=alt.Color(
                field="kind",
                type="nominal",
                scale=alt.Scale(domain=list(figure.kinds)),
                legend=alt.Legend(columns={"expr": "width < 440 ? 1 : 2"}),
            ),
            tooltip=tooltips(figure.table),
        )
        .add_params(zooming())
    )
    return drawing(rectangles, pixels, rows=data)


def _address_axis(marks: list[tuple[float, str]]) -> alt.Axis:
    """Return the axis of addresses: numbers in hexadecimal, no text of the trace is in its expression."""
    heights, names = [round(height, 3) for height, _ in marks], [name for _, name in marks]
    return alt.Axis(
        values=heights,
        labelExpr=f"{json.dumps(names)}[indexof({json.dumps(heights)}, datum.value)]",
        grid=True,
        domain=False,
        ticks=False,
        labelFontSize=10.5,
    )


def _apart(figure: MapFigure, top: float, pixels: int) -> list[tuple[float, str]]:
    """Return the addresses that can be written without lying over each other, from below."""
    chosen: list[tuple[float, str]] = []
    for height, text in figure.regions:
        if not chosen or (height - chosen[-1][0]) * pixels / top >= _LABEL_DISTANCE:
            chosen.append((height, text))
    return chosen
