"""Scheme `pte_chain`: each page knows its ptes, as in Linux 2.5 and 2.6.0 to 2.6.6.

A page mapped once holds its pte directly. From the second mapping on it has a chain of blocks of one cache line each:
free slots are in the head block only, filled from the last one down; full blocks follow. So a chain is a stack, newest
entry first, whose n entries take n / NRPTE blocks, rounded up. It is kept here as a linked list of entries that know
their place from the bottom and are found through a hash; the kernel compares one after the other, and
`rmap_remove_steps` counts what it compares.

Source: mm/rmap.c of Linux 2.6.0 to 2.6.6; in the series of May 2004 the anonymous side was the same until rmap 10.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..compiled import kernel
from ..layout import (
    NULL,
    PG_ANON,
    PG_ANON_KIND,
    PG_REFERENCED,
    PTE_PRESENT,
    PTE_SHIFT,
    PURPOSE_REFERENCED,
    PURPOSE_UNMAP,
    VM_LOCKED,
    VM_RESERVED,
    WALK_AGAIN,
    WALK_FAIL_LOCKED,
    WALK_NOT_REFERENCED,
    record,
)
from ..page_table import find_pte
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
from .description import Pool, Scheme
from .interface import register_scheme
from .walk_record import record_walk, swap_out_pte, test_and_clear_young, walk_outcome

PTE_ADDR = record(
    "mm",  # row of `mm`; NULL: a free row
    "vpn",
    narrow=(
        "page",
        "up",  # neighbours in the chain: newer,
        "down",  # and older
        "place",  # from the bottom of the chain, 1 and up
        "hash_next",  # chain in the hash. While free: next free row
    ),
)
"""One entry of a chain, or the direct one of a page: the pte at `vpn` of `mm` maps `page`."""

LINE_I386, LINE_X86_64 = 128, 64
"""Bytes of a cache line, and so of a block, unless the option ``pte_chain_line`` says otherwise: Pentium 4, Opteron."""

WORD_I386, WORD_X86_64 = 4, 8  # of a pte_addr_t; a block has one word for its list and the first slot in use


class PteChainTables(NamedTuple):
    """The scheme's own tables."""

    pte_addr: Any  # PTE_ADDR records


@kernel
def blocks_for(entries, line, word):
    """Return how many blocks of `line` bytes a chain of so many entries takes."""
    slots = (line - word) // word  # NRPTE
    return (entries + slots - 1) // slots


@kernel
def _line(s, usual):
    line = s.glob[0].pte_chain_line
    return line if line != 0 else usual


@kernel
def _count_blocks(s, before, after):
    """Count the blocks of a chain that had `before` entries and has `after`; return how many came on i386."""
    glob = s.glob[0]
    line = _line(s, LINE_I386)
    came = blocks_for(after, line, WORD_I386) - blocks_for(before, line, WORD_I386)
    glob.pte_chain_blocks_i386 += came
    line = _line(s, LINE_X86_64)
    glob.pte_chain_blocks_x86_64 += blocks_for(after, line, WORD_X86_64) - blocks_for(
        before, line, WORD_X86_64
    )
    return came


@kernel
def pte_addr_bucket(s, mm, vpn):
    """Return where in `ints` the hash chain of a pte begins."""
    glob = s.glob[0]
    return glob.pte_addr_base + (((mm * 0x9E3779B1) ^ (vpn * 0x85EBCA6B)) >> 7 & glob.pte_addr_mask)


@kernel
def hash_pte_addr(s, entry):
    """Put an entry into the hash."""
    e = s.rmap.pte_addr[entry]
    bucket = pte_addr_bucket(s, e.mm, e.vpn)
    e.hash_next = s.ints[bucket]
    s.ints[bucket] = entry


