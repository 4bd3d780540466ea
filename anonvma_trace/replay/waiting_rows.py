"""Logged rows as columns, in order, until there are enough of them to make rows of a result table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .compiled import entry_point

ROWS_AT_ONCE = 30_000
"""Rows of which those of a result table are made at once.

Not a power of two: the columns would lie in the same few places of the processor's cache.
"""


@entry_point
def place_rows(rows, width, at, end, by, columns, n):
    """Put rows of several streams into columns by one of their fields; return how many rows the columns have then.

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
    columns : ndarray of int64, shape (width, room)
    n : int64
        Rows that the columns have.
    """
    room = columns.shape[1]
    while n < room:
        chosen, place, first = -1, 0, 0
        for stream in range(len(at)):
            if at[stream] < end[stream] and (chosen < 0 or rows[at[stream] + by] < first):
                chosen, place, first = stream, at[stream], rows[at[stream] + by]
        if chosen < 0:
            return n
        for field in range(width):
            columns[field, n] = rows[place + field]
        at[chosen] = place + width
        n += 1
    return n


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
        self._columns = np.empty((width, ROWS_AT_ONCE), np.int64)
        self._by = by
        self._n = 0

    def add(self, streams: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Take rows in and yield, as `take` returns them, as many at a time as are made at once.

        Parameters
        ----------
        streams : sequence of ndarray of int64, shape (rows, fields), contiguous
            Each in order.
        """
        rows = streams[0].reshape(-1) if len(streams) == 1 else np.concatenate(streams).reshape(-1)
        end = np.cumsum([stream.size for stream in streams])
        at = np.concatenate([np.zeros(1, np.int64), end[:-1]])
        while True:
            self._n = place_rows(rows, len(self._columns), at, end, self._by, self._columns, self._n)
            if self._n < ROWS_AT_ONCE:
                return
            yield self.take()

    def take(self) -> np.ndarray:
        """Return what waits, shape (rows, fields), a view until rows are added; each column lies together."""
        taken = self._columns[:, : self._n].T
        self._n = 0
        return taken
