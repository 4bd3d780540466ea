"""The invariants of scheme `anon_vma`: lists, mappings, members, and whether every pte can be found from its page.

What the patch as posted itself breaks (defects D1 and D2) is noted under the codes from `FIRST_FINDING` on.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..breaches import compare, tell
from ..compiled import kernel
from ..invariants import (
    DANGLING,
    FIGURE,
    FIGURE_ANON_VMAS,
    FIGURE_LENGTHS,
    FIGURE_LONGEST,
    FIGURE_MEMBERS,
    FIGURE_PAGES,
    FREE_COUNT,
    FREE_ROW,
    HASH_COUNT,
    HASH_ENTRY,
    INDEX,
    LIST_EMPTY,
    LIST_LENGTH,
    LIST_PREV,
    LIST_ROW,
    MAPPED_NO_MAPPING,
    MEMBER_NONE,
    MEMBER_OF_VMA,
    MEMBER_PAGES,
    MEMBER_ROW,
    MEMBER_VMAS,
    NO_ANON_VMA,
    OWN_HASH,
    OWN_POOL,
    SHARED_ANON_VMA,
    UNMAPPED_MAPPING,
    UNREACHABLE,
    VMA_ANON_VMA,
    VMA_NOT_LISTED,
)
from ..layout import NULL, PG_ANON, PG_ANON_KIND, VM_SHARED, State, record
from ..table import Table
from ..validate_pools import validate_top
from .anon_vma import SCHEME
from .interface import register_checks
from .members import member_bucket

POOL_ANON_VMA, POOL_MEMBER = OWN_POOL, OWN_POOL + 1
ANON_VMA_CENSUS = record("pages")  # mapped pages whose mapping it is
MEMBER_CENSUS = record(
    "vmas",
    "ptes",
    "met",  # on the list of its anon_vma
    "hashed",  # in the hash
)
LIST_CENSUS = record("anon_vma")  # for each vma: whose list holds it
SIZES = record("anon_vma_rows", "member_rows", "length_rows")


class AnonVmaCensus(NamedTuple):
    """The scheme's own part of a census."""

    anon_vma: Any  # ANON_VMA_CENSUS records
    member: Any  # MEMBER_CENSUS records
    listed: Any  # LIST_CENSUS records, one for each row of `vma`
    lengths: Any  # int64: lists by length
    sizes: Any  # one SIZES record


def new_rmap_census(state: State) -> AnonVmaCensus:
    """Return the scheme's own part of a census for a state."""

    def records(rows: int, dtype: np.dtype) -> Table:
        return Table(np.zeros(rows, dtype).view(np.recarray))

    rmap, lengths = state.rmap, int(state.glob[0].visited_cap)
    sizes = records(1, SIZES)
    sizes[0] = (len(rmap.anon_vma), len(rmap.member), lengths)
    return AnonVmaCensus(
        anon_vma=records(len(rmap.anon_vma), ANON_VMA_CENSUS),
        member=records(len(rmap.member), MEMBER_CENSUS),
        listed=records(len(state.vma), LIST_CENSUS),
        lengths=Table(np.zeros(lengths, np.int64)),
        sizes=sizes,
    )


def validate_rmap_tops(s, c):
    """Return whether the scheme's own pools have room for what is in use, having cleared the census."""
    glob, sizes = s.glob[0], c.rmap.sizes[0]
    sound = validate_top(c, POOL_ANON_VMA, glob.anon_vma_top, glob.anon_vma_cap, sizes.anon_vma_rows)
    sound &= validate_top(c, POOL_MEMBER, glob.member_top, glob.member_cap, sizes.member_rows)
    sound &= glob.visited_cap == sizes.length_rows
    if not sound:
        return False
    for anon_vma in range(glob.anon_vma_top):
        c.rmap.anon_vma[anon_vma].pages = 0
    for member in range(glob.member_top):
        m = c.rmap.member[member]
        m.vmas = 0
        m.ptes = 0
        m.met = 0
        m.hashed = 0
    for vma in range(glob.vma_top):
        c.rmap.listed[vma].anon_vma = NULL
    for length in range(glob.visited_cap):
        c.rmap.lengths[length] = 0
    return True


