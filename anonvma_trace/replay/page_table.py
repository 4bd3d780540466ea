"""Page tables: blocks of 512 entries under a top block whose height grows with the addresses in use.

An absent block stands for 512 absent entries, so sparse mappings of many TiB cost nothing. A block that
holds no entry any more is freed at once.
"""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL, PT_BITS, PT_ENTRIES, PT_STRIDE, PT_USED
from .pools import alloc_block, free_block


@kernel
def find_pte(s, mm, vpn):
    """Return where in `pt` the entry of `vpn` lies, or 0 if its block is absent."""
    m = s.mm[mm]
    key = (vpn >> PT_BITS) + 1
    if m.leaf_key == key:
        return m.leaf_block * PT_STRIDE + (vpn & (PT_ENTRIES - 1))
    level = m.pt_height
    if level == 0 or vpn >> (PT_BITS * level) != 0:
        return 0
    block = m.pgd
    while level > 1:
        level -= 1
        block = s.pt[block * PT_STRIDE + ((vpn >> (PT_BITS * level)) & (PT_ENTRIES - 1))]
        if block == NULL:
            return 0
    m.leaf_key = key
    m.leaf_block = block
    return block * PT_STRIDE + (vpn & (PT_ENTRIES - 1))


@kernel
def get_pte(s, mm, vpn):
    """Return the pte of `vpn`; 0 if there is none."""
    at = find_pte(s, mm, vpn)
    return s.pt[at] if at != 0 else 0


@kernel
def set_pte(s, mm, vpn, pte):
    """Set the pte of `vpn` to something other than none; blocks are made as needed."""
    at = leaf_of(s, mm, vpn)
    if s.pt[at] == 0:
        s.pt[at - (vpn & (PT_ENTRIES - 1)) + PT_USED] += 1
    s.pt[at] = pte


@kernel
def _make_pte(s, mm, vpn):
    """Make the blocks above `vpn` and return where its entry lies."""
    m = s.mm[mm]
    if m.pt_height == 0:  # as high as needed at once: a low block would stay empty, and never be freed
        m.pgd = alloc_block(s)
        m.n_blocks += 1
        m.pt_height = 1
        while vpn >> (PT_BITS * m.pt_height) != 0:
            m.pt_height += 1
    while vpn >> (PT_BITS * m.pt_height) != 0:
        top = alloc_block(s)
        m.n_blocks += 1
        s.pt[top * PT_STRIDE] = m.pgd
        s.pt[top * PT_STRIDE + PT_USED] = 1
        m.pgd = top
        m.pt_height += 1
    block = m.pgd
    level = m.pt_height
    while level > 1:
        level -= 1
        at = block * PT_STRIDE + ((vpn >> (PT_BITS * level)) & (PT_ENTRIES - 1))
        if s.pt[at] == NULL:
            s.pt[at] = alloc_block(s)
            m.n_blocks += 1
            s.pt[block * PT_STRIDE + PT_USED] += 1
        block = s.pt[at]
    m.leaf_key = (vpn >> PT_BITS) + 1
    m.leaf_block = block
    return block * PT_STRIDE + (vpn & (PT_ENTRIES - 1))


@kernel
def clear_pte(s, mm, vpn):
    """Set the pte of `vpn`, which is there, to none; blocks that become empty are freed."""
    s.pt[find_pte(s, mm, vpn)] = 0
    count_leaf_entries(s, mm, vpn, -1)


@kernel
def end_of_leaf(vpn, end):
    """Return the end of the part of [vpn, end) whose entries lie in one block."""
    return min(end, (vpn | (PT_ENTRIES - 1)) + 1)


@kernel
def count_leaf_entries(s, mm, vpn, change):
    """Count entries that were set or, where `change` is negative, cleared in the block that holds `vpn`."""
    used = find_pte(s, mm, vpn) - (vpn & (PT_ENTRIES - 1)) + PT_USED
    s.pt[used] += change
    if s.pt[used] == 0:
        _free_empty_blocks(s, mm, vpn)


@kernel
def leaf_of(s, mm, vpn):
    """Return where in `pt` the entry of `vpn` lies; blocks are made as needed, but no entry is counted."""
    at = find_pte(s, mm, vpn)
    return _make_pte(s, mm, vpn) if at == 0 else at


@kernel
def _free_empty_blocks(s, mm, vpn):
    """Free the leaf block of `vpn` and every block above it that holds nothing else.

    An empty block's parent is looked up again from the top for each level: this happens once for 512
    entries, and the kernel's page tables keep no way up either.
    """
    m = s.mm[mm]
    m.leaf_key = 0
    for depth in range(1, m.pt_height + 1):  # height of the block to look at, from the leaf
        block = m.pgd
        above = 0
        level = m.pt_height
        while level > depth:
            level -= 1
            above = block * PT_STRIDE + ((vpn >> (PT_BITS * level)) & (PT_ENTRIES - 1))
            block = s.pt[above]
        if s.pt[block * PT_STRIDE + PT_USED] != 0:
            return
        free_block(s, block)
        m.n_blocks -= 1
        if above == 0:
            m.pgd = NULL
            m.pt_height = 0
            return
        s.pt[above] = NULL
        s.pt[above // PT_STRIDE * PT_STRIDE + PT_USED] -= 1


@kernel
def next_pte(s, mm, vpn, end):
    """Return the first page in [vpn, end) whose pte is not none, or `end`."""
    m = s.mm[mm]
    while vpn < end:
        level = m.pt_height
        if level == 0 or vpn >> (PT_BITS * level) != 0:
            return end
        at = find_pte(s, mm, vpn)
        if at == 0:
            vpn = _skip_absent(s, mm, vpn)
            continue
        stop = end_of_leaf(vpn, end)
        while vpn < stop:
            if s.pt[at] != 0:
                return vpn
            at += 1
            vpn += 1
    return end


@kernel
def _skip_absent(s, mm, vpn):
    """Return the first page behind the absent block that would hold `vpn`."""
    block = s.mm[mm].pgd
    level = s.mm[mm].pt_height
    while level > 1:
        level -= 1
        block = s.pt[block * PT_STRIDE + ((vpn >> (PT_BITS * level)) & (PT_ENTRIES - 1))]
        if block == NULL:
            break
    return ((vpn >> (PT_BITS * level)) + 1) << (PT_BITS * level)
