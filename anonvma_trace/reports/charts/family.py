"""The fork family as a picture: points for processes, grey lines for forks, arcs for shared anon_vmas."""

from __future__ import annotations

from typing import Any

import altair as alt

from ..document import FamilyFigure
from ..numbers import format_value
from .fields import AnyChart, measure, rows_as_data, tooltips

GENERATION = 76  # pixels between a process and its children
_NAME_DISTANCE = 24  # pixels from the middle of a point
_NAMED = 24  # more names than this would lie over each other


def family_chart(figure: FamilyFigure) -> AnyChart:
    """Return the picture; the size of a point and the width of a line are numbers of the figure's tables."""
    pids = figure.table.values("pid")
    place = dict(zip(pids, figure.places, strict=True))
    depth = max((generation for _, generation in figure.places), default=0)
    x_scale = alt.Scale(domain=[0, 1])
    y_scale = alt.Scale(domain=[depth + 0.55, -0.45])
    x = alt.X(**measure("x_"), scale=x_scale, axis=None)
    y = alt.Y(**measure("y_"), scale=y_scale, axis=None)
    ends = {"x2": alt.X2(field="x2_"), "y2": alt.Y2(field="y2_")}

    forks = [
        _line(place[pid], place[parent])
        for pid, parent in zip(pids, figure.table.values("parent"), strict=True)
        if parent in place
    ]
    forked = alt.Chart(alt.InlineData(values=forks)).mark_rule(strokeWidth=1).encode(x=x, y=y, **ends)

    links = rows_as_data(figure.links)
    for row, link in zip(figure.links.rows, links, strict=True):
        owner, sharer = (
            row[[c.name for c in figure.links.columns].index(name)] for name in ("owner", "sharer")
        )
        link.update(_line(place[owner], place[sharer]))
    shared = (
        alt.Chart(alt.InlineData(values=links))
        .mark_rule(strokeCap="round", strokeOpacity=0.55)
        .encode(
            x=x,
            y=y,
            **ends,
            color=alt.Color(
                datum="shared",
                type="nominal",
                scale=alt.Scale(domain=["process", "fork", "shared"]),
                legend=None,
            ),
            strokeWidth=alt.StrokeWidth(
                **measure(figure.width), scale=alt.Scale(type="sqrt", range=[1.2, 9]), legend=None
            ),
            tooltip=tooltips(figure.links),
        )
    )

    names = [
        f"{format_value(pid, 'text')} {comm or ''}".strip()
        for pid, comm in zip(pids, figure.table.values("comm"), strict=True)
    ]
    sizes = figure.table.values(figure.size)
    data = rows_as_data(
        figure.table,
        x_=[x for x, _ in figure.places],
        y_=[y for _, y in figure.places],
        name_=[name if number < _NAMED else "" for name, number in zip(names, _ranks(sizes), strict=True)],
    )
    points = (
        alt.Chart(alt.InlineData(values=data))
        .mark_circle(opacity=1, strokeWidth=0)
        .encode(
            x=x,
            y=y,
            size=alt.Size(
                **measure(figure.size),
                scale=alt.Scale(type="linear", domain=[0, max(sizes, default=0) or 1], range=[40, 1100]),
                legend=None,
            ),
            color=alt.Color(datum="process", type="nominal", legend=None),
            tooltip=tooltips(figure.table),
        )
    )
    has_children = {parent for parent in figure.table.values("parent") if parent in place}
    for point, pid in zip(data, pids, strict=True):
        point["is_above_"] = pid in has_children  # below it are the lines to the children
    texts = alt.Chart(alt.InlineData(values=data)).mark_text(fontSize=11, limit=120, dy=_NAME_DISTANCE)
    named = texts.encode(x=x, y=y, text=alt.Text(field="name_", type="nominal"))
    above = named.transform_filter("datum.is_above_").mark_text(fontSize=11, limit=120, dy=-_NAME_DISTANCE)
    below = named.transform_filter("!datum.is_above_")
    height = round(GENERATION * (depth + 1) + 20)
    return alt.layer(forked, shared, points, above, below).properties(width="container", height=height)


def _line(start: tuple[float, float], end: tuple[float, float]) -> dict[str, Any]:
    return {"x_": start[0], "y_": start[1], "x2_": end[0], "y2_": end[1]}


def _ranks(sizes: list[Any]) -> list[int]:
    order = sorted(range(len(sizes)), key=lambda at: -(sizes[at] or 0))
    ranks = [0] * len(sizes)
    for rank, at in enumerate(order):
        ranks[at] = rank
    return ranks
