"""The slow model of `linux6` beside a live kernel: replays of recordings compared with snapshots of the real thing.

``python -m tests.replay.kernel_truth TRACE SNAPSHOTS [KMEM-SUMMARY]`` prints the figures of one recording. The files of
snapshots are read here anew, so that this does not rest on the package's own validation.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

import anonvma_trace
from anonvma_trace.events import TraceMetadata

from .models import MODELS
from .naive_checks import holds_anon_page
from .naive_objects import Mm, SwapPte

ASIDE = ("[stack", "[vdso", "[vvar", "[vsyscall")  # the kernel's own: see docs/validation.md


@dataclass
class Snapshot:
    """What the kernel showed of one process at one moment."""

    why: str
    maps: list[tuple[int, int, str, str]] = field(default_factory=list)  # first page, end, permissions, name
    anon: set[int] = field(default_factory=set)  # page numbers, present or in swap

    def ranges(self, *names):
        return [(start, end) for start, end, _, name in self.maps if name.startswith(names)]


def read_snapshots(path):
    """Return {(number, pid): Snapshot} of a file of snapshots."""
    found, snapshot, section = {}, None, None
    with pa.input_stream(path, compression="zstd" if path.suffix == ".zst" else None) as stream:
        lines = stream.read().decode().splitlines()
    for line in lines:
        words = line.split(None, 5)
        if line.startswith("# SNAP"):
            told = dict(word.split("=", 1) for word in line.split() if "=" in word)
            snapshot = found[int(told["n"]), int(told["pid"])] = Snapshot(told["why"])
        elif line.startswith("# "):
            section = words[1]
        elif section == "MAPS":
            start, end = (int(word, 16) >> 12 for word in words[0].split("-"))
            snapshot.maps.append((start, end, words[1], words[5].strip() if len(words) > 5 else ""))
        elif section == "PAGES":
            snapshot.anon.update(_anonymous_pages(line.split()))
    return found


def _anonymous_pages(words):
    first = int(words[1], 16) >> 12
    for at, entry in enumerate(words[2:]):
        frame, mapcount = entry.split(":")
        if words[0] == "S" or not (int(frame, 16) == 0 or int(mapcount) == 0):  # else the zero page
            yield first + at


@dataclass
class Truth:
    """Figures of one recording; `allocations` by call site, what the start image holds left out."""

    snapshots: int = 0
    pages_equal: int = 0
    borders_equal: int = 0
    stacks_equal: int = 0
    anon_equal: int = 0
    allocations: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def replay_beside_kernel(trace_path, snapshot_path, scheme="linux6"):
    """Replay a recording in the slow model; return the `Truth` and the model."""
    snapshots = read_snapshots(Path(snapshot_path))
    trace = anonvma_trace.read_trace(str(trace_path), maps=[str(snapshot_path)])
    table = trace.table
    strings = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    model, truth = MODELS[scheme](TraceMetadata.from_strings(strings)), Truth()
    start_lines, lines = set(), {}
    for number, row in enumerate(table.to_pylist(), start=1):
        model.feed(row)
        lines[number] = row["line"]
        snapshot = snapshots.get((row["len"], row["pid"])) if row["op"] == "mark" else None
        if snapshot and snapshot.why == "start":
            start_lines.add(row["line"])  # its image are the rows of the same line
        elif snapshot and snapshot.why in ("mark", "exit"):
            _compare(truth, model, row, snapshot)
    truth.allocations = Counter(
        "anon_vma_fork" if anon_vma.allocated_by == "fork" else "__anon_vma_prepare"
        for anon_vma in model.anon_vmas
        if lines[anon_vma.allocated_event] not in start_lines
    )
    return truth, model


def _compare(truth, model, row, snapshot):
    truth.snapshots += 1
    process = model.processes.get(row["pid"])
    mm = process.mm if process else Mm(0, True)  # it has exited: nothing is left in either
    stacks, aside = snapshot.ranges("[stack"), snapshot.ranges(*ASIDE)
    vmas = [v for v in mm.vmas if not (v.file or "").startswith(ASIDE)]
    own_stacks = [
        (v.start, v.end)
        for v in vmas
        if "GROWSDOWN" in v.flags and any(v.start < end and start < v.end for start, end in stacks)
    ]
    layout = [(v.start, v.end, _permissions(v)) for v in vmas if (v.start, v.end) not in own_stacks]
    kernels = [vma[:3] for vma in snapshot.maps if not vma[3].startswith(ASIDE)]
    held = {vpn for vpn, pte in mm.ptes.items() if isinstance(pte, SwapPte) or holds_anon_page(pte)}
    anon, kernels_anon = (
        {vpn for vpn in vpns if not _within(vpn, aside + own_stacks)} for vpns in (held, snapshot.anon)
    )
    truth.stacks_equal += own_stacks == stacks
    truth.pages_equal += _joined(layout) == _joined(kernels)
    truth.borders_equal += [vma[:2] for vma in layout] == [vma[:2] for vma in kernels]
    truth.anon_equal += anon == kernels_anon
    if layout != kernels or anon != kernels_anon or own_stacks != stacks:
        truth.differences.append(
            f"snapshot {row['len']} ({snapshot.why}) of {row['pid']}: replayed {set(layout) - set(kernels)},"
            f" recorded {set(kernels) - set(layout)}, anonymous +{len(anon - kernels_anon)} -{len(kernels_anon - anon)}"
        )


def _permissions(v):
    access = "".join(letter if v.prot & bit else "-" for letter, bit in (("r", 1), ("w", 2), ("x", 4)))
    return access + ("s" if "SHARED" in v.flags else "p")


def _joined(layout):
    """Return a layout without the borders between equal permissions."""
    joined = []
    for start, end, permissions in layout:
        if joined and joined[-1][1:] == (start, permissions):
            start = joined.pop()[0]
        joined.append((start, end, permissions))
    return joined


def _within(vpn, ranges):
    return any(start <= vpn < end for start, end in ranges)


def kernel_allocations(path):
    """Return the anon_vmas that the slab allocator gave, by call site."""
    counted = Counter()
    for line in Path(path).read_text().splitlines():
        words = line.split()
        if words[:2] == ["anon_vma", "alloc"]:
            counted[words[2]] += int(words[3])
    return counted


def main(arguments):
    truth, model = replay_beside_kernel(*arguments[:2])
    print(truth)
    print("broken:", model.violations())
    for path in arguments[2:]:
        print("kernel:", dict(kernel_allocations(path)))


if __name__ == "__main__":
    main(sys.argv[1:])
