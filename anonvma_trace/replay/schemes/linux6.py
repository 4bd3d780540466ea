"""Scheme `linux6`: the present day (6.x).

As `anon_vma_chain`, but an anon_vma keeps its chains in an interval tree, so that a walk visits only vmas that cover
the page; a fork may reuse an ancestor's anon_vma whose own process is gone; and merging knows more flags, more callers,
and the rules about fork children of 6.16 and January 2026.

Source: mm/rmap.c, mm/vma.c, mm/mprotect.c, mm/madvise.c, mm/mmap.c of 6.16 and later.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from ..compiled import kernel
from ..layout import (
    NULL,
    SIDE_CLONED,
    SIDE_OK,
    VM_ACCOUNT,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_GROWSDOWN,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_IO,
    VM_LOCKED,
    VM_NOHUGEPAGE,
    VM_NORESERVE,
    VM_SHARED,
    VM_WIPEONFORK,
    VM_WRITE,
    extended,
)
from ..log import log_vma_span
from . import defaults
from .anon_vma_chain import (  # noqa: F401  (looked up by name: `interface`)
    anon_vmas_compatible,
    import_anon_vma,
    new_anon_vma,
    pgoff_side,
    rehash_rmap,
    rmap_has_room,
    shares_anon_vma,
    side_but_pgoff,
    vma_init,
)
from .chained_pages import (  # noqa: F401
    anon_rmap_bug,
    map_anon_page,
    page_dup_rmap,
    page_reachable,
    page_remove_rmap,
    page_reused,
)
from .chained_walk import page_referenced, try_to_unmap  # noqa: F401
from .chains import (
    CHAIN,
    CHAIN_GLOB,
    CHAIN_VMA,
    CHAINED_ANON_VMA,
    chain_link,
    chain_unlink,
    clone_chains,
    list_before,
    unlist_chain,
)
from .defaults import BRK_LEFT, BRK_NO_ATTEMPT, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAPPED_SHARED
from .description import Pool, Scheme
from .heads import anon_vma_id, free_head, head_id, settle_heads  # noqa: F401
from .interface import register_scheme
from .members import MEMBER
from .neighbours import find_mergeable_anon_vma
from .new_pages import new_page_mapping, pages_mapped, room_for_new_pages  # noqa: F401
from .standing_lists import vmas_on_chains

MAP_STACK = 0x20000
MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP = 14, 15, 16, 17
MADV_WIPEONFORK, MADV_KEEPONFORK = 18, 19
UNCHARGED = VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_HUGETLB | VM_NORESERVE

# Sizes on x86-64, SMP; there is no i386 to compare with.
ANON_VMA_X86_64, CHAIN_X86_64, VMA_X86_64 = 96, 64, 24

TREE_ANON_VMA = extended(
    CHAINED_ANON_VMA,
    (
        "parent",  # row; a root is its own
        "n_children",  # anon_vmas whose parent it is: a root counts itself
        "n_active",  # vmas whose own anon_vma it is
    ),
)


class Linux6Tables(NamedTuple):
    """The scheme's own tables."""

    anon_vma: Any  # TREE_ANON_VMA records
    member: Any  # MEMBER records
    chain: Any  # CHAIN records


@kernel
def _new_anon_vma(s, proc, parent):
    """Return a new anon_vma below `parent`; with NULL it is a root."""
    anon_vma = new_anon_vma(s, proc)
    a = s.rmap.anon_vma[anon_vma]
    a.parent = anon_vma if parent == NULL else parent
    a.n_children = 0
    a.n_active = 0
    s.rmap.anon_vma[a.parent].n_children += 1
    return anon_vma


@kernel
def _take(s, vma, anon_vma):
    """Make an anon_vma a vma's own."""
    s.vma[vma].anon_vma = anon_vma
    s.rmap.anon_vma[anon_vma].n_active += 1


