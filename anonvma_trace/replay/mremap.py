"""Resizing and moving mappings. Source: mm/mremap.c, and ``copy_vma`` of mm/mmap.c, with rmap 39."""

from __future__ import annotations

from .compiled import kernel
from .findings import count_lossy_merge
from .layout import (
    DIAG_MREMAP_DONTEXPAND,
    DIAG_MREMAP_EFAULT,
    DIAG_MREMAP_HOLE,
    DIAG_SPAN_FORCED,
    NULL,
    VM_DONTEXPAND,
    VM_LOCKED,
)
from .locks import LOCK_VMA_LINK, count_locks
from .log import log_diagnostic
from .memory import make_pages_present
from .mmap import (
    ORIGIN_GROWS,
    ORIGIN_MOVES,
    copy_of_vma,
    do_munmap,
    enter_vma,
    vma_adjust,
    vma_merge,
)
from .page_table import clear_pte, get_pte, next_pte, set_pte
from .schemes.defaults import BRK_BOTH
from .schemes.interface import (
    anon_vma_left,
    anon_vma_link,
    anon_vma_moved,
    changes_merge,
    move_pte,
    moves_span_vmas,
)
from .vma_index import find_vma, vma_before

MREMAP_DONTUNMAP = 4


@kernel
def move_page_tables(s, mm, old, new, length):
    """Move the ptes of [old, old + length) to `new`; with anon_vmas they stay unchanged and no page notices.

    Source: rmap 39, mm/mremap.c, ``move_one_page``, ``move_page_tables``.
    """
    vpn = next_pte(s, mm, old, old + length)
    while vpn < old + length:
        pte = get_pte(s, mm, vpn)
        clear_pte(s, mm, vpn)
        set_pte(s, mm, vpn - old + new, move_pte(s, mm, vpn, vpn - old + new, pte))
        vpn = next_pte(s, mm, vpn + 1, old + length)


@kernel
def copy_vma(s, vma, start, length, pgoff):
    """Return the vma that will hold `vma`'s pages at [start, start + length): a neighbour grown, or a copy.

    A never write-faulted anonymous vma starts over with pgoff = address; a faulted one keeps its pgoff.
    Source: rmap 39, mm/mmap.c, ``copy_vma``.
    """
    v = s.vma[vma]
    if v.file == 0 and v.anon_vma == NULL:
        pgoff = start
    prev = vma_before(s, v.mm, start)
    end = start + length
    new = vma_merge(s, v.mm, prev, start, end, v.vm_flags, v.file, pgoff, vma, ORIGIN_MOVES, BRK_BOTH, True)
    if new == NULL:
        new = copy_of_vma(s, vma, v.mm)
        n = s.vma[new]
        n.start = start
        n.end = start + length
        n.pgoff = pgoff
        count_locks(s, LOCK_VMA_LINK, n.file, 1, 0, n.anon_vma)
        enter_vma(s, new)
        anon_vma_link(s, new, vma)
    return new


@kernel
def move_vma(s, vma, old, old_length, length, new, unmap):
    """Move [old, old + old_length) of `vma` to `new`, where it is `length` long.

    Source: mm/mremap.c, ``move_vma``.
    """
    v = s.vma[vma]
    mm = v.mm
    locked = v.vm_flags & VM_LOCKED != 0
    source_anon_vma = v.anon_vma
    whole = v.start == old and v.end == old + old_length
    target = copy_vma(s, vma, new, length, v.pgoff + (old - v.start))
    anon_vma_moved(s, target, vma, source_anon_vma)
    lossy = source_anon_vma != NULL and s.vma[target].anon_vma == NULL
    move_page_tables(s, mm, old, new, old_length)
    if lossy:
        s.glob[0].lossy_moves += 1
        count_lossy_merge(s, mm, new, new + old_length)
    if unmap:
        do_munmap(s, mm, old, old + old_length)
    else:
        left = find_vma(s, mm, old)
        anon_vma_left(s, left, whole and left != target)
    if locked and length > old_length:
        grown = find_vma(s, mm, new)  # the munmap may have split the target off the source it swallowed
        make_pages_present(s, grown, new + old_length, new + length)


