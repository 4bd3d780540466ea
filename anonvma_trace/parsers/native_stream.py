"""`NativeStream`: the stream of every format whose lines are native events of the kernel.

A format is a `NativeFormat`: above all a `NativeReader`, which turns its text into `NativeBlock`s and says what
each line was::

    Source -> NativeReader -> NativeBlock -> in order of time -> NativeRows -> record batches
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from ..errors import EmptyTraceError, ParserBug
from ..events import TraceMetadata
from ..trace import Diagnostic, Loss
from .embedded import embedded_snapshots
from .losses import LossLog
from .native_block import (
    NO_TIME,
    Names,
    NativeBlock,
    concatenate,
    merge_by_time,
    no_events,
    sort_nearly_sorted,
)
from .native_rows import NativeRows
from .notes import Notes
from .proc_maps import IMAGE_WHYS, Snapshot, read_snapshots
from .read_ahead import read_ahead
from .source import Source

BLOCK_BYTES = 8 << 20
"""Text that a reader is given at once: a few dozen steps of Python for each block cost as much as a megabyte."""

LINE_KINDS = ("events", "headers", "blank", "loss_marks", "other", "unreadable")
"""Keys of `NativeStream.line_counts`."""


class NativeReader(ABC):
    """Reads the lines of one source; a format's own work is a child of this class.

    Attributes
    ----------
    counts : Counter
        Every line read, by what it is: ``known`` (what can become a row), ``other`` (what never does),
        ``headers``, ``blank``, ``loss_marks``, ``unreadable``, ``frames`` (of stack traces: a part of the event
        above them). Each unreadable line is in the `LossLog` too.
    unused : Counter
        Events that make no row, by name.
    announced : int
        Events that the source says, in a header, it holds; 0 if it does not say.
    images : list of Snapshot
        Images of processes that the text holds, for events `KIND_IMAGE`; one list for all parts of a recording.
    notes : Notes
        What the reader assumed or left out.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.announced = 0
        self.images: list[Snapshot] = []
        self.notes = Notes()

    @property
    def events(self) -> int:
        """Lines so far that are events, readable or not."""
        return self.counts["known"] + self.counts["other"] + self.counts["unreadable"]

    @abstractmethod
    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of `text` in file order.

        Parameters
        ----------
        text : bytes
            Whole lines; the last line of the source may lack its newline.
        first_line : int
            Number of its first line, from 1.

        Returns
        -------
        NativeBlock
            A loss mark that has no time of its own has the time `NO_TIME`, and gets that of the event behind it.
        """

    def finish(self) -> NativeBlock:
        """Return the events that were held back for lines that did not come."""
        return no_events()


class BatchCheck(Protocol):
    """Looks at the rows of a stream, for what only all of them together tell."""

    def take_in(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows."""

    def diagnostics(self) -> list[Diagnostic]:
        """Return what was found, once all rows were there."""


@dataclass(frozen=True)
class NativeFormat:
    """One format of native events.

    Attributes
    ----------
    name : str
        As ``--format`` takes it.
    check : callable
        Refuses a source that is of no such format, or lacks what a replay needs: raises `UnknownFormatError`
        or `UnsupportedTraceError`.
    open_reader : callable
        Makes the reader of a source, given that, the `Names` for its texts and the `LossLog` for its lines
        that cannot be read.
    snapshots_by_time : bool
        The snapshots of ``--maps`` have their place where their times are, which are those of the clock of the
        events. Otherwise the clocks differ, or marker lines in the trace tell more exactly.
    batch_check : callable or None
        Makes what looks at the rows, anew for each stream.
    """

    name: str
    check: Callable[[Source], None]
    open_reader: Callable[[Source, Names, LossLog], NativeReader]
    snapshots_by_time: bool = True
    batch_check: Callable[[], BatchCheck] | None = None