def anon_vma_prepare(s, vma):
    """Give a vma an anon_vma if it has none: that of a neighbour which has no other chain, else a new one.

    Source: mm/rmap.c, ``__anon_vma_prepare``; mm/vma.c, ``find_mergeable_anon_vma``.
    """
    if s.vma[vma].anon_vma != NULL:
        return
    log_vma_span(s, vma)
    anon_vma = find_mergeable_anon_vma(s, vma)
    s.glob[0].fault_objects += 1
    if anon_vma == NULL:
        anon_vma = _new_anon_vma(s, s.mm[s.vma[vma].mm].owner, NULL)
        s.glob[0].fault_objects += 1
    _take(s, vma, anon_vma)
    chain_link(s, vma, anon_vma, True)


def list_chain(s, chain, prepared):
    """Put a chain where its vma's pgoff belongs, however it came about."""
    _insert(s, chain)


@kernel
def _insert(s, chain):
    """Put a chain where its pgoff belongs, behind equal ones (``anon_vma_interval_tree_insert``)."""
    c = s.rmap.chain[chain]
    place = NULL
    before = s.rmap.anon_vma[c.anon_vma].tail
    while before != NULL and s.rmap.chain[before].pgoff > c.pgoff:
        place = before
        before = s.rmap.chain[before].prev
    list_before(s, chain, place)


def anon_vma_resized(s, vma):
    """Put the vma's chains on their lists anew (``anon_vma_interval_tree_post_update_vma``)."""
    chain = s.vma[vma].newest
    while chain != NULL:
        unlist_chain(s, chain)
        s.rmap.chain[chain].pgoff = s.vma[vma].pgoff
        _insert(s, chain)
        chain = s.rmap.chain[chain].older


def anon_vma_fork(s, vma, parent):
    """Chain the child's copy to all anon_vmas of its parent's, and to one of its own unless it can reuse one of them.

    Reused is the oldest whose own vmas are all gone and that has one child only; never a root, which is its own child.
    Source: mm/rmap.c, ``anon_vma_fork``, ``anon_vma_clone``.
    """
    glob = s.glob[0]
    v = s.vma[vma]
    v.anon_vma = NULL
    if s.vma[parent].anon_vma == NULL:
        return
    chain = s.vma[parent].oldest
    reused = NULL
    while chain != NULL:
        anon_vma = s.rmap.chain[chain].anon_vma
        a = s.rmap.anon_vma[anon_vma]
        if reused == NULL and a.n_children < 2 and a.n_active == 0:
            reused = anon_vma
            v.anon_vma = anon_vma  # so that its chain is known as the own one
        chain_link(s, vma, anon_vma, False)
        chain = s.rmap.chain[chain].newer
    if reused != NULL:
        s.rmap.anon_vma[reused].n_active += 1
        glob.anon_vmas_reused += 1
    else:
        own = _new_anon_vma(s, s.mm[v.mm].owner, s.vma[parent].anon_vma)
        _take(s, vma, own)
        chain_link(s, vma, own, False)
        glob.fork_objects += 1
    glob.fork_objects += v.n_chains
    glob.fork_insertions += v.n_chains


def anon_vma_link(s, vma, source):
    """Chain a split part or moved copy as its source is chained (``anon_vma_clone``)."""
    clone_chains(s, vma, source)
    if s.vma[vma].anon_vma != NULL:
        s.rmap.anon_vma[s.vma[vma].anon_vma].n_active += 1


@kernel
def _import_anon_vma(s, vma, source):
    """Chain a vma without anon_vma as another that has one (``dup_anon_vma``)."""
    if s.vma[vma].anon_vma == NULL and s.vma[source].anon_vma != NULL:
        import_anon_vma(s, vma, source)
        s.rmap.anon_vma[s.vma[vma].anon_vma].n_active += 1


@kernel
def _unlink_chains(s, vma):
    """Part a vma from all its anon_vmas, the newest first; then free those whose list is empty.

    Source: mm/rmap.c, ``unlink_anon_vmas``.
    """
    own = s.vma[vma].anon_vma
    if own != NULL:
        s.rmap.anon_vma[own].n_active -= 1
    while s.vma[vma].newest != NULL:
        chain = s.vma[vma].newest
        anon_vma = s.rmap.chain[chain].anon_vma
        chain_unlink(s, chain)
        a = s.rmap.anon_vma[anon_vma]
        if a.head == NULL:
            s.rmap.anon_vma[a.parent].n_children -= 1
            free_head(s, anon_vma)


