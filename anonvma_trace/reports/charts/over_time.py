"""Values over the course of a trace: columns for amounts, a stepped area for levels."""

from __future__ import annotations

import altair as alt

from ..document import TimeFigure
from .fields import Drawing, drawing, drawn_from, measure, rows_as_data, tooltips

HEIGHT = 180
BESIDE = "#c8781e"  # of the second column: seen on white and on dark paper
# Without a key the wheel scrolls the page, as everywhere else.
ZOOM = "wheel![event.shiftKey]"


def event_axis(first: int, last: int, *, zooms: bool = True) -> alt.X:
    """Return the axis of events, from the first to the one after the last."""
    return alt.X(
        **measure("from_event", "event"),
        scale=alt.Scale(domain=[first, last + 1], nice=False, zero=False),
        axis=alt.Axis(format=",d", tickCount=6, grid=False, labelFlush=True, labelOverlap=True),
    )


def zooming() -> alt.Parameter:
    """Return the selection that moves the axis of events: drag, shift and wheel, double click to go back."""
    return alt.selection_interval(bind="scales", encodings=["x"], zoom=ZOOM)


def _edge(name: str) -> alt.Chart:
    return drawn_from(name).mark_line(interpolate="step-after", strokeWidth=2, clip=True)


def time_chart(figure: TimeFigure) -> Drawing:
    """Return a figure over the trace, with a line that follows the pointer."""
    column = next(column for column in figure.table.columns if column.name == figure.series)
    starts, ends = figure.table.values("from_event"), figure.table.values("to_event")
    if figure.is_state:  # a level holds until the next bin says otherwise
        ends = [*(start - 1 for start in starts[1:]), figure.last_event][: len(starts)]
    data = rows_as_data(figure.table, until_=[end + 1 for end in ends])
    label = f"{column.label}, {column.unit}" if column.unit else column.label
    if figure.beside:  # the title says what both are
        label = ""
    y = alt.Y(
        **measure(figure.series, label),
        axis=alt.Axis(format=",d", tickCount=4, domain=False, ticks=False, tickMinStep=1),
        scale=alt.Scale(zero=True),
    )
    x = event_axis(figure.first_event, max(figure.last_event, figure.first_event))
    tooltip = tooltips(figure.table)
    look = {"fillOpacity": 0.3} if figure.is_state else {"binSpacing": 1}
    shown = (
        drawn_from()
        .mark_bar(clip=True, **look)
        .encode(x=x, x2=alt.X2(field="until_"), y=y, y2=alt.Y2Datum(0), tooltip=tooltip)
    )
    layers = [shown.add_params(zooming())]
    datasets = {"rows": data}
    if figure.is_state and data:
        edge = [{"from_event": row["from_event"], figure.series: row[figure.series]} for row in data]
        edge.append({"from_event": ends[-1] + 1, figure.series: data[-1][figure.series]})
        layers.append(_edge("edge").encode(x=x, y=y))
        datasets["edge"] = edge
    if figure.beside and data:
        beside = [{"from_event": row["from_event"], figure.series: row[figure.beside]} for row in data]
        beside.append({"from_event": ends[-1] + 1, figure.series: data[-1][figure.beside]})
        layers.append(_edge("beside").encode(x=x, y=y, color=alt.value(BESIDE)))
        datasets["beside"] = beside
    return drawing(alt.layer(*layers), HEIGHT, **datasets)
