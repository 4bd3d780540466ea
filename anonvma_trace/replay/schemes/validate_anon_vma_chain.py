"""The invariants of schemes with chains: lists, chains, mappings, members, and whether every pte can be found.

What defect D2 breaks (in `anon_vma_chain`) is noted under the codes of `FINDING_CODES`.
"""

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
    INDEX,
    LIST_PREV,
    LIST_ROW,
    MEMBER_OF_VMA,
    NO_ANON_VMA,
    OWN_POOL,
    SHARED_ANON_VMA,
    UNREACHABLE,
    VMA_ANON_VMA,
)
from ..layout import NULL, VM_SHARED, State, record
from ..validate_pools import validate_top
from .anon_vma_chain import SCHEME
from .interface import register_checks
from .validate_heads import (  # noqa: F401  (validate_rmap_figures is looked up by name: `interface`)
    count_list,
    count_pte,
    is_member,
    new_head_census,
    records,
    validate_head_tops,
    validate_heads,
    validate_rmap_figures,
)

OWN_BREACHES: tuple[tuple[str, str], ...] = (
    (
        "i3",
        "pid {pid}: the chains of vma {key} at {addr:#x} lead to row {other}, no chain of it, or met before",
    ),
    ("i3", "pid {pid}: vma {key} at {addr:#x} counts {a} chains, {b} are there"),
    (
        "i3",
        "pid {pid}: no chain joins vma {key} at {addr:#x} with its own anon_vma, or it has chains without one",
    ),
    ("i3", "chain row {key} is in use, but not both on a list and in a vma"),
    ("i3", "the list of anon_vma {key} is out of order at chain row {other}"),
    ("figures", "{a} chains are counted, {b} are there"),
    ("figures", "anon_vma {key} counts {a} vmas whose own it is, {b} are there"),
    ("figures", "anon_vma {key} counts {a} children, {b} are there"),
)
CHAIN_ROW, CHAIN_COUNT, CHAIN_OWN, CHAIN_LOOSE, CHAIN_ORDER, CHAINS_LIVE, N_ACTIVE, N_CHILDREN = range(
    len(BREACHES), len(BREACHES) + len(OWN_BREACHES)
)

POOL_CHAIN = OWN_POOL + 2
CHAIN_CENSUS = record("listed", "owned")  # met on the list of its anon_vma, among the chains of its vma
CHAIN_SIZES = record("chain_rows")


class ChainCensus(NamedTuple):
    """The scheme's own part of a census."""

    anon_vma: Any  # ANON_VMA_CENSUS records
    member: Any  # MEMBER_CENSUS records
    chain: Any  # CHAIN_CENSUS records
    lengths: Any  # int64: lists by length
    sizes: Any  # one SIZES record
    chain_sizes: Any  # one CHAIN_SIZES record


def new_rmap_census(state: State) -> ChainCensus:
    """Return the scheme's own part of a census for a state."""
    anon_vma, member, lengths, sizes = new_head_census(state)
    chain_sizes = records(1, CHAIN_SIZES)
    chain_sizes[0] = (len(state.rmap.chain),)
    chain = records(len(state.rmap.chain), CHAIN_CENSUS)
    return ChainCensus(anon_vma, member, chain, lengths, sizes, chain_sizes)


def validate_rmap_tops(s, c):
    """Return whether the scheme's own pools have room for what is in use, having cleared the census."""
    glob = s.glob[0]
    if not validate_head_tops(s, c):
        return False
    if not validate_top(c, POOL_CHAIN, glob.chain_top, glob.chain_cap, c.rmap.chain_sizes[0].chain_rows):
        return False
    for chain in range(glob.chain_top):
        c.rmap.chain[chain].listed = 0
        c.rmap.chain[chain].owned = 0
    return True


def validate_rmap_lists(s, c):
    """Check the lists of all anon_vmas, the chains of all vmas, and the members; vmas have been checked."""
    validate_chains(s, c)


@kernel
def validate_chains(s, c):
    """Check lists, chains and members."""
    glob = s.glob[0]
    for anon_vma in range(1, glob.anon_vma_top):
        if s.rmap.anon_vma[anon_vma].id != 0:
            _validate_list(s, c, anon_vma)
    validate_heads(s, c)
    for vma in range(1, glob.vma_top):
        if s.vma[vma].mm != NULL:
            _validate_chains_of(s, c, vma)
    live = 0
    for chain in range(1, glob.chain_top):
        if s.rmap.chain[chain].vma != NULL:
            live += 1
            if c.rmap.chain[chain].listed == 0 or c.rmap.chain[chain].owned == 0:
                tell(c, CHAIN_LOOSE, chain, 0, 0, 0, 0, 0)
    compare(c, CHAINS_LIVE, 0, glob.chains_live, live)
    _validate_chain_free_list(s, c)


@kernel
def is_chain(s, chain):
    """Return whether this is a row of `chain` in use, with a vma and an anon_vma that exist."""
    if chain < 1 or chain >= s.glob[0].chain_top:
        return False
    row = s.rmap.chain[chain]
    if row.vma < 1 or row.vma >= s.glob[0].vma_top or s.vma[row.vma].mm == NULL:
        return False
    return (
        row.anon_vma > 0 and row.anon_vma < s.glob[0].anon_vma_top and s.rmap.anon_vma[row.anon_vma].id != 0
    )


