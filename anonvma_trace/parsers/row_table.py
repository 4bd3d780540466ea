"""Rows of the event table under construction: one int64 matrix, turned into Arrow batches at the end.

A row's `KEY` orders it: the number of the native event it stands at, then its place among the rows of that
event (`key`). Absent values are -1 where -1 is no value (CPU, TID, COMM, PGOFF, FILE, FRAME); which other columns
count at all is a matter of the operation (`_USED`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from ..arrow_arrays import numbers, strings
from ..events import EVENT_SCHEMA, OPS
from .native_block import Names, NativeBlock

KEY, TS, CPU, PID, TID, COMM, OP, ADDR, LEN, PROT, FLAGS, PGOFF, FILE = range(13)
NEW_ADDR, NEW_LEN, CHILD, LINE, KERNEL, FRAME = range(13, 19)
N_ROW_COLUMNS = 19
BATCH_ROWS = 1 << 16

OP_CODE = {op: code for code, op in enumerate(OPS)}

_SUB_BITS = 24
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
_USED = np.zeros((N_ROW_COLUMNS, len(OPS)), dtype=bool)
for _column, _ops in _USED_BY.items():
    _USED[_column, [OP_CODE[op] for op in _ops]] = True


def key(seq: np.ndarray | int, sub: np.ndarray | int = 0) -> np.ndarray | int:
    """Return the order of a row: at native event `seq`, `sub` rows behind its first one."""
    return (seq << _SUB_BITS) | np.minimum(sub, (1 << _SUB_BITS) - 1)


def new_rows(n_rows: int) -> np.ndarray:
    """Return a matrix of shape (N_ROW_COLUMNS, n_rows) with nothing in it."""
    rows = np.zeros((N_ROW_COLUMNS, n_rows), dtype=np.int64)
    rows[list(_ABSENT)] = -1
    return rows


def seq_of(row_key: int) -> int:
    """Return the number of the native event that a row with this key stands at."""
    return row_key >> _SUB_BITS


def event_rows(
    block: NativeBlock, seq: np.ndarray, pids: np.ndarray, names: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Return rows that know when, where and by whom: of the events `at` of a block.

    Parameters
    ----------
    seq, pids, names : ndarray of int64
        Number, process and command name of every event of the block.
    """
    rows = new_rows(len(at))
    rows[KEY] = key(seq[at])
    rows[TS], rows[LINE], rows[CPU], rows[TID] = block.ts[at], block.line[at], block.cpu[at], block.tid[at]
    rows[PID], rows[COMM] = pids[at], names[at]
    return rows


def sort_rows(rows: np.ndarray) -> np.ndarray:
    """Return the rows in the order of their keys."""
    keys = rows[KEY]
    if (keys[1:] >= keys[:-1]).all():
        return rows
    return rows[:, np.argsort(keys, kind="stable")]


class BatchMaker:
    """Turns rows into record batches of `EVENT_SCHEMA`.

    Parameters
    ----------
    comms, files : Names
        What the numbers in COMM and FILE stand for. Each batch carries the names that it uses.
    """

    def __init__(self, comms: Names, files: Names) -> None:
        self._comms, self._files = comms, files
        self._op_names = strings(OPS)

    def batches(self, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of at most `BATCH_ROWS`."""
        for begin in range(0, rows.shape[1], BATCH_ROWS):
            yield self._batch(rows[:, begin : begin + BATCH_ROWS])

    def _batch(self, rows: np.ndarray) -> pa.RecordBatch:
        op = rows[OP]
        columns = {
            "ts": numbers(rows[TS]),
            "cpu": _present(rows[CPU], np.int16),
            "pid": numbers(rows[PID].astype(np.int32)),
            "tid": _present(rows[TID], np.int32),
            "comm": _named(rows[COMM], self._comms),
            "op": pa.DictionaryArray.from_arrays(numbers(op.astype(np.int32)), self._op_names),
            "addr": _used(rows[ADDR].view(np.uint64), _USED[ADDR][op]),
            "len": _used(rows[LEN].view(np.uint64), _USED[LEN][op]),
            "prot": _used(rows[PROT].astype(np.uint8), _USED[PROT][op]),
            "flags": _used(rows[FLAGS].astype(np.uint32), _USED[FLAGS][op]),
            "pgoff": _present(rows[PGOFF], np.uint64),
            "file": _named(rows[FILE], self._files),
            "new_addr": _used(rows[NEW_ADDR].view(np.uint64), _USED[NEW_ADDR][op]),
            "new_len": _used(rows[NEW_LEN].view(np.uint64), _USED[NEW_LEN][op]),
            "child": _used(rows[CHILD].astype(np.int32), _USED[CHILD][op]),
            "frame": _present(rows[FRAME], np.uint64),
            "line": numbers(rows[LINE], rows[LINE] == 0),
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def _named(codes: np.ndarray, names: Names) -> pa.DictionaryArray:
    """Return the names with these numbers (-1: null), with a dictionary of those that occur."""
    occurs = np.zeros(len(names.values) + 1, dtype=bool)  # the last is for -1
    occurs[codes] = True
    used = np.flatnonzero(occurs[:-1])
    place = np.full(len(names.values) + 1, -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    dictionary = strings([names.values[number] for number in used.tolist()])
    return pa.DictionaryArray.from_arrays(_present(place[codes], np.int32), dictionary)


def _present(values: np.ndarray, dtype: type) -> pa.Array:
    return numbers(values.astype(dtype), values < 0)


def _used(values: np.ndarray, used: np.ndarray) -> pa.Array:
    return numbers(values, ~used)
