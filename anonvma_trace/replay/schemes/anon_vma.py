"""Scheme `anon_vma`: rmap 39 of 18 May 2004, exactly as posted unless a rule says otherwise.

A page points to an anon_vma, which heads a list of the vmas that may map it. New list members come in at two
places only: at the head, and in the place of a neighbour that is merged away.

Rules (bits of `glob.rules`): `fix_propagate` and `fix_move_merge` mend the patch's two defects, `propagate_all` is how
2.6.11 does the first, `rmap40` lets anon_vma_prepare share a neighbour's anon_vma, and `merge_pre_rmap39` merges by the
rules before the patch, to count what it refuses (layout only: the lists of joined heads mean nothing then).

Source: "rmap 39 add anon_vma rmap", mm/rmap.c, mm/mmap.c (Linux 2.6.7).
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from ..compiled import kernel
from ..layout import (
    BUG_INDEX,
    BUG_MAPPING,
    BUG_NO_ANON_VMA,
    BUG_NONE,
    NULL,
    PG_ANON,
    SIDE_ANON_DIFF,
    SIDE_FILE,
    SIDE_FLAGS,
    SIDE_OK,
    SIDE_PGOFF_ANON,
    SIDE_PGOFF_FILE,
)
from ..log import log_vma_span
from . import rule_bits
from .anon_vma_walk import page_referenced, try_to_unmap  # noqa: F401  (looked up by name: `interface`)
from .description import Pool, Scheme
from .heads import (  # noqa: F401  (looked up by name: `interface`)
    ANON_VMA,
    HEAD_GLOB,
    alloc_head,
    anon_vma_id,
    free_head,
    head_id,
    heads_have_room,
    list_grew,
    list_shrank,
    settle_heads,
    touch_head,
)
from .interface import register_scheme
from .listhead import list_add, list_add_tail, list_del
from .members import (
    MEMBER,
    member_add_page,
    member_drop_page,
    member_link,
    member_unlink,
    rehash_members,
)
from .neighbours import find_mergeable_anon_vma
from .new_pages import new_page_mapping, pages_mapped, room_for_new_pages  # noqa: F401
from .standing_lists import vmas_on_lists
from .walk_index import forget_index

RULE_FIX_PROPAGATE, RULE_PROPAGATE_ALL, RULE_FIX_MOVE_MERGE, RULE_RMAP40, RULE_MERGE_PRE_RMAP39 = (
    rule_bits("anon_vma", {rule})
    for rule in ("fix_propagate", "propagate_all", "fix_move_merge", "rmap40", "merge_pre_rmap39")
)

# Sizes of an anon_vma and of what it adds to a vma, SMP: lock and two list words; two list words and a pointer.
BYTES_I386 = 12
BYTES_X86_64 = 24


class AnonVmaTables(NamedTuple):
    """The scheme's own tables."""

    anon_vma: Any  # ANON_VMA records
    member: Any  # MEMBER records


def anon_vma_prepare(s, vma):
    """Give a vma an anon_vma if it has none: one of its own; neighbours are not looked at.

    Since rmap 40 ("better anon_vma sharing") a neighbour's anon_vma is reused where both could be merged.
    Source: rmap 39, mm/rmap.c, ``anon_vma_prepare``.
    """
    if s.vma[vma].anon_vma == NULL:
        anon_vma = find_mergeable_anon_vma(s, vma) if s.glob[0].rules & RULE_RMAP40 else NULL
        if anon_vma == NULL:
            anon_vma = alloc_head(s, s.mm[s.vma[vma].mm].owner)
        _adopt(s, vma, anon_vma)


@kernel
def _adopt(s, vma, anon_vma):
    """Give a vma without anon_vma this one, at the head of its list."""
    log_vma_span(s, vma)
    s.vma[vma].anon_vma = anon_vma
    list_add(s, anon_vma, vma)
    list_grew(s, anon_vma)
    member_link(s, vma)


def anon_vma_link(s, vma, source):
    """Put a vma that was copied from another at the head of the list, if it has an anon_vma.

    Source: rmap 39, mm/rmap.c, ``anon_vma_link``, ``__anon_vma_link``.
    """
    anon_vma = s.vma[vma].anon_vma
    if anon_vma != NULL:
        list_add(s, anon_vma, vma)
        list_grew(s, anon_vma)
        member_link(s, vma)


