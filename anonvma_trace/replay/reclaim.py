"""Which pages reclaim looks at, and what becomes of them. Source: mm/vmscan.c of 2.6.7."""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .layout import (
    NULL,
    PG_ANON,
    PG_ANON_KIND,
    PG_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    WALK_AGAIN,
    WALK_EMPTY_ANON_VMA,
    WALK_SUCCESS,
)
from .lru import (
    add_page_to_active_list,
    add_page_to_inactive_list,
    add_page_to_inactive_tail,
    del_page_from_lru,
)
from .memory import free_anon_page
from .page_table import get_pte
from .pools import alloc_slot, free_slot
from .schemes.interface import page_referenced, try_to_unmap

# What became of a page.
FREED, ACTIVATED, KEPT, WRITTEN = 0, 1, 2, 3


@kernel
def anon_page_at(s, mm, vpn):
    """Return the anonymous page that is present at `vpn`, or NULL."""
    pte = get_pte(s, mm, vpn)
    if pte & PTE_PRESENT == 0:
        return NULL
    page = pte >> PTE_SHIFT
    return page if s.page[page].pg_flags & PG_ANON_KIND else NULL


@kernel
def swap_out_page(s, page, force):
    """Do the swap-out half of ``shrink_list`` for one page: slot, unmap, write, free."""
    glob = s.glob[0]
    p = s.page[page]
    if p.pg_flags & PG_ANON and p.slot == NULL:
        p.slot = alloc_slot(s, page)  # add_to_swap
        p.pg_flags |= PG_DIRTY
    if p.mapcount > 0:
        result = try_to_unmap(s, page, np.int64(p.slot), force)
        if result == WALK_SUCCESS:
            glob.unmapped += 1
        elif result == WALK_AGAIN or result == WALK_EMPTY_ANON_VMA:
            return KEPT
        else:
            return ACTIVATED
    if p.pg_flags & PG_DIRTY:
        p.pg_flags &= ~PG_DIRTY
        glob.swapped_out += 1
        if glob.instant_free == 0:
            return WRITTEN
    slot = np.int64(p.slot)
    s.slot[slot].page = NULL
    s.slot[slot].map -= 1
    if s.slot[slot].map == 0:
        free_slot(s, slot)
    free_anon_page(s, page)
    return FREED


@kernel
def shrink_page(s, page):
    """Look at one page as ``shrink_list`` does; return what became of it. The caller moves it between lists."""
    glob = s.glob[0]
    glob.reclaim_pages += 1
    p = s.page[page]
    if page_referenced(s, page) > 0 and (p.mapcount > 0 or p.slot != NULL):
        fate = ACTIVATED
    else:
        fate = swap_out_page(s, page, False)
    if fate == ACTIVATED:
        glob.activated += 1
    return fate


@kernel
def refill_inactive_zone(s, n_pages):
    """Move up to `n_pages` from the active tail to the inactive head, or back to the active head if referenced."""
    glob = s.glob[0]
    for _ in range(min(n_pages, glob.n_active)):
        page = glob.active_tail
        del_page_from_lru(s, page)
        if s.page[page].mapcount > 0 and page_referenced(s, page) > 0:
            add_page_to_active_list(s, page)
        else:
            add_page_to_inactive_list(s, page)


@kernel
def shrink_cache(s, n_pages):
    """Shrink up to `n_pages` from the inactive tail."""
    glob = s.glob[0]
    for _ in range(min(n_pages, glob.n_inactive)):
        page = glob.inactive_tail
        del_page_from_lru(s, page)
        fate = shrink_page(s, page)
        if fate == ACTIVATED:
            add_page_to_active_list(s, page)
        elif fate == WRITTEN:
            add_page_to_inactive_tail(s, page)
        elif fate == KEPT:
            add_page_to_inactive_list(s, page)


@kernel
def scan(s, n_pages):
    """Scan as many pages: first refill, then shrink (``shrink_zone``)."""
    refill_inactive_zone(s, n_pages)
    shrink_cache(s, n_pages)
