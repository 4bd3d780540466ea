"""Faults replayed in runs give state, figures and tables of faults replayed one by one, and the state of the model."""

from __future__ import annotations

import random

import numba
import numpy as np
import pytest

from anonvma_trace.events import (
    MADV_DONTNEED,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    TraceMetadata,
)
from anonvma_trace.replay import ReplayCore

from .comparison import LOGS, TABLES, Lockstep
from .core_state import CoreReplay
from .generated import HEAP, events, fault_heavy, first_rows, fork_family, map_anonymous, to_batches
from .random_events import CHOICES, PAGE, random_rows
from .scenario_text import scenario_rows

SEEDS = range(3) if numba.config.DISABLE_JIT else range(8)
SCHEMES = [(scheme, rules) for scheme, rule_sets in CHOICES.items() for rules in dict.fromkeys(rule_sets)]
FIRST_AREA, AREA_PAGES = 480, 40  # pages; the border of two page-table blocks is inside the first area
AT_WORK = {  # what happens to an area -> how often
    "write_fault": 2,
    "read_fault": 4,
    "swap_out": 1,
    "referenced": 1,
    "map": 4,
    "fork": 4,
    "forget": 3,
    "protect": 1,
    "move": 1,
    "scan": 1,
}
CLONE_VM = 0x100
FAR = 1 << 40


def core_replay(runs=True, rules=(), scheme="anon_vma", **options):
    """Return a core that samples no timeline (at the start of a trace each event is sampled, and ends a run)."""
    replay = CoreReplay(None, rules, scheme, **options)
    glob = replay.core.state.glob[0]
    glob.runs, glob.next_sample = runs, FAR
    return replay


def figures(replay):
    """Return all that the core's one record holds, but for what tells of runs, and of room that was asked for."""
    glob = replay.core.state.glob.array[0]
    names = [name for name in glob.dtype.names if not name.endswith("_need") and "runs" not in name]
    return {name: int(glob[name]) for name in names}