def anon_vma_fork(s, vma, parent):
    """Put the child's copy of a vma at the head of its parent's list.

    Source: rmap 39, kernel/fork.c, ``dup_mmap``.
    """
    anon_vma = s.vma[vma].anon_vma
    if anon_vma != NULL:
        s.glob[0].fork_insertions += 1
        list_add(s, anon_vma, vma)
        list_grew(s, anon_vma)
        member_link(s, vma)


def anon_vma_merge(s, vma, next_vma):
    """Take `next_vma`, which disappears into `vma`, off its list; a `vma` without anon_vma takes its place there.

    In 2.6.11 (`propagate_all`) such a vma is linked beforehand, and so comes to the head.
    Source: rmap 39, mm/rmap.c, ``__anon_vma_merge``, called by ``vma_adjust`` only if next has an anon_vma.
    """
    anon_vma = s.vma[next_vma].anon_vma
    if anon_vma == NULL:
        return
    if s.vma[vma].anon_vma == NULL and s.glob[0].rules & RULE_PROPAGATE_ALL:
        _adopt(s, vma, anon_vma)
    elif s.vma[vma].anon_vma == NULL:
        s.vma[vma].anon_vma = anon_vma
        list_add_tail(s, anon_vma, vma, next_vma)
        list_grew(s, anon_vma)
        member_link(s, vma)
    list_del(s, anon_vma, next_vma)
    list_shrank(s, anon_vma)
    member_unlink(s, next_vma)
    if s.rmap.anon_vma[anon_vma].head == NULL:  # two heads joined: only before rmap 39
        free_head(s, anon_vma)


def anon_vma_shift(s, importer, exporter):
    """Let the vma that takes pages over at a shifted boundary have their anon_vma: not in rmap 39 (defect D1).

    Source: "mprotect propagate anon_vma", 18 June 2004, mm/mmap.c, ``vma_adjust`` (2.6.8).
    """
    anon_vma = s.vma[exporter].anon_vma
    if s.glob[0].rules & (RULE_FIX_PROPAGATE | RULE_PROPAGATE_ALL):
        if s.vma[importer].anon_vma == NULL and anon_vma != NULL:
            _adopt(s, importer, anon_vma)


def anon_vma_moved(s, vma, source, anon_vma):
    """Let the vma that moved pages go to have their anon_vma: not in rmap 39 (defect D2)."""
    if s.glob[0].rules & RULE_FIX_MOVE_MERGE:
        if s.vma[vma].anon_vma == NULL and anon_vma != NULL:
            _adopt(s, vma, anon_vma)


def anon_vma_unlink(s, vma):
    """Take a dying vma off its list, and free the anon_vma if that was the last one.

    Source: rmap 39, mm/rmap.c, ``anon_vma_unlink``.
    """
    anon_vma = s.vma[vma].anon_vma
    if anon_vma != NULL:
        list_del(s, anon_vma, vma)
        list_shrank(s, anon_vma)
        member_unlink(s, vma)
        if s.rmap.anon_vma[anon_vma].head == NULL:
            free_head(s, anon_vma)


def anon_vmas_compatible(s, a, b):
    """Return whether vmas with these anon_vmas may become one: unless both are set and differ."""
    if s.glob[0].rules & RULE_MERGE_PRE_RMAP39:
        return True
    return a == NULL or b == NULL or a == b


def merge_side(s, vma, flags, file, anon_vma, source, pgoff_fits):
    """Return why `vma` may not grow over a range of these properties, or SIDE_OK.

    Source: rmap 39, mm/mmap.c, ``is_mergeable_vma``, ``can_vma_merge_before``, ``can_vma_merge_after``. The tests
    of the policy and of a close hook have their place before flags and after file; no event sets either.
    """
    v = s.vma[vma]
    if v.vm_flags != flags:
        return SIDE_FLAGS
    if v.file != file:
        return SIDE_FILE
    if s.glob[0].rules & RULE_MERGE_PRE_RMAP39:  # no test of the anon_vma, and none of an anonymous pgoff
        return SIDE_OK if file == 0 or pgoff_fits else SIDE_PGOFF_FILE
    if not (anon_vma == NULL or v.anon_vma == NULL or anon_vma == v.anon_vma):
        return SIDE_ANON_DIFF
    if not pgoff_fits:
        return SIDE_PGOFF_ANON if file == 0 else SIDE_PGOFF_FILE
    return SIDE_OK


