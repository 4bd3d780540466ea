"""One of several replays of a trace side by side: the events of its families only, under their numbers in the trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .event_loop import replay_events
from .layout import FILE_SHM, LOG_FIELDS, State
from .results import give_pids
from .state import empty_log, grow, logged
from .table import Table

# Fields of the log that hold ids: vma, anon_vma, or a file, which may be that of a shared anonymous mapping.
_IDS = {"vma": 0, "anon_vma": 1, "file": 2}
ID_FIELDS = {
    name: [(at, _IDS[field]) for at, field in enumerate(fields) if field in _IDS]
    for name, fields in LOG_FIELDS.items()
}


@dataclass
class Round:
    """A batch of the trace, and what the shards have made of it.

    Attributes
    ----------
    number : int
        Of the batch, from 0.
    columns : tuple
        What `EventColumns.read` gives, `prepared`.
    ts : ndarray of int64
        The first of them.
    shards : Table of `SHARD_NUMBER`
        Of each row, or `ALL_SHARDS`.
    concerned : list of int
        Shards that have a row.
    lines : ndarray of int64
        Source lines.
    first_event : int
    page_changes : Table
        What each row changed of figures that faults change (`PAGE_CHANGES`): every shard writes its rows.
    logs : dict of int to dict of str to ndarray
        By shard: rows by region of the log.
    """

    number: int
    columns: tuple[Any, ...]
    ts: np.ndarray
    shards: Table
    concerned: list[int]
    lines: np.ndarray
    first_event: int
    page_changes: Table
    logs: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)


class Shard:
    """The state of one such replay.

    Parameters
    ----------
    number : int
    state : State
        Made with `is_shard`.
    """

    def __init__(self, number: int, state: State) -> None:
        self.state = state
        state.glob[0].shard = number
        self._to_global = [
            np.zeros(1 << 10, np.int64) for _ in _IDS
        ]  # by kind of id: those of the whole trace
        self._given = [0] * len(_IDS)

    def replay(self, batch: Round) -> dict[str, np.ndarray]:
        """Replay the rows of a batch that are this shard's and return the rows logged, by region of the log."""
        # It counts batches without a row of its own, too.
        self.state.glob[0].event = batch.first_event - 1
        self.state = self.state._replace(page_changes=batch.page_changes, shards=batch.shards)
        taken: dict[str, list[np.ndarray]] = {}
        row, end = 0, len(batch.lines)
        while True:
            row = replay_events(self.state, row, end, *batch.columns)
            self._take_log(taken)
            if row == end:
                return {
                    name: rows[0] if len(rows) == 1 else np.concatenate(rows) for name, rows in taken.items()
                }
            if self.state.glob[0].log_need == 0:
                self.state = grow(self.state)

    def _take_log(self, taken: dict[str, list[np.ndarray]]) -> None:
        for name, rows in logged(self.state).items():
            taken.setdefault(name, []).append(give_pids(name, rows.copy(), self.state))
        self.state = empty_log(self.state)

    def learn_ids(self, kind: int, numbers: np.ndarray) -> None:
        """Take in how the next ids that this shard gave are numbered in the whole trace.

        Parameters
        ----------
        kind : int
            0: of vmas, 1: of anon_vmas, 2: of shared anonymous mappings.
        numbers : ndarray of int64
            Of each id, in the order in which they were given.
        """
        first = self._given[kind] + 1
        self._given[kind] += len(numbers)
        while self._given[kind] >= len(self._to_global[kind]):
            self._to_global[kind] = np.concatenate(
                [self._to_global[kind], np.zeros_like(self._to_global[kind])]
            )
        self._to_global[kind][first : first + len(numbers)] = numbers

    def renumber(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Give the ids in rows of a region of the log their numbers in the whole trace; return the rows, changed."""
        for at, kind in ID_FIELDS[name]:
            ids = rows[:, at]
            if kind == _IDS["file"]:
                shared = (ids & FILE_SHM) != 0
                ids[shared] = self._to_global[kind][ids[shared] - FILE_SHM]
            else:
                rows[:, at] = self._to_global[kind][ids]
        return rows
