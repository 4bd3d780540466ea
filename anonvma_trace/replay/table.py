"""`Table`: an array as the core sees it, by its address alone.

numba hands a NumPy array from function to function as seven words. The state of a replay has a dozen
arrays and is passed to every function of the core, so most of the compiled code would be copying: measured,
130 s to compile instead of under 20. A table is one word. It has no length, counts no references and checks no
bounds unless ``NUMBA_BOUNDSCHECK`` is set; the core asks for room before each event instead (`headroom`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .room import larger_view, room_to_grow


class Table:
    """A one-dimensional array of records or int64.

    Parameters
    ----------
    array : ndarray
        Contiguous; a record array where it has fields. The table keeps it alive.
    """

    # Address and kind are kept: a call of the core asks for both of each of a dozen tables.
    __slots__ = ("address", "array", "kind")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.address = array.ctypes.data
        self.kind = _kind(array.dtype)

    @classmethod
    def zeros(cls, rows: int, dtype: np.dtype | type) -> Table:
        """Return a table of so many rows, all zero, that can be `grown`."""
        return cls(_with_fields(room_to_grow(rows, np.dtype(dtype))))

    def grown(self, rows: int) -> Table:
        """Return a table with these rows and zero ones behind them, in the same memory if that has room."""
        array = larger_view(self.array, rows)
        if array is None:
            array = room_to_grow(rows, self.array.dtype)
            array[: len(self)] = self.array
        return Table(_with_fields(array))

    def __reduce__(self) -> tuple[type, tuple[np.ndarray]]:
        return Table, (self.array,)  # a copy has an address of its own

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[index] = value


def _with_fields(array: np.ndarray) -> np.ndarray:
    return array.view(np.recarray) if array.dtype.names else array


@functools.cache
def _kind(dtype: np.dtype) -> str:
    """Return what compiled code depends on: names, types and places of all fields."""
    return str(dtype)
