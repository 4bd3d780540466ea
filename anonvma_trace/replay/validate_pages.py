"""Checks of pages, LRU lists and swap slots against the ptes that were found."""

from __future__ import annotations

import numpy as np

from .breaches import compare, tell
from .compiled import kernel
from .invariants import (
    FIGURE,
    FIGURE_ACTIVE,
    FIGURE_ANON_PAGES,
    FIGURE_FILE_PAGES,
    FIGURE_INACTIVE,
    FIGURE_MAPPED_PTES,
    FILE_PAGE,
    LRU_NONE,
    LRU_PREV,
    LRU_ROW,
    MAPCOUNT,
    PAGE_UNUSED,
    SLOT_MAP,
    SLOT_PAGE,
)
from .layout import NULL, PG_ACTIVE, PG_ANON, PG_ANON_KIND, PG_LRU


@kernel
def validate_pages(s, c):
    """Check every page against its ptes, and the running counts of pages and ptes."""
    glob = s.glob[0]
    anon, file, ptes = 0, 0, 0
    for page in range(1, glob.page_top):
        p = s.page[page]
        if p.serial == 0:
            continue
        found = c.page[page].ptes
        ptes += found
        if p.mapcount != found:
            tell(c, MAPCOUNT, np.int64(p.serial), 0, 0, 0, np.int64(p.mapcount), found)
        if p.pg_flags & PG_ANON_KIND:
            anon += 1
            _validate_anon_page(s, c, page)
        else:
            file += 1
            if p.pg_flags & PG_ANON or p.mapping != NULL or p.serial > 0 or found == 0:
                tell(c, FILE_PAGE, np.int64(p.serial), 0, 0, 0, 0, 0)
    compare(c, FIGURE, FIGURE_ANON_PAGES, glob.pages_allocated - glob.pages_freed, anon)
    compare(c, FIGURE, FIGURE_FILE_PAGES, glob.n_file_pages, file)
    compare(c, FIGURE, FIGURE_MAPPED_PTES, glob.mapped_ptes, ptes)


@kernel
def _validate_anon_page(s, c, page):
    p = s.page[page]
    if p.mapcount == 0 and p.slot == NULL:
        tell(c, PAGE_UNUSED, np.int64(p.serial), 0, 0, 0, 0, 0)
    if c.page[page].met == 0:
        tell(c, LRU_NONE, np.int64(p.serial), 0, 0, 0, 0, 0)
    if p.slot != NULL:
        if p.slot < 1 or p.slot >= s.glob[0].slot_top or s.slot[p.slot].page != page:
            tell(c, SLOT_PAGE, np.int64(p.slot), np.int64(p.serial), 0, 0, 0, 0)


@kernel
def validate_slots(s, c):
    """Check the use count of every swap slot, and that the page it caches is in it."""
    for slot in range(1, s.glob[0].slot_top):
        entry = s.slot[slot]
        cached = 1 if entry.page != NULL else 0
        if entry.map != c.slot[slot].ptes + cached:
            tell(c, SLOT_MAP, slot, 0, 0, 0, entry.map, c.slot[slot].ptes + cached)
        if cached:
            page = entry.page
            if page < 1 or page >= s.glob[0].page_top:
                tell(c, SLOT_PAGE, slot, page, 0, 0, 0, 0)
            elif s.page[page].pg_flags & PG_ANON_KIND == 0 or s.page[page].slot != slot:
                tell(c, SLOT_PAGE, slot, np.int64(s.page[page].serial), 0, 0, 0, 0)


@kernel
def validate_lru(s, c):
    """Check both LRU lists; afterwards every page on them is marked."""
    glob = s.glob[0]
    active = _validate_lru_list(s, c, 1, glob.active_head, glob.active_tail)
    inactive = _validate_lru_list(s, c, 2, glob.inactive_head, glob.inactive_tail)
    compare(c, FIGURE, FIGURE_ACTIVE, glob.n_active, active)
    compare(c, FIGURE, FIGURE_INACTIVE, glob.n_inactive, inactive)


@kernel
def _validate_lru_list(s, c, number, head, tail):
    wanted = PG_ANON_KIND | PG_LRU | (PG_ACTIVE if number == 1 else 0)
    before, page, n = NULL, head, 0
    while page != NULL:
        if page < 1 or page >= s.glob[0].page_top or s.page[page].serial <= 0 or c.page[page].met:
            tell(c, LRU_ROW, number, page, 0, 0, 0, 0)
            return n
        p = s.page[page]
        if p.pg_flags & (PG_ANON_KIND | PG_LRU | PG_ACTIVE) != wanted:
            tell(c, LRU_ROW, number, page, 0, 0, 0, 0)
        c.page[page].met = 1
        if p.lru_prev != before:
            tell(c, LRU_PREV, np.int64(p.serial), 0, 0, 0, 0, 0)
        before = page
        page = np.int64(p.lru_next)
        n += 1
    if before != tail:
        tell(c, LRU_PREV, np.int64(s.page[before].serial), 0, 0, 0, 0, 0)
    return n
