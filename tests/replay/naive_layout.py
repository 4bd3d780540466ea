"""The slow model's `mmap.c`, `mprotect.c`, `madvise.c`, `mlock.c` and `fork.c`."""

from __future__ import annotations

from .naive_files import NaiveFiles
from .naive_objects import RWX, SPECIAL, Mm, Page, PresentPte, SwapPte, Vma


class NaiveLayout(NaiveFiles):
    """What changes the vmas of an mm."""

    special = SPECIAL  # flags that keep a range from merging

    # ---- vmas and mms come and go

    def _new_mm(self, owner, known, parent=None):
        self.counts["mms"] += 1
        mm = Mm(self.counts["mms"], known)
        mm.owner = owner
        self.mms.append(mm)
        self.changed_mms[mm.id] = mm
        self.mm_begins(mm, parent)
        return mm

    def mm_begins(self, mm, parent):
        """A new mm is there, by fork from `parent` or (None) by exec: nothing for rmap 39 to do."""

    def mm_ends(self, mm):
        """An mm has been torn down."""

    def _new_vma(self, mm, start, end, flags, pgoff, file, original=None):
        """Put a new vma into the mm (`vma_link`): a copy of `original`, or one without an anon_vma."""
        assert start < end
        self.counts["vmas"] += 1
        self.counts["vmas_live"] += 1
        anon_vma = original.anon_vma if original else None
        v = Vma(self.counts["vmas"], mm, start, end, flags, pgoff, file, anon_vma)
        mm.insert(v)
        if original and original.mm is mm:
            self.anon_vma_link(v, original)
        elif original:
            self.anon_vma_fork(v, original)
        return v

    def _detach(self, v):
        v.mm.vmas.remove(v)
        self.counts["vmas_live"] -= 1

    def drop_mm(self, mm):
        """Give up one use of an mm; the last one tears it down (`exit_mmap`)."""
        self.changed_mms[mm.id] = mm
        mm.users -= 1
        if mm.users:
            return
        for v in mm.vmas:
            self.zap(mm, v.start, v.end)
        assert not mm.ptes and mm.rss == 0
        for v in list(mm.vmas):
            self._detach(v)
            self.anon_vma_unlink(v)
        self.mms.remove(mm)
        self.mm_ends(mm)

    def dup_mmap(self, parent, child_process):
        mm = self._new_mm(child_process, parent.known, parent)
        mm.brk_start, mm.brk = parent.brk_start, parent.brk
        for v in parent.vmas:
            if "DONTCOPY" not in v.flags:
                flags = v.flags - {"LOCKED"}
                copy = self._new_vma(mm, v.start, v.end, flags, v.pgoff, v.file, v)
                self.copy_ptes(v, copy)
        return mm

    # ---- split and adjust

    def split_vma(self, v, vpn, new_below):
        assert v.start < vpn < v.end
        self.counts["splits"] += 1
        start, end, pgoff = v.start, v.end, v.pgoff
        if new_below:
            v.start, v.pgoff = vpn, pgoff + (vpn - start)
            self._new_vma(v.mm, start, vpn, v.flags, pgoff, v.file, v)
        else:
            v.end = vpn
            self._new_vma(v.mm, vpn, end, v.flags, pgoff + (vpn - start), v.file, v)
        self.borders_changed(v)

    def vma_adjust(self, v, start, end, pgoff):
        """Change the borders of `v`; vmas behind it shrink, grow or vanish accordingly."""
        mm, wanted = v.mm, end
        while True:
            following = mm.after(v)
            end, adjust_next, removed = wanted, 0, False
            if following and wanted >= following.end:
                end, removed = following.end, True
            elif following and (wanted < v.end or wanted > following.start):
                assert v.end == following.start
                adjust_next = wanted - following.start
            if adjust_next:
                grows, shrinks = (v, following) if adjust_next > 0 else (following, v)
                self.anon_vma_shift(grows, shrinks)
            if removed:
                self.anon_vma_absorb(v, following)
            v.start, v.end, v.pgoff = start, end, pgoff
            self.borders_changed(v)
            if adjust_next:
                following.start += adjust_next
                following.pgoff += adjust_next
                self.borders_changed(following)
            if removed:
                self._detach(following)
                if following.anon_vma is not None:
                    self.anon_vma_merge(v, following)
            if not (removed and wanted > end):  # case 6 goes round a second time
                return

    # ---- merging

    def vma_merge(
        self, mm, prev, addr, end, flags, anon_vma, file, pgoff, *, middle=None, source=None, counted=True
    ):
        """Try to cover [addr, end) with a neighbour; return the vma that now does, or None.

        `middle`: the vma that holds the range. `source`: the vma that a move copies. `counted`: whether it is an
        attempt in the sense of `merges`.
        """
        area = mm.after(prev)
        following = area
        exact = area is not None and area.end == end
        if exact:
            following = mm.after(area)
        below = prev if prev and prev.end == addr else None
        above = following if following and following.start == end else None
        left_fits = below is not None and below.pgoff + (below.end - below.start) == pgoff
        right_fits = above is not None and above.pgoff == pgoff + (end - addr)
        if flags & self.special:
            left = right = "special"
        else:
            origin = middle or source
            left = self._side(below, flags, anon_vma, file, left_fits, origin)
            right = self._side(above, flags, anon_vma, file, right_fits, origin)
            if left == right == "ok" and not self.compatible(below.anon_vma, above.anon_vma):
                right = "prev_next"

        case, survivor = 0, None
        if left == "ok":
            survivor = prev
            if right == "ok":
                case = 6 if exact else 1
                self.vma_adjust(prev, prev.start, above.end, prev.pgoff)
            else:
                case = 7 if exact else 5 if area and area.start < end else 2
                self.vma_adjust(prev, prev.start, end, prev.pgoff)
        elif right == "ok":
            survivor = area
            if prev and addr < prev.end:
                case = 4
                self.vma_adjust(prev, prev.start, addr, prev.pgoff)
            else:
                case = 8 if exact else 3
                self.vma_adjust(area, addr, above.end, above.pgoff - (end - addr))
        if counted:
            row = self._merge_row(mm, addr, end, case, left, right)
            row["left_new"] = self._is_new(left, file, left_fits)
            row["right_new"] = self._is_new(right, file, right_fits)
            if left == "pgoff_anon" or right == "pgoff_anon":
                neighbour = below if left == "pgoff_anon" else above
                same = anon_vma is not None and anon_vma is neighbour.anon_vma
                row["pgoff_anon_vma"] = "same" if same else "null"
            row["self"] = source is not None and left != "special" and source in (below, above)
        return survivor

    def _side(self, neighbour, flags, anon_vma, file, fits, origin=None):
        """Return "ok" or the first reason why the range cannot join this neighbour.

        `origin`: the vma that holds the range or that a move copies, if any.
        """
        if neighbour is None:
            return "not_adjacent"
        if neighbour.policy is not None:
            return "policy"
        if neighbour.flags != flags:
            return "flags"
        if neighbour.file != file:
            return "file"
        if neighbour.close_op:
            return "close_op"
        reason = self.anon_refusal(anon_vma, neighbour, origin)
        if reason:
            return reason
        if not fits and file is not None:
            return "pgoff_file"
        if not fits and not self.merges_like_before:
            return "pgoff_anon"
        return "ok"

    def find_mergeable_anon_vma(self, v):
        """Return the anon_vma of a neighbour that mprotect might make one with `v`, or None (rmap 40)."""
        following, before = v.mm.after(v), v.mm.before(v.start)
        above = following if following and following.start == v.end else None
        below = before if before and before.end == v.start else None
        for near, fits in (
            (above, above and above.pgoff == v.index_of(v.end)),
            (below, below and below.index_of(below.end) == v.pgoff),
        ):
            if near and near.anon_vma is not None:
                flags = (v.flags - set(RWX)) | (near.flags & set(RWX))
                if self._side(near, flags, None, v.file, fits) == "ok":
                    return near.anon_vma
        return None

    @staticmethod
    def _is_new(reason, file, fits):
        """Whether the rules before rmap 39 would have accepted the refused side."""
        if reason in ("anon_diff", "cloned"):
            return file is None or fits
        return reason in ("pgoff_anon", "prev_next")

    def _merge_row(self, mm, addr, end, case, left, right):
        row = {
            "event": self.event,
            "ts": self.ts,
            "pid": mm.owner.pid,
            "op": self.op,
            "addr": addr << 12,
            "len": (end - addr) << 12,
            "case": case,
            "left": left,
            "right": right,
            "left_new": False,
            "right_new": False,
            "pgoff_anon_vma": None,
            "self": False,
        }
        self.merges.append(row)
        mm.owner.merges += case > 0
        mm.owner.refusals += (left not in ("ok", "not_adjacent")) + (right not in ("ok", "not_adjacent"))
        return row

    # ---- system calls, in pages

    def do_mmap(self, mm, start, end, flags, pgoff, file):
        """Map the range; `file` None means anonymous and private, whose pgoff is its address."""
        self.do_munmap(mm, start, end)
        if file is None:
            pgoff = start
        mergeable = file is None or not file.startswith("shm:")
        if not (mergeable and self.vma_merge(mm, mm.before(start), start, end, flags, None, file, pgoff)):
            self._new_vma(mm, start, end, flags, pgoff, file)
        if "LOCKED" in flags:
            self.make_pages_present(mm.vma_at(start), start, end)

    def do_munmap(self, mm, start, end):
        v = mm.find_vma(start)
        if start >= end or v is None or v.start >= end:
            return
        if start > v.start:
            self.split_vma(v, start, new_below=False)
        last = mm.find_vma(end)
        if last and last.start < end:
            self.split_vma(last, end, new_below=True)
        dying = [v for v in mm.vmas if start <= v.start and v.end <= end]
        self.zap(mm, start, end)
        for v in dying:
            self._detach(v)
            self.anon_vma_unlink(v)

    def do_mprotect(self, mm, start, end, prot):
        v = mm.vma_at(start)
        if v is None:
            return
        prev = v if start > v.start else mm.before(v.start)
        at = start
        while True:
            stop = min(v.end, end)
            prev = self._mprotect_fixup(v, prev, at, stop, prot)
            at = max(stop, prev.end)
            v = mm.after(prev)
            if at >= end or v is None or v.start != at:
                return

    def _mprotect_fixup(self, v, prev, start, end, prot):
        """Change one vma's part of the range; return the vma that holds it then."""
        flags = (v.flags - set(RWX)) | prot
        if flags == v.flags:
            return v
        v = self._vma_modify(v, prev, start, end, self.account(v, flags))
        self._change_protection(v, start, end)
        return v

    def account(self, v, flags):
        """Return the flags that a vma gets when mprotect asks for `flags`."""
        charged = {"ACCOUNT", "WRITE", "SHARED", "HUGETLB"}
        return flags | {"ACCOUNT"} if "WRITE" in flags and not v.flags & charged else flags

    def _vma_modify(self, v, prev, start, end, flags):
        """Give a part of `v` other flags, by merging or by splitting; return the vma that holds it then."""
        anon_vma, pgoff = v.anon_vma, v.index_of(start)
        merged = self.vma_merge(v.mm, prev, start, end, flags, anon_vma, v.file, pgoff, middle=v)
        if merged:
            self._look_for_loss(merged, anon_vma, start, end)
            v = merged
        else:
            self._isolate(v, start, end)
        v.flags = flags
        return v

    def _look_for_loss(self, merged, anon_vma, start, end):
        """Count merges that gave pages of an anon_vma to a vma without: the defects D1 and D2."""
        lossy = merged.anon_vma is None and anon_vma is not None
        self.counts["lossy_merges"] += lossy
        for vpn in merged.mm.vpns_with_pte(start, end) if lossy else ():
            pte = merged.mm.ptes[vpn]
            anonymous = isinstance(pte, PresentPte) and isinstance(pte.page, Page)
            self.counts["ptes_lost"] += anonymous or isinstance(pte, SwapPte)
        return lossy

    def _isolate(self, v, start, end):
        """Split `v` so that it is exactly [start, end): the lower border first."""
        if start != v.start:
            self.split_vma(v, start, new_below=True)
        if end != v.end:
            self.split_vma(v, end, new_below=False)

    @staticmethod
    def _change_protection(v, start, end):
        for vpn in v.mm.vpns_with_pte(start, end):
            pte = v.mm.ptes[vpn]
            if isinstance(pte, PresentPte):
                pte.writable = "SHARED" in v.flags and "WRITE" in v.flags

    def do_brk(self, mm, new, heap_flags):
        """The break after the call is `new`; the first one known fixes where the heap starts."""
        if mm.brk is None:
            mm.brk_start = mm.brk = new
        old, mm.brk = mm.brk, new
        if new > old:
            self.do_mmap(mm, old, new, heap_flags, None, None)
        elif new < old:
            self.do_munmap(mm, new, old)

    def set_advice(self, mm, start, end, add, remove):
        """madvise that acts on flags: it always splits, never merges, and skips holes."""
        for v in [v for v in mm.vmas if v.start < end and v.end > start]:
            self._isolate(v, max(v.start, start), min(v.end, end))
            v.flags = (v.flags - remove) | add

    def do_dontneed(self, mm, start, end):
        for v in mm.vmas:
            if v.start < end and v.end > start:
                if "LOCKED" in v.flags:
                    return
                self.zap(mm, max(v.start, start), min(v.end, end))

    def do_mlock(self, mm, start, end, lock):
        """mlock and munlock: a hole stops them, a vma that is so already is left alone."""
        at = start
        while at < end:
            v = mm.vma_at(at)
            if v is None:
                return
            stop = min(v.end, end)
            if ("LOCKED" in v.flags) != lock:
                self._isolate(v, at, stop)
                v.flags = v.flags | {"LOCKED"} if lock else v.flags - {"LOCKED"}
                if lock:
                    self.make_pages_present(v, at, stop)
            at = stop

    def expand_stack(self, v, vpn):
        self.anon_vma_prepare(v)
        grow = v.start - vpn
        v.start, v.pgoff = vpn, v.pgoff - grow
        self.borders_changed(v)
