"""Event tables written to files: Parquet, Arrow IPC, CSV and JSON Lines.

Batches go to a temporary file beside the target, which takes its name only when it is complete: a target
either is a whole table or is not there. The metadata are final only after the last batch. CSV and JSON Lines
carry them in a file of their own; for Parquet and Arrow IPC, whose schema comes first, the rows are spooled
once, which also gives each column of names one dictionary for the whole file.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .arrow_arrays import array_of, strings
from .errors import OutputError, UsageError, did_you_mean
from .events import EVENT_SCHEMA, TraceMetadata, schema_with_metadata
from .parsers.tabular import metadata_path
from .trace import Trace

ROWS_PER_GROUP = 1 << 17
"""Rows of a Parquet row group or an Arrow batch: a reader needs memory for one of them."""

_NAMES = tuple(column.name for column in EVENT_SCHEMA if pa.types.is_dictionary(column.type))


class _Writer(Protocol):
    """Writes one form of table: the rows as they come, then what can be written only at the end."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def finish(self, metadata: TraceMetadata) -> None: ...


def write_events(trace: Trace, path: str | Path, on_rows: Callable[[int], None] | None = None) -> int:
    """Write all events of a trace as an event table.

    Parameters
    ----------
    trace : Trace
        Its events are streamed; memory holds some batches and the distinct names.
    path : str or Path
        Target, replaced if it is there; its suffix says the form: one of `SUFFIXES`. The metadata of a CSV or
        JSON Lines table go to ``PATH.meta.json``.
    on_rows : callable, optional
        Called after each batch with the rows written so far.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    UsageError
        Another suffix.
    OutputError
        The target cannot be written.
    TraceError
        The trace cannot be read; nothing is left of the target.
    """
    target = Path(path)
    make_writer = _writer_for(target)
    if target.is_symlink():
        target = target.resolve()  # keep the link, replace what it points at
    n_rows = 0
    with ExitStack() as stack:
        with _output_errors(target):
            writer = make_writer(target, stack)
        for batch in _regrouped(trace.batches()):
            with _output_errors(target):
                writer.write(batch)
            n_rows += batch.num_rows
            if on_rows is not None:
                on_rows(n_rows)
        with _output_errors(target):
            writer.finish(trace.metadata)
    return n_rows


def _writer_for(target: Path) -> Callable[[Path, ExitStack], _Writer]:
    make_writer = _WRITERS.get(target.suffix.lower())
    if make_writer is None:
        raise UsageError(
            str(target),
            expected=f"a name that ends in one of {', '.join(SUFFIXES)}",
            found=f"the suffix {target.suffix!r}" if target.suffix else "none of these",
            hint=did_you_mean(target.suffix, SUFFIXES) or "the suffix says which form of table is written",
        )
    return make_writer


@contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    """Turn the system's refusals into `OutputError`."""
    try:
        yield
    except OSError as error:
        hints: dict[type[OSError], str] = {
            FileNotFoundError: f"make the folder {target.parent} first",
            NotADirectoryError: f"{target.parent} is no folder; choose another target",
            IsADirectoryError: "name a file in it",
            PermissionError: f"choose another target, or get write permission for {target.parent}",
        }
        raise OutputError(
            str(target),
            expected="a file that can be written",
            found=error.strerror or str(error),
            hint=hints.get(type(error), "free some space or choose another target"),
        ) from error


class _Replacement:
    """A file under a temporary name in its target's folder, renamed when it is complete."""

    def __init__(self, target: Path, stack: ExitStack) -> None:
        if target.is_dir():
            raise IsADirectoryError(0, "a directory", str(target))
        self.target = target
        self.path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        self.file: BinaryIO = self.path.open("xb")
        stack.callback(self._give_up)

    def complete(self) -> None:
        self.file.close()
        self.path.replace(self.target)

    def _give_up(self) -> None:
        with suppress(OSError):  # a full disk: what was buffered does not matter any more
            self.file.close()
        self.path.unlink(missing_ok=True)  # gone already if it was completed


class _TextWriter:
    """CSV or JSON Lines: rows at once, metadata in a file of their own."""

    def __init__(
        self, target: Path, stack: ExitStack, print_rows: Callable[[pl.DataFrame, BinaryIO], None]
    ) -> None:
        self._rows = _Replacement(target, stack)
        self._metadata = _Replacement(metadata_path(target), stack)
        self._print_rows = print_rows

    def write(self, batch: pa.RecordBatch) -> None:
        plain = [
            column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in batch.columns
        ]
        frame = pl.from_arrow(pa.table(plain, names=EVENT_SCHEMA.names))
        assert isinstance(frame, pl.DataFrame)
        self._print_rows(frame, self._rows.file)

    def finish(self, metadata: TraceMetadata) -> None:
        text = json.dumps(metadata.to_strings(), indent=2, ensure_ascii=False) + "\n"
        self._metadata.file.write(text.encode())
        self._metadata.complete()  # first: a table never stands without its metadata
        self._rows.complete()


