"""Reclaim's walks of an anon_vma's list: the kernel's, vma by vma, and the same by an index of a long list.

Both give the same counts and leave the same state behind; the plain walk is what the index is tested against.

Source: rmap 39, mm/rmap.c.
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
from .walk_end import conclude_walk, try_to_unmap_one
from .walk_index import (
    column_of,
    counts_before,
    drop_index,
    first_mapper,
    index_is_ready,
    mapper_pte,
    mapper_unmapped,
    mapper_vma,
    next_mapper,
    note_plain_walk,
)
from .walk_record import test_and_clear_young


def page_referenced(s, page):
    """Return how many references to `page` there were: PG_referenced, and young ptes found by a walk.

    Source: rmap 39, mm/rmap.c, ``page_referenced``, ``page_referenced_anon``.
    """
    p = s.page[page]
    referenced = 1 if p.pg_flags & PG_REFERENCED else 0
    p.pg_flags &= ~PG_REFERENCED
    if p.mapcount > 0 and p.pg_flags & PG_ANON:
        return _walk_anon_vma(s, page, PURPOSE_REFERENCED, NULL, False, referenced)
    return referenced


def try_to_unmap(s, page, slot, force):
    """Turn the ptes of `page` into entries of `slot`, as far as a walk finds them; return WALK_*.

    With `force` (the recorder saw the page leave) young bits and locked vmas do not stop it.

    Source: rmap 39, mm/rmap.c, ``try_to_unmap``, ``try_to_unmap_anon``, ``try_to_unmap_one``.
    """
    return _walk_anon_vma(s, page, PURPOSE_UNMAP, slot, force, 0)


@kernel
def _walk_anon_vma(s, page, purpose, slot, force, referenced):
    """Visit the vmas of a mapped anonymous page, head first; return references found, or WALK_* of an unmap."""
    glob = s.glob[0]
    p = s.page[page]
    anon_vma = np.int64(p.mapping)
    a = s.rmap.anon_vma[anon_vma]
    mapcount = np.int64(p.mapcount)
    alive = a.id == p.mapping_id
    list_length = 0
    if alive:
        list_length = np.int64(a.n_vmas)
    column = column_of(s, p.index) if alive and index_is_ready(s, anon_vma) else -1
    if column >= 0 and (purpose == PURPOSE_REFERENCED or _all_keep_rss(s, page, column)):
        found = _look_up_mappers(s, page, column, purpose, slot, force)
        glob.index_walks += 1
    else:
        if purpose == PURPOSE_UNMAP and s.glob[0].index_anon_vma != NULL:
            drop_index(s)
        found = _visit_vmas(s, page, np.int64(a.head) if alive else NULL, purpose, slot, force)
        if alive:
            note_plain_walk(s, anon_vma, found[0])
    return conclude_walk(s, page, anon_vma, alive, mapcount, list_length, purpose, found, referenced)


@kernel
def _visit_vmas(s, page, first, purpose, slot, force):
    """Walk as the kernel does, from the vma `first` on until all mappers are found.

    Returns
    -------
    visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits : int64
        Vmas, and what each was.
    left : int64
        Mappers not found.
    young : int64
        Young ptes found (and made old), for PURPOSE_REFERENCED.
    outcome : int64
        WALK_NOT_REFERENCED for PURPOSE_REFERENCED, else WALK_AGAIN or what ended the walk early.
    """
    p = s.page[page]
    visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, young = 0, 0, 0, 0, 0, 0, 0, 0
    left = np.int64(p.mapcount)
    outcome = WALK_AGAIN if purpose == PURPOSE_UNMAP else WALK_NOT_REFERENCED
    vma = first
    while vma != NULL:
        v = s.vma[vma]
        visited += 1
        current = vma
        vma = v.anon_next
        if s.mm[v.mm].rss == 0:
            miss_rss += 1
            continue
        vpn = v.start + (p.index - v.pgoff)
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
            outcome = try_to_unmap_one(s, page, current, vpn, at, slot, force)
            if outcome != WALK_AGAIN:
                break
        left -= 1
        if left == 0:
            break
    return visited, miss_rss, miss_range, miss_none, miss_swap, miss_other, hits, left, young, outcome


@kernel
def _look_up_mappers(s, page, column, purpose, slot, force):
    """Do, and return, what `_visit_vmas` does and returns, by the index of the list."""
    hits, young, unmapped = 0, 0, 0
    left = np.int64(s.page[page].mapcount)
    outcome = WALK_AGAIN if purpose == PURPOSE_UNMAP else WALK_NOT_REFERENCED
    last = NULL
    mapper = first_mapper(s, page, column)
    while mapper != NULL:
        last = mapper
        mapper = next_mapper(s, last)
        hits += 1
        if purpose == PURPOSE_REFERENCED:
            young += test_and_clear_young(s, mapper_pte(s, last))
        else:
            vma = mapper_vma(s, last)
            vpn = s.vma[vma].start + (s.page[page].index - s.vma[vma].pgoff)
            outcome = try_to_unmap_one(s, page, vma, vpn, mapper_pte(s, last), slot, force)
            if outcome != WALK_AGAIN:
                break
            mapper_unmapped(s, page, last)
            unmapped += 1
        left -= 1
        if left == 0:
            break
    ended = left == 0 or (outcome != WALK_AGAIN and outcome != WALK_NOT_REFERENCED)
    visited, no_rss, covering, swap, other = counts_before(s, column, last if ended else NULL)
    swap -= unmapped  # those that this walk made
    other += unmapped - hits
    none = covering - swap - other - hits
    return visited, no_rss, visited - no_rss - covering, none, swap, other, hits, left, young, outcome


@kernel
def _all_keep_rss(s, page, column):
    """Return whether each mm that maps the page keeps a present pte: later vmas of one without miss otherwise."""
    mapper = first_mapper(s, page, column)
    while mapper != NULL:
        if s.mm[s.vma[mapper_vma(s, mapper)].mm].rss <= s.page[page].mapcount:
            return False
        mapper = next_mapper(s, mapper)
    return True