class NativeStream:
    """The events of a recording, once from beginning to end; implements `trace.EventStream`.

    Parameters
    ----------
    form : NativeFormat
    sources : list of Source
        Parts of one recording (files of single CPUs, rotated pipes): merged by time.
    maps : list of str, optional
        Arguments of ``--maps`` (`proc_maps.read_snapshots`).

    Raises
    ------
    UnknownFormatError, UnsupportedTraceError
        A source is of another format, or of one that cannot be replayed.
    TraceError
        A file of `maps` cannot be read.
    """

    def __init__(
        self,
        form: NativeFormat,
        sources: list[Source],
        maps: Sequence[str] = (),
    ) -> None:
        for source in sources:
            form.check(source)
        self.line_counts = dict.fromkeys(LINE_KINDS, 0)
        self.diagnostics: list[Diagnostic] = []
        self._form = form
        self._sources = sources
        self._missing_events = 0  # announced by a header, but not in the file
        self._losses = LossLog()
        texts = Names()
        snapshots = [snapshot for source in sources for snapshot in embedded_snapshots(source)]
        snapshots += read_snapshots(list(maps), IMAGE_WHYS)
        images: list[Snapshot] = []
        self._rows = NativeRows(texts, snapshots, images, form.snapshots_by_time)
        self._readers = [form.open_reader(source, texts, self._losses) for source in sources]
        for reader in self._readers:
            reader.images = images

    @property
    def format(self) -> str:
        """Name of the format."""
        return self._form.name

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
        ParserBug
            The lines that were counted are not the lines that were read.
        """
        check = self._form.batch_check() if self._form.batch_check else None
        for batch in self._batches():
            if check is not None:
                check.take_in(batch)
            yield batch
        self._check_line_counts()
        self._refuse_nothing()
        for source in self._sources:
            self._losses.take_in(source.losses.losses)
        self.diagnostics += self._rows.diagnostics
        notes = Notes()
        for reader in self._readers:
            notes.take_in(reader.notes)
        self.diagnostics += notes.diagnostics()
        self.diagnostics += self._unused_events()
        for source, reader in zip(self._sources, self._readers, strict=True):
            self._tell_missing(source, reader)
        if check is not None:
            self.diagnostics += check.diagnostics()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        parts = zip(self._sources, self._readers, strict=True)
        streams = [sort_nearly_sorted(self._blocks(source, reader)) for source, reader in parts]
        for block in merge_by_time(streams):
            yield from self._rows.feed(block)
            self._count_lines()
        yield from self._rows.finish()
        self._count_lines()

    def _blocks(self, source: Source, reader: NativeReader) -> Iterator[NativeBlock]:
        """Yield the events in file order; a loss mark without a time has that of the event behind it."""
        waiting = no_events()  # loss marks at the end of a block
        last_ts = 0
        for read in read_ahead(self._blocks_read(source, reader)):
            block = concatenate([waiting, read])
            without_time = block.ts == NO_TIME
            timed = np.flatnonzero(~without_time)
            if not len(timed):
                waiting = block
                continue
            complete = int(timed[-1]) + 1
            marks = np.flatnonzero(without_time[:complete])
            block.ts[marks] = block.ts[timed[np.searchsorted(timed, marks)]]
            waiting = block.take(slice(complete, None))
            last_ts = int(block.ts[complete - 1])
            yield block.take(slice(0, complete))
        waiting.ts[:] = last_ts
        yield waiting

    def _blocks_read(self, source: Source, reader: NativeReader) -> Iterator[NativeBlock]:
        first_line = 1
        for text in source.blocks(BLOCK_BYTES):
            next_line = source.lines_read + 1
            yield reader.read(text, first_line)
            first_line = next_line
        yield reader.finish()

    def _count_lines(self) -> None:
        counts: Counter[str] = Counter()
        for reader in self._readers:
            counts.update(reader.counts)
        used = self._rows.used_lines
        for kind in ("headers", "blank", "loss_marks", "unreadable"):
            self.line_counts[kind] = counts[kind]
        self.line_counts["events"] = used
        self.line_counts["other"] = counts["known"] + counts["other"] + counts["frames"] - used

    def _check_line_counts(self) -> None:
        """Raise unless every line read is counted once, and no more lines made rows than there were."""
        counts = self.line_counts
        unreadable = self._losses.total
        lines_read = sum(source.lines_read for source in self._sources)
        if (
            sum(counts.values()) == lines_read
            and counts["unreadable"] == unreadable
            and min(counts.values()) >= 0
        ):
            return
        raise ParserBug(
            self._sources[0].path,
            expected=f"{lines_read} lines, {unreadable} of them unreadable, to be accounted for",
            found=", ".join(f"{count} {kind}" for kind, count in counts.items()),
            hint="this is a defect of the parser: please report it with a part of the trace that shows it",
        )

    def _refuse_nothing(self) -> None:
        if self.line_counts["events"] + self.line_counts["other"] + self._losses.total == 0:
            raise EmptyTraceError(
                self._sources[0].path,
                expected="events",
                found="only headers and blank lines",
                hint="check that tracing was on (tracing_on) and that events were enabled",
            )

    def _tell_missing(self, source: Source, reader: NativeReader) -> None:
        """Tell, and count as lost, the events that a file's header announces and the file does not hold."""
        missing = reader.announced - reader.events
        if missing > 0:
            self._missing_events += missing
            message = (
                f"{source.path}: expected the {reader.announced} events that its header announces, "
                f"found {reader.events}: a part of the file is missing; copy it again"
            )
            self.diagnostics.append(Diagnostic("warning", "events-missing", message))

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
