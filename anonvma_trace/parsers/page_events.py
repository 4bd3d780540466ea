"""Compiled: goes through page events and finds the page that each fault took, and those that reclaim took.

`page_join` says what is done and why.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..compiling import entry_point, kernel
from .native_events import PAGE_FAMILIES, WORD_BITS, Family

PFN_LIMIT = 1 << 46

# Plain numbers: the compiler takes longer over an enumeration.
_FAULT_USER, _FAULT_KERNEL = int(Family.FAULT_USER), int(Family.FAULT_KERNEL)
_MARK, _LOST, _IMAGE = int(Family.MARK), int(Family.LOST), int(Family.IMAGE)
_PAGE_ALLOC, _PAGE_FREE, _RSS_STAT, _PAGE_WRITE, _SCAN = (int(family) for family in PAGE_FAMILIES)
_HIGHUSER_MOVABLE, _GFP_WRITE = WORD_BITS["GFP_HIGHUSER_MOVABLE"], WORD_BITS["__GFP_WRITE"]
_GFP_NORETRY, _SWAPENTS = WORD_BITS["__GFP_NORETRY"], WORD_BITS["MM_SWAPENTS"]
_WB_ANON = WORD_BITS["RECLAIM_WB_ANON"]
_MIGRATE_MOVABLE = 1
_MAX_ORDER = 10
_HAS_MEMBER = 1 << 4  # rss_stat printed `member`, the number of its type
_MEMBER_SWAPENTS = 2
_WRITE_BIT = 2  # of error_code: X86_PF_WRITE

# Columns of the table of threads: the fault that may still get its page.
SEQ = 0  # its number; 0 for none
_PFN = 1  # its page as far as known; 0 for none
_N_PAGES = 2  # pages allocated before any swap-in
_SWAPPED_IN = 3  # 1 after a swap-in
_WRITES = 4  # 1 if the access was a write
_GONE = 5  # swap entries that this thread has made since then: it reclaims
N_THREAD_COLUMNS = 6

# What is counted; the fields of `page_join.PageCounts`.
_N_ALLOCATING, _N_NAMED, _N_READ_AHEAD, _N_WRITTEN, _N_WRITTEN_NAMED, _N_CLEAN = range(6)
N_COUNTS = 6


@kernel
def _place_of(keys, key):
    """Return where `key` (not negative) is in a table, or the free place where it would be."""
    mask = len(keys) - 1
    # The upper bits of the product depend on all bits of the key; neighbours (pfns) spread out.
    at = (((key & 0x7FFFFFFF) * 0x9E3779B1 + (key >> 31)) >> 7) & mask
    while keys[at] != 0 and keys[at] != key + 1:
        at = (at + 1) & mask
    return at


@entry_point
def _fill(old_keys, old_values, keys, values):
    used = 0
    for row in range(len(old_keys)):
        if old_keys[row] != 0 and old_values[row] != 0:
            at = _place_of(keys, old_keys[row] - 1)
            keys[at], values[at] = old_keys[row], old_values[row]
            used += 1
    return used


class NumberTable:
    """Keeps a value for each key; a value of 0 is the same as none.

    Compiled loops read and write `keys` and `values` through `_place_of`, after `make_room`.

    Attributes
    ----------
    keys, values : ndarray of int64
        Key + 1 (0: free) and value at each place.
    """

    def __init__(self) -> None:
        self.keys = np.zeros(1 << 12, dtype=np.int64)
        self.values = np.zeros(1 << 12, dtype=np.int64)
        self._may_be_used = 0

    def make_room(self, n_new: int) -> None:
        """Make room for so many keys more; keys without a value are dropped when the table grows."""
        self._may_be_used += n_new
        if 2 * self._may_be_used <= len(self.keys):
            return
        in_use = int(np.count_nonzero(self.values))
        size = 1 << int(4 * (in_use + n_new) - 1).bit_length()
        keys, values = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        self._may_be_used = _fill(self.keys, self.values, keys, values) + n_new
        self.keys, self.values = keys, values


class PageState(NamedTuple):
    """What is known from earlier blocks; arrays of int64.

    Attributes
    ----------
    threads : ndarray, shape (n_tids, N_THREAD_COLUMNS)
        The fault of each thread that may still get its page.
    keys, values : ndarray
        `NumberTable`: pfn -> number of the fault that took this page.
    swap_keys, swap_sizes : ndarray
        `NumberTable`: mm_id -> bytes in swap, plus 1.
    counts : ndarray, shape (N_COUNTS,)
    """

    threads: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    swap_keys: np.ndarray
    swap_sizes: np.ndarray
    counts: np.ndarray


@kernel
def _complete(state, tid, faults, pfns, n_faults):
    """Close the open fault of a thread; one that has a page goes to the results. Return how many those are."""
    thread, counts = state.threads[tid], state.counts
    if thread[SEQ] != 0:
        if thread[_N_PAGES] > 0 or thread[_PFN] != 0:
            counts[_N_ALLOCATING] += 1
        if thread[_PFN] != 0:
            counts[_N_NAMED] += 1
            faults[n_faults], pfns[n_faults] = thread[SEQ], thread[_PFN]
            n_faults += 1
        elif thread[_N_PAGES] > 1:
            counts[_N_READ_AHEAD] += 1
    thread[:] = 0
    return n_faults


@kernel
def _set_page(state, thread, pfn):
    """Let the open fault of a thread have page `pfn` (0: none) instead of the one it had."""
    if thread[_PFN] != 0:
        state.values[_place_of(state.keys, thread[_PFN])] = 0
    thread[_PFN] = pfn
    if pfn != 0:
        at = _place_of(state.keys, pfn)
        state.keys[at], state.values[at] = pfn + 1, thread[SEQ]


@kernel
def _forget(state, pfn, order):
    """Drop what a page, or a block of pages, was."""
    for each in range(pfn, pfn + (1 << min(order, _MAX_ORDER))):
        state.values[_place_of(state.keys, each)] = 0


@kernel
def _page_alloc(state, thread, pfn, order, migratetype, gfp, lost_seq):
    """Take in mm_page_alloc: the page may be that of the thread's open fault."""
    _forget(state, pfn, order)
    # Page tables are not movable; the page cache reads with __GFP_NORETRY, tmpfs writes with __GFP_WRITE.
    of_fault = gfp & _HIGHUSER_MOVABLE != 0 and gfp & (_GFP_WRITE | _GFP_NORETRY) == 0
    if order != 0 or migratetype != _MIGRATE_MOVABLE or not of_fault or thread[SEQ] <= lost_seq:
        return
    if thread[_SWAPPED_IN] == 0:
        thread[_N_PAGES] += 1
        if thread[_N_PAGES] > 1 and thread[_WRITES] == 0:
            pfn = 0  # pages read ahead; only a write goes on to copy
    _set_page(state, thread, pfn)


