"""Faults, copy-on-write, swap-in, and taking ptes away. Source: mm/memory.c of 2.6.7 with rmap 39."""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .file_pages import drop_file_page, file_page
from .layout import (
    BUG_NONE,
    NULL,
    PG_ANON_KIND,
    PG_DIRTY,
    PG_EXCLUSIVE,
    PG_REFERENCED,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_YOUNG,
    PTE_ZERO,
    VM_ACCESS,
    VM_SHARED,
    VM_WRITE,
)
from .lru import add_page_to_active_list, del_page_from_lru
from .page_table import count_leaf_entries, end_of_leaf, find_pte, get_pte, next_pte, set_pte
from .pools import alloc_page_row, free_page_row, free_slot
from .schemes.defaults import WRITTEN_ALONE
from .schemes.interface import (
    anon_rmap_bug,
    anon_vma_prepare,
    page_add_anon_rmap,
    page_misplaced,
    page_remove_rmap,
    page_reused,
)


@kernel
def _alloc_anon_page(s, proc, vpn, flags):
    """Return a new anonymous page, not yet mapped, at the head of the active list."""
    glob = s.glob[0]
    page = alloc_page_row(s)
    glob.pages_allocated += 1
    p = s.page[page]
    p.index = 0
    p.first_vpn = vpn
    p.mapping = NULL
    p.mapping_id = 0
    p.mapcount = 0
    p.pg_flags = PG_ANON_KIND | PG_EXCLUSIVE | flags
    p.slot = NULL
    p.proc = proc
    p.serial = glob.pages_allocated
    add_page_to_active_list(s, page)
    return page


@kernel
def free_anon_page(s, page):
    """Free an anonymous page that nothing refers to any more."""
    s.glob[0].pages_freed += 1
    del_page_from_lru(s, page)
    free_page_row(s, page)


@kernel
def _map_new_page(s, vma, vpn, referenced):
    """Map a new page of the vma's own at `vpn`, writable as far as the vma allows."""
    v = s.vma[vma]
    flags = PG_REFERENCED if referenced else 0
    page = _alloc_anon_page(s, s.mm[v.mm].owner, vpn, flags)
    bits = PTE_PRESENT | PTE_YOUNG | PTE_DIRTY
    if v.vm_flags & VM_WRITE:
        bits |= PTE_WRITE
    set_pte(s, v.mm, vpn, (page << PTE_SHIFT) | bits)
    page_add_anon_rmap(s, page, vma, vpn, WRITTEN_ALONE)


@kernel
def _rss_up(s, mm):
    s.mm[mm].rss += 1
    s.glob[0].mapped_ptes += 1


@kernel
def do_anonymous_page(s, vma, vpn, write):
    """First touch of a page in a vma without file: the zero page for a read, a new page for a write."""
    v = s.vma[vma]
    if write:
        anon_vma_prepare(s, vma)
        _map_new_page(s, vma, vpn, True)
        _rss_up(s, v.mm)
    else:
        set_pte(s, v.mm, vpn, PTE_ZERO | PTE_YOUNG)


@kernel
def do_no_page(s, vma, vpn, write):
    """First touch of a page in a vma of a file: the page-cache page, or a copy at once for a private write."""
    v = s.vma[vma]
    shared = v.vm_flags & VM_SHARED
    if write and not shared:
        anon_vma_prepare(s, vma)
        _map_new_page(s, vma, vpn, False)
        s.glob[0].early_copies += 1
    else:
        page = file_page(s, v.file, v.pgoff + (vpn - v.start), s.mm[v.mm].owner, vpn)
        s.page[page].mapcount += 1
        bits = PTE_PRESENT | PTE_YOUNG
        if shared and v.vm_flags & VM_WRITE:
            bits |= PTE_WRITE
        if write:
            bits |= PTE_DIRTY
        set_pte(s, v.mm, vpn, (page << PTE_SHIFT) | bits)
    _rss_up(s, v.mm)


@kernel
def do_wp_page(s, vma, vpn, pte):
    """Write to a present pte that is not writable, in a private vma: keep the page if exclusive, else copy."""
    glob = s.glob[0]
    v = s.vma[vma]
    page = pte >> PTE_SHIFT
    if pte & PTE_ZERO == 0 and _exclusive(s, page):
        s.pt[find_pte(s, v.mm, vpn)] = pte | PTE_WRITE | PTE_DIRTY | PTE_YOUNG
        glob.cow_reuses += 1
        page_reused(s, page, vma)
        return
    if pte & PTE_ZERO:
        glob.zero_copies += 1
    else:
        glob.cow_copies += 1
        s.proc[s.mm[v.mm].owner].cow_copies += 1
    copy_on_write(s, vma, vpn, pte)