@kernel
def _unhash(s, entry):
    e = s.rmap.pte_addr[entry]
    bucket = pte_addr_bucket(s, e.mm, e.vpn)
    if s.ints[bucket] == entry:
        s.ints[bucket] = e.hash_next
        return
    before = s.ints[bucket]
    while s.rmap.pte_addr[before].hash_next != entry:
        before = np.int64(s.rmap.pte_addr[before].hash_next)
    s.rmap.pte_addr[before].hash_next = e.hash_next


@kernel
def find_pte_addr(s, mm, vpn):
    """Return the entry of the pte at `vpn` of `mm`, NULL if it maps no anonymous page."""
    entry = s.ints[pte_addr_bucket(s, mm, vpn)]
    while entry != NULL and (s.rmap.pte_addr[entry].mm != mm or s.rmap.pte_addr[entry].vpn != vpn):
        entry = np.int64(s.rmap.pte_addr[entry].hash_next)
    return entry


@kernel
def _push(s, page, mm, vpn):
    """Put an entry on top of the page's chain."""
    glob = s.glob[0]
    row = glob.pte_addr_free
    if row != NULL:
        glob.pte_addr_free = np.int64(s.rmap.pte_addr[row].hash_next)
        glob.pte_addr_n_free -= 1
    else:
        row = glob.pte_addr_top
        glob.pte_addr_top += 1
    p = s.page[page]
    e = s.rmap.pte_addr[row]
    e.mm = mm
    e.vpn = vpn
    e.page = page
    e.up = NULL
    e.down = p.chain
    e.place = p.mapcount + 1
    if p.chain != NULL:
        s.rmap.pte_addr[p.chain].up = row
    p.chain = row
    hash_pte_addr(s, row)
    glob.n_pte_addrs += 1


@kernel
def _take(s, page, entry):
    """Take an entry out of the page's chain; the top one takes its place."""
    glob = s.glob[0]
    p = s.page[page]
    e = s.rmap.pte_addr[entry]
    _unhash(s, entry)
    top = np.int64(p.chain)
    below = np.int64(s.rmap.pte_addr[top].down)
    if below != NULL:
        s.rmap.pte_addr[below].up = NULL
    p.chain = below
    if entry != top:
        t = s.rmap.pte_addr[top]
        t.up = e.up  # NULL by now if the entry was next to the top
        t.down = e.down
        t.place = e.place
        if t.up != NULL:
            s.rmap.pte_addr[t.up].down = top
        else:
            p.chain = top
        if t.down != NULL:
            s.rmap.pte_addr[t.down].up = top
    e.mm = NULL
    e.hash_next = glob.pte_addr_free
    glob.pte_addr_free = entry
    glob.pte_addr_n_free += 1
    glob.n_pte_addrs -= 1


@kernel
def _page_add_rmap(s, page, mm, vpn):
    """Let a page know of one more pte; return how many blocks were made on i386.

    Source: Linux 2.6.0, mm/rmap.c, ``page_add_rmap``.
    """
    glob = s.glob[0]
    p = s.page[page]
    _push(s, page, mm, vpn)
    p.mapcount += 1
    if p.mapcount == 1:
        p.pg_flags |= PG_ANON
        p.index = vpn
    glob.rmap_hot_ops += 1
    glob.rmap_adds += 1
    glob.pte_chain_longest = max(glob.pte_chain_longest, np.int64(p.mapcount))
    if p.mapcount == 1:
        return 0
    before = np.int64(p.mapcount) - 1 if p.is_chained else 0
    p.is_chained = 1
    return _count_blocks(s, before, np.int64(p.mapcount))


@kernel
def _forget(s, page, entry):
    """Take a pte away from what the page knows."""
    p = s.page[page]
    _take(s, page, entry)
    if p.is_chained:
        _count_blocks(s, np.int64(p.mapcount), np.int64(p.mapcount) - 1)
    p.mapcount -= 1
    if p.mapcount == 0:
        p.is_chained = 0
        p.pg_flags &= ~PG_ANON


