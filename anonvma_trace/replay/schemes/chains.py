"""anon_vma_chains: which vmas are on the lists of which anon_vmas, many to many (since 2.6.34).

Each chain joins one vma with one anon_vma. A vma has its chains newest first: its own anon_vma's, then those of its
ancestors, the root's last. Where on an anon_vma's list a chain comes is the scheme's affair (`list_chain`).

Source: 2.6.34, mm/rmap.c, ``struct anon_vma_chain``.
"""

from __future__ import annotations

from ..compiled import kernel
from ..headroom import log_has_room
from ..layout import LOG_ANON_VMAS, NULL, extended, record
from .heads import ANON_VMA, HEAD_GLOB, heads_have_room, list_grew, list_shrank
from .interface import bind
from .members import count_vma_in, count_vma_out

CHAIN = record(
    "vma",  # NULL: free
    "anon_vma",
    "older",  # chains of the same vma, from the newest on. While free: next free row
    "newer",
    "next",  # chains of the same anon_vma, in the order of its list
    "prev",
    "pgoff",  # that of the vma when the chain was put on the list
    "member",  # that counts this vma on that anon_vma
    "allocated_ts",
)
CHAINED_ANON_VMA = extended(ANON_VMA, ("tail",))  # `head` and `tail` are chains here
CHAIN_VMA = ("newest", "oldest", "n_chains", "member")
"""Fields of `vma`: its first and last chain, their number, and the member of its own anon_vma."""
CHAIN_GLOB = (*HEAD_GLOB, "chains_allocated", "chains_live", "chains_peak", "most_chains")
"""Fields of `glob`; `most_chains` is the largest number that a vma ever had."""

list_chain = bind(
    "list_chain", "(s, chain, prepared): put it on its anon_vma's list; `prepared`: by anon_vma_prepare."
)


@kernel
def _alloc_chain(s):
    glob = s.glob[0]
    row = glob.chain_free
    if row != NULL:
        glob.chain_free = s.rmap.chain[row].older
        glob.chain_n_free -= 1
    else:
        row = glob.chain_top
        glob.chain_top += 1
    glob.chains_allocated += 1
    glob.chains_live += 1
    return row


@kernel
def _free_chain(s, chain):
    glob = s.glob[0]
    c = s.rmap.chain[chain]
    c.vma = NULL
    c.older = glob.chain_free
    glob.chain_free = chain
    glob.chain_n_free += 1
    glob.chains_live -= 1


@kernel
def chain_link(s, vma, anon_vma, prepared):
    """Join a vma with an anon_vma: as its newest chain (``anon_vma_chain_link``)."""
    chain = _alloc_chain(s)
    c, v = s.rmap.chain[chain], s.vma[vma]
    c.vma = vma
    c.anon_vma = anon_vma
    c.allocated_ts = s.glob[0].ts
    c.newer = NULL
    c.older = v.newest
    if v.newest == NULL:
        v.oldest = chain
    else:
        s.rmap.chain[v.newest].newer = chain
    v.newest = chain
    v.n_chains += 1
    s.glob[0].most_chains = max(s.glob[0].most_chains, v.n_chains)
    c.pgoff = v.pgoff
    list_chain(s, chain, prepared)
    list_grew(s, anon_vma)
    c.member = count_vma_in(s, anon_vma, s.mm[v.mm].owner)
    if anon_vma == v.anon_vma:
        v.member = c.member


@kernel
def chain_unlink(s, chain):
    """Part a vma from an anon_vma, whose list may be empty afterwards."""
    c = s.rmap.chain[chain]
    v = s.vma[c.vma]
    unlist_chain(s, chain)
    list_shrank(s, c.anon_vma)
    count_vma_out(s, c.member, s.mm[v.mm].users == 0)
    if c.anon_vma == v.anon_vma:
        v.member = NULL
    if c.newer == NULL:
        v.newest = c.older
    else:
        s.rmap.chain[c.newer].older = c.older
    if c.older == NULL:
        v.oldest = c.newer
    else:
        s.rmap.chain[c.older].newer = c.newer
    v.n_chains -= 1
    _free_chain(s, chain)


@kernel
def clone_chains(s, vma, source):
    """Give a vma chains to all anon_vmas of another, oldest first, so that their order stays (``anon_vma_clone``)."""
    chain = s.vma[source].oldest
    while chain != NULL:
        chain_link(s, vma, s.rmap.chain[chain].anon_vma, False)
        chain = s.rmap.chain[chain].newer


@kernel
def list_before(s, chain, place):
    """Put a chain on its anon_vma's list directly before another, at the tail with `place` NULL."""
    c = s.rmap.chain[chain]
    a = s.rmap.anon_vma[c.anon_vma]
    before = a.tail if place == NULL else s.rmap.chain[place].prev
    c.next = place
    c.prev = before
    if before == NULL:
        a.head = chain
    else:
        s.rmap.chain[before].next = chain
    if place == NULL:
        a.tail = chain
    else:
        s.rmap.chain[place].prev = chain


@kernel
def unlist_chain(s, chain):
    """Take a chain off its anon_vma's list; whatever else it says stays."""
    c = s.rmap.chain[chain]
    a = s.rmap.anon_vma[c.anon_vma]
    if c.prev == NULL:
        a.head = c.next
    else:
        s.rmap.chain[c.prev].next = c.next
    if c.next == NULL:
        a.tail = c.prev
    else:
        s.rmap.chain[c.next].prev = c.prev


@kernel
def chains_have_room(s, n_vmas, n_new_vmas, n_pages, few):
    """Return whether there is room for anon_vmas, chains and members of an event (`rmap_has_room`).

    A vma that is made, or takes over another's pages, gets at most as many chains as one ever had, and one more.
    """
    glob = s.glob[0]
    glob.chain_need = (n_vmas + n_new_vmas + few) * (glob.most_chains + 1)
    return (
        glob.chain_cap - glob.chain_top + glob.chain_n_free >= glob.chain_need
        and heads_have_room(s, n_vmas, n_new_vmas, n_pages + n_new_vmas, few)
        and log_has_room(
            s, LOG_ANON_VMAS, (glob.anon_vmas_allocated - glob.anon_vmas_freed if n_vmas > 0 else 0) + few
        )
    )
