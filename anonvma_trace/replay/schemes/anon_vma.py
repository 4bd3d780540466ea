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
    LOG_ANON_VMAS,
    NULL,
    PG_ANON,
    RULE_FIX_MOVE_MERGE,
    RULE_FIX_PROPAGATE,
    RULE_MERGE_PRE_RMAP39,
    RULE_PROPAGATE_ALL,
    RULE_RMAP40,
    SIDE_ANON_DIFF,
    SIDE_FILE,
    SIDE_FLAGS,
    SIDE_OK,
    SIDE_PGOFF_ANON,
    SIDE_PGOFF_FILE,
    VM_ACCESS,
    record,
)
from ..locks import LOCK_PREPARE, count_locks
from ..log import log_row, log_vma_span
from .anon_vma_walk import page_referenced, try_to_unmap  # noqa: F401  (looked up by name: `interface`)
from .interface import register_scheme
from .listhead import list_add, list_add_tail, list_del
from .members import (
    drop_members,
    member_add_page,
    member_drop_page,
    member_link,
    member_unlink,
    settle_members,
)

ANON_VMA = record(
    "id",
    "head",  # first vma of the list. While free: next free row
    "n_vmas",
    "peak_vmas",
    "n_pages",  # pages with mapcount above 0 whose mapping it is
    "peak_pages",
    "pages_ever",
    "walks",
    "vmas_visited",
    "allocated_event",
    "allocated_ts",
    "allocated_by",  # op
    "proc",
    "first_member",
    "touched",  # on the list of those whose peaks are to be looked at when the event is over
    "touched_next",
)

# Sizes of an anon_vma and of what it adds to a vma, SMP: lock and two list words; two list words and a pointer.
BYTES_I386 = 12
BYTES_X86_64 = 24


class AnonVmaTables(NamedTuple):
    """The scheme's own tables."""

    anon_vma: Any  # ANON_VMA records
    member: Any  # MEMBER records


@kernel
def _list_grew(s, anon_vma):
    """Bring the list's length, and the longest of all, up to date after a vma came onto it."""
    glob = s.glob[0]
    a = s.rmap.anon_vma[anon_vma]
    a.n_vmas += 1
    s.ints[glob.lengths_base + a.n_vmas] += 1
    if a.n_vmas > 1:
        s.ints[glob.lengths_base + a.n_vmas - 1] -= 1
    if a.n_vmas > glob.longest_now:
        glob.longest_now = a.n_vmas
    _touch(s, anon_vma)


@kernel
def _list_shrank(s, anon_vma):
    """Bring the list's length, and the longest of all, up to date before a vma leaves it.

    The longest can shrink by one at most: this list is then the next longest.
    """
    glob = s.glob[0]
    a = s.rmap.anon_vma[anon_vma]
    s.ints[glob.lengths_base + a.n_vmas] -= 1
    if a.n_vmas == glob.longest_now and s.ints[glob.lengths_base + a.n_vmas] == 0:
        glob.longest_now -= 1
    a.n_vmas -= 1
    if a.n_vmas > 0:
        s.ints[glob.lengths_base + a.n_vmas] += 1


@kernel
def _touch(s, anon_vma):
    """Remember to look at the peaks of this anon_vma when the event is over."""
    a = s.rmap.anon_vma[anon_vma]
    if a.touched == 0:
        a.touched = 1
        a.touched_next = s.glob[0].touched_anon_vma
        s.glob[0].touched_anon_vma = anon_vma


@kernel
def _alloc_anon_vma(s, proc):
    glob = s.glob[0]
    row = glob.anon_vma_free
    if row != NULL:
        glob.anon_vma_free = s.rmap.anon_vma[row].head
        glob.anon_vma_n_free -= 1
    else:
        row = glob.anon_vma_top
        glob.anon_vma_top += 1
    glob.anon_vma_id += 1
    glob.anon_vmas_allocated += 1
    count_locks(s, LOCK_PREPARE, 0, 0, 1, NULL)
    a = s.rmap.anon_vma[row]
    a.id = glob.anon_vma_id
    a.head = NULL
    a.n_vmas = 0
    a.peak_vmas = 0
    a.n_pages = 0
    a.peak_pages = 0
    a.pages_ever = 0
    a.walks = 0
    a.vmas_visited = 0
    a.allocated_event = glob.event
    a.allocated_ts = glob.ts
    a.allocated_by = glob.op
    a.proc = proc
    a.first_member = NULL
    return row


