"""Figures as inline SVG.

All horizontal positions are per cent of the figure's width, all vertical ones pixels: a figure then fits
any window and any paper while its text keeps its size, without a script. Colours are classes of
report.css. Inline SVG in HTML needs no xmlns, so the document names no address at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

from .document import BarFigure, TimeFigure
from .numbers import format_value

BAR_HEIGHT = 12
TIME_HEIGHT = 190  # whole figure
_TOP, _BOTTOM = 26, 22  # room for the label of the peak above, for the axis below
_PLOT = TIME_HEIGHT - _TOP - _BOTTOM
_LEAST = 0.4  # per cent: what is not nothing must be seen


def bar_svgs(figure: BarFigure) -> list[Markup]:
    """Return one bar for each row of a figure's table, all on one scale that begins at 0."""
    columns = [figure.table.values(name) for name in figure.series]
    longest = max((sum(values) for values in zip(*columns, strict=True)), default=0)
    return [_bar(values, longest) for values in zip(*columns, strict=True)]


def _bar(values: tuple[float, ...], longest: float) -> Markup:
    rects, x = [], 0.0
    for number, value in enumerate(values):
        if not value:
            continue
        width = max(100 * value / longest, _LEAST)
        rects.append(f'<rect class="s{number}" x="{x:.2f}%" width="{width:.2f}%" height="{BAR_HEIGHT}"/>')
        x += width
    return Markup(f'<svg class="bar" height="{BAR_HEIGHT}" aria-hidden="true">{"".join(rects)}</svg>')


@dataclass(frozen=True)
class _Scale:
    """Where events and values lie in a time figure."""

    first: int
    last: int
    top: float

    def x(self, event: float) -> float:
        """Return the left edge of an event, in per cent."""
        return 100 * (event - self.first) / (self.last - self.first + 1)

    def y(self, value: float) -> float:
        """Return the height of a value, in pixels from above."""
        return _TOP + _PLOT * (1 - value / self.top)


def time_svg(figure: TimeFigure) -> Markup:
    """Return a figure over the trace: columns for amounts, a stepped area for levels."""
    values = [value or 0 for value in figure.table.values(figure.series)]
    starts, ends = figure.table.values("from_event"), figure.table.values("to_event")
    highest = max(values, default=0)
    ticks = nice_ticks(highest)
    scale = _Scale(figure.first_event, max(figure.last_event, figure.first_event), max(highest, ticks[-1], 1))
    if figure.is_state:  # a level holds until the next bin says otherwise
        ends = [*(start - 1 for start in starts[1:]), scale.last][: len(starts)]
    column = next(column for column in figure.table.columns if column.name == figure.series)
    shapes = _area(scale, starts, ends, values) if figure.is_state else _columns(scale, starts, ends, values)
    label = f"{figure.table.title}: highest {format_value(highest, column.kind)} {column.unit}".strip()
    return Markup(
        f'<svg class="time" height="{TIME_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{shapes}{_grid(scale, ticks)}{_tick_labels(scale, ticks)}"
        f"{_peak(scale, starts, ends, values)}{_axis(scale)}</svg>"
    )


def nice_ticks(highest: float) -> list[int]:
    """Return the values of at most four grid lines: 0, then steps of 1, 2 or 5 times a power of ten."""
    if highest <= 0:
        return [0]
    step = 1
    for exponent in range(20):
        for factor in (1, 2, 5):
            step = factor * 10**exponent
            if highest / step < 4:
                return [step * number for number in range(math.floor(highest / step) + 1)]
    return [0, step]


def _grid(scale: _Scale, ticks: list[int]) -> str:
    return "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{scale.y(tick):.1f}" y2="{scale.y(tick):.1f}"/>'
        for tick in ticks[1:]
    )


def _tick_labels(scale: _Scale, ticks: list[int]) -> str:
    return "".join(
        f'<text class="tick" x="0" y="{scale.y(tick) - 4:.1f}">{tick:,}</text>' for tick in ticks[1:]
    )


def _columns(scale: _Scale, starts: list[int], ends: list[int], values: list[float]) -> str:
    shapes = []
    for start, end, value in zip(starts, ends, values, strict=True):
        if not value:
            continue
        left, right = scale.x(start), scale.x(end + 1)
        gap = 0.12 * (right - left)
        y = min(scale.y(value), scale.y(0) - 1)
        shapes.append(
            f'<rect class="s0" x="{left + gap / 2:.2f}%" width="{right - left - gap:.2f}%" y="{y:.1f}" '
            f'height="{scale.y(0) - y:.1f}"/>'
        )
    return "".join(shapes)


def _area(scale: _Scale, starts: list[int], ends: list[int], values: list[float]) -> str:
    fills, edges = [], []
    previous_y = None
    for start, end, value in zip(starts, ends, values, strict=True):
        left, right, y = scale.x(start), scale.x(end + 1), scale.y(value)
        fills.append(
            f'<rect class="area" x="{left:.2f}%" width="{right - left:.2f}%" y="{y:.1f}" '
            f'height="{scale.y(0) - y:.1f}"/>'
        )
        edges.append(f'<line class="edge" x1="{left:.2f}%" x2="{right:.2f}%" y1="{y:.1f}" y2="{y:.1f}"/>')
        if previous_y is not None and previous_y != y:
            edges.append(
                f'<line class="edge" x1="{left:.2f}%" x2="{left:.2f}%" y1="{previous_y:.1f}" y2="{y:.1f}"/>'
            )
        previous_y = y
    return "".join(fills) + "".join(edges)


def _peak(scale: _Scale, starts: list[int], ends: list[int], values: list[float]) -> str:
    """Write the highest value above its place."""
    if not any(values):
        return ""
    highest = max(values)
    at = values.index(highest)
    middle = (scale.x(starts[at]) + scale.x(ends[at] + 1)) / 2
    anchor, x = (
        ("end", min(middle, 100)) if middle > 85 else ("start", 0) if middle < 8 else ("middle", middle)
    )
    y = scale.y(highest) - 6
    return f'<text class="peak" x="{x:.2f}%" y="{y:.1f}" text-anchor="{anchor}">{highest:,}</text>'


def _axis(scale: _Scale) -> str:
    middle = (scale.first + scale.last) // 2
    labels = [(f"event {scale.first:,}", 0.0, "start"), (f"{scale.last:,}", 100.0, "end")]
    if scale.last - scale.first > 3:
        labels.insert(1, (f"{middle:,}", scale.x(middle), "middle"))
    texts = (
        f'<text class="tick" x="{x:.2f}%" y="{TIME_HEIGHT - 5}" text-anchor="{anchor}">{text}</text>'
        for text, x, anchor in labels
    )
    baseline = f"{scale.y(0):.1f}"
    return f'<line class="axis" x1="0" x2="100%" y1="{baseline}" y2="{baseline}"/>' + "".join(texts)
