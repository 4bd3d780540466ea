"""Scheme `anon_vma_chain`: 2.6.34, where every process of a fork family has anon_vmas of its own.

A fork gives each vma of the child a new anon_vma, for the child's own pages, and chains to all anon_vmas of the
parent's vma, where the shared pages are. Boundary shifts carry the anon_vma along, so defect D1 is gone; D2 is not.

Rules: without one, a neighbour without anon_vma merges with one that has one, as before; `avc_rule_2011` ("avoid
merging cloned VMAs", 3.0) lets this be only if the vma merged with has exactly one chain, by accident not if none.

Source: 2.6.34, mm/rmap.c, mm/mmap.c; the rule 3.0, mm/mmap.c, ``is_mergeable_anon_vma``.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from ..compiled import kernel
from ..layout import (
    NULL,
    SIDE_ANON_DIFF,
    SIDE_CLONED,
    SIDE_FILE,
    SIDE_FLAGS,
    SIDE_OK,
    SIDE_PGOFF_ANON,
    SIDE_PGOFF_FILE,
)
from ..log import log_vma_span
from . import rule_bits
from .chained_pages import (  # noqa: F401  (looked up by name: `interface`)
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
    chains_have_room,
    clone_chains,
    list_before,
)
from .defaults import WRITTEN_ALONE
from .description import Pool, Scheme
from .heads import alloc_head, anon_vma_id, free_head, head_id, settle_heads  # noqa: F401
from .interface import register_scheme
from .members import MEMBER, rehash_members
from .neighbours import find_mergeable_anon_vma
from .new_pages import new_page_mapping, pages_mapped, room_for_new_pages  # noqa: F401
from .standing_lists import vmas_on_chains

AVC_RULE_2011 = rule_bits("anon_vma_chain", {"avc_rule_2011"})

# Sizes, SMP: an anon_vma (lock, list head); a chain (two pointers, two list nodes); what a vma has for it (list head,
# pointer).
ANON_VMA_I386, ANON_VMA_X86_64 = 12, 24
CHAIN_I386, CHAIN_X86_64 = 24, 48
VMA_I386, VMA_X86_64 = 12, 24


class AnonVmaChainTables(NamedTuple):
    """The scheme's own tables."""

    anon_vma: Any  # CHAINED_ANON_VMA records
    member: Any  # MEMBER records
    chain: Any  # CHAIN records


def vma_init(s, vma):
    """Begin without chains."""
    v = s.vma[vma]
    v.newest = NULL
    v.oldest = NULL
    v.n_chains = 0
    v.member = NULL


@kernel
def new_anon_vma(s, proc):
    """Return a new anon_vma with an empty list of chains."""
    anon_vma = alloc_head(s, proc)
    s.rmap.anon_vma[anon_vma].tail = NULL
    return anon_vma


def anon_vma_prepare(s, vma):
    """Give a vma an anon_vma if it has none: that of a neighbour which has no other chain, else a new one.

    Source: 2.6.34, mm/rmap.c, ``anon_vma_prepare``; mm/mmap.c, ``reusable_anon_vma``.
    """
    if s.vma[vma].anon_vma != NULL:
        return
    log_vma_span(s, vma)
    anon_vma = find_mergeable_anon_vma(s, vma)
    s.glob[0].fault_objects += 1
    if anon_vma == NULL:
        anon_vma = new_anon_vma(s, s.mm[s.vma[vma].mm].owner)
        s.glob[0].fault_objects += 1
    s.vma[vma].anon_vma = anon_vma
    chain_link(s, vma, anon_vma, True)


def shares_anon_vma(s, vma):
    """Return whether the vma has one chain only, that is, is no fork child."""
    return s.vma[vma].n_chains == 1


def list_chain(s, chain, prepared):
    """Put a chain at the tail; at the head if it comes from anon_vma_prepare (changed in 2.6.36)."""
    place = s.rmap.anon_vma[s.rmap.chain[chain].anon_vma].head if prepared else NULL
    list_before(s, chain, place)


def anon_vma_fork(s, vma, parent):
    """Chain the child's copy to all anon_vmas of its parent's, and to a new one of its own.

    Source: 2.6.34, mm/rmap.c, ``anon_vma_fork``.
    """
    glob = s.glob[0]
    s.vma[vma].anon_vma = NULL
    if s.vma[parent].anon_vma == NULL:
        return
    clone_chains(s, vma, parent)
    anon_vma = new_anon_vma(s, s.mm[s.vma[vma].mm].owner)
    s.vma[vma].anon_vma = anon_vma
    chain_link(s, vma, anon_vma, False)
    glob.fork_objects += 1 + s.vma[vma].n_chains
    glob.fork_insertions += s.vma[vma].n_chains


def anon_vma_link(s, vma, source):
    """Chain a split part or moved copy as its source is chained. Source: 2.6.34, mm/mmap.c, ``anon_vma_clone``."""
    clone_chains(s, vma, source)


@kernel
def import_anon_vma(s, vma, source):
    """Give a vma without anon_vma the anon_vma and all chains of another, if that has one."""
    if s.vma[vma].anon_vma == NULL and s.vma[source].anon_vma != NULL:
        log_vma_span(s, vma)
        s.vma[vma].anon_vma = s.vma[source].anon_vma
        clone_chains(s, vma, source)


