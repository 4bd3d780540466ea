"""Which file a process has mapped shared, and where: what remap_file_pages leaves out.

The call names addresses only. Its row is an mmap of the file that is mapped there already, with that mapping's
protection and another place in the file (mm/mmap.c; since 4.0 that is what the kernel itself makes of it).
"""

from __future__ import annotations

import numpy as np

from .native_events import PID_MAX_LIMIT
from .notes import Notes
from .row_table import LINE
from .shared_layouts import (
    FILE_NUMBER,
    FREE_MAPPING,
    FREE_MAPPINGS,
    FREE_MM,
    FREE_MMS,
    HEAD,
    MAPPING_COLUMNS,
    MM_COLUMNS,
    NEXT,
    STATE_WORDS,
    USED_LINES,
    follow_rows,
)

_ROOM_AT_FIRST = 64


class SharedMappings:
    """Follows the shared file mappings of all processes through the rows, and completes those of remap_file_pages.

    Parameters
    ----------
    notes : Notes
        Where to count the calls that are left out.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._maps = np.zeros((1, MAPPING_COLUMNS), dtype=np.int64)
        self._maps[0, FILE_NUMBER] = -1
        self._mms = np.zeros((1, MM_COLUMNS), dtype=np.int64)
        self._mm_of = np.zeros(PID_MAX_LIMIT + 1, dtype=np.int64)  # memory is taken where it is written to
        self._state = np.zeros(STATE_WORDS, dtype=np.int64)
        self._make_room()

    @property
    def used_lines(self) -> int:
        """Lines of the calls that were completed."""
        return int(self._state[USED_LINES])

    @property
    def files(self) -> np.ndarray:
        """Numbers of the files in use, -1 where there is none; whoever gives files other numbers writes them here."""
        return self._maps[:, FILE_NUMBER]

    def complete(self, rows: np.ndarray, n_rows: int) -> np.ndarray:
        """Follow the first `n_rows` of `rows`, the next ones in their order; return them without the calls left out."""
        rows = np.ascontiguousarray(rows)
        left_out = np.zeros(n_rows, dtype=np.int64)
        done = 0
        while True:
            done = follow_rows(rows, done, n_rows, self._maps, self._mms, self._mm_of, self._state, left_out)
            if done == n_rows:
                break
            self._make_room()
        at = np.flatnonzero(left_out)
        if not len(at):
            return rows[:, :n_rows]
        self._notes.count("call-not-replayed", rows[LINE, at], "remap_file_pages")
        return np.delete(rows[:, :n_rows], at, axis=1)

    def _make_room(self) -> None:
        """Double both tables, and make what is new free."""
        state = self._state
        n_maps, n_mms = len(self._maps), len(self._mms)
        self._maps = _doubled(self._maps, NEXT, int(state[FREE_MAPPING]))
        self._maps[n_maps:, FILE_NUMBER] = -1
        self._mms = _doubled(self._mms, HEAD, int(state[FREE_MM]))
        state[FREE_MAPPING], state[FREE_MM] = n_maps, n_mms
        state[FREE_MAPPINGS] += len(self._maps) - n_maps
        state[FREE_MMS] += len(self._mms) - n_mms


def _doubled(table: np.ndarray, link: int, free: int) -> np.ndarray:
    """Return a table with as many rows more, linked as free ones by a column; behind them those free before."""
    n_rows = len(table)
    more = np.zeros((max(n_rows, _ROOM_AT_FIRST), table.shape[1]), dtype=np.int64)
    more[:, link] = np.arange(n_rows + 1, n_rows + 1 + len(more))
    more[-1, link] = free
    return np.concatenate([table, more])
