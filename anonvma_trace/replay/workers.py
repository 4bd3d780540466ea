"""Threads that replay shards: each shard's batches in order, different shards side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from .shard import Round, Shard


class Workers:
    """Threads and the batches that wait for them; the machine code of the core runs without the interpreter's lock.

    The thread that submits batches is one of them: where it would wait it replays. With another thread beside it there
    would be one more than processors, and the one that reads and merges would get its share of them only.

    Parameters
    ----------
    shards : mapping of int to Shard
        By number; one must be there before a batch that it is to replay.
    n_threads : int
        As many as there can be shards.
    """

    def __init__(self, shards: Mapping[int, Shard], n_threads: int) -> None:
        self._shards = shards
        self._waiting: list[deque[Round]] = [deque() for _ in range(n_threads)]
        self._busy = [False] * n_threads
        self._rounds: deque[Round] = deque()
        self._missing: dict[int, int] = {}  # round -> shards that have not replayed it
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n_threads - 1)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Return the number of batches that were submitted and not taken."""
        return len(self._rounds)

    def submit(self, batch: Round) -> None:
        """Let the shards replay a batch."""
        with self._changed:
            for shard in batch.concerned:
                self._waiting[shard].append(batch)
            self._missing[batch.number] = len(batch.concerned)
            self._rounds.append(batch)
            self._changed.notify_all()

    def take(self, wait: bool) -> Round | None:
        """Return the next batch when all shards have replayed it; without `wait` None if they have not.

        With `wait` this thread replays meanwhile.

        Raises
        ------
        BaseException
            Whatever stopped a thread.
        """
        while True:
            with self._changed:
                if self._error is not None:
                    raise self._error
                if not self._rounds:
                    return None
                if self._missing[self._rounds[0].number] == 0:
                    batch = self._rounds.popleft()
                    del self._missing[batch.number]
                    return batch
                if not wait:
                    return None
                shard = self._begin_next()
                if shard is None:
                    self._changed.wait()
            if shard is not None:
                self._replay_next(shard)

    def close(self) -> None:
        """Let every thread finish the batch it is at, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (shard := self._begin_next()) is None:
                    self._changed.wait()
                if self._closed:
                    return
                assert shard is not None
            self._replay_next(shard)

    def _begin_next(self) -> int | None:
        """Return a shard that is this thread's now, or None if none waits for a thread; to be called with the lock."""
        shard = self._next_shard()
        if shard is not None:
            self._busy[shard] = True
        return shard

    def _replay_next(self, shard: int) -> None:
        """Replay the batch that a shard is to replay next; what goes wrong is kept for `take`."""
        batch = self._waiting[shard][0]
        try:
            logs = self._shards[shard].replay(batch)
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()
            return  # the shard stays busy: nobody goes on with it
        with self._changed:
            self._waiting[shard].popleft()
            batch.logs[shard] = logs
            self._busy[shard] = False
            self._missing[batch.number] -= 1
            self._changed.notify_all()

    def _next_shard(self) -> int | None:
        """Return a shard that waits for a thread, the one with the oldest batch; None if none does."""
        ready = [
            (waiting[0].number, shard)
            for shard, waiting in enumerate(self._waiting)
            if waiting and not self._busy[shard]
        ]
        return min(ready)[1] if ready else None
