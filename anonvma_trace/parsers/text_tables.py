"""Event tables that are lines of text: CSV with a header line, and JSON Lines.

A block of lines goes through Arrow's parser as a whole. Where that refuses, the block is divided until few
rows around the damage are left, and these are read one by one, so that each bad value is told with its place.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from ..arrow_arrays import array_of
from ..errors import TraceSyntaxError
from ..events import EVENT_SCHEMA
from .source import LONGEST_LINE, Source
from .tabular import (
    REQUIRED_COLUMNS,
    UNREPLAYED_COLUMNS,
    TablePart,
    TableStream,
    integers_from_text,
    read_stored_metadata,
    widened,
)

# A call of Arrow's parser costs as much as some 50 rows read one by one, whatever it parses.
_ROWS_READ_ONE_BY_ONE = 256
_PIECES = 8  # into which rows are divided where something does not fit
_HOPELESS_ROWS = 50_000  # unreadable rows before any readable one after which a table is given up
_LINES_WITH_KEYS = 1000  # lines looked at to learn the keys of a JSON Lines table

_NAMES = frozenset(column.name for column in EVENT_SCHEMA if pa.types.is_dictionary(column.type))
# Names become dictionaries once a whole block is read.
_TYPES = {column.name: pa.string() if column.name in _NAMES else column.type for column in EVENT_SCHEMA}
_INTEGER = re.compile(r"\s*(?:(-?[0-9]+)|0[xX]([0-9a-fA-F]+))\s*", re.ASCII)
_LIMITS = {name: np.iinfo(kind.to_pandas_dtype()) for name, kind in _TYPES.items() if name not in _NAMES}
# A quoted value (text after its closing quote belongs to it, as for Arrow) or a plain one.
_CSV_VALUE = re.compile(r'(?:"((?:[^"]|"")*)"([^,]*)|([^,]*))(,|$)', re.DOTALL)


class _BadRowError(Exception):
    """A row that does not have the form of its kind of table; `column` counts characters from 1."""

    def __init__(self, column: int, expected: str, found: str) -> None:
        super().__init__(column, expected, found)
        self.column, self.expected, self.found = column, expected, found


class _OtherKind(str):
    """A JSON value of another kind than its column holds, as JSON prints it."""


@dataclass
class RowSpans:
    """Where the rows of a text lie; blank lines are left out.

    Attributes
    ----------
    text : bytes
        Whole lines.
    starts, ends : np.ndarray
        First byte of each row, and the byte of its line end, int64.
    lines : np.ndarray
        Number of the line on which each row begins, int64, from 1.
    n_lines : int
        Lines that the rows take up: more than there are rows where quoted values hold line ends.
    unfinished : bytes
        What follows: a row whose quote is still open.
    """

    text: bytes
    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray
    n_lines: int
    unfinished: bytes = b""

    def __len__(self) -> int:
        return len(self.starts)

    def row(self, number: int) -> bytes:
        """Return one row without its line end."""
        return self.text[self.starts[number] : self.ends[number]].removesuffix(b"\r")

    def span(self, first: int, stop: int) -> bytes:
        """Return the text of some rows, and of blank lines between them."""
        return self.text[self.starts[first] : self.ends[stop - 1] + 1]


def find_rows(text: bytes, lines_before: int, quotes: bool) -> RowSpans:
    r"""Find the rows of a text of whole lines.

    Parameters
    ----------
    text : bytes
        Lines that end in ``\n``.
    lines_before : int
        Lines of the file before it.
    quotes : bool
        A line end between an odd and an even ``"`` belongs to its row.
    """
    characters = np.frombuffer(text, np.uint8)
    newlines = np.flatnonzero(characters == ord("\n"))
    last = np.arange(len(newlines))  # of each row, the number of its last line end
    if quotes and b'"' in text:
        quote_places = np.flatnonzero(characters == ord('"'))
        last = np.flatnonzero(np.searchsorted(quote_places, newlines) % 2 == 0)
    if not len(last):
        nothing = np.zeros(0, np.int64)
        return RowSpans(b"", nothing, nothing, nothing, 0, text)
    ends = newlines[last]
    starts = np.concatenate(([0], ends[:-1] + 1))
    lines = np.concatenate(([0], last[:-1] + 1))
    widths = ends - starts
    filled = (widths > 1) | ((widths == 1) & (characters[starts] != ord("\r")))
    used = int(ends[-1]) + 1
    return RowSpans(
        text[:used],
        starts[filled],
        ends[filled],
        lines[filled] + lines_before + 1,
        int((last - lines + 1)[filled].sum()),
        text[used:],
    )


@dataclass
class _Gathered:
    """What was read of a block so far, piece by piece, and where in the block each row begins."""

    tables: list[pa.Table] = field(default_factory=list)
    starts: list[np.ndarray] = field(default_factory=list)
    lines: list[np.ndarray] = field(default_factory=list)

    def add(self, table: pa.Table, starts: np.ndarray, lines: np.ndarray) -> None:
        self.tables.append(table)
        self.starts.append(starts)
        self.lines.append(lines)


class _TextTableStream(TableStream):
    """A table of text rows; subclasses know the form of a row."""

    quotes = False  # whether a quoted value may hold a line end
    row_form: str  # for messages

    def __init__(self, source: Source, form: str) -> None:
        super().__init__(source, form)
        strings, path = read_stored_metadata(source.path)
        self._set_metadata(strings, path)
        self._names: list[str] = []  # columns of the event table that this table has

    @abstractmethod
    def _read_header(self, text: bytes) -> tuple[bytes, int]:
        """Learn the columns from the first block; return what follows the header, and the lines before it."""

    @abstractmethod
    def _read_span(self, text: bytes) -> pa.Table:
        """Read whole rows into columns of `_TYPES`; `pa.ArrowInvalid` if anything does not fit."""

    @abstractmethod
    def _read_row(self, row: bytes) -> Mapping[str, str | None]:
        """Split one row into its values as text; `_BadRowError` if it is none."""

    @abstractmethod
    def _column_of(self, row: bytes, name: str) -> int:
        """Return the character, from 1, at which a value begins in its row; 0 if it is not there."""

    def _parts(self) -> Iterator[TablePart]:
        try:
            blocks = self._source.blocks()
            text, n_lines = self._read_header(next(blocks, b""))
            unfinished = b""
            for block in itertools.chain((text,), blocks):
                text = unfinished + block
                if not text:  # the header was a block of its own
                    continue
                if not text.endswith(b"\n"):  # the last line of the input
                    text += b"\n"
                rows = find_rows(text, n_lines, self.quotes)
                unfinished = rows.unfinished
                n_lines += self._count_lines(rows)
                yield from self._read_rows(rows, whole=True)
                if len(unfinished) > LONGEST_LINE:  # a quote that is never closed
                    rows, unfinished = find_rows(unfinished, n_lines, quotes=False), b""
                    n_lines += self._count_lines(rows)
                    yield from self._read_rows(rows, whole=False)
            if unfinished.strip():
                rows = find_rows(unfinished, n_lines, quotes=False)
                self._count_lines(rows)
                yield from self._read_rows(rows, whole=False)
        finally:
            self._source.close()

    def _count_lines(self, rows: RowSpans) -> int:
        n_lines = rows.text.count(b"\n")
        self.line_counts["blank"] += n_lines - rows.n_lines
        self.line_counts["other"] += rows.n_lines - len(rows)
        return n_lines

    def _read_rows(self, rows: RowSpans, whole: bool) -> Iterator[TablePart]:
        """Read the rows of a block: as a whole, or one by one where it is known to be damaged."""
        gathered = _Gathered()
        if not len(rows):
            return
        if not whole:
            self._gather_one_by_one(rows, 0, len(rows), gathered)
        elif _is_utf8(rows.text):
            self._gather(rows, 0, len(rows), gathered)
        else:  # Arrow's JSON parser does not look
            for first in range(0, len(rows), _ROWS_READ_ONE_BY_ONE):
                stop = min(first + _ROWS_READ_ONE_BY_ONE, len(rows))
                if _is_utf8(rows.span(first, stop)):
                    self._gather(rows, first, stop, gathered)
                else:
                    self._gather_one_by_one(rows, first, stop, gathered)
        if gathered.tables:
            yield self._part(rows.text, gathered)
        elif not self.line_counts["events"] and self.line_counts["unreadable"] >= _HOPELESS_ROWS:
            self._refuse_no_events()

    def _part(self, text: bytes, gathered: _Gathered) -> TablePart:
        table = pa.concat_tables(gathered.tables)
        starts = np.concatenate(gathered.starts)
        columns = {name: table.column(name).combine_chunks() for name in self._names}
        for name in _NAMES.intersection(columns):
            columns[name] = columns[name].dictionary_encode()

        def locate(number: int, name: str) -> tuple[int, str]:
            start = int(starts[number])
            row = text[start : text.index(b"\n", start)]
            return self._column_of(row, name), repr(columns[name][number].as_py())

        return TablePart(columns, np.concatenate(gathered.lines), locate)

    def _gather(self, rows: RowSpans, first: int, stop: int, gathered: _Gathered) -> None:
        """Read rows as a whole; where that fails, divide them, down to a few that are read one by one."""
        try:
            table = self._read_span(rows.span(first, stop))
            whole = table.num_rows == stop - first
        except pa.ArrowInvalid:
            whole = False
        if whole:
            gathered.add(table, rows.starts[first:stop], rows.lines[first:stop])
        elif stop - first <= _ROWS_READ_ONE_BY_ONE:
            self._gather_one_by_one(rows, first, stop, gathered)
        else:
            size = -(-(stop - first) // _PIECES)
            for begin in range(first, stop, size):
                self._gather(rows, begin, min(begin + size, stop), gathered)

    def _gather_one_by_one(self, rows: RowSpans, first: int, stop: int, gathered: _Gathered) -> None:
        kept: list[tuple[dict[str, int | str | None], int, int]] = []
        for number in range(first, stop):
            for start, line, row in self._row_or_its_lines(rows, number):
                values = self._converted_row(row, line)
                if values is not None:
                    kept.append((values, start, line))
        if kept:
            columns = {
                name: array_of([values[name] for values, _, _ in kept], _TYPES[name]) for name in self._names
            }
            starts = np.array([start for _, start, _ in kept], np.int64)
            lines = np.array([line for _, _, line in kept], np.int64)
            gathered.add(pa.table(columns), starts, lines)

    def _row_or_its_lines(self, rows: RowSpans, number: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield a row, or its lines if a stray quote has made one row of several: (start, line, row)."""
        row, start, line = rows.row(number), int(rows.starts[number]), int(rows.lines[number])
        if b"\n" not in row or self._is_row(row):
            yield start, line, row
            return
        pieces = row.split(b"\n")
        self.line_counts["other"] -= len(pieces) - 1
        for piece in pieces:
            if piece.strip():
                yield start, line, piece.removesuffix(b"\r")
            else:
                self.line_counts["blank"] += 1
            start += len(piece) + 1
            line += 1

    def _is_row(self, row: bytes) -> bool:
        try:
            self._read_row(row)
        except _BadRowError:
            return False
        return True

    def _converted_row(self, row: bytes, line: int) -> dict[str, int | str | None] | None:
        """Convert the values of one row; None if the row is lost."""
        try:
            texts = self._read_row(row)
        except _BadRowError as error:
            text = f"expected {error.expected}, found {error.found}"
            self._log.add("bad-row", f"expected {self.row_form}", line, error.column, text)
            self.line_counts["unreadable"] += 1
            return None
        values: dict[str, int | str | None] = {}
        for name in self._names:
            text_value = texts.get(name)
            try:
                values[name] = None if text_value is None else _converted_value(name, text_value)
            except ValueError:
                self._lose_value(line, self._column_of(row, name), name, repr(str(text_value)))
                if name not in UNREPLAYED_COLUMNS:
                    self.line_counts["unreadable"] += 1
                    return None
                values[name] = None
        return values


