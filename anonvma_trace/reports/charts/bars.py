"""Bars: one for each row of a table, in its order; distributions stand upright."""

from __future__ import annotations

import altair as alt

from ..document import BarFigure
from .fields import AnyChart, Drawing, drawing, drawn_from, measure, row_labels, rows_as_data, tooltips

STEP = 22  # pixels of one horizontal bar with its gap
UPRIGHT_HEIGHT = 180
_ROOM = 1.18  # the longest bar ends where its number still fits beside it


def bar_chart(figure: BarFigure) -> Drawing:
    """Return the bars of a figure, each with its number, its parts in the order of the series."""
    labels = row_labels(figure.table)
    totals = [
        sum(parts) for parts in zip(*(figure.table.values(name) for name in figure.series), strict=True)
    ]
    data = rows_as_data(figure.table, label_=labels, total_=totals)
    parts = {column.name: column.label for column in figure.table.columns if column.name in figure.series}
    if figure.side_by_side:
        return drawing(_grouped(drawn_from(), figure, parts), UPRIGHT_HEIGHT, rows=data)
    if figure.is_distribution:
        return drawing(_upright(drawn_from(), figure, totals), UPRIGHT_HEIGHT, rows=data)
    return drawing(_lying(drawn_from(), figure, totals, parts), STEP * len(totals), rows=data)


def _lying(base: alt.Chart, figure: BarFigure, totals: list[float], parts: dict[str, str]) -> AnyChart:
    longest = max(totals, default=0) or 1
    y = alt.Y(field="label_", type="nominal", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False))
    scale = alt.Scale(domain=[0, _ROOM * longest], nice=False)
    hidden = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    tooltip = tooltips(figure.table)
    if len(figure.series) == 1:
        bars = base.mark_bar(height={"band": 0.66}, minBandSize=2).encode(
            x=alt.X(**measure(figure.series[0]), scale=scale, axis=hidden), y=y, tooltip=tooltip
        )
    else:
        bars = (
            base.transform_fold(list(figure.series), as_=["part_", "amount_"])
            .mark_bar(height={"band": 0.66})
            .encode(
                x=alt.X(**measure("amount_"), stack="zero", scale=scale, axis=hidden),
                y=y,
                color=alt.Color(
                    field="part_",
                    type="nominal",
                    scale=alt.Scale(domain=list(figure.series)),
                    legend=alt.Legend(labelExpr=_names_of(parts)),
                ),
                order=alt.Order(field="part_", type="nominal", sort="descending"),
                tooltip=tooltip,
            )
        )
    numbers = base.mark_text(align="left", baseline="middle", dx=5).encode(
        x=alt.X(**measure("total_"), scale=scale, axis=hidden),
        y=y,
        text=alt.Text(field="total_", type="quantitative", format=_number_format(figure)),
    )
    return alt.layer(bars, numbers)


def _number_format(figure: BarFigure) -> str:
    kinds = {column.kind for column in figure.table.columns if column.name in figure.series}
    return ",.2f" if "mean" in kinds else ","


def _names_of(parts: dict[str, str]) -> str:
    """Return the expression that names a series: labels are fixed words of the report, never of the trace."""
    cases = "".join(f"datum.label == '{name}' ? '{label}' : " for name, label in parts.items())
    return f"{cases}datum.label"


def _grouped(base: alt.Chart, figure: BarFigure, parts: dict[str, str]) -> AnyChart:
    """Return upright bars, those of one row beside each other."""
    angle = -40 if len(figure.table.rows) > 8 else 0
    axis = alt.Axis(labelAngle=angle, ticks=False, labelOverlap="greedy")
    series = list(figure.series)
    return (
        base.transform_fold([*series], as_=["part_", "amount_"])
        .mark_bar()
        .encode(
            x=alt.X(
                field="label_", type="nominal", sort=None, title=figure.table.columns[0].label, axis=axis
            ),
            xOffset=alt.XOffset(field="part_", type="nominal", sort=series),
            y=alt.Y(
                **measure("amount_"),
                axis=alt.Axis(tickCount=4, format=",d", domain=False, ticks=False, tickMinStep=1),
            ),
            color=alt.Color(
                field="part_",
                type="nominal",
                # The second colour of the theme is a paler first one, for parts of a whole: it is passed over.
                scale=alt.Scale(domain=[series[0], "", *series[1:]]),
                legend=alt.Legend(values=series, labelExpr=_names_of(parts)),
            ),
            tooltip=tooltips(figure.table),
        )
    )


def _upright(base: alt.Chart, figure: BarFigure, totals: list[float]) -> AnyChart:
    title = figure.table.columns[0].label
    what = next(column.label for column in figure.table.columns if column.name == figure.series[0])
    angle = -40 if len(totals) > 8 else 0
    x = alt.X(
        field="label_",
        type="nominal",
        sort=None,
        title=title,
        axis=alt.Axis(labelAngle=angle, ticks=False, labelOverlap="greedy"),
    )
    scale = alt.Scale(domain=[0, _ROOM * (max(totals, default=0) or 1)], nice=False)
    axis = alt.Axis(tickCount=4, format=",d", domain=False, ticks=False, tickMinStep=1)
    y = alt.Y(**measure(figure.series[0], what), scale=scale, axis=axis)
    bars = base.mark_bar(width={"band": 0.8}).encode(x=x, y=y, tooltip=tooltips(figure.table))
    numbers = (
        base.transform_filter("datum.total_ > 0")
        .mark_text(baseline="bottom", dy=-3, fontSize=11)
        .encode(
            x=x,
            y=alt.Y(**measure("total_"), scale=scale),
            text=alt.Text(field="total_", type="quantitative", format=_number_format(figure)),
        )
    )
    return alt.layer(bars, numbers)
