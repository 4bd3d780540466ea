"""The plain Python opponent of the benchmarks does what the core does, row by row, and nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from anonvma_trace.events import CLONE_VM, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PAGE_SIZE, TraceMetadata
from anonvma_trace.replay import ReplayCore
from benchmarks.plain import NotInTheLoad, PlainReplay, columns_of
from tests.replay import generated
from tests.replay.generated import HEAP, READ_WRITE, events, map_anonymous, to_batches

SUMMARY = ("vmas", "anon_vmas", "pages", "merges", "reclaim", "overhead_bytes", "unmapped_faults")
EXTRA = ("anon_vmas_never_used", "segv")
COLUMNS = {
    "anon_vmas": "anon_vma allocated_event allocated_ts allocated_by pid freed_event freed_ts peak_vmas "
    "peak_pages pages_ever walks vmas_visited",
    "merges": "event ts pid op addr len case left right left_new right_new pgoff_anon_vma self",
    "walks": "event ts pid addr anon_vma purpose mapcount list_length vmas_visited miss_rss miss_range "
    "miss_none miss_swap miss_other hits unreachable early_stop outcome",
    "vma_spans": "vma pid start end prot flags pgoff anon_vma from_event to_event",
    "members": "anon_vma pid vmas_peak pages_peak",
    "processes": "pid parent first_event last_event vmas_peak anon_vmas_touched faults cow_copies merges "
    "refusals walks_caused",
}
IN_PAGES = ("addr", "len", "start", "end")


def replays(batches):
    core = ReplayCore(TraceMetadata())
    for batch in batches:
        core.feed(batch)
    plain = PlainReplay(columns_of(batches))
    return core.finish(), (plain.run(), plain.state)


def rows_of(table, name):
    """Return rows of the core with pages in place of bytes, in an order of their own."""
    columns = [table[column].to_pylist() for column in COLUMNS[name].split()]
    for at, column in enumerate(COLUMNS[name].split()):
        if column in IN_PAGES:
            columns[at] = [value // PAGE_SIZE for value in columns[at]]
    return sorted(zip(*columns, strict=True), key=repr)


def plain_rows(rows, name):
    if name == "vma_spans":  # flags of the plain version are bits
        rows = [(*row[:4], row[4] & 7, "ACCOUNT" if row[4] & 8 else "", *row[5:]) for row in rows]
    return sorted(rows, key=repr)


def require_equal(batches):
    (summary, tables), (found, state) = replays(batches)
    assert {part: found[part] for part in SUMMARY} == {part: summary[part] for part in SUMMARY}
    assert found["extra"] == {name: summary["extra"][name] for name in EXTRA}
    for name in COLUMNS:
        assert plain_rows(state.tables[name], name) == rows_of(tables[name], name), name
    samples = {row[0]: row for row in state.tables["timeline"]}
    told = {row["event"]: tuple(row.values()) for row in tables["timeline"].to_pylist()}
    assert {event: samples[event] for event in told if event in samples} == {
        event: row for event, row in told.items() if event in samples
    }
    assert {row[0] for row in state.peak_samples.values()} <= told.keys()
    return summary


def test_fault_heavy_load_gives_every_row_and_figure_of_the_core(monkeypatch):
    small = {"ROUND_PAGES": 80, "KEPT_CHILDREN": 3, "CALL_PAIRS": 12, "ROUND_WALKS": 20, "BASE_PAGES": 8}
    for name, value in small.items():
        monkeypatch.setattr(generated, name, value)
    summary = require_equal(list(generated.fault_heavy(2500, families=2)))
    # All that the load is made of has happened: exits free lists, pieces merge again, walks end early.
    assert summary["anon_vmas"]["freed"] > 5
    assert summary["merges"]["by_case"]["6"] > 50
    assert summary["pages"]["cow_copies"] > 500
    assert summary["reclaim"]["early_stops"] > 10


def random_rows(seed, calls=400, room=12):
    """Return calls of the load's operations, so close to one another that they meet."""
    rng = np.random.default_rng(seed)
    living, born, rows = [1], 1, [map_anonymous(1, HEAP, 4)]
    for _ in range(calls):
        pid, page = rng.choice(living), HEAP + rng.integers(room)
        pages, prot = rng.integers(1, 6), rng.choice([1, 3, 3, 7])
        kind = rng.choice(7, p=[0.15, 0.08, 0.17, 0.4, 0.12, 0.05, 0.03])
        if kind == 0:
            rows.append(map_anonymous(pid, page, pages, prot))
        elif kind == 1:
            rows.append(events("munmap", pid, page, pages))
        elif kind == 2:
            rows.append(events("mprotect", pid, page, pages, prot=prot))
        elif kind == 3:
            rows.append(events("write_fault", pid, page))
        elif kind == 4:
            rows.append(events("referenced", pid, page))
        elif kind == 5:
            born += 1
            living.append(born)
            rows.append(events("fork", pid, child=born, flags=0))
        elif len(living) > 1:
            living.remove(pid)
            rows.append(events("exit", pid))
    return np.concatenate(rows)


def test_any_order_of_its_operations_gives_every_row_of_the_core():
    met = Counter()
    for seed in range(16):
        summary = require_equal(to_batches(random_rows(seed)))
        for figures in (summary["merges"]["by_case"], summary["merges"]["refused"], summary["reclaim"]):
            met.update({name: count for name, count in figures.items() if name != "visited_per_walk"})
    # No operation of the load leads there.
    never = {"special", "policy", "file", "close_op", "pgoff_anon", "pgoff_file", "cloned"}
    never |= {"pages", "activated", "unmapped", "locked_fail", "young_fail", "miss_swap"}
    assert {name for name, count in met.items() if not count} == never


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (events("read_fault", 1, HEAP), "read_fault"),
        (events("mremap", 1, HEAP, 1, new_page=HEAP + 8, flags=1), "new_addr"),
        (events("madvise", 1, HEAP, 1, flags=4), "madvise"),
        (events("scan", 1, HEAP, 1), "scan"),
        (events("mmap", 1, HEAP, 1, prot=READ_WRITE, flags=MAP_SHARED | MAP_ANONYMOUS), "33"),
        (events("mmap", 1, HEAP, 1, prot=READ_WRITE, flags=MAP_PRIVATE | MAP_ANONYMOUS | 0x2000), "8226"),
        (events("mmap", 1, HEAP, 1, flags=MAP_PRIVATE | MAP_ANONYMOUS), "None"),
        (events("munmap", 1, HEAP, 0), "pages 65536 to 65536"),
        (events("munmap", 1), "null"),
        (events("fork", 1, child=2, flags=CLONE_VM), "256"),
        (events("fork", 1, child=1, flags=0), r"\(1, 0\)"),
        (events("exit", 2), "2"),
        (events("referenced", 2, HEAP), "2"),
    ],
)
def test_what_the_load_does_not_have_is_an_error_that_names_it(row, found):
    with pytest.raises(NotInTheLoad, match=f"expected .*, found .*{found}|{found}.*expected"):
        PlainReplay(columns_of(to_batches(np.concatenate([map_anonymous(1, HEAP, 4), row])))).run()
