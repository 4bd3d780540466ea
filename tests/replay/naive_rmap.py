"""The slow model's `mm/rmap.c`: anon_vma lists, page mappings and walks of rmap 39, and the shared state."""

from __future__ import annotations

from collections import Counter

from .naive_checks import check_anon_vma_lists
from .naive_objects import AnonVma, KernelBug, PresentPte, SwapPte

MISSES = ("miss_rss", "miss_range", "miss_none", "miss_swap", "miss_other")


class NaiveRmap:
    """State of the whole replay, and everything that knows what an anon_vma is.

    The other schemes (`models`) are subclasses that put their own `mm/rmap.c` in place of the methods here.
    """

    rules = frozenset()
    unmap_tests_young = True  # a young pte stops try_to_unmap
    unmap_finds_vma = False  # try_to_unmap has no vma at hand and asks find_vma for each hit

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
        self.peaks = dict.fromkeys(("vmas", "anon_vmas", "pages", "longest_list", "i386", "x86_64"), 0)
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

    def anon_vma_link(self, v, original):
        """Link a copied vma (split, mremap) at the head of the list of its original."""
        if original.anon_vma is not None:
            self._enter(original.anon_vma, v, 0)

    def anon_vma_fork(self, v, original):
        """Link a child's copy of a vma."""
        self.anon_vma_link(v, original)

    def anon_vma_shift(self, grows, shrinks):
        """Two neighbours are about to move the border between them."""
        if self.rules & {"fix_propagate", "propagate_all"}:
            self.anon_vma_import(grows, shrinks)

    def anon_vma_absorb(self, v, following):
        """`following` is about to vanish into `v`."""
        if "propagate_all" in self.rules:
            self.anon_vma_import(v, following)

    def anon_vma_moved(self, merged, source):
        """A move found a neighbour of its destination to be merged with, before any pte moves."""
        if "fix_move_merge" in self.rules:
            self.anon_vma_import(merged, source)

    def borders_changed(self, v):
        """The borders of a vma are not what they were: no list of rmap 39 looks at them."""

    def anon_vma_merge(self, v, following):
        """Let `v` stand for `following` as well, which is about to be freed and has an anon_vma."""
        anon_vma = following.anon_vma
        if v.anon_vma is None:
            self._enter(anon_vma, v, anon_vma.list.index(following))  # takes its place
        if not self.merges_like_before:
            assert v.anon_vma is anon_vma, "merged vmas with different anon_vmas"
        self.anon_vma_unlink(following)

    def anon_vma_unlink(self, v):
        if v.anon_vma is not None:
            self._leave(v.anon_vma, v)
            if not v.anon_vma.list:
                v.anon_vma.freed_event, v.anon_vma.freed_ts = self.event, self.ts
                self.counts["anon_vmas_live"] -= 1

    @property
    def merges_like_before(self):
        """Whether vmas merge by the rules before rmap 39: no test of anon_vmas, none of pgoff without a file."""
        return "merge_pre_rmap39" in self.rules

    def compatible(self, one, other):
        """Whether vmas with these anon_vmas may become one."""
        if self.merges_like_before:
            return True
        return one is None or other is None or one is other

    def anon_refusal(self, anon_vma, neighbour, origin):
        """Return why a range with `anon_vma` must not join `neighbour`, or None.

        `origin`: the vma that holds the range (mprotect) or that a move copies; None for a new range.
        """
        return None if self.compatible(anon_vma, neighbour.anon_vma) else "anon_diff"

    def _allocate_anon_vma(self, v):
        anon_vma = AnonVma(len(self.anon_vmas) + 1, self.event, self.ts, self.op, v.mm.owner.pid)
        self.anon_vmas.append(anon_vma)
        self.counts["anon_vmas_live"] += 1
        self.counts["fork_objects"] += self.op == "fork"
        return anon_vma

    def _enter(self, anon_vma, v, position):
        assert not anon_vma.freed and v not in anon_vma.list
        v.anon_vma = anon_vma
        anon_vma.list.insert(position, v)
        self.counts["fork_insertions"] += self.op == "fork"
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

    def page_add_anon_rmap(self, page, v, vpn, own=True):
        """Count a mapping of a page; the first one decides where walks begin.

        `own`: no one else has the page or can get it from swap.
        """
        self.check_page_add_anon_rmap(page, v, vpn)
        if page.mapcount == 0:
            page.anon = True
            self._set_home(page, *self.home_of(v, vpn, own))
            if page.first_process is None:
                page.first_process, page.first_vpn = v.mm.owner, vpn
        page.mapcount += 1
        self._count_pte(page, v.mm, 1)

    def home_of(self, v, vpn, own):
        """Return `mapping` and `index` of a page that is mapped first at `vpn` of `v`."""
        return v.anon_vma, v.index_of(vpn)

    def index_at(self, v, vpn):
        """Return the `index` that every page at `vpn` of `v` must have."""
        return v.index_of(vpn)

    def _set_home(self, page, anon_vma, index):
        page.mapping, page.index = anon_vma, index
        if anon_vma is not None:
            anon_vma.n_pages += 1
            anon_vma.pages_ever.add(page.id)

    def _leave_home(self, page):
        if page.mapping is not None:
            page.mapping.n_pages -= 1
        page.mapping = page.index = None

    def _count_pte(self, page, mm, change):
        """Count a mapping of the page for the anon_vma and the process."""
        if page.mapping is not None:
            self._count_member(page.mapping.ptes_of, page.mapping, mm, change)

    def check_page_add_anon_rmap(self, page, v, vpn):
        """Raise KernelBug where `page_add_anon_rmap` would; `page` is None for one still to be made."""
        if self.merges_like_before:
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

    def page_dup_rmap(self, page, mm, vpn):
        """Count one more mapping of an anonymous page, made by fork in `mm`: nothing is checked."""
        assert page.mapcount > 0
        page.mapcount += 1
        self._count_pte(page, mm, 1)

    def page_remove_rmap(self, page, mm, vpn):
        assert page.mapcount > 0
        page.mapcount -= 1
        self._count_pte(page, mm, -1)
        if page.mapcount == 0:
            page.anon = False
            self._leave_home(page)

    def page_reused(self, page, v):
        """A write may keep the page, because nobody else has it. It keeps its anon_vma."""

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
            self.counts["find_vma"] += self.unmap_finds_vma
            if not recorded:
                if v.flags & {"LOCKED", "RESERVED"}:
                    return "fail_locked"
                if pte.young and self.unmap_tests_young:
                    pte.young = False  # the test clears it
                    return "fail_young"
            v.mm.ptes[vpn] = SwapPte(page.slot)
            page.slot.map += 1
            v.mm.rss -= 1
            page.dirty |= pte.dirty
            self.page_remove_rmap(page, v.mm, vpn)
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
        anon_vma, members = page.mapping, self.walk_members(page)
        row = {
            "event": self.event,
            "ts": self.ts,
            "pid": page.first_process.pid,
            "addr": page.first_vpn << 12,
            "anon_vma": anon_vma.id if anon_vma else None,
            "purpose": purpose,
            "mapcount": page.mapcount,
            "list_length": self.list_length(page),
            "vmas_visited": 0,
            **dict.fromkeys((*MISSES, "hits", "unreachable"), 0),
            "early_stop": False,
            "outcome": None,
        }
        left = page.mapcount
        for member in members:
            row["vmas_visited"] += 1
            miss, v, vpn, pte = self.look_up_member(page, member)
            if miss:
                if miss in row:
                    row[miss] += 1
                else:
                    self.counts[miss] += 1  # a kind of this scheme alone
                continue
            row["hits"] += 1
            row["outcome"] = hit(v, vpn, pte)
            left -= 1
            if row["outcome"] or left == 0:
                break
        if not row["outcome"]:
            row["unreachable"] = left
        row["early_stop"] = row["vmas_visited"] < row["list_length"]
        if anon_vma is not None:
            if anon_vma.freed:
                row["outcome"] = "bug:empty_anon_vma"
            anon_vma.walks += not anon_vma.freed  # a freed one's row is closed
            anon_vma.vmas_visited += row["vmas_visited"]
        page.first_process.walks_caused += 1
        self.walks.append(row)
        return row

    def walk_members(self, page):
        """Return all that a walk of the page looks at, in order, if nothing stops it."""
        return list(page.mapping.list)

    def list_length(self, page):
        """Return how many members the list has to which the page points."""
        return len(self.walk_members(page))

    def look_up_member(self, page, v):
        """Return (kind of miss or None, vma, page number, pte) of the page in one member of the walk."""
        miss, vpn, pte = self._look_up(page, page.index, v)
        return miss, v, vpn, pte

    @classmethod
    def _look_up(cls, page, index, v):
        """Return (kind of miss or None, page number, pte) of the page in one vma."""
        if v.mm.rss == 0:
            return "miss_rss", None, None
        vpn = v.start + (index - v.pgoff)
        if not v.start <= vpn < v.end:
            return "miss_range", None, None
        return cls._look_up_pte(page, v.mm, vpn)

    @staticmethod
    def _look_up_pte(page, mm, vpn):
        """Return (kind of miss or None, page number, pte) of the page at one address."""
        pte = mm.ptes.get(vpn)
        if pte is None:
            return "miss_none", None, None
        if isinstance(pte, SwapPte):
            return "miss_swap", None, None
        if isinstance(pte, PresentPte) and pte.page is page:
            return None, vpn, pte
        return "miss_other", None, None

    # ---- what the scheme needs and what its checks ask

    def is_reachable(self, mm, vpn, page):
        """Whether a walk from the page can find this mapping of it."""
        return any(
            v.mm is mm and v.start <= vpn < v.end and v.index_of(vpn) == page.index for v in page.mapping.list
        )

    def may_hold_anon(self, v):
        """Whether the vma may hold anonymous pages or swap ptes."""
        return v.anon_vma is not None

    def may_lose_pages(self):
        """Whether a merge has lost an anon_vma, so that pages may not be found."""
        return self.counts["lossy_merges"] > 0

    def mms_of(self, anon_vma):
        """Yield the mm of each member of an anon_vma's list."""
        return (v.mm for v in anon_vma.list)

    def check_lists(self):
        """Yield what is wrong with the lists of the scheme."""
        return check_anon_vma_lists(self)

    def overhead_bytes(self):
        """Return the bytes that the scheme needs now: anon_vmas, and three fields in each vma."""
        objects = self.counts["vmas_live"] + self.counts["anon_vmas_live"]
        return {"i386": 12 * objects, "x86_64": 24 * objects}
