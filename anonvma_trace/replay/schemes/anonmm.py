"""Scheme `anonmm`: a page knows an mm that maps it and the address, as in rmap 10 to rmap 38 of the series of May 2004.

Each mm has an anonmm. Those of a family (a program and what was forked from it) form a ring that begins with the
`head`. A page points to the anonmm that mapped it first, and has its virtual address as index: all who share it map it
there. So mremap must copy a page that is shared, and a page swapped in elsewhere than its index says is copied too.

Source: mm/rmap.c after rmap 38 ("rmap 10 add anonmm rmap").
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..compiled import kernel
from ..headroom import log_has_room
from ..layout import (
    LOG_ANON_VMAS,
    NULL,
    PG_ANON,
    PG_ANON_KIND,
    PG_REFERENCED,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PURPOSE_REFERENCED,
    PURPOSE_UNMAP,
    VM_LOCKED,
    VM_RESERVED,
    WALK_AGAIN,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
    WALK_NOT_REFERENCED,
    record,
)
from ..log import log_freed_anon_vma
from ..memory import copy_on_write
from ..page_table import clear_pte, find_pte, get_pte
from ..vma_index import find_vma
from .before_anon_vma import (  # noqa: F401  (looked up by name: `interface`)
    anon_rmap_bug,
    anon_vma_fork,
    anon_vma_link,
    anon_vma_merge,
    anon_vma_moved,
    anon_vma_prepare,
    anon_vma_shift,
    anon_vma_unlink,
    anon_vmas_compatible,
    merge_side,
)
from .defaults import ANY_NUMBER
from .description import Pool, Scheme
from .interface import register_scheme
from .list_lengths import length_grew, length_shrinks
from .walk_record import record_walk, swap_out_pte, test_and_clear_young, walk_outcome

ANONMM = record(
    "id",
    "mm",  # NULL once that is gone: extinct
    "head",  # of the family; its own row if it is that
    "count",  # its mm, pages that point to it; of a head: itself and the others of the ring as well
    "next",  # in the ring, head and then by age. While free: next free row
    "prev",
    "n_members",  # of a head: anonmms in the ring
    "peak_vmas",  # peak of that
    "n_pages",  # pages that point to it
    "peak_pages",
    "pages_ever",
    "walks",
    "vmas_visited",
    "allocated_event",
    "allocated_ts",
    "allocated_by",  # op
    "proc",
    "touched",  # on the list of those whose peaks are to be looked at when the event is over
    "touched_next",
)

BYTES_I386, BYTES_X86_64 = 24, 40  # count, lock, mm, head, two list words
MM_BYTES_I386, MM_BYTES_X86_64 = 4, 8  # the pointer in each mm


class AnonmmTables(NamedTuple):
    """The scheme's own tables."""

    anonmm: Any  # ANONMM records


@kernel
def _touch(s, anonmm):
    a = s.rmap.anonmm[anonmm]
    if a.touched == 0:
        a.touched = 1
        a.touched_next = s.glob[0].touched_anonmm
        s.glob[0].touched_anonmm = anonmm


@kernel
def _ring_grew(s, head):
    """Bring the length of a ring, and the longest of all, up to date."""
    h = s.rmap.anonmm[head]
    h.n_members += 1
    length_grew(s, h.n_members)
    _touch(s, head)


@kernel
def _ring_shrank(s, head):
    """Do the same when a member leaves."""
    h = s.rmap.anonmm[head]
    length_shrinks(s, h.n_members)
    h.n_members -= 1


@kernel
def _alloc_anonmm(s, mm):
    """Return a new anonmm for `mm`, in no ring yet."""
    glob = s.glob[0]
    row = glob.anonmm_free
    if row != NULL:
        glob.anonmm_free = s.rmap.anonmm[row].next
        glob.anonmm_n_free -= 1
    else:
        row = glob.anonmm_top
        glob.anonmm_top += 1
    glob.anon_vma_id += 1
    glob.anon_vmas_allocated += 1
    a = s.rmap.anonmm[row]
    a.id = glob.anon_vma_id
    a.mm = mm
    a.n_members = 0
    a.peak_vmas = 0
    a.n_pages = 0
    a.peak_pages = 0
    a.pages_ever = 0
    a.walks = 0
    a.vmas_visited = 0
    a.allocated_event = glob.event
    a.allocated_ts = glob.ts
    a.allocated_by = glob.op
    a.proc = s.mm[mm].owner
    s.mm[mm].anonmm = row
    return row