def _csv_writer(target: Path, stack: ExitStack) -> _Writer:
    def print_rows(frame: pl.DataFrame, file: BinaryIO) -> None:
        frame.write_csv(file, include_header=False)

    writer = _TextWriter(target, stack, print_rows)
    writer._rows.file.write(",".join(EVENT_SCHEMA.names).encode() + b"\n")
    return writer


def _json_lines_writer(target: Path, stack: ExitStack) -> _Writer:
    return _TextWriter(target, stack, lambda frame, file: frame.write_ndjson(file))


class _SpooledWriter:
    """Parquet or Arrow IPC: rows wait in a temporary file until metadata and dictionaries are complete."""

    def __init__(
        self,
        target: Path,
        stack: ExitStack,
        store: Callable[[BinaryIO, pa.Schema, Iterator[pa.RecordBatch]], None],
    ) -> None:
        self._output = _Replacement(target, stack)
        self._store = store
        self._spool = _Replacement(target, stack)  # never completed
        self._names: dict[str, _Names] = {name: _Names() for name in _NAMES}
        fields = [pa.field(c.name, pa.int32() if c.name in _NAMES else c.type) for c in EVENT_SCHEMA]
        self._spool_schema = pa.schema(fields)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._spool_writer = pa.ipc.new_stream(self._spool.file, self._spool_schema, options=options)
        stack.callback(self._close_spool)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [
            self._names[name].numbers(column) if name in self._names else column
            for name, column in zip(EVENT_SCHEMA.names, batch.columns, strict=True)
        ]
        self._spool_writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._spool_schema))

    def finish(self, metadata: TraceMetadata) -> None:
        self._spool_writer.close()
        self._spool.file.flush()
        self._store(self._output.file, schema_with_metadata(metadata), self._spooled())
        self._output.complete()

    def _spooled(self) -> Iterator[pa.RecordBatch]:
        dictionaries = {name: names.array() for name, names in self._names.items()}
        # Read, not mapped: the pages of a mapped file would count as memory of this process.
        with pa.OSFile(str(self._spool.path)) as spool, pa.ipc.open_stream(spool) as reader:
            for batch in reader:
                columns = [
                    pa.DictionaryArray.from_arrays(column, dictionaries[name])
                    if name in dictionaries
                    else column
                    for name, column in zip(EVENT_SCHEMA.names, batch.columns, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA)

    def _close_spool(self) -> None:
        with suppress(OSError, pa.ArrowException):  # as above
            self._spool_writer.close()


class _Names:
    """The distinct names of a column so far, numbered in the order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def numbers(self, column: pa.DictionaryArray) -> pa.Array:
        """Return the numbers of the names in a column; null stays null."""
        known = [
            None if name is None else self._numbers.setdefault(name, len(self._numbers))
            for name in column.dictionary.to_pylist()
        ]
        return pc.take(array_of(known, pa.int32()), column.indices)

    def array(self) -> pa.Array:
        return strings(list(self._numbers))


def _store_parquet(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))


def _store_arrow(file: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    with pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _parquet_writer(target: Path, stack: ExitStack) -> _Writer:
    return _SpooledWriter(target, stack, _store_parquet)


def _arrow_writer(target: Path, stack: ExitStack) -> _Writer:
    return _SpooledWriter(target, stack, _store_arrow)


_WRITERS: dict[str, Callable[[Path, ExitStack], _Writer]] = {
    ".parquet": _parquet_writer,
    ".arrow": _arrow_writer,
    ".csv": _csv_writer,
    ".jsonl": _json_lines_writer,
}
SUFFIXES = tuple(_WRITERS)
"""Suffixes of the files that `write_events` makes."""


def _regrouped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches and cut large ones to `ROWS_PER_GROUP`."""
    waiting: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        waiting.append(batch)
        n_rows += batch.num_rows
        if n_rows >= ROWS_PER_GROUP:
            yield from _joined(waiting)
            waiting, n_rows = [], 0
    if waiting:
        yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    table = pa.Table.from_batches(batches, schema=EVENT_SCHEMA).unify_dictionaries().combine_chunks()
    return table.to_batches(max_chunksize=ROWS_PER_GROUP)
