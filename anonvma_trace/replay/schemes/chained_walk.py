"""Reclaim's walks of an anon_vma's list of chains.

Source: 2.6.34, mm/rmap.c, ``page_referenced_anon``, ``try_to_unmap_anon``.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..layout import (
    NULL,
    PG_ANON,
    PG_REFERENCED,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PURPOSE_REFERENCED,
    PURPOSE_UNMAP,
    WALK_AGAIN,
    WALK_NOT_REFERENCED,
)
from ..page_table import find_pte
from .interface import bind
from .walk_end import conclude_walk, try_to_unmap_one
from .walk_record import test_and_clear_young

walk_begins = bind("walk_begins", "(s, anon_vma, index): first chain that a walk visits.")
walk_goes_on = bind("walk_goes_on", "(s, chain, index): the chain that a walk visits after this one.")
walk_skips_rss = bind("walk_skips_rss", "(s): whether vmas of an mm without rss are passed over.")


def page_referenced(s, page):
    """Return how many references to `page` there were: PG_referenced, and young ptes found by a walk."""
    p = s.page[page]
    referenced = 1 if p.pg_flags & PG_REFERENCED else 0
    p.pg_flags &= ~PG_REFERENCED
    if p.mapcount > 0 and p.pg_flags & PG_ANON:
        return _walk(s, page, PURPOSE_REFERENCED, NULL, False, referenced)
    return referenced


def try_to_unmap(s, page, slot, force):
    """Turn the ptes of `page` into entries of `slot`, as far as a walk finds them; return WALK_*."""
    return _walk(s, page, PURPOSE_UNMAP, slot, force, 0)


@kernel
def _walk(s, page, purpose, slot, force, referenced):
    p = s.page[page]
    anon_vma = np.int64(p.mapping)
    a = s.rmap.anon_vma[anon_vma]
    alive = a.id == p.mapping_id
    first, list_length = NULL, 0
    if alive:
        first = walk_begins(s, anon_vma, np.int64(p.index))
        list_length = np.int64(a.n_vmas)
    mapcount = np.int64(p.mapcount)
    found = _visit_chains(s, page, first, purpose, slot, force)
    return conclude_walk(s, page, anon_vma, alive, mapcount, list_length, purpose, found, referenced)


@kernel
def _visit_chains(s, page, first, purpose, slot, force):
    """Visit vmas from the chain `first` on until all mappers are found; return what `conclude_walk` takes."""
    p = s.page[page]
    index = np.int64(p.index)
    visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, young = 0, 0, 0, 0, 0, 0, 0, 0
    left = np.int64(p.mapcount)
    outcome = WALK_AGAIN if purpose == PURPOSE_UNMAP else WALK_NOT_REFERENCED
    chain = first
    while chain != NULL:
        vma = s.rmap.chain[chain].vma
        chain = walk_goes_on(s, chain, index)
        v = s.vma[vma]
        visited += 1
        if walk_skips_rss(s) and s.mm[v.mm].rss == 0:
            miss_rss += 1
            continue
        vpn = v.start + (index - v.pgoff)
        if vpn < v.start or vpn >= v.end:
            miss_range += 1
            continue
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
            young += test_and_clear_young(s, at)
        else:
            outcome = try_to_unmap_one(s, page, vma, vpn, at, slot, force)
            if outcome != WALK_AGAIN:
                break
        left -= 1
        if left == 0:
            break
    return visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, left, young, outcome