@kernel
def _free_anonmm(s, anonmm):
    """Take an anonmm that nothing refers to out of its ring, and free it."""
    glob = s.glob[0]
    a = s.rmap.anonmm[anonmm]
    s.rmap.anonmm[a.prev].next = a.next
    s.rmap.anonmm[a.next].prev = a.prev
    _ring_shrank(s, a.head)
    allocated = (a.allocated_event, a.allocated_ts, a.allocated_by, a.proc)
    figures = (a.peak_vmas, a.peak_pages, a.pages_ever, a.walks, a.vmas_visited)
    log_freed_anon_vma(s, a.id, allocated, figures)
    a.id = 0
    a.mm = NULL
    a.next = glob.anonmm_free
    glob.anonmm_free = anonmm
    glob.anonmm_n_free += 1


@kernel
def _drop_anonmm(s, anonmm):
    """Drop a reference of its mm, or of a page; free what nothing refers to any more, the head last.

    Source: rmap 38, mm/rmap.c, ``exit_rmap``, ``page_remove_rmap``.
    """
    a = s.rmap.anonmm[anonmm]
    head = a.head
    a.count -= 1
    if anonmm != head and a.count == 0:
        _free_anonmm(s, anonmm)
        s.rmap.anonmm[head].count -= 1
    h = s.rmap.anonmm[head]
    if h.mm == NULL and h.count == 1:
        _free_anonmm(s, head)


def exec_rmap(s, mm):
    """Begin a family with a new mm. Source: rmap 38, mm/rmap.c, ``exec_rmap``."""
    row = _alloc_anonmm(s, mm)
    a = s.rmap.anonmm[row]
    a.head = row
    a.count = 2  # its mm, and itself as head
    a.next = row
    a.prev = row
    _ring_grew(s, row)


def dup_rmap(s, mm, parent):
    """Put a forked mm at the tail of its parent's ring. Source: rmap 38, mm/rmap.c, ``dup_rmap``."""
    row = _alloc_anonmm(s, mm)
    head = s.rmap.anonmm[s.mm[parent].anonmm].head
    a, h = s.rmap.anonmm[row], s.rmap.anonmm[head]
    a.head = head
    a.count = 1
    a.next = head
    a.prev = h.prev
    s.rmap.anonmm[h.prev].next = row
    h.prev = row
    h.count += 1
    _ring_grew(s, head)
    s.glob[0].fork_objects += 1
    s.glob[0].fork_insertions += 1


def exit_rmap(s, mm):
    """Leave an anonmm extinct, if pages or relatives still refer to it. Source: rmap 38, mm/rmap.c, ``exit_rmap``."""
    row = s.mm[mm].anonmm
    s.mm[mm].anonmm = NULL
    s.rmap.anonmm[row].mm = NULL
    _drop_anonmm(s, row)


@kernel
def _point_to(s, page, anonmm):
    """Let a page point to an anonmm, and count it there."""
    p, a = s.page[page], s.rmap.anonmm[anonmm]
    if p.mapping_id != a.id:  # else it comes back: counted before
        a.pages_ever += 1
    p.mapping = anonmm
    p.mapping_id = a.id
    a.count += 1
    a.n_pages += 1
    _touch(s, anonmm)


def room_for_new_pages(s, vma):
    """Return ANY_NUMBER: each mm has its anonmm."""
    return ANY_NUMBER


def new_page_mapping(s, vma):
    """Return the anonmm of the vma's mm, its id, and 0: the index of a page is its place."""
    anonmm = s.mm[s.vma[vma].mm].anonmm
    return anonmm, s.rmap.anonmm[anonmm].id, 0


def pages_mapped(s, vma, pages):
    """Count new pages that point to the anonmm of the vma's mm."""
    anonmm = s.mm[s.vma[vma].mm].anonmm
    a = s.rmap.anonmm[anonmm]
    a.pages_ever += pages
    a.count += pages
    a.n_pages += pages
    _touch(s, anonmm)


@kernel
def _page_unmapped(s, page):
    """Clear the mapping of a page that lost its last pte."""
    p = s.page[page]
    anonmm = np.int64(p.mapping)
    p.pg_flags &= ~PG_ANON
    p.mapping = NULL
    s.rmap.anonmm[anonmm].n_pages -= 1
    _drop_anonmm(s, anonmm)


def page_add_anon_rmap(s, page, vma, vpn, exclusive):
    """Count one more pte of `page`; the first one decides mapping and index, later ones are not checked.

    Source: rmap 38, mm/rmap.c, ``page_add_anon_rmap``.
    """
    p = s.page[page]
    if p.mapcount == 0:
        p.pg_flags |= PG_ANON
        p.index = vpn
        _point_to(s, page, s.mm[s.vma[vma].mm].anonmm)
    p.mapcount += 1


