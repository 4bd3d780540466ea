r"""ftrace text: the files ``trace`` and ``trace_pipe`` of tracefs.

::

    bash-812  (  812) [001] d....  512.004417: page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6
    \__/ \_/  \____/ \___/ \___/  \________/  \_____________/  \_____________________________________/
    comm tid   tgid   cpu  flags   seconds      event            fields, unknown ones are passed over

A system call is two lines, ``sys_mmap(addr: 0, len: 0x2000, …)`` and ``sys_mmap -> 0x7fa05b8c6000``; its row
is made at the second. The tgid is there only with ``options/record-tgid``. ``options/verbose``,
``options/fields`` and ``options/latency-format`` print the same in other words, which are read too.
"""

from __future__ import annotations

import re

import numpy as np

from . import line_scanner as scanner
from .ftrace_head import check_head, detect_ftrace
from .losses import PLACES_KEPT, LossLog
from .native_block import NO_TIME, Names, NativeBlock
from .native_events import (
    KIND_BLANK,
    KIND_HEADER,
    KIND_LOST,
    KIND_OTHER,
    KIND_UNREADABLE,
    MAX_ARGS,
    Family,
    native_tables,
)
from .native_stream import NativeReader, NativeStream
from .source import Source

__all__ = ["FtraceStream", "detect_ftrace"]

_NEW_STYLE = re.compile(rb" sys_\w+\([^\n]*: 0x")
_ENTRIES = re.compile(rb"# entries-in-buffer/entries-written: (\d+)/(\d+)")


class FtraceStream(NativeStream):
    """The events of ftrace text.

    Parameters
    ----------
    sources : list of Source
        Parts of one recording (files of single CPUs, rotated pipes): merged by time.
    maps : list of str, optional
        Arguments of ``--maps`` (`proc_maps.read_snapshots`).

    Raises
    ------
    UnsupportedTraceError
        The lines have no task column (``options/context-info`` was off).
    UnknownFormatError
        The content is something else.
    TraceError
        A file of `maps` cannot be read.
    """

    def __init__(self, sources: list[Source], maps: list[str] | None = None) -> None:
        for source in sources:
            check_head(source)
        super().__init__("ftrace", sources, maps or [], _LineReader)


