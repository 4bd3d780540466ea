"""Which rows belong together: process families, split over shards that can be replayed side by side.

A family is what forks connect: a process, those it forked, those they forked. A process that no fork row made begins
a family of its own; so does the next life of a pid whose process has exited. Families share no mm, so no vma, no
anonymous page and no list. What they do share, and what couples them, is told by `COUPLINGS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .compiled import entry_point
from .coupling import FamiliesCoupled
from .layout import SHARD_NUMBER
from .rows import NOT_GIVEN, OP_EXIT, OP_FORK, OP_LOST, OP_MARK, OP_RECLAIM, OP_SCAN, OP_SWAP_OUT

ALL_SHARDS = -1
"""Shard of a row that changes nothing anywhere."""

_PLAIN = sum(1 << code for code in range(OP_RECLAIM) if code not in (OP_FORK, OP_EXIT))
"""Bits of the operations that act on their process alone, name no page, and let it live."""

COUPLINGS = (
    "",
    "a scan row takes pages off the LRU lists, which all processes share",
    "a row names its page by its frame, and frames go from one process to another",
    "a reclaim row names a page of a file, which all processes share",
    "a fork makes a pid that still lives in another family",
)
"""Why families cannot be replayed apart, by the code that `split_rows` gives."""
(_, _BY_SCAN, _BY_FRAME, _BY_FILE, _BY_FORK) = range(len(COUPLINGS))

# Words of `marks`: how far the split has come, and what it needs.
(_N_FAMILIES, _N_PIDS, _COUPLED, N_MARKS) = range(4)
_PID_WIDTH = (
    2  # words of an entry of the hash of pids: pid + 1, and the family in which it lives + 1 (0: dead)
)


@entry_point
def split_rows(row, end, op, pid, child, addr, frame, file, pids, shard_of, n_rows, load, marks, shards):
    """Give rows [row, end) of a batch their shards; return the row to go on with: `end`, or one that needs room.

    Parameters
    ----------
    row, end : int64
    op, pid, child, addr, frame, file : ndarray of int64
        Columns as for `replay_events`.
    pids : ndarray of int64
        Hash of pids, open addressing; as many entries as a power of two.
    shard_of, n_rows : ndarray of int64, shape (families there is room for,)
        Of each family: its shard, and its rows so far.
    load : ndarray of int64, shape (shards,)
        Rows of each shard so far.
    marks : ndarray of int64, shape (N_MARKS,)
    shards : ndarray of `SHARD_NUMBER`
        Gets the shard of each row, or `ALL_SHARDS`.
    """
    mask = len(pids) // _PID_WIDTH - 1
    last_pid, last_family = NOT_GIVEN, NOT_GIVEN  # of the row before, if its process lives on
    while row < end:
        if last_family != NOT_GIVEN and pid[row] == last_pid:  # most rows come in runs
            shard, begin = shard_of[last_family], row
            while row < end and pid[row] == last_pid and (_PLAIN >> op[row]) & 1:
                shards[row] = shard
                row += 1
            n_rows[last_family] += row - begin
            load[shard] += row - begin
            if row == end:
                return end
        if 2 * (marks[_N_PIDS] + 2) > mask or marks[_N_FAMILIES] + 1 >= len(shard_of):
            return row
        code = op[row]
        at = ((pid[row] * 0x9E3779B1) >> 5) & mask
        while pids[_PID_WIDTH * at] != 0 and pids[_PID_WIDTH * at] != pid[row] + 1:
            at = (at + 1) & mask
        family = pids[_PID_WIDTH * at + 1] - 1 if pids[_PID_WIDTH * at] != 0 else -1
        names_page = code >= OP_RECLAIM and code <= OP_SWAP_OUT
        last_family = NOT_GIVEN
        if code == OP_MARK:
            shards[row] = ALL_SHARDS
            row += 1
            continue
        if code == OP_SCAN:
            marks[_COUPLED] = _BY_SCAN
            return row
        if names_page and addr[row] == NOT_GIVEN and frame[row] != NOT_GIVEN:
            marks[_COUPLED] = _BY_FRAME
            return row
        if names_page and addr[row] == NOT_GIVEN and file[row] != 0:
            marks[_COUPLED] = _BY_FILE
            return row
        bad_fork = code == OP_FORK and (child[row] < 0 or child[row] == pid[row])
        if code == OP_LOST or bad_fork or (family < 0 and (names_page or code == OP_EXIT)):
            shards[row] = 0  # acts on no process; the shard only tells of it
            load[0] += 1
            row += 1
            continue
        if family < 0:
            lightest = 0
            for shard in range(1, len(load)):
                if load[shard] < load[lightest]:
                    lightest = shard
            family = marks[_N_FAMILIES]
            marks[_N_FAMILIES] += 1
            shard_of[family] = lightest
            n_rows[family] = 0
            if pids[_PID_WIDTH * at] == 0:
                marks[_N_PIDS] += 1
                pids[_PID_WIDTH * at] = pid[row] + 1
            pids[_PID_WIDTH * at + 1] = family + 1
        if code == OP_EXIT:
            pids[_PID_WIDTH * at + 1] = 0
        elif code == OP_FORK:
            at = ((child[row] * 0x9E3779B1) >> 5) & mask
            while pids[_PID_WIDTH * at] != 0 and pids[_PID_WIDTH * at] != child[row] + 1:
                at = (at + 1) & mask
            if pids[_PID_WIDTH * at] == 0:
                marks[_N_PIDS] += 1
                pids[_PID_WIDTH * at] = child[row] + 1
            elif pids[_PID_WIDTH * at + 1] != 0 and (
                shard_of[pids[_PID_WIDTH * at + 1] - 1] != shard_of[family]  # on one shard it is done as ever
            ):
                marks[_COUPLED] = _BY_FORK
                return row
            pids[_PID_WIDTH * at + 1] = family + 1
        last_pid, last_family = pid[row], NOT_GIVEN if code == OP_EXIT else family
        shards[row] = shard_of[family]
        n_rows[family] += 1
        load[shard_of[family]] += 1
        row += 1
    return end


@dataclass(frozen=True)
class Families:
    """What the split has found.

    Attributes
    ----------
    families : int
        Families that there were.
    largest_share : float
        Rows of the largest family as a share of all rows that belong to one; 0 without any.
    """

    families: int
    largest_share: float


class FamilySplit:
    """Follows pids over the rows of a trace and puts each family, as it begins, on the shard with the fewest rows.

    What it keeps is four words for each pid, and two for each family, that there ever was.

    Parameters
    ----------
    n_shards : int
    """

    def __init__(self, n_shards: int) -> None:
        self._pids = np.zeros(_PID_WIDTH << 10, np.int64)
        self._shard_of = np.zeros(1 << 8, np.int64)
        self._n_rows = np.zeros(1 << 8, np.int64)
        self._load = np.zeros(n_shards, np.int64)
        self._marks = np.zeros(N_MARKS, np.int64)

    def split(self, columns: tuple[np.ndarray, ...], first_event: int) -> tuple[np.ndarray, list[int]]:
        """Return the shard of each row of the next batch, or `ALL_SHARDS`, and which shards have one.

        Parameters
        ----------
        columns : tuple of ndarray
            As `EventColumns.read` gives them.
        first_event : int

        Raises
        ------
        FamiliesCoupled
            At the first row for which families cannot be replayed apart.
        """
        _, pid, _, op, addr, _, _, _, _, file, _, _, child, frame = columns
        shards = np.empty(len(op), SHARD_NUMBER)
        before = self._load.copy()
        row = 0
        while row < len(op):
            row = split_rows(
                row,
                len(op),
                op,
                pid,
                child,
                addr,
                frame,
                file,
                self._pids,
                self._shard_of,
                self._n_rows,
                self._load,
                self._marks,
                shards,
            )
            if self._marks[_COUPLED]:
                raise FamiliesCoupled(first_event + row, COUPLINGS[self._marks[_COUPLED]])
            if row < len(op):
                self._grow()
        return shards, np.flatnonzero(self._load != before).tolist()

    def _grow(self) -> None:
        if 2 * (self._marks[_N_PIDS] + 2) > len(self._pids) // _PID_WIDTH - 1:
            self._pids = _rehashed(self._pids)
        if self._marks[_N_FAMILIES] + 1 >= len(self._shard_of):
            self._shard_of, self._n_rows = (
                np.concatenate([array, np.zeros_like(array)]) for array in (self._shard_of, self._n_rows)
            )

    def found(self) -> Families:
        """Return what the split has found so far."""
        rows = self._n_rows[: self._marks[_N_FAMILIES]]
        return Families(len(rows), float(rows.max() / rows.sum()) if len(rows) else 0.0)


def _rehashed(pids: np.ndarray) -> np.ndarray:
    """Return the hash of pids with twice as many entries."""
    larger = np.zeros(2 * len(pids), np.int64)
    mask = len(larger) // _PID_WIDTH - 1
    for key, family in pids.reshape(-1, _PID_WIDTH).tolist():
        if key:
            at = (((key - 1) * 0x9E3779B1) >> 5) & mask
            while larger[_PID_WIDTH * at]:
                at = (at + 1) & mask
            larger[_PID_WIDTH * at : _PID_WIDTH * at + _PID_WIDTH] = key, family
    return larger
