"""Page-cache pages, found by file and place in it; each exists only while it is mapped.

Source: mm/filemap.c, as far as reverse mapping sees it.
"""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .layout import NULL
from .pools import alloc_page_row, free_page_row


@kernel
def _bucket(s, file, index):
    glob = s.glob[0]
    mixed = ((file & 0x7FFFFFFF) * 0x9E3779B1) ^ ((index & 0x7FFFFFFF) * 0x85EBCA6B) ^ (index >> 31)
    return glob.file_base + ((mixed >> 7) & glob.file_mask)


@kernel
def hash_file_page(s, page):
    """Put a page of a file into the hash."""
    p = s.page[page]
    bucket = _bucket(s, np.int64(p.slot), p.index)
    p.lru_next = s.ints[bucket]
    s.ints[bucket] = page


@kernel
def find_file_page(s, file, index):
    """Return the mapped page of a file at `index`, or NULL (``find_get_page``)."""
    page = s.ints[_bucket(s, file, index)]
    while page != NULL:
        p = s.page[page]
        if p.index == index and p.slot == file:
            return page
        page = np.int64(p.lru_next)
    return NULL


@kernel
def file_page(s, file, index, proc, vpn):
    """Return the page of a file at `index`; one that nobody maps yet is made."""
    page = find_file_page(s, file, index)
    if page == NULL:
        glob = s.glob[0]
        page = alloc_page_row(s)
        glob.file_page_serial += 1
        glob.n_file_pages += 1
        p = s.page[page]
        p.index = index
        p.first_vpn = vpn
        p.mapping = NULL
        p.mapping_id = 0
        p.mapcount = 0
        p.pg_flags = 0
        p.slot = file
        p.lru_prev = NULL
        p.proc = proc
        p.serial = -glob.file_page_serial
        hash_file_page(s, page)
    return page


@kernel
def drop_file_page(s, page):
    """Forget a page of a file that nobody maps any more."""
    p = s.page[page]
    bucket = _bucket(s, np.int64(p.slot), p.index)
    if s.ints[bucket] == page:
        s.ints[bucket] = p.lru_next
    else:
        before = s.ints[bucket]
        while s.page[before].lru_next != page:
            before = np.int64(s.page[before].lru_next)
        s.page[before].lru_next = p.lru_next
    s.glob[0].n_file_pages -= 1
    free_page_row(s, page)
