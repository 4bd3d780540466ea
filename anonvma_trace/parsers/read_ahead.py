"""The work of one iterator in a thread of its own, a little ahead of who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_DEPTH = 3  # blocks that wait: some take longer to make than to use, others the reverse
_PATIENCE = 0.1  # seconds after which a full queue looks whether anyone still wants it


class _End:
    """What the thread puts last: nothing more will come, or what it met."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Ahead(Generic[T]):
    """The thread and its queue."""

    def __init__(self, blocks: Iterator[T]) -> None:
        self._blocks = blocks
        self._queue: Queue[T | _End] = Queue(_DEPTH)
        self._unwanted = Event()
        self._thread = Thread(target=self._run, name="anonvma-trace reader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while not isinstance(block := self._queue.get(), _End):
                yield block
            if block.error is not None:
                raise block.error
        finally:
            self.stop()

    def stop(self) -> None:
        """Let the thread end: whatever it still makes is dropped."""
        self._unwanted.set()
        with suppress(Empty):
            self._queue.get_nowait()
        self._thread.join()

    def _run(self) -> None:
        try:
            for block in self._blocks:
                if not self._put(block):
                    return
            self._put(_End())
        except BaseException as error:  # whatever it is, the thread that waits for blocks raises it
            self._put(_End(error))

    def _put(self, block: T | _End) -> bool:
        """Hand a block over; False if nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                self._queue.put(block, timeout=_PATIENCE)
                return True
            except Full:
                continue
        return False


def read_ahead(blocks: Iterator[T]) -> Iterator[T]:
    """Yield what `blocks` yields, made in a thread while the caller works on the one before.

    Worth it where `blocks` spends its time in code that releases the interpreter: compiled scanners,
    decompression, NumPy. An exception of `blocks` is raised here, after what came before it.
    """
    yield from _Ahead(blocks)
