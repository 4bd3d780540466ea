"""The fork family as a picture: points for processes, grey lines for forks, arcs for shared anon_vmas."""

from __future__ import annotations

from math import pi
from typing import Any

import altair as alt

from ..document import FamilyFigure
from .fields import Drawing, drawing, drawn_from, measure, row_labels, rows_as_data, tooltips

GENERATION = 76  # pixels between a process and its children
_NAME_DISTANCE = 24  # pixels from the middle of a point
_NAME_WIDTH = 96  # pixels; a name for which there is less room is left to the tooltip
_WIDTH = 800  # pixels of a usual page, for the size of points


def family_chart(figure: FamilyFigure) -> Drawing:
    """Return the picture; the size of a point and the width of a line are numbers of the figure's tables."""
    pids = figure.table.values("pid")
    place = dict(zip(pids, figure.places, strict=True))
    depth = max((generation for _, generation in figure.places), default=0)
    x_scale = alt.Scale(domain=[0, 1])
    y_scale = alt.Scale(domain=[depth + 0.55, -0.45])
    x = alt.X(**measure("x_"), scale=x_scale, axis=None)
    y = alt.Y(**measure("y_"), scale=y_scale, axis=None)
    colour = alt.Color(
        field="role_", type="nominal", scale=alt.Scale(domain=["process", "fork", "shared"]), legend=None
    )
    ends = {"x2": alt.X2(field="x2_"), "y2": alt.Y2(field="y2_")}

    forks = [
        _line(place[pid], place[parent])
        for pid, parent in zip(pids, figure.table.values("parent"), strict=True)
        if parent in place
    ]
    forked = drawn_from("forks").mark_rule(strokeWidth=1).encode(x=x, y=y, **ends)

    leaves = max(len(pids) - len({*figure.table.values("parent")} & {*pids}), 1)
    links = rows_as_data(figure.links)
    thickest = 8 * min(1, 12 / leaves)
    widest = max(figure.links.values(figure.width), default=0)
    for row, link in zip(figure.links.rows, links, strict=True):
        owner, sharer = (
            row[[c.name for c in figure.links.columns].index(name)] for name in ("owner", "sharer")
        )
        link.update(_line(place[owner], place[sharer]), role_="shared")
    shared = (
        drawn_from("links")
        .mark_rule(strokeCap="round", strokeOpacity=0.55)
        .encode(
            x=x,
            y=y,
            **ends,
            color=colour,
            strokeWidth=alt.StrokeWidth(
                **measure(figure.width),
                scale=alt.Scale(type="sqrt", domain=[0, widest or 1], range=[0.6, thickest]),
                legend=None,
            ),
            tooltip=tooltips(figure.links),
        )
    )

    sizes = [size or 0 for size in figure.table.values(figure.size)]
    has_children = {parent for parent in figure.table.values("parent") if parent in place}
    data = rows_as_data(
        figure.table,
        x_=[x for x, _ in figure.places],
        y_=[y for _, y in figure.places],
        name_=row_labels(figure.table),
        role_=["process"] * len(pids),
        room_=_room(figure.places, sizes),
        is_above_=[pid in has_children for pid in pids],  # below it are the lines to the children
    )
    largest = min(pi * (_WIDTH / 2 / leaves) ** 2, 1_100)
    points = (
        drawn_from()
        .mark_circle(opacity=1, strokeWidth=0)
        .encode(
            x=x,
            y=y,
            size=alt.Size(
                **measure(figure.size),
                scale=alt.Scale(type="linear", domain=[0, max(sizes, default=0) or 1], range=[30, largest]),
                legend=None,
            ),
            color=colour,
            tooltip=tooltips(figure.table),
        )
    )
    names = (
        drawn_from()
        .transform_filter(f"datum.room_ * width >= {_NAME_WIDTH}")
        .encode(x=x, y=y, text=alt.Text(field="name_", type="nominal"))
    )
    above, below = (
        names.transform_filter(condition).mark_text(fontSize=11, limit=_NAME_WIDTH, dy=distance)
        for condition, distance in (
            ("datum.is_above_", -_NAME_DISTANCE),
            ("!datum.is_above_", _NAME_DISTANCE),
        )
    )
    height = round(GENERATION * (depth + 1) + 20)
    return drawing(
        alt.layer(forked, shared, points, above, below), height, rows=data, links=links, forks=forks
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> dict[str, Any]:
    return {"x_": start[0], "y_": start[1], "x2_": end[0], "y2_": end[1]}


def _room(places: tuple[tuple[float, float], ...], sizes: list[float]) -> list[float]:
    """Return for each point how far the nearest one of its generation is that is larger: room for its name."""
    rooms = [1.0] * len(places)
    order = sorted(range(len(places)), key=lambda at: -sizes[at])
    named: dict[float, list[float]] = {}
    for at in order:
        x, generation = places[at]
        others = named.setdefault(generation, [])
        rooms[at] = round(min((abs(x - other) for other in others), default=1.0), 4)
        others.append(x)
    return rooms
