"""Several event tables that are parts of one recording, merged by time while they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa

from ..arrow_arrays import as_numpy, numbers
from ..events import EVENT_SCHEMA, TraceMetadata
from ..trace import Diagnostic, EventStream, Loss
from .losses import LossLog


def merged_by_time(parts: Sequence[EventStream]) -> EventStream:
    """Return one stream over all parts; a single part is handed back as it is."""
    return parts[0] if len(parts) == 1 else MergedStream(parts)


class _Part:
    """One part of the recording: rows read and not yet handed on, and their sort keys.

    The key of a row is the latest `ts` up to it: it never falls, so that a part keeps its own order even
    where its times do not.
    """

    def __init__(self, stream: EventStream) -> None:
        self._batches = stream.batches()
        self._latest = np.iinfo(np.int64).min
        self.rows = EVENT_SCHEMA.empty_table()
        self.keys = np.zeros(0, np.int64)
        self.exhausted = False

    def fill(self) -> None:
        """Make sure that there are rows, unless the part is exhausted."""
        while not len(self.keys) and not self.exhausted:
            batch = next(self._batches, None)
            if batch is None:
                self.exhausted = True
                return
            times = as_numpy(batch.column("ts"))
            self.keys = np.maximum.accumulate(np.maximum(times, self._latest))
            self.rows = pa.Table.from_batches([batch])
            if len(self.keys):
                self._latest = int(self.keys[-1])

    def take(self, n_rows: int) -> tuple[pa.Table, np.ndarray]:
        """Hand on the first `n_rows`."""
        taken = self.rows.slice(0, n_rows), self.keys[:n_rows]
        self.rows, self.keys = self.rows.slice(n_rows), self.keys[n_rows:]
        return taken


class MergedStream:
    """One pass over the parts of a recording: an `EventStream`.

    Rows go by time; at equal times those of an earlier part come first, and each part keeps its own order.
    """

    def __init__(self, parts: Sequence[EventStream]) -> None:
        self._parts = parts
        self.format = parts[0].format

    @property
    def metadata(self) -> TraceMetadata:
        """Those of the first part, with the losses of all; complete if every part is."""
        first = self._parts[0].metadata
        return replace(
            first,
            complete=all(part.metadata.complete for part in self._parts),
            known_pids=tuple(sorted({pid for part in self._parts for pid in part.metadata.known_pids})),
            lost_events=sum(part.metadata.lost_events for part in self._parts),
            unreadable_lines=sum(part.metadata.unreadable_lines for part in self._parts),
        )

    @property
    def losses(self) -> list[Loss]:
        """Those of all parts."""
        log = LossLog()
        for part in self._parts:
            log.take_in(part.losses)
        return log.losses

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Those of all parts."""
        return [diagnostic for part in self._parts for diagnostic in part.diagnostics]

    @property
    def line_counts(self) -> dict[str, int]:
        """Lines of all parts by what became of them."""
        counts: dict[str, int] = {}
        for part in self._parts:
            for kind, count in part.line_counts.items():
                counts[kind] = counts.get(kind, 0) + count
        return counts

    @property
    def bytes_read(self) -> int:
        """Bytes read of all parts."""
        return sum(part.bytes_read for part in self._parts)

    @property
    def bytes_total(self) -> int:
        """Size of all parts; 0 if one of them is unknown."""
        totals = [part.bytes_total for part in self._parts]
        return sum(totals) if all(totals) else 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all parts by time, as batches of `EVENT_SCHEMA`."""
        parts = [_Part(stream) for stream in self._parts]
        while True:
            for part in parts:
                part.fill()
            unread = [part for part in parts if len(part.keys)]
            if not unread:
                return
            # Up to the time at which the first part runs out of rows, all rows are there. That part may go on
            # with the same time, so parts after it keep their rows of this time back.
            limit = min(unread, key=lambda part: part.keys[-1])
            horizon = limit.keys[-1]
            side: Literal["left", "right"] = "right"
            tables, keys = [], []
            for part in unread:
                table, part_keys = part.take(int(np.searchsorted(part.keys, horizon, side)))
                tables.append(table)
                keys.append(part_keys)
                if part is limit:
                    side = "left"
            order = np.argsort(np.concatenate(keys), kind="stable")
            merged = pa.concat_tables(tables).unify_dictionaries().take(numbers(order)).combine_chunks()
            yield from merged.to_batches()
