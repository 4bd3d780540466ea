"""The slow model's `mremap.c`."""

from __future__ import annotations

from .naive_layout import NaiveLayout


class NaiveMremap(NaiveLayout):
    """What mremap does: mappings grow and shrink in place, or move with their ptes."""

    refuses_spans = True  # a range of several vmas is not moved: only because the recording says so

    def do_mremap(self, mm, old, old_len, new, new_len, dontunmap):
        if new == old:
            self._mremap_in_place(mm, old, old_len, new_len)
            return
        self.do_munmap(mm, new, new + new_len)
        if old_len > new_len:
            self.do_munmap(mm, old + new_len, old + old_len)
            old_len = new_len
        v = mm.vma_at(old)
        if v is None or (new_len > old_len and old + old_len <= v.end and "DONTEXPAND" in v.flags):
            return
        if old + old_len <= v.end:
            self._move_vma(v, old, old_len, new, new_len, dontunmap)
        elif new_len > old_len:
            self.counts["mremap_efault_span"] += 1
        else:
            self.counts["span_forced"] += self.refuses_spans
            self._move_pieces(mm, old, old_len, new, dontunmap)

    def _mremap_in_place(self, mm, old, old_len, new_len):
        if new_len <= old_len:
            self.do_munmap(mm, old + new_len, old + old_len)
            return
        self.do_munmap(mm, old + old_len, old + new_len)
        v = mm.vma_at(old)
        if v is None:
            return
        if old + old_len > v.end:
            self.counts["mremap_efault_span"] += 1
            return
        if "DONTEXPAND" in v.flags:
            return
        assert v.end == old + old_len
        self.grow_in_place(v, old + new_len)
        if "LOCKED" in v.flags:
            self.make_pages_present(v, old + old_len, old + new_len)

    def grow_in_place(self, v, end):
        """Let a vma end further up; nobody asks the neighbour there."""
        self.vma_adjust(v, v.start, end, v.pgoff)

    def _move_pieces(self, mm, old, length, new, dontunmap):
        """Move a range that the kernel would refuse, because the recording says that it moved."""
        at = old
        while at < old + length:
            v = mm.find_vma(at)
            if v is None or v.start >= old + length:
                return
            start, end = max(at, v.start), min(v.end, old + length)
            self._move_vma(v, start, end - start, new + (start - old), end - start, dontunmap)
            at = end

    def _move_vma(self, v, old, old_len, new, new_len, dontunmap):
        mm, anon_vma = v.mm, v.anon_vma
        locked = "LOCKED" in v.flags
        merged = self._copy_vma(v, new, new + new_len, v.index_of(old))
        for vpn in mm.vpns_with_pte(old, old + old_len):
            assert new + (vpn - old) not in mm.ptes
            self.move_pte(mm.vma_at(vpn), vpn, new + (vpn - old))
        if merged:
            self.counts["lossy_moves"] += self._look_for_loss(merged, anon_vma, new, new + old_len)
        if dontunmap:
            self.left_behind(mm, old, old + old_len)
        else:
            self.do_munmap(mm, old, old + old_len)
        if locked and new_len > old_len:
            self.make_pages_present(mm.vma_at(new), new + old_len, new + new_len)

    def left_behind(self, mm, start, end):
        """A move without unmap leaves the old range, empty."""

    def _copy_vma(self, v, start, end, pgoff):
        mm, anon_vma = v.mm, v.anon_vma
        if v.file is None and anon_vma is None:
            pgoff = start
        prev = mm.before(start)
        merged = self.vma_merge(mm, prev, start, end, v.flags, anon_vma, v.file, pgoff, source=v)
        if not merged:
            self._new_vma(mm, start, end, v.flags, pgoff, v.file, v)
            return None
        self.anon_vma_moved(merged, v)
        return merged
