"""The invariants of scheme `linux6`: those of chains, the order of lists, and the tree of anon_vmas."""

from __future__ import annotations

import sys

from ..breaches import tell
from ..compiled import kernel
from ..layout import NULL
from .interface import register_checks
from .linux6 import SCHEME
from .validate_anon_vma_chain import (  # noqa: F401  (looked up by name: `interface`)
    CHAIN_ORDER,
    N_ACTIVE,
    N_CHILDREN,
    OWN_BREACHES,
    new_rmap_census,
    validate_anon_pte,
    validate_chains,
    validate_rmap_figures,
    validate_rmap_tops,
)


def validate_rmap_lists(s, c):
    """Check the lists of all anon_vmas, the chains of all vmas, members, and the tree; vmas have been checked."""
    validate_chains(s, c)
    for anon_vma in range(1, s.glob[0].anon_vma_top):
        a = s.rmap.anon_vma[anon_vma]
        if a.id != 0 and a.parent > 0 and a.parent < s.glob[0].anon_vma_top:
            c.rmap.anon_vma[a.parent].children += 1
    for anon_vma in range(1, s.glob[0].anon_vma_top):
        if s.rmap.anon_vma[anon_vma].id != 0:
            _validate_order(s, c, anon_vma)
            _validate_counts(s, c, anon_vma)


@kernel
def _validate_order(s, c, anon_vma):
    """Check that a list is in order of pgoff, and that this is what the vmas say."""
    a = s.rmap.anon_vma[anon_vma]
    chain, last = a.head, -1
    while chain > 0 and chain < s.glob[0].chain_top and c.rmap.chain[chain].listed == 1:
        row = s.rmap.chain[chain]
        if row.pgoff < last or row.pgoff != s.vma[row.vma].pgoff:
            tell(c, CHAIN_ORDER, a.id, chain, 0, 0, 0, 0)
            return
        c.rmap.chain[chain].listed = 2  # none is met twice
        last = row.pgoff
        chain = row.next


@kernel
def _validate_counts(s, c, anon_vma):
    """Check how many vmas and anon_vmas lie below an anon_vma. Vmas that hold it are on its list."""
    a = s.rmap.anon_vma[anon_vma]
    active, children = 0, c.rmap.anon_vma[anon_vma].children
    chain = a.head
    while chain > 0 and chain < s.glob[0].chain_top and c.rmap.chain[chain].listed == 2:
        active += s.vma[s.rmap.chain[chain].vma].anon_vma == anon_vma
        c.rmap.chain[chain].listed = 3
        chain = s.rmap.chain[chain].next
    if active != a.n_active:
        tell(c, N_ACTIVE, a.id, 0, 0, 0, a.n_active, active)
    if children != a.n_children or a.parent == NULL:
        tell(c, N_CHILDREN, a.id, 0, 0, 0, a.n_children, children)


register_checks(SCHEME, sys.modules[__name__])