def anon_rmap_bug(s, page, vma, vpn):
    """Return which BUG_ON of ``page_add_anon_rmap`` mapping `page` at `vpn` would hit, or BUG_NONE."""
    v = s.vma[vma]
    if s.glob[0].rules & RULE_MERGE_PRE_RMAP39:  # layout only: mappings mean nothing
        return BUG_NONE
    if v.anon_vma == NULL:
        return BUG_NO_ANON_VMA
    if page != NULL and s.page[page].mapcount > 0:
        p = s.page[page]
        if p.index != v.pgoff + (vpn - v.start):
            return BUG_INDEX
        if p.mapping != v.anon_vma or p.mapping_id != s.rmap.anon_vma[v.anon_vma].id:
            return BUG_MAPPING
    return BUG_NONE


def page_add_anon_rmap(s, page, vma, vpn, exclusive):
    """Count one more pte of `page`, at `vpn` in `vma`; the first one decides mapping and index.

    Source: rmap 39, mm/rmap.c, ``page_add_anon_rmap``; its BUG_ONs are `anon_rmap_bug`.
    """
    p = s.page[page]
    v = s.vma[vma]
    if v.anon_vma == NULL:  # reached only before rmap 39, where `anon_rmap_bug` lets everything pass
        _adopt(s, vma, alloc_head(s, s.mm[v.mm].owner))
    if p.mapcount == 0:
        a = s.rmap.anon_vma[v.anon_vma]
        if p.mapping_id != a.id:  # else it comes back: counted before
            a.pages_ever += 1
        p.pg_flags |= PG_ANON
        p.mapping = v.anon_vma
        p.mapping_id = a.id
        p.index = v.pgoff + (vpn - v.start)
        a.n_pages += 1
        touch_head(s, v.anon_vma)
    p.mapcount += 1
    member_add_page(s, page, vma)


def page_dup_rmap(s, page, vma, vpn):
    """Count one more pte of `page`, in the child's `vma`, without a check (``page_dup_rmap``)."""
    s.page[page].mapcount += 1
    member_add_page(s, page, vma)


def page_remove_rmap(s, page, vma, vpn):
    """Count one pte of `page`, in `vma`, less; the last one clears PG_anon and the mapping.

    Source: rmap 39, mm/rmap.c, ``page_remove_rmap``. The id of the mapping stays, to tell a page that comes back.
    """
    member_drop_page(s, page, vma)
    p = s.page[page]
    p.mapcount -= 1
    if p.mapcount == 0:
        a = s.rmap.anon_vma[p.mapping]
        if a.id == p.mapping_id:
            a.n_pages -= 1
        p.pg_flags &= ~PG_ANON
        p.mapping = NULL


def page_reachable(s, page, vma, vpn):
    """Return whether a walk of `page` finds its pte at `vpn` in `vma`: 1, 0, or -1 if its anon_vma is freed."""
    p = s.page[page]
    a = s.rmap.anon_vma[p.mapping]
    if a.id != p.mapping_id:
        return -1
    mm = s.vma[vma].mm
    member = a.head
    v = s.vma[vma]
    if v.anon_vma == p.mapping and v.pgoff + (vpn - v.start) == p.index:
        return 1
    while member != NULL:
        w = s.vma[member]
        if w.mm == mm and w.start <= vpn and vpn < w.end and w.pgoff + (vpn - w.start) == p.index:
            return 1
        member = w.anon_next
    return 0


def settle_peaks(s):
    """Bring peaks and overhead up to date when an event is over."""
    glob = s.glob[0]
    settle_heads(s)
    objects = glob.anon_vmas_allocated - glob.anon_vmas_freed + glob.vmas_live
    glob.overhead_i386 = BYTES_I386 * objects
    glob.overhead_x86_64 = BYTES_X86_64 * objects


def vma_init(s, vma):
    """Let a new vma be counted nowhere yet."""
    s.vma[vma].member = NULL


def state_may_change(s):
    """Drop the index of a list: what it rests on may change."""
    if s.glob[0].index_wanted != NULL:
        forget_index(s)


def rehash_rmap(s):
    """Put all members into their hash."""
    rehash_members(s)


def rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few):
    """Return whether there is room for the anon_vmas and members of an event."""
    return heads_have_room(s, n_vmas, n_new_vmas, n_pages, few)


SCHEME = Scheme(
    tables=AnonVmaTables,
    pools={"anon_vma": Pool(ANON_VMA), "member": Pool(MEMBER)},
    hashes=("member",),
    glob_fields=HEAD_GLOB,
    vma_fields=("anon_next", "anon_prev", "member"),
    heads="anon_vma",
    members="member",
    layout_rule="merge_pre_rmap39",
    families_add_up=True,
    counts_locks=True,
    list_members=vmas_on_lists,
)
register_scheme(SCHEME, sys.modules[__name__])
