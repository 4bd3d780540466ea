"""Checks of the page tables: sound blocks, and ptes that hold only what their vma may hold."""

from __future__ import annotations

import numpy as np

from .breaches import tell
from .compiled import kernel
from .invariants import (
    BLOCK_COUNT,
    BLOCK_ROW,
    BLOCK_USED,
    LEAF_CACHE,
    MAPPED_TWICE,
    PTE_COW,
    PTE_FORM,
    PTE_KIND,
    PTE_OUTSIDE,
    PTE_ROW,
    PTE_WRITABLE,
    RSS,
)
from .layout import (
    NULL,
    PG_ANON_KIND,
    PT_BITS,
    PT_ENTRIES,
    PT_LEVELS,
    PT_STRIDE,
    PT_USED,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_ZERO,
    VM_SHARED,
    VM_WRITE,
)
from .schemes.interface import validate_anon_pte
from .validate_vmas import standing

# The way down a page table: for each level, in `stack`.
_BLOCK, _ENTRY, _USED, _BASE, _WORDS = range(5)
_GROUP = 8


@kernel
def validate_page_tables(s, c):
    """Check the page tables of all mms, counting ptes for the checks that follow."""
    for mm in range(1, s.glob[0].mm_top):
        m = s.mm[mm]
        if m.users == 0:
            continue
        blocks = _validate_page_table(s, c, mm)
        if blocks != m.n_blocks:
            tell(c, BLOCK_COUNT, mm, 0, m.owner, 0, m.n_blocks, blocks)
        if c.mm[mm].ptes != m.rss:
            tell(c, RSS, mm, 0, m.owner, 0, m.rss, c.mm[mm].ptes)


@kernel
def _enter_block(s, c, mm, block, level, base):
    """Begin with a block on the way down; return whether there is such a block, met for the first time."""
    if block < 1 or block >= s.glob[0].block_top or c.block[block].met:
        tell(c, BLOCK_ROW, mm, block, s.mm[mm].owner, base, 0, 0)
        return False
    c.block[block].met = 1
    at = level * _WORDS
    c.stack[at + _BLOCK] = block
    c.stack[at + _ENTRY] = 0
    c.stack[at + _USED] = 0
    c.stack[at + _BASE] = base
    return True


@kernel
def _leave_block(s, c, mm, block, used):
    """End with a block: compare its count of entries; an empty one should not be there."""
    if s.pt[block * PT_STRIDE + PT_USED] != used or used == 0:
        tell(c, BLOCK_USED, mm, block, s.mm[mm].owner, 0, s.pt[block * PT_STRIDE + PT_USED], used)


@kernel
def _validate_page_table(s, c, mm):
    """Go through all blocks of a page table, addresses ascending; return how many there are."""
    m = s.mm[mm]
    height = m.pt_height
    if height == 0 and m.pgd == NULL:
        if m.leaf_key != 0:
            tell(c, LEAF_CACHE, mm, 0, m.owner, (m.leaf_key - 1) << PT_BITS, 0, 0)
        return 0
    if height < 1 or height > PT_LEVELS or not _enter_block(s, c, mm, m.pgd, height, 0):
        tell(c, BLOCK_ROW, mm, m.pgd, m.owner, 0, 0, 0)
        return 0
    blocks = 1
    vma = standing(s, c, mm, m.first)
    remembered = m.leaf_key == 0
    level = height
    while level <= height:
        at = level * _WORDS
        block, entry, base = c.stack[at + _BLOCK], c.stack[at + _ENTRY], c.stack[at + _BASE]
        if level == 1:
            if m.leaf_key == (base >> PT_BITS) + 1 and m.leaf_block == block:
                remembered = True
            vma = _validate_leaf(s, c, mm, block, base, vma)
            level += 1
            continue
        while entry < PT_ENTRIES and s.pt[block * PT_STRIDE + entry] == NULL:
            entry += 1
        c.stack[at + _ENTRY] = entry + 1
        if entry == PT_ENTRIES:
            _leave_block(s, c, mm, block, c.stack[at + _USED])
            level += 1
            continue
        c.stack[at + _USED] += 1
        below = base + (entry << (PT_BITS * (level - 1)))
        if _enter_block(s, c, mm, s.pt[block * PT_STRIDE + entry], level - 1, below):
            blocks += 1
            level -= 1
    if not remembered:
        tell(c, LEAF_CACHE, mm, 0, m.owner, (m.leaf_key - 1) << PT_BITS, 0, 0)
    return blocks