class _LineReader(NativeReader):
    """Reads the lines of one source into blocks of native events, and accounts for every line."""

    def __init__(self, source: Source, texts: Names, losses: LossLog) -> None:
        super().__init__()
        self._texts = texts
        self._losses = losses
        self._tables = native_tables()
        self._style = scanner.STYLE_0X if _NEW_STYLE.search(source.head) else scanner.STYLE_UNKNOWN
        self._remembered = scanner.empty_memory()
        self._text_numbers: dict[bytes, int] = {}  # spares the decoding

    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of `text` in file order."""
        data = np.frombuffer(text, dtype=np.uint8)
        line_ends = np.flatnonzero(data == 10)
        if not text.endswith(b"\n"):
            line_ends = np.append(line_ends, len(data))
        line_begins = np.concatenate([[0], line_ends[:-1] + 1])
        rows = np.zeros((len(line_ends), scanner.N_COLUMNS), dtype=np.int64)
        args = np.zeros((len(line_ends), MAX_ARGS + 1), dtype=np.int64)
        scanner.scan_lines(data, line_ends, self._style, *self._tables[3:], self._remembered, rows, args)
        self._refuse_impossible_tasks(rows, args)
        self._account(text, first_line, line_begins, line_ends, rows, args)
        return self._to_block(text, first_line, rows, args)

    def _refuse_impossible_tasks(self, rows: np.ndarray, args: np.ndarray) -> None:
        """Make lines unreadable that name an impossible task: the tables behind are as large as the tids."""
        kind = rows[:, scanner.KIND]
        family = self._tables.family[np.maximum(kind, 0)]
        impossible = (args[:, :2] < 0) | (args[:, :2] > scanner.PID_MAX_LIMIT)
        first = np.isin(family, (Family.NEWTASK, Family.FORK, Family.EXEC, Family.TASK_EXIT, Family.RENAME))
        second = np.isin(family, (Family.FORK, Family.EXEC))
        refused = (kind > 0) & ((first & impossible[:, 0]) | (second & impossible[:, 1]))
        rows[refused, scanner.KIND] = KIND_UNREADABLE
        rows[refused, scanner.FAULT] = scanner.BAD_TID
        rows[refused, scanner.COMM_BEGIN] = -1

    def _account(
        self,
        text: bytes,
        first_line: int,
        line_begins: np.ndarray,
        line_ends: np.ndarray,
        rows: np.ndarray,
        args: np.ndarray,
    ) -> None:
        """Count every line by what it is; keep the places of those that cannot be read."""
        kind = rows[:, scanner.KIND]
        self.counts["headers"] += int(np.count_nonzero(kind == KIND_HEADER))
        self.counts["blank"] += int(np.count_nonzero(kind == KIND_BLANK))
        self.counts["loss_marks"] += int(np.count_nonzero(kind == KIND_LOST))
        self.counts["other"] += int(np.count_nonzero(kind == KIND_OTHER))
        self.counts["known"] += int(np.count_nonzero(kind > KIND_LOST))
        self.counts["unreadable"] += int(np.count_nonzero(kind == KIND_UNREADABLE))
        self._count_unused(text, kind, rows, args)
        unreadable = np.flatnonzero(kind == KIND_UNREADABLE)
        for fault in np.unique(rows[unreadable, scanner.FAULT]).tolist():
            lines = unreadable[rows[unreadable, scanner.FAULT] == fault]
            code, reason = scanner.FAULTS[fault]
            for line in lines[:PLACES_KEPT].tolist():
                found = text[line_begins[line] : line_ends[line]].decode("utf-8", "backslashreplace")
                column = int(rows[line, scanner.FAULT_AT]) + 1
                self._losses.add(code, reason, first_line + line, column, found)
            self._losses.add(code, reason, count=len(lines) - PLACES_KEPT)
        for line in np.flatnonzero(kind == KIND_HEADER).tolist():
            self._read_header(text[line_begins[line] : line_ends[line]], rows[line])

    def _count_unused(self, text: bytes, kind: np.ndarray, rows: np.ndarray, args: np.ndarray) -> None:
        """Count by name the events that make no row."""
        of_kind = np.bincount(kind[kind > KIND_LOST], minlength=len(self._tables.names))
        for number in np.flatnonzero(of_kind).tolist():
            if self._tables.family[number] == Family.UNUSED:
                self.unused[self._tables.names[number]] += int(of_kind[number])
        others = np.flatnonzero(kind == KIND_OTHER)
        _, first, counts = np.unique(args[others, 0], return_index=True, return_counts=True)
        places = rows[others[first]][:, [scanner.TEXT_BEGIN, scanner.TEXT_END]]
        for (begin, end), count in zip(places.tolist(), counts.tolist(), strict=True):
            self.unused[text[begin:end].decode("utf-8", "backslashreplace")] += count

    def _read_header(self, header: bytes, row: np.ndarray) -> None:
        """Note how many events a header announces; those overwritten become a loss of no CPU in particular."""
        found = _ENTRIES.match(header)
        if found:
            self.announced += int(found[1])
        if found and int(found[1]) < int(found[2]):
            row[scanner.KIND], row[scanner.CPU] = KIND_LOST, -1
            row[scanner.FAULT] = int(found[2]) - int(found[1])  # free: a loss has no fault

    def _to_block(self, text: bytes, first_line: int, rows: np.ndarray, args: np.ndarray) -> NativeBlock:
        kind = rows[:, scanner.KIND]
        kept = (kind > 0) & (self._tables.family[np.maximum(kind, 0)] != Family.UNUSED)
        at = np.flatnonzero(kept)
        rows, args, kind = rows[at], args[at], kind[at]
        lost = np.flatnonzero(kind == KIND_LOST)
        overwritten = lost[rows[lost, scanner.FAULT] > 0]
        args[overwritten, 0] = rows[overwritten, scanner.FAULT]
        rows[lost, scanner.TGID], rows[lost, scanner.TS] = -1, NO_TIME
        return NativeBlock(
            kind=kind,
            line=first_line + at,
            tid=rows[:, scanner.TID],
            tgid=rows[:, scanner.TGID],
            cpu=rows[:, scanner.CPU],
            ts=rows[:, scanner.TS],
            args=args[:, :MAX_ARGS],
            found=args[:, MAX_ARGS],
            text=self._texts_of(text, rows, scanner.TEXT_BEGIN, rows[:, scanner.TEXT_END] > 0),
            comm=self._texts_of(text, rows, scanner.COMM_BEGIN, rows[:, scanner.COMM_BEGIN] >= 0),
        )

    def _texts_of(self, text: bytes, rows: np.ndarray, begin_column: int, there: np.ndarray) -> np.ndarray:
        """Return the numbers of the texts between the places in two neighbouring columns; -1 for none."""
        numbers = np.full(len(rows), -1, dtype=np.int64)
        at = np.flatnonzero(there)
        for event, begin, end in zip(
            at.tolist(), rows[at, begin_column].tolist(), rows[at, begin_column + 1].tolist(), strict=True
        ):
            value = text[begin:end]
            if value == b"<...>":  # what ftrace prints for a name that it forgot
                continue
            number = self._text_numbers.get(value)
            if number is None:
                number = self._texts.number(value.decode("utf-8", "backslashreplace"))
                self._text_numbers[value] = number
            numbers[event] = number
        return numbers
