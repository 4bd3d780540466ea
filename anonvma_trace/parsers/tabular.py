"""Event tables read back: what every form has in common, and the binary forms, Parquet and Arrow IPC.

A table is taken as it stands, in file order. Values are converted column by column; a value that does not
fit becomes a named loss with its place. `text_tables` holds the forms that are lines of text.
"""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..arrow_arrays import as_numpy, numbers, strings
from ..errors import EmptyTraceError, TraceAccessError, TraceSyntaxError, did_you_mean
from ..events import EVENT_SCHEMA, METADATA_PREFIX, OPS, TraceMetadata, batch_from_columns
from ..trace import Diagnostic, Loss
from .losses import LossLog
from .source import Source

REQUIRED_COLUMNS = ("ts", "pid", "op")
"""Columns that no table can do without, nor any of its rows."""

UNREPLAYED_COLUMNS = frozenset({"cpu", "tid", "comm", "line"})
"""Columns that decide no result: a bad value there reads as null, elsewhere it costs its row."""

ROWS_PER_BATCH = 1 << 16

_PLACES_LOCATED = 5  # bad rows of one part whose place in the text is looked up; the others are only counted

_OPS = strings(OPS)
_BAD_VALUE = (
    "expected a value of its column's type; the row is left out "
    f"(in the columns {', '.join(sorted(UNREPLAYED_COLUMNS))} the value reads as null)"
)


def metadata_path(path: str | Path) -> Path:
    """Return where the metadata of a CSV or JSON Lines table stand: ``PATH.meta.json``."""
    return Path(f"{path}.meta.json")


@functools.cache
def expected_value(name: str) -> str:
    """Describe the values of a column for a message, e.g. ``"an integer from 0 to 255"``."""
    kind = EVENT_SCHEMA.field(name).type
    if pa.types.is_dictionary(kind):
        return "UTF-8 text"
    limits = np.iinfo(kind.to_pandas_dtype())
    return f"an integer from {limits.min} to {limits.max}"


@dataclass
class TablePart:
    """Some rows of a table, their values converted and not yet looked at.

    Attributes
    ----------
    columns : dict of str to pa.Array
        The columns that the table has, of the types of `EVENT_SCHEMA` (names may be plain strings).
    lines : np.ndarray
        Line (or row) of each row in the file, int64, from 1.
    locate : callable
        Gives the column of the text and the found value, for a row of the part and a column's name.
    """

    columns: dict[str, pa.Array]
    lines: np.ndarray
    locate: Callable[[int, str], tuple[int, str]]


