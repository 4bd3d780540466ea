"""The invariants of scheme `anonmm`: families, references to anonmms, and that each page is found at its index."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..breaches import compare, tell
from ..compiled import kernel
from ..invariants import (
    BREACHES,
    FIGURE,
    FIGURE_ANON_VMAS,
    FIGURE_LENGTHS,
    FIGURE_LONGEST,
    FREE_COUNT,
    FREE_ROW,
    MAPPED_NO_MAPPING,
    OWN_POOL,
    UNMAPPED_MAPPING,
)
from ..layout import NULL, PG_ANON, PG_ANON_KIND, State, record
from ..table import Table
from ..validate_pools import validate_top
from .anonmm import SCHEME
from .interface import register_checks

OWN_BREACHES: tuple[tuple[str, str], ...] = (
    ("family", "the ring of anonmm {key} leads to row {other}, which is no member of it, or met before"),
    ("family", "anonmm {other} in the ring of anonmm {key} does not point back"),
    ("family", "the ring of anonmm {key} counts {a} members, {b} are there"),
    ("family", "anonmm {key} is in no ring"),
    ("family", "mm row {key} and anonmm row {other} do not name each other"),
    ("references", "anonmm {key} has count {a}, {b} refer to it"),
    ("references", "anonmm {key} counts {a} pages, {b} point to it"),
    ("i1", "pid {pid}: page {key} at {addr:#x} is of another family, or has another index"),
)
(RING_ROW, RING_PREV, RING_LENGTH, RING_NONE, MM_ANONMM, COUNT, PAGES, NOT_FOUND) = range(
    len(BREACHES), len(BREACHES) + len(OWN_BREACHES)
)

ANONMM_CENSUS = record(
    "pages",  # mapped pages that point to it
    "met",  # in a ring
)
SIZES = record("anonmm_rows", "length_rows")


class AnonmmCensus(NamedTuple):
    """The scheme's own part of a census."""

    anonmm: Any  # ANONMM_CENSUS records
    lengths: Any  # int64: rings by length
    sizes: Any  # one SIZES record


def new_rmap_census(state: State) -> AnonmmCensus:
    """Return the scheme's own part of a census for a state."""
    rows, lengths = len(state.rmap.anonmm), int(state.glob[0].visited_cap)
    sizes = Table(np.zeros(1, SIZES).view(np.recarray))
    sizes[0] = (rows, lengths)
    return AnonmmCensus(
        anonmm=Table(np.zeros(rows, ANONMM_CENSUS).view(np.recarray)),
        lengths=Table(np.zeros(lengths, np.int64)),
        sizes=sizes,
    )


def validate_rmap_tops(s, c):
    """Return whether the scheme's pool has room for what is in use, having cleared the census."""
    glob, sizes = s.glob[0], c.rmap.sizes[0]
    sound = validate_top(c, OWN_POOL, glob.anonmm_top, glob.anonmm_cap, sizes.anonmm_rows)
    if not sound or glob.visited_cap != sizes.length_rows:
        return False
    for anonmm in range(glob.anonmm_top):
        c.rmap.anonmm[anonmm].pages = 0
        c.rmap.anonmm[anonmm].met = 0
    for length in range(glob.visited_cap):
        c.rmap.lengths[length] = 0
    return True


def validate_rmap_lists(s, c):
    """Check the ring of every family, that mms and anonmms name each other, and the free list."""
    glob = s.glob[0]
    live = 0
    for anonmm in range(1, glob.anonmm_top):
        a = s.rmap.anonmm[anonmm]
        if a.id != 0:
            live += 1
            if a.head == anonmm:
                _validate_ring(s, c, anonmm)
            if a.mm != NULL and (a.mm < 1 or a.mm >= glob.mm_top or s.mm[a.mm].anonmm != anonmm):
                tell(c, MM_ANONMM, a.mm, anonmm, 0, 0, 0, 0)
    for anonmm in range(1, glob.anonmm_top):
        if s.rmap.anonmm[anonmm].id != 0 and c.rmap.anonmm[anonmm].met == 0:
            tell(c, RING_NONE, s.rmap.anonmm[anonmm].id, 0, 0, 0, 0, 0)
    for mm in range(1, glob.mm_top):
        if s.mm[mm].users != 0 and not _is_anonmm(s, s.mm[mm].anonmm):
            tell(c, MM_ANONMM, mm, s.mm[mm].anonmm, 0, 0, 0, 0)
    compare(c, FIGURE, FIGURE_ANON_VMAS, glob.anon_vmas_allocated - glob.anon_vmas_freed, live)
    _validate_lengths(s, c)
    _validate_free_list(s, c)


