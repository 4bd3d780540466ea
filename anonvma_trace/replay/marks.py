"""Looking at the replay from outside: a watcher is shown a process's address space at `mark` rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from ..events import OPS
from .address_space import AddressSpace, address_space_of, was_seen
from .layout import State
from .live_objects import LiveObjects, live_objects

if TYPE_CHECKING:
    from ..trace import Diagnostic

_OP_VMA, _OP_EXEC, _OP_MARK, _OP_LOST = map(OPS.index, ("vma", "exec", "mark", "lost"))


class Mark(NamedTuple):
    """A `mark` row, and what the replay holds when everything up to it has been replayed.

    Attributes
    ----------
    event, line, ts : int
        Number of the row, its line in the source (0: unknown), its time in ns.
    pid, number : int
        Process and snapshot number that the row names.
    was_seen : bool
        A process with this pid is alive or has been.
    space : AddressSpace or None
        Its address space; None if no such process is alive.
    last_loss : int
        Event number of the latest `lost` row before it; 0 if there is none.
    objects : LiveObjects
        Objects that the scheme has made for all processes.
    """

    event: int
    line: int
    ts: int
    pid: int
    number: int
    was_seen: bool
    space: AddressSpace | None
    last_loss: int
    objects: LiveObjects


class MarkWatcher(Protocol):
    """Who wants to look."""

    def wants(self, pid: int, number: int) -> bool:
        """Tell whether to show the `mark` row of this process with this snapshot number."""
        ...

    def look(self, mark: Mark) -> None:
        """Take in what stands at a wanted row. The arrays are the watcher's own."""
        ...

    def end(self, standing_ts: np.ndarray) -> None:
        """Learn that the replay is over, and the times at which rows built what stood before the recording."""
        ...

    def diagnostics(self) -> list[Diagnostic]:
        """Return what it has to tell when the replay is over."""
        ...


class WatchedMarks:
    """Finds the rows that a watcher wants, batch by batch, and shows them when they have been replayed."""

    def __init__(self, watcher: MarkWatcher) -> None:
        self._watcher = watcher
        self._last_loss = 0
        self._losses = np.empty(0, np.int64)
        self._first_event = 1
        self._vma_ts: set[int] = set()
        self._exec_ts: set[int] = set()

    def find(self, columns: tuple[np.ndarray, ...], first_event: int) -> list[int]:
        """Return the wanted rows of the next batch (as `EventColumns.read` gives it), ascending."""
        ts, pid, _, op, _, number, *_ = columns
        self._vma_ts |= set(np.unique(ts[op == _OP_VMA]).tolist())
        self._exec_ts |= set(ts[op == _OP_EXEC].tolist())
        self._last_loss = self._loss_before(len(self._losses))
        self._losses = np.flatnonzero(op == _OP_LOST)
        self._first_event = first_event
        rows = np.flatnonzero(op == _OP_MARK)
        candidates = zip(rows.tolist(), pid[rows].tolist(), number[rows].tolist(), strict=True)
        return [row for row, of_pid, n in candidates if self._watcher.wants(of_pid, n)]

    def show(self, state: State, columns: tuple[np.ndarray, ...], row: int, line: int) -> None:
        """Show the watcher one of the rows that `find` returned; `state` is that right after it."""
        pid = int(columns[1][row])
        mark = Mark(
            event=self._first_event + row,
            line=line,
            ts=int(columns[0][row]),
            pid=pid,
            number=int(columns[5][row]),
            was_seen=was_seen(state, pid),
            space=address_space_of(state, pid),
            last_loss=self._loss_before(int(np.searchsorted(self._losses, row))),
            objects=live_objects(state),
        )
        self._watcher.look(mark)

    def end(self) -> None:
        """Tell the watcher that the replay is over.

        An image that stood before the recording comes as rows at one time, `vma` rows among them; so does a program
        that was executed, but with its exec row, and that was made while the recording ran.
        """
        self._watcher.end(np.array(sorted(self._vma_ts - self._exec_ts), np.int64))

    def _loss_before(self, count: int) -> int:
        """Return the event of the `count`-th `lost` row of this batch, or of the latest before it."""
        return self._first_event + int(self._losses[count - 1]) if count else self._last_loss


class Watchers:
    """Several watchers of the same marks, as one."""

    def __init__(self, watchers: Iterable[MarkWatcher]) -> None:
        self._watchers = list(watchers)

    def wants(self, pid: int, number: int) -> bool:
        """Tell whether any of them wants to see a mark."""
        return any(watcher.wants(pid, number) for watcher in self._watchers)

    def look(self, mark: Mark) -> None:
        """Show a mark to those who want it."""
        for watcher in self._watchers:
            if watcher.wants(mark.pid, mark.number):
                watcher.look(mark)

    def end(self, standing_ts: np.ndarray) -> None:
        """Tell all that the replay is over."""
        for watcher in self._watchers:
            watcher.end(standing_ts)

    def diagnostics(self) -> list[Diagnostic]:
        """Return what they have to tell, one after the other."""
        return [told for watcher in self._watchers for told in watcher.diagnostics()]
