"""Several replays of one pass over a trace, each in a thread of its own.

The compiled core lets go of the interpreter's lock while it works, so as many replays run at once as there are CPUs.
A replay may be a few stretches of events ahead of another, not more: memory does not grow with the trace.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..replay import ReplayCore
from .observations import Observations, Observer

STRETCHES_AHEAD = 2
_END = None


class _Lane:
    """One replay: its thread takes stretches of events from a queue and hands on what it observed of each."""

    def __init__(self, core: ReplayCore, observer: Observer) -> None:
        self.core = core
        self.error: BaseException | None = None
        self.finished: Any = None
        self._observer = observer
        self._stretches: queue.Queue[pa.RecordBatch | None] = queue.Queue(STRETCHES_AHEAD)
        self.observed: queue.Queue[Observations | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give(self, stretch: pa.RecordBatch | None) -> None:
        self._stretches.put(stretch)

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        while (stretch := self._stretches.get()) is not _END:
            if self.error is None:  # else only emptied, so that whoever fills it can go on
                self._replay(stretch)
            if self.error is not None:
                self.observed.put(None)
        if self.error is None:
            try:
                self.finished = self.core.finish()
            except BaseException as error:
                self.error = error

    def _replay(self, stretch: pa.RecordBatch) -> None:
        try:
            self.core.feed(stretch)
            self.observed.put(self._observer.take())
        except BaseException as error:
            self.error = error


def replay_side_by_side(
    cores: Sequence[tuple[ReplayCore, Observer]],
    stretches: Iterable[pa.RecordBatch],
    join: Callable[[list[Observations]], None],
    progress: Callable[[int], None],
) -> list[Any]:
    """Replay all stretches of events by all cores; return what each core's `finish` returned.

    Parameters
    ----------
    cores : sequence of (ReplayCore, Observer)
        The observer's taps are those of its core.
    stretches : iterable of pyarrow.RecordBatch
        The event table, in pieces.
    join : callable
        Is handed what all cores observed of one stretch after the other.
    progress : callable
        Is told how many events all cores have replayed.

    Raises
    ------
    TraceError, ReplayBug
        Of the first core that raised one, or what reading the events raised.
    """
    lanes = [_Lane(core, observer) for core, observer in cores]
    events = 0
    try:
        for stretch in _ahead(lanes, stretches):
            observed = [lane.observed.get() for lane in lanes]
            if any(each is None for each in observed):
                break  # of a core that failed; its error is raised below
            join([each for each in observed if each is not None])
            events += stretch.num_rows
            progress(events)
    finally:
        for lane in lanes:
            lane.give(_END)
        for lane in lanes:
            lane.join()
    for lane in lanes:
        if lane.error is not None:
            raise lane.error
    return [lane.finished for lane in lanes]


def _ahead(lanes: list[_Lane], stretches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Give each stretch to all lanes, and yield it when some more have been given: it is likely done by then."""
    waiting: list[pa.RecordBatch] = []
    for stretch in stretches:
        for lane in lanes:
            lane.give(stretch)
        waiting.append(stretch)
        if len(waiting) > STRETCHES_AHEAD:
            yield waiting.pop(0)
    yield from waiting