def validate_rmap_lists(s, c):
    """Check the list of every anon_vma, that every vma is where it says, and the members; vmas have been checked."""
    live = 0
    for anon_vma in range(1, s.glob[0].anon_vma_top):
        if s.rmap.anon_vma[anon_vma].id != 0:
            live += 1
            _validate_list(s, c, anon_vma)
            _validate_member_list(s, c, anon_vma)
    glob = s.glob[0]
    compare(c, FIGURE, FIGURE_ANON_VMAS, glob.anon_vmas_allocated - glob.anon_vmas_freed, live)
    _validate_lengths(s, c)
    _validate_anon_vma_free_list(s, c)
    _validate_member_free_list(s, c)
    _validate_member_hash(s, c)
    for vma in range(1, glob.vma_top):
        if s.vma[vma].mm != NULL:
            _validate_anon_vma_of(s, c, vma)


@kernel
def _validate_list(s, c, anon_vma):
    a = s.rmap.anon_vma[anon_vma]
    before, vma, n = NULL, a.head, 0
    while vma != NULL:
        if (
            vma < 1
            or vma >= s.glob[0].vma_top
            or s.vma[vma].mm == NULL
            or s.vma[vma].anon_vma != anon_vma
            or c.rmap.listed[vma].anon_vma != NULL
        ):
            tell(c, LIST_ROW, a.id, vma, 0, 0, 0, 0)
            break
        c.rmap.listed[vma].anon_vma = anon_vma
        v = s.vma[vma]
        if v.anon_prev != before:
            tell(c, LIST_PREV, a.id, v.id, s.mm[v.mm].owner, v.start, 0, 0)
        before = vma
        vma = v.anon_next
        n += 1
    if n != a.n_vmas:
        tell(c, LIST_LENGTH, a.id, 0, 0, 0, a.n_vmas, n)
    if n == 0:
        tell(c, LIST_EMPTY, a.id, 0, 0, 0, 0, 0)
    elif n < s.glob[0].visited_cap:
        c.rmap.lengths[n] += 1


@kernel
def _validate_lengths(s, c):
    """Compare the histogram of list lengths, and the longest, with what was found."""
    glob = s.glob[0]
    longest = 0
    for length in range(1, glob.visited_cap):
        found = c.rmap.lengths[length]
        if found != 0:
            longest = length
        if s.ints[glob.lengths_base + length] != found:
            tell(c, FIGURE_LENGTHS, length, 0, 0, 0, s.ints[glob.lengths_base + length], found)
    compare(c, FIGURE, FIGURE_LONGEST, glob.longest_now, longest)


@kernel
def _validate_anon_vma_of(s, c, vma):
    """Check a vma's side of its anon_vma: on the list, never in a shared vma, counted with the right member."""
    v = s.vma[vma]
    if v.anon_vma == NULL:
        return
    owner = s.mm[v.mm].owner
    if v.anon_vma < 1 or v.anon_vma >= s.glob[0].anon_vma_top:
        tell(c, VMA_ANON_VMA, v.id, 0, owner, v.start, v.anon_vma, 0)
        return
    if c.rmap.listed[vma].anon_vma != v.anon_vma:
        tell(c, VMA_NOT_LISTED, v.id, 0, owner, v.start, 0, 0)
    if v.vm_flags & VM_SHARED:
        tell(c, SHARED_ANON_VMA, v.id, 0, owner, v.start, 0, 0)
    if _is_member(s, c, v.member, v.anon_vma, owner):
        c.rmap.member[v.member].vmas += 1
    else:
        tell(c, MEMBER_OF_VMA, v.id, 0, owner, v.start, 0, 0)


@kernel
def _is_member(s, c, member, anon_vma, proc):
    """Return whether this row of `member` counts for this anon_vma and process."""
    if member < 1 or member >= s.glob[0].member_top:
        return False
    m = s.rmap.member[member]
    return m.anon_vma == anon_vma and m.proc == proc and c.rmap.member[member].met != 0


