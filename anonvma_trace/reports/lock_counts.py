"""Locks: how many each operation takes, before the patch and with it."""

from __future__ import annotations

import polars as pl

from ..result_tables import ResultTables

OPERATION_MEANINGS = {
    "vma_link": "a new vma enters an mm",
    "vma_adjust": "a merge or split moves the bounds of vmas",
    "munmap": "a range is unmapped",
    "stack_growth": "a fault below a stack makes it grow",
    "prepare": "anon_vma_prepare allocates an anon_vma",
    "fork": "one vma is copied into the child",
    "exit": "one vma goes with its mm",
    "walk": "one rmap walk of an anonymous page",
}
"""The operations of ``summary.locks``, in its order, and what one of them is."""

_LOCKS = {
    "i_mmap_before": ("before", "i_mmap_lock"),
    "page_table_before": ("before", "page_table_lock"),
    "i_mmap_after": ("after", "i_mmap_lock"),
    "page_table_after": ("after", "page_table_lock"),
    "anon_vma_after": ("after", "anon_vma_lock"),
}


def locks_by_operation(results: ResultTables) -> pl.DataFrame:
    """Return the locks taken by each operation, from ``summary.locks``.

    Returns
    -------
    polars.DataFrame
        ``operation``, ``i_mmap_before`` and ``page_table_before`` (taken under rmap 38), ``i_mmap_after``,
        ``page_table_after`` and ``anon_vma_after`` (taken with rmap 39), ``meaning``; null where the number is
        not defined under the scheme that was replayed. Without rows if the results hold no locks.
    """
    rows = [
        (
            operation,
            *(counts[when].get(lock) for when, lock in _LOCKS.values()),
            OPERATION_MEANINGS.get(operation, ""),
        )
        for operation, counts in results.summary.get("locks", {}).items()
    ]
    schema = {"operation": pl.String, **dict.fromkeys(_LOCKS, pl.Int64), "meaning": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
