"""Batches of the event table as the int64 columns that the core reads."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrow_arrays import as_numpy, is_valid
from ..errors import TraceError
from ..events import OPS
from .layout import FILE_SPECIAL

_SPECIAL_FILES = ("[vdso]", "[vvar")
_CONSTANT_ROWS = 1 << 18  # as many as `run_replay` reads at once
_OP_CODES = {name: code for code, name in enumerate(OPS)}


class Names:
    """Codes for names that keep their meaning over all batches of a trace, counted from `first`."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._codes: dict[str, int] = {}
        self.names: list[str] = []

    def code(self, name: str) -> int:
        """Return the code of a name, a new one if it was not seen before."""
        if name not in self._codes:
            self._codes[name] = self._first + len(self.names)
            self.names.append(name)
        return self._codes[name]


class EventColumns:
    """Turns record batches of the event table into what `replay_events` takes.

    Attributes
    ----------
    comms : Names
        Codes of command names, from 0.
    files : Names
        Codes of files, from 1; the core sees some of them with FILE_SPECIAL added.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.comms = Names(0)
        self.files = Names(1)

    def read(self, batch: pa.RecordBatch) -> tuple[np.ndarray, ...]:
        """Return ts, pid, comm, op, addr, len, prot, flags, pgoff, file, new_addr, new_len, child, frame.

        All int64 of the batch's length and read-only; nulls are -1, of `prot`, `flags` and `file` 0.

        Raises
        ------
        TraceError
            An operation that the event table does not have.
        """
        return (
            integers(batch["ts"], 0),
            integers(batch["pid"], -1),
            self._codes(batch["comm"], self.comms.code, -1),
            self._op_codes(batch["op"]),
            integers(batch["addr"], -1),
            integers(batch["len"], -1),
            integers(batch["prot"], 0),
            integers(batch["flags"], 0),
            integers(batch["pgoff"], -1),
            self._codes(batch["file"], self._file_code, 0),
            integers(batch["new_addr"], -1),
            integers(batch["new_len"], -1),
            integers(batch["child"], -1),
            integers(batch["frame"], -1),
        )

    def _op_code(self, name: str) -> int:
        try:
            return _OP_CODES[name]
        except KeyError:
            raise TraceError(
                self._path,
                expected="an operation of the event table",
                found=repr(name),
                hint=f"the operations are: {', '.join(OPS)}",
            ) from None

    def _file_code(self, name: str) -> int:
        code = self.files.code(name)
        return code | FILE_SPECIAL if name.startswith(_SPECIAL_FILES) else code

    def _op_codes(self, column: pa.Array) -> np.ndarray:
        # Our own parsers number operations as the core does.
        if pa.types.is_dictionary(column.type) and not column.indices.null_count:
            if column.dictionary.to_pylist() == list(OPS):
                return read_only(np.ascontiguousarray(as_numpy(column.indices), np.int64))
        return self._codes(column, self._op_code, 0)

    @staticmethod
    def _codes(column: pa.Array, code_of, null: int) -> np.ndarray:
        """Return the codes of a dictionary column; the names are looked at once for each batch."""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        names = column.dictionary.to_pylist()
        if not names:
            return _constant(null, len(column))
        used = set(pc.unique(column.indices).to_pylist())
        table = np.array(
            [code_of(name) if at in used and name is not None else null for at, name in enumerate(names)],
            np.int64,
        )
        if not column.indices.null_count:
            return read_only(table[as_numpy(column.indices)])
        valid = is_valid(column.indices)  # what a null holds is no place in the table
        return read_only(np.where(valid, table[np.where(valid, as_numpy(column.indices), 0)], null))


def integers(column: pa.Array, null: int) -> np.ndarray:
    """Return an integer column as read-only int64, unsigned 64-bit values bit for bit."""
    if column.null_count == len(column):
        return _constant(null, len(column))
    values = as_numpy(column)
    values = values.view(np.int64) if values.dtype == np.uint64 else values
    if not column.null_count:
        return read_only(np.ascontiguousarray(values, np.int64))
    if 2 * column.null_count > len(column):
        filled, given = np.full(len(column), null, np.int64), np.flatnonzero(is_valid(column))
        filled[given] = values[given]
    else:
        filled = values.astype(np.int64)
        filled[np.flatnonzero(~is_valid(column))] = null
    return read_only(filled)


@functools.cache
def _constants(value: int) -> np.ndarray:
    return np.full(_CONSTANT_ROWS, value, np.int64)


def _constant(value: int, rows: int) -> np.ndarray:
    """Return a column of one value, without writing it anew for each batch."""
    if rows > _CONSTANT_ROWS:
        return read_only(np.full(rows, value, np.int64))
    return read_only(_constants(value)[:rows])


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: one type for the compiler, whoever owns the memory."""
    view = array.view()
    view.flags.writeable = False
    return view


def span(batches: Iterable[pa.RecordBatch], rows: int) -> Iterable[pa.RecordBatch]:
    """Cut batches into pieces of at most `rows` rows."""
    for batch in batches:
        for begin in range(0, batch.num_rows, rows):
            yield batch.slice(begin, rows)