@kernel
def _validate_member_list(s, c, anon_vma):
    a = s.rmap.anon_vma[anon_vma]
    before, member = NULL, a.first_member
    while member != NULL:
        if (
            member < 1
            or member >= s.glob[0].member_top
            or s.rmap.member[member].anon_vma != anon_vma
            or s.rmap.member[member].prev != before
            or c.rmap.member[member].met
        ):
            tell(c, MEMBER_ROW, a.id, member, 0, 0, 0, 0)
            return
        c.rmap.member[member].met = 1
        before = member
        member = s.rmap.member[member].next


@kernel
def _validate_member_hash(s, c):
    """Check that the hash holds every member that is on a list, in its bucket, and nothing else."""
    glob = s.glob[0]
    for bucket in range(glob.member_mask + 1):
        member = s.ints[glob.member_base + bucket]
        while member != NULL:
            if member < 1 or member >= glob.member_top or c.rmap.member[member].met == 0:
                tell(c, HASH_ENTRY, OWN_HASH, bucket, 0, 0, 0, 0)
                break
            m = s.rmap.member[member]
            if (
                c.rmap.member[member].hashed
                or member_bucket(s, m.anon_vma, m.proc) != glob.member_base + bucket
            ):
                tell(c, HASH_ENTRY, OWN_HASH, bucket, 0, 0, 0, 0)
                break
            c.rmap.member[member].hashed = 1
            member = m.hash_next
    live, hashed = 0, 0
    for member in range(1, glob.member_top):
        if s.rmap.member[member].anon_vma != NULL:
            live += 1
            hashed += c.rmap.member[member].hashed
    compare(c, FIGURE, FIGURE_MEMBERS, glob.n_members, live)
    if hashed != live:
        tell(c, HASH_COUNT, OWN_HASH, 0, 0, 0, live, hashed)


@kernel
def _validate_anon_vma_free_list(s, c):
    glob = s.glob[0]
    row, steps, free = glob.anon_vma_free, 0, 0
    while row != NULL and steps <= glob.anon_vma_n_free:
        if row < 1 or row >= glob.anon_vma_top or s.rmap.anon_vma[row].id != 0:
            tell(c, FREE_ROW, POOL_ANON_VMA, row, 0, 0, 0, 0)
            return
        row = s.rmap.anon_vma[row].head
        steps += 1
    for each in range(1, glob.anon_vma_top):
        free += s.rmap.anon_vma[each].id == 0
    if steps != free or free != glob.anon_vma_n_free:
        tell(c, FREE_COUNT, POOL_ANON_VMA, 0, 0, 0, steps, free)


@kernel
def _validate_member_free_list(s, c):
    glob = s.glob[0]
    row, steps, free = glob.member_free, 0, 0
    while row != NULL and steps <= glob.member_n_free:
        if row < 1 or row >= glob.member_top or s.rmap.member[row].anon_vma != NULL:
            tell(c, FREE_ROW, POOL_MEMBER, row, 0, 0, 0, 0)
            return
        row = s.rmap.member[row].hash_next
        steps += 1
    for each in range(1, glob.member_top):
        free += s.rmap.member[each].anon_vma == NULL
    if steps != free or free != glob.member_n_free:
        tell(c, FREE_COUNT, POOL_MEMBER, 0, 0, 0, steps, free)


def validate_anon_pte(s, c, vma, vpn, page):
    """Check what a pte of an anonymous page (NULL: of a swap slot) at `vpn` in `vma` asks of both."""
    v = s.vma[vma]
    checked = c.check[0].layout_only == 0
    if v.anon_vma == NULL and checked:
        tell(c, NO_ANON_VMA, v.id, 0, s.mm[v.mm].owner, vpn, 0, 0)
    if page == NULL:
        return
    p = s.page[page]
    mapping = np.int64(p.mapping)
    if mapping < 1 or mapping >= s.glob[0].anon_vma_top:
        return  # told when pages are checked
    fits = p.index == v.pgoff + (vpn - v.start)
    alive = s.rmap.anon_vma[mapping].id == p.mapping_id
    if checked:
        if not fits:
            tell(
                c, INDEX, np.int64(p.serial), v.mm, s.mm[v.mm].owner, vpn, p.index, v.pgoff + (vpn - v.start)
            )
        # Nearly always the vma at hand is on the page's list, and then a walk finds the pte.
        if not (alive and fits and c.rmap.listed[vma].anon_vma == mapping):
            if not alive or not _walk_finds(s, c, mapping, v.mm, vpn, p.index):
                tell(c, UNREACHABLE, np.int64(p.serial), v.mm, s.mm[v.mm].owner, vpn, 0, 0)
    if alive:
        member = v.member if v.anon_vma == mapping else _find_member(s, c, mapping, s.mm[v.mm].owner)
        if member < 1 or member >= s.glob[0].member_top or s.rmap.member[member].anon_vma != mapping:
            tell(c, MEMBER_NONE, np.int64(p.serial), v.mm, s.mm[v.mm].owner, vpn, 0, 0)
        else:  # that of `vma` has been checked
            c.rmap.member[member].ptes += 1


