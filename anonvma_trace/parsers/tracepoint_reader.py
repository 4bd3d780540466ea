"""Reader of the formats that print tracepoints one a line: ftrace, trace-cmd and perf."""

from __future__ import annotations

import numpy as np

from . import scanner
from .line_columns import LOWEST_KIND, kinds_of, take_events
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
    PID_MAX_LIMIT,
    Family,
    native_tables,
)
from .native_stream import NativeReader

_ABOUT_TASKS = (Family.NEWTASK, Family.FORK, Family.EXEC, Family.TASK_EXIT, Family.RENAME)


class TracepointReader(NativeReader):
    """Reads the lines of one source into blocks of native events, and accounts for every line.

    Parameters
    ----------
    tool : int
        Whose task columns they are: `scanner.FTRACE`, `TRACE_CMD` or `PERF_SCRIPT`.
    style : int
        How system call arguments are printed: one of the ``STYLE_`` constants of `scanner`.
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
        self._line_ends = np.empty(0, dtype=np.int64)
        self._rows = np.empty((0, scanner.N_COLUMNS), dtype=np.int64)
        self._args = np.empty((0, MAX_ARGS + 1), dtype=np.int64)
        # Of each kind, from LOWEST_KIND on:
        self._names_tasks = self._of_families(_ABOUT_TASKS)
        self._is_unused = self._of_families((Family.UNUSED,))
        self._is_unused[KIND_OTHER - LOWEST_KIND] = False  # counted by the name that the line has
        self._is_unused[KIND_RECORD - LOWEST_KIND] = False  # those left are images
        self._is_kept = ~self._of_families((Family.UNUSED,))
        self._is_kept[:-LOWEST_KIND] = False
        self._is_listed = np.zeros_like(self._is_kept)
        self._is_listed[[kind - LOWEST_KIND for kind in (KIND_OTHER, KIND_UNREADABLE, KIND_HEADER)]] = True

    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of `text` in file order."""
        data = np.frombuffer(text, dtype=np.uint8)
        line_ends = self._ends_of_lines(text, data)
        rows, args = self._room(len(line_ends))
        scanner.scan_lines(data, line_ends, self._tool, self._style, self._remembered, rows, args)
        self._take_apart(text, rows, args)
        kinds = kinds_of(rows)
        self._refuse_impossible_tasks(kinds, rows, args)
        self._account(text, first_line, line_ends, kinds, rows, args)
        return self._to_block(text, first_line, kinds, rows, args)

    def _ends_of_lines(self, text: bytes, data: np.ndarray) -> np.ndarray:
        """Return where each line ends: in the same memory from block to block."""
        n_lines = scanner.find_line_ends(data, self._line_ends)
        if n_lines >= len(self._line_ends):
            self._line_ends = np.empty(n_lines + n_lines // 4 + 1, dtype=np.int64)
            scanner.find_line_ends(data, self._line_ends)
        if not text.endswith(b"\n"):
            self._line_ends[n_lines] = len(data)
            n_lines += 1
        return self._line_ends[:n_lines]

    def _room(self, n_lines: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the scanner's two arrays: the same memory from block to block."""
        if n_lines > len(self._rows):
            self._rows = np.empty((n_lines + n_lines // 4, scanner.N_COLUMNS), dtype=np.int64)
            self._args = np.empty((len(self._rows), MAX_ARGS + 1), dtype=np.int64)
        return self._rows[:n_lines], self._args[:n_lines]

    def _of_families(self, families: tuple[Family, ...]) -> np.ndarray:
        return np.concatenate([np.zeros(-LOWEST_KIND, dtype=bool), np.isin(self._tables.family, families)])

    def _take_apart(self, text: bytes, rows: np.ndarray, args: np.ndarray) -> None:
        """Change what the scanner found, for a format that has lines of its own kind."""

    def _read_header(self, header: bytes, row: np.ndarray) -> None:
        """Take in a header line; `row` may become a loss mark."""

    def _refuse_impossible_tasks(self, kinds: np.ndarray, rows: np.ndarray, args: np.ndarray) -> None:
        """Make lines unreadable that name an impossible task: the tables behind are as large as the tids."""
        at = np.flatnonzero(self._names_tasks[kinds])
        family = self._tables.family[rows[at, scanner.KIND]]
        impossible = (args[at, :2] < 0) | (args[at, :2] > PID_MAX_LIMIT)
        second = np.isin(family, (Family.FORK, Family.EXEC))
        # A task tells its own exec and exit: another tid there is damage, and would end a process that goes on.
        own = np.isin(family, (Family.EXEC, Family.TASK_EXIT)) & (args[at, 0] != rows[at, scanner.TID])
        refused = at[impossible[:, 0] | (second & impossible[:, 1]) | own]
        rows[refused, scanner.KIND] = KIND_UNREADABLE
        kinds[refused] = KIND_UNREADABLE - LOWEST_KIND
        rows[refused, scanner.FAULT] = scanner.BAD_TID
        rows[refused, scanner.COMM_BEGIN] = -1

    def _account(
        self,
        text: bytes,
        first_line: int,
        line_ends: np.ndarray,
        kinds: np.ndarray,
        rows: np.ndarray,
        args: np.ndarray,
    ) -> None:
        """Count every line by what it is; keep the places of those that cannot be read."""
        of_kind = np.bincount(kinds, minlength=len(self._tables.names) - LOWEST_KIND)
        self.counts["headers"] += int(of_kind[KIND_HEADER - LOWEST_KIND])
        self.counts["blank"] += int(of_kind[KIND_BLANK - LOWEST_KIND])
        self.counts["loss_marks"] += int(of_kind[KIND_LOST - LOWEST_KIND])
        self.counts["other"] += int(of_kind[KIND_OTHER - LOWEST_KIND])
        self.counts["frames"] += int(of_kind[KIND_FRAME - LOWEST_KIND])
        self.counts["known"] += int(of_kind[KIND_LOST + 1 - LOWEST_KIND :].sum())
        self.counts["unreadable"] += int(of_kind[KIND_UNREADABLE - LOWEST_KIND])
        for kind in np.flatnonzero(of_kind).tolist():
            if self._is_unused[kind]:
                self.unused[self._tables.names[kind + LOWEST_KIND]] += int(of_kind[kind])
        told = np.flatnonzero(self._is_listed[kinds])
        kind = rows[told, scanner.KIND]
        self._count_others(text, rows, args, told[kind == KIND_OTHER])
        self._lose(text, first_line, line_ends, rows, told[kind == KIND_UNREADABLE])
        for line in told[kind == KIND_HEADER].tolist():
            self._read_header(text[_begin_of(line_ends, line) : line_ends[line]], rows[line])
            kinds[line] = rows[line, scanner.KIND] - LOWEST_KIND

    def _lose(
        self, text: bytes, first_line: int, line_ends: np.ndarray, rows: np.ndarray, unreadable: np.ndarray
    ) -> None:
        """Tell of unreadable lines."""
        for fault in np.unique(rows[unreadable, scanner.FAULT]).tolist():
            lines = unreadable[rows[unreadable, scanner.FAULT] == fault]
            code, reason = scanner.FAULTS[fault]
            for line in lines[:PLACES_KEPT].tolist():
                found = text[_begin_of(line_ends, line) : line_ends[line]].decode("utf-8", "backslashreplace")
                column = int(rows[line, scanner.FAULT_AT]) + 1
                self._losses.add(code, reason, first_line + line, column, found)
            self._losses.add(code, reason, count=len(lines) - PLACES_KEPT)

    def _count_others(self, text: bytes, rows: np.ndarray, args: np.ndarray, others: np.ndarray) -> None:
        """Count by name the events that the tables do not name."""
        _, first, counts = np.unique(args[others, 0], return_index=True, return_counts=True)
        places = rows[others[first]][:, [scanner.TEXT_BEGIN, scanner.TEXT_END]]
        for (begin, end), count in zip(places.tolist(), counts.tolist(), strict=True):
            self.unused[text[begin:end].decode("utf-8", "backslashreplace")] += count

    def _to_block(
        self, text: bytes, first_line: int, kinds: np.ndarray, rows: np.ndarray, args: np.ndarray
    ) -> NativeBlock:
        at = np.flatnonzero(self._is_kept[kinds])
        columns, args, with_text, with_comm = take_events(rows, args, at, first_line)
        kind, line, tid, tgid, cpu, ts, found, texts, comms = columns
        lost = np.flatnonzero(kind == KIND_LOST)
        of_header = rows[at[lost], scanner.FAULT]
        args[lost, 0] = np.where(of_header > 0, of_header, args[lost, 0])
        tgid[lost] = -1
        if self._tool != scanner.PERF_SCRIPT:
            ts[lost] = NO_TIME
        self._number(text, rows[at[with_text], scanner.TEXT_BEGIN : scanner.TEXT_END + 1], texts, with_text)
        self._number(text, rows[at[with_comm], scanner.COMM_BEGIN : scanner.COMM_END + 1], comms, with_comm)
        return NativeBlock(kind, line, tid, tgid, cpu, ts, args, found, texts, comms)

    def _number(self, text: bytes, places: np.ndarray, numbers: np.ndarray, at: np.ndarray) -> None:
        """Enter the numbers of the texts at `places` (begin, end) in `numbers[at]`."""
        for event, (begin, end) in zip(at.tolist(), places.tolist(), strict=True):
            value = text[begin:end]
            if value == b"<...>":  # what ftrace prints for a name that it forgot
                continue
            number = self._text_numbers.get(value)
            if number is None:
                number = self._texts.number(value.decode("utf-8", "backslashreplace"))
                self._text_numbers[value] = number
            numbers[event] = number


def _begin_of(line_ends: np.ndarray, line: int) -> int:
    return int(line_ends[line - 1]) + 1 if line else 0
