"""Scenarios: the one format to write by hand, pages in place of bytes.

::

    map 16 20 rw; w 16,17; fork m2; m2: w 16; m2: exit     # the child copies one page and leaves

Each statement becomes rows of the event table; `ts` is the number of the event. The text is read as a whole
before the first row leaves, so that a mistake in its last line is told before anything is replayed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from .. import events
from ..errors import EmptyTraceError, TraceSyntaxError, did_you_mean
from ..events import PAGE_SHIFT, PAGE_SIZE, TraceMetadata, batch_from_columns
from ..trace import Diagnostic, Loss
from .losses import LossLog
from .source import HEAD_BYTES, Source

TEXT_PATH = "<scenario>"
"""Path of a scenario that is no file, for messages."""

_ROWS_PER_BATCH = 1 << 16
_LAST_PAGE = (1 << 64 - PAGE_SHIFT) - 1
_LAST_PID = (1 << 31) - 1

_PROTECTIONS = {"r": events.PROT_READ, "w": events.PROT_WRITE, "x": events.PROT_EXEC}
_MAP_FLAGS = {
    "fixed": events.MAP_FIXED,
    "growsdown": events.MAP_GROWSDOWN,
    "locked": events.MAP_LOCKED,
    "noreserve": events.MAP_NORESERVE,
}
_MAP_WORDS = ("shared", *_MAP_FLAGS, "file")
_ADVICE = {
    "normal": events.MADV_NORMAL,
    "random": events.MADV_RANDOM,
    "sequential": events.MADV_SEQUENTIAL,
    "willneed": events.MADV_WILLNEED,
    "dontneed": events.MADV_DONTNEED,
    "dontfork": events.MADV_DONTFORK,
    "dofork": events.MADV_DOFORK,
}

_STATEMENT = re.compile(r"[^;]+")
_PROCESS = re.compile(r"\s*m([0-9]+)\s*:", re.ASCII)
_WORD = re.compile(r"\S+")
_PAGE_OR_COMMA = re.compile(r"[^,]+|,")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+", re.ASCII)

_Row = dict[str, int | str]


@dataclass(frozen=True)
class _Word:
    """One word of a statement, and its column in the line, from 1."""

    text: str
    column: int


class _Statement:
    """The words of one statement, taken from left to right; each ``take_*`` refuses what does not fit.

    Parameters
    ----------
    path : str
        For messages.
    line : int
        Line number, from 1.
    line_text : str
        The whole line.
    begin, end : int
        Where in the line the statement stands.
    """

    def __init__(self, path: str, line: int, line_text: str, begin: int, end: int) -> None:
        self._path, self.line, self._line_text = path, line, line_text
        self.pid = 1
        process = _PROCESS.match(line_text, begin, end)
        if process is not None:
            number = _Word(process[1], process.start(1) + 1)
            self.pid = self.number_of(number, "a process number", _LAST_PID)
            begin = process.end()
        self._words = [_Word(m[0], m.start() + 1) for m in _WORD.finditer(line_text, begin, end)]
        self._next = 0
        self._end_column = len(line_text[:end].rstrip()) + 1

    def take(self, expected: str) -> _Word:
        """Take the next word, whatever it is."""
        if self.at_end():
            self.refuse(_Word("", self._end_column), expected)
        self._next += 1
        return self._words[self._next - 1]

    def at_end(self) -> bool:
        """Tell whether every word was taken."""
        return self._next == len(self._words)

    def take_if(self, text: str) -> bool:
        """Take the next word if it is this one."""
        if self.at_end() or self._words[self._next].text != text:
            return False
        self._next += 1
        return True

    def take_page(self, expected: str = "a page number") -> int:
        """Take a page; return its number."""
        return self.number_of(self.take(expected), expected, _LAST_PAGE)

    def take_number(self, expected: str) -> int:
        """Take a number of 64 bits."""
        return self.number_of(self.take(expected), expected, (1 << 64) - 1)

    def take_range(self) -> _Row:
        """Take ``LO HI``; return `addr` and `len`, in bytes."""
        low = self.take_page("the first page of a range")
        return {"addr": low * PAGE_SIZE, "len": (self.take_end_above(low) - low) * PAGE_SIZE}

    def take_end_above(self, low: int) -> int:
        """Take the end of a range of at least one page."""
        expected = f"the end of the range, a page above {low}"
        word = self.take(expected)
        high = self.number_of(word, expected, _LAST_PAGE)
        if high <= low:
            self.refuse(word, expected)
        return high

    def take_pages(self) -> Iterator[int]:
        """Take pages separated by commas, to the end of the statement."""
        self._words[self._next :] = [
            _Word(match[0], word.column + match.start())
            for word in self._words[self._next :]
            for match in _PAGE_OR_COMMA.finditer(word.text)
        ]
        yield self.take_page()
        while not self.at_end():
            comma = self.take("a comma")
            if comma.text != ",":
                self.refuse(comma, "a comma between pages, or the end of the statement")
            yield self.take_page()

    def take_prot(self) -> int:
        """Take a protection; return its ``PROT_*`` bits."""
        expected = "a protection: none, or letters of rwx"
        word = self.take(expected)
        if word.text == "none":
            return events.PROT_NONE
        if not set(word.text) <= _PROTECTIONS.keys() or len(set(word.text)) < len(word.text):
            self.refuse(word, expected)
        return sum(_PROTECTIONS[letter] for letter in word.text)

    def take_process(self) -> int:
        """Take ``mN``; return N."""
        expected = "a process: m and its number"
        word = self.take(expected)
        if not word.text.startswith("m"):
            self.refuse(word, expected)
        return self.number_of(_Word(word.text[1:], word.column + 1), expected, _LAST_PID)

    def finish(self) -> None:
        """Refuse words that are left."""
        if not self.at_end():
            self.refuse(self._words[self._next], "the end of the statement (; or a new line)")

    def refuse(self, word: _Word, expected: str, hint: str = "") -> NoReturn:
        """Raise the `TraceSyntaxError` of a word; a note shows the line with the word underlined."""
        error = TraceSyntaxError(
            self._path,
            self.line,
            word.column,
            expected,
            repr(word.text) if word.text else "the end of the statement",
            hint or "addresses are in pages; statements end at ; or a new line; # begins a comment",
        )
        text = self._line_text.replace("\t", " ")
        error.add_note(f"    {text}\n    {' ' * (word.column - 1)}{'~' * max(1, len(word.text))}")
        raise error

    def number_of(self, word: _Word, expected: str, limit: int) -> int:
        """Return the number that a word spells, decimal or ``0x…``, of at most `limit`."""
        if not _NUMBER.fullmatch(word.text):
            self.refuse(word, expected)
        digits = word.text.lower()
        # Python refuses to convert thousands of digits, so the length comes first.
        if len(digits) <= 40:
            number = int(digits, 16 if digits.startswith("0x") else 10)
            if number <= limit:
                return number
        self.refuse(word, f"{expected}, at most {limit}")


def _map(statement: _Statement) -> Iterator[_Row]:
    row: _Row = {"op": "mmap", **statement.take_range(), "prot": statement.take_prot()}
    flags, shared = 0, False
    while not statement.at_end():
        word = statement.take("a word of map")
        if word.text in _MAP_FLAGS:
            flags |= _MAP_FLAGS[word.text]
        elif word.text == "shared":
            shared = True
        elif word.text == "file":
            row["file"] = statement.take("the name of a file").text
            row["pgoff"] = statement.take_page("the offset in the file, in pages")
        else:
            statement.refuse(word, f"one of {', '.join(_MAP_WORDS)}", did_you_mean(word.text, _MAP_WORDS))
    flags |= events.MAP_SHARED if shared else events.MAP_PRIVATE
    if "file" not in row:
        flags |= events.MAP_ANONYMOUS
        if shared:
            row["pgoff"] = 0
    yield {**row, "flags": flags}


def _move(statement: _Statement) -> Iterator[_Row]:
    source = statement.take_range()
    yield {
        "op": "mremap",
        **source,
        "new_addr": statement.take_page("the page to move to") * PAGE_SIZE,
        "new_len": source["len"],
        "flags": events.MREMAP_MAYMOVE | events.MREMAP_FIXED,
    }


def _resize(statement: _Statement) -> Iterator[_Row]:
    old = statement.take_range()
    low = int(old["addr"]) // PAGE_SIZE
    new_length = (statement.take_end_above(low) - low) * PAGE_SIZE
    yield {"op": "mremap", **old, "new_addr": old["addr"], "new_len": new_length, "flags": 0}


def _protect(statement: _Statement) -> Iterator[_Row]:
    yield {"op": "mprotect", **statement.take_range(), "prot": statement.take_prot()}


def _brk(statement: _Statement) -> Iterator[_Row]:
    yield {"op": "brk", "addr": statement.take_page() * PAGE_SIZE}


def _scan(statement: _Statement) -> Iterator[_Row]:
    yield {"op": "scan", "len": statement.take_number("the number of pages to scan")}


def _dontneed(statement: _Statement) -> Iterator[_Row]:
    yield {"op": "madvise", **statement.take_range(), "flags": events.MADV_DONTNEED}


def _advise(statement: _Statement) -> Iterator[_Row]:
    span = statement.take_range()
    expected = f"an advice: {', '.join(_ADVICE)}, or its number"
    word = statement.take(expected)
    advice = _ADVICE.get(word.text)
    if advice is None:
        if not _NUMBER.fullmatch(word.text):
            statement.refuse(word, expected, did_you_mean(word.text, _ADVICE))
        advice = statement.number_of(word, expected, (1 << 32) - 1)
    yield {"op": "madvise", **span, "flags": advice}


def _fork(statement: _Statement) -> Iterator[_Row]:
    child = statement.take_process()
    yield {"op": "fork", "child": child, "flags": events.CLONE_VM if statement.take_if("vm") else 0}


def _range(op: str) -> Callable[[_Statement], Iterator[_Row]]:
    """Make the reader of a verb that takes one range."""

    def read(statement: _Statement) -> Iterator[_Row]:
        yield {"op": op, **statement.take_range()}

    return read


def _pages(op: str, **more: int) -> Callable[[_Statement], Iterator[_Row]]:
    """Make the reader of a verb that takes pages, each one event."""

    def read(statement: _Statement) -> Iterator[_Row]:
        for page in statement.take_pages():
            yield {"op": op, "addr": page * PAGE_SIZE, **more}

    return read


def _alone(op: str) -> Callable[[_Statement], Iterator[_Row]]:
    """Make the reader of a verb without words after it."""

    def read(statement: _Statement) -> Iterator[_Row]:
        yield {"op": op}

    return read


VERBS: dict[str, Callable[[_Statement], Iterator[_Row]]] = {
    "map": _map,
    "unmap": _range("munmap"),
    "prot": _protect,
    "move": _move,
    "resize": _resize,
    "brk": _brk,
    "w": _pages("write_fault"),
    "r": _pages("read_fault"),
    "touch": _pages("touch", len=PAGE_SIZE),
    "reclaim": _pages("reclaim"),
    "referenced": _pages("referenced"),
    "try_unmap": _pages("try_unmap"),
    "swap_out": _pages("swap_out"),
    "scan": _scan,
    "dontneed": _dontneed,
    "advise": _advise,
    "mlock": _range("mlock"),
    "munlock": _range("munlock"),
    "fork": _fork,
    "exec": _alone("exec"),
    "exit": _alone("exit"),
}
"""The verbs of the grammar and how each reads its statement."""

_COLUMNS = (
    "pid",
    "op",
    "addr",
    "len",
    "prot",
    "flags",
    "pgoff",
    "file",
    "new_addr",
    "new_len",
    "child",
    "line",
)


class ScenarioStream:
    """One pass over a scenario: an `EventStream` whose text is already read.

    Parameters
    ----------
    text : str
        The scenario.
    path : str
        Where it comes from, for messages.

    Raises
    ------
    TraceSyntaxError
        A word that is not in the grammar, with its line and column.
    EmptyTraceError
        No statement.
    """

    format = "scenario"

    def __init__(self, text: str, path: str) -> None:
        self.metadata = TraceMetadata(format="scenario", source=path, complete=True, brk_flags="rwx")
        self.losses: list[Loss] = []
        self.diagnostics: list[Diagnostic] = []
        self.line_counts = dict.fromkeys(
            ("events", "headers", "blank", "loss_marks", "other", "unreadable"), 0
        )
        self.bytes_read = self.bytes_total = len(text)
        self._count_lines(text)
        self._batches = list(_batches(_rows(text, path)))
        if not self._batches:
            raise EmptyTraceError(
                path, expected="at least one statement", found="none", hint="for example: map 16 20 rw; w 16"
            )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the events, in the order of their statements, as batches of `EVENT_SCHEMA`."""
        yield from self._batches

    def _count_lines(self, text: str) -> None:
        for line in text.removesuffix("\n").split("\n"):
            statement = line.partition("#")[0].strip(" \t\r;")
            kind = "events" if statement else "other" if "#" in line else "blank"
            self.line_counts[kind] += 1


