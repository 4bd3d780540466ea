"""The slow model's file side of `mm/rmap.c`: which vmas map a page of a file, and its reclaim."""

from __future__ import annotations

from .naive_memory import NaiveMemory
from .naive_rmap import MISSES


class NaiveFiles(NaiveMemory):
    """Walks of file pages. Their figures are kept apart from those of anonymous pages."""

    def shrink_file_page(self, page):
        """`reclaim` of a mapped page of a file: the test, then the unmap."""
        self.counts["file_reclaimed"] += 1
        if self.page_referenced_file(page) or self.try_to_unmap_file(page) != "success":
            self.counts["file_activated"] += 1

    def page_referenced_file(self, page):
        """Return how often the page was referenced since the last look; a locked shared mapping counts once."""
        ref = 0

        def locked(v):
            return {"LOCKED", "SHARED"} <= v.flags

        def look(v, vpn, pte):
            nonlocal ref
            ref += pte.young
            pte.young = False

        walk = self._walk_file(page, "referenced", look, locked)
        if walk["outcome"] == "locked":
            ref += 1
        walk["outcome"] = "referenced" if ref else "not_referenced"
        return ref

    def try_to_unmap_file(self, page):
        """Take the page out of all page tables; return the outcome of the walk."""

        def unmap(v, vpn, pte):
            if v.flags & {"LOCKED", "RESERVED"}:
                return "fail_locked"
            if pte.young:
                pte.young = False  # the test clears it
                return "fail_young"
            del v.mm.ptes[vpn]
            v.mm.rss -= 1
            self._unmap_file_page(page)
            return None

        walk = self._walk_file(page, "unmap", unmap)
        self.counts["file_unmapped"] += page.mapcount == 0
        if walk["outcome"] is None:
            walk["outcome"] = "success" if page.mapcount == 0 else "again"
        return walk["outcome"]

    def file_mappers(self, page):
        """Return the vmas that cover the page in its file, in the order of a walk."""
        vmas = [v for mm in self.mms for v in mm.vmas if v.file == page.file]
        covering = [v for v in vmas if v.pgoff <= page.pgoff < v.index_of(v.end)]
        return sorted(covering, key=lambda v: (v.pgoff, v.id))

    def _walk_file(self, page, purpose, hit, stop_at=lambda v: False):
        mappers = self.file_mappers(page)
        row = {
            "event": self.event,
            "ts": self.ts,
            "pid": page.first_process.pid,
            "addr": page.first_vpn << 12,
            "file": page.file,
            "pgoff": page.pgoff,
            "purpose": purpose,
            "mapcount": page.mapcount,
            "list_length": len(mappers),
            "vmas_visited": 0,
            **dict.fromkeys((*MISSES, "hits", "unreachable"), 0),
            "early_stop": False,
            "outcome": None,
        }
        left = page.mapcount
        for v in mappers:
            row["vmas_visited"] += 1
            if stop_at(v):
                row["outcome"] = "locked"
                break
            miss, vpn, pte = self._look_up(page, page.pgoff, v)
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
        row["early_stop"] = row["vmas_visited"] < row["list_length"]
        self.file_walks.append(row)
        return row