@kernel
def _free_anon_vma(s, anon_vma):
    """Free an anon_vma whose list is empty; pages that still point to it dangle."""
    glob = s.glob[0]
    drop_members(s, anon_vma)
    a = s.rmap.anon_vma[anon_vma]
    at = log_row(s, LOG_ANON_VMAS)
    log = s.log
    log[at] = a.id
    log[at + 1] = a.allocated_event
    log[at + 2] = a.allocated_ts
    log[at + 3] = a.allocated_by
    log[at + 4] = a.proc
    log[at + 5] = glob.event
    log[at + 6] = glob.ts
    log[at + 7] = a.peak_vmas
    log[at + 8] = a.peak_pages
    log[at + 9] = a.pages_ever
    log[at + 10] = a.walks
    log[at + 11] = a.vmas_visited
    glob.anon_vmas_freed += 1
    if a.pages_ever == 0:
        glob.anon_vmas_never_used += 1
    a.id = 0
    a.head = glob.anon_vma_free
    glob.anon_vma_free = anon_vma
    glob.anon_vma_n_free += 1


def anon_vma_prepare(s, vma):
    """Give a vma an anon_vma if it has none: one of its own; neighbours are not looked at.

    Since rmap 40 ("better anon_vma sharing") a neighbour's anon_vma is reused where both could be merged.
    Source: rmap 39, mm/rmap.c, ``anon_vma_prepare``.
    """
    if s.vma[vma].anon_vma == NULL:
        anon_vma = _find_mergeable_anon_vma(s, vma) if s.glob[0].rules & RULE_RMAP40 else NULL
        if anon_vma == NULL:
            anon_vma = _alloc_anon_vma(s, s.mm[s.vma[vma].mm].owner)
        _adopt(s, vma, anon_vma)


@kernel
def _adopt(s, vma, anon_vma):
    """Give a vma without anon_vma this one, at the head of its list."""
    log_vma_span(s, vma)
    s.vma[vma].anon_vma = anon_vma
    list_add(s, anon_vma, vma)
    _list_grew(s, anon_vma)
    member_link(s, vma)


@kernel
def _find_mergeable_anon_vma(s, vma):
    """Return the anon_vma of a touching neighbour that `vma` could be merged with if its access were the same.

    Source: rmap 40, mm/mmap.c, ``find_mergeable_anon_vma``: the next vma first, then the previous.
    """
    v = s.vma[vma]
    after = v.next
    if after != NULL and s.vma[after].anon_vma != NULL and s.vma[after].start == v.end:
        n = s.vma[after]
        if _same_but_access(s, vma, after) and n.pgoff == v.pgoff + (v.end - v.start):
            return n.anon_vma
    before = v.prev
    if before != NULL and s.vma[before].anon_vma != NULL and s.vma[before].end == v.start:
        p = s.vma[before]
        if _same_but_access(s, vma, before) and p.pgoff + (p.end - p.start) == v.pgoff:
            return p.anon_vma
    return NULL


@kernel
def _same_but_access(s, vma, neighbour):
    return (s.vma[vma].vm_flags ^ s.vma[neighbour].vm_flags) & ~VM_ACCESS == 0 and s.vma[vma].file == s.vma[
        neighbour
    ].file


def anon_vma_link(s, vma):
    """Put a vma that was copied from another at the head of the list, if it has an anon_vma.

    Source: rmap 39, mm/rmap.c, ``anon_vma_link``, ``__anon_vma_link``.
    """
    anon_vma = s.vma[vma].anon_vma
    if anon_vma != NULL:
        list_add(s, anon_vma, vma)
        _list_grew(s, anon_vma)
        member_link(s, vma)