class CsvStream(_TextTableStream):
    """One pass over an event table in CSV, its columns named by the first line."""

    quotes = True

    def __init__(self, sources: list[Source]) -> None:
        super().__init__(sources[0], "csv")
        self._header: list[str] = []

    def _read_header(self, text: bytes) -> tuple[bytes, int]:
        before = len(text) - len(text.lstrip(b"\r\n"))
        n_blank = text.count(b"\n", 0, before)
        header, _, text = text[before:].partition(b"\n")
        self._header = header_names(header)
        self.row_form = f"{len(self._header)} values separated by commas, as the header line has"
        twice = [name for name in self._header if self._header.count(name) > 1]
        if twice:
            raise TraceSyntaxError(
                self._source.path,
                n_blank + 1,
                expected="each column once",
                found=f"the column {twice[0]!r} twice",
                hint="rename or remove one of them",
            )
        self._check_columns(self._header, n_blank + 1)
        self._names = [name for name in self._header if name in _TYPES]
        self.line_counts["blank"] += n_blank
        self.line_counts["headers"] += 1
        return text, n_blank + 1

    def _read_span(self, text: bytes) -> pa.Table:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(
                column_names=self._header, use_threads=False, block_size=len(text) + 1
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=b'"' in text),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: _parsed_type(name) for name in self._names},
                include_columns=self._names,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,  # "" is an empty text, nothing at all is null
            ),
        )
        return table.cast(pa.schema([(name, _TYPES[name]) for name in self._names]))

    def _read_row(self, row: bytes) -> Mapping[str, str | None]:
        try:
            text = row.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from None
        values: list[str | None] = []
        for match in _csv_values(text):
            quoted, after, plain, _ = match.groups()
            if quoted is not None:
                values.append(quoted.replace('""', '"') + after)
            elif plain.startswith('"'):
                raise _BadRowError(match.start() + 1, "a closing quote", "none on this line")
            else:
                values.append(plain or None)
        if len(values) != len(self._header):
            raise _BadRowError(1, f"{len(self._header)} values", str(len(values)))
        return dict(zip(self._header, values, strict=True))

    def _column_of(self, row: bytes, name: str) -> int:
        matches = _csv_values(row.decode("utf-8", "replace"))
        match = next(itertools.islice(matches, self._header.index(name), None), None)
        return 0 if match is None else match.start() + 1


