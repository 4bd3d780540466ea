"""The invariants of scheme `anon_vma`: lists, mappings, members, and whether every pte can be found from its page.

What the patch as posted itself breaks (defects D1 and D2) is noted under the codes from `FIRST_FINDING` on.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from ..breaches import tell
from ..compiled import kernel
from ..invariants import (
    INDEX,
    LIST_PREV,
    LIST_ROW,
    MEMBER_OF_VMA,
    NO_ANON_VMA,
    SHARED_ANON_VMA,
    UNREACHABLE,
    VMA_ANON_VMA,
    VMA_NOT_LISTED,
)
from ..layout import NULL, VM_SHARED, State, record
from .anon_vma import SCHEME
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

LIST_CENSUS = record("anon_vma")  # for each vma: whose list holds it


class AnonVmaCensus(NamedTuple):
    """The scheme's own part of a census."""

    anon_vma: Any  # ANON_VMA_CENSUS records
    member: Any  # MEMBER_CENSUS records
    listed: Any  # LIST_CENSUS records, one for each row of `vma`
    lengths: Any  # int64: lists by length
    sizes: Any  # one SIZES record


def new_rmap_census(state: State) -> AnonVmaCensus:
    """Return the scheme's own part of a census for a state."""
    anon_vma, member, lengths, sizes = new_head_census(state)
    return AnonVmaCensus(anon_vma, member, records(len(state.vma), LIST_CENSUS), lengths, sizes)


def validate_rmap_tops(s, c):
    """Return whether the scheme's own pools have room for what is in use, having cleared the census."""
    if not validate_head_tops(s, c):
        return False
    for vma in range(s.glob[0].vma_top):
        c.rmap.listed[vma].anon_vma = NULL
    return True


def validate_rmap_lists(s, c):
    """Check the list of every anon_vma, that every vma is where it says, and the members; vmas have been checked."""
    for anon_vma in range(1, s.glob[0].anon_vma_top):
        if s.rmap.anon_vma[anon_vma].id != 0:
            _validate_list(s, c, anon_vma)
    validate_heads(s, c)
    for vma in range(1, s.glob[0].vma_top):
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
    count_list(s, c, anon_vma, n)


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
    if is_member(s, c, v.member, v.anon_vma, owner):
        c.rmap.member[v.member].vmas += 1
    else:
        tell(c, MEMBER_OF_VMA, v.id, 0, owner, v.start, 0, 0)


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
        count_pte(s, c, vma, vpn, page)


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


register_checks(SCHEME, sys.modules[__name__])
