"""Making and ending address spaces. Source: kernel/fork.c, fs/exec.c, mm/mmap.c of 2.6.7 with rmap 39."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    NULL,
    PG_ANON_KIND,
    PG_EXCLUSIVE,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_YOUNG,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_SHARED,
)
from .locks import LOCK_EXIT, LOCK_FORK, count_locks
from .log import log_vma_span
from .memory import zap_page_range
from .mmap import copy_of_vma, enter_vma, remove_vma
from .page_table import count_leaf_entries, end_of_leaf, find_pte, leaf_of, next_pte
from .pools import alloc_mm, free_mm
from .schemes.interface import anon_vma_fork, anon_vma_unlink, dup_rmap, exit_rmap, page_dup_rmap


@kernel
def copy_page_range(s, vma, child):
    """Give the child's copy of a vma the parent's ptes; private pages become read-only in both.

    Source: mm/memory.c, ``copy_page_range``.
    """
    v = s.vma[vma]
    child_mm = s.vma[child].mm
    vpn = next_pte(s, v.mm, v.start, v.end)
    while vpn < v.end:  # block by block
        stop = end_of_leaf(vpn, v.end)
        source, target = find_pte(s, v.mm, vpn), leaf_of(s, child_mm, vpn)
        copied = 0
        for offset in range(stop - vpn):
            if s.pt[source + offset] != 0:
                cow = v.vm_flags & VM_SHARED == 0
                s.pt[target + offset] = _copy_one_pte(s, source + offset, child, vpn + offset, cow)
                copied += 1
        count_leaf_entries(s, child_mm, vpn, copied)
        vpn = next_pte(s, v.mm, stop, v.end)


@kernel
def _copy_one_pte(s, at, child, vpn, cow):
    """Return the child's copy of a pte; both become read-only with `cow`. Source: ``copy_one_pte``."""
    pte = s.pt[at]
    if pte & PTE_SWAP:
        s.slot[pte >> PTE_SHIFT].map += 1
    elif pte & PTE_PRESENT:
        if cow:
            pte &= ~PTE_WRITE
            s.pt[at] = pte
        else:
            pte &= ~PTE_DIRTY
        pte &= ~PTE_YOUNG
        s.mm[s.vma[child].mm].rss += 1
        s.glob[0].mapped_ptes += 1
        page = pte >> PTE_SHIFT
        if s.page[page].pg_flags & PG_ANON_KIND:
            s.page[page].pg_flags &= ~PG_EXCLUSIVE
            page_dup_rmap(s, page, child, vpn)
        else:
            s.page[page].mapcount += 1
    return pte


@kernel
def dup_mmap(s, parent_mm, child_proc):
    """Return a copy of an mm for a forked child: each vma at the head of its parent's list, before its ptes.

    Source: rmap 39, kernel/fork.c, ``dup_mmap``.
    """
    mm = alloc_mm(s, child_proc)
    s.mm[mm].brk_start = s.mm[parent_mm].brk_start
    s.mm[mm].brk = s.mm[parent_mm].brk
    s.mm[mm].known = s.mm[parent_mm].known
    dup_rmap(s, mm, parent_mm)
    vma = s.mm[parent_mm].first
    while vma != NULL:
        if s.vma[vma].vm_flags & VM_DONTCOPY == 0:
            child = copy_of_vma(s, vma, mm)
            s.vma[child].vm_flags &= ~VM_LOCKED
            count_locks(s, LOCK_FORK, s.vma[vma].file, 1, 1, s.vma[vma].anon_vma)
            enter_vma(s, child)
            anon_vma_fork(s, child, vma)
            copy_page_range(s, vma, child)
        vma = s.vma[vma].next
    return mm


@kernel
def exit_mmap(s, mm):
    """Tear an mm down: all ptes first, then vma by vma in address order.

    Source: rmap 39, mm/mmap.c, ``exit_mmap``.
    """
    vma = s.mm[mm].first
    while vma != NULL:
        zap_page_range(s, vma, s.vma[vma].start, s.vma[vma].end)
        vma = s.vma[vma].next
    while s.mm[mm].first != NULL:
        vma = s.mm[mm].first
        log_vma_span(s, vma)
        count_locks(s, LOCK_EXIT, s.vma[vma].file, 0, 0, s.vma[vma].anon_vma)
        anon_vma_unlink(s, vma)
        remove_vma(s, vma)


@kernel
def mmput(s, mm):
    """Drop one user of an mm; the last one tears it down. Source: kernel/fork.c, ``mmput``."""
    s.mm[mm].users -= 1
    if s.mm[mm].users == 0:
        exit_mmap(s, mm)
        exit_rmap(s, mm)
        free_mm(s, mm)
