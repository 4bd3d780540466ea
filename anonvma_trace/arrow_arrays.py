"""Between Arrow, NumPy and lists, without pandas.

Arrow's own conversions import pandas, where it is installed, to see whether what they were given is of pandas: half a
second in front of every command. These do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa


def numbers(values: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """Return an array of numbers or booleans as an Arrow array.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Integers, floats or bool. A view is copied; an array of its own is not, and must not be written to afterwards.
    null : ndarray of bool, shape (n,), optional
        Where the result is null.
    """
    if not values.flags.owndata or not values.flags.c_contiguous:
        values = values.copy()
    kind = pa.from_numpy_dtype(values.dtype)
    data = _bits(values) if values.dtype == np.bool_ else pa.py_buffer(values)
    valid = None if null is None or not null.any() else _bits(~null)
    return pa.Array.from_buffers(kind, len(values), [valid, data])


def _bits(values: np.ndarray) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))


def strings(values: Sequence[str | None]) -> pa.Array:
    """Return strings as an Arrow array of type ``string``."""
    return array_of(values, pa.string())


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values, None for null, as an Arrow array of this type.

    Raises
    ------
    TypeError, OverflowError
        A value that the type cannot hold.
    """
    if isinstance(values, np.ndarray):
        return numbers(values).cast(kind)
    like = pl.from_arrow(pa.nulls(0, kind))
    assert isinstance(like, pl.Series)
    return pl.Series(values, dtype=like.dtype).to_arrow().cast(kind)


def as_numpy(array: pa.Array) -> np.ndarray:
    """Return an Arrow array of numbers or booleans; where it is null, anything.

    Numbers are as they lie in memory, read-only.
    """
    if not len(array):
        return np.zeros(0, array.type.to_pandas_dtype())
    data = array.buffers()[1]
    if pa.types.is_boolean(array.type):
        return _unpacked(data, array)
    return np.frombuffer(data, array.type.to_pandas_dtype())[array.offset : array.offset + len(array)]


def is_valid(array: pa.Array) -> np.ndarray:
    """Return where an Arrow array is not null: ndarray of bool."""
    valid = array.buffers()[0] if array.null_count else None
    return np.ones(len(array), np.bool_) if valid is None else _unpacked(valid, array)


def _unpacked(bits: pa.Buffer, array: pa.Array) -> np.ndarray:
    first, last = array.offset // 8, (array.offset + len(array) + 7) // 8  # bytes of this part alone
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8)[first:last], bitorder="little")
    begin = array.offset - 8 * first
    return unpacked[begin : begin + len(array)].view(np.bool_)
