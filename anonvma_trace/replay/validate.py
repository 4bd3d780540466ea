"""Checking the whole state of a replay after an event, against what must hold then.

Every check begins from nothing: it walks all lists, trees, page tables and hashes, counts for itself, and compares.
It changes nothing in the state and trusts none of it: a row is looked at only if it lies inside its table, a list is
followed only to the first row that was met before.
"""

from __future__ import annotations

from .compiled import entry_point, kernel
from .layout import NULL
from .schemes.interface import validate_rmap_figures, validate_rmap_lists, validate_rmap_tops
from .validate_hashes import (
    validate_counters,
    validate_file_pages,
    validate_frames,
    validate_pids,
    validate_processes,
)
from .validate_pages import validate_lru, validate_pages, validate_slots
from .validate_pools import validate_free_lists, validate_tops
from .validate_ptes import validate_page_tables
from .validate_vmas import remember_slides, validate_slides, validate_vmas


@kernel
def _clear(s, c):
    glob = s.glob[0]
    for vma in range(glob.vma_top):
        c.vma[vma].mm = NULL
        c.vma[vma].treed = 0
    for page in range(glob.page_top):
        p = c.page[page]
        p.ptes = 0
        p.mm = NULL
        p.met = 0
    for mm in range(glob.mm_top):
        c.mm[mm].ptes = 0
        c.mm[mm].users = 0
    for slot in range(glob.slot_top):
        c.slot[slot].ptes = 0
    for block in range(glob.block_top):
        c.block[block].met = 0


@entry_point
def validate_state(s, c):
    """Note every breach that stands in the state; return how many there are, also where not all found room.

    Parameters
    ----------
    s : State
        Not changed.
    c : Census
        As large as the state. Its `breaches` get a row for each breach.
    """
    check = c.check[0]
    check.n_breaches = 0
    if not validate_tops(s, c):
        return check.n_breaches
    _clear(s, c)
    if not validate_rmap_tops(s, c):
        return check.n_breaches
    validate_processes(s, c)
    validate_vmas(s, c)
    validate_rmap_lists(s, c)
    validate_page_tables(s, c)
    validate_lru(s, c)
    validate_file_pages(s, c)
    validate_pages(s, c)
    validate_slots(s, c)
    validate_rmap_figures(s, c)
    validate_pids(s, c)
    validate_frames(s, c)
    validate_free_lists(s, c)
    validate_counters(s, c)
    validate_slides(s, c)
    if check.n_breaches <= check.room:
        remember_slides(s, c)
    return check.n_breaches
