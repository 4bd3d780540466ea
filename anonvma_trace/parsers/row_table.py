"""Rows of the event table under construction: one int64 matrix, turned into Arrow batches at the end.

A row's `KEY` orders it: the number of the native event it stands at, then its place among the rows of that
event (`key`). Absent values are -1 where -1 is no value (CPU, TID, COMM, PGOFF, FILE, FRAME); which other columns
count at all is a matter of the operation (`USED`).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ..events import OPS
from .native_block import NativeBlock
from .row_kernels import (
    ADDR,
    CHILD,
    COMM,
    CPU,
    FILE,
    FLAGS,
    FRAME,
    KERNEL,
    KEY,
    LEN,
    LINE,
    N_ROW_COLUMNS,
    NEW_ADDR,
    NEW_LEN,
    OP,
    PGOFF,
    PID,
    PROT,
    SUB_BITS,
    TID,
    TS,
    add_places,
    fill_event_rows,
    put,
)

__all__ = [
    "ADDR",
    "CHILD",
    "COMM",
    "CPU",
    "FILE",
    "FLAGS",
    "FRAME",
    "KERNEL",
    "KEY",
    "LEN",
    "LINE",
    "NEW_ADDR",
    "NEW_LEN",
    "N_ROW_COLUMNS",
    "OP",
    "OP_CODE",
    "PGOFF",
    "PID",
    "PROT",
    "TID",
    "TS",
    "USED",
    "event_rows",
    "key",
    "merge_rows",
    "new_rows",
    "seq_of",
]

IntOrArray = TypeVar("IntOrArray", int, np.ndarray)

OP_CODE = {op: code for code, op in enumerate(OPS)}

_ABSENT = (CPU, TID, COMM, PGOFF, FILE, FRAME)

# Columns that mean something for an operation, beside those that every row may have.
_USED_BY: dict[int, tuple[str, ...]] = {
    ADDR: (
        *("vma", "mmap", "munmap", "mprotect", "mremap", "brk", "madvise", "mlock", "munlock"),
        *("read_fault", "write_fault"),
    ),
    LEN: (
        *("vma", "mmap", "munmap", "mprotect", "mremap", "madvise", "mlock", "munlock"),
        *("scan", "mark", "lost"),
    ),
    PROT: ("vma", "mmap", "mprotect"),
    FLAGS: ("vma", "mmap", "mremap", "madvise", "fork"),
    NEW_ADDR: ("mremap",),
    NEW_LEN: ("mremap",),
    CHILD: ("fork",),
}
USED = np.zeros((N_ROW_COLUMNS, len(OPS)), dtype=bool)
for _column, _ops in _USED_BY.items():
    USED[_column, [OP_CODE[op] for op in _ops]] = True


def key(seq: np.ndarray | int, sub: np.ndarray | int = 0) -> np.ndarray | int:
    """Return the order of a row: at native event `seq`, `sub` rows behind its first one."""
    last = (1 << SUB_BITS) - 1
    return (seq << SUB_BITS) | (min(sub, last) if isinstance(sub, int) else np.minimum(sub, last))


def new_rows(n_rows: int) -> np.ndarray:
    """Return a matrix of shape (N_ROW_COLUMNS, n_rows) with nothing in it."""
    rows = np.zeros((N_ROW_COLUMNS, n_rows), dtype=np.int64)
    rows[list(_ABSENT)] = -1
    return rows


def seq_of(row_key: IntOrArray) -> IntOrArray:
    """Return the number of the native event that a row with this key stands at."""
    return row_key >> SUB_BITS


def event_rows(
    block: NativeBlock, seq: np.ndarray, pids: np.ndarray, names: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return rows that know when, where and by whom: of the events `at` of a block.

    Parameters
    ----------
    seq, pids, names : ndarray of int64
        Number, process and command name of every event of the block.
    """
    rows = np.empty((N_ROW_COLUMNS, len(at)), dtype=np.int64)
    fill_event_rows(rows, at, seq, block.ts, block.line, block.cpu, block.tid, pids, names)
    return rows


def _is_sorted(keys: np.ndarray) -> bool:
    return bool((keys[1:] >= keys[:-1]).all())


def merge_rows(parts: list[np.ndarray]) -> np.ndarray:
    """Return the rows of all parts in the order of their keys; at equal keys those of the earlier part first.

    Each row is copied once, to its place; most parts are in order already, which is looked at first.
    """
    parts = [part for part in parts if part.shape[1]]
    orders = [None if _is_sorted(part[KEY]) else np.argsort(part[KEY], kind="stable") for part in parts]
    if not parts:
        return new_rows(0)
    if len(parts) == 1 and orders[0] is None:
        return parts[0]
    keys = [
        part[KEY] if order is None else part[KEY, order] for part, order in zip(parts, orders, strict=True)
    ]
    merged = np.empty((N_ROW_COLUMNS, sum(part.shape[1] for part in parts)), dtype=np.int64)
    for number, (part, order) in enumerate(zip(parts, orders, strict=True)):
        places = np.arange(part.shape[1], dtype=np.int64)
        for other, other_keys in enumerate(keys):
            if other != number:
                add_places(keys[number], other_keys, int(other < number), places)
        if order is not None:
            sorted_places, places = places, np.empty_like(places)
            places[order] = sorted_places
        put(part, places, merged)
    return merged
