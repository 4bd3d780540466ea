"""Reclaim cost: what the rmap walks of a replay visited, for which pages, and for nothing or not."""

from __future__ import annotations

from typing import Literal

import polars as pl

from ..result_tables import ResultTables
from .bins import event_bin, event_bins, event_count, value_bins
from .process_names import process_names
from .shares import average, row_count, share_of_sum, true_count

WalkTable = Literal["walks", "file_walks"]

VISIT_RESULTS = {
    "hit": ("hits", "the vma maps this page"),
    "miss_rss": ("miss_rss", "its mm has no page at all (rss 0); no address was computed"),
    "miss_range": (
        "miss_range",
        "range miss: the page's index lies outside this vma; no page table was read",
    ),
    "miss_none": ("miss_none", "pte miss: nothing is mapped at the address"),
    "miss_swap": ("miss_swap", "pte miss: the pte holds a swap entry"),
    "miss_other": ("miss_other", "pte miss: another page is mapped there, or the zero page"),
}
"""What a visit of one vma can come to: its key in `summary.reclaim`, and its meaning."""


def visited_distribution(results: ResultTables, table: WalkTable = "walks") -> pl.DataFrame:
    """Group the walks by the number of vmas they visited.

    Parameters
    ----------
    results : ResultTables
    table : str, optional
        The walks of anonymous pages (``walks``) or of file pages (``file_walks``).

    Returns
    -------
    polars.DataFrame
        ``low``, ``high``, ``bin`` (vmas visited per walk, as in `value_bins`), ``walks``, ``walks_share``
        (of all walks), ``vmas_visited`` (in all walks of the bin), ``visited_share`` (of all visits).
    """
    walks = results.lazy(table).select("vmas_visited", pl.col("vmas_visited").alias("visits"))
    binned = value_bins(walks, "vmas_visited", "visits").rename({"rows": "walks", "visits": "vmas_visited"})
    return binned.with_columns(
        walks_share=share_of_sum("walks"), visited_share=share_of_sum("vmas_visited")
    ).select("low", "high", "bin", "walks", "walks_share", "vmas_visited", "visited_share")


def visit_results(results: ResultTables) -> pl.DataFrame:
    """Tell what the visits of single vmas came to, from the summary.

    Returns
    -------
    polars.DataFrame
        ``result`` (`hit` or the kind of miss), ``meaning``, ``visits``, ``share`` (of all visits; null if
        there are none); in the order in which a walk tests.
    """
    reclaim = results.summary["reclaim"]
    frame = pl.DataFrame(
        [(result, meaning, reclaim[key]) for result, (key, meaning) in VISIT_RESULTS.items()],
        schema={"result": pl.String, "meaning": pl.String, "visits": pl.Int64},
        orient="row",
    )
    return frame.with_columns(share=share_of_sum("visits"))


def walk_outcomes(results: ResultTables, table: WalkTable = "walks") -> pl.DataFrame:
    """Group the walks by purpose and outcome.

    Parameters
    ----------
    results : ResultTables
    table : str, optional
        The walks of anonymous pages (``walks``) or of file pages (``file_walks``).

    Returns
    -------
    polars.DataFrame
        ``purpose``, ``outcome``, ``walks``, ``vmas_visited``, ``hits``, ``early_stops`` (walks that left
        list members unvisited), ``unreachable`` (mappings that no walk can find); most walks first.
    """
    return (
        results.lazy(table)
        .group_by(pl.col("purpose").cast(pl.String), pl.col("outcome").cast(pl.String))
        .agg(
            row_count().alias("walks"),
            pl.col("vmas_visited", "hits").sum(),
            true_count(pl.col("early_stop")).alias("early_stops"),
            pl.col("unreachable").sum(),
        )
        .sort(["walks", "purpose", "outcome"], descending=[True, False, False])
        .collect()
    )


def cost_over_time(results: ResultTables) -> pl.DataFrame:
    """Sum up the walks of each part of the trace.

    Returns
    -------
    polars.DataFrame
        ``from_event``, ``to_event`` (of the bin, both included), ``walks``, ``vmas_visited``,
        ``visited_per_walk`` (null without walks), ``dearest`` (most vmas visited by one walk; null without
        walks); one row for each of at most 40 bins of equally many events.
    """
    events = event_count(results)
    in_bins = (
        results.lazy("walks")
        .group_by(event_bin("event", events))
        .agg(
            row_count().alias("walks"),
            pl.col("vmas_visited").sum(),
            pl.col("vmas_visited").max().alias("dearest"),
        )
        .collect()
    )
    return (
        event_bins(events)
        .join(in_bins, on="bin", how="left")
        .sort("bin")
        .with_columns(pl.col("walks", "vmas_visited").fill_null(0))
        .with_columns(visited_per_walk=average("vmas_visited", "walks"))
        .select("from_event", "to_event", "walks", "vmas_visited", "visited_per_walk", "dearest")
    )


def dearest_anon_vmas(results: ResultTables) -> pl.DataFrame:
    """Rank the anon_vmas by the vmas visited in walks of their lists.

    Returns
    -------
    polars.DataFrame
        ``anon_vma``, ``pid`` and ``comm`` (of the process that allocated it), ``allocated_by`` (operation),
        ``peak_vmas`` (longest its list ever was), ``walks``, ``vmas_visited``, ``visited_per_walk``,
        ``share`` (of all visits); anon_vmas without walks are left out.
    """
    return (
        results.lazy("anon_vmas")
        .filter(pl.col("walks") > 0)
        .collect()
        .join(process_names(results.lazy("processes")), on="pid", how="left")
        .with_columns(
            pl.col("allocated_by").cast(pl.String),
            average("vmas_visited", "walks").alias("visited_per_walk"),
            share=share_of_sum("vmas_visited"),
        )
        .select(
            "anon_vma",
            "pid",
            "comm",
            "allocated_by",
            "peak_vmas",
            "walks",
            "vmas_visited",
            "visited_per_walk",
            "share",
        )
        .sort(["vmas_visited", "anon_vma"], descending=[True, False])
    )


def dearest_processes(results: ResultTables) -> pl.DataFrame:
    """Rank the processes by the vmas visited for pages that they first mapped.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, ``walks``, ``vmas_visited``, ``visited_per_walk``, ``share`` (of all visits);
        pids without walks are left out. The lives of a pid that was used more than once stand in one row.
    """
    return (
        results.lazy("walks")
        .group_by("pid")
        .agg(row_count().alias("walks"), pl.col("vmas_visited").sum())
        .join(process_names(results.lazy("processes")).lazy(), on="pid", how="left")
        .with_columns(
            average("vmas_visited", "walks").alias("visited_per_walk"), share=share_of_sum("vmas_visited")
        )
        .select("pid", "comm", "walks", "vmas_visited", "visited_per_walk", "share")
        .sort(["vmas_visited", "pid"], descending=[True, False], nulls_last=True)
        .collect()
    )
