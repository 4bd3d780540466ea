"""Changing protection. Source: mm/mprotect.c of 2.6.7."""

from __future__ import annotations

from .compiled import kernel
from .findings import count_lossy_merge
from .layout import (
    DIAG_MPROTECT_HOLE,
    NULL,
    PTE_PRESENT,
    PTE_WRITE,
    VM_ACCESS,
    VM_SHARED,
    VM_WRITE,
)
from .log import log_diagnostic, log_vma_span
from .mmap import ORIGIN_HOLDS, split_vma, vma_merge
from .page_table import find_pte, next_pte
from .schemes.defaults import BRK_BOTH
from .schemes.interface import mprotect_vm_flags
from .vma_index import find_vma


@kernel
def change_protection(s, vma, start, end):
    """Write-protect the ptes of a private vma, so that the next write is looked at; shared ones follow the vma."""
    v = s.vma[vma]
    writable = v.vm_flags & VM_SHARED != 0 and v.vm_flags & VM_WRITE != 0
    vpn = next_pte(s, v.mm, start, end)
    while vpn < end:
        at = find_pte(s, v.mm, vpn)
        if s.pt[at] & PTE_PRESENT:
            if writable:
                s.pt[at] |= PTE_WRITE
            else:
                s.pt[at] &= ~PTE_WRITE
        vpn = next_pte(s, v.mm, vpn + 1, end)


@kernel
def mprotect_fixup(s, vma, prev, start, end, flags):
    """Give the part [start, end) of a vma new flags; return the vma that then holds it.

    Source: mm/mprotect.c, ``mprotect_fixup``; the caller has seen that the flags differ.
    """
    v = s.vma[vma]
    flags = mprotect_vm_flags(s, vma, flags)
    pgoff = v.pgoff + (start - v.start)
    anon_vma = v.anon_vma
    merged = vma_merge(s, v.mm, prev, start, end, flags, v.file, pgoff, vma, ORIGIN_HOLDS, BRK_BOTH, True)
    if merged != NULL:
        vma = merged
        if anon_vma != NULL and s.vma[vma].anon_vma == NULL:
            count_lossy_merge(s, v.mm, start, end)
    else:
        if start != v.start:
            split_vma(s, vma, start, True)
        if end != v.end:
            split_vma(s, vma, end, False)
    if s.vma[vma].vm_flags != flags:
        log_vma_span(s, vma)
        s.vma[vma].vm_flags = flags
    change_protection(s, vma, start, end)
    return vma


@kernel
def sys_mprotect(s, mm, start, end, prot):
    """Change the protection of [start, end), vma by vma; a hole stops it, what came before stays.

    Source: mm/mprotect.c, ``sys_mprotect``.
    """
    if start >= end:
        return
    proc = s.glob[0].proc
    vma = find_vma(s, mm, start)
    if vma == NULL or s.vma[vma].start > start:
        log_diagnostic(s, DIAG_MPROTECT_HOLE, proc, start, 0, 0)
        return
    prev = vma if start > s.vma[vma].start else s.vma[vma].prev
    at = start
    while True:
        stop = min(s.vma[vma].end, end)
        flags = (s.vma[vma].vm_flags & ~VM_ACCESS) | prot
        if flags == s.vma[vma].vm_flags:
            prev = vma
        else:
            prev = mprotect_fixup(s, vma, prev, at, stop, flags)
        at = max(stop, s.vma[prev].end)
        if at >= end:
            return
        vma = s.vma[prev].next
        if vma == NULL or s.vma[vma].start != at:
            log_diagnostic(s, DIAG_MPROTECT_HOLE, proc, at, 0, 0)
            return
