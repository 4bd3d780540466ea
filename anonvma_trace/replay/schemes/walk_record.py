"""What each reclaim walk of an anonymous page comes to: outcome, figures, row; and what it does with a pte.

Source: mm/rmap.c, the same in all the kernels that the schemes stand for.
"""

from __future__ import annotations

from ..compiled import kernel
from ..layout import (
    LOG_WALKS,
    PG_DIRTY,
    PTE_DIRTY,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_YOUNG,
    PURPOSE_UNMAP,
    WALK_AGAIN,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
    WALK_REFERENCED,
    WALK_SUCCESS,
)
from ..log import log_row


@kernel
def walk_outcome(purpose, ended, left, referenced):
    """Return how a walk ended: WALK_*.

    Parameters
    ----------
    purpose : int64
        PURPOSE_*.
    ended : int64
        What the visits came to: WALK_NOT_REFERENCED, WALK_AGAIN, or what stopped an unmap early.
    left : int64
        Mappers not found, or not unmapped.
    referenced : int64
        References found.
    """
    if purpose == PURPOSE_UNMAP:
        return WALK_SUCCESS if ended == WALK_AGAIN and left == 0 else ended
    return WALK_REFERENCED if referenced > 0 else ended


@kernel
def record_walk(
    s, page, head_id, purpose, mapcount, list_length, visited, misses, hits, unreachable, outcome
):
    """Count a walk in the summary's figures and write its row.

    Parameters
    ----------
    page : int64
    head_id : int64
        Id of the object that the page points to, 0 if there is none.
    purpose, outcome : int64
        PURPOSE_*, WALK_*.
    mapcount, list_length : int64
        Of the page when the walk began, and how much there was to visit.
    visited, hits, unreachable : int64
    misses : tuple of int64
        Visits that met no mapping, by kind: miss_rss, miss_range, miss_none, miss_swap, miss_other.
    """
    glob = s.glob[0]
    p = s.page[page]
    miss_rss, miss_range, miss_none, miss_swap, miss_other = misses
    early_stop = 1 if visited < list_length else 0
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
    log[at + 4] = head_id
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


@kernel
def test_and_clear_young(s, at):
    """Return whether the pte was young, 1 or 0, and make it old (``ptep_test_and_clear_young``)."""
    pte = s.pt[at]
    s.pt[at] = pte & ~PTE_YOUNG
    return 1 if pte & PTE_YOUNG else 0


@kernel
def swap_out_pte(s, page, mm, at, slot):
    """Turn a present pte of `page` into an entry of `slot`; what the page knows of its mappings is the scheme's."""
    if s.pt[at] & PTE_DIRTY:
        s.page[page].pg_flags |= PG_DIRTY
    s.pt[at] = (slot << PTE_SHIFT) | PTE_SWAP
    s.slot[slot].map += 1
    s.mm[mm].rss -= 1
    s.glob[0].mapped_ptes -= 1
