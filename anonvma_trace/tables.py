"""The result tables as data: the schema of each, and the empty `summary`.

Addresses and lengths are bytes (uint64), `pgoff` is in pages (uint64), counts, ids and event numbers are
int64 (ids and events count from 1), null stands for none, names are dictionary-encoded.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

NAME = pa.dictionary(pa.int32(), pa.string())
_ID, _COUNT, _TS, _ADDR, _FLAG = pa.int64(), pa.int64(), pa.int64(), pa.uint64(), pa.bool_()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


MERGE_REASONS = (
    "special",
    "policy",
    "flags",
    "file",
    "close_op",
    "anon_diff",
    "pgoff_anon",
    "pgoff_file",
    "prev_next",
    "cloned",
)
"""Why a side of a merge attempt was refused, in the order in which `vma_merge` tests."""

MERGE_SIDES = ("ok", "not_adjacent", *MERGE_REASONS)

WALK_OUTCOMES = (
    "referenced",
    "not_referenced",
    "success",
    "fail_locked",
    "fail_young",
    "again",
    "bug:empty_anon_vma",
)

TABLES: dict[str, pa.Schema] = {
    "anon_vmas": _schema(
        anon_vma=_ID,
        allocated_event=_ID,
        allocated_ts=_TS,
        allocated_by=NAME,
        pid=_ID,
        freed_event=_ID,
        freed_ts=_TS,
        peak_vmas=_COUNT,
        peak_pages=_COUNT,
        pages_ever=_COUNT,
        walks=_COUNT,
        vmas_visited=_COUNT,
    ),
    "merges": _schema(
        event=_ID,
        ts=_TS,
        pid=_ID,
        op=NAME,
        addr=_ADDR,
        len=_ADDR,
        case=_COUNT,
        left=NAME,
        right=NAME,
        left_new=_FLAG,
        right_new=_FLAG,
        pgoff_anon_vma=NAME,
        self=_FLAG,
    ),
    "walks": _schema(
        event=_ID,
        ts=_TS,
        pid=_ID,
        addr=_ADDR,
        anon_vma=_ID,
        purpose=NAME,
        mapcount=_COUNT,
        list_length=_COUNT,
        vmas_visited=_COUNT,
        miss_rss=_COUNT,
        miss_range=_COUNT,
        miss_none=_COUNT,
        miss_swap=_COUNT,
        miss_other=_COUNT,
        hits=_COUNT,
        unreachable=_COUNT,
        early_stop=_FLAG,
        outcome=NAME,
    ),
    "file_walks": _schema(
        event=_ID,
        ts=_TS,
        pid=_ID,
        addr=_ADDR,
        file=NAME,
        pgoff=_ADDR,
        purpose=NAME,
        mapcount=_COUNT,
        list_length=_COUNT,
        vmas_visited=_COUNT,
        miss_rss=_COUNT,
        miss_range=_COUNT,
        miss_none=_COUNT,
        miss_swap=_COUNT,
        miss_other=_COUNT,
        hits=_COUNT,
        unreachable=_COUNT,
        early_stop=_FLAG,
        outcome=NAME,
    ),
    "vma_spans": _schema(
        vma=_ID,
        pid=_ID,
        start=_ADDR,
        end=_ADDR,
        prot=pa.uint8(),
        flags=NAME,
        pgoff=_ADDR,
        file=NAME,
        anon_vma=_ID,
        from_event=_ID,
        to_event=_ID,
    ),
    "members": _schema(anon_vma=_ID, pid=_ID, vmas_peak=_COUNT, pages_peak=_COUNT),
    "timeline": _schema(
        event=_ID,
        ts=_TS,
        vmas=_COUNT,
        anon_vmas=_COUNT,
        anon_pages=_COUNT,
        mapped_ptes=_COUNT,
        longest_list=_COUNT,
        overhead_bytes=_COUNT,
    ),
    "processes": _schema(
        pid=_ID,
        comm=NAME,
        parent=_ID,
        first_event=_ID,
        last_event=_ID,
        vmas_peak=_COUNT,
        anon_vmas_touched=_COUNT,
        faults=_COUNT,
        cow_copies=_COUNT,
        merges=_COUNT,
        refusals=_COUNT,
        walks_caused=_COUNT,
        tainted=_FLAG,
    ),
    "vmas": _schema(
        pid=_ID,
        start=_ADDR,
        end=_ADDR,
        prot=pa.uint8(),
        flags=NAME,
        pgoff=_ADDR,
        file=NAME,
        anon_vma=_ID,
    ),
    "diagnostics": _schema(severity=NAME, event=_ID, line=_ID, code=NAME, message=pa.string()),
}
"""Schema of each result table, by name."""

DETAILED_TABLES = ("merges", "walks", "file_walks", "vma_spans")
"""Tables that grow with the trace and can be kept as a sample, or left out (``--detail``)."""


def empty_summary() -> dict[str, Any]:
    """Return the `summary` of a replay of nothing: every key of the contract, all figures zero."""
    return {
        "schema": 1,
        "trace": {
            "path": "",
            "format": "",
            "events": 0,
            "processes": 0,
            "span_ns": 0,
            "lost_events": 0,
            "tainted_processes": 0,
            "unreadable_lines": 0,
        },
        "scheme": "anon_vma",
        "rules": [],
        "options": {},
        "vmas": {"created": 0, "live": 0, "peak": 0, "splits": 0},
        "anon_vmas": {"allocated": 0, "freed": 0, "live": 0, "peak": 0, "longest_list": 0},
        "pages": {
            "allocated": 0,
            "freed": 0,
            "live": 0,
            "peak": 0,
            "cow_copies": 0,
            "cow_reuses": 0,
            "swapped_out": 0,
            "swapped_in": 0,
        },
        "merges": {
            "attempts": 0,
            "merged": 0,
            "by_case": {str(case): 0 for case in range(1, 9)},
            "refused": dict.fromkeys(MERGE_REASONS, 0),
            "refused_new": 0,
        },
        "reclaim": {
            "pages": 0,
            "walks": 0,
            "vmas_visited": 0,
            "miss_rss": 0,
            "miss_range": 0,
            "miss_none": 0,
            "miss_swap": 0,
            "miss_other": 0,
            "hits": 0,
            "ptes_read": 0,
            "early_stops": 0,
            "unreachable": 0,
            "list_length_sum": 0,
            "activated": 0,
            "unmapped": 0,
            "locked_fail": 0,
            "young_fail": 0,
            "visited_per_walk": {"mean": 0.0, "p50": 0, "p95": 0, "p99": 0, "max": 0},
        },
        "file_reclaim": {
            "pages": 0,
            "walks": 0,
            "vmas_visited": 0,
            "miss_rss": 0,
            "miss_range": 0,
            "miss_none": 0,
            "miss_swap": 0,
            "miss_other": 0,
            "hits": 0,
            "ptes_read": 0,
            "early_stops": 0,
            "unreachable": 0,
            "list_length_sum": 0,
            "activated": 0,
            "unmapped": 0,
            "locked_fail": 0,
            "young_fail": 0,
            "visited_per_walk": {"mean": 0.0, "p50": 0, "p95": 0, "p99": 0, "max": 0},
            "clusters": 0,
            "ptes_swept": 0,
            "unmapped_other": 0,
        },
        "locks": {},
        "overhead_bytes": {"i386": 0, "x86_64": 0},
        "findings": {"unreachable_pages": 0, "dangling_pages": 0, "bugs": 0},
        "violations": 0,
        "checked_events": 0,
        "unmapped_faults": 0,
        "detail": {"setting": "full"}
        | {name: {"rows": 0, "kept": 0, "every": 1} for name in DETAILED_TABLES},
        "extra": {
            "anon_vmas_never_used": 0,
            "mremap_efault_span": 0,
            "span_forced": 0,
            "lossy_merges": 0,
            "lossy_moves": 0,
            "ptes_lost": 0,
            "zero_copies": 0,
            "early_copies": 0,
        },
    }
