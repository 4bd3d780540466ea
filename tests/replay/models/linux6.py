"""The scheme `linux6`: what today's kernel (6.18) has made of `anon_vma_chain`.

Against 2.6.34: an anon_vma holds its avcs in an interval tree, fork may reuse an ancestor's, pages from swap have other
homes, and what may merge follows the rules of 6.16 and of January 2026. madvise, mlock and mremap in place ask too.
"""

from __future__ import annotations

from typing import ClassVar

from anonvma_trace.events import MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MAP_NORESERVE, MAP_STACK

from ..naive import ADVICE_FLAGS
from .anon_vma_chain import AnonVmaChainReplay

MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK = range(14, 20)

ADVICE = ADVICE_FLAGS | {
    MADV_HUGEPAGE: ({"HUGEPAGE"}, {"NOHUGEPAGE"}),
    MADV_NOHUGEPAGE: ({"NOHUGEPAGE"}, {"HUGEPAGE"}),
    MADV_DONTDUMP: ({"DONTDUMP"}, set()),
    MADV_DODUMP: (set(), {"DONTDUMP"}),
    MADV_WIPEONFORK: ({"WIPEONFORK"}, set()),
    MADV_KEEPONFORK: (set(), {"WIPEONFORK"}),
}
assert {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL} <= set(ADVICE)


def is_fork_child(v):
    """Whether a vma is linked to an anon_vma of an ancestor: its pages may be shared with that."""
    return v is not None and len(v.chain) > 1