@kernel
def _page_remove_rmap(s, page, mm, vpn):
    """Let a page forget a pte, looking for it from the top of its chain.

    Source: Linux 2.6.0, mm/rmap.c, ``page_remove_rmap``.
    """
    glob = s.glob[0]
    entry = find_pte_addr(s, mm, vpn)
    glob.rmap_hot_ops += 1
    glob.rmap_removes += 1
    glob.rmap_remove_steps += np.int64(s.page[page].mapcount) - np.int64(s.rmap.pte_addr[entry].place) + 1
    _forget(s, page, entry)


def page_add_anon_rmap(s, page, vma, vpn, exclusive):
    """Let a page know of the pte at `vpn` of the vma's mm."""
    s.glob[0].fault_objects += _page_add_rmap(s, page, s.vma[vma].mm, vpn)


def room_for_new_pages(s, vma):
    """Return how many entries there is room for, without making the chains of the hash long."""
    glob = s.glob[0]
    entries = glob.pte_addr_cap - glob.pte_addr_top + glob.pte_addr_n_free
    return max(0, min(entries, 2 * glob.pte_addr_mask - glob.n_pte_addrs))


def new_page_mapping(s, vma):
    """Return nothing: a page knows its ptes."""
    return 0, 0, 0


def map_new_page(s, page, vma, vpn, mapping):
    """Let a new page know of its first pte, which makes no block."""
    _page_add_rmap(s, page, s.vma[vma].mm, vpn)


def pages_mapped(s, vma, pages):
    """Do nothing: pages are counted one by one."""


def page_dup_rmap(s, page, vma, vpn):
    """Let a page know of the pte that fork made for the child.

    Source: Linux 2.6.0, mm/memory.c, ``copy_page_range``: ``page_add_rmap`` for each pte.
    """
    s.glob[0].fork_insertions += 1
    s.glob[0].fork_objects += _page_add_rmap(s, page, s.vma[vma].mm, vpn)


def page_remove_rmap(s, page, vma, vpn):
    """Let a page forget the pte at `vpn` of the vma's mm."""
    _page_remove_rmap(s, page, s.vma[vma].mm, vpn)


def move_pte(s, mm, vpn, new_vpn, pte):
    """Return a pte that moves as it is; its page forgets the old place and learns the new one.

    Source: Linux 2.6.0, mm/mremap.c, ``copy_one_pte``.
    """
    if pte & PTE_PRESENT:
        page = pte >> PTE_SHIFT
        if s.page[page].pg_flags & PG_ANON_KIND:
            _page_remove_rmap(s, page, mm, vpn)
            _page_add_rmap(s, page, mm, new_vpn)
    return pte


def page_referenced(s, page):
    """Return how many references to `page` there were: PG_referenced, and young ptes; every entry is visited.

    A chain with one entry left collapses to a direct pte.
    Source: Linux 2.6.0, mm/rmap.c, ``page_referenced``.
    """
    p = s.page[page]
    referenced = 1 if p.pg_flags & PG_REFERENCED else 0
    p.pg_flags &= ~PG_REFERENCED
    mapcount = np.int64(p.mapcount)
    if mapcount == 0:
        return referenced
    entry = np.int64(p.chain)
    while entry != NULL:
        e = s.rmap.pte_addr[entry]
        referenced += test_and_clear_young(s, find_pte(s, e.mm, e.vpn))
        entry = np.int64(e.down)
    if mapcount == 1 and p.is_chained:
        p.is_chained = 0
        _count_blocks(s, 1, 0)
    outcome = walk_outcome(PURPOSE_REFERENCED, WALK_NOT_REFERENCED, 0, referenced)
    misses = (0, 0, 0, 0, 0)
    record_walk(s, page, 0, PURPOSE_REFERENCED, mapcount, mapcount, mapcount, misses, mapcount, 0, outcome)
    return referenced


