"""The invariants of scheme `pte_chain`: every pte of an anonymous page is in the page's chain, and nothing else is."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..breaches import compare, tell
from ..compiled import kernel
from ..invariants import (
    BREACHES,
    FREE_COUNT,
    FREE_ROW,
    HASH_COUNT,
    HASH_ENTRY,
    MAPPED_NO_MAPPING,
    OWN_HASH,
    OWN_POOL,
    UNMAPPED_MAPPING,
)
from ..layout import NULL, PG_ANON, PG_ANON_KIND, State, record
from ..table import Table
from ..validate_pools import validate_top
from .interface import register_checks
from .pte_chain import (
    LINE_I386,
    LINE_X86_64,
    SCHEME,
    WORD_I386,
    WORD_X86_64,
    blocks_for,
    pte_addr_bucket,
)

OWN_BREACHES: tuple[tuple[str, str], ...] = (
    ("chain", "the chain of page {key} leads to row {other}, which is no entry of it, or met before"),
    ("chain", "entry {other} in the chain of page {key} does not know its place or its neighbours"),
    ("chain", "page {key} has {a} entries in its chain, {b} ptes hold it"),
    ("chain", "pid {pid}: page {key} is mapped at {addr:#x}, which is not in its chain"),
    ("figures", "{a} blocks of chains are counted on a machine of {key} bits, {b} are there"),
)
CHAIN_ROW, CHAIN_LINK, CHAIN_LENGTH, CHAIN_NONE, BLOCKS = range(
    len(BREACHES), len(BREACHES) + len(OWN_BREACHES)
)

PTE_ADDR_CENSUS = record(
    "hashed",  # in the hash
    "met",  # in the chain of its page
)
SIZES = record("pte_addr_rows")


class PteChainCensus(NamedTuple):
    """The scheme's own part of a census."""

    pte_addr: Any  # PTE_ADDR_CENSUS records
    sizes: Any  # one SIZES record


def new_rmap_census(state: State) -> PteChainCensus:
    """Return the scheme's own part of a census for a state."""
    rows = len(state.rmap.pte_addr)
    sizes = Table(np.zeros(1, SIZES).view(np.recarray))
    sizes[0].pte_addr_rows = rows
    return PteChainCensus(Table(np.zeros(rows, PTE_ADDR_CENSUS).view(np.recarray)), sizes)


def validate_rmap_tops(s, c):
    """Return whether the scheme's pool has room for what is in use, having cleared the census."""
    glob = s.glob[0]
    rows = c.rmap.sizes[0].pte_addr_rows
    if not validate_top(c, OWN_POOL, glob.pte_addr_top, glob.pte_addr_cap, rows):
        return False
    for entry in range(glob.pte_addr_top):
        c.rmap.pte_addr[entry].hashed = 0
        c.rmap.pte_addr[entry].met = 0
    return True


def validate_rmap_lists(s, c):
    """Check the hash of all entries, and the free list."""
    glob = s.glob[0]
    for bucket in range(glob.pte_addr_mask + 1):
        entry = s.ints[glob.pte_addr_base + bucket]
        while entry != NULL:
            if (
                not _is_entry(s, entry)
                or c.rmap.pte_addr[entry].hashed
                or pte_addr_bucket(s, s.rmap.pte_addr[entry].mm, s.rmap.pte_addr[entry].vpn)
                != glob.pte_addr_base + bucket
            ):
                tell(c, HASH_ENTRY, OWN_HASH, bucket, 0, 0, 0, 0)
                break
            c.rmap.pte_addr[entry].hashed = 1
            entry = np.int64(s.rmap.pte_addr[entry].hash_next)
    live, hashed = 0, 0
    for entry in range(1, glob.pte_addr_top):
        live += s.rmap.pte_addr[entry].mm != NULL
        hashed += c.rmap.pte_addr[entry].hashed
    if hashed != live or glob.n_pte_addrs != live:
        tell(c, HASH_COUNT, OWN_HASH, 0, 0, 0, min(hashed, glob.n_pte_addrs), live)
    _validate_free_list(s, c)


