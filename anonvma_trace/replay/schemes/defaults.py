"""What most schemes do alike: the flags and merge rules of 2.6.7, and nothing where a scheme has nothing to do.

`interface` takes a function from here where a scheme's own module has none of that name.
"""

from __future__ import annotations

from ..layout import (
    NULL,
    PG_ANON,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_GROWSDOWN,
    VM_HUGETLB,
    VM_LOCKED,
    VM_RAND_READ,
    VM_SEQ_READ,
    VM_SHARED,
    VM_SPECIAL,
    VM_WRITE,
)

# include/asm-i386/mman.h; written out here because the core knows nothing of the event table.
MAP_TYPE, MAP_SHARED, MAP_SHARED_VALIDATE = 0x0F, 0x01, 0x03
MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE = 0x0100, 0x2000, 0x4000
MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_DONTNEED = 0, 1, 2, 4
MADV_DONTFORK, MADV_DOFORK = 10, 11
NO_FLAGS = -1  # advice that changes none
ANY_NUMBER = 1 << 40  # of `room_for_new_pages`: no bound
MAPPED_SHARED, MAPPED_ALONE, WRITTEN_ALONE = 0, 1, 2  # `exclusive` of page_add_anon_rmap
BRK_NO_ATTEMPT, BRK_LEFT, BRK_BOTH = 0, 1, 2


def special_flags(s):
    """Return the flags that keep a vma from merging. Source: include/linux/mm.h, ``VM_SPECIAL``."""
    return VM_SPECIAL


def mmap_vm_flags(s, prot, map_flags):
    """Return the flags of a new mapping. Source: mm/mmap.c, ``calc_vm_flag_bits``, ``do_mmap_pgoff``."""
    flags = prot
    if map_flags & MAP_GROWSDOWN:
        flags |= VM_GROWSDOWN
    if map_flags & MAP_LOCKED:
        flags |= VM_LOCKED
    kind = map_flags & MAP_TYPE
    if kind == MAP_SHARED or kind == MAP_SHARED_VALIDATE:
        flags |= VM_SHARED
    elif prot & VM_WRITE and map_flags & MAP_NORESERVE == 0:
        flags |= VM_ACCOUNT
    return flags


def shared_anonymous_pgoff(s, pgoff):
    """Return the pgoff of a shared mapping without file: the caller's. Source: mm/mmap.c, ``do_mmap_pgoff``."""
    return pgoff


def brk_sides(s, mm, prev, start):
    """Return with which neighbours a growing heap may merge: both. Source: mm/mmap.c, ``do_brk``."""
    return BRK_BOTH


def mprotect_vm_flags(s, vma, flags):
    """Return the flags that mprotect gives (part of) a vma instead of `flags`.

    ACCOUNT comes with the first write permission and is never taken away. Source: mm/mprotect.c, ``mprotect_fixup``.
    """
    if flags & VM_WRITE and s.vma[vma].vm_flags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_HUGETLB) == 0:
        flags |= VM_ACCOUNT
    return flags


def madvise_vm_flags(s, flags, advice):
    """Return the flags that a vma with `flags` has after this advice, or NO_FLAGS if that does not act on flags.

    Source: mm/madvise.c, ``madvise_behavior``.
    """
    if advice == MADV_NORMAL:
        return flags & ~(VM_SEQ_READ | VM_RAND_READ)
    if advice == MADV_RANDOM:
        return (flags & ~VM_SEQ_READ) | VM_RAND_READ
    if advice == MADV_SEQUENTIAL:
        return (flags & ~VM_RAND_READ) | VM_SEQ_READ
    if advice == MADV_DONTFORK:
        return flags | VM_DONTCOPY
    if advice == MADV_DOFORK:
        return flags & ~VM_DONTCOPY
    return NO_FLAGS


def moves_span_vmas(s):
    """Return whether mremap may move a range of several vmas: an EFAULT until 6.17."""
    return False


def changes_merge(s):
    """Return whether mlock, madvise and mremap in place try to merge: in 2.6.7 they do not."""
    return False


def vma_init(s, vma):
    """Leave a new vma as it is."""


def anon_vma_resized(s, vma):
    """Do nothing: a list does not care about bounds."""


def anon_vma_left(s, vma, whole):
    """Do nothing: the vma that MREMAP_DONTUNMAP leaves behind stays as it is."""


def shares_anon_vma(s, vma):
    """Return True: any neighbour shares its anon_vma."""
    return True


def exec_rmap(s, mm):
    """Do nothing for a new mm."""


def dup_rmap(s, mm, parent):
    """Do nothing for a forked mm."""


def exit_rmap(s, mm):
    """Do nothing for an mm that goes."""


def map_new_page(s, page, vma, vpn, mapping):
    """Let a new page point to `mapping`: a row, its id, and what added to `vpn` gives the index."""
    p = s.page[page]
    row, mapping_id, slide = mapping
    p.index = vpn + slide
    p.mapping = row
    p.mapping_id = mapping_id
    p.mapcount = 1
    p.pg_flags |= PG_ANON


def page_reused(s, page, vma):
    """Do nothing: a reused page stays as it is."""


def move_pte(s, mm, vpn, new_vpn, pte):
    """Return the pte as it is: page and index do not change in a move."""
    return pte


def page_misplaced(s, page, vpn):
    """Return False: a page may be anywhere."""
    return False


def head_id(s, anon_vma):
    """Return 0: there is no list head."""
    return NULL


def anon_vma_id(s, vma):
    """Return 0: vmas have no list head."""
    return NULL


def state_may_change(s):
    """Do nothing: nothing is remembered from walk to walk."""


def rehash_rmap(s):
    """Do nothing: no hash is the scheme's own."""


def rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few):
    """Return True: nothing of the scheme's own is made."""
    return True