def rows_with_bursts(seed, n):
    """Return random rows, and many bursts of writes to memory that forks, advice and reclaim made fit for them."""
    chance = random.Random(seed)
    rows = random_rows(seed, n // 4, pages=32, pids=3)
    new = {"op": "mmap", "pid": 1, "prot": 3, "flags": MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}
    rows.append(new | {"addr": FIRST_AREA * PAGE, "len": AREA_PAGES * PAGE})
    rows += _burst(chance, "write_fault", 1, FIRST_AREA)
    for _ in range(n):
        rows += _area_at_work(chance)
    return [row | {"ts": 5 * number} for number, row in enumerate(rows, 1)]


def _area_at_work(chance):
    """Yield what happens to one area of one process: all have their areas at the same places."""
    pid, area = chance.randint(1, 4), FIRST_AREA + 64 * chance.randrange(3)
    part = {"pid": pid, "addr": (area + chance.randrange(20)) * PAGE, "len": chance.randint(1, 20) * PAGE}
    whole = part | {"addr": area * PAGE, "len": AREA_PAGES * PAGE}
    kind = chance.choices(*zip(*AT_WORK.items(), strict=True))[0]
    if kind == "map":
        flags = chance.choice([MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED]) | MAP_FIXED
        yield (
            whole
            | {"op": "mmap", "prot": 3}
            | (
                {"flags": flags, "file": "a", "pgoff": 3}
                if chance.random() < 0.3
                else {"flags": flags | MAP_ANONYMOUS}
            )
        )
    elif kind == "fork":
        child = pid % 4 + 1
        yield {"op": "fork", "pid": pid, "child": child, "flags": chance.choice([0, 0, 0, CLONE_VM])}
        yield from _burst(chance, "write_fault", child, area)
    elif kind == "forget":
        yield whole | {"op": "madvise", "flags": MADV_DONTNEED}
    elif kind == "protect":
        yield part | {"op": "mprotect", "prot": chance.choice([1, 3])}
    elif kind == "move":
        yield part | {"op": "mremap", "new_addr": (area + 30) * PAGE, "flags": MREMAP_MAYMOVE | MREMAP_FIXED}
    elif kind == "scan":
        yield {"op": "scan", "pid": pid, "len": chance.randint(1, 20)}
    op = kind if kind in ("read_fault", "swap_out", "referenced") else "write_fault"
    yield from _burst(chance, op, pid, area)


def _burst(chance, op, pid, area):
    page, frames = chance.randrange(AREA_PAGES), chance.random() < 0.3
    for _ in range(chance.randint(10, 40)):
        row = {"op": op, "pid": pid, "addr": (area + page) * PAGE}
        if chance.random() < 0.05:
            row["comm"] = chance.choice("xyz")
        if frames and op == "write_fault":
            row["frame"] = chance.randrange(12)
        yield row
        page = (page + 1) % AREA_PAGES if chance.random() < 0.95 else chance.randrange(AREA_PAGES)


@pytest.mark.parametrize(("scheme", "rules"), SCHEMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_runs_equal_faults_one_by_one_and_the_model(seed, scheme, rules):
    rows = rows_with_bursts(seed, 40)
    options = {"reuse": "modern"} if seed % 3 == 2 and scheme == "anon_vma" else {}
    single = core_replay(runs=False, rules=rules, scheme=scheme, **options)
    both = Lockstep(rules=rules, scheme=scheme, core=core_replay(rules=rules, scheme=scheme, **options))
    for begin in range(0, len(rows), 150):
        both.feed(*rows[begin : begin + 150])
        single.feed(*rows[begin : begin + 150])
        both.compare_state()
        assert both.core.state() == single.state()
        assert figures(both.core) == figures(single)
    faults_in_runs = both.core.core.state.glob[0].faults_in_runs
    assert single.core.state.glob[0].faults_in_runs == 0
    assert faults_in_runs > 20
    for name in (*LOGS, *TABLES):
        assert both.core.rows(name) == single.rows(name), name
    assert both.core.summary() == single.summary()


NOT_PLAIN = {  # in page 2 of each a fault that looks like a copy of a shared page and is none
    "a page of a file that two map": "map 2 9 rw file a 0; w 5; r 2,3; fork m2; w 4,2,3; m2: w 4,2,3",
    "a swap entry with the number of a page that two map": "map 12 15 rw; w 12,13; fork m2;"
    " map 2 9 rw; w 2,3; swap_out 2; w 4,2,5",
    "a page of its own": "map 2 9 rw; w 2,3,4; fork m2; m2: exit; w 5,2,3",
    "the zero page": "map 2 9 rw; w 5; r 2,3; fork m2; w 6,2,3; m2: w 6,2,3",
    "a page that may be written already": "map 2 9 rw; w 2,3; w 4,2,5",
}


@pytest.mark.parametrize("scheme", CHOICES)
@pytest.mark.parametrize("text", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_ends_a_run(text, scheme):
    rows = scenario_rows(text)
    single = core_replay(runs=False, scheme=scheme)
    both = Lockstep(scheme=scheme, core=core_replay(scheme=scheme))
    both.feed(*rows)
    single.feed(*rows)
    both.compare_state()
    assert both.core.state() == single.state()
    assert figures(both.core) == figures(single)


@pytest.mark.parametrize("scheme", CHOICES)
def test_long_runs_equal_faults_one_by_one(scheme):
    n = 300 if numba.config.DISABLE_JIT else 120_000
    for batches in (to_batches(fork_family(8, 30)), first_rows(fault_heavy(n), n)):
        cores = [ReplayCore(TraceMetadata(), scheme=scheme) for _ in range(2)]
        for core, runs in zip(cores, (1, 0), strict=True):
            core.state.glob[0].runs = runs
            for batch in batches:
                core.feed(batch)
        (summary, tables), (expected, others) = (core.finish() for core in cores)
        assert summary == expected
        assert set(tables) == set(others)
        assert all(tables[name].equals(others[name]) for name in tables)


@pytest.mark.compiled
def test_most_faults_of_a_load_of_faults_are_in_runs():
    core = ReplayCore(TraceMetadata())
    for batch in fault_heavy(200_000):
        core.feed(batch)
    assert core.state.glob[0].faults_in_runs > 0.8 * core.events


def test_a_run_ends_where_there_is_no_room_and_goes_on_in_the_larger_table():
    n = 20_000 if not numba.config.DISABLE_JIT else 100
    core = ReplayCore(TraceMetadata())
    core.state.glob[0].next_sample = FAR
    rows = [map_anonymous(1, HEAP, n), events("write_fault", 1, HEAP + np.arange(n))]
    for batch in to_batches(np.concatenate(rows)):
        core.feed(batch)
    assert core.finish()[0]["pages"]["allocated"] == n
