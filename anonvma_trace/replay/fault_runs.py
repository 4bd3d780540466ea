"""Runs of plain write faults, which most of a trace consists of: what they have in common is done once.

A plain fault gives its place a page of the vma's own and changes nothing else but counts: a first touch of anonymous
memory, or a copy of a page that others map too; the vma has an anon_vma already, and the page table the block. In a run
of these, of one process in one vma, each page costs its own fields and little more: processes, vmas, room and peaks are
looked at once. All that a fault can be otherwise is the affair of `memory`, which does plain ones alike one by one
(``tests/replay/test_fault_runs.py`` compares the two).
"""

from __future__ import annotations

import numpy as np

from .compiled import kernel
from .frames import name_frame
from .layout import (
    LOG_SPANS,
    NULL,
    PAGE_CHANGES_WIDTH,
    PG_ACTIVE,
    PG_ANON_KIND,
    PG_EXCLUSIVE,
    PG_LRU,
    PG_REFERENCED,
    PT_BITS,
    PT_ENTRIES,
    PT_USED,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_YOUNG,
    PTE_ZERO,
    REGION_ROWS,
    VM_SHARED,
    VM_WRITE,
)
from .page_table import find_pte
from .processes import find_process
from .rows import OP_WRITE_FAULT, page_below
from .schemes.interface import (
    map_new_page,
    new_page_mapping,
    page_remove_rmap,
    pages_mapped,
    room_for_new_pages,
    state_may_change,
)
from .vma_index import find_vma

_OWN_PTE = PTE_PRESENT | PTE_YOUNG | PTE_DIRTY | PTE_WRITE
_NEW_PAGE = PG_ANON_KIND | PG_EXCLUSIVE | PG_ACTIVE | PG_LRU


@kernel
def _vma_of_plain_faults(s, proc, vpn):
    """Return the vma of a write fault at `vpn` if it can be plain, else NULL."""
    if proc == NULL:
        return NULL
    vma = find_vma(s, s.proc[proc].mm, vpn)
    if vma == NULL or s.vma[vma].start > vpn or s.vma[vma].vm_flags & (VM_WRITE | VM_SHARED) != VM_WRITE:
        return NULL
    return vma


@kernel
def _is_copied(s, pte):
    """Return whether a write through this pte copies an anonymous page that stays mapped elsewhere.

    Not so where the page would be kept (`memory.do_wp_page`).
    """
    if pte & (PTE_PRESENT | PTE_WRITE | PTE_SWAP | PTE_ZERO) != PTE_PRESENT:
        return False
    p = s.page[pte >> PTE_SHIFT]
    return p.pg_flags & PG_ANON_KIND != 0 and p.mapcount >= 2


@kernel
def replay_plain_faults(s, row, last, ts, pid, comm, op, addr, frame):
    """Replay plain faults from `row` on, of one process in one vma, and return the row behind the last one.

    It is `row` if the fault there is not plain. What is done when an event is over is left to the caller, for the last
    of them alone: each makes a page and changes no other figure of the timeline. A run ends where a sample is due.
    """
    glob = s.glob[0]
    proc = find_process(s, pid[row])
    vma = _vma_of_plain_faults(s, proc, page_below(addr[row]))
    if vma == NULL or glob.active_head == NULL or glob.event == 0:
        return row
    v = s.vma[vma]
    mm, owner, anonymous = v.mm, s.mm[v.mm].owner, v.file == 0
    mapping = new_page_mapping(s, vma)
    is_shard = glob.is_shard != 0
    if not is_shard:
        last = min(last, row + glob.next_sample - glob.event)
    top, cap, free = glob.page_top, glob.page_cap, glob.page_free
    room = min(cap - top + glob.page_n_free, room_for_new_pages(s, vma))
    frames_left = glob.frame_mask // 2 - glob.frame_used  # to be named, half of their hash in use
    newest, serial = glob.active_head, glob.pages_allocated
    behind = row  # the last plain fault
    touched = copied = 0  # pages
    key, leaf = -1, 0  # of the page table's block at hand
    for at in range(row, last):
        vpn = page_below(addr[at])
        if (
            op[at] != OP_WRITE_FAULT
            or pid[at] != pid[row]
            or (frame[at] >= 0 and frames_left <= 0)
            or vpn < v.start
            or vpn >= v.end
            or touched + copied == room
        ):
            break
        if vpn >> PT_BITS != key:
            place = find_pte(s, mm, vpn)
            if place == 0:
                break
            key, leaf = vpn >> PT_BITS, place - (vpn & (PT_ENTRIES - 1))
        place = leaf + (vpn & (PT_ENTRIES - 1))
        pte = s.pt[place]
        if pte == 0 and anonymous:  # memory.do_anonymous_page
            s.pt[leaf + PT_USED] += 1
            touched += 1
        elif _is_copied(s, pte):  # memory.do_wp_page
            page_remove_rmap(s, pte >> PTE_SHIFT, vma, vpn)
            copied += 1
        else:
            break
        if top < cap:  # pools.alloc_page_row
            page = top
            top += 1
        else:
            page = free
            free = np.int64(s.page[page].lru_next)
        serial += 1
        p = s.page[page]
        p.first_vpn = vpn
        p.mapcount = 0
        p.pg_flags = _NEW_PAGE | (PG_REFERENCED if pte == 0 else 0)
        p.slot = NULL
        p.proc = owner
        p.serial = serial
        p.lru_prev = NULL  # lru.add_page_to_active_list
        p.lru_next = newest
        s.page[newest].lru_prev = page
        newest = page
        map_new_page(s, page, vma, vpn, mapping)
        s.pt[place] = (page << PTE_SHIFT) | _OWN_PTE
        if is_shard:
            s.page_changes[PAGE_CHANGES_WIDTH * at] = 1
            s.page_changes[PAGE_CHANGES_WIDTH * at + 1] = 1 if pte == 0 else 0
        if frame[at] >= 0:
            name_frame(s, frame[at], mm, vpn)
            frames_left -= 1
        if comm[at] >= 0:
            s.proc[proc].comm = comm[at]
        behind = at + 1
    if behind == row:
        return row
    glob.page_n_free -= touched + copied - (top - glob.page_top)
    glob.page_top, glob.page_free = top, free
    glob.active_head, glob.pages_allocated = newest, serial
    glob.n_active += touched + copied
    glob.event += behind - row
    glob.ts = ts[behind - 1]
    _count(s, proc, vma, touched, copied)
    if is_shard:  # the last row is told of when its event is over (`timeline.log_change`)
        told = PAGE_CHANGES_WIDTH * (behind - 1)
        glob.pages_told += touched + copied - s.page_changes[told]
        glob.ptes_told += touched - s.page_changes[told + 1]
    else:
        glob.vmas_sum += (touched + copied - 1) * glob.vmas_live
    return behind


@kernel
def _count(s, proc, vma, touched, copied):
    """Count the pages of a run whose last event is the one at hand."""
    glob = s.glob[0]
    mm = s.mm[s.vma[vma].mm]
    pages = touched + copied
    state_may_change(s)
    glob.op, glob.proc, glob.last_ts = OP_WRITE_FAULT, proc, glob.ts
    glob.spans_before = s.ints[4 * LOG_SPANS + REGION_ROWS]
    glob.faults_in_runs += pages
    glob.mapped_ptes += touched
    glob.cow_copies += copied
    mm.rss += touched
    s.proc[proc].faults += pages
    s.proc[mm.owner].cow_copies += copied
    pages_mapped(s, vma, pages)
