"""Sharing the anon_vma of a touching neighbour: the first half of anon_vma_prepare since rmap 40."""

from __future__ import annotations

from ..compiled import kernel
from ..layout import NULL, VM_ACCESS
from .interface import bind

shares_anon_vma = bind("shares_anon_vma", "(s, vma): whether a neighbour may share the anon_vma of `vma`.")


@kernel
def find_mergeable_anon_vma(s, vma):
    """Return the anon_vma of a touching neighbour that `vma` could be merged with if its access were the same.

    Source: rmap 40, mm/mmap.c, ``find_mergeable_anon_vma``: the next vma first, then the previous.
    """
    v = s.vma[vma]
    after = v.next
    if after != NULL and s.vma[after].anon_vma != NULL and s.vma[after].start == v.end:
        n = s.vma[after]
        if _same_but_access(s, vma, after) and n.pgoff == v.pgoff + (v.end - v.start):
            if shares_anon_vma(s, after):
                return n.anon_vma
    before = v.prev
    if before != NULL and s.vma[before].anon_vma != NULL and s.vma[before].end == v.start:
        p = s.vma[before]
        if _same_but_access(s, vma, before) and p.pgoff + (p.end - p.start) == v.pgoff:
            if shares_anon_vma(s, before):
                return p.anon_vma
    return NULL


@kernel
def _same_but_access(s, vma, neighbour):
    v, n = s.vma[vma], s.vma[neighbour]
    return (v.vm_flags ^ n.vm_flags) & ~VM_ACCESS == 0 and v.file == n.file