@kernel
def _is_anonmm(s, anonmm):
    return anonmm >= 1 and anonmm < s.glob[0].anonmm_top and s.rmap.anonmm[anonmm].id != 0


@kernel
def _validate_ring(s, c, head):
    h = s.rmap.anonmm[head]
    before, member, n = NULL, head, 0
    while n == 0 or member != head:
        if not _is_anonmm(s, member) or s.rmap.anonmm[member].head != head or c.rmap.anonmm[member].met:
            tell(c, RING_ROW, h.id, member, 0, 0, 0, 0)
            break
        c.rmap.anonmm[member].met = 1
        m = s.rmap.anonmm[member]
        if n > 0 and m.prev != before:
            tell(c, RING_PREV, h.id, m.id, 0, 0, 0, 0)
        before = member
        member = m.next
        n += 1
    if h.prev != before:
        tell(c, RING_PREV, h.id, h.id, 0, 0, 0, 0)
    if n != h.n_members:
        tell(c, RING_LENGTH, h.id, 0, 0, 0, h.n_members, n)
    if n < s.glob[0].visited_cap:
        c.rmap.lengths[n] += 1


@kernel
def _validate_lengths(s, c):
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
def _validate_free_list(s, c):
    glob = s.glob[0]
    row, steps, free = glob.anonmm_free, 0, 0
    while row != NULL and steps <= glob.anonmm_n_free:
        if row < 1 or row >= glob.anonmm_top or s.rmap.anonmm[row].id != 0:
            tell(c, FREE_ROW, OWN_POOL, row, 0, 0, 0, 0)
            return
        row = s.rmap.anonmm[row].next
        steps += 1
    for each in range(1, glob.anonmm_top):
        free += s.rmap.anonmm[each].id == 0
    if steps != free or free != glob.anonmm_n_free:
        tell(c, FREE_COUNT, OWN_POOL, 0, 0, 0, steps, free)


def validate_anon_pte(s, c, vma, vpn, page):
    """Check that a page (NULL: this is a swap entry) points into the family of the mm that maps it, at this address."""
    if page == NULL:
        return
    p = s.page[page]
    mm = s.vma[vma].mm
    mapping, own = np.int64(p.mapping), s.mm[mm].anonmm
    if not _is_anonmm(s, mapping) or not _is_anonmm(s, own):
        return  # told elsewhere
    if p.index != vpn or s.rmap.anonmm[mapping].head != s.rmap.anonmm[own].head:
        tell(c, NOT_FOUND, np.int64(p.serial), mm, s.mm[mm].owner, vpn, 0, 0)


def validate_rmap_figures(s, c):
    """Check what every page points to, and the references of every anonmm; ptes have been checked."""
    for page in range(1, s.glob[0].page_top):
        p = s.page[page]
        if p.pg_flags & PG_ANON_KIND == 0:
            continue
        mapping = np.int64(p.mapping)
        if p.mapcount == 0:
            if mapping != NULL or p.pg_flags & PG_ANON:
                tell(c, UNMAPPED_MAPPING, np.int64(p.serial), 0, 0, 0, 0, 0)
        elif (
            not _is_anonmm(s, mapping)
            or p.pg_flags & PG_ANON == 0
            or s.rmap.anonmm[mapping].id != p.mapping_id
        ):
            tell(c, MAPPED_NO_MAPPING, np.int64(p.serial), 0, 0, 0, 0, 0)
        else:
            c.rmap.anonmm[mapping].pages += 1
    for anonmm in range(1, s.glob[0].anonmm_top):
        a = s.rmap.anonmm[anonmm]
        if a.id == 0:
            continue
        pages = c.rmap.anonmm[anonmm].pages
        if a.n_pages != pages:
            tell(c, PAGES, a.id, 0, 0, 0, a.n_pages, pages)
        wanted = pages + (1 if a.mm != NULL else 0) + (a.n_members if a.head == anonmm else 0)
        if a.count != wanted:
            tell(c, COUNT, a.id, 0, 0, 0, a.count, wanted)


register_checks(SCHEME, sys.modules[__name__])
