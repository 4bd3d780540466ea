"""A hypothesis state machine sends random events to the core and to the slow model and compares after each.

At least `STEPS` events, always the same ones. More, and others: `python -m tests.replay.long_run --help`.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from anonvma_trace.replay import SCHEMES

from .comparison import Lockstep
from .narration import statement_of
from .random_events import ADVICE, CHOICES, FILE_MOTIF_ROWS, FILES, FRAMES, MOTIF_ROWS, PAGE, SETTINGS

STEPS = 10_000
LOW, HIGH = 16, 64  # pages in use: few, so that everything collides

PIDS = st.sampled_from([1, 1, 1, 2, 2, 3])
LENGTHS = st.integers(1, 8)
STARTS = st.integers(LOW, HIGH - 8)
PROTS = st.sampled_from([3, 3, 3, 3, 1, 1, 7, 0, 5])
PARTS = st.tuples(st.integers(0, 7), st.integers(0, 6))
SIDES = st.sampled_from(["below", "above"])
MAP_FLAGS = st.sampled_from([0x22] * 12 + [0x122, 0x2022, 0x4022, 0x32])
FILE_NAMES = st.sampled_from(FILES)
NAMED = st.sampled_from(
    [("referenced",), ("reclaim", "reclaim"), ("referenced", "try_unmap"), ("try_unmap",), ("swap_out",)]
)
STANDING = st.sampled_from(
    [
        {"flags": 0x22},
        {"flags": 0x122},
        {"flags": 0x21},
        {"flags": 0x02, "file": "a", "pgoff": 20},
        {"flags": 0x01, "file": "b", "pgoff": 20},
        {"flags": 0x22, "file": "[vdso]"},
    ]
)


class Range(NamedTuple):
    """Pages that were mapped once, of a file or not."""

    pid: int
    start: int
    end: int
    file: str | None = None
    pgoff: int = 0

    def part(self, part):
        """Return (first, one past the last) of some of its pages, of all where `part` has no length."""
        offset, length = part
        first = self.start + offset % (self.end - self.start)
        return (first, min(first + length, self.end)) if length else (self.start, self.end)

    def beside(self, side, length):
        """Return (first, one past the last) of pages that touch it."""
        first = max(self.start - length, LOW - 8) if side == "below" else self.end
        return first, first + length


class ReplayMachine(RuleBasedStateMachine):
    """Events on ranges that were mapped once, so that most of them hit something.

    Nothing ends a range: what unmaps it leaves it to be hit as a hole, or as whatever comes there afterwards.
    """

    scheme = "anon_vma"
    steps = 0  # of all machines of a run
    after = None  # called with the model of each machine at its end

    ranges = Bundle("ranges")
    file_ranges = Bundle("file_ranges")

    @initialize(
        target=ranges,
        setting=st.sampled_from(list(SETTINGS)),
        choice=st.integers(0, 9),
        written=st.lists(st.integers(24, 39), max_size=4),
    )
    def begin(self, setting, choice, written):
        metadata, options = SETTINGS[setting]
        rules = CHOICES[self.scheme][choice % len(CHOICES[self.scheme])]
        note(f"scheme {self.scheme}, metadata {setting}, rules {rules}")
        self.both = Lockstep(metadata, rules, scheme=self.scheme, **options)
        self.sound = True
        self.act("mmap", 1, (24, 40), prot=3, flags=0x22)
        for page in written:
            self.act("write_fault", 1, page)
        return Range(1, 24, 40)

    def teardown(self):
        if getattr(self, "sound", False):
            self.both.compare_results()
            assert self.both.model.violations() == []
            if self.after:
                self.after(self.both.model)

    def act(self, op, pid, pages=None, **columns):
        """Send an event; `pages` is (first, one past the last), or the one page of a fault."""
        row = {"pid": pid, "op": op}
        if isinstance(pages, tuple):
            row |= {"addr": pages[0] * PAGE, "len": (pages[1] - pages[0]) * PAGE}
        elif pages is not None:
            row["addr"] = pages * PAGE
        self.send(row | columns)

    def send(self, row):
        note(statement_of(row))
        type(self).steps += 1
        self.sound = False
        self.both.step(row | {"ts": self.both.model.event + 1})
        self.sound = True

    # ---- mappings appear

    @rule(target=ranges, pid=PIDS, start=STARTS, length=LENGTHS, prot=PROTS, flags=MAP_FLAGS)
    def map(self, pid, start, length, prot, flags):
        self.act("mmap", pid, (start, start + length), prot=prot, flags=flags)
        return Range(pid, start, start + length)

    @rule(target=ranges, where=ranges, side=SIDES, length=LENGTHS, prot=PROTS, flags=MAP_FLAGS)
    def map_beside(self, where, side, length, prot, flags):
        pages = where.beside(side, length)
        self.act("mmap", where.pid, pages, prot=prot, flags=flags)
        return Range(where.pid, *pages)

    @rule(
        targets=(ranges, file_ranges), where=ranges, side=SIDES, length=LENGTHS, prot=PROTS, file=FILE_NAMES
    )
    def map_file_beside(self, where, side, length, prot, file):
        """A private mapping whose offset goes with its address, so that neighbours fit."""
        start, end = where.beside(side, length)
        self.act("mmap", where.pid, (start, end), prot=prot, flags=0x02, file=file, pgoff=start)
        return Range(where.pid, start, end, file, start)

    @rule(
        targets=(ranges, file_ranges),
        pid=PIDS,
        start=STARTS,
        length=LENGTHS,
        prot=PROTS,
        flags=st.sampled_from([0x02, 0x02, 0x01, 0x03]),
        file=FILE_NAMES,
        pgoff=st.integers(LOW, LOW + 12),
    )
    def map_file(self, pid, start, length, prot, flags, file, pgoff):
        self.act("mmap", pid, (start, start + length), prot=prot, flags=flags, file=file, pgoff=pgoff)
        return Range(pid, start, start + length, file, pgoff)

    @rule(target=ranges, pid=PIDS, start=STARTS, length=LENGTHS, prot=PROTS)
    def map_shared_anonymous(self, pid, start, length, prot):
        self.act("mmap", pid, (start, start + length), prot=prot, flags=0x21)
        return Range(pid, start, start + length)

    @rule(target=ranges, pid=PIDS, start=STARTS, length=LENGTHS, prot=PROTS, columns=STANDING)
    def stand(self, pid, start, length, prot, columns):
        self.act("vma", pid, (start, start + length), prot=prot, **columns)
        return Range(pid, start, start + length)

    @rule(target=ranges, pid=PIDS, page=st.integers(40, 56))
    def brk(self, pid, page):
        self.act("brk", pid, page)
        return Range(pid, 40, max(page, 41))

    # ---- they change

    @rule(where=ranges, part=PARTS)
    def unmap(self, where, part):
        self.act("munmap", where.pid, where.part(part))

    @rule(where=ranges, part=PARTS, prot=PROTS)
    def protect(self, where, part, prot):
        self.act("mprotect", where.pid, where.part(part), prot=prot)

    @rule(where=ranges, pieces=st.lists(st.tuples(PARTS, PROTS), min_size=2, max_size=4))
    def protect_pieces(self, where, pieces):
        """Several pieces and then all: borders shift, and the pieces may be joined again."""
        for part, prot in pieces:
            self.act("mprotect", where.pid, where.part(part), prot=prot)
        self.act("mprotect", where.pid, (where.start - 2, where.end + 2), prot=pieces[0][1])

    @rule(target=ranges, where=ranges, part=PARTS, to=STARTS, grow=st.sampled_from([0, 0, 0, 0, 2, -1]))
    def move(self, where, part, to, grow):
        return self._move(where.pid, *where.part(part), to, grow)

    @rule(target=ranges, where=ranges, beside=ranges, side=SIDES)
    def move_beside(self, where, beside, side):
        pid, start, end, *_ = where
        return self._move(pid, start, end, beside.beside(side, end - start)[0], 0)

    @rule(target=ranges, where=ranges, part=PARTS, to=STARTS, dontunmap=st.booleans())
    def move_there_and_back(self, where, part, to, dontunmap):
        """Anonymous pages fit at home only, so that random moves seldom end in a merge."""
        start, end = where.part(part)
        if self._apart(start, end, to, to + end - start):
            self._move(where.pid, start, end, to, 0, flags=7 if dontunmap else 3)
            self._move(where.pid, to, to + end - start, start, 0)
        return where

    def _move(self, pid, start, end, to, grow, flags=3):
        new_end = to + max(end - start + grow, 1)
        if self._apart(start, end, to, new_end):
            new = {"new_addr": to * PAGE, "new_len": (new_end - to) * PAGE}
            self.act("mremap", pid, (start, end), flags=flags, **new)
        return Range(pid, to, new_end)

    @staticmethod
    def _apart(start, end, to, new_end):
        return new_end <= start or end <= to

    @rule(target=ranges, where=ranges, change=st.integers(-3, 4))
    def resize(self, where, change):
        new_end = max(where.end + change, where.start + 1)
        new_len = (new_end - where.start) * PAGE
        self.act("mremap", where.pid, (where.start, where.end), flags=1, new_len=new_len)
        return Range(where.pid, where.start, new_end)

    @rule(where=ranges, part=PARTS, advice=st.sampled_from([advice for advice, _ in ADVICE]))
    def advise(self, where, part, advice):
        self.act("madvise", where.pid, where.part(part), flags=advice)

    @rule(where=ranges, part=PARTS, op=st.sampled_from(["mlock", "munlock"]))
    def lock(self, where, part, op):
        self.act(op, where.pid, where.part(part))

    # ---- processes

    @rule(target=ranges, where=ranges, child=st.integers(1, 4), share=st.sampled_from([0, 0, 0, 0, 0x100]))
    def fork(self, where, child, share):
        self.act("fork", where.pid, child=child, flags=share)
        return multiple(where._replace(pid=child), where._replace(pid=child))

    @rule(pid=st.integers(1, 4), op=st.sampled_from(["exec", "exit", "exit"]))
    def end(self, pid, op):
        self.act(op, pid)

    # ---- accesses

    @rule(where=ranges, part=PARTS)
    def write(self, where, part):
        start, end = where.part(part)
        for page in range(start, min(end, start + 3)):
            self.act("write_fault", where.pid, page)

    @rule(where=ranges, part=PARTS)
    def read(self, where, part):
        self.act("read_fault", where.pid, where.part(part)[0])

    @rule(where=ranges, part=PARTS, frame=st.integers(0, FRAMES))
    def access_frame(self, where, part, frame):
        self.act("write_fault", where.pid, where.part(part)[0], frame=frame)

    @rule(where=ranges, below=st.integers(1, 3))
    def access_below(self, where, below):
        """A stack grows, anything else is missed."""
        self.act("write_fault", where.pid, where.start - below)

    @rule(where=ranges, part=PARTS)
    def touch(self, where, part):
        self.act("touch", where.pid, where.part(part))

    # ---- reclaim

    @rule(where=ranges, part=PARTS, ops=NAMED, write=st.booleans())
    def look_at_page(self, where, part, ops, write):
        page = where.part(part)[0]
        for op in ("write_fault", *ops) if write else ops:
            self.act(op, where.pid, page)

    @rule(
        op=st.sampled_from(["referenced", "reclaim", "try_unmap", "swap_out"]), frame=st.integers(0, FRAMES)
    )
    def look_at_frame(self, op, frame):
        self.act(op, 1, frame=frame)

    @rule(where=file_ranges, other=file_ranges, part=PARTS)
    def reclaim_file(self, where, other, part):
        page = where.part(part)[0]
        self.act("read_fault", where.pid, page)
        for reader in (where, other):
            pgoff = reader.pgoff + (page - where.start)
            self.act("reclaim", where.pid, file=reader.file, pgoff=pgoff)
            self.act("reclaim", where.pid, file=reader.file, pgoff=pgoff)

    @rule(n=st.sampled_from([1, 2, 8, 32]))
    def scan(self, n):
        self.act("scan", 1, len=n)

    # ---- sequences that lead to rare states

    @rule(
        target=ranges,
        motif=st.sampled_from(MOTIF_ROWS + FILE_MOTIF_ROWS),
        base=st.integers(LOW - 2, HIGH - 18),
        pids=st.permutations([1, 2, 3]),
    )
    def play(self, motif, base, pids):
        for row in motif:
            row = {name: value for name, value in row.items() if name not in ("line", "ts")}
            row |= {name: row[name] + base * PAGE for name in ("addr", "new_addr") if name in row}
            row |= {name: pids[row[name] - 1] for name in ("pid", "child") if name in row}
            self.send(row)
        return multiple(*(Range(pid, base + 2, base + 6) for pid in pids[:2]))


def run_machine(n_examples, rules_each, *, scheme="anon_vma", derandomize=False, after=None):
    """Let hypothesis run so many machines of at most so many rules; return how many events they sent."""
    ReplayMachine.steps, ReplayMachine.scheme = 0, scheme
    ReplayMachine.after = staticmethod(after) if after else None
    run_state_machine_as_test(
        ReplayMachine,
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=rules_each,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return ReplayMachine.steps


@pytest.mark.compiled
def test_core_and_model_agree_after_every_step():
    assert run_machine(90, 100, derandomize=True) >= STEPS


@pytest.mark.compiled
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "anon_vma"])
def test_core_and_model_agree_after_every_step_under_the_other_schemes(scheme):
    assert run_machine(30, 100, scheme=scheme, derandomize=True) >= STEPS // 4
