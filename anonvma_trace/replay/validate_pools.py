"""Checks of the pools: room for what is in use, and free lists that hold exactly the free rows."""

from __future__ import annotations

import numpy as np

from .breaches import tell
from .compiled import kernel
from .invariants import (
    FREE_COUNT,
    FREE_ROW,
    POOL_BLOCK,
    POOL_MM,
    POOL_PAGE,
    POOL_PROC,
    POOL_SLOT,
    POOL_TOP,
    POOL_VMA,
)
from .layout import NULL, PT_STRIDE


@kernel
def validate_top(c, pool, top, capacity, rows):
    """Return whether all rows in use lie inside the table: what every other check relies on."""
    if 1 <= top <= rows and capacity == rows:
        return True
    tell(c, POOL_TOP, pool, 0, 0, 0, top, min(capacity, rows))
    return False


@kernel
def validate_tops(s, c):
    """Return whether all pools have room for what is in use."""
    glob, check = s.glob[0], c.check[0]
    sound = validate_top(c, POOL_VMA, glob.vma_top, glob.vma_cap, check.vma_rows)
    sound &= validate_top(c, POOL_PAGE, glob.page_top, glob.page_cap, check.page_rows)
    sound &= validate_top(c, POOL_MM, glob.mm_top, glob.mm_cap, check.mm_rows)
    sound &= validate_top(c, POOL_PROC, glob.proc_top, glob.proc_cap, check.proc_rows)
    sound &= validate_top(c, POOL_SLOT, glob.slot_top, glob.slot_cap, check.slot_rows)
    sound &= validate_top(c, POOL_BLOCK, glob.block_top, glob.block_cap, check.block_rows)
    return sound


@kernel
def _is_free(s, c, pool, row):
    if pool == POOL_VMA:
        return s.vma[row].mm == NULL
    if pool == POOL_PAGE:
        return s.page[row].serial == 0
    if pool == POOL_MM:
        return s.mm[row].users == 0
    if pool == POOL_SLOT:
        return s.slot[row].map == 0
    return c.block[row].met == 0


@kernel
def _next_free(s, pool, row):
    if pool == POOL_VMA:
        return s.vma[row].start
    if pool == POOL_PAGE:
        return np.int64(s.page[row].lru_next)
    if pool == POOL_MM:
        return s.mm[row].next_free
    if pool == POOL_SLOT:
        return s.slot[row].next_free
    return s.pt[row * PT_STRIDE]


@kernel
def _validate_free_list(s, c, pool, head, n_free, top):
    """Compare a free list with the rows that are free; one that ends after as many steps meets none twice."""
    row, steps = head, 0
    while row != NULL and steps <= n_free:
        if row < 1 or row >= top or not _is_free(s, c, pool, row):
            tell(c, FREE_ROW, pool, row, 0, 0, 0, 0)
            return
        row = _next_free(s, pool, row)
        steps += 1
    free = 0
    for each in range(1, top):
        if _is_free(s, c, pool, each):
            free += 1
    if steps != n_free or free != n_free:
        tell(c, FREE_COUNT, pool, 0, 0, 0, n_free if steps == n_free else steps, free)


@kernel
def validate_free_lists(s, c):
    """Check the free lists of the pools that every scheme has; page tables have been walked."""
    glob = s.glob[0]
    _validate_free_list(s, c, POOL_VMA, glob.vma_free, glob.vma_n_free, glob.vma_top)
    _validate_free_list(s, c, POOL_PAGE, glob.page_free, glob.page_n_free, glob.page_top)
    _validate_free_list(s, c, POOL_MM, glob.mm_free, glob.mm_n_free, glob.mm_top)
    _validate_free_list(s, c, POOL_SLOT, glob.slot_free, glob.slot_n_free, glob.slot_top)
    _validate_free_list(s, c, POOL_BLOCK, glob.block_free, glob.block_n_free, glob.block_top)
