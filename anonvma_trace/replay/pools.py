"""Rows for new objects: from the free list, else from above the highest row ever used.

Rows of pages are the other way round, since there are so many that their order counts: pages that are used together
should lie together. Were they given out again as they come back, they would lie all over the table after some million
faults, and each fault would cost up to twice as much. So the room that there is is used up first, rows come back at
the end of the list, and that is put in order from time to time (`sort_free_pages`).

None of these checks for room: the event loop made sure of it before the event began (`headroom`).
"""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL, PT_STRIDE


@kernel
def alloc_vma(s):
    """Return a row of `vma` with a new id; all its fields are to be set by the caller."""
    glob = s.glob[0]
    row = glob.vma_free
    if row != NULL:
        glob.vma_free = s.vma[row].start
        glob.vma_n_free -= 1
    else:
        row = glob.vma_top
        glob.vma_top += 1
    glob.vma_id += 1
    s.vma[row].id = glob.vma_id
    return row


@kernel
def free_vma(s, vma):
    """Give a row of `vma` back."""
    glob = s.glob[0]
    s.vma[vma].mm = NULL
    s.vma[vma].start = glob.vma_free
    glob.vma_free = vma
    glob.vma_n_free += 1


@kernel
def alloc_page_row(s):
    """Return a row of `page`; all its fields are to be set by the caller."""
    glob = s.glob[0]
    row = glob.page_top
    if row < glob.page_cap:
        glob.page_top += 1
    else:
        row = glob.page_free
        glob.page_free = s.page[row].lru_next
        glob.page_n_free -= 1
    return row


@kernel
def free_page_row(s, page):
    """Give a row of `page` back."""
    glob = s.glob[0]
    s.page[page].serial = 0
    s.page[page].mapcount = 0
    s.page[page].pg_flags = 0
    s.page[page].lru_next = NULL
    if glob.page_free == NULL:
        glob.page_free = page
    else:
        s.page[glob.page_free_last].lru_next = page
    glob.page_free_last = page
    glob.page_n_free += 1


@kernel
def sort_free_pages(s):
    """Link the free rows of `page` in their order, if as many came back since the last time as there are rows."""
    glob = s.glob[0]
    if glob.pages_freed - glob.pages_freed_when_sorted < glob.page_top:
        return
    glob.pages_freed_when_sorted = glob.pages_freed
    following = last = NULL
    for row in range(glob.page_top - 1, NULL, -1):
        if s.page[row].serial == 0:
            if last == NULL:
                last = row
            s.page[row].lru_next = following
            following = row
    glob.page_free, glob.page_free_last = following, last


@kernel
def alloc_slot(s, page):
    """Return a new swap slot that holds `page` in the swap cache: its use count is 1."""
    glob = s.glob[0]
    row = glob.slot_free
    if row != NULL:
        glob.slot_free = s.slot[row].next_free
        glob.slot_n_free -= 1
    else:
        row = glob.slot_top
        glob.slot_top += 1
    glob.slot_id += 1
    slot = s.slot[row]
    slot.id = glob.slot_id
    slot.map = 1
    slot.page = page
    return row


@kernel
def free_slot(s, slot):
    """Give a swap slot back."""
    glob = s.glob[0]
    s.slot[slot].map = 0
    s.slot[slot].page = NULL
    s.slot[slot].next_free = glob.slot_free
    glob.slot_free = slot
    glob.slot_n_free += 1


@kernel
def alloc_mm(s, owner):
    """Return a new empty mm with one user."""
    glob = s.glob[0]
    row = glob.mm_free
    if row != NULL:
        glob.mm_free = s.mm[row].next_free
        glob.mm_n_free -= 1
    else:
        row = glob.mm_top
        glob.mm_top += 1
    mm = s.mm[row]
    mm.owner = owner
    mm.first = NULL
    mm.root = NULL
    mm.mmap_cache = NULL
    mm.n_vmas = 0
    mm.rss = 0
    mm.brk_start = -1
    mm.brk = -1
    mm.users = 1
    mm.known = 0
    mm.pgd = NULL
    mm.pt_height = 0
    mm.leaf_key = 0
    mm.leaf_block = NULL
    mm.n_blocks = 0
    return row


@kernel
def free_mm(s, mm):
    """Give an mm back, which has neither vmas nor page tables any more."""
    glob = s.glob[0]
    s.mm[mm].users = 0
    s.mm[mm].next_free = glob.mm_free
    glob.mm_free = mm
    glob.mm_n_free += 1


@kernel
def alloc_block(s):
    """Return an empty page-table block."""
    glob = s.glob[0]
    row = glob.block_free
    if row != NULL:
        glob.block_free = s.pt[row * PT_STRIDE]
        glob.block_n_free -= 1
        s.pt[row * PT_STRIDE] = 0
    else:
        row = glob.block_top
        glob.block_top += 1
    return row


@kernel
def free_block(s, block):
    """Give an empty page-table block back."""
    glob = s.glob[0]
    s.pt[block * PT_STRIDE] = glob.block_free
    glob.block_free = block
    glob.block_n_free += 1
