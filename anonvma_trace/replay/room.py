"""Memory that can grow in place: address space is set aside, and taken only as far as it is used.

Tables double while a replay goes on. Copied into new memory each time, the largest would be held twice for a
moment, and every page of the new one would cost a fault again: measured, a third of the time of a fork-heavy replay.
"""

from __future__ import annotations

import contextlib
import mmap

import numpy as np

SET_ASIDE = 1 << 34
"""Bytes of address space for each table; a larger one is copied."""

_LARGE = 1 << 18
"""Bytes from which on a table gets huge pages: a smaller one would be given the whole of one at its first use."""

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)


def room_to_grow(rows: int, dtype: np.dtype) -> np.ndarray:
    """Return an array of zeros at the beginning of memory set aside for it (or just as large, if none is to be had).

    Parameters
    ----------
    rows : int
    dtype : dtype

    Returns
    -------
    ndarray, shape (rows,)
        A view of the memory, which lives as long as a view of it does.
    """
    if rows * dtype.itemsize > SET_ASIDE:
        return np.zeros(rows, dtype)
    try:
        memory = mmap.mmap(-1, SET_ASIDE, flags=_FLAGS)
    except OSError:  # a limit on address space (ulimit -v), or strict accounting
        return np.zeros(rows, dtype)
    if rows * dtype.itemsize >= _LARGE:
        _ask_for_huge_pages(memory)
    return np.frombuffer(memory, dtype, rows)


def larger_view(array: np.ndarray, rows: int) -> np.ndarray | None:
    """Return an array of so many rows that begins with those of `array`, in the same memory; None without room."""
    memory = _memory_of(array)
    if memory is None or rows * array.dtype.itemsize > len(memory):
        return None
    if array.nbytes < _LARGE <= rows * array.dtype.itemsize:
        _ask_for_huge_pages(memory)
    return np.frombuffer(memory, array.dtype, rows)


def _ask_for_huge_pages(memory: mmap.mmap) -> None:
    """Let the memory of a table have fewer, larger pages: it is visited at random, and misses the TLB less."""
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)


def _memory_of(array: np.ndarray) -> mmap.mmap | None:
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    owner = base.obj if isinstance(base, memoryview) else base
    return owner if isinstance(owner, mmap.mmap) else None


def small_pages(words: int) -> np.ndarray:
    """Return an array of int64 zeros that takes memory page by page; `np.zeros` asks for huge pages."""
    return np.frombuffer(mmap.mmap(-1, 8 * words), np.int64) if words else np.zeros(0, np.int64)
