"""What every walk does with a pte that it finds, and at its end: counts, diagnostics, and a row of the table `walks`.

Source: rmap 39, mm/rmap.c.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..layout import (
    DIAG_DANGLING,
    DIAG_UNREACHABLE,
    LOG_WALKS,
    NULL,
    PG_DIRTY,
    PTE_DIRTY,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_YOUNG,
    PURPOSE_UNMAP,
    VM_LOCKED,
    VM_RESERVED,
    WALK_AGAIN,
    WALK_EMPTY_ANON_VMA,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
    WALK_REFERENCED,
    WALK_SUCCESS,
)
from ..locks import LOCK_WALK, count_locks
from ..log import log_diagnostic, log_row
from .interface import page_remove_rmap


@kernel
def conclude_walk(s, page, anon_vma, alive, mapcount, list_length, purpose, found, referenced):
    """Count and log a walk of `page`; return references found, or WALK_* of an unmap.

    Parameters
    ----------
    anon_vma : int64
        Row of the page's mapping, before the walk.
    alive : bool
        It still is what the page means.
    mapcount, list_length : int64
        Before the walk.
    found : tuple of int64
        Vmas visited; misses by rss, range, none, swap, other; hits; mappers not found; young ptes found; outcome.
    referenced : int64
        References known before the walk.
    """
    glob = s.glob[0]
    p = s.page[page]
    visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, left, young, outcome = found
    referenced += young
    unreachable = left
    if purpose == PURPOSE_UNMAP:
        if outcome == WALK_AGAIN and left == 0:
            outcome = WALK_SUCCESS
        if outcome == WALK_FAIL_LOCKED or outcome == WALK_FAIL_YOUNG:
            unreachable = 0
    elif referenced > 0:
        outcome = WALK_REFERENCED
    if not alive:
        outcome = WALK_EMPTY_ANON_VMA
        log_diagnostic(s, DIAG_DANGLING, np.int64(p.proc), p.first_vpn, unreachable, 0)
    else:
        a = s.rmap.anon_vma[anon_vma]
        a.walks += 1
        a.vmas_visited += visited
        if unreachable > 0:
            log_diagnostic(s, DIAG_UNREACHABLE, np.int64(p.proc), p.first_vpn, unreachable, 0)
    early_stop = 1 if visited < list_length else 0

    count_locks(s, LOCK_WALK, 0, 0, visited - miss_rss - miss_range, anon_vma if alive else NULL)
    glob.walks += 1
    glob.vmas_visited += visited
    glob.miss_rss += miss_rss
    glob.miss_range += miss_range
    glob.miss_none += miss_none
    glob.miss_swap += miss_swap
    glob.miss_other += miss_other
    glob.hits += hits
    glob.early_stops += early_stop
    glob.unreachable += unreachable
    glob.list_length_sum += list_length
    glob.locked_fail += outcome == WALK_FAIL_LOCKED
    glob.young_fail += outcome == WALK_FAIL_YOUNG
    s.ints[glob.visited_base + visited] += 1
    s.proc[p.proc].walks_caused += 1

    at = log_row(s, LOG_WALKS)
    log = s.log
    log[at] = glob.event
    log[at + 1] = glob.ts
    log[at + 2] = p.proc
    log[at + 3] = p.first_vpn
    log[at + 4] = p.mapping_id
    log[at + 5] = purpose
    log[at + 6] = mapcount
    log[at + 7] = list_length
    log[at + 8] = visited
    log[at + 9] = miss_rss
    log[at + 10] = miss_range
    log[at + 11] = miss_none
    log[at + 12] = miss_swap
    log[at + 13] = miss_other
    log[at + 14] = hits
    log[at + 15] = unreachable
    log[at + 16] = early_stop
    log[at + 17] = outcome
    return outcome if purpose == PURPOSE_UNMAP else referenced


@kernel
def page_referenced_one(s, at):
    """Return whether the pte was young, and make it old (``page_referenced_one``)."""
    pte = s.pt[at]
    s.pt[at] = pte & ~PTE_YOUNG
    return 1 if pte & PTE_YOUNG else 0


@kernel
def try_to_unmap_one(s, page, vma, vpn, at, slot, force):
    """Turn a pte of `page` into an entry of `slot`; return WALK_AGAIN, or why it may not be (``try_to_unmap_one``)."""
    glob = s.glob[0]
    v = s.vma[vma]
    pte = s.pt[at]
    if not force:
        if v.vm_flags & (VM_LOCKED | VM_RESERVED):
            return WALK_FAIL_LOCKED
        if pte & PTE_YOUNG:
            s.pt[at] = pte & ~PTE_YOUNG
            return WALK_FAIL_YOUNG
    if pte & PTE_DIRTY:
        s.page[page].pg_flags |= PG_DIRTY
    s.pt[at] = (slot << PTE_SHIFT) | PTE_SWAP
    s.slot[slot].map += 1
    s.mm[v.mm].rss -= 1
    glob.mapped_ptes -= 1
    page_remove_rmap(s, page, vma, vpn)
    return WALK_AGAIN
