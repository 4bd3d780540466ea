"""Pages of schemes with chains: where they point, and when they move to the vma's own anon_vma."""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..layout import BUG_NO_ANON_VMA, BUG_NONE, NULL, PG_ANON
from .heads import touch_head
from .members import member_add_page, member_drop_page


@kernel
def set_mapping(s, page, anon_vma, index):
    """Let a mapped page point to an anon_vma."""
    p = s.page[page]
    a = s.rmap.anon_vma[anon_vma]
    if p.mapping_id != a.id:  # else it comes back: counted before
        a.pages_ever += 1
    p.pg_flags |= PG_ANON
    p.mapping = anon_vma
    p.mapping_id = a.id
    p.index = index
    a.n_pages += 1
    touch_head(s, anon_vma)


def anon_rmap_bug(s, page, vma, vpn):
    """Return BUG_NO_ANON_VMA for a vma without anon_vma: no other mismatch is looked at since 2.6.10.

    Source: 2.6.34, mm/rmap.c, ``__page_set_anon_rmap``.
    """
    return BUG_NO_ANON_VMA if s.vma[vma].anon_vma == NULL else BUG_NONE


@kernel
def map_anon_page(s, page, vma, vpn, own):
    """Count one more pte of `page`; the first decides: the vma's own anon_vma, or the oldest, which all sharers have.

    Source: 2.6.34, mm/rmap.c, ``__page_set_anon_rmap``.
    """
    v = s.vma[vma]
    if s.page[page].mapcount == 0:
        anon_vma = v.anon_vma if own else s.rmap.chain[v.oldest].anon_vma
        set_mapping(s, page, anon_vma, v.pgoff + (vpn - v.start))
    s.page[page].mapcount += 1
    member_add_page(s, page, vma)


def page_dup_rmap(s, page, vma, vpn):
    """Count one more pte of `page`, in the child's `vma`, without a check (``page_dup_rmap``)."""
    s.page[page].mapcount += 1
    member_add_page(s, page, vma)


def page_remove_rmap(s, page, vma, vpn):
    """Count one pte of `page` less; the last one clears PG_anon and the mapping, as in scheme `anon_vma`."""
    member_drop_page(s, page, vma)
    p = s.page[page]
    p.mapcount -= 1
    if p.mapcount == 0:
        _leave_mapping(s, page)
        p.pg_flags &= ~PG_ANON
        p.mapping = NULL


@kernel
def _leave_mapping(s, page):
    p = s.page[page]
    a = s.rmap.anon_vma[p.mapping]
    if a.id == p.mapping_id:
        a.n_pages -= 1


def page_reused(s, page, vma):
    """Let a page that is exclusively the vma's point to its own anon_vma; the index stays.

    Source: 2.6.34, mm/rmap.c, ``page_move_anon_rmap``.
    """
    p = s.page[page]
    anon_vma = s.vma[vma].anon_vma
    if anon_vma == NULL or p.mapping_id == s.rmap.anon_vma[anon_vma].id:
        return
    member_drop_page(s, page, vma)
    _leave_mapping(s, page)
    set_mapping(s, page, anon_vma, np.int64(p.index))
    member_add_page(s, page, vma)


def page_reachable(s, page, vma, vpn):
    """Return whether a walk of `page` finds its pte at `vpn` in `vma`: 1, 0, or -1 if its anon_vma is freed."""
    p = s.page[page]
    mapping = np.int64(p.mapping)
    if s.rmap.anon_vma[mapping].id != p.mapping_id:
        return -1
    mm = s.vma[vma].mm
    chain = s.vma[vma].newest
    if s.vma[vma].pgoff + (vpn - s.vma[vma].start) == p.index:
        while chain != NULL:
            if s.rmap.chain[chain].anon_vma == mapping:
                return 1
            chain = s.rmap.chain[chain].older
    chain = s.rmap.anon_vma[mapping].head
    while chain != NULL:
        w = s.vma[s.rmap.chain[chain].vma]
        if w.mm == mm and w.start <= vpn and vpn < w.end and w.pgoff + (vpn - w.start) == p.index:
            return 1
        chain = s.rmap.chain[chain].next
    return 0