class JsonLinesStream(_TextTableStream):
    """One pass over an event table in JSON Lines: an object on each line, whose keys are columns."""

    row_form = "a JSON object on each line"

    def __init__(self, sources: list[Source]) -> None:
        super().__init__(sources[0], "jsonl")
        self._unknown: set[str] = set()
        self._numbers_as_text: set[str] = set()  # columns met with "0x…" in place of numbers

    def _read_header(self, text: bytes) -> tuple[bytes, int]:
        keys = _json_keys(text)
        if not keys.issuperset(REQUIRED_COLUMNS):
            self._check_columns(sorted(keys))
        self._tell_unknown(keys)
        # A missing column reads as null, but `line` is filled in where the table does not have it.
        self._names = [name for name in _TYPES if name != "line" or b'"line"' in text]
        return text, 0

    def _tell_unknown(self, keys: set[str]) -> None:
        for key in sorted(keys - _TYPES.keys() - self._unknown):
            self._unknown.add(key)
            self._tell_unknown_column(key)

    def _read_span(self, text: bytes) -> pa.Table:
        try:
            table = self._parse_numbers_or_texts(text, "ignore" if self._unknown else "error")
        except pa.ArrowInvalid as error:
            if "unexpected field" not in str(error):
                raise
            self._tell_unknown(_json_keys(text, all_lines=True))
            table = self._parse_numbers_or_texts(text, "ignore")
        columns = {}
        for name in self._names:
            column = table.column(name)
            if name in self._numbers_as_text:
                column = integers_from_text(column, _TYPES[name])
            columns[name] = column.cast(_TYPES[name])
        return pa.table(columns)

    def _parse_numbers_or_texts(self, text: bytes, unexpected: str) -> pa.Table:
        """Parse numbers as JSON numbers or as text, whichever each column was met with last."""
        tried: set[str] = set()
        while True:
            try:
                return self._parse(text, unexpected)
            except pa.ArrowInvalid as error:
                changed = re.search(r"Column\(/(\w+)\) changed from \w+ to \w+", str(error))
                name = changed[1] if changed else ""
                if name not in _LIMITS or name in tried:
                    raise
                tried.add(name)
                self._numbers_as_text ^= {name}

    def _parse(self, text: bytes, unexpected: str) -> pa.Table:
        fields = [
            (name, pa.string() if name in self._numbers_as_text else _parsed_type(name))
            for name in self._names
        ]
        return pa_json.read_json(
            pa.BufferReader(text),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema(fields), unexpected_field_behavior=unexpected
            ),
        )

    def _read_row(self, row: bytes) -> Mapping[str, str | None]:
        try:
            values = json.loads(row.decode())
        except UnicodeDecodeError as error:
            raise _not_utf8(error) from None
        except json.JSONDecodeError as error:
            raise _BadRowError(error.colno, "a JSON object", error.msg[:1].lower() + error.msg[1:]) from None
        except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
            raise _BadRowError(1, "a JSON object of short values", str(error)) from None
        if not isinstance(values, dict):
            raise _BadRowError(1, "a JSON object", f"a JSON {type(values).__name__}")
        return {name: _json_text(name, value) for name, value in values.items()}

    def _column_of(self, row: bytes, name: str) -> int:
        found = re.search(rb'"' + name.encode() + rb'"\s*:\s*', row)
        return len(row[: found.end()].decode("utf-8", "replace")) + 1 if found else 0


