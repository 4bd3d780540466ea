"""Which file a process has mapped shared, and where: what remap_file_pages leaves out.

The call names addresses only. Its row is an mmap of the file that is mapped there already, with that mapping's
protection and another place in the file (mm/mmap.c; since 4.0 that is what the kernel itself makes of it).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..events import CLONE_VM, MAP_FIXED, MAP_SHARED, MREMAP_DONTUNMAP, PAGE_SIZE
from .native_block import Names
from .notes import Notes
from .row_table import (
    ADDR,
    CHILD,
    FILE,
    FLAGS,
    LEN,
    LINE,
    NEW_ADDR,
    NEW_LEN,
    OP,
    OP_CODE,
    PGOFF,
    PID,
    PROT,
)

FILE_AT_ADDRESS = 1 << 62
"""In FLAGS of an mmap's row under construction: file and protection are those of what is mapped at its address.
NEW_LEN then says how many lines the call has."""

_MMAP, _VMA, _MUNMAP, _MPROTECT, _MREMAP, _FORK, _EXEC, _EXIT = (
    OP_CODE[op] for op in ("mmap", "vma", "munmap", "mprotect", "mremap", "fork", "exec", "exit")
)
_CHANGES_MAPPINGS = np.isin(
    np.arange(len(OP_CODE)), (_MMAP, _VMA, _MUNMAP, _MPROTECT, _MREMAP, _FORK, _EXEC, _EXIT)
)
_COLUMNS = (OP, PID, ADDR, LEN, PROT, FLAGS, PGOFF, NEW_ADDR, NEW_LEN, CHILD, FILE)


class Mapping(NamedTuple):
    """Addresses from `start` to `end`, in bytes; `pgoff` in pages is the place in `file` of the first."""

    start: int
    end: int
    file: str
    pgoff: int
    prot: int

    def part(self, start: int, end: int) -> Mapping:
        """Return what lies between `start` and `end`, which is within the mapping."""
        pgoff = self.pgoff + (start - self.start) // PAGE_SIZE
        return self._replace(start=start, end=end, pgoff=pgoff)


class SharedLayout:
    """The shared file mappings of one mm, by address.

    Parameters
    ----------
    mappings : iterable of Mapping
        In order, none over another.
    """

    def __init__(self, mappings: Iterable[Mapping] = ()) -> None:
        self.mappings = list(mappings)
        self._ends = [mapping.end for mapping in self.mappings]

    def __len__(self) -> int:
        return len(self.mappings)

    def find(self, address: int) -> Mapping | None:
        """Return what is mapped at `address`."""
        at = bisect_right(self._ends, address)
        found = at < len(self.mappings) and self.mappings[at].start <= address
        return self.mappings[at] if found else None

    def take(self, start: int, end: int) -> list[Mapping]:
        """Remove what lies between `start` and `end`, and return it."""
        taken: list[Mapping] = []
        if start >= end:
            return taken
        last = first = bisect_right(self._ends, start)
        left = []
        while last < len(self.mappings) and self.mappings[last].start < end:
            mapping = self.mappings[last]
            inside = max(mapping.start, start), min(mapping.end, end)
            taken.append(mapping.part(*inside))
            if mapping.start < inside[0]:
                left.append(mapping.part(mapping.start, inside[0]))
            if inside[1] < mapping.end:
                left.append(mapping.part(inside[1], mapping.end))
            last += 1
        if taken:
            self._replace(first, last, left)
        return taken

    def put(self, mapping: Mapping) -> None:
        """Add a mapping; nothing else is at its addresses."""
        at = bisect_right(self._ends, mapping.start)
        self._replace(at, at, [mapping])

    def _replace(self, first: int, last: int, mappings: list[Mapping]) -> None:
        self.mappings[first:last] = mappings
        self._ends[first:last] = [mapping.end for mapping in mappings]


class SharedMappings:
    """Follows the shared file mappings of all processes through the rows, and completes those of remap_file_pages.

    Parameters
    ----------
    files : Names
        What the numbers in FILE stand for.
    notes : Notes
        Where to count the calls that are left out.

    Attributes
    ----------
    used_lines : int
        Lines of the calls that were completed.
    """

    def __init__(self, files: Names, notes: Notes) -> None:
        self.used_lines = 0
        self._files, self._notes = files, notes
        self._layouts: dict[
            int, SharedLayout
        ] = {}  # of processes that had such a mapping, or used an mm together

    def complete(self, rows: np.ndarray) -> np.ndarray:
        """Follow `rows`, the next ones in their order, and return them without the calls left out."""
        at = self._that_matter(rows)
        left_out = []
        numbers = zip(*(rows[column, at].tolist() for column in _COLUMNS), strict=True)
        for row, (op, pid, addr, length, prot, flags, pgoff, new_addr, new_len, child, file) in zip(
            at.tolist(), numbers, strict=True
        ):
            if op == _FORK:
                self._fork(pid, child, flags)
            elif op in (_EXEC, _EXIT):
                self._layouts.pop(pid, None)
            elif op == _MREMAP:
                self._mremap(pid, _pages(addr, length), new_addr, _round_up(new_len), flags)
            elif op == _MPROTECT:
                self._mprotect(pid, _pages(addr, length), prot)
            elif flags & FILE_AT_ADDRESS:
                if not self._complete_row(rows, row):
                    left_out.append(row)
            else:
                start, end = _pages(addr, length)
                name = (
                    self._files.values[file] if file >= 0 and flags & MAP_SHARED and op != _MUNMAP else None
                )
                self._map(pid, start, end, None if name is None else Mapping(start, end, name, pgoff, prot))
        if not left_out:
            return rows
        self._notes.count("call-not-replayed", rows[LINE, left_out], "remap_file_pages")
        return np.delete(rows, left_out, axis=1)

    def _that_matter(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of the rows that can make, change or ask for a shared mapping of a file."""
        at = np.flatnonzero(_CHANGES_MAPPINGS[rows[OP]])
        op, flags, pid = rows[OP, at], rows[FLAGS, at], rows[PID, at]
        maps = (op == _MMAP) | (op == _VMA)
        matter = maps & (((flags & MAP_SHARED) != 0) & (rows[FILE, at] >= 0) | (flags >= FILE_AT_ADDRESS))
        matter |= (op == _FORK) & ((flags & CLONE_VM) != 0)
        concerned = {*self._layouts, *pid[matter].tolist()}
        if not concerned:
            return at[:0]
        forks = np.flatnonzero(op == _FORK)
        children = rows[CHILD, at[forks]]
        for parent, child in zip(pid[forks].tolist(), children.tolist(), strict=True):
            if parent in concerned:
                concerned.add(child)
        pids = np.fromiter(concerned, dtype=np.int64)
        matter |= np.isin(pid, pids)
        matter[forks] |= np.isin(children, pids)  # a pid that is used again, whose end is not recorded
        return at[matter]

    def _fork(self, pid: int, child: int, flags: int) -> None:
        """Give `child` its parent's mappings: the same with CLONE_VM (vfork), else a copy."""
        if flags & CLONE_VM:
            self._layouts[child] = self._layouts.setdefault(pid, SharedLayout())
        elif pid in self._layouts:
            self._layouts[child] = SharedLayout(self._layouts[pid].mappings)
        else:
            self._layouts.pop(child, None)

    def _map(self, pid: int, start: int, end: int, mapping: Mapping | None) -> None:
        """Put `mapping` (or nothing that matters) in the place of what was between `start` and `end`."""
        layout = self._layouts.get(pid)
        if layout is not None:
            layout.take(start, end)
        if mapping is not None and start < end:
            layout = self._layouts.setdefault(pid, SharedLayout())
            layout.put(mapping)

    def _mprotect(self, pid: int, pages: tuple[int, int], prot: int) -> None:
        layout = self._layouts.get(pid)
        if layout is not None:
            for mapping in layout.take(*pages):
                layout.put(mapping._replace(prot=prot))

    def _mremap(self, pid: int, pages: tuple[int, int], new_addr: int, new_len: int, flags: int) -> None:
        layout = self._layouts.get(pid)
        if layout is None:
            return
        start, end = pages
        if start == end:  # without pages it maps what begins there a second time
            there = layout.find(start)
            moved = [] if there is None else [there.part(start, start)]
        else:
            moved = layout.take(start, end)
            for mapping in moved if flags & MREMAP_DONTUNMAP else ():
                layout.put(mapping)
        layout.take(new_addr, new_addr + new_len)
        for mapping in moved:
            stop = new_len if mapping.end == end else min(mapping.end - start, new_len)
            if mapping.start - start < stop:
                layout.put(mapping._replace(start=new_addr + mapping.start - start, end=new_addr + stop))

    def _complete_row(self, rows: np.ndarray, row: int) -> bool:
        """Fill in what remap_file_pages does not say; False if nothing tells what is mapped there."""
        pid, addr, length, pgoff = rows[[PID, ADDR, LEN, PGOFF], row].tolist()
        layout = self._layouts.get(pid)
        there = None if layout is None else layout.find(addr)
        if there is None:
            return False
        start = addr - addr % PAGE_SIZE
        end = start + length - length % PAGE_SIZE
        self.used_lines += int(rows[NEW_LEN, row])
        rows[[ADDR, LEN, PROT, FLAGS], row] = start, end - start, there.prot, MAP_SHARED | MAP_FIXED
        rows[FILE, row] = self._files.number(there.file)
        self._map(pid, start, end, there._replace(start=start, end=end, pgoff=pgoff))
        return True


def _round_up(n_bytes: int) -> int:
    return -(-n_bytes // PAGE_SIZE) * PAGE_SIZE


def _pages(addr: int, length: int) -> tuple[int, int]:
    """Return the ends of the pages that a range touches."""
    start = addr - addr % PAGE_SIZE
    return start, start + _round_up(length)