class TableStream(ABC):
    """One pass over an event table: an `EventStream`. Subclasses read the parts of one form.

    Parameters
    ----------
    source : Source
        The opened file.
    form : str
        Name of the form: ``"parquet"``, ``"arrow"``, ``"csv"`` or ``"jsonl"``.
    """

    def __init__(self, source: Source, form: str) -> None:
        self.format = form
        self.diagnostics: list[Diagnostic] = []
        self.line_counts = dict.fromkeys(
            ("events", "headers", "blank", "loss_marks", "other", "unreadable"), 0
        )
        self._source = source
        self._log = LossLog()
        self._lost_events: int | None = None
        self.metadata = TraceMetadata(format=form, source=source.path)

    @property
    def losses(self) -> list[Loss]:
        """Kinds of rows and values that could not be read; final once `batches` is exhausted."""
        return self._log.losses

    @property
    def bytes_read(self) -> int:
        """Bytes of the file that have been read, as stored."""
        return self._source.bytes_read

    @property
    def bytes_total(self) -> int:
        """Size of the file, 0 where it is unknown."""
        return self._source.bytes_total

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the table in file order, as batches of `EVENT_SCHEMA`.

        Raises
        ------
        TraceSyntaxError
            A required column is missing, or a column is of a type that cannot hold its values.
        TraceAccessError
            The file is damaged or cannot be read on.
        EmptyTraceError
            No row could be read.
        """
        for part in self._parts():
            batch = self._admit(part)
            if batch.num_rows:
                self.line_counts["events"] += batch.num_rows
                yield batch
        self._log.take_in(self._source.losses.losses)
        self._finish_metadata()
        if not self.line_counts["events"]:
            self._refuse_no_events()

    @abstractmethod
    def _parts(self) -> Iterator[TablePart]:
        """Yield the rows that follow, some at a time."""

    def _set_metadata(self, strings: dict[str, str], path: str) -> None:
        """Take over stored metadata; without any, lost events are counted from the ``lost`` rows."""
        if METADATA_PREFIX + "lost_events" not in strings:
            self._lost_events = 0
        try:
            stored = TraceMetadata.from_strings(strings)
        except ValueError as error:
            expected, _, found = str(error).removeprefix("expected ").partition(", found ")
            raise TraceSyntaxError(
                path,
                expected=expected,
                found=found,
                hint="correct the metadata, or convert the recording again",
            ) from None
        self.metadata = stored.with_changes(
            format=stored.format or self.format, source=stored.source or self._source.path
        )

    def _finish_metadata(self) -> None:
        changes = {
            "unreadable_lines": self.metadata.unreadable_lines
            + self.line_counts["unreadable"]
            + self._source.losses.total
        }
        if self._lost_events is not None:
            changes["lost_events"] = self._lost_events
        self.metadata = self.metadata.with_changes(**changes)

    def _check_columns(self, names: list[str], line: int = 0) -> None:
        """Refuse a table without the required columns; tell columns that an event table does not have."""
        missing = [name for name in REQUIRED_COLUMNS if name not in names]
        unknown = [name for name in names if name not in EVENT_SCHEMA.names]
        if missing:
            hints = [did_you_mean(name, missing) for name in unknown]
            raise TraceSyntaxError(
                self._source.path,
                line,
                expected=f"the columns {', '.join(REQUIRED_COLUMNS)}",
                found=f"no column {', '.join(missing)} among {', '.join(map(repr, names)) or 'none'}",
                hint=next(filter(None, hints), "an event table cannot do without them"),
            )
        for name in unknown:
            self._tell_unknown_column(name, line)

    def _tell_unknown_column(self, name: str, line: int = 0) -> None:
        message = f"column {name!r} is not one of an event table and was not read"
        if near := did_you_mean(name, EVENT_SCHEMA.names):
            message += f"; {near}"
        self.diagnostics.append(Diagnostic("warning", "unknown-column", message, line=line))

    def _lose_value(self, line: int, column: int, name: str, found: str) -> None:
        text = f"{name}: expected {expected_value(name)}, found {found}"
        self._log.add("bad-value", _BAD_VALUE, line, column, text)

    def _admit(self, part: TablePart) -> pa.RecordBatch:
        """Leave out rows without a required value or with an unknown operation; number the lines."""
        n_rows = len(part.lines)
        admitted = np.ones(n_rows, bool)
        for name in REQUIRED_COLUMNS:
            if part.columns[name].null_count:
                present = as_numpy(part.columns[name].is_valid())
                reason = f"expected a value in each of the columns {', '.join(REQUIRED_COLUMNS)}"
                self._leave_out(part, admitted, ~present, name, "missing-value", reason)
        known = _known_ops(part.columns["op"])
        if not known.all():
            reason = f"expected an operation of the event table: {', '.join(OPS)}"
            self._leave_out(part, admitted, ~known, "op", "unknown-op", reason)
        columns = dict(part.columns)
        if "line" not in columns:
            columns["line"] = numbers(part.lines)
        batch = batch_from_columns(columns, n_rows)
        if not admitted.all():
            batch = batch.filter(numbers(admitted))
        if self._lost_events is not None:
            self._lost_events += _events_lost(batch)
        return batch

    def _leave_out(
        self, part: TablePart, admitted: np.ndarray, bad: np.ndarray, name: str, code: str, reason: str
    ) -> None:
        rows = np.flatnonzero(bad & admitted)
        for row in rows[:_PLACES_LOCATED].tolist():
            column, found = part.locate(row, name)
            text = f"{name}: found {found}"
            if name == "op" and (near := did_you_mean(found.strip("'"), OPS)):
                text += f"; {near}"
            self._log.add(code, reason, int(part.lines[row]), column, text)
        self._log.add(code, reason, count=len(rows) - min(len(rows), _PLACES_LOCATED))
        self.line_counts["unreadable"] += len(rows)
        admitted[rows] = False

    def _refuse_no_events(self) -> None:
        found = "a table without rows"
        hint = "check how the table was made"
        if self._log.total:
            first = self._log.losses[0]
            line, _, text = first.places[0] if first.places else (0, 0, "")
            found = f"{self._log.total} rows, none of which could be read"
            hint = f"the first: line {line}: {text or first.reason}"
        raise EmptyTraceError(self._source.path, expected="at least one event", found=found, hint=hint)


def _known_ops(ops: pa.Array) -> np.ndarray:
    """Tell for each row whether its operation is one of `OPS` (null counts as known here)."""
    if pa.types.is_dictionary(ops.type):
        known = pc.is_in(ops.dictionary, value_set=_OPS)
        if pc.all(known, min_count=0).as_py():
            return np.ones(len(ops), bool)
        ops = ops.dictionary_decode()
    known = pc.or_(pc.is_in(ops, value_set=_OPS), pc.is_null(ops))
    return as_numpy(known)


def _events_lost(batch: pa.RecordBatch) -> int:
    lost = batch.filter(pc.equal(batch.column("op").dictionary_decode(), "lost"))
    return pc.sum(lost.column("len")).as_py() or 0


def read_stored_metadata(path: str) -> tuple[dict[str, str], str]:
    """Read the ``.meta.json`` beside a CSV or JSON Lines table.

    Parameters
    ----------
    path : str
        The table; for a compressed one the name without ``.gz``, ``.zst`` or ``.xz`` is tried too.

    Returns
    -------
    tuple of (dict of str to str, str)
        The metadata and the file they stood in; ``({}, "")`` where there is none.

    Raises
    ------
    TraceSyntaxError
        The file is not a JSON object of strings and numbers.
    TraceAccessError
        The file is there and cannot be read.
    """
    if path == "-":
        return {}, ""
    names = [path]
    if Path(path).suffix in (".gz", ".zst", ".xz"):
        names.append(str(Path(path).with_suffix("")))
    for candidate in map(metadata_path, names):
        try:
            text = candidate.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise TraceAccessError(
                str(candidate),
                expected="the readable metadata of the table beside it",
                found=getattr(error, "strerror", None) or str(error),
                hint="repair or remove the file; without it the table counts as complete, with brk_flags rwx",
            ) from error
        return _parse_metadata(text, str(candidate)), str(candidate)
    return {}, ""


def _parse_metadata(text: str, path: str) -> dict[str, str]:
    hint = "convert the recording again; without the file the table counts as complete, with brk_flags rwx"
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise TraceSyntaxError(
            path, error.lineno, error.colno, "a JSON object", error.msg[:1].lower() + error.msg[1:], hint
        ) from None
    if not isinstance(values, dict):
        raise TraceSyntaxError(path, 1, 1, "a JSON object", f"a {type(values).__name__}", hint)
    for key, value in values.items():
        if not isinstance(value, str | int):
            raise TraceSyntaxError(
                path, expected=f"a text or number for {key!r}", found=repr(value), hint=hint
            )
    return {key: str(int(value) if isinstance(value, bool) else value) for key, value in values.items()}


# Binary forms


class _BinaryTableStream(TableStream):
    """A table whose file is read by Arrow itself, with columns of any type that can be converted."""

    title: str

    def __init__(self, source: Source, form: str) -> None:
        super().__init__(source, form)
        self._rows_read = 0
        self._share_read = 0.0

    @property
    def bytes_read(self) -> int:
        """Bytes of the file that have been read, estimated from the share of its rows."""
        return int(self.bytes_total * self._share_read)

    @abstractmethod
    def _raw_batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Take over columns and metadata, then yield the stored rows."""

    def _parts(self) -> Iterator[TablePart]:
        raw_batches = self._raw_batches(self._source.local_file())
        try:
            while (batch := self._next(raw_batches)) is not None:
                yield self._converted(batch)
                self._rows_read += batch.num_rows
        finally:
            raw_batches.close()  # type: ignore[attr-defined]
            self._source.close()

    def _next(self, raw_batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            batch = next(raw_batches, None)
            if batch is not None:
                batch.validate(full=True)  # offsets and indices of a damaged file lead outside its memory
            return batch
        except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
            found = str(error).strip().partition("\n")[0]
            raise TraceAccessError(
                self._source.path,
                expected=f"a complete {self.title} file",
                found=f"damage after {self._rows_read} rows: {found}",
                hint="the file was cut off or changed: copy or convert it again",
            ) from error

    def _take_schema(self, schema: pa.Schema, metadata: dict[bytes, bytes] | None) -> None:
        self._check_columns(schema.names)
        strings = {key.decode(errors="replace"): value for key, value in (metadata or {}).items()}
        own = {
            key: value.decode(errors="replace")
            for key, value in strings.items()
            if key.startswith(METADATA_PREFIX)
        }
        self._set_metadata(own, self._source.path)

    def _converted(self, batch: pa.RecordBatch) -> TablePart:
        """Convert the columns to the event table's types; values that do not fit are losses."""
        first_row = self._rows_read + 1
        columns: dict[str, pa.Array] = {}
        left_out: set[int] = set()
        for name in EVENT_SCHEMA.names:
            if name not in batch.schema.names:
                continue
            raw = batch.column(name)
            columns[name], bad_rows = self._convert(name, raw)
            for row in bad_rows:
                self._lose_value(first_row + row, 0, name, repr(raw[row].as_py()))
            if name not in UNREPLAYED_COLUMNS:
                left_out.update(bad_rows)
        self.line_counts["unreadable"] += len(left_out)
        lines = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
        if left_out:
            kept = np.ones(batch.num_rows, bool)
            kept[list(left_out)] = False
            lines = lines[kept]
            columns = {name: array.filter(numbers(kept)) for name, array in columns.items()}

        def locate(row: int, name: str) -> tuple[int, str]:
            return 0, repr(columns[name][row].as_py())

        return TablePart(columns, lines, locate)

    def _convert(self, name: str, raw: pa.Array) -> tuple[pa.Array, list[int]]:
        target = EVENT_SCHEMA.field(name).type
        try:
            return _converted_or_bad(raw, target)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
            raise TraceSyntaxError(
                self._source.path,
                expected=f"{expected_value(name)} in column {name!r}",
                found=f"values of type {raw.type}",
                hint="write the column with a type that holds such values",
            ) from None


class ParquetStream(_BinaryTableStream):
    """One pass over an event table in Parquet."""

    title = "Parquet"

    def __init__(self, sources: list[Source]) -> None:
        super().__init__(sources[0], "parquet")

    def _raw_batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        # Without pre_buffer a row group is read page by page: some writers make one group of the whole file.
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            self._take_schema(schema, {**(file.metadata.metadata or {}), **(schema.metadata or {})})
            known = [name for name in schema.names if name in EVENT_SCHEMA.names]
            n_rows = 0
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=known):
                n_rows += batch.num_rows
                self._share_read = n_rows / file.metadata.num_rows
                yield batch


