"""Kernel-mode faults that an exec may claim: the loader clears the tail of the new image before the exec is logged."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from .execs import Exec
from .images import covered_by
from .row_table import ADDR, KERNEL, KEY, PID, TID, TS, key


class KernelFaults:
    """The rows of kernel-mode faults among the rows of a block.

    Parameters
    ----------
    parts : list of ndarray
        Rows, of which those of each part that are kernel-mode faults are in order, and those of a later part
        behind those of an earlier one. `apply` changes them.
    """

    def __init__(self, parts: list[np.ndarray]) -> None:
        self._parts = parts
        found = [np.flatnonzero(part[KERNEL]) for part in parts]
        self._first = np.cumsum([0, *(len(rows) for rows in found)])  # fault of each part
        self._found = found
        # Lists, not arrays: each exec looks at a handful of faults.
        self._keys, self._tids, self._addresses = (
            [value for part, rows in zip(parts, found, strict=True) for value in part[column, rows].tolist()]
            for column in (KEY, TID, ADDR)
        )
        self._moves: list[tuple[int, int, int, int]] = []  # fault; its new key, time and process

    def of_loader(self, new: Exec) -> list[int]:
        """Return which of the faults are of the new image though logged before the exec, in their order."""
        if new.faults_from < 0 or (not new.renamed and new.snapshot is None):
            return []
        begin = bisect_left(self._keys, int(key(new.faults_from)) + 1)
        end = bisect_left(self._keys, int(key(new.seq)), begin)
        loaders = [fault for fault in range(begin, end) if self._tids[fault] in (new.pid, new.old_pid)]
        if not new.renamed and new.snapshot is not None:
            addresses = np.array([self._addresses[fault] for fault in loaders], dtype=np.int64)
            covered = covered_by(new.snapshot, addresses).tolist()
            loaders = [fault for fault, inside in zip(loaders, covered, strict=True) if inside]
        return loaders

    def move(self, faults: list[int], new: Exec, place: int) -> None:
        """Let `faults` be of the new image: `place` rows behind the exec and on, at its time."""
        for number, fault in enumerate(faults):
            self._moves.append((fault, int(key(new.seq, place + number)), new.ts, new.pid))

    def apply(self) -> None:
        """Enter in the rows what was moved."""
        if not self._moves:
            return
        faults, keys, times, pids = np.array(self._moves, dtype=np.int64).T
        for number, (part, rows) in enumerate(zip(self._parts, self._found, strict=True)):
            of_part = (faults >= self._first[number]) & (faults < self._first[number + 1])
            moved = rows[faults[of_part] - self._first[number]]
            part[KEY, moved], part[TS, moved], part[PID, moved] = keys[of_part], times[of_part], pids[of_part]
            part[KERNEL, moved] = 0