@kernel
def _spanned(s, mm, start, end):
    """Return how many vmas lie in [start, end)."""
    count = 0
    vma = find_vma(s, mm, start)
    while vma != NULL and s.vma[vma].start < end:
        count += 1
        vma = s.vma[vma].next
    return count


@kernel
def _move_pieces(s, mm, old, length, new, unmap):
    """Move the parts of [old, old + length) vma by vma, since the recorded call succeeded as a whole."""
    at = old
    while at < old + length:
        vma = find_vma(s, mm, at)
        if vma == NULL or s.vma[vma].start >= old + length:
            return
        begin = max(at, s.vma[vma].start)
        stop = min(old + length, s.vma[vma].end)
        move_vma(s, vma, begin, stop - begin, stop - begin, new + (begin - old), unmap)
        at = stop


@kernel
def _grow_in_place(s, mm, addr, old_length, length):
    """Grow the vma that ends at addr + old_length into the free range behind it."""
    vma = find_vma(s, mm, addr)
    v = s.vma[vma]
    grown = NULL
    if changes_merge(s):
        end = v.end
        pgoff = v.pgoff + (end - v.start)
        grown = vma_merge(
            s, mm, vma, end, addr + length, v.vm_flags, v.file, pgoff, vma, ORIGIN_GROWS, BRK_BOTH, True
        )
    if grown == NULL:
        vma_adjust(s, vma, v.start, addr + length, v.pgoff)
    if v.vm_flags & VM_LOCKED:
        make_pages_present(s, vma, addr + old_length, addr + length)


@kernel
def do_mremap(s, mm, addr, old_length, length, new, flags):
    """Resize or move a mapping as the trace says that it went.

    Parameters
    ----------
    addr, old_length, length, new : int64
        Pages; `new` equal to `addr` is a resize in place.
    flags : int64
        MREMAP_* bits; only DONTUNMAP matters, the outcome is known.

    Notes
    -----
    Source: mm/mremap.c, ``do_mremap``. A request over several vmas is an EFAULT there; one that the recorded kernel
    granted is applied piece by piece if it does not grow, which is told unless the scheme's kernel grants it too.
    """
    moved = new != addr
    unmap = flags & MREMAP_DONTUNMAP == 0
    proc = s.glob[0].proc
    if old_length == 0 or length == 0 or (moved and new < addr + old_length and addr < new + length):
        return
    if moved:
        do_munmap(s, mm, new, new + length)
    elif length > old_length:  # what stands in the way is stale
        do_munmap(s, mm, addr + old_length, addr + length)
    if old_length > length:
        do_munmap(s, mm, addr + length, addr + old_length)
        old_length = length
    if not moved and old_length == length:
        return
    vma = find_vma(s, mm, addr)
    if vma == NULL or s.vma[vma].start > addr:
        log_diagnostic(s, DIAG_MREMAP_HOLE, proc, addr, 0, 0)
        return
    v = s.vma[vma]
    if addr + old_length > v.end:
        if length > old_length:
            s.glob[0].mremap_efault_span += 1
            log_diagnostic(s, DIAG_MREMAP_EFAULT, proc, addr, 0, 0)
        else:
            if not moves_span_vmas(s):
                s.glob[0].span_forced += 1
                n_vmas = _spanned(s, mm, addr, addr + old_length)
                log_diagnostic(s, DIAG_SPAN_FORCED, proc, addr, n_vmas, 0)
            _move_pieces(s, mm, addr, old_length, new, unmap)
        return
    if v.vm_flags & VM_DONTEXPAND and length > old_length:
        log_diagnostic(s, DIAG_MREMAP_DONTEXPAND, proc, addr, 0, 0)
        return
    if moved:
        move_vma(s, vma, addr, old_length, length, new, unmap)
    else:
        _grow_in_place(s, mm, addr, old_length, length)
