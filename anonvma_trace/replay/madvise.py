"""Advice and locking: flags for a part of a vma. Source: mm/madvise.c, mm/mlock.c of 2.6.7."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    BUG_NONE,
    DIAG_MADVISE_LOCKED,
    NULL,
    VM_LOCKED,
)
from .log import log_diagnostic, log_vma_span
from .memory import make_pages_present, populate_bug, zap_page_range
from .mmap import ORIGIN_HOLDS, split_vma, vma_merge
from .schemes.defaults import BRK_BOTH, MADV_DONTNEED, NO_FLAGS
from .schemes.interface import changes_merge, madvise_vm_flags
from .vma_index import find_vma


@kernel
def set_vma_flags(s, vma, start, end, flags):
    """Give the part [start, end) of a vma new flags, splitting at its ends; return the vma of that part.

    With `changes_merge` neighbours are tried first, and flags that are there already change nothing.
    """
    v = s.vma[vma]
    if changes_merge(s):
        if v.vm_flags == flags:
            return vma
        prev = vma if start > v.start else v.prev
        pgoff = v.pgoff + (start - v.start)
        merged = vma_merge(s, v.mm, prev, start, end, flags, v.file, pgoff, vma, ORIGIN_HOLDS, BRK_BOTH, True)
        if merged != NULL:
            if s.vma[merged].vm_flags != flags:
                log_vma_span(s, merged)
                s.vma[merged].vm_flags = flags
            return merged
    if start != s.vma[vma].start:
        split_vma(s, vma, start, True)
    if end != s.vma[vma].end:
        split_vma(s, vma, end, False)
    if s.vma[vma].vm_flags != flags:
        log_vma_span(s, vma)
        s.vma[vma].vm_flags = flags
    return vma


@kernel
def madvise_dontneed(s, mm, start, end):
    """Take the pages of [start, end) away; vmas stay. Holes are skipped, a locked vma stops it."""
    vma = find_vma(s, mm, start)
    while vma != NULL and s.vma[vma].start < end:
        v = s.vma[vma]
        if v.vm_flags & VM_LOCKED:
            log_diagnostic(s, DIAG_MADVISE_LOCKED, s.glob[0].proc, v.start, 0, 0)
            return
        zap_page_range(s, vma, max(start, v.start), min(end, v.end))
        vma = v.next


@kernel
def sys_madvise(s, mm, start, end, advice):
    """Apply advice that acts on flags or pages; other advice is ignored.

    Source: mm/madvise.c, ``sys_madvise``, ``madvise_behavior``, ``madvise_dontneed``.
    """
    if start >= end:
        return
    if advice == MADV_DONTNEED:
        madvise_dontneed(s, mm, start, end)
        return
    if madvise_vm_flags(s, 0, advice) == NO_FLAGS:
        return
    while start < end:  # a vma that stays whole may reach beyond `end`
        vma = find_vma(s, mm, start)
        if vma == NULL or s.vma[vma].start >= end:
            return
        v = s.vma[vma]
        begin, stop = max(start, v.start), min(end, v.end)
        set_vma_flags(s, vma, begin, stop, madvise_vm_flags(s, v.vm_flags, advice))
        start = stop


@kernel
def mlock_bug(s, mm, start, end):
    """Return the BUG that locking [start, end) would hit first, or BUG_NONE; changes nothing."""
    vma = find_vma(s, mm, start)
    while vma != NULL and s.vma[vma].start <= start and start < end:
        v = s.vma[vma]
        if v.vm_flags & VM_LOCKED == 0:
            bug = populate_bug(s, vma, start, min(end, v.end))
            if bug != BUG_NONE:
                return bug
        start = v.end
        vma = v.next
    return BUG_NONE


@kernel
def sys_mlock(s, mm, start, end, lock):
    """Lock or unlock [start, end) up to the first hole; locking makes every page present.

    A vma that is in that state already is passed over: neither split nor populated.

    Returns BUG_NONE, or the BUG that it would end in (nothing done). Source: mm/mlock.c, ``mlock_fixup``.
    """
    if start >= end:
        return BUG_NONE
    if lock:
        bug = mlock_bug(s, mm, start, end)
        if bug != BUG_NONE:
            return bug
    while start < end:
        vma = find_vma(s, mm, start)
        if vma == NULL or s.vma[vma].start > start:
            break
        v = s.vma[vma]
        stop = min(end, v.end)
        flags = v.vm_flags | VM_LOCKED if lock else v.vm_flags & ~VM_LOCKED
        if flags != v.vm_flags:
            vma = set_vma_flags(s, vma, start, stop, flags)
            if lock:
                make_pages_present(s, vma, start, stop)
        start = stop
    return BUG_NONE