@kernel
def copy_on_write(s, vma, vpn, pte):
    """Replace what a present pte maps by a copy of the vma's own, dirty, and writable as far as the vma allows.

    It is counted by the caller: a write asked for it, or the scheme cannot have the page here.
    """
    v = s.vma[vma]
    page = pte >> PTE_SHIFT
    anon_vma_prepare(s, vma)
    if pte & PTE_ZERO:
        _rss_up(s, v.mm)
    elif s.page[page].pg_flags & PG_ANON_KIND:
        page_remove_rmap(s, page, vma, vpn)
        if s.page[page].mapcount == 0 and s.page[page].slot == NULL:
            free_anon_page(s, page)
    else:
        _remove_file_rmap(s, page)
    _map_new_page(s, vma, vpn, False)


@kernel
def _exclusive(s, page):
    """Return whether one pte alone refers to the page (``can_share_swap_page``).

    With ``reuse=modern`` a page whose mark says so is not counted (``PageAnonExclusive``, 5.19 and later).
    """
    p = s.page[page]
    if s.glob[0].reuse_modern and p.pg_flags & PG_EXCLUSIVE:
        return True
    if p.pg_flags & PG_ANON_KIND == 0 or p.mapcount != 1:
        return False
    return p.slot == NULL or s.slot[p.slot].map == 1


@kernel
def _remove_file_rmap(s, page):
    p = s.page[page]
    p.mapcount -= 1
    if p.mapcount == 0:
        drop_file_page(s, page)


@kernel
def swapin_bug(s, vma, vpn, pte):
    """Return the BUG that swapping in `pte` at `vpn` would end in, or BUG_NONE."""
    return anon_rmap_bug(s, s.slot[pte >> PTE_SHIFT].page, vma, vpn)


@kernel
def do_swap_page(s, vma, vpn, pte, write):
    """Swap a page in and map it; a write that finds it exclusive may write at once, else it copies.

    The caller has made sure that `swapin_bug` is none.
    """
    glob = s.glob[0]
    v = s.vma[vma]
    row = pte >> PTE_SHIFT
    slot = s.slot[row]
    page = slot.page
    if page == NULL:
        page = _alloc_anon_page(s, s.mm[v.mm].owner, vpn, 0)
        s.page[page].slot = row
        slot.page = page
        slot.map += 1
        glob.swapped_in += 1
    s.page[page].pg_flags |= PG_REFERENCED  # mark_page_accessed
    slot.map -= 1
    if slot.map > 1 or s.page[page].mapcount > 0:  # other entries, or a pte that came first
        s.page[page].pg_flags &= ~PG_EXCLUSIVE
    _rss_up(s, v.mm)
    bits = PTE_PRESENT | PTE_YOUNG
    alone = s.page[page].mapcount == 0 and slot.map == 1
    may_write = write and alone
    if may_write:
        bits |= PTE_WRITE | PTE_DIRTY
    pte = (page << PTE_SHIFT) | bits
    s.pt[find_pte(s, v.mm, vpn)] = pte
    page_add_anon_rmap(s, page, vma, vpn, (1 if alone else 0) + (1 if may_write else 0))
    if write and not may_write:
        do_wp_page(s, vma, vpn, pte)
    elif page_misplaced(s, page, vpn):
        copy_on_write(s, vma, vpn, pte)


@kernel
def handle_mm_fault(s, vma, vpn, write):
    """Handle an access that the vma permits; return BUG_NONE, or the BUG that it would end in (nothing done).

    Source: mm/memory.c, ``handle_pte_fault``.
    """
    v = s.vma[vma]
    pte = get_pte(s, v.mm, vpn)
    if pte == 0:
        if v.file == 0:
            do_anonymous_page(s, vma, vpn, write)
        else:
            do_no_page(s, vma, vpn, write)
    elif pte & PTE_SWAP:
        bug = swapin_bug(s, vma, vpn, pte)
        if bug != BUG_NONE:
            return bug
        do_swap_page(s, vma, vpn, pte, write)
    elif write and pte & PTE_WRITE == 0:
        if v.vm_flags & VM_SHARED:
            s.pt[find_pte(s, v.mm, vpn)] = pte | PTE_WRITE | PTE_DIRTY | PTE_YOUNG
        else:
            do_wp_page(s, vma, vpn, pte)
    else:
        s.pt[find_pte(s, v.mm, vpn)] = pte | PTE_YOUNG | (PTE_DIRTY if write else 0)
    return BUG_NONE


