"""What `pte_chain` and `anonmm` have in common: no vma knows of reverse mapping, and merging never asks for it."""

from __future__ import annotations

from ..naive import NaiveReplay


class BeforeRmap39(NaiveReplay):
    """Vmas without anon_vmas, merged by the rules before rmap 39."""

    known_rules = ()
    merges_like_before = True
    unmap_finds_vma = True  # ptes and mms are known, vmas are not

    def anon_vma_prepare(self, v):
        """Nothing to prepare."""

    def may_hold_anon(self, v):
        """Any private vma may."""
        return "SHARED" not in v.flags