@kernel
def _validate_leaf(s, c, mm, block, base, vma):
    """Check the ptes of a block; `vma` and what is returned are the first vma that may hold the next one."""
    used, present = 0, 0
    first = block * PT_STRIDE
    for group in range(0, PT_ENTRIES, _GROUP):
        if not _any_entry(s, first + group):
            continue
        for entry in range(group, group + _GROUP):
            pte = s.pt[first + entry]
            if pte == 0:
                continue
            used += 1
            vpn = base + entry
            while vma != NULL and s.vma[vma].end <= vpn:
                vma = standing(s, c, mm, s.vma[vma].next)
            if vma == NULL or s.vma[vma].start > vpn:
                tell(c, PTE_OUTSIDE, mm, vpn, s.mm[mm].owner, vpn, 0, 0)
                present += _validate_pte(s, c, mm, NULL, vpn, pte)
            else:
                present += _validate_pte(s, c, mm, vma, vpn, pte)
    c.mm[mm].ptes += present
    _leave_block(s, c, mm, block, used)
    return vma


@kernel
def _any_entry(s, at):
    """Return whether any of the _GROUP entries from `at` on is not none: most are, and this is most of the work."""
    pt = s.pt
    low = pt[at] | pt[at + 1] | pt[at + 2] | pt[at + 3]
    high = pt[at + 4] | pt[at + 5] | pt[at + 6] | pt[at + 7]
    return low | high != 0


@kernel
def _validate_pte(s, c, mm, vma, vpn, pte):
    """Check one pte and count it with its page or swap slot; return 1 for a present one, else 0.

    `vma` is NULL where none holds it; then only the count is taken.
    """
    row = pte >> PTE_SHIFT
    kind = pte & (PTE_PRESENT | PTE_SWAP | PTE_ZERO)
    v = s.vma[vma]
    if kind == PTE_PRESENT:
        if row < 1 or row >= s.glob[0].page_top or s.page[row].serial == 0:
            tell(c, PTE_ROW, mm, vpn, s.mm[mm].owner, vpn, row, 0)
            return 0
        p, found = s.page[row], c.page[row]
        found.ptes += 1
        if p.pg_flags & PG_ANON_KIND == 0:
            if vma != NULL and (p.slot != v.file or p.index != v.pgoff + (vpn - v.start)):
                tell(c, PTE_KIND, mm, vpn, s.mm[mm].owner, vpn, 0, 0)
            return 1
        if found.mm == mm:
            tell(c, MAPPED_TWICE, np.int64(p.serial), mm, s.mm[mm].owner, vpn, 0, 0)
        found.mm = mm
        if vma != NULL:
            if v.vm_flags & VM_SHARED:
                tell(c, PTE_KIND, mm, vpn, s.mm[mm].owner, vpn, 0, 0)
            if pte & PTE_WRITE:
                _validate_writable(s, c, vma, vpn, row)
            validate_anon_pte(s, c, vma, vpn, row)
        return 1
    if kind == PTE_SWAP:
        if row < 1 or row >= s.glob[0].slot_top or s.slot[row].map == 0:
            tell(c, PTE_ROW, mm, vpn, s.mm[mm].owner, vpn, row, 0)
            return 0
        c.slot[row].ptes += 1
        if vma != NULL:
            if v.vm_flags & VM_SHARED:
                tell(c, PTE_KIND, mm, vpn, s.mm[mm].owner, vpn, 0, 0)
            validate_anon_pte(s, c, vma, vpn, NULL)
    elif kind != PTE_ZERO or row != NULL:
        tell(c, PTE_FORM, mm, vpn, s.mm[mm].owner, vpn, pte, 0)
    elif vma != NULL and v.file != 0:
        tell(c, PTE_KIND, mm, vpn, s.mm[mm].owner, vpn, 0, 0)
    return 0


@kernel
def _validate_writable(s, c, vma, vpn, page):
    """Check that an anonymous page can be written only where its vma allows it and nobody shares the page."""
    p, v = s.page[page], s.vma[vma]
    if v.vm_flags & VM_WRITE == 0:
        tell(c, PTE_WRITABLE, v.mm, vpn, s.mm[v.mm].owner, vpn, 0, 0)
    in_swap = p.slot > 0 and p.slot < s.glob[0].slot_top and s.slot[p.slot].map != 1
    if p.mapcount != 1 or in_swap:
        tell(c, PTE_COW, np.int64(p.serial), v.mm, s.mm[v.mm].owner, vpn, 0, 0)