def anon_vma_merge(s, vma, next_vma):
    """Take `next_vma`, which disappears into `vma`, off all lists; a `vma` without anon_vma is chained as it was."""
    _import_anon_vma(s, vma, next_vma)
    _unlink_chains(s, next_vma)


def anon_vma_shift(s, importer, exporter):
    """Let the vma that takes pages over at a shifted boundary be chained as the other."""
    _import_anon_vma(s, importer, exporter)


def anon_vma_moved(s, vma, source, anon_vma):
    """Let the vma that moved pages go to be chained as their source (D2 is mended, January 2026)."""
    if anon_vma != NULL and s.vma[vma].anon_vma == NULL:
        _import_anon_vma(s, vma, source)


def anon_vma_left(s, vma, whole):
    """Let what MREMAP_DONTUNMAP leaves behind lose LOCKED and ACCOUNT, and its anon_vma if all of it moved.

    Source: 6.16, mm/mremap.c, ``dontunmap_complete``.
    """
    log_vma_span(s, vma)
    v = s.vma[vma]
    v.vm_flags &= ~(VM_LOCKED | VM_ACCOUNT)
    if whole:
        _unlink_chains(s, vma)
        v.anon_vma = NULL


def anon_vma_unlink(s, vma):
    """Part a dying vma from all its anon_vmas."""
    _unlink_chains(s, vma)


def special_flags(s):
    """Return the flags that keep a vma from merging: DONTCOPY is none of them (``VM_SPECIAL``)."""
    return VM_IO | VM_DONTEXPAND


def merge_side(s, vma, flags, file, anon_vma, source, pgoff_fits):
    """Return why `vma` may not grow over a range of these properties, or SIDE_OK.

    Where one side has an anon_vma and the other has none, the one that has may not be a fork child. What a vma
    grows over in place is nobody's.
    Source: mm/vma.c, ``is_mergeable_anon_vma``, ``can_vma_merge_before``, ``can_vma_merge_after``.
    """
    v = s.vma[vma]
    side = side_but_pgoff(s, vma, flags, file, anon_vma)
    if side != SIDE_OK:
        return side
    if v.anon_vma == NULL:
        if anon_vma != NULL and source != NULL and s.vma[source].n_chains > 1:
            return SIDE_CLONED
    elif anon_vma == NULL and v.n_chains > 1:
        return SIDE_CLONED
    return SIDE_OK if pgoff_fits else pgoff_side(file)


def mmap_vm_flags(s, prot, map_flags):
    """Return the flags of a new mapping; a thread's stack is kept apart from huge pages, and from its neighbours.

    Source: include/linux/mman.h, ``calc_vm_flag_bits``; mm/mmap.c, ``do_mmap``; mm/vma.c, ``accountable_mapping``.
    """
    flags = prot
    if map_flags & MAP_GROWSDOWN:
        flags |= VM_GROWSDOWN
    if map_flags & MAP_LOCKED:
        flags |= VM_LOCKED
    if map_flags & MAP_STACK:
        flags |= VM_NOHUGEPAGE
    if map_flags & MAP_NORESERVE:
        flags |= VM_NORESERVE
    kind = map_flags & defaults.MAP_TYPE
    if kind == defaults.MAP_SHARED or kind == defaults.MAP_SHARED_VALIDATE:
        flags |= VM_SHARED
    elif prot & VM_WRITE and map_flags & MAP_NORESERVE == 0:
        flags |= VM_ACCOUNT
    return flags


def shared_anonymous_pgoff(s, pgoff):
    """Return 0, whatever the caller said. Source: mm/mmap.c, ``do_mmap``."""
    return 0


def brk_sides(s, mm, prev, start):
    """Return whether a growing heap may extend `prev`: if that ends here, above the heap's start; never the next vma.

    Source: mm/mmap.c, ``brk`` (``vma_prev_limit``); mm/vma.c, ``do_brk_flags`` (``just_expand``).
    """
    if prev == NULL or s.vma[prev].end != start or s.vma[prev].end <= s.mm[mm].brk_start:
        return BRK_NO_ATTEMPT
    return BRK_LEFT


