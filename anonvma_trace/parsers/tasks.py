"""Which process a thread belongs to, and what it is called, event by event."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .native_block import NativeBlock
from .native_events import PAGE_FAMILIES, PID_MAX_LIMIT, SYSCALLS, Family, native_tables
from .task_kernels import (
    ASSUMED,
    DEAD,
    ENTERED,
    MADE,
    N_CALL_COLUMNS,
    N_MADE_COLUMNS,
    N_NOTED_COLUMNS,
    N_TID_COLUMNS,
    NAME,
    NOTED,
    PROCESS,
    TOLD_PID,
    UNKNOWN,
    follow_tasks,
)

__all__ = ["ABOUT_TASKS", "ACTS", "DEAD", "UNKNOWN", "Followed", "Tasks"]

_EXEC_CALLS = ("execve", "execveat")
_NAMES_TASKS = (Family.NEWTASK, Family.FORK, Family.EXEC, Family.TASK_EXIT, Family.RENAME)
_LOOKED_AT = (*_NAMES_TASKS, Family.MARK, Family.LOST, Family.IMAGE)
# Events that may stand in the recording though their thread is not recorded.
_NOT_ACTS = (Family.MARK, Family.LOST, Family.IMAGE, *PAGE_FAMILIES)
_MOST_NOTES = 2  # of an event


def _steps_of_kinds() -> np.ndarray:
    """Return what the events of each kind are to `follow_tasks`."""
    tables = native_tables()
    execs = [number for number, call in enumerate(SYSCALLS) if call.name in _EXEC_CALLS]
    of_exec = np.isin(tables.family, (Family.ENTER, Family.EXIT)) & np.isin(tables.syscall, execs)
    step = np.where(np.isin(tables.family, _LOOKED_AT) | of_exec, tables.family, 0)
    return np.stack([step, ~np.isin(tables.family, _NOT_ACTS)], axis=1).astype(np.int64)


_STEP_OF_KIND = _steps_of_kinds()
_IS_ENTER = _STEP_OF_KIND[:, 0] == Family.ENTER
_TASKS_NAMED = np.isin(native_tables().family, _NAMES_TASKS)

ABOUT_TASKS = _STEP_OF_KIND[:, 0] > 0
"""Whether events of a kind can change which task is which, or have a place among those that do."""

ACTS = _STEP_OF_KIND[:, 1] > 0
"""Whether events of a kind are acts of their thread."""


class Followed(NamedTuple):
    """What came out of a block.

    Attributes
    ----------
    pids, names : ndarray of int64, shape (n_events,)
        Process of each event, `DEAD` where that or its thread is gone; number of its name, -1 where there is none.
    made : ndarray of int64, shape (n, N_MADE_COLUMNS)
        Rows that the events about tasks make.
    noted : ndarray of int64, shape (n, N_NOTED_COLUMNS)
        What remains to be done, in order.
    """

    pids: np.ndarray
    names: np.ndarray
    made: np.ndarray
    noted: np.ndarray


class Tasks:
    """Threads, processes and their names, and which threads are in execve.

    Attributes
    ----------
    assumed : int
        Tids taken for processes of their own because nothing told otherwise.
    """

    def __init__(self) -> None:
        self.assumed = 0
        self._of_tid = np.zeros((0, N_TID_COLUMNS), dtype=np.int32)
        self._calls = np.zeros((0, N_CALL_COLUMNS), dtype=np.int64)

    def is_unknown(self, tid: int) -> bool:
        """Tell whether nothing was told of `tid` up to the end of the latest block."""
        return tid >= len(self._of_tid) or int(self._of_tid[tid, PROCESS]) == UNKNOWN

    def name(self, tid: int) -> int:
        """Return the number of the name that events told of `tid` up to the end of the latest block; -1 for none."""
        return int(self._of_tid[tid, NAME]) - 1 if tid < len(self._of_tid) else -1

    def exec_entered(self, tid: int) -> int:
        """Return the number of the event with which `tid` entered the execve that it is in; 0 for none."""
        return int(self._calls[tid, ENTERED])

    def leave_exec(self, tid: int) -> None:
        """Take in that `tid` is in no execve."""
        self._calls[tid, ENTERED] = 0

    @staticmethod
    def exec_callers(block: NativeBlock) -> list[int]:
        """Return the threads that enter execve in a block."""
        return np.unique(block.tid[_IS_ENTER[block.kind]]).tolist()

    def follow(self, block: NativeBlock, seq: np.ndarray, told: np.ndarray, awaits_images: bool) -> Followed:
        """Follow the tasks through a block.

        Parameters
        ----------
        seq : ndarray of int64
            Number of each event in the stream, from 1.
        told : ndarray of int64, shape (n, N_TOLD_COLUMNS)
            What the kernel cannot know of events; see there.
        awaits_images : bool
            Execs wait for a mark that names their image.
        """
        self._make_room(block, told)
        pids, names = np.empty((2, len(block)), dtype=np.int64)
        at_most = len(told) + int(np.count_nonzero(ABOUT_TASKS[block.kind]))
        made = np.empty((at_most, N_MADE_COLUMNS), dtype=np.int64)
        noted = np.empty((_MOST_NOTES * at_most, N_NOTED_COLUMNS), dtype=np.int64)
        n = np.zeros(3, dtype=np.int64)
        numbers = (block.tid, block.tgid, block.text, block.comm, block.found, seq)
        follow_tasks(
            *(block.kind, numbers, block.args, _STEP_OF_KIND, told, self._of_tid, self._calls),
            *(awaits_images, pids, names, made, noted, n),
        )
        self.assumed += int(n[ASSUMED])
        return Followed(pids, names, made[: n[MADE]], noted[: n[NOTED]])

    def _make_room(self, block: NativeBlock, told: np.ndarray) -> None:
        """Make the tables large enough for every tid of a block; one row more: that of -1 is the last."""
        args = block.args[np.flatnonzero(_TASKS_NAMED[block.kind]), :2]
        highest = max(int(tids.max(initial=0)) for tids in (block.tid, block.tgid))
        for pids in (args, told[:, TOLD_PID]):  # damaged text can name anything
            highest = max(highest, int(pids.max(initial=0, where=pids <= PID_MAX_LIMIT)))
        if highest + 2 > len(self._of_tid):
            n_tids = max(1 << 16, 2 * (highest + 2))
            self._of_tid, self._calls = _grown(self._of_tid, n_tids), _grown(self._calls, n_tids)


def _grown(table: np.ndarray, n_rows: int) -> np.ndarray:
    """Return a table with more rows, zero behind those that there are: memory that nothing touches takes no room."""
    grown = np.zeros((n_rows, table.shape[1]), dtype=table.dtype)
    grown[: len(table)] = table
    return grown
