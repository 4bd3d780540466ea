"""Which process a thread belongs to, and what it is called, event by event."""

from __future__ import annotations

import numpy as np

from ..compiling import entry_point
from .native_block import NativeBlock

UNKNOWN, DEAD = 0, -1
"""Values in place of a pid: nothing is known of the tid yet; its thread or process is gone."""

NO_NAME = -1


@entry_point
def _follow(tids, change_at, change_tid, change_value, value_of, values):
    """Fill `values` with the value of each event's tid; a change holds for the events after `change_at`."""
    change = 0
    for event in range(len(tids)):
        while change < len(change_at) and change_at[change] < event:
            value_of[change_tid[change]] = change_value[change]
            change += 1
        values[event] = value_of[tids[event]]
    while change < len(change_at):
        value_of[change_tid[change]] = change_value[change]
        change += 1


class TidTable:
    """A value for each tid that changes at certain events of a block.

    Parameters
    ----------
    initial : int
        Value of a tid that nothing is known of.
    """

    def __init__(self, initial: int) -> None:
        self._initial = initial
        self._value_of = np.full(1 << 16, initial, dtype=np.int64)
        self._changes: list[tuple[int, int, int]] = []  # event, tid, value
        self._now: dict[int, int] = {}

    def now(self, tid: int) -> int:
        """Return the value after all changes told so far."""
        value = self._now.get(tid)
        if value is not None:
            return value
        return int(self._value_of[tid]) if tid < len(self._value_of) else self._initial

    def change(self, event: int, tid: int, value: int) -> None:
        """From the event after number `event` of the block on, `tid` has `value`; tell changes in order."""
        self._changes.append((event, tid, value))
        self._now[tid] = value

    def follow(self, tids: np.ndarray) -> np.ndarray:
        """Return the value at each event of the block, and take the changes in.

        Parameters
        ----------
        tids : ndarray of int64
            Tid of each event of the block.
        """
        changes = np.array(self._changes, dtype=np.int64).reshape(-1, 3)
        highest = int(max(tids.max(initial=0), changes[:, 1].max(initial=0)))
        self._make_room(highest)
        values = np.empty(len(tids), dtype=np.int64)
        _follow(
            tids,
            np.ascontiguousarray(changes[:, 0]),
            np.ascontiguousarray(changes[:, 1]),
            np.ascontiguousarray(changes[:, 2]),
            self._value_of,
            values,
        )
        self._changes.clear()
        self._now.clear()
        return values

    def values(self, tids: np.ndarray) -> np.ndarray:
        """Return the values before the first event of the block."""
        self._make_room(int(tids.max(initial=0)))
        return self._value_of[tids]

    def set(self, tid: int, value: int) -> None:
        """Between two blocks: give `tid` a value."""
        self._make_room(tid)
        self._value_of[tid] = value

    def _make_room(self, highest: int) -> None:
        if highest >= len(self._value_of):
            grown = np.full(2 * (highest + 1), self._initial, dtype=np.int64)
            grown[: len(self._value_of)] = self._value_of
            self._value_of = grown


class Tasks:
    """Threads, processes and their names.

    Attributes
    ----------
    names : TidTable
        Number of the name of each tid, as task_newtask, task_rename and sched_process_exec tell it.
    assumed : int
        Tids taken for processes of their own because nothing told otherwise.
    """

    def __init__(self) -> None:
        self.pids = TidTable(UNKNOWN)
        self.names = TidTable(NO_NAME)
        self.column_names = TidTable(NO_NAME)
        self.assumed = 0
        self._threads: dict[int, set[int]] = {}  # live threads of each live process, as far as known

    def pid(self, tid: int, tgid: int = -1) -> int:
        """Return the process of `tid` now, or DEAD; `tgid` is what the line says, -1 for nothing."""
        pid = self.pids.now(tid)
        if pid == UNKNOWN:
            return tgid if tgid > 0 else tid
        return pid

    def start_thread(self, event: int, tid: int, pid: int) -> None:
        """Let `tid` begin as a thread of `pid`, or as a process of its own if they are equal."""
        self.pids.change(event, tid, pid)
        if tid == pid:
            self._threads[pid] = {tid}
        else:
            self._threads.setdefault(pid, {pid}).add(tid)

    def become_leader(self, event: int, pid: int, old_tid: int) -> None:
        """Follow an exec: `pid` has one thread left, itself; `old_tid`, which called it, has become that."""
        for tid in self._threads.get(pid, set()) | {old_tid}:
            if tid != pid:
                self.pids.change(event, tid, DEAD)
        self.pids.change(event, pid, pid)
        self._threads[pid] = {pid}

    def end_thread(self, event: int, tid: int, pid: int, group_dead: bool | None) -> bool:
        """Let `tid` of `pid` exit, and return whether the process does.

        Parameters
        ----------
        group_dead : bool or None
            What the kernel says of it; None where it does not, then the threads are counted.
        """
        threads = self._threads.setdefault(pid, {pid, tid})
        threads.discard(tid)
        last = not threads if group_dead is None else group_dead
        if last:
            for other in threads | {tid, pid}:
                self.pids.change(event, other, DEAD)
            del self._threads[pid]
        elif tid != pid:
            # A leader that went first stays on record: a thread that calls execve will take its tid over.
            self.pids.change(event, tid, DEAD)
        return last

    def follow(self, block: NativeBlock) -> tuple[np.ndarray, np.ndarray]:
        """Return process and name of each event of a block, after its changes were told.

        Returns
        -------
        pids : ndarray of int64
            `DEAD` for events of threads and processes that are gone.
        names : ndarray of int64
            Numbers of names; -1 where there is none.
        """
        pids = self.pids.follow(block.tid)
        # What is left: markers and losses, whose tid does not act.
        unknown = pids == UNKNOWN
        pids[unknown] = np.where(block.tgid[unknown] > 0, block.tgid[unknown], block.tid[unknown])
        named = np.flatnonzero(block.comm >= 0)
        columns = (named - 1, block.tid[named], block.comm[named])
        for event, tid, name in zip(*(column.tolist() for column in columns), strict=True):
            self.column_names.change(event, tid, name)
        printed = self.column_names.follow(block.tid)
        told = self.names.follow(block.tid)
        return pids, np.where(told >= 0, told, printed)

    def strangers(self, block: NativeBlock, acts: np.ndarray) -> list[tuple[int, int, int]]:
        """Return the threads in a block that nothing told of before it, in order of appearance.

        Parameters
        ----------
        acts : ndarray of bool
            Which events of `block` are acts of their tid.

        Returns
        -------
        list of tuple (event, tid, tgid)
            First event of each; `tgid` as printed there. The block itself may tell of them before that event.
        """
        at = np.flatnonzero(acts & (self.pids.values(block.tid) == UNKNOWN) & (block.tid > 0))
        _, first = np.unique(block.tid[at], return_index=True)
        events = np.sort(at[first])
        return list(
            zip(events.tolist(), block.tid[events].tolist(), block.tgid[events].tolist(), strict=True)
        )

    def meet(self, event: int, tid: int, tgid: int) -> None:
        """Take in a thread that nothing told of: one of `tgid`, or (-1) a process of its own."""
        if self.pids.now(tid) != UNKNOWN:
            return
        pid = self.pid(tid, tgid)
        if self.pids.now(pid) == DEAD:
            self.pids.change(event - 1, tid, DEAD)
            return
        self.pids.change(event - 1, tid, pid)
        self._threads.setdefault(pid, {pid}).add(tid)
        self.assumed += tgid <= 0