class Linux6Replay(AnonVmaChainReplay):
    """Replay under `linux6`."""

    scheme = "linux6"
    known_rules = ()
    reuse_position = None
    sizes: ClassVar = {"i386": None, "x86_64": (24, 96, 64)}
    special = frozenset({"IO", "DONTEXPAND", "PFNMAP", "MIXEDMAP"})
    refuses_spans = False
    advice_flags = ADVICE

    # ---- anon_vmas: a parent each (a root is its own), children, and the vmas whose own it is

    def anon_vma_prepare(self, v):
        if v.anon_vma is not None:
            return
        super().anon_vma_prepare(v)
        if not hasattr(v.anon_vma, "parent"):
            self._begin_anon_vma(v.anon_vma, parent=v.anon_vma)
        v.anon_vma.active_vmas += 1

    @staticmethod
    def _begin_anon_vma(anon_vma, parent):
        anon_vma.parent, anon_vma.children, anon_vma.active_vmas = parent, 0, 0
        anon_vma.root = anon_vma if parent is anon_vma else parent.root
        parent.children += 1

    def anon_vma_link(self, v, original):
        super().anon_vma_link(v, original)
        if v.anon_vma is not None:
            v.anon_vma.active_vmas += 1

    def anon_vma_fork(self, v, original):
        """Like 2.6.34, but the oldest ancestor's anon_vma that is no vma's own and has one child is taken over."""
        v.anon_vma = None
        if original.anon_vma is None:
            return
        self._clone(v, original)
        reusable = [a for a in reversed(original.chain) if a.children < 2 and a.active_vmas == 0]
        if reusable:
            v.anon_vma = reusable[0]
            self.counts["reused"] += 1
        else:
            v.anon_vma = self._allocate_anon_vma(v)
            self._begin_anon_vma(v.anon_vma, parent=original.anon_vma)
            self._link(v, v.anon_vma, 0, None)
        v.anon_vma.active_vmas += 1

    def anon_vma_import(self, importer, exporter):
        if importer.anon_vma is None and exporter.anon_vma is not None:
            super().anon_vma_import(importer, exporter)
            importer.anon_vma.active_vmas += 1

    def anon_vma_moved(self, merged, source):
        self.anon_vma_import(merged, source)

    def anon_vma_unlink(self, v):
        if v.anon_vma is not None:
            v.anon_vma.active_vmas -= 1
        super().anon_vma_unlink(v)

    def anon_vma_emptied(self, anon_vma):
        anon_vma.parent.children -= 1

    # ---- the interval tree: by pgoff, then by when the vma came there

    def borders_changed(self, v):
        for anon_vma in v.chain:
            anon_vma.list.remove(v)
            anon_vma.list.append(v)

    def walk_members(self, page):
        covering = [v for v in page.mapping.list if v.pgoff <= page.index < v.index_of(v.end)]
        return sorted(covering, key=lambda v: v.pgoff)

    def list_length(self, page):
        """Return how many vmas are in the tree, whatever they cover."""
        return len(page.mapping.list)

    def look_up_member(self, page, v):
        vpn = v.start + (page.index - v.pgoff)
        miss, vpn, pte = self._look_up_pte(page, v.mm, vpn)
        return miss, v, vpn, pte

    # ---- pages

    def home_of(self, v, vpn, own):
        return (v.anon_vma if own else v.anon_vma.root), v.index_of(vpn)

    def swapin_is_own(self, alone, write):
        return alone

    # ---- what may merge

    def anon_refusal(self, anon_vma, neighbour, origin):
        if not self.compatible(anon_vma, neighbour.anon_vma):
            return "anon_diff"
        if anon_vma is not None and neighbour.anon_vma is None and is_fork_child(origin):
            return "cloned"
        if anon_vma is None and neighbour.anon_vma is not None and is_fork_child(neighbour):
            return "cloned"
        return None

    # ---- system calls

    def mmap_flags(self, prot, bits):
        flags = super().mmap_flags(prot, bits)
        if bits & MAP_STACK:
            flags.add("NOHUGEPAGE")
        if bits & MAP_NORESERVE:
            flags.add("NORESERVE")
        return flags

    def do_mmap(self, mm, start, end, flags, pgoff, file):
        if file is not None and file.startswith("shm:"):
            pgoff = 0
        super().do_mmap(mm, start, end, flags, pgoff, file)

    def do_brk(self, mm, new, heap_flags):
        """Growth extends the vma that ends at the old break above the heap's start, and no other."""
        if mm.brk is None:
            mm.brk_start = mm.brk = new
        old, mm.brk = mm.brk, new
        if new < old:
            self.do_munmap(mm, new, old)
        elif new > old:
            self.do_munmap(mm, old, new)
            heap = mm.before(old)
            if not (heap and heap.end == old > mm.brk_start and self._extend_heap(heap, new, heap_flags)):
                self._new_vma(mm, old, new, heap_flags, old, None)

    def _extend_heap(self, heap, end, flags):
        start = heap.end
        left = (
            "special"
            if flags & self.special
            else self._side(heap, flags, None, None, heap.index_of(start) == start)
        )
        row = self._merge_row(heap.mm, start, end, 2 if left == "ok" else 0, left, "not_adjacent")
        row["left_new"] = self._is_new(left, None, heap.index_of(start) == start)
        if left == "pgoff_anon":
            row["pgoff_anon_vma"] = "null"
        if left == "ok":
            self.vma_adjust(heap, heap.start, end, heap.pgoff)
        return left == "ok"

    def account(self, v, flags):
        """Charge what becomes writable, give back what was never written."""
        charged = {"ACCOUNT", "WRITE", "SHARED", "HUGETLB", "NORESERVE"}
        if "WRITE" in flags:
            return flags if v.flags & charged else flags | {"ACCOUNT"}
        if v.file is None and "SHARED" not in flags and v.anon_vma is None:
            return flags - {"ACCOUNT"}
        return flags

    def set_advice(self, mm, start, end, add, remove):
        """Skip holes; what changes no flag does nothing."""
        at = start
        v = mm.find_vma(at)
        while v and v.start < end:
            at = max(at, v.start)
            at = self._change_flags(v, at, min(v.end, end), (v.flags - remove) | add).end
            v = mm.find_vma(at)

    def _change_flags(self, v, start, end, flags):
        if flags == v.flags:
            return v
        prev = v if start > v.start else v.mm.before(v.start)
        return self._vma_modify(v, prev, start, end, flags)

    def do_mlock(self, mm, start, end, lock):
        at = start
        while at < end:
            v = mm.vma_at(at)
            if v is None:
                return
            stop = min(v.end, end)
            flags = v.flags | {"LOCKED"} if lock else v.flags - {"LOCKED"}
            if flags != v.flags:
                v = self._change_flags(v, at, stop, flags)
                if lock:
                    self.make_pages_present(v, at, stop)
            at = max(stop, v.end)

    def grow_in_place(self, v, end):
        """The new tail is offered to the vma itself and to what follows."""
        start = v.end
        merged = self.vma_merge(v.mm, v, start, end, v.flags, v.anon_vma, v.file, v.index_of(start))
        assert merged is v

    def left_behind(self, mm, start, end):
        """What a move without unmap leaves is not locked and not charged; all of it: not linked either."""
        for v in [v for v in mm.vmas if v.start < end and v.end > start]:
            v.flags -= {"LOCKED", "ACCOUNT"}
            if v.start == start and v.end == end:
                self.anon_vma_unlink(v)
                v.anon_vma = None

    # ---- checks

    def check_lists(self):
        yield from super().check_lists()
        live = [anon_vma for anon_vma in self.anon_vmas if not anon_vma.freed]
        for anon_vma in live:
            own = sum(v.anon_vma is anon_vma for v in anon_vma.list)
            children = sum(other.parent is anon_vma for other in live)
            if (anon_vma.active_vmas, anon_vma.children) != (own, children):
                yield f"anon_vma {anon_vma.id} counts {anon_vma.active_vmas} vmas, {anon_vma.children} children"
            for v in anon_vma.list:
                if v.anon_vma.root is not anon_vma.root or v.chain[-1] is not anon_vma.root:
                    yield f"vma {v.id} is linked to anon_vmas of several roots"
