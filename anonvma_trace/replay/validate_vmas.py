"""Checks of the vmas of every mm: in order, disjoint, in its tree, and each as far from its pgoff as it must be."""

from __future__ import annotations

from .breaches import compare, tell
from .compiled import kernel
from .invariants import (
    FIGURE,
    FIGURE_VMAS,
    MMAP_CACHE,
    SLIDE_CHANGED,
    SLIDE_STRANGE,
    TREE_ORDER,
    TREE_ROW,
    TREE_WEIGHT,
    VMA_BOUNDS,
    VMA_COUNT,
    VMA_NOWHERE,
    VMA_ORDER,
    VMA_PREV,
)
from .layout import NULL, VM_SHARED
from .vma_index import priority


@kernel
def validate_vmas(s, c):
    """Check lists and trees of all mms, and that no vma is outside them."""
    glob = s.glob[0]
    for mm in range(1, glob.mm_top):
        if s.mm[mm].users != 0:
            _validate_order(s, c, mm)
            _validate_tree(s, c, mm)
    live = 0
    for vma in range(1, glob.vma_top):
        if s.vma[vma].mm != NULL:
            live += 1
            if c.vma[vma].mm == NULL:
                tell(c, VMA_NOWHERE, s.vma[vma].id, 0, 0, 0, 0, 0)
    compare(c, FIGURE, FIGURE_VMAS, glob.vmas_live, live)


@kernel
def standing(s, c, mm, vma):
    """Return `vma` if the list of `mm` was found to hold it, else NULL."""
    if vma < 1 or vma >= s.glob[0].vma_top or c.vma[vma].mm != mm:
        return NULL
    return vma


@kernel
def _validate_order(s, c, mm):
    m = s.mm[mm]
    before, vma, n = NULL, m.first, 0
    while vma != NULL:
        if vma < 1 or vma >= s.glob[0].vma_top or s.vma[vma].mm != mm or c.vma[vma].mm != NULL:
            tell(c, VMA_ORDER, mm, vma, m.owner, 0, 0, 0)
            break
        c.vma[vma].mm = mm
        v = s.vma[vma]
        if v.prev != before:
            tell(c, VMA_PREV, v.id, 0, m.owner, v.start, 0, 0)
        if v.start < 0 or v.start >= v.end or (before != NULL and s.vma[before].end > v.start):
            tell(c, VMA_BOUNDS, v.id, 0, m.owner, v.start, 0, 0)
        before = vma
        vma = v.next
        n += 1
    if n != m.n_vmas:
        tell(c, VMA_COUNT, mm, 0, m.owner, 0, m.n_vmas, n)


@kernel
def _validate_tree(s, c, mm):
    """Go through the tree in order, beside the list; children may not outweigh their parents."""
    m = s.mm[mm]
    expected, node, depth = m.first, m.root, 0
    while node != NULL or depth > 0:
        if node != NULL:
            if standing(s, c, mm, node) == NULL or c.vma[node].treed:
                tell(c, TREE_ROW, mm, node, m.owner, 0, 0, 0)
                return
            c.vma[node].treed = 1
            v = s.vma[node]
            for child in (v.left, v.right):
                if standing(s, c, mm, child) != NULL and priority(child) > priority(node):
                    tell(c, TREE_WEIGHT, v.id, 0, m.owner, v.start, 0, 0)
            c.stack[depth] = node
            depth += 1
            node = v.left
        else:
            depth -= 1
            node = c.stack[depth]
            if node != expected:
                break
            expected = s.vma[node].next
            node = s.vma[node].right
    if node != NULL or (expected != NULL and standing(s, c, mm, expected) != NULL):
        at = s.vma[node if node != NULL else expected].start
        tell(c, TREE_ORDER, mm, 0, m.owner, at, 0, 0)
    if m.mmap_cache != NULL and standing(s, c, mm, m.mmap_cache) == NULL:
        tell(c, MMAP_CACHE, mm, m.mmap_cache, m.owner, 0, 0, 0)


@kernel
def validate_slides(s, c):
    """Check how far ``vm_pgoff`` is from the address of each vma, by what the last check saw.

    That difference stays for as long as the vma stands, through splits, shifts, merges and stack growth. A new private
    anonymous vma has none, or that of a vma that stood: it was split off or copied by fork.
    """
    for vma in range(1, s.glob[0].vma_top):
        v, last = s.vma[vma], c.vma[vma]
        if v.mm == NULL or (c.check[0].slides == 0 and v.file == 0):
            continue
        slide = v.pgoff - v.start
        if last.id == v.id:
            if last.slide != slide:
                tell(c, SLIDE_CHANGED, v.id, 0, s.mm[v.mm].owner, v.start, last.slide, slide)
        elif slide != 0 and v.file == 0 and v.vm_flags & VM_SHARED == 0 and c.check[0].moved == 0:
            if not _stood(s, c, slide):
                tell(c, SLIDE_STRANGE, v.id, 0, s.mm[v.mm].owner, v.start, slide, 0)


@kernel
def _stood(s, c, slide):
    """Return whether after the last check a vma stood with this difference."""
    for vma in range(1, s.glob[0].vma_top):  # noqa: SIM110 - numba knows no generator expression
        if c.vma[vma].id != 0 and c.vma[vma].slide == slide:
            return True
    return False


@kernel
def remember_slides(s, c):
    """Keep where every vma stands, for the next check."""
    for vma in range(1, s.glob[0].vma_top):
        v, last = s.vma[vma], c.vma[vma]
        last.id = v.id if v.mm != NULL else 0
        last.slide = v.pgoff - v.start
    c.check[0].moved = 0