def _parsed_type(name: str) -> pa.DataType:
    """Return the type that Arrow parses a column's text into; see `integers_from_text` for why it is wide."""
    return pa.string() if name in _NAMES else widened(_TYPES[name])


def _converted_value(name: str, text: str) -> int | str:
    """Convert the text of one value as Arrow does for whole columns; ValueError if it does not fit."""
    if isinstance(text, _OtherKind):
        raise ValueError(text)
    if name in _NAMES:
        text.encode()  # JSON can spell half a surrogate pair
        return text
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise ValueError(text)
    value = int(match[1]) if match[1] else int(match[2], 16)
    limits = _LIMITS[name]
    if match[2] and limits.min == -(1 << 63) and 1 << 63 <= value < 1 << 64:
        value -= 1 << 64
    if not limits.min <= value <= limits.max:
        raise ValueError(text)
    return value


def _json_text(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if type(value) is int and name not in _NAMES:
        return str(value)
    return _OtherKind(json.dumps(value))


def _json_keys(text: bytes, all_lines: bool = False) -> set[str]:
    """Return the keys of the JSON objects on the first lines of a text."""
    keys: set[str] = set()
    for line in text.splitlines() if all_lines else text.split(b"\n", _LINES_WITH_KEYS)[:_LINES_WITH_KEYS]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            keys.update(value)
    return keys


def _csv_values(text: str) -> Iterator[re.Match[str]]:
    """Yield a match for each value of a row; the regular expression covers any text."""
    position = 0
    while True:
        match = _CSV_VALUE.match(text, position)
        assert match is not None
        yield match
        if not match[4]:
            return
        position = match.end()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(error: UnicodeDecodeError) -> _BadRowError:
    return _BadRowError(error.start + 1, "UTF-8 text", f"the byte 0x{error.object[error.start]:02x}")


def header_names(line: bytes) -> list[str]:
    """Return the column names of a CSV header line, without the blanks around them."""
    text = line.decode("utf-8", "replace").strip()
    try:
        names = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:  # a carriage return in the middle, a line of megabytes: no header
        names = text.split(",")
    return [name.strip() for name in names]


def detect_csv(head: bytes) -> bool:
    """Tell whether the first line names two of `REQUIRED_COLUMNS`, or three columns of the event table."""
    line = head.lstrip().partition(b"\n")[0]
    if b"," not in line:
        return False
    names = set(header_names(line))
    return len(names & set(REQUIRED_COLUMNS)) >= 2 or len(names & _TYPES.keys()) >= 3


def detect_json_lines(head: bytes) -> bool:
    """Tell whether the first lines are JSON objects with at least two of `REQUIRED_COLUMNS` as keys."""
    head = head.lstrip()
    return head.startswith(b"{") and len(_json_keys(head) & set(REQUIRED_COLUMNS)) >= 2
