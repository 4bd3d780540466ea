"""What Python passes to compiled code: each argument as the words that numba's calling convention takes for it.

An array is seven words or more: two for reference counts (none are counted here), its items, their size, the
address, then its shape and its strides. A NamedTuple of arrays is the words of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np


class Argument(Protocol):
    """An argument of an entry point. Keeps what its words point at alive."""

    @property
    def kind(self) -> Any:
        """What compiled code depends on; equal kinds, the same machine code."""

    @property
    def words(self) -> Sequence[int]:
        """What is passed: as many for each argument of the same kind."""

    def numba_type(self) -> Any:
        """Return the type by numba, which is imported for it."""


Tabled = Callable[[Any], Argument]
"""Makes the argument of a NamedTuple."""


class Integer:
    """An integer, passed as int64.

    Parameters
    ----------
    value : int
    """

    __slots__ = ("words",)
    kind = "int64"

    def __init__(self, value: int) -> None:
        self.words = (int(value),)

    def numba_type(self) -> Any:
        """Return int64 as numba knows it."""
        from numba.core import types

        return types.int64


class Array:
    """An array of numbers.

    Parameters
    ----------
    array : ndarray
        It may be read-only, and need not be contiguous.
    """

    # Worked out once: columns of a batch are passed again and again (`prepared`).
    __slots__ = ("array", "kind", "words")

    def __init__(self, array: np.ndarray) -> None:
        flags = array.flags
        layout = "C" if flags.c_contiguous else "F" if flags.f_contiguous else "A"
        self.array = array
        # Type of its items, dimensions, how they lie in memory, and whether they may be written.
        self.kind = ("array", array.dtype.str, array.ndim, layout, flags.writeable)
        # Two for reference counts, items, bytes of each, address, shape, strides.
        self.words = (0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides)

    def numba_type(self) -> Any:
        """Return the type of the array as numba knows it."""
        import numba

        return numba.typeof(self.array)


class ArrayTuple:
    """A NamedTuple of arrays.

    Parameters
    ----------
    arrays : NamedTuple
    """

    __slots__ = ("arrays", "members")

    def __init__(self, arrays: Any) -> None:
        self.arrays = arrays
        self.members = [Array(array) for array in arrays]

    @property
    def kind(self) -> tuple[Any, ...]:
        """The class, and the kinds of its arrays."""
        return class_name(self.arrays), *(member.kind for member in self.members)

    @property
    def words(self) -> list[int]:
        """Those of its arrays."""
        return [word for member in self.members for word in member.words]

    def numba_type(self) -> Any:
        """Return the type of the NamedTuple as numba knows it."""
        import numba

        return numba.typeof(self.arrays)


def class_name(value: Any) -> str:
    """Return the full name of a value's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def as_argument(value: Any, tabled: Tabled | None = None) -> Argument:
    """Return a value as what is passed; `tabled` makes the argument of a NamedTuple."""
    if isinstance(value, Array):
        return value
    if isinstance(value, np.ndarray):
        return Array(value)
    if isinstance(value, tuple):
        return ArrayTuple(value) if tabled is None else tabled(value)
    return Integer(value)
