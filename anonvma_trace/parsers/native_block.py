"""Native events as columns: what the line scanners of the formats hand to the stages behind them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .native_events import MAX_ARGS

NO_TIME = -1
"""In `NativeBlock.ts`: a loss mark that has no time of its own."""


class Names:
    """Strings by number, each once: the dictionary of a dictionary-encoded column that grows.

    Attributes
    ----------
    values : list of str
        In order of first appearance.
    """

    def __init__(self) -> None:
        self.values: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: str) -> int:
        """Return the number of `value`, a new one if it was not there."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def keep_only(self, numbers: np.ndarray) -> np.ndarray:
        """Forget all strings but those of `numbers` (-1: none), and return their new numbers in the same order."""
        kept, places = np.unique(numbers, return_inverse=True)
        n_without = int(np.count_nonzero(kept < 0))
        self.values = [self.values[number] for number in kept[n_without:].tolist()]
        self._numbers = {value: number for number, value in enumerate(self.values)}
        return places - n_without


@dataclass
class NativeBlock:
    """A run of native events, one element (or row) of each array per event.

    Attributes
    ----------
    kind : ndarray of int64
        Kind of `native_events.NativeTables`; only those that can matter for a row are here.
    line : ndarray of int64
        Line of the source, from 1.
    tid, tgid, cpu : ndarray of int64
        As printed; -1 where it is not (tgid, cpu), or has no meaning (tid of a loss mark).
    ts : ndarray of int64
        Nanoseconds; `NO_TIME` for loss marks that have none.
    args : ndarray of int64, shape (n, MAX_ARGS)
        Numbers by slot of the event's description; 64-bit values keep their bits.
    found : ndarray of int64
        Bit mask of the slots that were there.
    text : ndarray of int64
        Number in the stream's `Names` of the event's text; -1 for none.
    comm : ndarray of int64
        Number of the name in the task column where it differs from the last one of this tid; else -1.
    """

    kind: np.ndarray
    line: np.ndarray
    tid: np.ndarray
    tgid: np.ndarray
    cpu: np.ndarray
    ts: np.ndarray
    args: np.ndarray
    found: np.ndarray
    text: np.ndarray
    comm: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, index: np.ndarray | slice) -> NativeBlock:
        """Return the events at `index`, in its order."""
        return NativeBlock(*(getattr(self, column.name)[index] for column in fields(self)))


class BlockBuilder:
    """Collects native events one by one into a block, for formats that are not scanned in columns."""

    def __init__(self) -> None:
        self._numbers = array("q")  # no object for an event: its numbers, one event after another

    def __len__(self) -> int:
        return len(self._numbers) // _NUMBERS_PER_EVENT

    def add(
        self,
        kind: int,
        line: int,
        tid: int,
        ts: int,
        args: Sequence[int | None] = (),
        *,
        tgid: int = -1,
        cpu: int = -1,
        text: int = -1,
        comm: int = -1,
    ) -> None:
        """Add an event; what the parameters mean stands at `NativeBlock`.

        Parameters
        ----------
        args : sequence of int or None, optional
            Numbers by slot, at most `MAX_ARGS`; None for one that the line does not tell. Numbers from 2^63
            on keep their bits.
        """
        n = len(args)
        begin = len(self._numbers)
        try:
            self._numbers.extend(
                (kind, line, tid, tgid, cpu, ts, (1 << n) - 1, text, comm, *args, *_PADDING[n])  # type: ignore[arg-type]
            )
        except (OverflowError, TypeError):  # a number from 2^63 on, or one that is not there
            del self._numbers[begin:]
            found = sum(1 << slot for slot, value in enumerate(args) if value is not None)
            values = [0 if value is None else (value + (1 << 63)) % (1 << 64) - (1 << 63) for value in args]
            self._numbers.extend((kind, line, tid, tgid, cpu, ts, found, text, comm, *values, *_PADDING[n]))

    def block(self) -> NativeBlock:
        """Return the events collected so far, and begin anew."""
        numbers = np.array(self._numbers, dtype=np.int64).reshape(-1, _NUMBERS_PER_EVENT)
        self._numbers = array("q")
        kind, line, tid, tgid, cpu, ts, found, text, comm = numbers[:, :_COLUMNS].T.copy()
        args = numbers[:, _COLUMNS:].copy()
        return NativeBlock(kind, line, tid, tgid, cpu, ts, args, found, text, comm)


_COLUMNS = 9
_NUMBERS_PER_EVENT = _COLUMNS + MAX_ARGS
_PADDING = [(0,) * (MAX_ARGS - n) for n in range(MAX_ARGS + 1)]


def no_events() -> NativeBlock:
    """Return a block without events."""
    return BlockBuilder().block()


def concatenate(blocks: list[NativeBlock]) -> NativeBlock:
    """Return the events of all `blocks`, one after another; if one alone has any, that very block."""
    blocks = [block for block in blocks if len(block)] or blocks[:1]
    if len(blocks) == 1:
        return blocks[0]
    return NativeBlock(
        *(np.concatenate([getattr(block, column.name) for block in blocks]) for column in fields(NativeBlock))
    )


def sort_by_time(block: NativeBlock) -> NativeBlock:
    """Return the events in time order; those of equal time keep theirs."""
    if len(block) < 2 or bool((block.ts[1:] >= block.ts[:-1]).all()):
        return block
    return block.take(np.argsort(block.ts, kind="stable"))


def sort_nearly_sorted(blocks: Iterator[NativeBlock]) -> Iterator[NativeBlock]:
    """Put late events into their place, as far as one block back.

    trace_pipe prints what each CPU's buffer holds at the moment of reading, so that after a loss an event of
    one CPU can follow later ones of another.
    """
    waiting: NativeBlock | None = None
    for block in blocks:
        if len(block) == 0:
            continue
        block = sort_by_time(block)
        if waiting is not None:
            if block.ts[0] < waiting.ts[-1]:
                both = sort_by_time(concatenate([waiting, block]))
                waiting, block = both.take(slice(0, len(waiting))), both.take(slice(len(waiting), None))
            yield waiting
        waiting = block
    if waiting is not None:
        yield waiting


def merge_by_time(streams: list[Iterator[NativeBlock]]) -> Iterator[NativeBlock]:
    """Merge streams, each in time order, into one; at equal times the earlier stream comes first."""
    if len(streams) == 1:
        yield from streams[0]
        return
    heads: list[NativeBlock | None] = [next(stream, None) for stream in streams]
    while any(head is not None for head in heads):
        # What every stream has shown up to: later events of one may still have to go before others.
        horizon = min(int(head.ts[-1]) for head in heads if head is not None)
        first = next(n for n, head in enumerate(heads) if head is not None and head.ts[-1] == horizon)
        ready = []
        for number, head in enumerate(heads):
            if head is None:
                continue
            # The first stream may go on with the same time: the streams behind it wait with theirs.
            n_ready = int(np.searchsorted(head.ts, horizon, side="right" if number <= first else "left"))
            if n_ready:
                ready.append(head.take(slice(0, n_ready)))
            rest = head.take(slice(n_ready, None))
            heads[number] = rest if len(rest) else next(streams[number], None)
        yield sort_by_time(concatenate(ready))
