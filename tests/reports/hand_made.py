"""Result tables of a dozen rows each, made by hand, and the summary that they add up to."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from anonvma_trace.result_tables import ResultTables
from anonvma_trace.tables import TABLES, empty_summary

EVENTS = 92_855
HOSTILE = "<script>x|`y"  # a comm that would run as markup, end a table cell, open a code span

# anon_vma, allocated_event, allocated_ts, allocated_by, pid, freed_event, freed_ts,
# peak_vmas, peak_pages, pages_ever, walks, vmas_visited
ANON_VMAS = [
    (1, 1_010, 1_000_000, "write_fault", 100, None, None, 4, 1_201, 1_305, 5, 14),
    (2, 1_020, 2_000_000, "write_fault", 100, 2_020, 5_000_000, 1, 7, 9, 2, 2),
    (3, 1_030, 3_000_000, "mprotect", 200, 1_031, 3_500_000, 1, 0, 0, 0, 0),
    (4, 1_040, 4_000_000, "exec", 300, 31_040, 1_004_000_000, 2, 3, 3, 1, 1),
    (5, 1_050, 5_000_000, "write_fault", 300, None, None, 17, 33, 34, 2, 20),
]

# event, ts, pid, addr, anon_vma, purpose, mapcount, list_length, vmas_visited,
# miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, unreachable, early_stop, outcome
WALKS = [
    (40_001, 1, 100, 0x10000, 1, "referenced", 1, 4, 4, 0, 1, 1, 0, 1, 1, 0, False, "referenced"),
    (40_002, 2, 100, 0x11000, 1, "referenced", 1, 4, 3, 0, 1, 0, 0, 1, 1, 0, True, "not_referenced"),
    (40_002, 2, 100, 0x11000, 1, "unmap", 1, 4, 3, 0, 1, 0, 0, 1, 1, 0, True, "success"),
    (40_003, 3, 200, 0x12000, 1, "unmap", 2, 4, 2, 0, 0, 0, 0, 1, 1, 0, True, "fail_young"),
    (40_004, 4, 200, 0x12000, 1, "unmap", 1, 4, 2, 0, 0, 0, 1, 0, 1, 0, True, "success"),
    (50_000, 5, 100, 0x20000, 2, "referenced", 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, False, "referenced"),
    (50_001, 6, 100, 0x20000, 2, "unmap", 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, False, "fail_locked"),
    (60_000, 7, 300, 0x30000, 4, "unmap", 1, 2, 1, 0, 0, 0, 0, 0, 1, 0, True, "again"),
    (90_000, 8, 300, 0x40000, 5, "referenced", 1, 17, 17, 2, 12, 1, 1, 1, 0, 1, False, "not_referenced"),
    (92_000, 9, 300, 0x40000, 5, "unmap", 2, 17, 3, 0, 1, 0, 0, 0, 2, 0, True, "success"),
]

# event, ts, pid, addr, file, pgoff, purpose, mapcount, list_length, vmas_visited,
# miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, unreachable, early_stop, outcome
FILE_WALKS = [
    (
        70_000,
        1,
        100,
        0x50000,
        "/lib/a",
        7,
        "referenced",
        2,
        4,
        4,
        1,
        0,
        1,
        0,
        0,
        2,
        0,
        False,
        "not_referenced",
    ),
    (70_000, 1, 100, 0x50000, "/lib/a", 7, "unmap", 2, 4, 3, 0, 0, 0, 0, 1, 2, 0, True, "success"),
    (70_001, 2, 100, 0x51000, "/lib/a", 8, "referenced", 1, 4, 1, 0, 0, 0, 0, 0, 0, 0, True, "referenced"),
    (
        70_002,
        3,
        200,
        0x60000,
        HOSTILE,
        0,
        "referenced",
        1,
        1,
        1,
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        False,
        "not_referenced",
    ),
    (70_002, 3, 200, 0x60000, HOSTILE, 0, "unmap", 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, False, "fail_young"),
]

# event, ts, pid, op, addr, len, case, left, right, left_new, right_new, pgoff_anon_vma, self
MERGES = [
    (10, 1, 100, "mmap", 0x7F0000001000, 4096, 0, "not_adjacent", "not_adjacent", False, False, None, False),
    (20, 2, 100, "mmap", 0x7F0000002000, 8192, 2, "ok", "not_adjacent", False, False, None, False),
    (30, 3, 100, "mmap", 0x7F0000004000, 4096, 2, "ok", "prev_next", False, True, None, False),
    (40, 4, 100, "mprotect", 0x7F0000001000, 4096, 0, "not_adjacent", "flags", False, False, None, False),
    (50, 5, 100, "mprotect", 0x7F0000001000, 4096, 0, "not_adjacent", "flags", False, False, None, False),
    (60, 6, 200, "mprotect", 0x7F0000009000, 12288, 0, "anon_diff", "anon_diff", True, True, None, False),
    (70, 7, 200, "mremap", 0x7F0000020000, 4096, 0, "anon_diff", "pgoff_anon", True, True, "same", True),
    (80, 8, 200, "mmap", 0x7F0000030000, 4096, 0, "pgoff_anon", "not_adjacent", True, False, "null", False),
    (90, 9, 300, "brk", 0x55550000, 135168, 7, "ok", "not_adjacent", False, False, None, False),
    (95, 9, 300, "mprotect", 0x55550000, 4096, 8, "not_adjacent", "ok", False, False, None, False),
    (99, 9, 300, "mmap", 0x7F0000040000, 4096, 0, "pgoff_file", "file", False, False, None, False),
]

# event, ts, vmas, anon_vmas, anon_pages, mapped_ptes, longest_list, overhead_bytes
TIMELINE = [
    (1, 1, 1, 0, 0, 0, 0, 24),
    (1_050, 2, 51, 5, 60, 61, 4, 1_344),
    (20_000, 3, 77, 4, 1_003, 1_100, 17, 1_944),
    (60_000, 4, 64, 3, 990, 1_001, 12, 1_608),
    (EVENTS, 5, 40, 2, 870, 880, 11, 1_008),
]

# pid, comm, parent, first_event, last_event, vmas_peak, anon_vmas_touched,
# faults, cow_copies, merges, refusals, walks_caused
PROCESSES = [
    (100, "server", None, 1, 92_855, 51, 2, 40_210, 12, 2, 3, 5, False),
    (200, HOSTILE, 100, 500, 90_000, 20, 2, 1_100, 3, 0, 5, 2, False),
    (300, "worker", 100, 600, 91_111, 20, 2, 2_222, 4, 2, 2, 3, False),
    (300, "worker again", 100, 91_112, 92_855, 5, 1, 15, 0, 0, 0, 0, False),
]

# anon_vma, pid, vmas_peak, pages_peak
MEMBERS = [(1, 100, 2, 1_200), (1, 200, 2, 3), (2, 100, 1, 7), (4, 300, 2, 3), (5, 300, 17, 33)]

# vma, pid, start, end, prot, flags, pgoff, file, anon_vma, from_event, to_event
VMA_SPANS = [
    (1, 100, 0x10000, 0x14000, 3, "VM_READ|VM_WRITE", 0x10, None, None, 1, 1_009),
    (1, 100, 0x10000, 0x14000, 3, "VM_READ|VM_WRITE", 0x10, None, 1, 1_010, EVENTS),
    (2, 100, 0x20000, 0x21000, 3, "VM_READ|VM_WRITE", 0x20, None, 2, 1_020, 2_019),
    (3, 100, 0x7F0000001000, 0x7F0000002000, 5, "VM_READ|VM_EXEC", 7, HOSTILE, None, 10, EVENTS),
    (4, 200, 0x10000, 0x14000, 3, "VM_READ|VM_WRITE", 0x10, None, 1, 500, 90_000),
    (5, 300, 0x40000, 0x41000, 3, "VM_READ|VM_WRITE", 0x40, None, 5, 1_050, EVENTS),
    (6, 300, 0x50000, 0x58000, 1, "VM_READ", 0, "/lib/a", None, 600, EVENTS),
    (7, 300, 0x58000, 0x59000, 3, "VM_READ|VM_WRITE", 8, "/lib/a", 4, 1_040, 31_039),
]

# severity, event, line, code, message
DIAGNOSTICS = [
    ("finding", 90_000, None, "unreachable-page", "the walk of page 0x40000 of pid 300 missed 1 mapping"),
    ("info", 5, 17, "unknown-frame", f"no page has frame 0x99 (comm {HOSTILE})"),
    ("info", 6, 18, "unknown-frame", "no page has frame 0x98"),
]


def hand_made_results(**changes: Any) -> ResultTables:
    """Return the results; keywords replace the rows of a table (`walks=[]`) or the `summary`."""
    rows = {
        "anon_vmas": ANON_VMAS,
        "walks": WALKS,
        "file_walks": FILE_WALKS,
        "merges": MERGES,
        "timeline": TIMELINE,
        "processes": PROCESSES,
        "members": MEMBERS,
        "vma_spans": VMA_SPANS,
        "diagnostics": DIAGNOSTICS,
    }
    summary = changes.pop("summary", None) or hand_made_summary()
    rows.update(changes)
    return ResultTables(summary, {name: _table(name, table) for name, table in rows.items()})


def hand_made_summary() -> dict[str, Any]:
    """Return the summary that belongs to the rows above; counted by hand."""
    summary = empty_summary()
    summary["trace"].update(
        path="traces/server.ftrace", format="ftrace", events=EVENTS, processes=4, span_ns=2_345_678_901
    )
    summary["vmas"].update(created=130, live=40, peak=77, splits=6)
    summary["anon_vmas"].update(allocated=5, freed=3, live=2, peak=5, longest_list=17)
    summary["pages"].update(
        allocated=1_351,
        freed=481,
        live=870,
        peak=1_003,
        cow_copies=19,
        cow_reuses=21,
        swapped_out=31,
        swapped_in=29,
    )
    summary["merges"].update(attempts=11, merged=4, refused_new=6)
    summary["merges"]["by_case"].update({"2": 2, "7": 1, "8": 1})
    summary["merges"]["refused"].update(flags=2, file=1, anon_diff=3, pgoff_anon=2, pgoff_file=1, prev_next=1)
    summary["reclaim"].update(
        pages=8,
        walks=10,
        vmas_visited=37,
        miss_rss=2,
        miss_range=16,
        miss_none=2,
        miss_swap=2,
        miss_other=5,
        hits=10,
        ptes_read=19,
        early_stops=6,
        unreachable=1,
        list_length_sum=58,
        activated=4,
        unmapped=3,
        locked_fail=1,
        young_fail=1,
        visited_per_walk={"mean": 3.7, "p50": 2, "p95": 17, "p99": 17, "max": 17},
    )
    summary["file_reclaim"].update(
        pages=3,
        walks=5,
        vmas_visited=10,
        miss_rss=1,
        miss_none=1,
        miss_other=1,
        hits=6,
        ptes_read=8,
        early_stops=2,
        list_length_sum=14,
        activated=2,
        unmapped=1,
        young_fail=1,
        visited_per_walk={"mean": 2.0, "p50": 1, "p95": 4, "p99": 4, "max": 4},
    )
    summary["locks"] = hand_made_locks()
    summary["baseline"] = {
        "vmas": {"created": 121, "live": 38, "peak": 71, "splits": 5, "mean": 52.25},
        "merges": {"attempts": 11, "merged": 8},
        "vmas_more": {"live": 2, "peak": 6, "mean": 3.5},
        "rule": "merge_pre_rmap39",
    }
    summary["validation"] = {
        "snapshots": 9,
        "compared": 8,
        "pages_equal": 8,
        "borders_equal": 3,
        "anon_pages_equal": 7,
        "anon_pages": 2_000,
        "anon_pages_missing": 1,
        "anon_pages_extra": 4,
    }
    summary["overhead_bytes"].update(i386=972, x86_64=1_944)
    summary["findings"].update(unreachable_pages=1, dangling_pages=0, bugs=0)
    summary["checked_events"] = 92_001
    summary["unmapped_faults"] = 3
    summary["extra"].update(anon_vmas_never_used=1, span_forced=2, invented_vmas=4, segv=6)
    return summary


def hand_made_locks() -> dict[str, Any]:
    """Return locks by operation: i_mmap_lock, page_table_lock before and with the patch, anon_vma->lock."""
    numbers = {
        "vma_link": (40, 60, 0, 2),
        "vma_adjust": (3, 10, 0, 4),
        "munmap": (0, 9, 9, 5),
        "stack_growth": (0, 1, 0, 1),
        "prepare": (0, 0, 5, 0),
        "fork": (20, 30, 30, 8),
        "exit": (55, 0, 0, 11),
        "walk": (0, None, 19, 10),
    }
    return {
        operation: {
            "before": {"i_mmap_lock": i_mmap, "page_table_lock": before},
            "after": {"i_mmap_lock": i_mmap, "page_table_lock": after, "anon_vma_lock": anon_vma},
        }
        for operation, (i_mmap, before, after, anon_vma) in numbers.items()
    }


def empty_results() -> ResultTables:
    """Return the results of a replay of nothing."""
    return ResultTables(empty_summary(), {})


def _table(name: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    schema = TABLES[name]
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    arrays = [pa.array(list(values), type=field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)
