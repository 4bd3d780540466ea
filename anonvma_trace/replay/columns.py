"""Batches of the event table as the int64 columns that the core reads."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import TraceError
from ..events import OPS
from .layout import FILE_SPECIAL

_SPECIAL_FILES = ("[vdso]", "[vvar")
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
            _integers(batch["ts"], 0),
            _integers(batch["pid"], -1),
            self._codes(batch["comm"], self.comms.code, -1),
            self._codes(batch["op"], self._op_code, 0),
            _integers(batch["addr"], -1),
            _integers(batch["len"], -1),
            _integers(batch["prot"], 0),
            _integers(batch["flags"], 0),
            _integers(batch["pgoff"], -1),
            self._codes(batch["file"], self._file_code, 0),
            _integers(batch["new_addr"], -1),
            _integers(batch["new_len"], -1),
            _integers(batch["child"], -1),
            _integers(batch["frame"], -1),
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

    @staticmethod
    def _codes(column: pa.Array, code_of, null: int) -> np.ndarray:
        """Return the codes of a dictionary column; the names are looked at once for each batch."""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        names = column.dictionary.to_pylist()
        if not names:
            return _read_only(np.full(len(column), null, np.int64))
        used = set(pc.unique(column.indices).to_pylist())
        table = np.array(
            [code_of(name) if at in used and name is not None else null for at, name in enumerate(names)]
            + [null],
            np.int64,
        )
        indices = column.indices
        if indices.null_count:
            indices = indices.fill_null(pa.scalar(len(names), indices.type))
        return _read_only(table[indices.to_numpy(zero_copy_only=False)])


def _integers(column: pa.Array, null: int) -> np.ndarray:
    """Return an integer column as read-only int64, unsigned 64-bit values bit for bit."""
    bits = pa.types.is_uint64(column.type)
    if column.null_count == len(column):
        return _read_only(np.full(len(column), null, np.int64))
    if column.null_count:
        fill = null % (1 << 64) if bits else null
        if pa.types.is_unsigned_integer(column.type) and not bits:
            fill = max(null, 0)
        column = column.fill_null(pa.scalar(fill, column.type))
    values = column.to_numpy(zero_copy_only=False)
    return _read_only(values.view(np.int64) if bits else np.ascontiguousarray(values, np.int64))


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: one type for the compiler, whoever owns the memory."""
    view = array.view()
    view.flags.writeable = False
    return view


def span(batches: Iterable[pa.RecordBatch], rows: int) -> Iterable[pa.RecordBatch]:
    """Cut batches into pieces of at most `rows` rows."""
    for batch in batches:
        for begin in range(0, batch.num_rows, rows):
            yield batch.slice(begin, rows)