@kernel
def _is_entry(s, entry):
    return entry >= 1 and entry < s.glob[0].pte_addr_top and s.rmap.pte_addr[entry].mm != NULL


@kernel
def _validate_free_list(s, c):
    glob = s.glob[0]
    row, steps, free = glob.pte_addr_free, 0, 0
    while row != NULL and steps <= glob.pte_addr_n_free:
        if row < 1 or row >= glob.pte_addr_top or s.rmap.pte_addr[row].mm != NULL:
            tell(c, FREE_ROW, OWN_POOL, row, 0, 0, 0, 0)
            return
        row = np.int64(s.rmap.pte_addr[row].hash_next)
        steps += 1
    for each in range(1, glob.pte_addr_top):
        free += s.rmap.pte_addr[each].mm == NULL
    if steps != free or free != glob.pte_addr_n_free:
        tell(c, FREE_COUNT, OWN_POOL, 0, 0, 0, steps, free)


def validate_anon_pte(s, c, vma, vpn, page):
    """Check that the chain of a page (NULL: this is a swap entry) has the pte at `vpn` in `vma`."""
    if page == NULL:
        return
    mm = s.vma[vma].mm
    entry = s.ints[pte_addr_bucket(s, mm, vpn)]
    while _is_entry(s, entry) and c.rmap.pte_addr[entry].hashed:
        e = s.rmap.pte_addr[entry]
        if e.mm == mm and e.vpn == vpn:
            if e.page != page:
                break
            return
        entry = np.int64(e.hash_next)
    tell(c, CHAIN_NONE, np.int64(s.page[page].serial), mm, s.mm[mm].owner, vpn, 0, 0)


def validate_rmap_figures(s, c):
    """Check the chain of every page, and the blocks that chains take; ptes have been checked."""
    glob = s.glob[0]
    line_i386 = glob.pte_chain_line if glob.pte_chain_line != 0 else LINE_I386
    line_x86_64 = glob.pte_chain_line if glob.pte_chain_line != 0 else LINE_X86_64
    i386, x86_64 = 0, 0
    for page in range(1, glob.page_top):
        p = s.page[page]
        if p.pg_flags & PG_ANON_KIND == 0:
            continue
        _validate_chain(s, c, page)
        if p.is_chained:
            i386 += blocks_for(np.int64(p.mapcount), line_i386, WORD_I386)
            x86_64 += blocks_for(np.int64(p.mapcount), line_x86_64, WORD_X86_64)
    compare(c, BLOCKS, 32, glob.pte_chain_blocks_i386, i386)
    compare(c, BLOCKS, 64, glob.pte_chain_blocks_x86_64, x86_64)


@kernel
def _validate_chain(s, c, page):
    p = s.page[page]
    serial = np.int64(p.serial)
    if p.mapcount == 0 and (p.pg_flags & PG_ANON or p.is_chained):
        tell(c, UNMAPPED_MAPPING, serial, 0, 0, 0, 0, 0)
    if (p.mapcount > 0 and p.pg_flags & PG_ANON == 0) or (p.mapcount > 1 and p.is_chained == 0):
        tell(c, MAPPED_NO_MAPPING, serial, 0, 0, 0, 0, 0)
    above, entry, n = NULL, np.int64(p.chain), 0
    while entry != NULL:
        if not _is_entry(s, entry) or s.rmap.pte_addr[entry].page != page or c.rmap.pte_addr[entry].met:
            tell(c, CHAIN_ROW, serial, entry, 0, 0, 0, 0)
            break
        c.rmap.pte_addr[entry].met = 1
        e = s.rmap.pte_addr[entry]
        if e.up != above or e.place != p.mapcount - n:
            tell(c, CHAIN_LINK, serial, entry, 0, 0, 0, 0)
        above = entry
        entry = np.int64(e.down)
        n += 1
    if n != c.page[page].ptes:
        tell(c, CHAIN_LENGTH, serial, 0, 0, 0, n, c.page[page].ptes)


register_checks(SCHEME, sys.modules[__name__])