@kernel
def zap_page_range(s, vma, start, end):
    """Take away all ptes in [start, end), which lies inside `vma`.

    Source: mm/memory.c, ``zap_pte_range``, with ``free_page_and_swap_cache`` and ``free_swap_and_cache``.
    """
    mm = s.vma[vma].mm
    vpn = next_pte(s, mm, start, end)
    while vpn < end:  # block by block
        stop = end_of_leaf(vpn, end)
        first = find_pte(s, mm, vpn)
        zapped = 0
        for at in range(first, first + stop - vpn):
            pte = s.pt[at]
            if pte != 0:
                s.pt[at] = 0
                _zap_pte(s, vma, vpn + at - first, pte)
                zapped += 1
        count_leaf_entries(s, mm, vpn, -zapped)
        vpn = next_pte(s, mm, stop, end)


@kernel
def _zap_pte(s, vma, vpn, pte):
    """Drop what the pte at `vpn` of `vma` referred to."""
    if pte & PTE_PRESENT:
        s.mm[s.vma[vma].mm].rss -= 1
        s.glob[0].mapped_ptes -= 1
        page = pte >> PTE_SHIFT
        if s.page[page].pg_flags & PG_ANON_KIND:
            if pte & PTE_DIRTY:
                s.page[page].pg_flags |= PG_DIRTY
            page_remove_rmap(s, page, vma, vpn)
            _free_page_and_swap_cache(s, page)
        else:
            _remove_file_rmap(s, page)
    elif pte & PTE_SWAP:
        _free_swap_and_cache(s, pte >> PTE_SHIFT)


@kernel
def _free_page_and_swap_cache(s, page):
    """Free a page that lost a pte, if that was its last reference but for an otherwise unused swap slot."""
    p = s.page[page]
    if p.mapcount != 0:
        return
    slot = np.int64(p.slot)
    if slot == NULL:
        free_anon_page(s, page)
    elif s.slot[slot].map == 1:
        free_slot(s, slot)
        free_anon_page(s, page)


@kernel
def _free_swap_and_cache(s, slot):
    """Drop one swap pte's share of a slot, and with the last one the slot and its cached page."""
    entry = s.slot[slot]
    entry.map -= 1
    page = entry.page
    if page == NULL:
        if entry.map == 0:
            free_slot(s, slot)
    elif entry.map == 1 and s.page[page].mapcount == 0:
        free_slot(s, slot)
        free_anon_page(s, page)


@kernel
def make_pages_present(s, vma, start, end):
    """Fault in every page of [start, end) inside `vma`, as mlock and MAP_LOCKED do.

    `populate_bug` has made sure that no swap-in hits a BUG. Source: mm/memory.c, ``make_pages_present``.
    """
    v = s.vma[vma]
    if v.vm_flags & VM_ACCESS == 0:
        return
    writable = v.vm_flags & VM_WRITE != 0
    for vpn in range(start, end):
        pte = get_pte(s, v.mm, vpn)
        present = pte & (PTE_PRESENT | PTE_ZERO) != 0
        if present and (pte & PTE_WRITE or not writable):
            continue
        handle_mm_fault(s, vma, vpn, writable)


@kernel
def populate_bug(s, vma, start, end):
    """Return the BUG that `make_pages_present` would hit first in [start, end), or BUG_NONE; changes nothing.

    A write to a page before a swapped one gives a vma without anon_vma a new one, which no cached page has yet.
    """
    v = s.vma[vma]
    if v.vm_flags & VM_ACCESS == 0:
        return BUG_NONE
    prepares = v.vm_flags & VM_WRITE != 0 and v.vm_flags & VM_SHARED == 0
    fresh = False
    vpn = start
    while vpn < end:
        found = next_pte(s, v.mm, vpn, end)
        if found > vpn and prepares:
            fresh = True
        if found == end:
            break
        pte = get_pte(s, v.mm, found)
        if pte & PTE_SWAP:
            bug = swapin_bug(s, vma, found, pte)
            if bug != BUG_NONE:
                cached = s.slot[pte >> PTE_SHIFT].page
                mapped = cached != NULL and s.page[cached].mapcount > 0
                if not fresh or v.anon_vma != NULL or mapped:
                    return bug
        elif prepares and pte & PTE_WRITE == 0:
            if pte & PTE_ZERO or not _exclusive(s, pte >> PTE_SHIFT):
                fresh = True
        vpn = found + 1
    return BUG_NONE