def page_dup_rmap(s, page, vma, vpn):
    """Count the pte that fork made for the child (``page_dup_rmap``)."""
    s.page[page].mapcount += 1


def page_remove_rmap(s, page, vma, vpn):
    """Count one pte of `page` less; the last one clears the mapping. Source: ``page_remove_rmap``."""
    p = s.page[page]
    p.mapcount -= 1
    if p.mapcount == 0:
        _page_unmapped(s, page)


def move_pte(s, mm, vpn, new_vpn, pte):
    """Return the pte that mremap sets: the page's address changes with it, so a shared page is copied first.

    Source: rmap 38, mm/rmap.c, ``mremap_move_anon_rmap``, and mm/mremap.c, ``make_page_exclusive``.
    """
    if pte & PTE_PRESENT == 0 or s.page[pte >> PTE_SHIFT].pg_flags & PG_ANON_KIND == 0:
        return pte
    if s.page[pte >> PTE_SHIFT].mapcount > 1:
        s.glob[0].mremap_copies += 1
        copy_on_write(s, find_vma(s, mm, vpn), vpn, pte)
        pte = get_pte(s, mm, vpn)
        clear_pte(s, mm, vpn)
    s.page[pte >> PTE_SHIFT].index = new_vpn
    return pte


def page_misplaced(s, page, vpn):
    """Return whether a page just swapped in is mapped elsewhere than its index says: it is then copied.

    Source: rmap 38, mm/memory.c, ``do_swap_page``.
    """
    if s.page[page].index == vpn:
        return False
    s.glob[0].swapin_copies += 1
    return True


def page_referenced(s, page):
    """Return how many references to `page` there were: PG_referenced, and young ptes found by a walk.

    Source: rmap 38, mm/rmap.c, ``page_referenced``, ``page_referenced_anon``.
    """
    p = s.page[page]
    referenced = 1 if p.pg_flags & PG_REFERENCED else 0
    p.pg_flags &= ~PG_REFERENCED
    if p.mapcount > 0:
        return _walk_ring(s, page, PURPOSE_REFERENCED, NULL, False, referenced)
    return referenced


def try_to_unmap(s, page, slot, force):
    """Turn the ptes of `page` into entries of `slot`, as far as a walk gets; return WALK_*.

    With `force` (the recorder saw the page leave) young bits and locked vmas do not stop it.
    Source: rmap 38, mm/rmap.c, ``try_to_unmap``, ``try_to_unmap_anon``.
    """
    return _walk_ring(s, page, PURPOSE_UNMAP, slot, force, 0)


@kernel
def _walk_ring(s, page, purpose, slot, force, referenced):
    """Look at the page's own mm, then at the rest of its ring, starting behind it; return as the callers do."""
    p = s.page[page]
    own = np.int64(p.mapping)
    a = s.rmap.anonmm[own]
    head_id, ring = a.id, s.rmap.anonmm[a.head].n_members
    mapcount = np.int64(p.mapcount)
    found = _visit_ring(s, page, own, purpose, slot, force)
    visited, miss_extinct, miss_rss, miss_none, miss_swap, miss_other, hits, young, first, ended = found
    left = mapcount - hits
    if ended == WALK_FAIL_LOCKED or ended == WALK_FAIL_YOUNG:
        left = 0  # not looked for
    referenced += young
    outcome = walk_outcome(purpose, ended, left, referenced)
    s.glob[0].miss_extinct += miss_extinct
    a.walks += 1
    a.vmas_visited += visited
    misses = (miss_rss, 0, miss_none, miss_swap, miss_other)
    record_walk(s, page, head_id, purpose, mapcount, ring, visited, misses, hits, left, outcome)
    if p.mapcount == 0:
        _page_unmapped(s, page)
    elif purpose == PURPOSE_REFERENCED and a.mm == NULL and left == 0:
        _migrate(s, page, first)
    return outcome if purpose == PURPOSE_UNMAP else referenced


@kernel
def _migrate(s, page, anonmm):
    """Let a page whose own mm is gone point to one that was found to map it."""
    old = np.int64(s.page[page].mapping)
    s.rmap.anonmm[old].n_pages -= 1
    _point_to(s, page, anonmm)
    _drop_anonmm(s, old)
    s.glob[0].migrations += 1


