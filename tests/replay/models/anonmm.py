"""The scheme `anonmm` (rmap 10 to rmap 38): a page knows an address space and its address there.

Each mm has an anonmm. Those of a family (all that was forked since an exec) form a ring that begins with the head. The
pages of a dead process keep its anonmm alive.
"""

from __future__ import annotations

from ..naive_objects import AnonVma, Page, PresentPte
from ..naive_results import NaiveResults
from .before_rmap39 import BeforeRmap39


class Anonmm(AnonVma):
    """The anonmm of an mm; `mm` is None once that is gone. `list` is the ring, the family's head first."""

    def __init__(self, anonmm_id, event, ts, op, mm, head):
        super().__init__(anonmm_id, event, ts, op, mm.owner.pid)
        self.mm, self.head = mm, head or self
        self.count = 1 if head else 2  # its mm; the head counts itself, and each member once
        if head:
            self.list = head.list  # one ring for all
            head.count += 1
        self.list.append(self)


class AnonmmReplay(BeforeRmap39):
    """Replay under `anonmm`."""

    # ---- families

    def mm_begins(self, mm, parent):
        head = parent.anonmm.head if parent else None
        anonmm = Anonmm(len(self.anon_vmas) + 1, self.event, self.ts, self.op, mm, head)
        self.anon_vmas.append(anonmm)
        mm.anonmm = anonmm
        self.counts["anon_vmas_live"] += 1
        if parent:
            self.counts["fork_objects"] += 1
            self.counts["fork_insertions"] += 1
        mm.owner.anon_vmas.add(anonmm.id)
        self._count_member(anonmm.vmas_of, anonmm, mm, 1)

    def mm_ends(self, mm):
        anonmm = mm.anonmm
        self._count_member(anonmm.vmas_of, anonmm, mm, -1)
        anonmm.mm = None
        self._drop_anonmm(anonmm)

    def _drop_anonmm(self, anonmm):
        """Give up one use of an anonmm: the mm's, a page's, or of a head a member's."""
        anonmm.count -= 1
        head = anonmm.head
        if anonmm is not head and anonmm.count == 0:
            assert anonmm.mm is None
            self._free_anonmm(anonmm)
            self._drop_anonmm(head)
        elif anonmm is head and anonmm.count == 1 and anonmm.mm is None:
            assert anonmm.list == [anonmm]
            self._free_anonmm(anonmm)

    def _free_anonmm(self, anonmm):
        assert anonmm.n_pages == 0
        anonmm.list.remove(anonmm)
        anonmm.freed_event, anonmm.freed_ts = self.event, self.ts
        self.counts["anon_vmas_live"] -= 1

    # ---- pages: the first mapping decides, later ones change and check nothing

    def home_of(self, v, vpn, own):
        return v.mm.anonmm, vpn

    def index_at(self, v, vpn):
        return vpn

    def _set_home(self, page, anonmm, index):
        anonmm.count += 1
        super()._set_home(page, anonmm, index)

    def _leave_home(self, page):
        anonmm = page.mapping
        super()._leave_home(page)
        self._drop_anonmm(anonmm)

    def move_pte(self, v, old, new):
        """The page's index is its address: pages that others have too must be copied to be moved."""
        pte = v.mm.ptes[old]
        if isinstance(pte, PresentPte) and isinstance(pte.page, Page):
            if pte.page.mapcount > 1:
                self.counts["mremap_copies"] += 1
                self._copy(v, old, pte)
            v.mm.ptes[old].page.index = new
        super().move_pte(v, old, new)

    def page_swapped_in(self, v, vpn, pte):
        """The page was swapped in elsewhere, at another address: this mapping needs one of its own."""
        if pte.page.index != vpn:
            self.counts["swapin_copies"] += 1
            self._copy(v, vpn, pte)

    def _copy(self, v, vpn, pte):
        self._break_cow(v, vpn, pte)
        v.mm.ptes[vpn].writable = "WRITE" in v.flags

    # ---- walks

    def walk_members(self, page):
        ring, at = page.mapping.list, page.mapping.list.index(page.mapping)
        return ring[at:] + ring[:at]

    def look_up_member(self, page, anonmm):
        if anonmm.mm is None:
            return "miss_extinct", None, None, None
        if anonmm.mm.rss == 0:
            return "miss_rss", None, None, None
        miss, vpn, pte = self._look_up_pte(page, anonmm.mm, page.index)
        return miss, anonmm.mm.vma_at(page.index), vpn, pte

    def page_referenced(self, page):
        """As ever; a page whose own mm is gone moves to the first that has it, if all that have it were met."""
        first = None
        if page.mapcount:
            first = next(
                (a for a in self.walk_members(page) if self.look_up_member(page, a)[0] is None), None
            )
        ref = super().page_referenced(page)
        if page.mapcount and page.mapping.mm is None and not self.walks[-1]["unreachable"]:
            self.counts["migrations"] += 1
            self._rehome(page, first)
        return ref

    def _rehome(self, page, anonmm):
        mappers = [mm for mm in self.mms for pte in mm.ptes.values() if getattr(pte, "page", None) is page]
        index = page.index
        for mm in mappers:
            self._count_pte(page, mm, -1)
        self._leave_home(page)
        self._set_home(page, anonmm, index)
        for mm in mappers:
            self._count_pte(page, mm, 1)

    # ---- figures and checks

    def overhead_bytes(self):
        """An anonmm is 24 or 40 bytes; each mm points at its own."""
        anonmms, mms = self.counts["anon_vmas_live"], len(self.mms)
        return {"i386": 24 * anonmms + 4 * mms, "x86_64": 40 * anonmms + 8 * mms}

    def is_reachable(self, mm, vpn, page):
        return vpn == page.index and mm.anonmm in page.mapping.list

    @staticmethod
    def member_state(anonmm, keys):
        return (keys.get(anonmm.mm), None)

    def mms_of(self, anonmm):
        return [anonmm.mm] if anonmm.mm else []

    def check_lists(self):
        live = [anonmm for anonmm in self.anon_vmas if not anonmm.freed]
        for anonmm in live:
            members = sum(other.head is anonmm for other in live) if anonmm.head is anonmm else 0
            if anonmm.count != members + (anonmm.mm is not None) + anonmm.n_pages:
                yield f"anonmm {anonmm.id} has count {anonmm.count}"
            if anonmm.list.count(anonmm) != 1 or anonmm.list[0] is not anonmm.head:
                yield f"anonmm {anonmm.id} is not once in its ring"
        if {mm.anonmm for mm in self.mms} != {anonmm for anonmm in live if anonmm.mm}:
            yield "anonmms and mms do not belong to each other"

    def summary(self):
        summary = NaiveResults.summary(self)
        summary["scheme"] = "anonmm"
        return summary
