"""The lines ``PERF_RECORD_…`` of perf script: what each says, and the images that they add up to.

perf tells with MMAP2 what the kernel maps: all of a process that it attaches to (synthesised, before the first
event), what an exec makes, and then, at each mmap, mprotect and brk, the vma that came of it. Only the first
two are images. The others show merged and split vmas: no new memory, and no place for them in the replay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..events import PAGE_SHIFT, PROT_EXEC, PROT_READ, PROT_WRITE
from .native_events import PID_MAX_LIMIT
from .proc_maps import Mapping, Snapshot

_TASK = rb"(?P<pid>-?\d+)[/:](?P<tid>-?\d+)"
_FORK_EXIT = re.compile(
    rb"PERF_RECORD_(?:FORK|EXIT)\(%s\):\((?P<parent>-?\d+):(?P<parent_tid>-?\d+)\)$" % _TASK
)
_COMM = re.compile(rb"PERF_RECORD_COMM(?P<exec> exec)?: (?P<comm>.*):%s$" % _TASK)
_LOST = re.compile(rb"PERF_RECORD_LOST(?:_SAMPLES)? lost (?P<lost>\d{1,18})$")
_MMAP = re.compile(
    rb"PERF_RECORD_MMAP2? %s: \[0x(?P<start>[0-9a-f]{1,16})\(0x(?P<length>[0-9a-f]{1,16})\)"
    rb" @ (?:0x)?(?P<offset>[0-9a-f]{1,16})(?: [0-9a-f]+:[0-9a-f]+ (?P<inode>\d+) \d+)?\]:"
    rb" (?P<prot>[r-][w-][x-][ps]|[rx])(?: (?P<name>.*))?$" % _TASK
)
_NAME = re.compile(rb"PERF_RECORD_\w+")
_ANONYMOUS = ("//anon", "//toolong", "/anon_hugepage", "/anon_hugepage (deleted)")
_ADDRESS_LIMIT = 1 << 63


@dataclass
class Record:
    """One line.

    Attributes
    ----------
    what : str
        ``FORK``, ``EXIT``, ``COMM``, ``EXEC`` (a COMM by an exec), ``LOST``, ``MMAP``, or the name of a record
        that means nothing to a replay.
    pid, tid : int
        Process and thread that it is about; of a FORK the child.
    parent, parent_tid : int
        Of a FORK.
    comm : tuple of (int, int)
        Of a COMM or EXEC: where the name begins and ends in the record.
    lost : int
        Events, of a LOST.
    mapping : Mapping or None
        Of a MMAP of a user process.
    """

    what: str
    pid: int = 0
    tid: int = 0
    parent: int = 0
    parent_tid: int = 0
    comm: tuple[int, int] = (0, 0)
    lost: int = 0
    mapping: Mapping | None = None


def parse_record(text: bytes) -> Record | None:
    """Read a record from its name on; None if it does not have the form that its name promises."""
    name = _NAME.match(text)
    what = name[0].decode().removeprefix("PERF_RECORD_") if name else ""
    if what in ("FORK", "EXIT"):
        found = _FORK_EXIT.match(text)
        return found and _task_record(
            Record(what, int(found["pid"]), int(found["tid"]), int(found["parent"]), int(found["parent_tid"]))
        )
    if what == "COMM":
        found = _COMM.match(text)
        what = "EXEC" if found and found["exec"] else "COMM"
        return found and _task_record(
            Record(what, int(found["pid"]), int(found["tid"]), comm=found.span("comm"))
        )
    if what in ("LOST", "LOST_SAMPLES"):
        found = _LOST.match(text)
        return found and Record("LOST", lost=int(found["lost"]))
    if what in ("MMAP", "MMAP2"):
        found = _MMAP.match(text)
        return found and _mmap_record(found)
    return Record(what)


def _task_record(record: Record) -> Record | None:
    """Return the record if its tids can be: of a task that is gone perf prints -1, of damage anything."""
    tids = (record.pid, record.tid, record.parent, record.parent_tid)
    if max(tids) > PID_MAX_LIMIT:
        return None
    return record if min(tids) >= 0 else Record("of no task")


def _mmap_record(found: re.Match[bytes]) -> Record:
    record = Record("MMAP", int(found["pid"]), int(found["tid"]))
    if record.pid <= 0:
        return record  # the kernel itself
    start, length = int(found["start"], 16), int(found["length"], 16)
    if start + length > _ADDRESS_LIMIT or len(found["prot"]) != 4:
        return record  # [vsyscall], or a record without permissions
    prot = found["prot"].decode()
    name = (found["name"] or b"").decode("utf-8", "backslashreplace")
    record.mapping = Mapping(
        start,
        start + length,
        (PROT_READ if prot[0] == "r" else 0)
        | (PROT_WRITE if prot[1] == "w" else 0)
        | (PROT_EXEC if prot[2] == "x" else 0),
        prot[3] == "s",
        int(found["offset"], 16) >> PAGE_SHIFT,
        int(found["inode"] or 0),
        "" if name in _ANONYMOUS else name,
    )
    return record


@dataclass
class ImageInTheMaking:
    """The image of a process, from an exec or from the start on until something shows that it is complete.

    Attributes
    ----------
    snapshot : Snapshot
        Grows with `add`.
    """

    snapshot: Snapshot
    _has_vdso: bool = field(default=False)

    def takes(self, mapping: Mapping) -> bool:
        """Tell whether a record still belongs to the image: an exec maps [vdso] and [vvar] last."""
        return not self._has_vdso or mapping.name.startswith("[v")

    def add(self, mapping: Mapping) -> None:
        """Map `mapping` over what is there."""
        self._has_vdso |= self.snapshot.why == "exec" and mapping.name == "[vdso]"
        self.snapshot.lines_used += 1
        self.snapshot.mappings[:] = map_over(self.snapshot.mappings, mapping)


def map_over(mappings: list[Mapping], new: Mapping) -> list[Mapping]:
    """Return `mappings` with `new` in place of what it covers, in address order."""
    kept = [new]
    for old in mappings:
        if old.end <= new.start or old.start >= new.end:
            kept.append(old)
            continue
        if old.start < new.start:
            kept.append(old._replace(end=new.start))
        if old.end > new.end:
            kept.append(old._replace(start=new.end, pgoff=old.pgoff + (new.end - old.start >> PAGE_SHIFT)))
    return sorted(kept)
