"""The scheme `anon_vma_chain` (2.6.34): every process that inherits a vma gets an anon_vma of its own for it.

A vma is linked to its own anon_vma and to those of all ancestors. Here `v.chain` holds the anon_vmas that `v` is linked
to, newest (its own) first, and `anon_vma.list` the vmas linked to it; an anon_vma_chain (avc) is a member of both.
"""

from __future__ import annotations

from typing import ClassVar

from ..naive import NaiveReplay


class AnonVmaChainReplay(NaiveReplay):
    """Replay under `anon_vma_chain`; rule "avc_rule_2011": the merge rule of 3.0."""

    scheme = "anon_vma_chain"
    known_rules = ("avc_rule_2011",)
    reuse_position = 0  # where a vma that takes over its neighbour's anon_vma is linked; 2.6.36: at the tail
    sizes: ClassVar = {"i386": (12, 12, 24), "x86_64": (24, 24, 48)}  # bytes of a vma's fields, anon_vma, avc

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.peaks["avcs"] = 0

    # ---- links

    def _link(self, v, anon_vma, at, position):
        """Make an avc: `anon_vma` comes to place `at` of the vma's chain, `v` to `position` of its list."""
        own = v.anon_vma
        self._enter(anon_vma, v, len(anon_vma.list) if position is None else position)
        v.anon_vma = own
        v.chain.insert(at, anon_vma)
        self.counts["avcs_allocated"] += 1
        self.counts["avcs_live"] += 1
        self.counts["fork_objects"] += self.op == "fork"

    def _clone(self, v, original):
        """Link `v` to all that `original` is linked to, the oldest first, at the tails of their lists."""
        assert not v.chain
        for anon_vma in reversed(original.chain):
            self._link(v, anon_vma, 0, None)

    def anon_vma_prepare(self, v):
        if v.anon_vma is None:
            near = self.find_mergeable_anon_vma(v)
            v.anon_vma = near or self._allocate_anon_vma(v)
            self.counts["fault_objects"] += 1 if near else 2
            self._link(v, v.anon_vma, 0, self.reuse_position)

    def find_mergeable_anon_vma(self, v):
        """As in rmap 40, but not of a neighbour that has inherited."""
        following, before = v.mm.after(v), v.mm.before(v.start)
        if (
            following
            and following.start == v.end
            and self._lends(following, v, following.pgoff == v.index_of(v.end))
        ):
            return following.anon_vma
        if (
            before
            and before.end == v.start
            and self._lends(before, v, before.index_of(before.end) == v.pgoff)
        ):
            return before.anon_vma
        return None

    def _lends(self, near, v, fits):
        """Whether `v` may take over the anon_vma of the neighbour `near`."""
        access = {"READ", "WRITE", "EXEC"}
        return (
            near.anon_vma is not None
            and len(near.chain) == 1
            and fits
            and near.policy == v.policy
            and near.file == v.file
            and near.flags - access == v.flags - access
        )

    def anon_vma_link(self, v, original):
        self._clone(v, original)

    def anon_vma_fork(self, v, original):
        if original.anon_vma is None:
            return
        self._clone(v, original)
        v.anon_vma = self._allocate_anon_vma(v)
        self._link(v, v.anon_vma, 0, None)

    def anon_vma_import(self, importer, exporter):
        if importer.anon_vma is None and exporter.anon_vma is not None:
            self._clone(importer, exporter)
            importer.anon_vma = exporter.anon_vma

    def anon_vma_shift(self, grows, shrinks):
        self.anon_vma_import(grows, shrinks)

    def anon_vma_absorb(self, v, following):
        self.anon_vma_import(v, following)

    def anon_vma_merge(self, v, following):
        assert v.anon_vma is following.anon_vma, "merged vmas with different anon_vmas"
        self.anon_vma_unlink(following)

    def anon_vma_unlink(self, v):
        """Drop all avcs of a vma, the newest first; an anon_vma without any is freed."""
        while v.chain:
            anon_vma = v.chain.pop(0)
            self._leave(anon_vma, v)
            self.counts["avcs_live"] -= 1
            if not anon_vma.list:
                self.anon_vma_emptied(anon_vma)
                anon_vma.freed_event, anon_vma.freed_ts = self.event, self.ts
                self.counts["anon_vmas_live"] -= 1

    def anon_vma_emptied(self, anon_vma):
        """An anon_vma is about to be freed."""

    # ---- merging

    def anon_refusal(self, anon_vma, neighbour, origin):
        if not self.compatible(anon_vma, neighbour.anon_vma):
            return "anon_diff"
        differs = (anon_vma is None) != (neighbour.anon_vma is None)
        if "avc_rule_2011" in self.rules and differs and len(neighbour.chain) != 1:
            return "cloned"
        return None

    # ---- pages

    def check_page_add_anon_rmap(self, page, v, vpn):
        if v.anon_vma is None:
            super().check_page_add_anon_rmap(page, v, vpn)

    def home_of(self, v, vpn, own):
        """What others may have too must be found from the oldest anon_vma."""
        return (v.anon_vma if own else v.chain[-1]), v.index_of(vpn)

    def page_reused(self, page, v):
        """Nobody else has the page: from now on walks look at the vma's own anon_vma only."""
        if v.anon_vma is None or page.mapping is v.anon_vma:
            return
        index = page.index
        self._count_pte(page, v.mm, -1)
        self._leave_home(page)
        self._set_home(page, v.anon_vma, index)
        self._count_pte(page, v.mm, 1)

    # ---- figures and checks

    def overhead_bytes(self):
        numbers = [self.counts[name] for name in ("vmas_live", "anon_vmas_live", "avcs_live")]
        return {
            machine: sizes and sum(size * n for size, n in zip(sizes, numbers, strict=True))
            for machine, sizes in self.sizes.items()
        }

    def _finish_event(self):
        super()._finish_event()
        self._raise_peak("avcs", self.counts["avcs_live"])

    def check_lists(self):
        for anon_vma in self.anon_vmas:
            if anon_vma.freed == bool(anon_vma.list):
                yield f"I3 anon_vma {anon_vma.id}: freed {anon_vma.freed}, list of {len(anon_vma.list)}"
        for v in (v for mm in self.mms for v in mm.vmas):
            if v.anon_vma and v.chain[0] is not v.anon_vma and self.scheme == "anon_vma_chain":
                yield f"vma {v.id} is linked to another anon_vma before its own"
            if bool(v.chain) != (v.anon_vma is not None):
                yield f"vma {v.id} has avcs {v.chain} and anon_vma {v.anon_vma}"
            for anon_vma in v.chain:
                if anon_vma.freed or anon_vma.list.count(v) != 1 or v.chain.count(anon_vma) != 1:
                    yield f"vma {v.id} is not once on the list of anon_vma {anon_vma.id}"
        links = sum(len(anon_vma.list) for anon_vma in self.anon_vmas)
        chains = sum(len(v.chain) for mm in self.mms for v in mm.vmas)
        if not links == chains == self.counts["avcs_live"]:
            yield f"avcs: {links} on lists, {chains} on vmas, {self.counts['avcs_live']} counted"

    def summary(self):
        summary = super().summary()
        summary["scheme"] = self.scheme
        return summary