@kernel
def _visit_ring(s, page, own, purpose, slot, force):
    """Visit members of a ring from `own` on, until all mappers are found.

    Returns
    -------
    visited, miss_extinct, miss_rss, miss_none, miss_swap, miss_other, hits : int64
        Members, and what each was.
    young : int64
        Young ptes found (and made old), for PURPOSE_REFERENCED.
    first : int64
        The member that mapped the page first on the way, NULL if none.
    ended : int64
        WALK_NOT_REFERENCED for PURPOSE_REFERENCED, else WALK_AGAIN or what ended the walk early.
    """
    p = s.page[page]
    visited, miss_extinct, miss_rss, miss_none, miss_swap, miss_other, hits, young = 0, 0, 0, 0, 0, 0, 0, 0
    first = NULL
    left = np.int64(p.mapcount)
    ended = WALK_AGAIN if purpose == PURPOSE_UNMAP else WALK_NOT_REFERENCED
    member = own
    while left > 0 and (visited == 0 or member != own):
        current = member
        mm = s.rmap.anonmm[member].mm
        member = s.rmap.anonmm[member].next
        visited += 1
        if mm == NULL:
            miss_extinct += 1
            continue
        if s.mm[mm].rss == 0:
            miss_rss += 1
            continue
        at = find_pte(s, mm, p.index)
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
        if first == NULL:
            first = current
        if purpose == PURPOSE_REFERENCED:
            young += test_and_clear_young(s, at)
        else:
            ended = _try_to_unmap_one(s, page, mm, at, slot, force)
            if ended != WALK_AGAIN:
                break
        left -= 1
    return visited, miss_extinct, miss_rss, miss_none, miss_swap, miss_other, hits, young, first, ended


@kernel
def _try_to_unmap_one(s, page, mm, at, slot, force):
    """Turn one pte into an entry of `slot`; return WALK_AGAIN, or why it may not be. No vma is at hand.

    Source: rmap 38, mm/rmap.c, ``try_to_unmap_one``.
    """
    s.glob[0].find_vma_calls += 1
    vma = find_vma(s, mm, s.page[page].index)
    if not force:
        if s.vma[vma].vm_flags & (VM_LOCKED | VM_RESERVED):
            return WALK_FAIL_LOCKED
        if test_and_clear_young(s, at):
            return WALK_FAIL_YOUNG
    swap_out_pte(s, page, mm, at, slot)
    s.page[page].mapcount -= 1
    return WALK_AGAIN


def page_reachable(s, page, vma, vpn):
    """Return whether a walk of `page` finds its pte at `vpn` in `vma`: 1 or 0."""
    p = s.page[page]
    family = s.rmap.anonmm[p.mapping].head
    same = s.rmap.anonmm[s.mm[s.vma[vma].mm].anonmm].head == family
    return 1 if same and p.index == vpn else 0


def rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few):
    """Return whether there is room for a few anonmms, for pages that a move may copy, and for all to be freed."""
    glob = s.glob[0]
    glob.anonmm_need = few
    glob.page_need = max(glob.page_need, n_ptes + few)
    live = glob.anon_vmas_allocated - glob.anon_vmas_freed
    return (
        glob.anonmm_cap - glob.anonmm_top + glob.anonmm_n_free >= glob.anonmm_need
        and glob.page_cap - glob.page_top + glob.page_n_free >= glob.page_need
        and log_has_room(s, LOG_ANON_VMAS, live + few)
    )


def settle_peaks(s):
    """Bring peaks and overhead up to date when an event is over."""
    glob = s.glob[0]
    anonmm = glob.touched_anonmm
    while anonmm != NULL:
        a = s.rmap.anonmm[anonmm]
        a.touched = 0
        a.peak_vmas = max(a.peak_vmas, a.n_members)
        a.peak_pages = max(a.peak_pages, a.n_pages)
        anonmm = a.touched_next
    glob.touched_anonmm = NULL
    anonmms = glob.anon_vmas_allocated - glob.anon_vmas_freed
    mms = glob.mm_top - 1 - glob.mm_n_free
    glob.overhead_i386 = BYTES_I386 * anonmms + MM_BYTES_I386 * mms
    glob.overhead_x86_64 = BYTES_X86_64 * anonmms + MM_BYTES_X86_64 * mms


_COUNTS = (
    "mremap_copies",  # shared pages copied because they moved
    "swapin_copies",  # pages copied because they came back elsewhere
    "migrations",  # pages that were given to another mm of the family
    "find_vma_calls",  # of walks
)

SCHEME = Scheme(
    tables=AnonmmTables,
    pools={"anonmm": Pool(ANONMM)},
    glob_fields=("touched_anonmm", *_COUNTS),
    mm_fields=("anonmm",),
    heads="anonmm",
    extra=(*_COUNTS, "miss_extinct"),
    follows_pgoff=False,
)
register_scheme(SCHEME, sys.modules[__name__])
