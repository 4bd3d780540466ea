"""Kernel-mode faults that an exec may claim: the loader clears the tail of the new image before the exec is logged."""

from __future__ import annotations

import numpy as np

from .execs import Exec
from .images import covered_by
from .row_table import ADDR, KERNEL, KEY, PID, TID, TS, key

_NONE = np.empty(0, dtype=np.int64)


class KernelFaults:
    """The rows of kernel-mode faults among the rows of a block.

    Parameters
    ----------
    parts : list of ndarray
        Rows, of which those of each part that are kernel-mode faults are in order, and those of a later part
        behind those of an earlier one. `move` changes them.
    """

    def __init__(self, parts: list[np.ndarray]) -> None:
        self._parts = parts
        found = [np.flatnonzero(part[KERNEL]) for part in parts]
        self._part = np.repeat(np.arange(len(parts)), [len(rows) for rows in found])
        self._row = np.concatenate(found) if found else _NONE
        self._keys = np.concatenate([part[KEY, rows] for part, rows in zip(parts, found, strict=True)])

    def of_loader(self, new: Exec) -> np.ndarray:
        """Return which of the faults are of the new image though logged before the exec, in their order."""
        if new.faults_from < 0 or (not new.renamed and new.snapshot is None):
            return _NONE
        limits = np.array([key(new.faults_from) + 1, key(new.seq)])
        near = np.arange(*np.searchsorted(self._keys, limits))
        tids = self._values(TID, near)
        loaders = near[(tids == new.pid) | (tids == new.old_pid)]
        if not new.renamed and new.snapshot is not None:
            loaders = loaders[covered_by(new.snapshot, self._values(ADDR, loaders))]
        return loaders

    def move(self, faults: np.ndarray, new: Exec, place: int) -> None:
        """Let `faults` be of the new image: `place` rows behind the exec and on, at its time."""
        for number, fault in enumerate(faults.tolist()):
            row = self._parts[self._part[fault]][:, self._row[fault]]
            row[KEY] = key(new.seq, place + number)
            row[TS], row[PID], row[KERNEL] = new.ts, new.pid, 0

    def _values(self, column: int, faults: np.ndarray) -> np.ndarray:
        values = [int(self._parts[self._part[fault]][column, self._row[fault]]) for fault in faults.tolist()]
        return np.array(values, dtype=np.int64)