@kernel
def _validate_list(s, c, anon_vma):
    a = s.rmap.anon_vma[anon_vma]
    before, chain, n = NULL, a.head, 0
    while chain != NULL:
        if not is_chain(s, chain) or s.rmap.chain[chain].anon_vma != anon_vma or c.rmap.chain[chain].listed:
            tell(c, LIST_ROW, a.id, chain, 0, 0, 0, 0)
            break
        c.rmap.chain[chain].listed = 1
        row = s.rmap.chain[chain]
        if row.prev != before:
            v = s.vma[row.vma]
            tell(c, LIST_PREV, a.id, v.id, s.mm[v.mm].owner, v.start, 0, 0)
        before = chain
        chain = row.next
        n += 1
    if before != a.tail:
        tell(c, LIST_ROW, a.id, a.tail, 0, 0, 0, 0)
    count_list(s, c, anon_vma, n)


@kernel
def _validate_chains_of(s, c, vma):
    """Check a vma's chains: in order, one of them its own, each counted with the right member."""
    v = s.vma[vma]
    owner = s.mm[v.mm].owner
    if v.anon_vma < 0 or v.anon_vma >= s.glob[0].anon_vma_top:
        tell(c, VMA_ANON_VMA, v.id, 0, owner, v.start, v.anon_vma, 0)
        return
    before, chain, n, own = NULL, v.newest, 0, 0
    while chain != NULL:
        if (
            not is_chain(s, chain)
            or s.rmap.chain[chain].vma != vma
            or s.rmap.chain[chain].newer != before
            or c.rmap.chain[chain].owned
        ):
            tell(c, CHAIN_ROW, v.id, chain, owner, v.start, 0, 0)
            return
        c.rmap.chain[chain].owned = 1
        row = s.rmap.chain[chain]
        if is_member(s, c, row.member, row.anon_vma, owner):
            c.rmap.member[row.member].vmas += 1
        else:
            tell(c, MEMBER_OF_VMA, v.id, chain, owner, v.start, 0, 0)
        if row.anon_vma == v.anon_vma:
            own += 1
            if row.member != v.member:
                tell(c, MEMBER_OF_VMA, v.id, 0, owner, v.start, 0, 0)
        before = chain
        chain = row.older
        n += 1
    if before != v.oldest:
        tell(c, CHAIN_ROW, v.id, v.oldest, owner, v.start, 0, 0)
    if n != v.n_chains:
        tell(c, CHAIN_COUNT, v.id, 0, owner, v.start, v.n_chains, n)
    if own != (0 if v.anon_vma == NULL else 1) or (v.anon_vma == NULL and n > 0):
        tell(c, CHAIN_OWN, v.id, 0, owner, v.start, 0, 0)
    if v.vm_flags & VM_SHARED and v.anon_vma != NULL:
        tell(c, SHARED_ANON_VMA, v.id, 0, owner, v.start, 0, 0)


@kernel
def _validate_chain_free_list(s, c):
    glob = s.glob[0]
    row, steps, free = glob.chain_free, 0, 0
    while row != NULL and steps <= glob.chain_n_free:
        if row < 1 or row >= glob.chain_top or s.rmap.chain[row].vma != NULL:
            tell(c, FREE_ROW, POOL_CHAIN, row, 0, 0, 0, 0)
            return
        row = s.rmap.chain[row].older
        steps += 1
    for each in range(1, glob.chain_top):
        free += s.rmap.chain[each].vma == NULL
    if steps != free or free != glob.chain_n_free:
        tell(c, FREE_COUNT, POOL_CHAIN, 0, 0, 0, steps, free)


def validate_anon_pte(s, c, vma, vpn, page):
    """Check what a pte of an anonymous page (NULL: of a swap slot) at `vpn` in `vma` asks of both."""
    v = s.vma[vma]
    owner = s.mm[v.mm].owner
    if v.anon_vma == NULL:
        tell(c, NO_ANON_VMA, v.id, 0, owner, vpn, 0, 0)
    if page == NULL:
        return
    p = s.page[page]
    mapping = np.int64(p.mapping)
    if mapping < 1 or mapping >= s.glob[0].anon_vma_top:
        return  # told when pages are checked
    index = v.pgoff + (vpn - v.start)
    if p.index != index:
        tell(c, INDEX, np.int64(p.serial), v.mm, owner, vpn, p.index, index)
    alive = s.rmap.anon_vma[mapping].id == p.mapping_id
    if not alive or not _walk_finds(s, c, mapping, vma, vpn, np.int64(p.index)):
        tell(c, UNREACHABLE, np.int64(p.serial), v.mm, owner, vpn, 0, 0)
    if alive:
        count_pte(s, c, vma, vpn, page)


@kernel
def _walk_finds(s, c, anon_vma, vma, vpn, index):
    """Return whether a chain on the list has a vma that puts a page of this index at `vpn` of the mm of `vma`."""
    v = s.vma[vma]
    if v.pgoff + (vpn - v.start) == index:  # nearly always the vma at hand is one of them
        chain = v.newest
        while chain > 0 and chain < s.glob[0].chain_top and c.rmap.chain[chain].owned:
            if s.rmap.chain[chain].anon_vma == anon_vma and c.rmap.chain[chain].listed:
                return True
            chain = s.rmap.chain[chain].older
    mm = v.mm
    chain = s.rmap.anon_vma[anon_vma].head
    while chain > 0 and chain < s.glob[0].chain_top and c.rmap.chain[chain].listed:
        w = s.vma[s.rmap.chain[chain].vma]
        if w.mm == mm and w.start <= vpn and vpn < w.end and w.pgoff + (vpn - w.start) == index:
            return True
        chain = s.rmap.chain[chain].next
    return False


register_checks(SCHEME, sys.modules[__name__])