def anon_vma_merge(s, vma, next_vma):
    """Take `next_vma`, which disappears into `vma`, off all lists; a `vma` without anon_vma is chained as it was.

    Source: 2.6.34, mm/mmap.c, ``vma_adjust`` (importer and exporter), ``anon_vma_merge``.
    """
    import_anon_vma(s, vma, next_vma)
    unlink_chains(s, next_vma)


def anon_vma_shift(s, importer, exporter):
    """Let the vma that takes pages over at a shifted boundary be chained as the other (D1 is mended)."""
    import_anon_vma(s, importer, exporter)


def anon_vma_moved(s, vma, source, anon_vma):
    """Do nothing: pages moved into a vma without anon_vma are lost (D2)."""


@kernel
def unlink_chains(s, vma):
    """Part a vma from all its anon_vmas, the newest first, and free those whose list is then empty.

    Source: 2.6.34, mm/rmap.c, ``unlink_anon_vmas``.
    """
    while s.vma[vma].newest != NULL:
        chain = s.vma[vma].newest
        anon_vma = s.rmap.chain[chain].anon_vma
        chain_unlink(s, chain)
        if s.rmap.anon_vma[anon_vma].head == NULL:
            free_head(s, anon_vma)


def anon_vma_unlink(s, vma):
    """Part a dying vma from all its anon_vmas."""
    unlink_chains(s, vma)


def anon_vmas_compatible(s, a, b):
    """Return whether vmas with these anon_vmas may become one: unless both are set and differ."""
    return a == NULL or b == NULL or a == b


@kernel
def side_but_pgoff(s, vma, flags, file, anon_vma):
    """Return SIDE_OK, or why flags, file or anon_vma keep `vma` from growing over a range of these properties."""
    v = s.vma[vma]
    if v.vm_flags != flags:
        return SIDE_FLAGS
    if v.file != file:
        return SIDE_FILE
    if anon_vma != NULL and v.anon_vma != NULL and anon_vma != v.anon_vma:
        return SIDE_ANON_DIFF
    return SIDE_OK


@kernel
def pgoff_side(file):
    """Return the name of a refusal for the pgoff."""
    return SIDE_PGOFF_ANON if file == 0 else SIDE_PGOFF_FILE


def merge_side(s, vma, flags, file, anon_vma, source, pgoff_fits):
    """Return why `vma` may not grow over a range of these properties, or SIDE_OK.

    Source: 2.6.34, mm/mmap.c, ``can_vma_merge_before``; 3.0, ``is_mergeable_anon_vma``.
    """
    v = s.vma[vma]
    side = side_but_pgoff(s, vma, flags, file, anon_vma)
    if side != SIDE_OK:
        return side
    if s.glob[0].rules & AVC_RULE_2011 and anon_vma != v.anon_vma and v.n_chains != 1:
        return SIDE_CLONED
    return SIDE_OK if pgoff_fits else pgoff_side(file)


def page_add_anon_rmap(s, page, vma, vpn, exclusive):
    """Count one more pte of `page`; the first decides: a page that is written by its only owner is the vma's own."""
    map_anon_page(s, page, vma, vpn, exclusive == WRITTEN_ALONE)


def walk_begins(s, anon_vma, index):
    """Return the head of the list."""
    return s.rmap.anon_vma[anon_vma].head


def walk_goes_on(s, chain, index):
    """Return the next chain of the list."""
    return s.rmap.chain[chain].next


def walk_skips_rss(s):
    """Return True: an mm without rss holds no page."""
    return True


def settle_peaks(s):
    """Bring peaks and overhead up to date when an event is over."""
    glob = s.glob[0]
    settle_heads(s)
    glob.chains_peak = max(glob.chains_peak, glob.chains_live)
    anon_vmas = glob.anon_vmas_allocated - glob.anon_vmas_freed
    glob.overhead_i386 = ANON_VMA_I386 * anon_vmas + CHAIN_I386 * glob.chains_live + VMA_I386 * glob.vmas_live
    glob.overhead_x86_64 = (
        ANON_VMA_X86_64 * anon_vmas + CHAIN_X86_64 * glob.chains_live + VMA_X86_64 * glob.vmas_live
    )


def rehash_rmap(s):
    """Put all members into their hash."""
    rehash_members(s)


def rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few):
    """Return whether there is room for the anon_vmas, chains and members of an event."""
    return chains_have_room(s, n_vmas, n_new_vmas, n_pages, few)


SCHEME = Scheme(
    tables=AnonVmaChainTables,
    pools={"anon_vma": Pool(CHAINED_ANON_VMA), "member": Pool(MEMBER), "chain": Pool(CHAIN)},
    hashes=("member",),
    glob_fields=CHAIN_GLOB,
    vma_fields=CHAIN_VMA,
    heads="anon_vma",
    members="member",
    extra=("chains_allocated", "chains_live", "chains_peak"),
    list_members=vmas_on_chains,
)
register_scheme(SCHEME, sys.modules[__name__])
