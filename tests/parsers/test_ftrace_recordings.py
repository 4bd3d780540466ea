"""A real recording, replayed at the level of mappings only, against the address spaces that were seen."""

from collections import Counter
from pathlib import Path

import pytest

from anonvma_trace.parsers import ftrace
from anonvma_trace.parsers.native_stream import NativeStream
from anonvma_trace.parsers.proc_maps import read_snapshots
from anonvma_trace.parsers.source import open_source

from .ftrace_text import codes_of, rows_of

SAMPLES = Path(__file__).parents[2] / "sample_traces"
PAGE = 0x1000
ASIDE = ("[stack]", "[vdso]", "[vvar", "[vsyscall]")


class Mappings:
    """Pages and permissions of one process: ranges that do not overlap, merging left aside."""

    def __init__(self, ranges=(), brk=None):
        self.ranges = list(ranges)
        self.brk = brk

    def cut(self, start, end):
        """Remove [start, end) and return what was there."""
        kept, taken = [], []
        for low, high, prot in self.ranges:
            if high <= start or low >= end:
                kept.append((low, high, prot))
                continue
            kept += [part for part in ((low, start, prot), (end, high, prot)) if part[0] < part[1]]
            taken.append((max(low, start), min(high, end), prot))
        self.ranges = kept
        return taken

    def put(self, start, end, prot):
        self.cut(start, end)
        self.ranges.append((start, end, prot))

    def protect(self, start, end, prot):
        taken = self.cut(start, end)
        self.ranges += [(low, high, prot) for low, high, _ in taken]

    def set_break(self, brk):
        if self.brk is not None and brk > self.brk:
            self.put(self.brk, brk, 3)
        elif self.brk is not None:
            self.cut(brk, self.brk)
        self.brk = brk

    def joined_without(self, holes):
        """Return the ranges outside `holes`, neighbours of equal permission joined."""
        rest = Mappings(self.ranges)
        for start, end in holes:
            rest.cut(start, end)
        joined = []
        for low, high, prot in sorted(rest.ranges):
            if joined and joined[-1][1:] == (low, prot):
                low = joined.pop()[0]
            joined.append((low, high, prot))
        return joined


def apply(row, processes):
    """Apply one row to the mappings of its process."""
    mm = processes.setdefault(row["pid"], Mappings())
    start = row.get("addr", 0)
    end = start + row.get("len", 0) + PAGE - 1 & -PAGE
    match row["op"]:
        case "vma" | "mmap":
            mm.put(start, end, row["prot"])
        case "munmap":
            mm.cut(start, end)
        case "mprotect":
            mm.protect(start, end, row["prot"])
        case "brk":
            mm.set_break(start + PAGE - 1 & -PAGE)
        case "fork":
            processes[row["child"]] = Mappings(mm.ranges, mm.brk)
        case "exec":
            processes[row["pid"]] = Mappings()
        case "exit":
            del processes[row["pid"]]


@pytest.fixture(scope="module")
def tiny_sh():
    maps = str(SAMPLES / "tiny-sh" / "tiny-sh.snapshots.txt")
    stream = NativeStream(
        ftrace.FORMAT, [open_source(str(SAMPLES / "tiny-sh" / "tiny-sh.ftrace.txt"))], [maps]
    )
    return stream, rows_of(stream), {snapshot.n: snapshot for snapshot in read_snapshots([maps])}


def test_every_line_is_read_and_accounted_for(tiny_sh):
    stream, rows, _ = tiny_sh
    counts = {"events": 303, "headers": 12, "blank": 0, "loss_marks": 0, "other": 17, "unreadable": 0}
    assert stream.line_counts == counts
    assert stream.losses == []
    assert codes_of(stream) == ["assumed-process"]
    assert stream.metadata.known_pids == (32261,)
    # 226 faults were recorded; the other write faults are the start image's pages and two argument pages.
    assert Counter(row["op"] for row in rows) == {
        "write_fault": 1721, "read_fault": 103, "vma": 91, "mmap": 17, "mprotect": 17, "brk": 8, "mark": 6,
        "munmap": 3, "exit": 3, "exec": 2, "fork": 2,
    }  # fmt: skip


def test_times_never_fall_and_the_dead_stay_dead(tiny_sh):
    _, rows, _ = tiny_sh
    times = [row["ts"] for row in rows]
    assert times == sorted(times)
    dead = set()
    for row in rows:
        assert row["pid"] not in dead or row["op"] == "mark"
        if row["op"] == "exit":
            dead.add(row["pid"])


def test_mappings_are_those_of_the_snapshots(tiny_sh):
    _, rows, snapshots = tiny_sh
    processes = {}
    compared = 0
    for row in rows:
        if row["op"] != "mark":
            apply(row, processes)
        elif snapshots[row["len"]].why != "start":
            shown = snapshots[row["len"]].mappings
            stacks = [vma["addr"] for vma in rows if vma["op"] == "vma" and vma["flags"] & 0x100]
            holes = [(vma.start, vma.end) for vma in shown if vma.name.startswith(ASIDE)]
            holes += [(stack - (8 << 20), stack + (1 << 20)) for stack in stacks]
            seen = Mappings((vma.start, vma.end, vma.prot) for vma in shown)
            assert processes[row["pid"]].joined_without(holes) == seen.joined_without(holes)
            compared += 1
    assert compared == 5
    assert processes == {}


def test_every_fault_lies_in_a_mapping_or_below_a_stack(tiny_sh):
    _, rows, _ = tiny_sh
    processes = {}
    for row in rows:
        if row["op"] in ("read_fault", "write_fault"):
            ranges = processes[row["pid"]].ranges
            assert any(start - (128 << 10) <= row["addr"] < end for start, end, _ in ranges)
        elif row["op"] != "mark":
            apply(row, processes)
