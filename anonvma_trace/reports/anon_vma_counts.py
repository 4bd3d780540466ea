"""anon_vma counts: how many, how long their lists grew, who allocated them, how long they lived."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ..result_tables import ResultTables
from .bins import event_bin, event_bins, event_count, nearest_rank, value_bins
from .process_names import process_names
from .shares import row_count, share_of_sum, true_count

_STATES = ("anon_vmas", "longest_list", "vmas", "anon_pages", "overhead_bytes")
_FREED = pl.col("freed_event").is_not_null()
_WITHOUT_PAGE = pl.col("pages_ever") == 0


@dataclass(frozen=True)
class Lifetimes:
    """How long the anon_vmas lived that were freed before the trace ended.

    Attributes
    ----------
    freed, live : int
        anon_vmas freed; anon_vmas still there at the end, whose lifetime is not known.
    events : tuple of int or None
        Lifetime in events: median, 95th percentile, maximum (nearest rank); None if none was freed.
    span_ns : tuple of int or None
        The same in nanoseconds of the trace's clock.
    """

    freed: int
    live: int
    events: tuple[int | None, int | None, int | None]
    span_ns: tuple[int | None, int | None, int | None]


def counts_over_time(results: ResultTables) -> pl.DataFrame:
    """Return the highest level that the timeline shows in each part of the trace.

    Returns
    -------
    polars.DataFrame
        ``from_event``, ``to_event`` (of the bin, both included), ``anon_vmas``, ``longest_list``, ``vmas``,
        ``anon_pages``, ``overhead_bytes`` (x86_64): the maximum of the samples in the bin. At most 40
        bins of equally many events; bins without a sample are left out.
    """
    events = event_count(results)
    highest = (
        results.lazy("timeline").group_by(event_bin("event", events)).agg(pl.col(_STATES).max()).collect()
    )
    return (
        event_bins(events)
        .join(highest, on="bin", how="inner")
        .sort("bin")
        .select("from_event", "to_event", *_STATES)
    )


def peak_list_lengths(results: ResultTables) -> pl.DataFrame:
    """Group the anon_vmas by the longest that their list ever was.

    Returns
    -------
    polars.DataFrame
        ``low``, ``high``, ``bin`` (vmas on the list at its longest, as in `value_bins`), ``anon_vmas``,
        ``share``.
    """
    binned = value_bins(results.lazy("anon_vmas"), "peak_vmas").rename({"rows": "anon_vmas"})
    return binned.with_columns(share=share_of_sum("anon_vmas"))


def walked_list_lengths(results: ResultTables) -> pl.DataFrame:
    """Group the walks by the length of the list they went over.

    Returns
    -------
    polars.DataFrame
        ``low``, ``high``, ``bin`` (vmas on the list, as in `value_bins`), ``walks``, ``share``,
        ``vmas_visited``.
    """
    binned = value_bins(results.lazy("walks"), "list_length", "vmas_visited").rename({"rows": "walks"})
    return binned.select("low", "high", "bin", "walks", share_of_sum("walks").alias("share"), "vmas_visited")


def allocated_by_operation(results: ResultTables) -> pl.DataFrame:
    """Tell which operations allocated the anon_vmas.

    Returns
    -------
    polars.DataFrame
        ``operation``, ``anon_vmas``, ``share``, ``live`` (at the end), ``never_used`` (freed without ever
        having had a page); most first.
    """
    return (
        results.lazy("anon_vmas")
        .group_by(pl.col("allocated_by").cast(pl.String).alias("operation"))
        .agg(*_allocation_counts())
        .collect()
        .with_columns(share=share_of_sum("anon_vmas"))
        .select("operation", "anon_vmas", "share", "live", "never_used")
        .sort(["anon_vmas", "operation"], descending=[True, False])
    )


def allocated_by_process(results: ResultTables) -> pl.DataFrame:
    """Tell which processes allocated the anon_vmas.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, ``anon_vmas``, ``share``, ``live``, ``never_used``, ``peak_vmas`` (the longest
        list among them); most first.
    """
    return (
        results.lazy("anon_vmas")
        .group_by("pid")
        .agg(*_allocation_counts(), pl.col("peak_vmas").max())
        .collect()
        .join(process_names(results.lazy("processes")), on="pid", how="left")
        .with_columns(share=share_of_sum("anon_vmas"))
        .select("pid", "comm", "anon_vmas", "share", "live", "never_used", "peak_vmas")
        .sort(["anon_vmas", "pid"], descending=[True, False], nulls_last=True)
    )


def longest_lists(results: ResultTables) -> pl.DataFrame:
    """Rank the anon_vmas by the longest that their list ever was.

    Returns
    -------
    polars.DataFrame
        ``anon_vma``, ``pid`` and ``comm`` (of the process that allocated it), ``allocated_by``,
        ``allocated_event``, ``peak_vmas``, ``processes`` (that ever had a vma on it), ``peak_pages``,
        ``pages_ever``, ``lifetime_events`` (null for those that still live at the end).
    """
    members = results.lazy("members").group_by("anon_vma").agg(row_count().alias("processes"))
    return (
        results.lazy("anon_vmas")
        .join(members, on="anon_vma", how="left")
        .collect()
        .join(process_names(results.lazy("processes")), on="pid", how="left")
        .with_columns(
            pl.col("allocated_by").cast(pl.String),
            lifetime_events=pl.col("freed_event") - pl.col("allocated_event"),
        )
        .select(
            "anon_vma",
            "pid",
            "comm",
            "allocated_by",
            "allocated_event",
            "peak_vmas",
            "processes",
            "peak_pages",
            "pages_ever",
            "lifetime_events",
        )
        .sort(["peak_vmas", "peak_pages", "anon_vma"], descending=[True, True, False])
    )


def lifetimes(results: ResultTables) -> Lifetimes:
    """Return the figures of the lifetimes of all anon_vmas that were freed."""
    freed = _freed(results)
    return Lifetimes(
        freed=freed.height,
        live=results.height("anon_vmas") - freed.height,
        events=_median_p95_max(freed["events"]),
        span_ns=_median_p95_max(freed["span_ns"]),
    )


def lifetime_distribution(results: ResultTables) -> pl.DataFrame:
    """Group the anon_vmas that were freed by the number of events they lived for.

    Returns
    -------
    polars.DataFrame
        ``low``, ``high``, ``bin`` (events from allocation to freeing, as in `value_bins`), ``anon_vmas``,
        ``share``, ``never_used`` (those of them that never had a page).
    """
    freed = _freed(results).with_columns(never_used=_WITHOUT_PAGE.cast(pl.Int64))
    binned = value_bins(freed, "events", "never_used").rename({"rows": "anon_vmas"})
    return binned.select(
        "low", "high", "bin", "anon_vmas", share_of_sum("anon_vmas").alias("share"), "never_used"
    )


def _freed(results: ResultTables) -> pl.DataFrame:
    return (
        results.lazy("anon_vmas")
        .filter(_FREED)
        .select(
            "pages_ever",
            "freed_event",
            events=pl.col("freed_event") - pl.col("allocated_event"),
            span_ns=pl.col("freed_ts") - pl.col("allocated_ts"),
        )
        .collect()
    )


def _median_p95_max(values: pl.Series) -> tuple[int | None, int | None, int | None]:
    return nearest_rank(values, 0.5), nearest_rank(values, 0.95), nearest_rank(values, 1.0)


def _allocation_counts() -> tuple[pl.Expr, ...]:
    return (
        row_count().alias("anon_vmas"),
        true_count(~_FREED).alias("live"),
        true_count(_FREED & _WITHOUT_PAGE).alias("never_used"),
    )
