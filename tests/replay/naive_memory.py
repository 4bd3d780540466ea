"""The slow model's `mm/memory.c`, `mm/swapfile.c` and `mm/vmscan.c`: ptes, faults, swap and reclaim."""

from __future__ import annotations

from .naive_objects import FilePage, Page, PresentPte, Slot, SwapPte, ZeroPte
from .naive_rmap import NaiveRmap


class NaiveMemory(NaiveRmap):
    """What happens to pages and ptes inside vmas that stand."""

    instant_free = True

    # ---- pages and slots come and go

    def _new_page(self, referenced=False):
        self.counts["pages"] += 1
        page = Page(self.counts["pages"])
        self.pages[page.id] = page
        page.active, page.referenced = True, referenced
        self.active.insert(0, page)
        return page

    def _free_page(self, page):
        assert page.mapcount == 0 and page.slot is None and not page.freed
        (self.active if page.active else self.inactive).remove(page)
        del self.pages[page.id]
        page.freed = True
        self.counts["pages_freed"] += 1

    def _add_to_swap(self, page):
        self.counts["slots"] += 1
        slot = Slot(self.counts["slots"])
        self.slots[slot.id] = slot
        self._cache(page, slot)
        page.dirty = True

    @staticmethod
    def _cache(page, slot):
        page.slot, slot.cache = slot, page
        slot.map += 1

    def _leave_swap_cache(self, page):
        slot = page.slot
        page.slot = slot.cache = None
        self._drop_slot(slot)

    def _drop_slot(self, slot):
        """Give up one use of a slot."""
        slot.map -= 1
        assert slot.map >= 0
        if slot.map == 0:
            assert slot.cache is None
            del self.slots[slot.id]

    def _free_if_unused(self, page):
        """Free a page that nothing maps, with its slot if only the swap cache holds that."""
        if page.mapcount:
            return
        if page.slot is not None:
            if page.slot.map > 1:
                return
            self._leave_swap_cache(page)
        self._free_page(page)

    # ---- mapping and unmapping

    def _map_file_page(self, mm, vpn, file, pgoff, writable, dirty):
        page = self.file_pages.setdefault((file, pgoff), FilePage(file, pgoff, mm.owner, vpn))
        page.mapcount += 1
        mm.rss += 1
        mm.ptes[vpn] = PresentPte(page, writable, True, dirty)

    def _unmap_file_page(self, page):
        assert page.mapcount > 0
        page.mapcount -= 1
        if page.mapcount == 0:
            del self.file_pages[page.file, page.pgoff]

    def _map_new_page(self, v, vpn, referenced=False):
        page = self._new_page(referenced)
        v.mm.ptes[vpn] = PresentPte(page, True, True, True)
        self.page_add_anon_rmap(page, v, vpn)
        return page

    def zap(self, mm, start, end):
        for vpn in mm.vpns_with_pte(start, end):
            pte = mm.ptes.pop(vpn)
            if isinstance(pte, SwapPte):
                slot = pte.slot
                self._drop_slot(slot)
                if slot.map == 1 and slot.cache is not None:
                    self._free_if_unused(slot.cache)
            elif isinstance(pte, PresentPte):
                mm.rss -= 1
                if isinstance(pte.page, FilePage):
                    self._unmap_file_page(pte.page)
                else:
                    pte.page.dirty |= pte.dirty
                    self.page_remove_rmap(pte.page, mm, vpn)
                    self._free_if_unused(pte.page)

    def copy_ptes(self, source, target):
        """Fork: give the vma `target` of the child what the vma `source` of the parent maps."""
        shared = "SHARED" in source.flags
        for vpn in source.mm.vpns_with_pte(source.start, source.end):
            pte = source.mm.ptes[vpn]
            if isinstance(pte, ZeroPte):
                copy = ZeroPte(pte.young)
            elif isinstance(pte, SwapPte):
                pte.slot.map += 1
                copy = SwapPte(pte.slot)
            else:
                if not shared:
                    pte.writable = False
                copy = PresentPte(pte.page, pte.writable, young=False, dirty=pte.dirty and not shared)
                target.mm.rss += 1
                if isinstance(pte.page, FilePage):
                    pte.page.mapcount += 1
                else:
                    self.page_dup_rmap(pte.page, target.mm, vpn)
            target.mm.ptes[vpn] = copy

    def move_pte(self, v, old, new):
        """Move what a pte of `v` holds to a new address."""
        v.mm.ptes[new] = v.mm.ptes.pop(old)

    # ---- faults; the vma's permissions allow the access

    def handle_fault(self, v, vpn, write):
        pte = v.mm.ptes.get(vpn)
        if pte is None and v.file is None:
            self._do_anonymous_page(v, vpn, write)
        elif pte is None:
            self._do_no_page(v, vpn, write)
        elif isinstance(pte, SwapPte):
            self._do_swap_page(v, vpn, pte.slot, write)
        elif not write:
            pte.young = True
        elif isinstance(pte, PresentPte) and (pte.writable or "SHARED" in v.flags):
            pte.writable = pte.dirty = pte.young = True
        else:
            self._do_wp_page(v, vpn, pte)

    def _do_anonymous_page(self, v, vpn, write):
        if not write:
            v.mm.ptes[vpn] = ZeroPte()
            return
        self.anon_vma_prepare(v)
        self._map_new_page(v, vpn, referenced=True)
        v.mm.rss += 1

    def _do_no_page(self, v, vpn, write):
        if "SHARED" in v.flags:
            self._map_file_page(v.mm, vpn, v.file, v.index_of(vpn), "WRITE" in v.flags, write)
        elif not write:
            self._map_file_page(v.mm, vpn, v.file, v.index_of(vpn), False, False)
        else:
            self.anon_vma_prepare(v)
            self._map_new_page(v, vpn)
            v.mm.rss += 1
            self.counts["early_copies"] += 1

    def _do_wp_page(self, v, vpn, pte):
        """Write to a page of a private vma that must not be written: take it over or copy it."""
        if isinstance(pte, PresentPte) and isinstance(pte.page, Page) and self._exclusive(pte.page):
            pte.writable = pte.dirty = pte.young = True
            self.counts["cow_reuses"] += 1
            self.page_reused(pte.page, v)
            return
        if isinstance(pte, ZeroPte):
            self.counts["zero_copies"] += 1
        else:
            self.counts["cow_copies"] += 1
            v.mm.owner.cow_copies += 1
        self._break_cow(v, vpn, pte)

    def _break_cow(self, v, vpn, pte):
        """Put a new page in the place of what `pte` holds."""
        self.anon_vma_prepare(v)
        v.mm.rss += isinstance(pte, ZeroPte)
        self._map_new_page(v, vpn)
        if isinstance(pte, PresentPte):
            if isinstance(pte.page, FilePage):
                self._unmap_file_page(pte.page)
            else:
                self.page_remove_rmap(pte.page, v.mm, vpn)
                # If this was the last mapping, then swap ptes keep the cached page: else it was exclusive.
                assert pte.page.mapcount > 0 or pte.page.slot.map > 1

    @staticmethod
    def _exclusive(page):
        return page.mapcount == 1 and (page.slot is None or page.slot.map == 1)

    def _do_swap_page(self, v, vpn, slot, write):
        if self.merges_like_before:
            self.anon_vma_prepare(v)  # a merge that no one asked about anon_vmas may have left it without
        self.check_page_add_anon_rmap(slot.cache, v, vpn)  # before anything changes
        page = slot.cache
        if page is None:
            page = self._new_page()
            self._cache(page, slot)
            self.counts["swapped_in"] += 1
        page.referenced = True
        self._drop_slot(slot)
        v.mm.rss += 1
        pte = v.mm.ptes[vpn] = PresentPte(page, writable=False, young=True, dirty=False)
        alone = page.mapcount == 0 and slot.map == 1
        if write and alone:
            pte.writable = pte.dirty = True
        self.page_add_anon_rmap(page, v, vpn, own=self.swapin_is_own(alone, write))
        if write and not pte.writable:
            self._do_wp_page(v, vpn, pte)
        elif not write:
            self.page_swapped_in(v, vpn, pte)

    def swapin_is_own(self, alone, write):
        """Whether a page from swap counts as the vma's own; `alone`: nothing else has it or can get it."""
        return alone and write

    def page_swapped_in(self, v, vpn, pte):
        """A read brought a page back from swap."""

    def make_pages_present(self, v, start, end):
        """Populate a locked range inside one vma."""
        if not v.prot:
            return
        write = "WRITE" in v.flags
        for vpn in range(start, end):
            pte = v.mm.ptes.get(vpn)
            if isinstance(pte, ZeroPte) and not write:
                continue
            if isinstance(pte, PresentPte) and (pte.writable or not write):
                continue
            self.handle_fault(v, vpn, write)

    # ---- reclaim

    def shrink_named(self, page):
        """`reclaim` of one named page: no list and no active flag changes, unless the page is freed."""
        self._shrink(page)

    def unmap_named(self, page, recorded):
        """`try_unmap` and `swap_out` of one named page."""
        if page.slot is None:
            self._add_to_swap(page)
        if self.try_to_unmap(page, recorded) == "success":
            self._write_and_free(page)

    def scan(self, n):
        """Let reclaim look at `n` pages of each list, from the tail."""
        for _ in range(min(n, len(self.active))):
            page = self.active.pop()
            page.active = page.mapcount > 0 and self.page_referenced(page) > 0
            (self.active if page.active else self.inactive).insert(0, page)
        for _ in range(min(n, len(self.inactive))):
            page = self.inactive[-1]
            result = self._shrink(page)
            if result == "freed":
                continue
            assert self.inactive.pop() is page
            if result == "activated":
                page.active, page.referenced = True, False
                self.active.insert(0, page)
            elif result == "again":
                self.inactive.insert(0, page)
            else:
                self.inactive.append(page)  # written: the next visit frees it

    def _shrink(self, page):
        """Section 4.4: return "activated", "again", "written" or "freed"."""
        self.counts["reclaimed"] += 1
        if self.page_referenced(page) > 0:
            self.counts["activated"] += 1
            return "activated"
        if page.slot is None:
            self._add_to_swap(page)
        if page.mapcount:
            result = self.try_to_unmap(page)
            if result == "fail":
                self.counts["activated"] += 1
                return "activated"
            if result == "again":
                return "again"
        return self._write_and_free(page)

    def _write_and_free(self, page):
        if page.dirty:
            page.dirty = False
            self.counts["swapped_out"] += 1
            if not self.instant_free:
                return "written"
        assert page.mapcount == 0
        self._leave_swap_cache(page)
        self._free_page(page)
        return "freed"