def open_scenario(sources: list[Source]) -> ScenarioStream:
    """Read a scenario file.

    Raises
    ------
    TraceSyntaxError
        A word that is not in the grammar, or bytes that are no UTF-8.
    """
    source = sources[0]
    content = b"".join(source.chunks())
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        found = f"the byte 0x{content[error.start]:02x}"
        raise TraceSyntaxError(
            source.path, line, column, "UTF-8 text", found, "save the file as UTF-8"
        ) from None
    stream = ScenarioStream(text, source.path)
    log = LossLog()
    log.take_in(source.losses.losses)
    stream.losses = log.losses
    stream.metadata = stream.metadata.with_changes(unreadable_lines=log.total)
    return stream


def detect_scenario(head: bytes) -> bool:
    """Tell whether every statement of a text begins with a verb of the grammar."""
    if len(head) >= HEAD_BYTES:  # leave out the statement that is cut off
        head = head[: max(head.rfind(b"\n"), head.rfind(b";")) + 1]
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return False
    found = False
    for line in text.split("\n"):
        for match in _STATEMENT.finditer(line.partition("#")[0]):
            words = _PROCESS.sub("", match[0], count=1).split(maxsplit=1)
            if words and words[0] not in VERBS:
                return False
            found = found or bool(words)
    return found