def mprotect_vm_flags(s, vma, flags):
    """Return the flags that mprotect gives (part of) a vma instead of `flags`.

    ACCOUNT comes with the first write permission, and goes with it as long as nothing was written (6.7).
    Source: mm/mprotect.c, ``mprotect_fixup``.
    """
    v = s.vma[vma]
    if flags & VM_WRITE:
        if v.vm_flags & UNCHARGED == 0:
            flags |= VM_ACCOUNT
    elif v.file == 0 and v.vm_flags & VM_SHARED == 0 and v.anon_vma == NULL:
        flags &= ~VM_ACCOUNT
    return flags


def madvise_vm_flags(s, flags, advice):
    """Return the flags that a vma with `flags` has after this advice, or NO_FLAGS if that does not act on flags.

    Source: mm/madvise.c, ``madvise_vma_behavior``; mm/khugepaged.c, ``hugepage_madvise``.
    """
    if advice == MADV_HUGEPAGE:
        return (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE
    if advice == MADV_NOHUGEPAGE:
        return (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE
    if advice == MADV_DONTDUMP:
        return flags | VM_DONTDUMP
    if advice == MADV_DODUMP:
        return flags & ~VM_DONTDUMP
    if advice == MADV_WIPEONFORK:  # Departure: the flag keeps vmas apart, but their pages are not wiped
        return flags | VM_WIPEONFORK
    if advice == MADV_KEEPONFORK:
        return flags & ~VM_WIPEONFORK
    return _old_advice(s, flags, advice)


_old_advice = kernel(defaults.madvise_vm_flags)


def moves_span_vmas(s):
    """Return True: ``remap_move`` goes from vma to vma (mm/mremap.c, 6.17)."""
    return True


def changes_merge(s):
    """Return True: mlock, madvise and mremap in place go through ``vma_modify`` and ``vma_merge_extend``."""
    return True


def page_add_anon_rmap(s, page, vma, vpn, exclusive):
    """Count one more pte of `page`; the first decides: with no other reference the page is the vma's own."""
    map_anon_page(s, page, vma, vpn, exclusive != MAPPED_SHARED)


def walk_begins(s, anon_vma, index):
    """Return the first chain, by pgoff, whose vma covers a page index (``anon_vma_interval_tree_iter_first``)."""
    return _covering(s, s.rmap.anon_vma[anon_vma].head, index)


def walk_goes_on(s, chain, index):
    """Return the next chain whose vma covers a page index (``anon_vma_interval_tree_iter_next``)."""
    return _covering(s, s.rmap.chain[chain].next, index)


@kernel
def _covering(s, chain, index):
    while chain != NULL and s.rmap.chain[chain].pgoff <= index:
        v = s.vma[s.rmap.chain[chain].vma]
        if index < v.pgoff + (v.end - v.start):
            return chain
        chain = s.rmap.chain[chain].next
    return NULL


def walk_skips_rss(s):
    """Return False: the tree is searched, nothing else is asked first."""
    return False


def settle_peaks(s):
    """Bring peaks and overhead up to date when an event is over."""
    glob = s.glob[0]
    settle_heads(s)
    glob.chains_peak = max(glob.chains_peak, glob.chains_live)
    anon_vmas = glob.anon_vmas_allocated - glob.anon_vmas_freed
    glob.overhead_x86_64 = (
        ANON_VMA_X86_64 * anon_vmas + CHAIN_X86_64 * glob.chains_live + VMA_X86_64 * glob.vmas_live
    )


SCHEME = Scheme(
    tables=Linux6Tables,
    pools={"anon_vma": Pool(TREE_ANON_VMA), "member": Pool(MEMBER), "chain": Pool(CHAIN)},
    hashes=("member",),
    glob_fields=(*CHAIN_GLOB, "anon_vmas_reused"),
    vma_fields=CHAIN_VMA,
    heads="anon_vma",
    members="member",
    extra=("chains_allocated", "chains_live", "chains_peak", "anon_vmas_reused"),
    sizes_i386=False,
    list_members=vmas_on_chains,
)
register_scheme(SCHEME, sys.modules[__name__])