@kernel
def _walk_finds(s, c, anon_vma, mm, vpn, index):
    """Return whether a vma on the list puts a page of this index at `vpn` of this mm."""
    vma = s.rmap.anon_vma[anon_vma].head
    while vma > 0 and vma < s.glob[0].vma_top and c.rmap.listed[vma].anon_vma == anon_vma:
        v = s.vma[vma]
        if v.mm == mm and v.start <= vpn and vpn < v.end and v.pgoff + (vpn - v.start) == index:
            return True
        vma = v.anon_next
    return False


@kernel
def _find_member(s, c, anon_vma, proc):
    """Return the member of an anon_vma and process, going along the anon_vma's list as far as it is sound; or NULL."""
    member = s.rmap.anon_vma[anon_vma].first_member
    while member > 0 and member < s.glob[0].member_top and c.rmap.member[member].met:
        m = s.rmap.member[member]
        if m.anon_vma != anon_vma:
            return NULL
        if m.proc == proc:
            return member
        member = m.next
    return NULL


def validate_rmap_figures(s, c):
    """Check the mapping of every page, and what anon_vmas and members count; ptes have been checked."""
    for page in range(1, s.glob[0].page_top):
        if s.page[page].pg_flags & PG_ANON_KIND:
            _validate_mapping(s, c, page)
    for anon_vma in range(1, s.glob[0].anon_vma_top):
        a = s.rmap.anon_vma[anon_vma]
        if a.id != 0 and a.n_pages != c.rmap.anon_vma[anon_vma].pages:
            tell(c, FIGURE_PAGES, a.id, 0, 0, 0, a.n_pages, c.rmap.anon_vma[anon_vma].pages)
    for member in range(1, s.glob[0].member_top):
        m, found = s.rmap.member[member], c.rmap.member[member]
        if m.anon_vma == NULL or found.met == 0:
            continue
        anon_vma = s.rmap.anon_vma[m.anon_vma].id
        if m.vmas != found.vmas:
            tell(c, MEMBER_VMAS, anon_vma, m.proc, m.proc, 0, m.vmas, found.vmas)
        if m.pages != found.ptes:
            tell(c, MEMBER_PAGES, anon_vma, m.proc, m.proc, 0, m.pages, found.ptes)


@kernel
def _validate_mapping(s, c, page):
    p = s.page[page]
    mapping = np.int64(p.mapping)
    if p.mapcount == 0:
        if mapping != NULL or p.pg_flags & PG_ANON:
            tell(c, UNMAPPED_MAPPING, np.int64(p.serial), 0, 0, 0, 0, 0)
    elif mapping < 1 or mapping >= s.glob[0].anon_vma_top or p.pg_flags & PG_ANON == 0:
        tell(c, MAPPED_NO_MAPPING, np.int64(p.serial), 0, 0, 0, 0, 0)
    elif s.rmap.anon_vma[mapping].id == p.mapping_id:
        c.rmap.anon_vma[mapping].pages += 1
    elif c.check[0].layout_only == 0:
        tell(c, DANGLING, np.int64(p.serial), 0, np.int64(p.proc), p.first_vpn, np.int64(p.mapping_id), 0)


register_checks(SCHEME, sys.modules[__name__])
