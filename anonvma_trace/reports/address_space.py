"""The address space of one process over the course of the trace."""

from __future__ import annotations

from itertools import pairwise
from math import log2

import polars as pl

from ..events import PAGE_SIZE
from ..result_tables import ResultTables

SPANS_DRAWN = 600
KINDS = ("anonymous, has an anon_vma", "anonymous, none", "file, has an anon_vma", "file, none")
"""What a vma holds: whether it maps a file, and whether it has an anon_vma."""
_GAP_HEIGHT = 2.5  # of an unused part of the address space, in the units of `heights`
_PROTECTION = "rwx"


def chosen_process(results: ResultTables) -> int | None:
    """Return the pid whose pages cost most in walks, or of the process with most vmas over time; None without any."""
    spans = results.lazy("vma_spans")
    visits = results.lazy("walks").group_by("pid").agg(pl.col("vmas_visited").sum())
    ranked = (
        spans.group_by("pid")
        .agg(pl.len().alias("spans"))
        .join(visits, on="pid", how="left")
        .sort(["vmas_visited", "spans", "pid"], descending=[True, True, False], nulls_last=True)
        .collect()
    )
    return None if ranked.is_empty() else int(ranked["pid"][0])


def vmas_over_time(results: ResultTables, pid: int, limit: int = SPANS_DRAWN) -> pl.DataFrame:
    """Return the vmas of one process, each as long as nothing about it changed.

    If there are more than `limit`, those that stood longest, weighed by the logarithm of their pages, are kept.

    Returns
    -------
    polars.DataFrame
        ``start``, ``end`` (bytes, end excluded), ``pages``, ``protection`` (as in ``/proc/PID/maps``), ``file``,
        ``anon_vma`` (null for none), ``kind`` (one of `KINDS`), ``from_event``, ``to_event`` (the last event at which
        it stood so); by start and from_event.
    """
    last = results.summary["trace"]["events"]
    letters = [
        pl.when(pl.col("prot").cast(pl.Int64) & (1 << bit) != 0).then(pl.lit(letter)).otherwise(pl.lit("-"))
        for bit, letter in enumerate(_PROTECTION)
    ]
    has_file, has_anon_vma = pl.col("file").is_not_null(), pl.col("anon_vma").is_not_null()
    kind = (
        pl.when(has_file & has_anon_vma)
        .then(pl.lit(KINDS[2]))
        .when(has_file)
        .then(pl.lit(KINDS[3]))
        .when(has_anon_vma)
        .then(pl.lit(KINDS[0]))
        .otherwise(pl.lit(KINDS[1]))
    )
    spans = (
        results.lazy("vma_spans")
        .filter(pl.col("pid") == pid)
        .with_columns(
            ((pl.col("end") - pl.col("start")) // PAGE_SIZE).cast(pl.Int64).alias("pages"),
            pl.concat_str(letters).alias("protection"),
            pl.col("file").cast(pl.String),
            kind.alias("kind"),
            pl.col("to_event").fill_null(last),
        )
    )
    weight = (pl.col("to_event") - pl.col("from_event") + 1) * (pl.col("pages") + 1).log(2)
    return (
        spans.top_k(limit, by=weight)
        .sort("start", "from_event", "vma")
        .select("start", "end", "pages", "protection", "file", "anon_vma", "kind", "from_event", "to_event")
        .collect()
    )


def folded_heights(
    starts: list[int], ends: list[int]
) -> tuple[list[tuple[float, float]], list[tuple[float, str]]]:
    """Return where addresses lie on an axis that leaves out what is never used.

    Every stretch between two neighbouring borders is as high as the logarithm of its pages, so that one page can be
    seen beside a thousand; every unused stretch is equally low.

    Returns
    -------
    heights : list of (float, float)
        Lower and upper edge of each range.
    regions : list of (float, str)
        Height and address, in hexadecimal, of the lowest byte above each unused stretch.
    """
    borders = sorted({*starts, *ends})
    used = _used(starts, ends, borders)
    height = dict.fromkeys(borders[:1], 0.0)
    regions = [(0.0, f"{borders[0]:#x}")] if borders else []
    for (low, high), is_used in zip(pairwise(borders), used, strict=True):
        pages = (high - low) // PAGE_SIZE
        height[high] = height[low] + (log2(pages + 1) if is_used else min(_GAP_HEIGHT, log2(pages + 1)))
        if not is_used:
            regions.append((height[high], f"{high:#x}"))
    return [(height[start], height[end]) for start, end in zip(starts, ends, strict=True)], regions


def _used(starts: list[int], ends: list[int], borders: list[int]) -> list[bool]:
    """Return for each stretch between two borders whether any range covers it."""
    change = dict.fromkeys(borders, 0)
    for start, end in zip(starts, ends, strict=True):
        change[start] += 1
        change[end] -= 1
    covering, used = 0, []
    for border in borders[:-1]:
        covering += change[border]
        used.append(covering > 0)
    return used