class ArrowStream(_BinaryTableStream):
    """One pass over an event table in Arrow IPC, the file or the stream form."""

    title = "Arrow IPC"

    def __init__(self, sources: list[Source]) -> None:
        super().__init__(sources[0], "arrow")

    def _raw_batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        is_file = self._source.head.startswith(b"ARROW1")
        with pa.memory_map(str(path)) as mapped:
            reader = pa.ipc.open_file(mapped) if is_file else pa.ipc.open_stream(mapped)
            self._take_schema(reader.schema, reader.schema.metadata)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)
            for number, batch in enumerate(batches, start=1):
                n_batches = reader.num_record_batches if is_file else 0
                self._share_read = number / n_batches if n_batches else mapped.tell() / mapped.size()
                for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                    yield batch.slice(start, ROWS_PER_BATCH)


def _converted_or_bad(array: pa.Array, target: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Convert `array`; rows that do not fit become null and are returned, found by halving."""
    try:
        return _convert(array, target), []
    except pa.ArrowInvalid:
        if len(array) == 1:
            return pa.nulls(1, target), [0]
    middle = len(array) // 2
    left, bad_left = _converted_or_bad(array[:middle], target)
    right, bad_right = _converted_or_bad(array[middle:], target)
    if pa.types.is_dictionary(target):
        left, right = left.dictionary_decode(), right.dictionary_decode()
    both = pa.concat_arrays([left, right])
    if pa.types.is_dictionary(target):
        both = both.dictionary_encode()
    return both, bad_left + [middle + row for row in bad_right]


def _convert(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        if array.type == target and not array.dictionary.null_count:
            return array
        values = array.dictionary
        if _is_text(values.type):
            values = values.cast(pa.string())  # Arrow cannot decode dictionaries of string views
        array = pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), values).dictionary_decode()
    if array.type == target:
        return array
    if pa.types.is_dictionary(target):
        return array.cast(pa.string()).dictionary_encode()
    if pa.types.is_boolean(array.type):
        raise pa.ArrowTypeError("a truth value is no number")
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ns", array.type.tz))  # the table's unit
    elif pa.types.is_duration(array.type):
        array = array.cast(pa.duration("ns"))
    elif _is_text(array.type):
        return integers_from_text(array.cast(pa.string()), target)
    return array.cast(target)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def integers_from_text(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Convert decimal or ``0x…`` text to an integer type.

    Raises
    ------
    pa.ArrowInvalid
        A text is no such number, or does not fit.
    """
    # By way of 64 bits: Arrow takes 0xffffffff for the int32 -1, and refuses 0x003 for a uint8.
    return pc.utf8_trim_whitespace(array).cast(widened(target)).cast(target)


def widened(kind: pa.DataType) -> pa.DataType:
    """Return the 64-bit integer type of the same signedness."""
    return pa.int64() if pa.types.is_signed_integer(kind) else pa.uint64()


# Detection


def detect_parquet(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is Parquet."""
    return head.startswith(b"PAR1")


def detect_arrow(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is Arrow IPC, the file or the stream form."""
    if head.startswith(b"ARROW1"):
        return True
    if not head.startswith(b"\xff\xff\xff\xff"):
        return False
    try:
        pa.ipc.read_schema(pa.BufferReader(head))
    except (pa.ArrowException, OSError):
        return False
    return True
