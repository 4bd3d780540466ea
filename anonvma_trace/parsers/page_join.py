"""Which physical page a fault took, and which of these pages reclaim wrote: events joined by thread and pfn.

No event says it in one line. A fault's page is the one that its thread allocates before anything else of that
thread is logged::

    page_fault_user: address=0x7f06f3dd7000 …        the fault
    mm_page_alloc: pfn=0x229913 …                    swap-in: the page read, perhaps others with it
    rss_stat: curr=1 type=MM_SWAPENTS size=…         … mapped (the size falls)
    mm_page_alloc: pfn=0x2399c1 …                    and copied, if the access was a write to a shared page
    mm_vmscan_write_folio: pfn=0x2399c1 …            much later, by any thread: that page leaves

So the page after the swap-in is the one mapped; without it the page read, if it is the only one (which of
several was asked for, and which were read ahead, nothing tells). A pfn means the page of its latest allocation
until it is freed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .native_block import NativeBlock
from .native_events import Family, native_tables
from .page_events import (
    N_COUNTS,
    N_THREAD_COLUMNS,
    SEQ,
    NumberTable,
    PageState,
    complete_old,
    follow_pages,
)

OPEN_LIMIT = 1 << 16
"""Events after which a fault is taken for complete though its thread has logged nothing since."""


class JoinedPages(NamedTuple):
    """What the page events up to the end of a block tell.

    Attributes
    ----------
    faults, frames : ndarray of int64
        Numbers of the faults whose page is certain now, ascending, and the pfns.
    leaving : ndarray of int64
        Events of the block (indices) at which a page that a fault named leaves: it is written to swap, or
        freed by reclaim with its copy in swap still good. Its pfn is the first number of the event.
    """

    faults: np.ndarray
    frames: np.ndarray
    leaving: np.ndarray


@dataclass
class PageCounts:
    """How far the join went.

    Attributes
    ----------
    faults_allocating, faults_named, faults_ambiguous : int
        Faults that allocated a page that could be theirs; of them joined with it; left alone because they
        allocated several and nothing tells which one was asked for.
    pages_written, written_named : int
        Anonymous pages that reclaim wrote (mm_vmscan_write_folio); of them joined with a fault.
    clean_named : int
        Pages joined that reclaim freed without writing, because their copy in swap was still good.
    """

    faults_allocating: int
    faults_named: int
    faults_ambiguous: int
    pages_written: int
    written_named: int
    clean_named: int


_NONE = np.empty(0, dtype=np.int64)


class PageJoin:
    """Joins the page events of a stream of blocks with its faults.

    Up to the block with the first mm_page_alloc nothing is done, and nothing held back: most recordings have none.
    """

    def __init__(self) -> None:
        self._family = native_tables().family
        self._threads = np.zeros((1 << 16, N_THREAD_COLUMNS), dtype=np.int64)
        self._pages = NumberTable()  # pfn -> number of the fault that took it
        self._swap_sizes = NumberTable()  # mm_id -> bytes in swap, plus 1
        self._counts = np.zeros(N_COUNTS, dtype=np.int64)
        self._open_tids = _NONE
        self._active = False
        self._lost_seq = 0

    @property
    def counts(self) -> PageCounts:
        """What was joined so far."""
        return PageCounts(*self._counts.tolist())

    @property
    def horizon(self) -> int | None:
        """Number of the first fault whose page is not certain yet, or None."""
        if not len(self._open_tids):
            return None
        return int(self._threads[self._open_tids, SEQ].min())

    def follow(self, block: NativeBlock, seq: np.ndarray, shown: np.ndarray) -> JoinedPages:
        """Take in the next events of the stream.

        Parameters
        ----------
        block : NativeBlock
            In order.
        seq : ndarray of int64
            Their numbers, from 1.
        shown : ndarray of int64, shape (n, 2)
            Events of the block (indices), ascending, at which a snapshot shows a page, and the page's pfn: it
            is known as if a fault there had taken it.
        """
        family = self._family[block.kind]
        n_allocs = int(np.count_nonzero(family == Family.PAGE_ALLOC))
        self._active = self._active or n_allocs > 0
        if not self._active:
            return JoinedPages(_NONE, _NONE, _NONE)
        self._pages.make_room(n_allocs + len(shown))
        self._swap_sizes.make_room(int(np.count_nonzero(family == Family.RSS_STAT)))
        self._make_room_for_threads(int(block.tid.max(initial=0)))
        is_fault = (family == Family.FAULT_USER) | (family == Family.FAULT_KERNEL)
        may_be_open = np.union1d(self._open_tids, block.tid[is_fault])
        faults = np.empty(len(block) + len(may_be_open), dtype=np.int64)
        frames = np.empty_like(faults)
        left = np.zeros(len(block), dtype=np.int64)
        state = self._state()
        n_faults, self._lost_seq = follow_pages(
            family,
            block.tid,
            block.args,
            block.found,
            seq,
            shown,
            self._lost_seq,
            state,
            faults,
            frames,
            left,
        )
        n_faults += complete_old(
            may_be_open, seq[-1] - OPEN_LIMIT, state, faults[n_faults:], frames[n_faults:]
        )
        self._open_tids = may_be_open[self._threads[may_be_open, SEQ] > 0]
        return self._joined(faults[:n_faults], frames[:n_faults], np.flatnonzero(left))

    def finish(self) -> JoinedPages:
        """Take every fault for complete: the stream ended."""
        if not len(self._open_tids):
            return JoinedPages(_NONE, _NONE, _NONE)
        faults, frames = np.empty((2, len(self._open_tids)), dtype=np.int64)
        n_faults = complete_old(self._open_tids, np.iinfo(np.int64).max, self._state(), faults, frames)
        self._open_tids = _NONE
        return self._joined(faults[:n_faults], frames[:n_faults], _NONE)

    def _state(self) -> PageState:
        pages, sizes = self._pages, self._swap_sizes
        return PageState(self._threads, pages.keys, pages.values, sizes.keys, sizes.values, self._counts)

    def _make_room_for_threads(self, tid: int) -> None:
        if tid + 2 > len(self._threads):
            grown = np.zeros((2 * (tid + 2), N_THREAD_COLUMNS), dtype=np.int64)
            grown[: len(self._threads)] = self._threads
            self._threads = grown

    @staticmethod
    def _joined(faults: np.ndarray, frames: np.ndarray, leaving: np.ndarray) -> JoinedPages:
        order = np.argsort(faults)
        return JoinedPages(faults[order], frames[order], leaving)
