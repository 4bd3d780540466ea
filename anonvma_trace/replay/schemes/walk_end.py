"""What walks of an anon_vma's list do with a pte that they find, and at their end.

Source: rmap 39, mm/rmap.c.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..layout import (
    DIAG_DANGLING,
    DIAG_UNREACHABLE,
    NULL,
    PURPOSE_UNMAP,
    VM_LOCKED,
    VM_RESERVED,
    WALK_AGAIN,
    WALK_EMPTY_ANON_VMA,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
)
from ..locks import LOCK_WALK, count_locks
from ..log import log_diagnostic
from .interface import page_remove_rmap
from .walk_record import record_walk, swap_out_pte, test_and_clear_young, walk_outcome


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
    p = s.page[page]
    visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, left, young, ended = found
    referenced += young
    outcome = walk_outcome(purpose, ended, left, referenced)
    stopped = outcome == WALK_FAIL_LOCKED or outcome == WALK_FAIL_YOUNG
    unreachable = 0 if stopped else left
    if not alive:
        outcome = WALK_EMPTY_ANON_VMA
        log_diagnostic(s, DIAG_DANGLING, np.int64(p.proc), p.first_vpn, unreachable, 0)
    else:
        a = s.rmap.anon_vma[anon_vma]
        a.walks += 1
        a.vmas_visited += visited
        if unreachable > 0:
            log_diagnostic(s, DIAG_UNREACHABLE, np.int64(p.proc), p.first_vpn, unreachable, 0)
    count_locks(s, LOCK_WALK, 0, 0, visited - miss_rss - miss_range, anon_vma if alive else NULL)
    misses = (miss_rss, miss_range, miss_none, miss_swap, miss_other)
    head = np.int64(p.mapping_id)
    record_walk(s, page, head, purpose, mapcount, list_length, visited, misses, hits, unreachable, outcome)
    return outcome if purpose == PURPOSE_UNMAP else referenced


@kernel
def try_to_unmap_one(s, page, vma, vpn, at, slot, force):
    """Turn a pte of `page` into an entry of `slot`; return WALK_AGAIN, or why it may not be (``try_to_unmap_one``)."""
    if not force:
        if s.vma[vma].vm_flags & (VM_LOCKED | VM_RESERVED):
            return WALK_FAIL_LOCKED
        if test_and_clear_young(s, at):
            return WALK_FAIL_YOUNG
    swap_out_pte(s, page, s.vma[vma].mm, at, slot)
    page_remove_rmap(s, page, vma, vpn)
    return WALK_AGAIN
