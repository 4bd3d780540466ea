"""Logged rows that wait until there are enough of them to make rows of a result table, then as columns, in order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .compiled import entry_point

ENOUGH_ROWS = 10_000
"""Rows from which on those of a result table are made: fewer at a time cost more, more of them leave the cache."""

_LINE_WORDS = 8  # of a line of the processor's cache


@entry_point
def place_rows(rows, width, at, end, by, columns):
    """Put rows of several streams into columns by one of their fields.

    Rows of one stream keep their order; of rows that are equal in the field, those of an earlier stream come first.

    Parameters
    ----------
    rows : ndarray of int64
        Rows of `width` words, stream after stream.
    width : int64
    at, end : ndarray of int64, shape (streams,)
        Where each stream's rows begin, which this function moves on, and end; in words.
    by : int64
        The field.
    columns : ndarray of int64, shape (width, at least the rows)
    """
    for row in range(len(rows) // width):
        chosen = -1
        for stream in range(len(at)):
            if at[stream] < end[stream] and (chosen < 0 or rows[at[stream] + by] < rows[at[chosen] + by]):
                chosen = stream
        place = at[chosen]
        for field in range(width):
            columns[field, row] = rows[place + field]
        at[chosen] = place + width


class WaitingRows:
    """Rows of one region of the log that wait.

    Parameters
    ----------
    width : int
        Fields of a row.
    by : int
        The field by which rows of several streams are put in order.
    """

    def __init__(self, width: int, by: int) -> None:
        self._width = width
        self._by = by
        self._streams: dict[int, list[np.ndarray]] = {}
        self._n = 0

    def add(self, streams: Mapping[int, np.ndarray]) -> bool:
        """Take rows in and return whether there are enough of them now.

        Parameters
        ----------
        streams : mapping of int to ndarray of int64, shape (rows, fields), contiguous
            By number: each goes on where its last rows ended. They are kept, not copied.
        """
        for number, rows in streams.items():
            self._streams.setdefault(number, []).append(rows)
            self._n += len(rows)
        return self._n >= ENOUGH_ROWS

    def take(self) -> np.ndarray:
        """Return what waits, shape (rows, fields), in order; each column lies together in memory."""
        pieces = [self._streams[number] for number in sorted(self._streams)]
        n = self._n
        self._streams, self._n = {}, 0
        if not n:
            return np.zeros((0, self._width), np.int64)
        # An odd number of lines: else the columns could all lie in the same few places of the cache.
        columns = np.empty((self._width, _LINE_WORDS * (n // _LINE_WORDS + 1 | 1)), np.int64)
        rows = np.concatenate([each for stream in pieces for each in stream])
        end = self._width * np.cumsum([sum(map(len, stream)) for stream in pieces], dtype=np.int64)
        at = np.concatenate([np.zeros(1, np.int64), end[:-1]])
        place_rows(rows.reshape(-1), self._width, at, end, self._by, columns)
        return columns[:, :n].T
