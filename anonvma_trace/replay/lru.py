"""The two LRU lists, newest at the head. Source: include/linux/mm_inline.h, mm/swap.c."""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL, PG_ACTIVE, PG_LRU


@kernel
def add_page_to_active_list(s, page):
    """Put a page at the head of the active list."""
    glob = s.glob[0]
    p = s.page[page]
    p.pg_flags |= PG_ACTIVE | PG_LRU
    p.lru_prev = NULL
    p.lru_next = glob.active_head
    if glob.active_head == NULL:
        glob.active_tail = page
    else:
        s.page[glob.active_head].lru_prev = page
    glob.active_head = page
    glob.n_active += 1


@kernel
def add_page_to_inactive_list(s, page):
    """Put a page at the head of the inactive list."""
    glob = s.glob[0]
    p = s.page[page]
    p.pg_flags = (p.pg_flags & ~PG_ACTIVE) | PG_LRU
    p.lru_prev = NULL
    p.lru_next = glob.inactive_head
    if glob.inactive_head == NULL:
        glob.inactive_tail = page
    else:
        s.page[glob.inactive_head].lru_prev = page
    glob.inactive_head = page
    glob.n_inactive += 1


@kernel
def add_page_to_inactive_tail(s, page):
    """Put a page at the tail of the inactive list: written, and next to be freed."""
    glob = s.glob[0]
    p = s.page[page]
    p.pg_flags = (p.pg_flags & ~PG_ACTIVE) | PG_LRU
    p.lru_next = NULL
    p.lru_prev = glob.inactive_tail
    if glob.inactive_tail == NULL:
        glob.inactive_head = page
    else:
        s.page[glob.inactive_tail].lru_next = page
    glob.inactive_tail = page
    glob.n_inactive += 1


@kernel
def del_page_from_lru(s, page):
    """Take a page off the list it is on, if any."""
    p = s.page[page]
    if p.pg_flags & PG_LRU == 0:
        return
    glob = s.glob[0]
    before, after = p.lru_prev, p.lru_next
    active = p.pg_flags & PG_ACTIVE != 0
    if before != NULL:
        s.page[before].lru_next = after
    elif active:
        glob.active_head = after
    else:
        glob.inactive_head = after
    if after != NULL:
        s.page[after].lru_prev = before
    elif active:
        glob.active_tail = before
    else:
        glob.inactive_tail = before
    if active:
        glob.n_active -= 1
    else:
        glob.n_inactive -= 1
    p.pg_flags &= ~PG_LRU
