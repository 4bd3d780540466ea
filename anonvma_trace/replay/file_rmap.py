"""Reverse mapping of the pages of files, which the patch touches too; kept apart from the anonymous side.

The mappers of a page are the vmas of its file that cover its place, by vm_pgoff. An event table holds no
nonlinear mapping (``remap_file_pages`` is an mmap there), so the walk over those has nothing to visit.

Departure: vmas that begin at the same page of the file come in the order of their creation; the kernel's radix
priority tree orders them a little differently, which matters only where a walk stops early.

Source: rmap 39, mm/rmap.c, ``page_referenced_file``, ``try_to_unmap_file``.
"""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .file_pages import drop_file_page, find_file_page
from .layout import (
    DIAG_FILE_PAGE_NOT_MAPPED,
    LOG_FILE_WALKS,
    NULL,
    PG_DIRTY,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_YOUNG,
    PURPOSE_REFERENCED,
    PURPOSE_UNMAP,
    VM_LOCKED,
    VM_RESERVED,
    VM_SHARED,
    WALK_AGAIN,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
    WALK_NOT_REFERENCED,
    WALK_REFERENCED,
    WALK_SUCCESS,
)
from .log import log_diagnostic, log_row
from .page_table import clear_pte, find_pte


@kernel
def _covers(s, vma, file, index):
    v = s.vma[vma]
    return v.mm != NULL and v.file == file and v.pgoff <= index and index < v.pgoff + (v.end - v.start)


@kernel
def _count_mappers(s, file, index):
    """Return how many vmas of a file cover a place in it."""
    count = 0
    for vma in range(1, s.glob[0].vma_top):
        if _covers(s, vma, file, index):
            count += 1
    return count


@kernel
def _next_mapper(s, file, index, last):
    """Return the vma after `last` (NULL: the first) among those that cover a place of a file, or NULL.

    All vmas are looked at for each: rows that name file pages are rare, and a list of each file's vmas would
    cost every mapping.
    """
    best = NULL
    for vma in range(1, s.glob[0].vma_top):
        if not _covers(s, vma, file, index):
            continue
        if last != NULL and not _in_order(s, last, vma):
            continue
        if best == NULL or _in_order(s, vma, best):
            best = vma
    return best


@kernel
def _in_order(s, first, second):
    """Return whether `first` comes before `second`: by pgoff, then by creation."""
    a, b = s.vma[first], s.vma[second]
    return a.pgoff < b.pgoff or (a.pgoff == b.pgoff and a.id < b.id)


@kernel
def _walk_file_page(s, page, purpose):
    """Visit the vmas that cover a page of a file; return references found, or WALK_* of an unmap."""
    glob = s.glob[0]
    p = s.page[page]
    file, index = np.int64(p.slot), p.index
    mapcount = np.int64(p.mapcount)
    list_length = _count_mappers(s, file, index)
    visited, miss_rss, miss_none, miss_swap, miss_other, hits = 0, 0, 0, 0, 0, 0
    left, referenced = mapcount, 0
    outcome = WALK_AGAIN if purpose == PURPOSE_UNMAP else WALK_NOT_REFERENCED
    unreachable = True  # of what is left when the walk ends without a reason to stop
    vma = NULL
    while left > 0:
        vma = _next_mapper(s, file, index, vma)
        if vma == NULL:
            break
        v = s.vma[vma]
        visited += 1
        locked = v.vm_flags & (VM_LOCKED | VM_RESERVED) != 0
        if purpose == PURPOSE_REFERENCED and v.vm_flags & VM_LOCKED and v.vm_flags & VM_SHARED:
            referenced += 1
            unreachable = False
            break
        if s.mm[v.mm].rss == 0:
            miss_rss += 1
            continue
        vpn = v.start + (index - v.pgoff)
        at = find_pte(s, v.mm, vpn)
        pte = s.pt[at] if at != 0 else 0
        if pte == 0:
            miss_none += 1
            continue
        if pte & PTE_SWAP:
            miss_swap += 1
            continue
        if pte & PTE_PRESENT == 0 or pte >> PTE_SHIFT != page:
            miss_other += 1
            continue
        hits += 1
        if purpose == PURPOSE_REFERENCED:
            if pte & PTE_YOUNG:
                referenced += 1
                s.pt[at] = pte & ~PTE_YOUNG
            left -= 1
            continue
        if locked or pte & PTE_YOUNG:
            outcome = WALK_FAIL_LOCKED if locked else WALK_FAIL_YOUNG
            if not locked:
                s.pt[at] = pte & ~PTE_YOUNG
            unreachable = False
            break
        if pte & PTE_DIRTY:
            p.pg_flags |= PG_DIRTY
        clear_pte(s, v.mm, vpn)
        s.mm[v.mm].rss -= 1
        glob.mapped_ptes -= 1
        p.mapcount -= 1
        left -= 1
    if purpose == PURPOSE_REFERENCED and referenced > 0:
        outcome = WALK_REFERENCED
    elif purpose == PURPOSE_UNMAP and left == 0:
        outcome = WALK_SUCCESS
    missing = left if unreachable else 0
    early_stop = 1 if visited < list_length else 0

    glob.file_walks += 1
    glob.file_vmas_visited += visited
    glob.file_miss_rss += miss_rss
    glob.file_miss_none += miss_none
    glob.file_miss_swap += miss_swap
    glob.file_miss_other += miss_other
    glob.file_hits += hits
    glob.file_early_stops += early_stop
    glob.file_unreachable += missing
    glob.file_list_length_sum += list_length
    glob.file_locked_fail += outcome == WALK_FAIL_LOCKED
    glob.file_young_fail += outcome == WALK_FAIL_YOUNG
    s.ints[glob.file_visited_base + visited] += 1

    at = log_row(s, LOG_FILE_WALKS)
    log = s.log
    log[at] = glob.event
    log[at + 1] = glob.ts
    log[at + 2] = p.proc
    log[at + 3] = p.first_vpn
    log[at + 4] = file
    log[at + 5] = index
    log[at + 6] = purpose
    log[at + 7] = mapcount
    log[at + 8] = list_length
    log[at + 9] = visited
    log[at + 10] = miss_rss
    log[at + 11] = 0  # the tree gives only vmas that cover the page
    log[at + 12] = miss_none
    log[at + 13] = miss_swap
    log[at + 14] = miss_other
    log[at + 15] = hits
    log[at + 16] = missing
    log[at + 17] = early_stop
    log[at + 18] = outcome
    return outcome if purpose == PURPOSE_UNMAP else referenced


@kernel
def reclaim_file_page(s, file, index):
    """Let reclaim look at the page of a file: activated if referenced, else unmapped as far as that goes.

    Source: mm/vmscan.c of 2.6.7, ``shrink_list``.
    """
    glob = s.glob[0]
    page = find_file_page(s, file, index)
    if page == NULL:
        log_diagnostic(s, DIAG_FILE_PAGE_NOT_MAPPED, NULL, 0, index, 0)
        return
    glob.file_pages_looked_at += 1
    if _walk_file_page(s, page, PURPOSE_REFERENCED) > 0:
        glob.file_activated += 1
        return
    outcome = _walk_file_page(s, page, PURPOSE_UNMAP)
    if outcome == WALK_SUCCESS:
        glob.file_unmapped += 1
        drop_file_page(s, page)
    elif outcome != WALK_AGAIN:
        glob.file_activated += 1
