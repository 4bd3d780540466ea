"""The list of an anon_vma, threaded through its vmas. Source: include/linux/list.h.

`head` is the vma that a walk visits first; NULL ends the list at both sides.
"""

from __future__ import annotations

from ..compiled import kernel
from ..layout import NULL


@kernel
def list_add(s, anon_vma, vma):
    """Put a vma at the head of the list (the kernel's ``list_add``)."""
    a = s.rmap.anon_vma[anon_vma]
    first = a.head
    s.vma[vma].anon_prev = NULL
    s.vma[vma].anon_next = first
    if first != NULL:
        s.vma[first].anon_prev = vma
    a.head = vma


@kernel
def list_add_tail(s, anon_vma, vma, old):
    """Put a vma directly in front of `old` (``list_add_tail(new, old)``)."""
    before = s.vma[old].anon_prev
    s.vma[vma].anon_next = old
    s.vma[vma].anon_prev = before
    s.vma[old].anon_prev = vma
    if before == NULL:
        s.rmap.anon_vma[anon_vma].head = vma
    else:
        s.vma[before].anon_next = vma


@kernel
def list_del(s, anon_vma, vma):
    """Take a vma off the list."""
    before, after = s.vma[vma].anon_prev, s.vma[vma].anon_next
    if before == NULL:
        s.rmap.anon_vma[anon_vma].head = after
    else:
        s.vma[before].anon_next = after
    if after != NULL:
        s.vma[after].anon_prev = before
