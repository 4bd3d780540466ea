"""Walks of file pages: what reclaim visited on the other side of rmap.c, apart from the anonymous figures."""

from __future__ import annotations

import polars as pl

from ..result_tables import ResultTables
from .reclaim_cost import VISIT_RESULTS
from .shares import average, row_count, share_of_sum

LOCKED = ("locked", "the vma is shared and locked: that counts as a reference and ends the walk")
"""A visit that ends the walk before any test; only walks of file pages know it."""


def file_visit_results(results: ResultTables) -> pl.DataFrame:
    """Tell what the visits of single vmas came to, from ``summary.file_reclaim``.

    Returns
    -------
    polars.DataFrame
        ``result`` (`hit`, the kind of miss, or `locked`), ``meaning``, ``visits``, ``share`` (of all visits;
        null if there are none). `locked` is what the counters of the other kinds leave of the visits.
    """
    reclaim = results.summary["file_reclaim"]
    rows = [(result, meaning, reclaim[key]) for result, (key, meaning) in VISIT_RESULTS.items()]
    rows.append((*LOCKED, reclaim["vmas_visited"] - sum(visits for _, _, visits in rows)))
    frame = pl.DataFrame(
        rows, schema={"result": pl.String, "meaning": pl.String, "visits": pl.Int64}, orient="row"
    )
    return frame.with_columns(share=share_of_sum("visits"))


def dearest_files(results: ResultTables) -> pl.DataFrame:
    """Rank the files by the vmas visited in walks of their pages.

    Returns
    -------
    polars.DataFrame
        ``file``, ``pages`` (distinct places of the file whose page was walked), ``walks``, ``vmas_visited``,
        ``visited_per_walk``, ``hits``, ``longest`` (most vmas that covered one of these places), ``share`` (of
        all visits); most visits first.
    """
    return (
        results.lazy("file_walks")
        .group_by(pl.col("file").cast(pl.String))
        .agg(
            pl.col("pgoff").n_unique().cast(pl.Int64).alias("pages"),
            row_count().alias("walks"),
            pl.col("vmas_visited", "hits").sum(),
            pl.col("list_length").max().alias("longest"),
        )
        .with_columns(
            average("vmas_visited", "walks").alias("visited_per_walk"), share=share_of_sum("vmas_visited")
        )
        .select("file", "pages", "walks", "vmas_visited", "visited_per_walk", "hits", "longest", "share")
        .sort(["vmas_visited", "file"], descending=[True, False])
        .collect()
    )
