"""Reader of the formats that print tracepoints one a line: ftrace, trace-cmd and perf."""

from __future__ import annotations

import numpy as np

from . import line_scanner as scanner
from .losses import PLACES_KEPT, LossLog
from .native_block import NO_TIME, Names, NativeBlock
from .native_events import (
    KIND_BLANK,
    KIND_FRAME,
    KIND_HEADER,
    KIND_LOST,
    KIND_OTHER,
    KIND_RECORD,
    KIND_UNREADABLE,
    MAX_ARGS,
    Family,
    native_tables,
)
from .native_stream import NativeReader


class TracepointReader(NativeReader):
    """Reads the lines of one source into blocks of native events, and accounts for every line.

    Parameters
    ----------
    tool : int
        Whose task columns they are: `line_scanner.FTRACE`, `TRACE_CMD` or `PERF_SCRIPT`.
    style : int
        How system call arguments are printed: one of the ``STYLE_`` constants of `line_scanner`.
    texts : Names
        Where the texts of events and names of tasks get their numbers.
    losses : LossLog
        Where to tell of unreadable lines.
    """

    def __init__(self, tool: int, style: int, texts: Names, losses: LossLog) -> None:
        super().__init__()
        self._texts = texts
        self._losses = losses
        self._tables = native_tables()
        self._tool, self._style = tool, style
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
        scanner.scan_lines(
            data, line_ends, self._tool, self._style, *self._tables[3:], self._remembered, rows, args
        )
        self._take_apart(text, rows, args)
        self._refuse_impossible_tasks(rows, args)
        self._account(text, first_line, line_begins, line_ends, rows, args)
        return self._to_block(text, first_line, rows, args)

    def _take_apart(self, text: bytes, rows: np.ndarray, args: np.ndarray) -> None:
        """Change what the scanner found, for a format that has lines of its own kind."""

    def _read_header(self, header: bytes, row: np.ndarray) -> None:
        """Take in a header line; `row` may become a loss mark."""

    def _refuse_impossible_tasks(self, rows: np.ndarray, args: np.ndarray) -> None:
        """Make lines unreadable that name an impossible task: the tables behind are as large as the tids."""
        kind = rows[:, scanner.KIND]
        family = self._tables.family[np.maximum(kind, 0)]
        impossible = (args[:, :2] < 0) | (args[:, :2] > scanner.PID_MAX_LIMIT)
        first = np.isin(family, (Family.NEWTASK, Family.FORK, Family.EXEC, Family.TASK_EXIT, Family.RENAME))
        second = np.isin(family, (Family.FORK, Family.EXEC))
        # A task tells its own exec and exit: another tid there is damage, and would end a process that goes on.
        own = np.isin(family, (Family.EXEC, Family.TASK_EXIT)) & (args[:, 0] != rows[:, scanner.TID])
        refused = (kind > 0) & ((first & impossible[:, 0]) | (second & impossible[:, 1]) | own)
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
        self.counts["frames"] += int(np.count_nonzero(kind == KIND_FRAME))
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
            if (
                self._tables.family[number] == Family.UNUSED and number != KIND_RECORD
            ):  # those left are images
                self.unused[self._tables.names[number]] += int(of_kind[number])
        others = np.flatnonzero(kind == KIND_OTHER)
        _, first, counts = np.unique(args[others, 0], return_index=True, return_counts=True)
        places = rows[others[first]][:, [scanner.TEXT_BEGIN, scanner.TEXT_END]]
        for (begin, end), count in zip(places.tolist(), counts.tolist(), strict=True):
            self.unused[text[begin:end].decode("utf-8", "backslashreplace")] += count

    def _to_block(self, text: bytes, first_line: int, rows: np.ndarray, args: np.ndarray) -> NativeBlock:
        kind = rows[:, scanner.KIND]
        kept = (kind > 0) & (self._tables.family[np.maximum(kind, 0)] != Family.UNUSED)
        at = np.flatnonzero(kept)
        rows, args, kind = rows[at], args[at], kind[at]
        lost = np.flatnonzero(kind == KIND_LOST)
        overwritten = lost[rows[lost, scanner.FAULT] > 0]
        args[overwritten, 0] = rows[overwritten, scanner.FAULT]
        rows[lost, scanner.TGID] = -1
        if self._tool != scanner.PERF_SCRIPT:
            rows[lost, scanner.TS] = NO_TIME
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
