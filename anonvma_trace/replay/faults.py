"""Fault rows: which vma a fault belongs to, and what the replay makes of one that belongs to none.

Source: arch/i386/mm/fault.c, ``do_page_fault``, as far as it concerns memory management.
"""

from __future__ import annotations

from .compiled import kernel
from .frames import name_frame
from .layout import (
    BUG_NONE,
    DIAG_BUG,
    DIAG_INVENTED_VMA,
    DIAG_SEGV,
    DIAG_UNMAPPED_FAULT,
    NULL,
    PTE_PRESENT,
    PTE_YOUNG,
    PTE_ZERO,
    VM_ACCESS,
    VM_ACCOUNT,
    VM_GROWSDOWN,
    VM_READ,
    VM_UNKNOWN_ORIGIN,
    VM_WRITE,
)
from .log import log_diagnostic, log_vma_span
from .memory import handle_mm_fault
from .mmap import ORIGIN_HOLDS, expand_stack, new_vma, vma_merge
from .page_table import find_pte, next_pte
from .schemes.defaults import BRK_BOTH
from .vma_index import find_vma, vma_before


@kernel
def _invent_vma(s, mm, vpn, write):
    """Make a vma of one page for a fault of a process whose image is not known; it merges with its like."""
    flags = VM_UNKNOWN_ORIGIN | VM_READ
    if write:
        flags |= VM_WRITE | VM_ACCOUNT
    prev = vma_before(s, mm, vpn)
    vma = vma_merge(s, mm, prev, vpn, vpn + 1, flags, 0, vpn, NULL, ORIGIN_HOLDS, BRK_BOTH, False)
    if vma == NULL:
        vma = new_vma(s, mm, vpn, vpn + 1, flags, 0, vpn)
    s.glob[0].invented_vmas += 1
    return vma


@kernel
def _vma_for_fault(s, mm, vpn, write):
    """Return the vma of a fault, grown or invented if need be; NULL if the program got a signal."""
    glob = s.glob[0]
    vma = find_vma(s, mm, vpn)
    if vma != NULL and s.vma[vma].start > vpn:
        if s.vma[vma].vm_flags & VM_GROWSDOWN and s.vma[vma].file == 0:
            expand_stack(s, vma, vpn)
        else:
            vma = NULL
    if vma != NULL:
        return vma
    glob.unmapped_faults += 1
    if s.mm[mm].known or glob.invent_vmas == 0:
        log_diagnostic(s, DIAG_UNMAPPED_FAULT, glob.proc, vpn, 0, 0)
        return NULL
    log_diagnostic(s, DIAG_INVENTED_VMA, glob.proc, vpn, 0, 0)
    return _invent_vma(s, mm, vpn, write)


@kernel
def _permits(s, vma, vpn, write):
    """Return whether a vma permits the access; one of unknown origin gains it instead of refusing."""
    v = s.vma[vma]
    if v.vm_flags & (VM_WRITE if write else VM_ACCESS):
        return True
    if v.vm_flags & VM_UNKNOWN_ORIGIN:
        log_vma_span(s, vma)
        v.vm_flags |= (VM_WRITE | VM_ACCOUNT) if write else VM_READ
        return True
    s.glob[0].segv += 1
    log_diagnostic(s, DIAG_SEGV, s.glob[0].proc, vpn, 0, 0)
    return False


@kernel
def fault(s, mm, vpn, write, frame):
    """Replay a fault row; `frame`, unless negative, then names the page present there, whatever came of it."""
    glob = s.glob[0]
    s.proc[glob.proc].faults += 1
    vma = _vma_for_fault(s, mm, vpn, write)
    bug = BUG_NONE
    if vma != NULL and _permits(s, vma, vpn, write):
        bug = handle_mm_fault(s, vma, vpn, write)
    if bug != BUG_NONE:
        glob.bugs += 1
        log_diagnostic(s, DIAG_BUG, glob.proc, vpn, bug, 0)
    elif frame >= 0:
        name_frame(s, frame, mm, vpn)


@kernel
def touch(s, mm, start, end):
    """Set the accessed bit of the ptes in [start, end) that map a page or the zero page."""
    vpn = next_pte(s, mm, start, end)
    while vpn < end:
        at = find_pte(s, mm, vpn)
        if s.pt[at] & (PTE_PRESENT | PTE_ZERO):
            s.pt[at] |= PTE_YOUNG
        vpn = next_pte(s, mm, vpn + 1, end)
