"""From the state of a finished replay to its summary."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tables import MERGE_REASONS, MERGE_SIDES, empty_summary
from .layout import State
from .locks import LOCK_WORDS, OPERATIONS
from .schemes.interface import scheme_of


def build_summary(state: State, lost_pages: np.ndarray) -> dict[str, Any]:
    """Return the `summary` of a finished replay, `trace`, `scheme` and `options` aside.

    Parameters
    ----------
    state : State
    lost_pages : ndarray of uint8
        Marks of `mark_lost_pages`.
    """
    g = {name: int(state.glob[0][name]) for name in state.glob.array.dtype.names}
    summary = empty_summary()
    summary["vmas"] = {
        "created": g["vmas_created"],
        "live": g["vmas_live"],
        "peak": g["vmas_peak"],
        "splits": g["vma_splits"],
    }
    summary["anon_vmas"] = {
        "allocated": g["anon_vmas_allocated"],
        "freed": g["anon_vmas_freed"],
        "live": g["anon_vmas_allocated"] - g["anon_vmas_freed"],
        "peak": g["anon_vmas_peak"],
        "longest_list": g["longest_list"],
    }
    summary["pages"] = {
        "allocated": g["pages_allocated"],
        "freed": g["pages_freed"],
        "live": g["pages_allocated"] - g["pages_freed"],
        "peak": g["pages_peak"],
    } | {name: g[name] for name in ("cow_copies", "cow_reuses", "swapped_out", "swapped_in")}
    by_case = state.ints[g["by_case_base"] : g["by_case_base"] + 9]
    refused = state.ints[g["refused_base"] : g["refused_base"] + len(MERGE_SIDES)]
    summary["merges"] = {
        "attempts": g["merge_attempts"],
        "merged": g["merged"],
        "by_case": {str(case): int(by_case[case]) for case in range(1, 9)},
        "refused": {reason: int(refused[MERGE_SIDES.index(reason)]) for reason in MERGE_REASONS},
        "refused_new": g["refused_new"],
    }
    reclaim = summary["reclaim"]
    for name in reclaim:
        if name in g:
            reclaim[name] = g[name]
    reclaim["pages"] = g["reclaim_pages"]
    reclaim["ptes_read"] = g["miss_none"] + g["miss_swap"] + g["miss_other"] + g["hits"]
    visited = state.ints[g["visited_base"] : g["visited_base"] + g["visited_cap"]]
    reclaim["visited_per_walk"] = _distribution(visited)
    summary["file_reclaim"] = _file_reclaim(state, g)
    scheme = scheme_of(state)
    if scheme.counts_locks:
        summary["locks"] = _locks(state)
    i386 = g["overhead_i386_peak"] if scheme.sizes_i386 else None
    summary["overhead_bytes"] = {"i386": i386, "x86_64": g["overhead_x86_64_peak"]}
    summary["findings"] = {
        "unreachable_pages": int(np.count_nonzero(lost_pages)),
        "dangling_pages": int(np.count_nonzero(lost_pages & 2)),
        "bugs": g["bugs"],
    }
    summary["unmapped_faults"] = g["unmapped_faults"]
    summary["extra"] = {name: g[name] for name in (*_EXTRA, *_COSTS, *scheme.extra)}
    return summary


_EXTRA = (
    *("anon_vmas_never_used", "mremap_efault_span", "span_forced", "zero_copies", "early_copies"),
    *("lossy_merges", "lossy_moves", "ptes_lost", "invented_vmas", "segv"),
)
_COSTS = ("fork_objects", "fork_insertions", "fault_objects", "rmap_hot_ops")


def _file_reclaim(state: State, g: dict[str, int]) -> dict[str, Any]:
    """Return the counters of walks of file pages; nonlinear vmas cannot stand in an event table."""
    names: tuple[str, ...] = (
        "walks",
        "vmas_visited",
        "miss_rss",
        "miss_none",
        "miss_swap",
        "miss_other",
        "hits",
        "early_stops",
    )
    names += ("unreachable", "list_length_sum", "activated", "unmapped", "locked_fail", "young_fail")
    block: dict[str, Any] = {"pages": g["file_pages_looked_at"], "miss_range": 0}
    block |= {name: g[f"file_{name}"] for name in names}
    block["ptes_read"] = block["miss_none"] + block["miss_swap"] + block["miss_other"] + block["hits"]
    visited = state.ints[g["file_visited_base"] : g["file_visited_base"] + g["visited_cap"]]
    block["visited_per_walk"] = _distribution(visited)
    return block | {"clusters": 0, "ptes_swept": 0, "unmapped_other": 0}


def _locks(state: State) -> dict[str, Any]:
    """Return the locks taken by operation, before the patch and with it; null where only another scheme knows."""
    base = state.glob[0].locks_base
    words = state.ints[base : base + LOCK_WORDS * len(OPERATIONS)].reshape(-1, LOCK_WORDS).tolist()
    counts: dict[str, Any] = {}
    for operation, (i_mmap, before, after, anon_vma) in zip(OPERATIONS, words, strict=True):
        known = operation != "walk"  # before: one for each mm of the family looked at, which anonmm decides
        counts[operation] = {
            "before": {"i_mmap_lock": i_mmap, "page_table_lock": before if known else None},
            "after": {"i_mmap_lock": i_mmap, "page_table_lock": after, "anon_vma_lock": anon_vma},
        }
    return counts


def compare_vma_counts(state: State, baseline: State) -> dict[str, Any]:
    """Return the vma counts of a replay under other rules, and how many more vmas stand in the first replay.

    Returns
    -------
    dict
        ``vmas`` (created, live, peak, splits, mean after an event) and ``merges`` (attempts, merged) of `baseline`;
        ``vmas_more`` (live, peak, mean): by how much the first replay has more.
    """
    ours, theirs = _vma_counts(state), _vma_counts(baseline)
    glob = baseline.glob[0]
    return {
        "vmas": theirs,
        "merges": {"attempts": int(glob.merge_attempts), "merged": int(glob.merged)},
        "vmas_more": {name: ours[name] - theirs[name] for name in ("live", "peak", "mean")},
    }


def _vma_counts(state: State) -> dict[str, Any]:
    glob = state.glob[0]
    counts: dict[str, Any] = {
        "created": int(glob.vmas_created),
        "live": int(glob.vmas_live),
        "peak": int(glob.vmas_peak),
        "splits": int(glob.vma_splits),
    }
    return counts | {"mean": int(glob.vmas_sum) / max(int(glob.event), 1)}


def _distribution(histogram: np.ndarray) -> dict[str, float | int]:
    """Return mean, nearest-rank percentiles and maximum of a histogram over 0, 1, 2 and so on."""
    n = int(histogram.sum())
    if n == 0:
        return {"mean": 0.0, "p50": 0, "p95": 0, "p99": 0, "max": 0}
    total = int(np.dot(histogram, np.arange(len(histogram))))
    cumulated = np.cumsum(histogram)

    def percentile(percent: int) -> int:
        return int(np.searchsorted(cumulated, -(-percent * n // 100)))

    return {
        "mean": total / n,
        "p50": percentile(50),
        "p95": percentile(95),
        "p99": percentile(99),
        "max": int(np.flatnonzero(histogram)[-1]),
    }
