"""Arrow batches of the rows in `row_table`: each column is written once, into the memory that Arrow keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from ..arrow_arrays import numbers, strings
from ..events import EVENT_SCHEMA, OPS
from .native_block import Names
from .row_kernels import number_anew
from .row_table import (
    ADDR,
    CHILD,
    COMM,
    CPU,
    FILE,
    FLAGS,
    FRAME,
    LEN,
    LINE,
    NEW_ADDR,
    NEW_LEN,
    OP,
    PGOFF,
    PID,
    PROT,
    TID,
    TS,
    USED,
)

BATCH_ROWS = 1 << 16

# Column of the batch -> column of the rows, and the least value that is not null.
_PLAIN = {"ts": (TS, None), "pid": (PID, None), "cpu": (CPU, 0), "tid": (TID, 0), "line": (LINE, 1)}
_PLAIN |= {"pgoff": (PGOFF, 0), "frame": (FRAME, 0)}
_OF_OPERATION = {
    "addr": ADDR,
    "len": LEN,
    "prot": PROT,
    "flags": FLAGS,
    "new_addr": NEW_ADDR,
    "new_len": NEW_LEN,
    "child": CHILD,
}
_ANY = np.iinfo(np.int64).min


class BatchMaker:
    """Turns rows into record batches of `EVENT_SCHEMA`.

    Parameters
    ----------
    comms, files : Names
        What the numbers in COMM and FILE stand for. Each batch carries the names that it uses.
    """

    def __init__(self, comms: Names, files: Names) -> None:
        self._comms, self._files = _NamesInUse(comms), _NamesInUse(files)
        self._op_names = strings(OPS)
        self._nulls: dict[str, pa.Array] = {}  # by column: nothing but nulls, made once

    def batches(self, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of at most `BATCH_ROWS`."""
        for begin in range(0, rows.shape[1], BATCH_ROWS):
            yield self._batch(rows[:, begin : begin + BATCH_ROWS])

    def _batch(self, rows: np.ndarray) -> pa.RecordBatch:
        ops = rows[OP]
        has_op = np.bincount(ops, minlength=len(OPS)) > 0
        columns = {
            "op": pa.DictionaryArray.from_arrays(numbers(ops.astype(np.int32)), self._op_names),
            "comm": self._comms.column(rows[COMM]),
            "file": self._files.column(rows[FILE]),
        }
        for name, (column, lowest) in _PLAIN.items():
            columns[name] = self._plain(name, rows[column], _ANY if lowest is None else lowest)
        for name, column in _OF_OPERATION.items():
            columns[name] = self._of_operation(name, rows[column], ops, USED[column], has_op)
        return pa.RecordBatch.from_arrays([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)

    def _plain(self, name: str, values: np.ndarray, lowest: int) -> pa.Array:
        if lowest == 0 and values.max() < 0:
            return self._only_nulls(name, len(values))
        return _array(name, values, None if lowest == _ANY else values >= lowest)

    def _of_operation(
        self, name: str, values: np.ndarray, ops: np.ndarray, used: np.ndarray, has_op: np.ndarray
    ) -> pa.Array:
        if not (used & has_op).any():
            return self._only_nulls(name, len(values))
        return _array(name, values, used[ops])

    def _only_nulls(self, name: str, n_rows: int) -> pa.Array:
        if name not in self._nulls:
            self._nulls[name] = pa.nulls(BATCH_ROWS, EVENT_SCHEMA.field(name).type)
        return self._nulls[name].slice(0, n_rows)


class _NamesInUse:
    """Makes dictionary-encoded columns; the dictionary of each holds the names that it uses."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._places = np.zeros((1 << 10, 2), dtype=np.int64)
        self._batch = 0

    def column(self, codes: np.ndarray) -> pa.DictionaryArray:
        """Return the names with these numbers (-1: null)."""
        if len(self._names.values) > len(self._places):
            self._places = np.zeros((2 * len(self._names.values), 2), dtype=np.int64)
        self._batch += 1
        in_use = np.empty(len(codes), dtype=np.int64)
        new = np.empty(len(codes), dtype=np.int64)
        n_used = number_anew(codes, self._places, self._batch, in_use, new)
        places = _array_of(pa.int32(), new, new >= 0)
        values = self._names.values
        dictionary = strings([values[number] for number in in_use[:n_used].tolist()])
        return pa.DictionaryArray.from_arrays(places, dictionary)


def _array(name: str, values: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    return _array_of(EVENT_SCHEMA.field(name).type, values, valid)


def _array_of(kind: pa.DataType, values: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """Return a column of `values`; those that are not `valid` are null."""
    out = values.astype(kind.to_pandas_dtype())
    n_null = 0 if valid is None else len(values) - int(np.count_nonzero(valid))
    bits = pa.py_buffer(np.packbits(valid, bitorder="little")) if valid is not None and n_null else None
    return pa.Array.from_buffers(kind, len(out), [bits, pa.py_buffer(out)], n_null)
