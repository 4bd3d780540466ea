"""`ShardedReplay`: families side by side in threads, with the results of one replay of the whole trace.

Events, ids and the order of rows are those of the trace: every shard counts all events and replays its own, and what
the shards logged is merged batch by batch. Peaks and timeline follow, event by event, from the changes of each shard's
figures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ..events import TraceMetadata
from ..table_sinks import TableSink
from ..trace import Diagnostic
from .balance import raise_imbalance
from .columns import EventColumns, integers
from .compiled import prepared
from .families import ALL_SHARDS, FamilySplit
from .findings import mark_lost_pages
from .layout import LOG_TIMELINE, PAGE_CHANGE, PAGE_CHANGES_WIDTH, State
from .merging import Merger
from .processes import mark_known
from .results import ResultBuilder
from .shard import Round, Shard
from .state import configured_state, log_rows
from .summary import build_summary
from .table import Table
from .taint import Taint
from .workers import Workers

BATCHES_AHEAD = 4
"""Batches that are split and not merged: more of them have left the cache when they are replayed."""


class ShardedReplay:
    """A replay of process families side by side; to be fed like a `ReplayCore`, and closed.

    Parameters
    ----------
    scheme, metadata, options, rules, path, sink, detail
        As for `ReplayCore`.
    threads : int
    """

    def __init__(
        self,
        scheme: str,
        metadata: TraceMetadata,
        options: Mapping[str, str],
        rules: Collection[str],
        path: str,
        sink: TableSink,
        detail: str,
        threads: int,
    ) -> None:
        self.columns = EventColumns(path)
        self.results = ResultBuilder(self.columns, sink, detail)
        self.state: State = configured_state(scheme, metadata, options, rules)
        self.threads = threads
        self.events = 0
        self._path = path
        self._last_line = 0
        self._first_ts = 0
        self._last_ts = 0
        self._batches = 0
        self._taint = Taint()
        self._split = FamilySplit(threads)
        self._new_state = partial(configured_state, scheme, metadata, options, rules, is_shard=True)
        self._known_pids = metadata.known_pids
        self._shards: dict[int, Shard] = {}
        self._merger = Merger(self._shards, threads, self.state, self.results)
        self._workers = Workers(self._shards, threads)

    def feed(self, batch: pa.RecordBatch) -> None:
        """Let the shards replay one batch of the event table, and merge what they have done by now.

        Raises
        ------
        FamiliesCoupled
            A row for which families cannot be replayed apart: nothing of this replay can be used.
        TraceError
            An operation that the event table does not have.
        """
        if not batch.num_rows:
            return
        columns = self.columns.read(batch)
        lines = integers(batch["line"], 0)
        first_event = self.events + 1
        shards, concerned = self._split.split(columns, first_event)
        self._begin_shards(concerned)
        if not self.events:
            self._first_ts = int(columns[0][0])
        self._taint.note(columns, first_event)
        self._last_ts, self._last_line = int(columns[0][-1]), int(lines[-1])
        self.events += batch.num_rows
        page_changes = np.empty((batch.num_rows, PAGE_CHANGES_WIDTH), PAGE_CHANGE)
        page_changes[shards == ALL_SHARDS] = 0  # the others are written by whichever shard replays the row
        split = Round(
            self._batches,
            prepared(columns),
            columns[0],
            Table(shards),
            concerned,
            lines,
            first_event,
            Table(page_changes.reshape(-1)),
        )
        self._workers.submit(split)
        self._batches += 1
        while (done := self._workers.take(wait=len(self._workers) >= BATCHES_AHEAD)) is not None:
            self._merger.merge(done)

    def _begin_shards(self, numbers: list[int]) -> None:
        """Make those of the shards that there are not yet: each takes time and memory, used or not."""
        for number in numbers:
            if number not in self._shards:
                self._shards[number] = Shard(number, self._new_state())
                for pid in self._known_pids:
                    mark_known(self._shards[number].state, pid)

    def drain(self) -> None:
        """Wait until all that was fed is replayed, and merge it."""
        while (done := self._workers.take(wait=True)) is not None:
            self._merger.merge(done)

    def close(self) -> None:
        """End the threads; what they have not replayed is dropped."""
        self._workers.close()

    def tainted_processes(self) -> np.ndarray:
        """Tell of each process (row of the table `processes`) whether a loss so far may concern it."""
        proc = self._merger.processes()
        return self._taint.tainted(proc["pid"], proc["parent"], proc["first_event"])

    def finish(self) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        """Return the summary (`trace`, `scheme`, `options` aside), and no tables: those are with the sink.

        Raises
        ------
        ReplayBug
            A figure of the result contradicts another, through a defect of this tool.
        """
        self.drain()
        marks = [np.zeros(0, np.uint8)]
        for _, shard in sorted(self._shards.items()):
            marks.append(np.zeros(len(shard.state.page), np.uint8))
            mark_lost_pages(shard.state, marks[-1])
            raise_imbalance(shard.state, marks[-1], self._path, self._last_line)
        self.state = self._merger.sum_up()
        glob = self.state.glob[0]
        glob.event, glob.ts = self.events, self._last_ts
        glob.first_ts, glob.last_ts = self._first_ts, self._last_ts
        self._merger.add_what_stands()
        self.results.add_processes(self._merger.processes(), self.tainted_processes())
        self.results.add_timeline(self.state, log_rows(self.state, LOG_TIMELINE))
        self.results.add_rest()
        summary = build_summary(self.state, np.concatenate(marks))
        return summary | {"detail": self.results.detail.summary()}, {}

    def diagnostic(self) -> Diagnostic:
        """Return what to tell of how the trace was split."""
        found = self._split.found()
        limit = 1 / found.largest_share if found.largest_share else 1.0
        families = f"{found.families:,} process {'family' if found.families == 1 else 'families'}"
        return Diagnostic(
            "info",
            "parallel-replay",
            f"{families} replayed by {self.threads} threads; the largest has {found.largest_share:.1%} of the "
            f"events, so no number of threads makes the replay more than {limit:.1f} times faster",
        )
