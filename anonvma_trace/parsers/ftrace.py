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
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from ..errors import EmptyTraceError
from ..events import TraceMetadata
from ..trace import Diagnostic, Loss
from . import line_scanner as scanner
from .ftrace_head import check_head, detect_ftrace
from .losses import PLACES_KEPT, LossLog
from .native_block import Names, NativeBlock, concatenate, merge_by_time, sort_nearly_sorted
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
from .native_rows import NativeRows
from .proc_maps import IMAGE_WHYS, read_snapshots
from .source import Source

__all__ = ["FtraceStream", "detect_ftrace"]

BLOCK_BYTES = 8 << 20

_NEW_STYLE = re.compile(rb" sys_\w+\([^\n]*: 0x")
_ENTRIES = re.compile(rb"# entries-in-buffer/entries-written: (\d+)/(\d+)")


class FtraceStream:
    """The events of ftrace text, once from beginning to end; implements `trace.EventStream`.

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

    format = "ftrace"

    def __init__(self, sources: list[Source], maps: list[str] | None = None) -> None:
        for source in sources:
            check_head(source)
        self.line_counts = dict.fromkeys(
            ("events", "headers", "blank", "loss_marks", "other", "unreadable"), 0
        )
        self.diagnostics: list[Diagnostic] = []
        self._sources = sources
        self._missing_events = 0  # announced by a header, but not in the file
        self._losses = LossLog()
        self._texts = Names()
        self._rows = NativeRows(self._texts, read_snapshots(maps or [], IMAGE_WHYS))
        self._readers = [_LineReader(source, self._texts, self._losses) for source in sources]

    @property
    def metadata(self) -> TraceMetadata:
        """What decides the result beside the rows; final once `batches` is exhausted."""
        return TraceMetadata(
            format=self.format,
            source=", ".join(source.path for source in self._sources),
            complete=False,
            known_pids=self._rows.known_pids,
            brk_flags="rw",
            lost_events=self._rows.lost_events + self._missing_events,
            unreadable_lines=self._losses.total,
        )

    @property
    def losses(self) -> list[Loss]:
        """Kinds of lines that could not be read; final once `batches` is exhausted."""
        return self._losses.losses

    @property
    def bytes_read(self) -> int:
        """Bytes of all sources read so far, as stored."""
        return sum(source.bytes_read for source in self._sources)

    @property
    def bytes_total(self) -> int:
        """Bytes of all sources as stored; 0 where one of them does not tell."""
        totals = [source.bytes_total for source in self._sources]
        return sum(totals) if all(totals) else 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the events, in replay order, as batches of `events.EVENT_SCHEMA`.

        Raises
        ------
        EmptyTraceError
            There is no event in it.
        TraceAccessError
            A source cannot be read on.
        """
        streams = [sort_nearly_sorted(reader.blocks()) for reader in self._readers]
        for block in merge_by_time(streams):
            yield from self._rows.feed(block)
            self._count_lines()
        yield from self._rows.finish()
        self._count_lines()
        if self.line_counts["events"] + self.line_counts["other"] + self._losses.total == 0:
            raise EmptyTraceError(
                self._sources[0].path,
                expected="events",
                found="only headers and blank lines",
                hint="check that tracing was on (tracing_on) and that events were enabled",
            )
        for source in self._sources:
            self._losses.take_in(source.losses.losses)
        self.diagnostics += self._rows.diagnostics
        self.diagnostics += self._unused_events()
        for reader in self._readers:
            self._miss(reader)

    def _miss(self, reader: _LineReader) -> None:
        """Tell, and count as lost, the events that a file's header announces and the file does not hold."""
        missing = reader.announced - reader.events
        if missing > 0:
            self._missing_events += missing
            message = (
                f"{reader.path}: expected the {reader.announced} events that its header announces, "
                f"found {reader.events}: a part of the file is missing; copy it again"
            )
            self.diagnostics.append(Diagnostic("warning", "events-missing", message))

    def _count_lines(self) -> None:
        counts: Counter[str] = Counter()
        for reader in self._readers:
            counts.update(reader.counts)
        used = self._rows.used_lines
        self.line_counts.update(counts)
        self.line_counts["events"] = used
        self.line_counts["other"] = counts["known"] + counts["other"] - used
        del self.line_counts["known"]

    def _unused_events(self) -> list[Diagnostic]:
        """Tell which events of the recording make no row, the most frequent first."""
        unused: Counter[str] = Counter()
        for reader in self._readers:
            unused.update(reader.unused)
        if not unused:
            return []
        shown = ", ".join(f"{name} ({count})" for name, count in unused.most_common(10))
        more = f" and {len(unused) - 10} more" if len(unused) > 10 else ""
        message = f"events that make no row: {shown}{more}"
        return [Diagnostic("info", "events-not-used", message)]


