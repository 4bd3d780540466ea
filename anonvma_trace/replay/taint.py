"""Which processes a loss may concern: what the recorder dropped could have been any act of theirs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict

import numpy as np

from ..events import OPS

_OP_LOST, _OP_EXEC, _OP_EXIT = OPS.index("lost"), OPS.index("exec"), OPS.index("exit")


class Taint:
    """Follows the rows that decide which processes a loss may concern.

    A process is tainted if events were lost while it lived, or before it was forked from a process whose address
    space they may have changed. An exec makes a new address space: what is forked from it later is clean again. A
    process that no fork row tells of may have lived since before the first event.
    """

    def __init__(self) -> None:
        self._losses: list[int] = []
        self._execs: defaultdict[int, list[int]] = defaultdict(list)  # pid -> events, ascending
        self._exits: defaultdict[int, list[int]] = defaultdict(list)

    def note(self, columns: tuple[np.ndarray, ...], first_event: int) -> None:
        """Take in the next batch (as `EventColumns.read` gives it)."""
        _, pid, _, op, *_ = columns
        self._losses += (first_event + np.flatnonzero(op == _OP_LOST)).tolist()
        for code, events in ((_OP_EXEC, self._execs), (_OP_EXIT, self._exits)):
            for row in np.flatnonzero(op == code).tolist():
                events[int(pid[row])].append(first_event + row)

    def tainted(self, pids: np.ndarray, parents: np.ndarray, first_events: np.ndarray) -> np.ndarray:
        """Return which lives of processes are tainted.

        Parameters
        ----------
        pids, parents, first_events : ndarray of int64
            Each life in the order of beginning: its pid, the pid that it was forked from (-1: no row tells),
            and the event at which it begins.

        Returns
        -------
        ndarray of bool
        """
        tainted = np.zeros(len(pids), dtype=bool)
        if not self._losses:
            return tainted
        clean_since = np.zeros(len(pids), dtype=np.int64)  # what its address space is since, at birth
        ends = self._ends(pids, first_events)
        latest: dict[int, int] = {}  # pid -> its latest life so far
        lives = zip(pids.tolist(), parents.tolist(), first_events.tolist(), strict=True)
        for life, (pid, parent, begins) in enumerate(lives):
            if parent in latest:
                clean_since[life] = clean_since[latest[parent]]
                execs = self._execs[parent]
                at = bisect_left(execs, begins)
                if at and execs[at - 1] >= first_events[latest[parent]]:
                    clean_since[life] = execs[at - 1]
            at = bisect_right(self._losses, clean_since[life])
            tainted[life] = at < len(self._losses) and self._losses[at] < ends[life]
            latest[pid] = life
        return tainted

    def _ends(self, pids: np.ndarray, first_events: np.ndarray) -> list[float]:
        """Return the event at which each life ends: its exit row, or the beginning of the pid's next life."""
        ends: list[float] = [float("inf")] * len(pids)
        begins_next: dict[int, float] = {}
        for life in range(len(pids) - 1, -1, -1):
            pid, begins = int(pids[life]), int(first_events[life])
            exits = self._exits[pid]
            at = bisect_right(exits, begins)
            exit_row = exits[at] if at < len(exits) else float("inf")
            ends[life] = min(exit_row, begins_next.get(pid, float("inf")))
            begins_next[pid] = begins
        return ends
