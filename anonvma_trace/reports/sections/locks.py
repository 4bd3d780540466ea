"""The section on the locks that each operation takes."""

from __future__ import annotations

import polars as pl

from ...result_tables import ResultTables
from .. import lock_counts
from ..document import Column, Part, Section, Table
from ..numbers import counted, format_value

_INTRODUCTION = (
    "The patch takes other locks than the kernel before it: anon_vma->lock guards the lists of vmas, and "
    "page_table_lock no longer guards the vmas of an mm. These are the numbers of times that each operation takes "
    "a lock, whether or not another CPU holds it."
)
_EXPLANATION = (
    "Before: rmap 38, which finds anonymous pages by the anonmm scheme. With: rmap 39. i_mmap_lock guards the vmas "
    "of a file. Not defined: before the patch a walk took the lock of the process family once and page_table_lock "
    "for each mm that it looked at; only a replay of the scheme anonmm knows how many these are. Walks of file "
    "pages are not counted here."
)


def locks_section(results: ResultTables) -> Section:
    """Return the section on locks."""
    frame = lock_counts.locks_by_operation(results)
    if frame.is_empty():
        parts: tuple[Part, ...] = (Part("No locks", "This result holds no counts of locks."),)
    else:
        parts = (_by_operation(frame), _held(results))
    return Section("Locks", "locks", _INTRODUCTION, parts)


def _by_operation(frame: pl.DataFrame) -> Part:
    columns = (
        Column("operation", "operation", "code"),
        Column("i_mmap_before", "i_mmap_lock before", "figure"),
        Column("page_table_before", "page_table_lock before", "figure"),
        Column("i_mmap_after", "i_mmap_lock with", "figure"),
        Column("page_table_after", "page_table_lock with", "figure"),
        Column("anon_vma_after", "anon_vma->lock with", "figure"),
        Column("meaning", "counted once for each time that", "text"),
    )
    known = frame.filter(pl.col("page_table_before").is_not_null())
    before, after = (int(known[name].sum()) for name in ("page_table_before", "page_table_after"))
    unknown = frame.filter(pl.col("page_table_before").is_null())["operation"].to_list()
    aside = f", the operation {' and '.join(unknown)} aside" if unknown else ""
    reading = (
        f"page_table_lock is taken {counted(after, 'time')} with the patch, {before:,} before it{aside}; "
        f"anon_vma->lock, which was not there before, {counted(int(frame['anon_vma_after'].sum()), 'time')} in all."
    )
    table = Table.from_frame(
        "Locks taken by operation, before the patch and with it", columns, frame, limit=None
    )
    return Part("By operation", reading, (table,), _EXPLANATION)


def _held(results: ResultTables) -> Part:
    reclaim = results.summary["reclaim"]
    if not reclaim["walks"]:
        return Part("Held by a walk", "No walk of an anonymous page took anon_vma->lock.")
    per_walk = reclaim["visited_per_walk"]
    reading = (
        f"A walk of an anonymous page holds anon_vma->lock from its first vma to its last: "
        f"{format_value(per_walk['mean'], 'mean')} vmas on average, {per_walk['max']:,} at most."
    )
    return Part("Held by a walk", reading)