def try_to_unmap(s, page, slot, force):
    """Turn the ptes of `page` into entries of `slot`, top of the chain first, up to a locked vma; return WALK_*.

    Young bits do not stop it, in contrast to the later schemes. With `force` (the recorder saw the page leave) locked
    vmas do not either.

    Source: Linux 2.6.0, mm/rmap.c, ``try_to_unmap``, ``try_to_unmap_one``: ``find_vma`` for each entry.
    """
    glob = s.glob[0]
    p = s.page[page]
    mapcount = np.int64(p.mapcount)
    visited = 0
    ended = WALK_AGAIN
    while p.mapcount > 0:
        entry = np.int64(p.chain)
        e = s.rmap.pte_addr[entry]
        mm, vpn = e.mm, e.vpn
        visited += 1
        glob.find_vma_calls += 1
        if not force and s.vma[find_vma(s, mm, vpn)].vm_flags & (VM_LOCKED | VM_RESERVED):
            ended = WALK_FAIL_LOCKED
            break
        swap_out_pte(s, page, mm, find_pte(s, mm, vpn), slot)
        _forget(s, page, entry)
    outcome = walk_outcome(PURPOSE_UNMAP, ended, np.int64(p.mapcount), 0)
    record_walk(s, page, 0, PURPOSE_UNMAP, mapcount, mapcount, visited, (0, 0, 0, 0, 0), visited, 0, outcome)
    return outcome


def page_reachable(s, page, vma, vpn):
    """Return 1: a page knows all its ptes."""
    return 1


def rehash_rmap(s):
    """Put all entries into the hash, which is empty."""
    for entry in range(1, s.glob[0].pte_addr_top):
        if s.rmap.pte_addr[entry].mm != NULL:
            hash_pte_addr(s, entry)


def rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few):
    """Return whether there is room for entries of so many pages and ptes; a walk visits as many as a page has."""
    glob = s.glob[0]
    glob.pte_addr_need = n_pages + n_ptes + few
    glob.visited_need = max(glob.visited_need, glob.pte_chain_longest + few)
    return (
        glob.pte_addr_cap - glob.pte_addr_top + glob.pte_addr_n_free >= glob.pte_addr_need
        and glob.n_pte_addrs <= 2 * glob.pte_addr_mask
        and glob.visited_cap >= glob.visited_need
    )


def settle_peaks(s):
    """Bring blocks and overhead up to date when an event is over."""
    glob = s.glob[0]
    glob.pte_chain_blocks_i386_peak = max(glob.pte_chain_blocks_i386_peak, glob.pte_chain_blocks_i386)
    glob.pte_chain_blocks_x86_64_peak = max(glob.pte_chain_blocks_x86_64_peak, glob.pte_chain_blocks_x86_64)
    glob.overhead_i386 = _line(s, LINE_I386) * glob.pte_chain_blocks_i386
    glob.overhead_x86_64 = _line(s, LINE_X86_64) * glob.pte_chain_blocks_x86_64


_BLOCKS = (
    "pte_chain_blocks_i386",  # now
    "pte_chain_blocks_i386_peak",
    "pte_chain_blocks_x86_64",
    "pte_chain_blocks_x86_64_peak",
)
_COUNTS = (
    "rmap_adds",
    "rmap_removes",
    "rmap_remove_steps",  # entries compared by removals
    "find_vma_calls",  # of walks
    "pte_chain_longest",  # most ptes that a page ever had
)

SCHEME = Scheme(
    tables=PteChainTables,
    pools={"pte_addr": Pool(PTE_ADDR, 1 << 14)},
    hashes=("pte_addr",),
    glob_fields=("pte_chain_line", *_BLOCKS, *_COUNTS),
    page_fields=("chain", "is_chained"),
    extra=(*_BLOCKS, *_COUNTS),
    follows_pgoff=False,
)
register_scheme(SCHEME, sys.modules[__name__])
