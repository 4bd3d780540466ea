"""Checks of the replay's state: what they find, under which name, and that it is told once."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore
from anonvma_trace.replay.breaches import BREACH_FIELDS
from anonvma_trace.replay.checking import moves_something
from anonvma_trace.replay.examiner import Examiner
from anonvma_trace.replay.invariants import (
    BREACHES,
    DANGLING,
    FIRST_FINDING,
    INDEX,
    NO_ANON_VMA,
    UNREACHABLE,
)
from anonvma_trace.replay.layout import (
    PG_ACTIVE,
    PT_STRIDE,
    PT_USED,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    VM_SHARED,
    VM_WRITE,
)

from .comparison import Lockstep
from .core_state import CoreReplay, batch_of
from .naive_checks import findings
from .random_events import RULE_SETS, SETTINGS, random_rows
from .scenario_text import scenario_rows

# Interpreted, a check takes a tenth of a second.
SEEDS, ROWS = (range(2), 25) if numba.config.DISABLE_JIT else (range(30), 150)


def breach(row):
    """A row of breaches by the names of its fields."""
    return dict(zip(BREACH_FIELDS, row.tolist(), strict=True))


def invariants_broken(state, examiner):
    """The invariants that a check finds broken; findings count like violations here."""
    return {BREACHES[row[0]][0] for row in examiner.breaches(state, moved=False).tolist()}


def checked(scenario, every=1, **options):
    """Replay a scenario with checks; return summary and diagnostics."""
    core = ReplayCore(TraceMetadata(), options, check_every=every)
    core.feed(batch_of(scenario_rows(scenario)))
    summary, tables = core.finish()
    return summary, tables["diagnostics"].to_pylist() if "diagnostics" in tables else []


# ---- random traces: the same findings as the independent model, and no violation


def model_findings(model):
    """What the model finds, in the numbers that both sides know."""
    found = []
    for text in findings(model):
        invariant, numbers = text.split()[0], [int(n) for n in re.findall(r"-?\d+", text)[1:]]
        if invariant == "I11":
            page, index, _vma, expected = numbers
            numbers = [page, index, expected]
        elif invariant == "I4":
            numbers = numbers[:1]
        elif invariant == "I7":
            pid, _start, vpn = numbers
            numbers = [pid, vpn]
        found.append((invariant, *numbers))
    return sorted(found)


def core_findings(rows, state):
    found = []
    for row in map(breach, rows):
        pid = int(state.proc[row["proc"]].pid)
        numbers = {
            UNREACHABLE: (row["key"], pid, row["vpn"]),
            DANGLING: (row["key"],),
            NO_ANON_VMA: (pid, row["vpn"]),
            INDEX: (row["key"], row["a"], row["b"]),
        }[row["code"]]
        found.append((BREACHES[row["code"]][0].upper(), *numbers))
    return sorted(found)


def follow_both(seed, setting, rules=()):
    """Check core and model after each of some random events; return how many findings there were in all."""
    metadata, options = SETTINGS[setting]
    both = Lockstep(metadata, rules, **options)
    examiner, total = Examiner(layout_only=both.layout_only), 0
    for row in random_rows(seed, ROWS, file_reclaim=True):
        both.feed(row)
        core, state = both.core.core, both.core.core.state
        moved = moves_something(core.columns.read(batch_of([row])), 0, 1)
        rows = examiner.breaches(state, moved=moved)
        assert [breach(each) for each in rows if each[0] < FIRST_FINDING] == []
        found = core_findings(rows, state)
        assert found == ([] if both.layout_only else model_findings(both.model))
        assert (state.glob[0].lossy_merges == 0) == (both.model.counts["lossy_merges"] == 0)
        assert not found or state.glob[0].lossy_merges
        total += len(found)
    return total


def test_checks_agree_with_the_model_on_random_traces():
    totals = [follow_both(seed, list(SETTINGS)[seed % len(SETTINGS)]) for seed in SEEDS]
    assert numba.config.DISABLE_JIT or sum(total > 0 for total in totals) > 5  # traces with findings


@pytest.mark.compiled
@pytest.mark.parametrize("rules", RULE_SETS, ids=" ".join)
def test_checks_agree_with_the_model_under_the_rules(rules):
    totals = [follow_both(seed, "complete", rules) for seed in SEEDS[:6]]
    if {"fix_propagate", "propagate_all"} & set(rules) and "fix_move_merge" in rules:
        assert sum(totals) == 0  # both defects are mended


@pytest.mark.compiled
@pytest.mark.parametrize("rules", [(), *RULE_SETS], ids=" ".join)
@pytest.mark.parametrize("setting", SETTINGS)
def test_long_random_traces_break_no_invariant(setting, rules):
    metadata, options = SETTINGS[setting]
    core = ReplayCore(metadata, options, rules, check_every=1)
    core.feed(batch_of(random_rows(99, 3000, pages=200, pids=12, file_reclaim=True)))
    summary, tables = core.finish()
    errors = [row for row in tables["diagnostics"].to_pylist() if row["severity"] == "error"]
    assert errors == []
    assert (summary["violations"], summary["checked_events"]) == (0, 3000)


# ---- what is told


def test_a_finding_is_told_once_at_the_event_that_caused_it():
    # D1a: the shift at event 4 leaves page 11 on a list that does not lead to it.
    summary, diagnostics = checked("map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; w 10; r 13")
    assert [(row["event"], row["line"], row["severity"], row["code"]) for row in diagnostics] == [
        (4, 1, "finding", "vma-without-anon-vma"),
        (4, 1, "finding", "unreachable-pte"),
    ]
    assert "pid 1" in diagnostics[1]["message"] and "0xb000" in diagnostics[1]["message"]
    assert (summary["violations"], summary["checked_events"]) == (0, 6)


def test_a_finding_that_heals_and_comes_back_is_told_again():
    lost = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"
    healed = "prot 11 14 rw"  # case 7: page 11 is back in a vma of its anon_vma
    lost_again = "unmap 12 14; map 12 14 rwx; prot 12 14 r; prot 11 12 r"
    _, diagnostics = checked("; ".join((lost, healed, lost_again)))
    assert [row["event"] for row in diagnostics if row["code"] == "unreachable-pte"] == [4, 9]


def test_a_dangling_page_is_told():
    _, diagnostics = checked("map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; unmap 10 11")
    assert [(row["event"], row["code"]) for row in diagnostics][-1] == (5, "dangling-mapping")


def test_moved_pages_without_anon_vma_are_told():
    # D2a: the move back lands in a vma that was never written.
    _, diagnostics = checked("map 10 12 rw; w 10; move 10 12 50; map 8 10 rw; move 50 52 10")
    assert {(row["event"], row["code"]) for row in diagnostics} == {
        (5, "vma-without-anon-vma"),
        (5, "unreachable-pte"),
        (5, "dangling-mapping"),
    }


def test_a_page_at_the_wrong_index_is_told():
    # The vma of D1a passes for never written: its next move gives it a new pgoff, the page keeps its index.
    _, diagnostics = checked("map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; move 11 14 51")
    assert (5, "index-mismatch") in {(row["event"], row["code"]) for row in diagnostics}


def test_no_finding_is_left_out_however_many_there_are():
    pages = range(1000, 2500)  # more than one check has room for at first
    scenario = "map 10 4000 rw; prot 2500 4000 r; w " + ",".join(map(str, pages)) + "; prot 1000 2500 r"
    _, diagnostics = checked(scenario, every=10_000)
    unreachable = [row["message"] for row in diagnostics if row["code"] == "unreachable-pte"]
    assert [message.split()[5] for message in unreachable] == [hex(page << 12) for page in pages]
    assert [row["code"] for row in diagnostics].count("vma-without-anon-vma") == 1


def test_every_nth_event_and_the_last_are_checked():
    summary, diagnostics = checked(
        "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; w 10; r 13; r 12", every=3
    )
    assert summary["checked_events"] == 3
    assert {row["event"] for row in diagnostics} == {6}


@pytest.mark.compiled
def test_checks_leave_the_result_as_it_is():
    rows = batch_of(random_rows(11, 300))
    results = []
    for every in (0, 1, 7):
        core = ReplayCore(TraceMetadata(), {}, check_every=every)
        core.feed(rows)
        summary, tables = core.finish()
        summary.pop("violations"), summary.pop("checked_events")
        others = {name: table.to_pylist() for name, table in tables.items() if name != "diagnostics"}
        results.append((summary, others))
    assert results[0] == results[1] == results[2]


# ---- planted faults: the state of a running core, corrupted by hand

SCENARIO = """
map 10 14 rw; w 10,11; prot 12 13 r; map 20 22 rw shared file f 0; r 20; map 30 34 rw file f 4; r 30; w 31
fork m2; swap_out 11; m2: r 11; r 12; m2: w 10; map 40 42 rw; m2: map 50 52 rw; m2: w 50,51; unmap 41 42
fork m3; m3: exit; unmap 13 14
"""
MM, OTHER_MM = 1, 2


class Planter:
    """A running core and where things are in it."""

    def __init__(self):
        core = CoreReplay()
        core.feed(*scenario_rows(SCENARIO))
        self.state = core.core.state
        self.examiner = Examiner()
        assert invariants_broken(self.state, self.examiner) == set()

    def vma(self, vpn, mm=MM):
        row = self.state.mm[mm].first
        while self.state.vma[row].end <= vpn:
            row = self.state.vma[row].next
        return self.state.vma[row]

    def vma_row(self, vpn, mm=MM):
        rows = np.flatnonzero((self.state.vma.array["mm"] == mm) & (self.state.vma.array["start"] <= vpn))
        return int(max(rows, key=lambda row: self.state.vma[row].start))

    def leaf(self, mm=MM):
        """Where the entries of the first 512 pages begin."""
        assert self.state.mm[mm].pt_height == 1
        return int(self.state.mm[mm].pgd) * PT_STRIDE

    def pte(self, vpn, mm=MM):
        return int(self.state.pt[self.leaf(mm) + vpn])

    def set_pte(self, vpn, pte, mm=MM):
        used = self.leaf(mm) + PT_USED
        self.state.pt[used] += (pte != 0) - (self.pte(vpn, mm) != 0)
        self.state.pt[self.leaf(mm) + vpn] = pte

    def page(self, vpn, mm=MM):
        return self.state.page[self.pte(vpn, mm) >> PTE_SHIFT]

    def anon_vma(self, vpn, mm=MM):
        return self.state.rmap.anon_vma[self.vma(vpn, mm).anon_vma]


def add(record, field, change):
    record[field] += change


FAULTS = {
    # I1: the page's index is off
    "index of a page": ("i1", lambda p: add(p.page(10), "index", 1)),
    "mapping of a page": ("i1", lambda p: setattr(p.page(31), "mapping", p.page(50, OTHER_MM).mapping)),
    # I2
    "rss": ("i2", lambda p: add(p.state.mm[MM], "rss", 1)),
    "mapcount too high": ("i2", lambda p: add(p.page(10), "mapcount", 1)),
    "mapcount of a file page": ("i2", lambda p: add(p.page(20), "mapcount", -1)),
    "forgotten pte": ("i2", lambda p: p.set_pte(31, 0)),
    # I3
    "vma off its list": ("i3", lambda p: setattr(p.anon_vma(10), "head", p.vma_row(10, OTHER_MM))),
    "list that runs in a circle": ("i3", lambda p: setattr(p.vma(10), "anon_next", p.anon_vma(10).head)),
    "list that leads nowhere": ("i3", lambda p: setattr(p.vma(10), "anon_next", 1 << 40)),
    "list without a way back": ("i3", lambda p: setattr(p.vma(10), "anon_prev", 0)),
    "empty anon_vma": ("i3", lambda p: setattr(p.anon_vma(50, OTHER_MM), "head", 0)),
    "length of a list": ("i3", lambda p: add(p.anon_vma(10), "n_vmas", 1)),
    "anon_vma of a vma out of range": ("i3", lambda p: setattr(p.vma(40), "anon_vma", 1 << 40)),
    # I4
    "dangling row": ("i4", lambda p: setattr(p.page(10), "mapping_id", 99)),
    "mapping of a mapped page gone": ("i4", lambda p: setattr(p.page(10), "mapping", 0)),
    # I5
    "overlapping vmas": ("i5", lambda p: setattr(p.vma(10), "end", 13)),
    "empty vma": ("i5", lambda p: setattr(p.vma(40), "end", 40)),
    "pte outside every vma": ("i5", lambda p: p.set_pte(45, p.pte(10, OTHER_MM))),
    # I6
    "pgoff": ("i6", lambda p: add(p.vma(40), "pgoff", 1)),
    # I7
    "vma without its anon_vma": ("i7", lambda p: setattr(p.vma(30), "anon_vma", 0)),
    # I8
    "page mapped twice": ("i8", lambda p: p.set_pte(12, p.pte(10) & ~PTE_WRITE)),
    # I9
    "shared vma with an anon_vma": ("i9", lambda p: setattr(p.vma(20), "anon_vma", p.vma(10).anon_vma)),
    "private vma that becomes shared": ("i9", lambda p: add(p.vma(10), "vm_flags", VM_SHARED)),
    "file page at another place": ("i9", lambda p: add(p.page(30), "index", 1)),
    # I10
    "slot map": ("i10", lambda p: add(p.state.slot[1], "map", 1)),
    "slot without its page": ("i10", lambda p: setattr(p.state.slot[1], "page", 0)),
    # I11
    "index by the vma": ("i11", lambda p: add(p.vma(10), "pgoff", 1)),
    # the tables
    "row 0": ("null-rows", lambda p: setattr(p.state.vma[0], "anon_next", 3)),
    "block 0": ("null-rows", lambda p: setattr_item(p.state.pt, 5, 8)),
    "vma list out of order": ("vma-order", lambda p: setattr(p.state.mm[MM], "first", p.vma(20).prev)),
    "vma list that leads nowhere": ("vma-order", lambda p: setattr(p.vma(20), "next", -1)),
    "vma without a way back": ("vma-order", lambda p: setattr(p.vma(20), "prev", 0)),
    "number of vmas": ("vma-order", lambda p: add(p.state.mm[MM], "n_vmas", -1)),
    "tree order": ("vma-tree", lambda p: swap(p.state.vma[p.state.mm[MM].root], "left", "right")),
    "tree without a branch": ("vma-tree", lambda p: setattr(p.state.vma[p.state.mm[MM].root], "right", 0)),
    "mmap_cache": ("vma-tree", lambda p: setattr(p.state.mm[MM], "mmap_cache", p.vma_row(50, OTHER_MM))),
    "page-table count": ("page-tables", lambda p: add_item(p.state.pt, p.leaf() + PT_USED, 1)),
    "number of blocks": ("page-tables", lambda p: add(p.state.mm[MM], "n_blocks", 1)),
    "remembered leaf": ("page-tables", lambda p: add(p.state.mm[MM], "leaf_block", 1)),
    "pte of two kinds": ("page-tables", lambda p: p.set_pte(10, p.pte(10) | PTE_SWAP)),
    "pte of a free page": ("page-tables", lambda p: p.set_pte(10, (999_999 << PTE_SHIFT) | PTE_PRESENT)),
    "block shared by two mms": ("page-tables", lambda p: setattr(p.state.mm[MM], "pgd", p.state.mm[2].pgd)),
    "free list": ("free-lists", lambda p: setattr(p.state.glob[0], "vma_free", p.vma_row(10))),
    "free list too short": ("free-lists", lambda p: setattr(p.state.glob[0], "vma_free", 0)),
    "lost block": ("free-lists", lambda p: add(p.state.glob[0], "block_top", 1)),
    "top of a table": ("free-lists", lambda p: setattr(p.state.glob[0], "page_top", 1 << 40)),
    "LRU link": ("lru", lambda p: setattr(p.state.page[p.state.glob[0].active_head], "lru_next", 0)),
    "LRU way back": ("lru", lambda p: setattr(p.state.page[p.state.glob[0].active_tail], "lru_prev", 0)),
    "active flag": ("lru", lambda p: add(p.page(10), "pg_flags", -PG_ACTIVE)),
    "writable shared page": ("protection", lambda p: p.set_pte(31, p.pte(31) | PTE_WRITE)),
    "writable page in a vma that is not": (
        "protection",
        lambda p: add(p.vma(50, OTHER_MM), "vm_flags", -VM_WRITE),
    ),
    "users of an mm": ("processes", lambda p: add(p.state.mm[MM], "users", 1)),
    "mm of a process": ("processes", lambda p: setattr(p.state.proc[1], "mm", 9)),
    "owner of an mm": ("processes", lambda p: setattr(p.state.mm[MM], "owner", 1 << 40)),
    "member of a vma": ("members", lambda p: setattr(p.vma(10), "member", p.vma(30).member)),
    "vmas of a member": ("members", lambda p: add(p.state.rmap.member[p.vma(10).member], "vmas", 1)),
    "pages of a member": ("members", lambda p: add(p.state.rmap.member[p.vma(10).member], "pages", 1)),
    "hash of file pages": ("hashes", lambda p: clear_ints(p, "file")),
    "hash of members": ("hashes", lambda p: clear_ints(p, "member")),
    "hash of pids": ("hashes", lambda p: clear_ints(p, "pid")),
    "count of pids": ("hashes", lambda p: add(p.state.glob[0], "pid_used", 1)),
    "count of frames": ("hashes", lambda p: add(p.state.glob[0], "frame_used", 1)),
    "vmas_live": ("figures", lambda p: add(p.state.glob[0], "vmas_live", 1)),
    "mapped_ptes": ("figures", lambda p: add(p.state.glob[0], "mapped_ptes", -1)),
    "pages_freed": ("figures", lambda p: add(p.state.glob[0], "pages_freed", 1)),
    "n_pages of an anon_vma": ("figures", lambda p: add(p.anon_vma(10), "n_pages", 1)),
    "longest_now": ("figures", lambda p: add(p.state.glob[0], "longest_now", 1)),
    "histogram of lengths": (
        "figures",
        lambda p: add_item(p.state.ints, p.state.glob[0].lengths_base + 2, 1),
    ),
    "visits": ("figures", lambda p: add(p.state.glob[0], "vmas_visited", 1)),
}
"""What is done to the state, and an invariant under which a check must then report."""


def setattr_item(table, at, value):
    table[at] = value


def add_item(table, at, change):
    table[at] += change


def swap(record, one, other):
    record[one], record[other] = int(record[other]), int(record[one])


def clear_ints(planter, part):
    glob = planter.state.glob[0]
    words = {"pid": 3, "file": 1, "member": 1}[part] * (int(glob[f"{part}_mask"]) + 1)
    planter.state.ints.array[glob[f"{part}_base"] : glob[f"{part}_base"] + words] = 0


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name):
    invariant, plant = FAULTS[name]
    planter = Planter()
    plant(planter)
    assert invariant in invariants_broken(planter.state, planter.examiner)
