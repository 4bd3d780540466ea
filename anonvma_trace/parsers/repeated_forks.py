"""New tasks that two tracepoints tell of: task_newtask first, sched_process_fork just behind it."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from ..events import CLONE_VFORK, CLONE_VM
from .native_block import NativeBlock
from .native_events import SYSCALLS, Family, native_tables

_FLAGS_OF_CALL = {"fork": 0, "vfork": CLONE_VM | CLONE_VFORK}
_NOT_TOLD = -1  # clone3: its flags are in the caller's memory
_TOLD_BY_ARGUMENT = -2  # clone
_NO_FORK_CALL = -3


def _flags_of_kinds() -> np.ndarray:
    """Return, for each kind, the flags of the task that such a call makes, or what stands above in their place."""
    flags = {"clone": _TOLD_BY_ARGUMENT, "clone3": _NOT_TOLD, **_FLAGS_OF_CALL}
    tables = native_tables()
    return np.array(
        [
            flags.get(SYSCALLS[call].name, _NO_FORK_CALL) if family == Family.ENTER else _NO_FORK_CALL
            for family, call in zip(tables.family.tolist(), tables.syscall.tolist(), strict=True)
        ]
    )


_FLAGS_OF_KIND = _flags_of_kinds()
_FAMILY = native_tables().family
_CHILD_SLOT = np.where(_FAMILY == Family.FORK, 1, 0)  # in the numbers of a sched_process_fork, a task_newtask


class RepeatedForks:
    """Tells which sched_process_fork events say something new: those without a task_newtask before them.

    All events of a block at once: a recording of forks would otherwise be looked at event by event only to
    find that each is told twice.
    """

    def __init__(self) -> None:
        # By tid: told by task_newtask, until sched_process_fork repeats it.
        self._pending = np.zeros(1 << 16, dtype=bool)
        self._flags: dict[int, int] = {}  # tid -> flags of its latest call that makes a task
        self._calls: list[tuple[int, int, int]] = []  # of the block, in order: event, tid, flags
        self._calls_taken = 0  # how many of them `_flags` has

    def new_ones(self, block: NativeBlock) -> np.ndarray:
        """Return the sched_process_fork events (indices) of the next block that repeat nothing.

        `flags_before` answers for them until the next block.
        """
        self._take_in_calls(len(self._calls))
        kind = block.kind
        at = np.flatnonzero((_FAMILY[kind] == Family.FORK) | (_FAMILY[kind] == Family.NEWTASK))
        is_fork = _FAMILY[kind[at]] == Family.FORK
        children = block.args[at, _CHILD_SLOT[kind[at]]]
        self._make_room(int(children.max(initial=0)))
        new = at[is_fork & ~self._follows_newtask(children, is_fork)]
        calls = np.flatnonzero(_FLAGS_OF_KIND[kind] != _NO_FORK_CALL)
        flags = _FLAGS_OF_KIND[kind[calls]]
        flags = np.where(flags == _TOLD_BY_ARGUMENT, block.args[calls, 0], flags)
        self._calls = list(zip(calls.tolist(), block.tid[calls].tolist(), flags.tolist(), strict=True))
        self._calls_taken = 0
        return new

    def flags_before(self, event: int, tid: int) -> int | None:
        """Return the flags of the call that `tid` made last before an event of the block; None if not told.

        Ask for events in order.
        """
        self._take_in_calls(bisect_left(self._calls, (event,)))
        flags = self._flags.get(tid, _NOT_TOLD)
        return None if flags == _NOT_TOLD else flags

    def _take_in_calls(self, n_calls: int) -> None:
        self._flags.update((tid, flags) for _, tid, flags in self._calls[self._calls_taken : n_calls])
        self._calls_taken = n_calls

    def _follows_newtask(self, children: np.ndarray, is_fork: np.ndarray) -> np.ndarray:
        """Return whether the latest event about the same child before each is a task_newtask, and keep the last."""
        if not len(children):
            return np.zeros(0, dtype=bool)
        follows = np.zeros(len(children), dtype=bool)
        order = np.argsort(children, kind="stable")
        children, is_fork = children[order], is_fork[order]
        differs = children[1:] != children[:-1]
        first, last = np.append(True, differs), np.append(differs, True)
        told = np.append(False, ~is_fork[:-1])
        follows[order] = np.where(first, self._pending[children], told)
        self._pending[children[last]] = ~is_fork[last]
        return follows

    def _make_room(self, highest: int) -> None:
        if highest >= len(self._pending):
            grown = np.zeros(2 * (highest + 1), dtype=bool)
            grown[: len(self._pending)] = self._pending
            self._pending = grown