def anon_vma_fork(s, vma, parent):
    """Put the child's copy of a vma at the head of its parent's list.

    Source: rmap 39, kernel/fork.c, ``dup_mmap``.
    """
    anon_vma = s.vma[vma].anon_vma
    if anon_vma != NULL:
        list_add(s, anon_vma, vma)
        _list_grew(s, anon_vma)
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
        _list_grew(s, anon_vma)
        member_link(s, vma)
    list_del(s, anon_vma, next_vma)
    _list_shrank(s, anon_vma)
    member_unlink(s, next_vma)
    if s.rmap.anon_vma[anon_vma].head == NULL:  # two heads joined: only before rmap 39
        _free_anon_vma(s, anon_vma)


def anon_vma_shift(s, importer, exporter):
    """Let the vma that takes pages over at a shifted boundary have their anon_vma: not in rmap 39 (defect D1).

    Source: "mprotect propagate anon_vma", 18 June 2004, mm/mmap.c, ``vma_adjust`` (2.6.8).
    """
    anon_vma = s.vma[exporter].anon_vma
    if s.glob[0].rules & (RULE_FIX_PROPAGATE | RULE_PROPAGATE_ALL):
        if s.vma[importer].anon_vma == NULL and anon_vma != NULL:
            _adopt(s, importer, anon_vma)


def anon_vma_moved(s, vma, anon_vma):
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
        _list_shrank(s, anon_vma)
        member_unlink(s, vma)
        if s.rmap.anon_vma[anon_vma].head == NULL:
            _free_anon_vma(s, anon_vma)


def anon_vmas_compatible(s, a, b):
    """Return whether vmas with these anon_vmas may become one: unless both are set and differ."""
    if s.glob[0].rules & RULE_MERGE_PRE_RMAP39:
        return True
    return a == NULL or b == NULL or a == b


def merge_side(s, vma, flags, file, anon_vma, pgoff_fits):
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


def page_add_anon_rmap(s, page, vma, vpn):
    """Count one more pte of `page`, at `vpn` in `vma`; the first one decides mapping and index.

    Source: rmap 39, mm/rmap.c, ``page_add_anon_rmap``; its BUG_ONs are `anon_rmap_bug`.
    """
    p = s.page[page]
    v = s.vma[vma]
    if v.anon_vma == NULL:  # reached only before rmap 39, where `anon_rmap_bug` lets everything pass
        _adopt(s, vma, _alloc_anon_vma(s, s.mm[v.mm].owner))
    if p.mapcount == 0:
        a = s.rmap.anon_vma[v.anon_vma]
        if p.mapping_id != a.id:  # else it comes back: counted before
            a.pages_ever += 1
        p.pg_flags |= PG_ANON
        p.mapping = v.anon_vma
        p.mapping_id = a.id
        p.index = v.pgoff + (vpn - v.start)
        a.n_pages += 1
        _touch(s, v.anon_vma)
    p.mapcount += 1
    member_add_page(s, page, vma)


def page_dup_rmap(s, page, vma):
    """Count one more pte of `page`, in the child's `vma`, without a check (``page_dup_rmap``)."""
    s.page[page].mapcount += 1
    member_add_page(s, page, vma)


def page_remove_rmap(s, page, vma):
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


def page_reused(s, page, vma):
    """Do nothing: a reused page stays with its anon_vma."""


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
    anon_vma = glob.touched_anon_vma
    while anon_vma != NULL:
        a = s.rmap.anon_vma[anon_vma]
        a.touched = 0
        a.peak_vmas = max(a.peak_vmas, a.n_vmas)
        a.peak_pages = max(a.peak_pages, a.n_pages)
        anon_vma = a.touched_next
    glob.touched_anon_vma = NULL
    settle_members(s)
    objects = glob.anon_vmas_allocated - glob.anon_vmas_freed + glob.vmas_live
    glob.overhead_i386 = BYTES_I386 * objects
    glob.overhead_x86_64 = BYTES_X86_64 * objects


register_scheme(AnonVmaTables, sys.modules[__name__])