@kernel
def _page_free(state, thread, pfn, order, lost_seq):
    """Take in mm_page_free; return 1 if it is a page of a fault that reclaim frees without having written it."""
    left = 0
    if thread[_PFN] == pfn:
        thread[_PFN] = 0  # given back: the fault did not come to map it
    elif thread[_GONE] > 0 and state.values[_place_of(state.keys, pfn)] > lost_seq:
        left = 1
        state.counts[_N_CLEAN] += 1
    _forget(state, pfn, order)
    return left


@kernel
def _page_write(state, pfn, lost_seq):
    """Take in mm_vmscan_write_folio of an anonymous page; return 1 if it is a page of a fault."""
    state.counts[_N_WRITTEN] += 1
    at = _place_of(state.keys, pfn)
    if state.values[at] <= lost_seq:
        return 0
    state.counts[_N_WRITTEN_NAMED] += 1
    state.values[at] = 0
    return 1


@kernel
def _rss_stat(state, thread, mm_id, of_current, size, lost_seq):
    """Take in the number of swap entries of an mm: more are made by reclaim, fewer by a swap-in (or a zap)."""
    at = _place_of(state.swap_keys, mm_id)
    before = max(state.swap_sizes[at] - 1, 0)  # nothing known yet: most mms begin with none
    size = max(size, 0)
    state.swap_keys[at], state.swap_sizes[at] = mm_id + 1, size + 1
    if size > before:
        thread[_GONE] += 1
    elif size < before and of_current and thread[SEQ] > lost_seq:
        thread[_SWAPPED_IN] = 1
        if thread[_N_PAGES] > 1:
            _set_page(state, thread, 0)  # which one it asked for is not told


@entry_point
def follow_pages(family, tid, args, found, seq, shown, lost_seq, state, faults, pfns, left):
    """Go through a block.

    Parameters
    ----------
    family, tid, args, found, seq : ndarray of int64
        As in `NativeBlock`, and the events' families and numbers.
    shown : ndarray of int64, shape (n, 2)
        Events (indices, ascending) and pfns: pages that a snapshot taken there shows.
    lost_seq : int64
        Number of the latest loss.
    state : PageState
        With room for all pfns, mms and threads of the block.
    faults, pfns, left : ndarray of int64
        Filled: the faults that are complete now and their pages; 1 for each event at which a page of a fault
        leaves.

    Returns
    -------
    n_faults, lost_seq
    """
    n_faults = 0
    n_shown = 0
    for event in range(len(family)):
        while n_shown < len(shown) and shown[n_shown, 0] <= event:
            at = _place_of(state.keys, shown[n_shown, 1])
            state.keys[at], state.values[at] = shown[n_shown, 1] + 1, seq[event]
            n_shown += 1
        what = family[event]
        thread = state.threads[tid[event]]
        first, second = args[event, 0], args[event, 1]
        names_page = 0 < first < PFN_LIMIT
        if what == _PAGE_ALLOC:
            if names_page and second >= 0:
                _page_alloc(state, thread, first, second, args[event, 2], args[event, 3], lost_seq)
        elif what == _PAGE_FREE:
            if names_page and second >= 0:
                left[event] = _page_free(state, thread, first, second, lost_seq)
        elif what == _PAGE_WRITE:
            if names_page and second & _WB_ANON != 0:
                left[event] = _page_write(state, first, lost_seq)
        elif what == _RSS_STAT:
            of_swap = args[event, 3] & _SWAPENTS != 0
            if found[event] & _HAS_MEMBER != 0:
                of_swap = args[event, 4] == _MEMBER_SWAPENTS
            if of_swap:
                _rss_stat(state, thread, first & 0xFFFFFFFF, second == 1, args[event, 2], lost_seq)
        elif what == _LOST:
            lost_seq = seq[event]  # pages may have been freed, and taken again, unseen
        elif what not in (_MARK, _SCAN, _IMAGE):
            n_faults = _complete(state, tid[event], faults, pfns, n_faults)
            if what in (_FAULT_USER, _FAULT_KERNEL):
                thread[SEQ], thread[_WRITES] = seq[event], (second & _WRITE_BIT) >> 1
    return n_faults, lost_seq


@entry_point
def complete_old(tids, oldest, state, faults, pfns):
    """Close the faults of `tids` that are older than event `oldest`; return how many have a page."""
    n_faults = 0
    for tid in tids:
        if 0 < state.threads[tid, SEQ] < oldest:
            n_faults = _complete(state, tid, faults, pfns, n_faults)
    return n_faults
