"""The vmas of an mm: in address order, and in a search tree (the kernel's mm_rb).

The tree is a treap over `start` whose priorities are a hash of the row: balanced in expectation, and
deterministic. Boundary shifts change a vma's `start` without changing the order, so they need no call.
"""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL


@kernel
def priority(row):
    """Return a hash of a row, 31 bits (multipliers below 2**32 keep every product within int64)."""
    x = (row * 0x9E3779B1) & 0x7FFFFFFF
    x ^= x >> 15
    x = (x * 0x85EBCA6B) & 0x7FFFFFFF
    return x ^ (x >> 13)


@kernel
def find_vma(s, mm, vpn):
    """Return the first vma that ends above `vpn`, or NULL.

    Source: mm/mmap.c, ``find_vma``, with its one-entry cache.
    """
    vma = s.vma
    cached = s.mm[mm].mmap_cache
    if cached != NULL and vma[cached].start <= vpn and vpn < vma[cached].end:
        return cached
    found = NULL
    node = s.mm[mm].root
    while node != NULL:
        if vma[node].end > vpn:
            found = node
            if vma[node].start <= vpn:
                break
            node = vma[node].left
        else:
            node = vma[node].right
    if found != NULL:
        s.mm[mm].mmap_cache = found
    return found


@kernel
def last_vma(s, mm):
    """Return the vma at the highest address, or NULL."""
    node = s.mm[mm].root
    if node != NULL:
        while s.vma[node].right != NULL:
            node = s.vma[node].right
    return node


@kernel
def vma_before(s, mm, vpn):
    """Return the last vma that ends at or below `vpn`, or NULL (``find_vma_prev``)."""
    found = find_vma(s, mm, vpn)
    return last_vma(s, mm) if found == NULL else s.vma[found].prev


@kernel
def index_insert(s, mm, new):
    """Put a vma into the order and the tree of its mm; it must overlap none there."""
    vma = s.vma
    key = vma[new].start
    # Order: walk down to a leaf position to learn the neighbours.
    before, after = NULL, NULL
    node = s.mm[mm].root
    while node != NULL:
        if vma[node].start < key:
            before = node
            node = vma[node].right
        else:
            after = node
            node = vma[node].left
    vma[new].prev = before
    vma[new].next = after
    if before == NULL:
        s.mm[mm].first = new
    else:
        vma[before].next = new
    if after != NULL:
        vma[after].prev = new
    # Tree: down to where the new node's priority belongs, then split what hangs there.
    rank = priority(new)
    parent = NULL
    node = s.mm[mm].root
    while node != NULL and priority(node) >= rank:
        parent = node
        node = vma[node].left if key < vma[node].start else vma[node].right
    if parent == NULL:
        s.mm[mm].root = new
    elif key < vma[parent].start:
        vma[parent].left = new
    else:
        vma[parent].right = new
    vma[new].left = NULL
    vma[new].right = NULL
    low, high = new, new  # where the next smaller and the next larger subtree is hung
    while node != NULL:
        if vma[node].start < key:
            if low == new:
                vma[new].left = node
            else:
                vma[low].right = node
            low = node
            node = vma[node].right
        else:
            if high == new:
                vma[new].right = node
            else:
                vma[high].left = node
            high = node
            node = vma[node].left
    if low != new:
        vma[low].right = NULL
    if high != new:
        vma[high].left = NULL


@kernel
def index_remove(s, mm, old):
    """Take a vma out of the order and the tree of its mm."""
    vma = s.vma
    before, after = vma[old].prev, vma[old].next
    if before == NULL:
        s.mm[mm].first = after
    else:
        vma[before].next = after
    if after != NULL:
        vma[after].prev = before
    if s.mm[mm].mmap_cache == old:
        s.mm[mm].mmap_cache = NULL
    key = vma[old].start
    parent = NULL
    node = s.mm[mm].root
    while node != old:
        parent = node
        node = vma[node].left if key < vma[node].start else vma[node].right
    # Merge both subtrees into the place of the removed node.
    left, right = vma[old].left, vma[old].right
    side_left = parent != NULL and vma[parent].left == old
    while True:
        if left == NULL or (right != NULL and priority(right) >= priority(left)):
            top = right
        else:
            top = left
        if parent == NULL:
            s.mm[mm].root = top
        elif side_left:
            vma[parent].left = top
        else:
            vma[parent].right = top
        if left == NULL or right == NULL:
            break
        parent = top
        if top == left:
            side_left = False
            left = vma[top].right
        else:
            side_left = True
            right = vma[top].left
