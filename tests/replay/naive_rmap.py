"""The slow model's `mm/rmap.c`: anon_vma lists, page mappings and walks of rmap 39, and the shared state."""

from __future__ import annotations

from collections import Counter

from .naive_objects import AnonVma, KernelBug, PresentPte, SwapPte

MISSES = ("miss_rss", "miss_range", "miss_none", "miss_swap", "miss_other")


class NaiveRmap:
    """State of the whole replay, and everything that knows what an anon_vma is."""

    rules = frozenset()

    def __init__(self):
        self.event, self.ts, self.op = 0, 0, ""  # the event in hand
        self.processes = {}  # pid -> living Process
        self.lives = []  # every Process ever, in order of beginning
        self.mms = []  # living ones, in order of creation
        self.pages, self.slots, self.file_pages = {}, {}, {}
        self.active, self.inactive = [], []  # LRU, newest first
        self.anon_vmas = []  # all ever allocated; id = position + 1
        self.merges, self.walks, self.file_walks, self.bugs = [], [], [], []
        self.counts = Counter()
        self.peaks = {"vmas": 0, "anon_vmas": 0, "pages": 0, "longest_list": 0, "objects": 0}
        # What the event in hand has changed; peaks and spans look at these when it is over.
        self.changed_mms, self.changed_anon_vmas, self.changed_members = {}, {}, {}

    # ---- lists of vmas

    def anon_vma_prepare(self, v):
        if v.anon_vma is None:
            near = self.find_mergeable_anon_vma(v) if "rmap40" in self.rules else None
            self._enter(near or self._allocate_anon_vma(v), v, 0)

    def anon_vma_import(self, importer, exporter):
        """Put a vma that gets pages of another on that one's list, at the head, if it is on none."""
        if importer.anon_vma is None and exporter.anon_vma is not None:
            self._enter(exporter.anon_vma, importer, 0)

    def anon_vma_link(self, v):
        """Link a copied vma (fork, split, mremap) at the head of the list of its original."""
        if v.anon_vma is not None:
            self._enter(v.anon_vma, v, 0)

    def anon_vma_merge(self, v, following):
        """Let `v` stand for `following` as well, which is about to be freed and has an anon_vma."""
        anon_vma = following.anon_vma
        if v.anon_vma is None:
            self._enter(anon_vma, v, anon_vma.list.index(following))  # takes its place
        if "merge_pre_rmap39" not in self.rules:
            assert v.anon_vma is anon_vma, "merged vmas with different anon_vmas"
        self.anon_vma_unlink(following)

    def anon_vma_unlink(self, v):
        if v.anon_vma is not None:
            self._leave(v.anon_vma, v)
            if not v.anon_vma.list:
                v.anon_vma.freed_event, v.anon_vma.freed_ts = self.event, self.ts
                self.counts["anon_vmas_live"] -= 1

    def compatible(self, one, other):
        """Whether vmas with these anon_vmas may become one."""
        if "merge_pre_rmap39" in self.rules:
            return True
        return one is None or other is None or one is other

    def _allocate_anon_vma(self, v):
        anon_vma = AnonVma(len(self.anon_vmas) + 1, self.event, self.ts, self.op, v.mm.owner.pid)
        self.anon_vmas.append(anon_vma)
        self.counts["anon_vmas_live"] += 1
        return anon_vma

    def _enter(self, anon_vma, v, position):
        assert not anon_vma.freed and v not in anon_vma.list
        v.anon_vma = anon_vma
        anon_vma.list.insert(position, v)
        v.mm.owner.anon_vmas.add(anon_vma.id)
        self._count_member(anon_vma.vmas_of, anon_vma, v.mm, 1)

    def _leave(self, anon_vma, v):
        anon_vma.list.remove(v)
        self._count_member(anon_vma.vmas_of, anon_vma, v.mm, -1)

    def _count_member(self, counts, anon_vma, mm, change):
        counts[mm.owner] = counts.get(mm.owner, 0) + change
        assert counts[mm.owner] >= 0
        self.changed_anon_vmas[anon_vma.id] = anon_vma
        self.changed_members[anon_vma.id, mm.owner] = anon_vma

    # ---- mappings of pages

    def page_add_anon_rmap(self, page, v, vpn):
        self.check_page_add_anon_rmap(page, v, vpn)
        if page.mapcount == 0:
            page.anon, page.mapping, page.index = True, v.anon_vma, v.index_of(vpn)
            page.mapping.n_pages += 1
            page.mapping.pages_ever.add(page.id)
            if page.first_process is None:
                page.first_process, page.first_vpn = v.mm.owner, vpn
        page.mapcount += 1
        self._count_member(page.mapping.ptes_of, page.mapping, v.mm, 1)

    def check_page_add_anon_rmap(self, page, v, vpn):
        """Raise KernelBug where `page_add_anon_rmap` would; `page` is None for one still to be made."""
        if "merge_pre_rmap39" in self.rules:
            return
        if v.anon_vma is None:
            raise KernelBug("no_anon_vma")
        assert not v.anon_vma.freed
        if page is None or page.mapcount == 0:
            assert page is None or not (page.anon or page.mapping)
        elif page.index != v.index_of(vpn):
            raise KernelBug("index_mismatch")
        elif page.mapping is not v.anon_vma:
            raise KernelBug("mapping_mismatch")

    def page_dup_rmap(self, page, mm):
        """Count one more mapping of an anonymous page, made by fork in `mm`: nothing is checked."""
        assert page.mapcount > 0
        page.mapcount += 1
        self._count_member(page.mapping.ptes_of, page.mapping, mm, 1)

    def page_remove_rmap(self, page, mm):
        assert page.mapcount > 0
        page.mapcount -= 1
        self._count_member(page.mapping.ptes_of, page.mapping, mm, -1)
        if page.mapcount == 0:
            page.mapping.n_pages -= 1
            page.anon, page.mapping, page.index = False, None, None

    # ---- walks

    def page_referenced(self, page):
        """Return how often the page was referenced since the last look, clearing what tells it."""
        ref = int(page.referenced)
        page.referenced = False
        if page.mapcount == 0:
            return ref

        def look(v, vpn, pte):
            nonlocal ref
            ref += pte.young
            pte.young = False

        walk = self._walk(page, "referenced", look)
        if walk["outcome"] is None:
            walk["outcome"] = "referenced" if ref else "not_referenced"
        return ref

    def try_to_unmap(self, page, recorded=False):
        """Turn the page's ptes into swap ptes; return "success", "fail" or "again".

        `recorded`: someone saw the page leave, so neither young bits nor locks stop it.
        """

        def unmap(v, vpn, pte):
            if not recorded:
                if v.flags & {"LOCKED", "RESERVED"}:
                    return "fail_locked"
                if pte.young:
                    pte.young = False  # the test clears it
                    return "fail_young"
            v.mm.ptes[vpn] = SwapPte(page.slot)
            page.slot.map += 1
            v.mm.rss -= 1
            page.dirty |= pte.dirty
            self.page_remove_rmap(page, v.mm)
            return None

        walk = self._walk(page, "unmap", unmap)
        failed = walk["outcome"] in ("fail_locked", "fail_young")
        if page.mapcount == 0:
            self.counts["unmapped"] += 1
        if walk["outcome"] is None:
            walk["outcome"] = "success" if page.mapcount == 0 else "again"
        return "fail" if failed else "success" if page.mapcount == 0 else "again"

    def _walk(self, page, purpose, hit):
        """Visit the vmas of the page's anon_vma until all mappers are found or `hit` says why to stop."""
        anon_vma = page.mapping
        row = {
            "event": self.event,
            "ts": self.ts,
            "pid": page.first_process.pid,
            "addr": page.first_vpn << 12,
            "anon_vma": anon_vma.id,
            "purpose": purpose,
            "mapcount": page.mapcount,
            "list_length": len(anon_vma.list),
            "vmas_visited": 0,
            **dict.fromkeys((*MISSES, "hits", "unreachable"), 0),
            "early_stop": False,
            "outcome": None,
        }
        index, left = page.index, page.mapcount
        for v in list(anon_vma.list):
            row["vmas_visited"] += 1
            miss, vpn, pte = self._look_up(page, index, v)
            if miss:
                row[miss] += 1
                continue
            row["hits"] += 1
            row["outcome"] = hit(v, vpn, pte)
            left -= 1
            if row["outcome"] or left == 0:
                break
        if not row["outcome"]:
            row["unreachable"] = left
        if anon_vma.freed:
            row["outcome"] = "bug:empty_anon_vma"
        row["early_stop"] = row["vmas_visited"] < row["list_length"]
        anon_vma.walks += not anon_vma.freed  # a freed one's row is closed
        anon_vma.vmas_visited += row["vmas_visited"]
        page.first_process.walks_caused += 1
        self.walks.append(row)
        return row

    @staticmethod
    def _look_up(page, index, v):
        """Return (kind of miss or None, page number, pte) of the page in one vma."""
        if v.mm.rss == 0:
            return "miss_rss", None, None
        vpn = v.start + (index - v.pgoff)
        if not v.start <= vpn < v.end:
            return "miss_range", None, None
        pte = v.mm.ptes.get(vpn)
        if pte is None:
            return "miss_none", None, None
        if isinstance(pte, SwapPte):
            return "miss_swap", None, None
        if isinstance(pte, PresentPte) and pte.page is page:
            return None, vpn, pte
        return "miss_other", None, None