def _rows(text: str, path: str) -> Iterator[_Row]:
    """Yield a row for each event, statement by statement."""
    for number, line in enumerate(text.split("\n"), start=1):
        for match in _STATEMENT.finditer(line.partition("#")[0]):
            if match[0].strip():
                yield from _statement_rows(_Statement(path, number, line.rstrip("\r"), *match.span()))


def _statement_rows(statement: _Statement) -> Iterator[_Row]:
    word = statement.take("a verb")
    read = VERBS.get(word.text)
    if read is None:
        hint = did_you_mean(word.text, VERBS) or f"the verbs are {', '.join(VERBS)}"
        statement.refuse(word, "a verb", hint)
    for row in read(statement):
        row["pid"], row["line"] = statement.pid, statement.line
        yield row
    statement.finish()


def _batches(rows: Iterator[_Row]) -> Iterator[pa.RecordBatch]:
    n_before = 0
    while batch_rows := list(itertools.islice(rows, _ROWS_PER_BATCH)):
        n_rows = len(batch_rows)
        columns: dict[str, list[int | str | None]] = {
            name: [row.get(name) for row in batch_rows] for name in _COLUMNS
        }
        columns["ts"] = list(range(n_before + 1, n_before + n_rows + 1))
        yield batch_from_columns(columns, n_rows)
        n_before += n_rows
