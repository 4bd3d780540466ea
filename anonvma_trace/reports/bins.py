"""Bins: how values and events are grouped, so that a figure stays small however long the trace is."""

from __future__ import annotations

import polars as pl

from ..result_tables import ResultTables

EXACT_UP_TO = 16  # up to this maximum each value is a bin of its own
DOUBLING_UP_TO = 4096  # up to this one bins double, beyond it they grow fourfold
EVENT_BINS = 40


def value_bins(frame: pl.DataFrame | pl.LazyFrame, value: str, *sums: str) -> pl.DataFrame:
    """Group rows by the size of one of their columns.

    Up to a maximum of 16 each value has a bin of its own, up to 4,096 the bins double (0, 1, 2, 3-4, 5-8, …),
    beyond that they grow fourfold (0, 1, 2-4, 5-16, …). Bins between the smallest and the largest value that
    hold nothing are kept, as zeros.

    Parameters
    ----------
    frame : polars.DataFrame or LazyFrame
        Rows to group.
    value : str
        Integer column, none below 0; rows with null are left out.
    *sums : str
        Columns to sum up in each bin.

    Returns
    -------
    polars.DataFrame
        ``low``, ``high`` (smallest and largest value of the bin, int64), ``bin`` (both as text), ``rows``
        (number of rows) and the `sums`; by size.
    """
    counts = (
        frame.lazy()
        .select(pl.col(value).cast(pl.Int64), *sums)
        .drop_nulls(value)
        .group_by(value)
        .agg(pl.len().cast(pl.Int64).alias("rows"), *(pl.col(name).sum() for name in sums))
        .collect()
    )
    if counts.is_empty():
        return counts.select(
            pl.col(value).alias("low"), pl.col(value).alias("high"), pl.lit("").alias("bin"), "rows", *sums
        )
    largest = int(counts[value].max())  # type: ignore[arg-type]
    doublings = 0 if largest <= EXACT_UP_TO else 1 if largest <= DOUBLING_UP_TO else 2
    number = _growing_bin(pl.col(value), doublings) if doublings else pl.col(value)
    binned = counts.group_by(number.alias("number")).agg(pl.col("rows", *sums).sum())
    first, last = int(binned["number"].min()), int(binned["number"].max())  # type: ignore[arg-type]
    bounds = [_growing_bounds(n, doublings) if doublings else (n, n) for n in range(first, last + 1)]
    every_bin = pl.DataFrame(
        {
            "number": range(first, last + 1),
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
            "bin": [f"{low:,}" if low == high else f"{low:,}–{high:,}" for low, high in bounds],
        },
        schema_overrides={"number": pl.Int64, "low": pl.Int64, "high": pl.Int64},
    )
    joined = every_bin.join(binned, on="number", how="left").sort("number").drop("number")
    return joined.with_columns(pl.col("rows", *sums).fill_null(0))


def _growing_bin(value: pl.Expr, doublings: int) -> pl.Expr:
    """Return the number of the bin: 0 for the value 0, 1 for 1, then one for each power of 2 or of 4."""
    power_of_two = 64 - (value - 1).bitwise_leading_zeros().cast(pl.Int64)  # the least that reaches the value
    return pl.when(value <= 0).then(0).otherwise((power_of_two + doublings - 1) // doublings + 1)


def _growing_bounds(number: int, doublings: int) -> tuple[int, int]:
    if number < 2:
        return number, number
    return (1 << doublings * (number - 2)) + 1, 1 << doublings * (number - 1)


def event_count(results: ResultTables) -> int:
    """Return the number of the last event: that of the trace, or the last that any table that was kept names."""
    names = [name for name in ("walks", "merges", "timeline") if results.keeps(name)]
    tables = [results.lazy(name) for name in names]
    last = [table.select(pl.col("event").max()).collect().item() for table in tables]
    known = [int(event) for event in last if event is not None]
    return max([results.summary["trace"]["events"], *known])


def event_bins(events: int, bins: int = EVENT_BINS) -> pl.DataFrame:
    """Cut the events 1 to `events` into at most `bins` bins of nearly equal size.

    Returns
    -------
    polars.DataFrame
        ``bin`` (from 0, int64), ``from_event``, ``to_event`` (both included, int64).
    """
    bins = max(1, min(bins, events))
    edges = [-(-number * events // bins) for number in range(bins + 1)]
    return pl.DataFrame(
        {"bin": range(bins), "from_event": [edge + 1 for edge in edges[:-1]], "to_event": edges[1:]},
        schema_overrides={"bin": pl.Int64, "from_event": pl.Int64, "to_event": pl.Int64},
    )


def event_bin(event: str, events: int, bins: int = EVENT_BINS) -> pl.Expr:
    """Return the expression for the number of the bin of `event_bins` that an event lies in."""
    bins = max(1, min(bins, events))
    return ((pl.col(event) - 1) * bins // max(events, 1)).clip(0, bins - 1).alias("bin")


def nearest_rank(values: pl.Series, quantile: float) -> int | None:
    """Return the smallest value that this share of the values does not exceed; None for no values."""
    ordered = values.drop_nulls().sort()
    if ordered.is_empty():
        return None
    rank = -(-len(ordered) * round(quantile * 100) // 100)
    return int(ordered[max(rank, 1) - 1])
