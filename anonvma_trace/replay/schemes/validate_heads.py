"""Checks that schemes with anon_vmas and members share: what those count, and where pages point.

The scheme's pools begin with `anon_vma` and `member`; the census's part `rmap` has the tables of `new_head_census`.
"""

from __future__ import annotations

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
    LIST_EMPTY,
    LIST_LENGTH,
    MAPPED_NO_MAPPING,
    MEMBER_NONE,
    MEMBER_PAGES,
    MEMBER_ROW,
    MEMBER_VMAS,
    OWN_HASH,
    OWN_POOL,
    UNMAPPED_MAPPING,
)
from ..layout import NULL, PG_ANON, PG_ANON_KIND, State, record
from ..table import Table
from ..validate_pools import validate_top
from .members import member_bucket

POOL_ANON_VMA, POOL_MEMBER = OWN_POOL, OWN_POOL + 1
ANON_VMA_CENSUS = record(
    "pages",  # mapped pages whose mapping it is
    "children",  # anon_vmas whose parent it is, where there are parents
)
MEMBER_CENSUS = record(
    "vmas",
    "ptes",
    "met",  # on the list of its anon_vma
    "hashed",  # in the hash
)
SIZES = record("anon_vma_rows", "member_rows", "length_rows")


def records(rows: int, dtype: np.dtype) -> Table:
    """Return a table for a census, all zero."""
    return Table(np.zeros(rows, dtype).view(np.recarray))


def new_head_census(state: State) -> tuple[Table, Table, Table, Table]:
    """Return tables ``anon_vma``, ``member``, ``lengths`` (int64: lists by length) and ``sizes`` of a census."""
    rmap, lengths = state.rmap, int(state.glob[0].visited_cap)
    sizes = records(1, SIZES)
    sizes[0] = (len(rmap.anon_vma), len(rmap.member), lengths)
    return (
        records(len(rmap.anon_vma), ANON_VMA_CENSUS),
        records(len(rmap.member), MEMBER_CENSUS),
        Table(np.zeros(lengths, np.int64)),
        sizes,
    )


@kernel
def validate_head_tops(s, c):
    """Return whether both pools have room for what is in use, having cleared their part of the census."""
    glob, sizes = s.glob[0], c.rmap.sizes[0]
    sound = validate_top(c, POOL_ANON_VMA, glob.anon_vma_top, glob.anon_vma_cap, sizes.anon_vma_rows)
    sound &= validate_top(c, POOL_MEMBER, glob.member_top, glob.member_cap, sizes.member_rows)
    sound &= glob.visited_cap == sizes.length_rows
    if not sound:
        return False
    for anon_vma in range(glob.anon_vma_top):
        c.rmap.anon_vma[anon_vma].pages = 0
        c.rmap.anon_vma[anon_vma].children = 0
    for member in range(glob.member_top):
        m = c.rmap.member[member]
        m.vmas = 0
        m.ptes = 0
        m.met = 0
        m.hashed = 0
    for length in range(glob.visited_cap):
        c.rmap.lengths[length] = 0
    return True


@kernel
def count_list(s, c, anon_vma, n):
    """Compare the length of a list with what was found, and note it for the histogram."""
    a = s.rmap.anon_vma[anon_vma]
    if n != a.n_vmas:
        tell(c, LIST_LENGTH, a.id, 0, 0, 0, a.n_vmas, n)
    if n == 0:
        tell(c, LIST_EMPTY, a.id, 0, 0, 0, 0, 0)
    elif n < s.glob[0].visited_cap:
        c.rmap.lengths[n] += 1


@kernel
def validate_heads(s, c):
    """Check members, free lists and figures, once every list has been counted (`count_list`)."""
    glob = s.glob[0]
    live = 0
    for anon_vma in range(1, glob.anon_vma_top):
        if s.rmap.anon_vma[anon_vma].id != 0:
            live += 1
            _validate_member_list(s, c, anon_vma)
    compare(c, FIGURE, FIGURE_ANON_VMAS, glob.anon_vmas_allocated - glob.anon_vmas_freed, live)
    _validate_lengths(s, c)
    _validate_anon_vma_free_list(s, c)
    _validate_member_free_list(s, c)
    _validate_member_hash(s, c)


@kernel
def count_pte(s, c, vma, vpn, page):
    """Count a pte of a page whose anon_vma is alive with the member that must know it."""
    v = s.vma[vma]
    p = s.page[page]
    mapping = np.int64(p.mapping)
    member = v.member if v.anon_vma == mapping else _find_member(s, c, mapping, s.mm[v.mm].owner)
    if member < 1 or member >= s.glob[0].member_top or s.rmap.member[member].anon_vma != mapping:
        tell(c, MEMBER_NONE, np.int64(p.serial), v.mm, s.mm[v.mm].owner, vpn, 0, 0)
    else:  # that of `vma` is checked elsewhere
        c.rmap.member[member].ptes += 1


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
def is_member(s, c, member, anon_vma, proc):
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