class _LineReader:
    """Reads the lines of one source into blocks of native events, and accounts for every line."""

    def __init__(self, source: Source, texts: Names, losses: LossLog) -> None:
        self.counts: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.announced = 0  # events in this file, by its header
        self._source = source
        self._texts = texts
        self._losses = losses
        self._tables = native_tables()
        self._style = scanner.STYLE_0X if _NEW_STYLE.search(source.head) else scanner.STYLE_UNKNOWN
        self._remembered = scanner.empty_memory()
        self._lines = 0
        self._text_numbers: dict[bytes, int] = {}  # spares the decoding

    @property
    def path(self) -> str:
        """Where the lines come from."""
        return self._source.path

    @property
    def events(self) -> int:
        """Lines so far that are events, readable or not."""
        return self.counts["known"] + self.counts["other"] + self.counts["unreadable"]

    def blocks(self) -> Iterator[NativeBlock]:
        """Yield the events in file order; a loss mark, which has no time, has that of the event behind it."""
        waiting: list[NativeBlock] = []  # loss marks at the end of a block
        last_ts = 0
        for text in self._source.blocks(BLOCK_BYTES):
            block = concatenate([*waiting, self._read(text)])
            is_lost = block.kind == KIND_LOST
            events = np.flatnonzero(~is_lost)
            if not len(events):
                waiting = [block]
                continue
            complete = int(events[-1]) + 1
            lost = np.flatnonzero(is_lost[:complete])
            block.ts[lost] = block.ts[events[np.searchsorted(events, lost)]]
            waiting = [block.take(slice(complete, None))]
            last_ts = int(block.ts[complete - 1])
            yield block.take(slice(0, complete))
        for block in waiting:
            block.ts[:] = last_ts
            yield block

    def _read(self, text: bytes) -> NativeBlock:
        data = np.frombuffer(text, dtype=np.uint8)
        line_ends = np.flatnonzero(data == 10)
        if not text.endswith(b"\n"):
            line_ends = np.append(line_ends, len(data))
        line_begins = np.concatenate([[0], line_ends[:-1] + 1])
        rows = np.zeros((len(line_ends), scanner.N_COLUMNS), dtype=np.int64)
        args = np.zeros((len(line_ends), MAX_ARGS + 1), dtype=np.int64)
        scanner.scan_lines(data, line_ends, self._style, *self._tables[3:], self._remembered, rows, args)
        self._refuse_impossible_tasks(rows, args)
        self._account(text, line_begins, line_ends, rows, args)
        block = self._to_block(text, rows, args)
        self._lines += len(line_ends)
        return block

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
        self, text: bytes, line_begins: np.ndarray, line_ends: np.ndarray, rows: np.ndarray, args: np.ndarray
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
                self._losses.add(code, reason, self._lines + line + 1, column, found)
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

    def _to_block(self, text: bytes, rows: np.ndarray, args: np.ndarray) -> NativeBlock:
        kind = rows[:, scanner.KIND]
        kept = (kind > 0) & (self._tables.family[np.maximum(kind, 0)] != Family.UNUSED)
        at = np.flatnonzero(kept)
        rows, args, kind = rows[at], args[at], kind[at]
        lost = np.flatnonzero(kind == KIND_LOST)
        overwritten = lost[rows[lost, scanner.FAULT] > 0]
        args[overwritten, 0] = rows[overwritten, scanner.FAULT]
        rows[lost, scanner.TGID] = -1
        return NativeBlock(
            kind=kind,
            line=self._lines + 1 + at,
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
