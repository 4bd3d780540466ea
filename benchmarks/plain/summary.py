"""The summary: the parts that the fault-heavy load decides, with the names of `Replay.summary`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from anonvma_trace.tables import MERGE_REASONS

from .state import OBJECT_BYTES, State

_WALK_COLUMNS = (  # of the rows of `walks`, from the eighth
    "list_length_sum",
    "vmas_visited",
    "miss_rss",
    "miss_range",
    "miss_none",
    "miss_swap",
    "miss_other",
    "hits",
    "unreachable",
    "early_stops",
)
_OF_A_SCAN = ("pages", "activated", "unmapped", "locked_fail", "young_fail")  # the load has none


def summary_of(state: State) -> dict[str, Any]:
    return {
        "vmas": {
            "created": state.vmas_created,
            "live": state.vmas_live,
            "peak": state.vmas_peak,
            "splits": state.splits,
        },
        "anon_vmas": {
            "allocated": state.anon_vmas_allocated,
            "freed": state.anon_vmas_allocated - len(state.anon_vmas),
            "live": len(state.anon_vmas),
            "peak": state.anon_vmas_peak,
            "longest_list": state.longest_list_peak,
        },
        "pages": {
            "allocated": state.pages_live + state.pages_freed,
            "freed": state.pages_freed,
            "live": state.pages_live,
            "peak": state.pages_peak,
            "cow_copies": sum(process.cow_copies for process in state.every_process),
            "cow_reuses": state.cow_reuses,
            "swapped_out": 0,
            "swapped_in": 0,
        },
        "merges": _merges(state.tables["merges"]),
        "reclaim": dict.fromkeys(_OF_A_SCAN, 0) | _walks(state.tables["walks"]),
        "overhead_bytes": {name: size * state.objects_peak for name, size in OBJECT_BYTES.items()},
        "unmapped_faults": state.unmapped_faults,
        "extra": {"anon_vmas_never_used": state.never_used, "segv": state.segv},
    }


def _merges(rows: list[tuple]) -> dict[str, Any]:
    cases = Counter(row[6] for row in rows)
    reasons = Counter(row[7] for row in rows) + Counter(row[8] for row in rows)
    return {
        "attempts": len(rows),
        "merged": len(rows) - cases[0],
        "by_case": {str(case): cases[case] for case in range(1, 9)},
        "refused": {reason: reasons[reason] for reason in MERGE_REASONS},
        "refused_new": sum(row[9] + row[10] for row in rows),
    }


def _walks(rows: list[tuple]) -> dict[str, Any]:
    totals = {name: sum(row[at] for row in rows) for at, name in enumerate(_WALK_COLUMNS, 7)}
    read = sum(totals[name] for name in ("miss_none", "miss_swap", "miss_other", "hits"))
    spread = _spread(Counter(row[8] for row in rows))
    return {"walks": len(rows), **totals, "ptes_read": read, "visited_per_walk": spread}


def _spread(walks_by_visits: Counter[int]) -> dict[str, float]:
    """Return mean, percentiles (nearest rank) and maximum of how many vmas the walks visited."""
    walks = walks_by_visits.total()
    if not walks:
        return {"mean": 0.0, "p50": 0, "p95": 0, "p99": 0, "max": 0}
    by_visits = sorted(walks_by_visits.items())
    spread: dict[str, float] = {"mean": sum(visits * count for visits, count in by_visits) / walks}
    for percent in (50, 95, 99):
        rank = -(-percent * walks // 100)
        for visits, count in by_visits:
            rank -= count
            if rank <= 0:
                spread[f"p{percent}"] = visits
                break
    return spread | {"max": by_visits[-1][0]}
