"""Signs that a recording is not complete though no line says so: memory is unmapped that was never mapped."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
import pyarrow as pa

from ..arrow_arrays import as_numpy, numbers
from ..events import CLONE_VM, PAGE_SIZE
from ..trace import Diagnostic
from .notes import Notes

_LOOKED_AT = ("mmap", "munmap", "mremap", "fork", "exec", "exit")
_COLUMNS = ("op", "pid", "addr", "len", "new_addr", "new_len", "child", "flags", "line")


class Ranges:
    """A set of addresses, as ranges that do not overlap."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def copy(self) -> Ranges:
        """Return another one with the same addresses."""
        other = Ranges()
        other._begins, other._ends = self._begins.copy(), self._ends.copy()
        return other

    def covers(self, begin: int, end: int) -> bool:
        """Tell whether any address from `begin` to before `end` is in it."""
        place = bisect_right(self._ends, begin)
        return place < len(self._begins) and self._begins[place] < end

    def add(self, begin: int, end: int) -> None:
        """Add the addresses from `begin` to before `end`."""
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last], self._ends[first:last] = [begin], [end]

    def remove(self, begin: int, end: int) -> None:
        """Remove the addresses from `begin` to before `end`."""
        first, last = bisect_right(self._ends, begin), bisect_left(self._begins, end)
        if first >= last:
            return
        begins, ends = [], []
        if self._begins[first] < begin:
            begins, ends = [self._begins[first]], [begin]
        if self._ends[last - 1] > end:
            begins, ends = [*begins, end], [*ends, self._ends[last - 1]]
        self._begins[first:last], self._ends[first:last] = begins, ends


class UnmapCheck:
    """Counts the rows that unmap or move memory which their process had not mapped.

    Only processes that the recording shows from an exec on are looked at: what they map later, all calls tell.
    """

    def __init__(self) -> None:
        self._mapped: dict[int, Ranges] = {}
        self._notes = Notes()

    def take_in(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows of the event table."""
        ops = batch.column("op")
        codes = [code for code, op in enumerate(ops.dictionary.to_pylist()) if op in _LOOKED_AT]
        looked_at = np.flatnonzero(np.isin(as_numpy(ops.indices), codes))
        columns = (batch.column(name).take(numbers(looked_at)).to_pylist() for name in _COLUMNS)
        for op, pid, addr, length, new_addr, new_len, child, flags, line in zip(*columns, strict=True):
            if op == "exec":
                self._mapped[pid] = Ranges()
                continue
            mapped = self._mapped.get(pid)
            if mapped is None:
                continue
            if op == "fork":
                self._mapped[child] = mapped if flags & CLONE_VM else mapped.copy()
            elif op == "exit":
                del self._mapped[pid]
            elif op == "mmap":
                mapped.add(addr, _end(addr, length))
            else:
                end = _end(addr, length)
                if not mapped.covers(addr, end):
                    self._notes.count("unmapped-but-not-mapped", np.array([line]))
                mapped.remove(addr, end)
                if op == "mremap":
                    mapped.add(new_addr, _end(new_addr, new_len))

    def diagnostics(self) -> list[Diagnostic]:
        """Return what was found."""
        return self._notes.diagnostics()


def _end(begin: int, length: int) -> int:
    return begin + -(-length // PAGE_SIZE) * PAGE_SIZE
