"""Which system call enter belongs to which exit: the two follow one another in a thread, nothing between."""

from __future__ import annotations

import numpy as np

from ..compiling import entry_point
from .native_block import NativeBlock, concatenate
from .native_events import Family, native_tables

# Plain numbers: the compiler takes longer over an enumeration.
_ENTER, _EXIT, _LOST = int(Family.ENTER), int(Family.EXIT), int(Family.LOST)
_NEWTASK, _EXEC, _TASK_EXIT = int(Family.NEWTASK), int(Family.EXEC), int(Family.TASK_EXIT)
# Which of an event's first two numbers are tids.
_MATTERS = np.isin(
    native_tables().family,
    (Family.ENTER, Family.EXIT, Family.NEWTASK, Family.TASK_EXIT, Family.EXEC, Family.LOST),
)
_TID_SLOTS = np.zeros((len(Family), 2), dtype=bool)
_TID_SLOTS[[_NEWTASK, _TASK_EXIT, _EXEC], 0] = True
_TID_SLOTS[_EXEC, 1] = True


@entry_point
def _pair(kind, family, syscall, tid, cpu, args, seq, open_enter, lost_seq, enter_of):
    dropped = 0
    for event in range(len(kind)):
        what = family[kind[event]]
        if what == _ENTER:
            open_enter[tid[event]] = event
        elif what == _EXIT:
            enter = open_enter[tid[event]]
            open_enter[tid[event]] = -1
            if enter >= 0 and syscall[kind[enter]] == syscall[kind[event]]:
                # Lost events of either CPU may have held the exit of this enter and another enter.
                if max(lost_seq[cpu[enter]], lost_seq[cpu[event]]) > seq[enter]:
                    dropped += 1
                else:
                    enter_of[event] = enter
        elif what in (_NEWTASK, _TASK_EXIT):
            open_enter[args[event, 0]] = -1  # tids are used again
        elif what == _EXEC:
            open_enter[args[event, 1]] = -1  # a thread that became the leader returns under the leader's tid
        elif what == _LOST:
            if cpu[event] < 0:
                lost_seq[:] = seq[event]
            else:
                lost_seq[cpu[event]] = seq[event]
    return dropped


class Pairing:
    """Pairs the enters and exits of a stream of blocks.

    Attributes
    ----------
    dropped : int
        Pairs that were not taken because events of their CPU were lost in between.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._tables = native_tables()
        self._open_enter = np.full(1 << 16, -1, dtype=np.int64)  # by tid: event of this block
        self._lost_seq = np.full(1 << 8, -1, dtype=np.int64)  # by CPU: the latest loss
        self._waiting: NativeBlock | None = None
        self._waiting_seq = np.empty(0, dtype=np.int64)

    def pair(self, block: NativeBlock, seq: np.ndarray) -> tuple[NativeBlock, np.ndarray, np.ndarray]:
        """Find the enter of each exit of `block`.

        Parameters
        ----------
        block : NativeBlock
            The next events of the stream.
        seq : ndarray of int64
            Their numbers in the stream.

        Returns
        -------
        events : NativeBlock
            Enters that waited from before, then those of `block` that matter here.
        at : ndarray of int64
            Index in `block` of each of `events`; -1 for those from before.
        enter_of : ndarray of int64
            For each of `events` that is an exit, the index of its enter in `events`; -1 for none.
        """
        at = np.flatnonzero(_MATTERS[block.kind])
        n_waiting = len(self._waiting_seq)
        events = block.take(at)
        events = events if self._waiting is None else concatenate([self._waiting, events])
        numbers = np.concatenate([self._waiting_seq, seq[at]])
        at = np.concatenate([np.full(n_waiting, -1), at])
        self._make_room(events)
        enter_of = np.full(len(events), -1, dtype=np.int64)
        self.dropped += _pair(
            events.kind,
            self._tables.family,
            self._tables.syscall,
            events.tid,
            events.cpu,
            events.args,
            numbers,
            self._open_enter,
            self._lost_seq,
            enter_of,
        )
        tids = np.unique(events.tid[self._tables.family[events.kind] == Family.ENTER])
        still_open = self._open_enter[tids]
        still_open = np.sort(still_open[still_open >= 0])
        self._open_enter[tids] = -1
        self._waiting = events.take(still_open) if len(still_open) else None
        self._waiting_seq = numbers[still_open]
        return events, at, enter_of

    def open_calls(self) -> list[str]:
        """Return the names of the calls that were entered and never left."""
        if self._waiting is None:
            return []
        return [self._tables.names[kind] for kind in self._waiting.kind]

    def _make_room(self, events: NativeBlock) -> None:
        """Make the tables large enough for every tid and CPU of `events` (one more: -1 is the last)."""
        family = self._tables.family[events.kind]
        about_tasks = np.flatnonzero(_TID_SLOTS[family, 0])
        named = events.args[about_tasks, :2].max(initial=0, where=_TID_SLOTS[family[about_tasks]])
        n_tids = int(max(events.tid.max(initial=0), named)) + 2
        if n_tids > len(self._open_enter):
            grown = np.full(2 * n_tids, -1, dtype=np.int64)
            self._open_enter = grown
        n_cpus = int(events.cpu.max(initial=0)) + 2
        if n_cpus > len(self._lost_seq):
            grown = np.full(2 * n_cpus, -1, dtype=np.int64)
            grown[: len(self._lost_seq)] = self._lost_seq
            self._lost_seq = grown
