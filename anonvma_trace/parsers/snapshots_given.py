"""Which of the snapshots that ``--maps`` gave belongs to which event of the trace."""

from __future__ import annotations

from .proc_maps import Snapshot

_LONGEST_EXEC_NS = 1_000_000_000
"""Between the event of an exec and a snapshot of its image: the process is stopped there by its tracer."""

_SAME_CLOCK_NS = 3600 * 1_000_000_000
"""Snapshots and events further apart than this have clocks that do not begin at the same moment."""


class NumberedSnapshots:
    """The start and exec snapshots that have a number and a time; each is used once.

    Parameters
    ----------
    snapshots : list of Snapshot
    by_time : bool
        They have their place where their times are, which are comparable if the trace has the monotonic clock.
        Otherwise only marker lines in the trace, which name them, tell their place.
    """

    def __init__(self, snapshots: list[Snapshot], by_time: bool) -> None:
        self._by_name = {(snapshot.n, snapshot.why, snapshot.pid): snapshot for snapshot in snapshots}
        self._unused = set(self._by_name)
        self._by_time = by_time

    def __bool__(self) -> bool:
        return bool(self._by_name)

    @property
    def unused(self) -> int:
        """How many were not used so far."""
        return len(self._unused)

    @property
    def awaits_markers(self) -> bool:
        """Whether an exec should wait for the marker line of its image."""
        return not self._by_time and any(why == "exec" for _, why, _ in self._by_name)

    def named(self, n: int, why: str, pid: int) -> Snapshot | None:
        """Return the snapshot that a marker line names."""
        return self._by_name.get((n, why, pid))

    def use(self, snapshot: Snapshot) -> None:
        """Note that a snapshot has found its place."""
        self._unused.discard((snapshot.n, snapshot.why, snapshot.pid))

    def has_start(self, pid: int) -> bool:
        """Tell whether there is a start snapshot of `pid`."""
        return any(why == "start" and of == pid for _, why, of in self._by_name)

    def take_exec_at(self, pid: int, ts: int) -> Snapshot | None:
        """Return the image of the exec of `pid` at `ts`, by time; None if there is none or markers tell."""
        near = [
            snapshot
            for snapshot in self._waiting("exec")
            if snapshot.pid == pid and 0 <= snapshot.t_mono_ns - ts < _LONGEST_EXEC_NS
        ]
        if not near:
            return None
        found = min(near, key=lambda snapshot: snapshot.t_mono_ns)
        self.use(found)
        return found

    def starts_between(self, first_ts: int, last_ts: int) -> list[Snapshot]:
        """Return the start snapshots that belong before `last_ts`, by time; `first_ts` tells whether it can be."""
        return [
            snapshot
            for snapshot in self._waiting("start")
            if first_ts - _SAME_CLOCK_NS <= snapshot.t_mono_ns <= last_ts
        ]

    def _waiting(self, why: str) -> list[Snapshot]:
        if not self._by_time:
            return []
        return [self._by_name[name] for name in sorted(self._unused) if name[1] == why]
