"""Which process has how many vmas and pages on which anon_vma: the `members` result table.

A member is found through the vma (`vma.member`) on every hot path; only a page that lies in a vma which is
not on the page's own list (defects D1, D2) is looked up in the hash.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel
from ..layout import NULL, record
from ..log import log_member

MEMBER = record(
    "anon_vma",
    "proc",
    "vmas",
    "vmas_peak",
    "pages",  # ptes of that process's mm that hold pages of that anon_vma
    "pages_peak",
    "hash_next",  # chain in the hash. While free: next free row
    "next",  # members of the same anon_vma
    "prev",
    "touched",
    "touched_next",
    "linked",  # a vma was ever on the list
)


@kernel
def member_bucket(s, anon_vma, proc):
    """Return where in `ints` the chain of an anon_vma and process begins."""
    glob = s.glob[0]
    return glob.member_base + (((anon_vma * 0x9E3779B1) ^ (proc * 0x85EBCA6B)) >> 7 & glob.member_mask)


@kernel
def hash_member(s, member):
    """Put a member into the hash."""
    m = s.rmap.member[member]
    bucket = member_bucket(s, m.anon_vma, m.proc)
    m.hash_next = s.ints[bucket]
    s.ints[bucket] = member


@kernel
def _find_member(s, anon_vma, proc):
    """Return the member of an anon_vma and process; it is made if there is none."""
    member = s.ints[member_bucket(s, anon_vma, proc)]
    while member != NULL:
        m = s.rmap.member[member]
        if m.anon_vma == anon_vma and m.proc == proc:
            return member
        member = m.hash_next
    return _alloc_member(s, anon_vma, proc)


@kernel
def _alloc_member(s, anon_vma, proc):
    glob = s.glob[0]
    row = glob.member_free
    if row != NULL:
        glob.member_free = s.rmap.member[row].hash_next
        glob.member_n_free -= 1
    else:
        row = glob.member_top
        glob.member_top += 1
    glob.n_members += 1
    m = s.rmap.member[row]
    m.anon_vma = anon_vma
    m.proc = proc
    m.vmas = 0
    m.vmas_peak = 0
    m.pages = 0
    m.pages_peak = 0
    m.linked = 0
    a = s.rmap.anon_vma[anon_vma]
    m.prev = NULL
    m.next = a.first_member
    if a.first_member != NULL:
        s.rmap.member[a.first_member].prev = row
    a.first_member = row
    hash_member(s, row)
    return row


@kernel
def _drop_member(s, member):
    """Write a member's row and free it."""
    glob = s.glob[0]
    m = s.rmap.member[member]
    if m.vmas_peak > 0 or m.pages_peak > 0:  # else it did not last for one event
        log_member(s, s.rmap.anon_vma[m.anon_vma].id, m.proc, m.vmas_peak, m.pages_peak)
    bucket = member_bucket(s, m.anon_vma, m.proc)
    if s.ints[bucket] == member:
        s.ints[bucket] = m.hash_next
    else:
        before = s.ints[bucket]
        while s.rmap.member[before].hash_next != member:
            before = s.rmap.member[before].hash_next
        s.rmap.member[before].hash_next = m.hash_next
    if m.prev == NULL:
        s.rmap.anon_vma[m.anon_vma].first_member = m.next
    else:
        s.rmap.member[m.prev].next = m.next
    if m.next != NULL:
        s.rmap.member[m.next].prev = m.prev
    m.anon_vma = NULL
    m.vmas = 0
    m.pages = 0
    m.hash_next = glob.member_free
    glob.member_free = member
    glob.member_n_free += 1
    glob.n_members -= 1


@kernel
def drop_members(s, anon_vma):
    """Write and free all members of an anon_vma that is about to be freed."""
    while s.rmap.anon_vma[anon_vma].first_member != NULL:
        _drop_member(s, s.rmap.anon_vma[anon_vma].first_member)


@kernel
def _touch(s, member):
    m = s.rmap.member[member]
    if m.touched == 0:
        m.touched = 1
        m.touched_next = s.glob[0].touched_member
        s.glob[0].touched_member = member


@kernel
def count_vma_in(s, anon_vma, proc):
    """Count a vma of a process that came onto the list of an anon_vma; return the member."""
    member = _find_member(s, anon_vma, proc)
    m = s.rmap.member[member]
    m.vmas += 1
    if m.linked == 0:
        m.linked = 1
        s.proc[proc].anon_vmas_touched += 1
    _touch(s, member)
    return member


@kernel
def count_vma_out(s, member, dying):
    """Count a vma off the list of an anon_vma; the last one of an mm that is torn down ends the membership."""
    m = s.rmap.member[member]
    m.vmas -= 1
    if m.vmas == 0 and m.pages == 0 and dying:
        _drop_member(s, member)


@kernel
def member_link(s, vma):
    """Count a vma that came onto the list of its anon_vma."""
    v = s.vma[vma]
    v.member = count_vma_in(s, v.anon_vma, s.mm[v.mm].owner)


@kernel
def member_unlink(s, vma):
    """Count a vma off the list of its anon_vma."""
    v = s.vma[vma]
    count_vma_out(s, v.member, s.mm[v.mm].users == 0)
    v.member = NULL


@kernel
def _member_of_page(s, page, vma):
    """Return the member that counts this page's pte in `vma`; NULL if the page's anon_vma is freed."""
    p = s.page[page]
    v = s.vma[vma]
    if s.rmap.anon_vma[p.mapping].id != p.mapping_id:
        return NULL
    if p.mapping == v.anon_vma:
        return v.member
    return _find_member(s, np.int64(p.mapping), s.mm[v.mm].owner)


@kernel
def member_add_page(s, page, vma):
    """Count one more pte of `page` in `vma`."""
    member = _member_of_page(s, page, vma)
    if member != NULL:
        member_add_pages(s, member, 1)


@kernel
def member_add_pages(s, member, pages):
    """Count so many more ptes of a member."""
    s.rmap.member[member].pages += pages
    _touch(s, member)


@kernel
def member_drop_page(s, page, vma):
    """Count one pte of `page` less in `vma`."""
    member = _member_of_page(s, page, vma)
    if member != NULL:
        s.rmap.member[member].pages -= 1


@kernel
def settle_members(s):
    """Bring the peaks of the members that this event touched up to date."""
    glob = s.glob[0]
    member = glob.touched_member
    while member != NULL:
        m = s.rmap.member[member]
        m.touched = 0
        m.vmas_peak = max(m.vmas_peak, m.vmas)
        m.pages_peak = max(m.pages_peak, m.pages)
        member = m.touched_next
    glob.touched_member = NULL


@kernel
def rehash_members(s):
    """Put all members into their hash, which is empty."""
    for member in range(1, s.glob[0].member_top):
        if s.rmap.member[member].anon_vma != NULL:
            hash_member(s, member)
