"""The scheme `pte_chain` (2.5, 2.6.0 to 2.6.6): every page knows the ptes that map it.

A page with one mapping points at the pte itself; with more, at a chain of blocks. Free places are only in the first
block, which is filled from its last place down, so that the entries of a chain, first block first, are simply the
newest first. Blocks are told by arithmetic: the number of entries decides it, for any size of block.
"""

from __future__ import annotations

from collections import Counter

from ..naive_checks import anon_ptes
from ..naive_objects import Page, PresentPte
from ..naive_results import NaiveResults
from .before_rmap39 import BeforeRmap39

WORDS = {"i386": 4, "x86_64": 8}
"""Bytes of a pointer, and of an entry of a block."""

LINES = {"i386": 128, "x86_64": 64}
"""Bytes of a block: a cache line."""


class PteChainReplay(BeforeRmap39):
    """Replay under `pte_chain`.

    Parameters
    ----------
    pte_chain_line : int, optional
        Bytes of a block on either machine, in place of `LINES`.
    """

    unmap_tests_young = False

    def __init__(self, *args, pte_chain_line=None, **options):
        super().__init__(*args, **options)
        lines = {machine: pte_chain_line or size for machine, size in LINES.items()}
        self.lines = lines
        self.entries_per_block = {
            machine: (lines[machine] - WORDS[machine]) // WORDS[machine] for machine in lines
        }
        self.blocks, self.blocks_allocated, self.blocks_peak = Counter(), Counter(), Counter()

    # ---- a page's entries: (mm, page number), newest first

    def _chain_changed(self, before, after):
        """Count the blocks that a chain has after a change of its number of entries."""
        for machine, n in self.entries_per_block.items():
            change = -(-after // n) - -(-before // n)
            self.blocks[machine] += change
            if change > 0:
                self.blocks_allocated[machine] += change
                self.counts["fork_objects"] += change if self.op == "fork" and machine == "i386" else 0

    def _add_entry(self, page, mm, vpn):
        page.entries.insert(0, (mm, vpn))
        self.counts["rmap_adds"] += 1
        self.counts["fork_insertions"] += self.op == "fork"
        n = len(page.entries)
        if page.chained:
            self._chain_changed(n - 1, n)
        elif n == 2:
            page.chained = True  # a chain with both
            self._chain_changed(0, 2)

    def _take_entry(self, page, at):
        """Remove an entry; the first one takes its place."""
        n = len(page.entries)
        page.entries[at] = page.entries[0]
        del page.entries[0]
        if page.chained:
            self._chain_changed(n, n - 1)
            page.chained = n > 1  # the last block is freed, but a chain of one entry stays a chain

    def page_add_anon_rmap(self, page, v, vpn, own=True):
        super().page_add_anon_rmap(page, v, vpn, own)
        self._add_entry(page, v.mm, vpn)

    def page_dup_rmap(self, page, mm, vpn):
        super().page_dup_rmap(page, mm, vpn)
        self._add_entry(page, mm, vpn)

    def page_remove_rmap(self, page, mm, vpn):
        at = page.entries.index((mm, vpn))
        if not self.unmapping:
            self.counts["rmap_removes"] += 1
            self.counts["rmap_remove_steps"] += at + 1
        self._take_entry(page, at)
        super().page_remove_rmap(page, mm, vpn)

    def home_of(self, v, vpn, own):
        return None, None

    def index_at(self, v, vpn):
        return None

    def move_pte(self, v, old, new):
        pte = v.mm.ptes[old]
        if isinstance(pte, PresentPte) and isinstance(pte.page, Page):
            page = pte.page
            at = page.entries.index((v.mm, old))
            self.counts["rmap_removes"] += 1
            self.counts["rmap_remove_steps"] += at + 1
            self._take_entry(page, at)
            self._add_entry(page, v.mm, new)
        super().move_pte(v, old, new)

    # ---- walks

    unmapping = False

    def walk_members(self, page):
        return list(page.entries)

    def look_up_member(self, page, entry):
        mm, vpn = entry
        miss, vpn, pte = self._look_up_pte(page, mm, vpn)
        assert not miss, "an entry names a pte that does not map the page"
        return None, mm.vma_at(vpn), vpn, pte

    def page_referenced(self, page):
        ref = super().page_referenced(page)
        if page.mapcount == 1 and page.chained:
            page.chained = False  # direct again
            self._chain_changed(1, 0)
        return ref

    def try_to_unmap(self, page, recorded=False):
        self.unmapping = True  # the walk has the entry at hand: nothing is searched
        result = super().try_to_unmap(page, recorded)
        self.unmapping = False
        return result

    # ---- figures and checks

    def overhead_bytes(self):
        return {machine: self.blocks[machine] * size for machine, size in self.lines.items()}

    def _finish_event(self):
        super()._finish_event()
        for machine in self.blocks:
            self.blocks_peak[machine] = max(self.blocks_peak[machine], self.blocks[machine])

    def is_reachable(self, mm, vpn, page):
        return (mm, vpn) in page.entries

    def check_lists(self):
        mapped = Counter((mm, vpn, page.id) for mm, vpn, page in anon_ptes(self))
        named = Counter((mm, vpn, page.id) for page in self.pages.values() for mm, vpn in page.entries)
        if mapped != named:
            yield f"pte_chain: ptes {mapped - named} are not named, {named - mapped} are wrongly"
        for machine, n in self.entries_per_block.items():
            blocks = sum(-(-len(page.entries) // n) for page in self.pages.values() if page.chained)
            if blocks != self.blocks[machine]:
                yield f"pte_chain: {self.blocks[machine]} blocks counted, {blocks} there"

    def summary(self):
        summary = NaiveResults.summary(self)
        summary["scheme"] = "pte_chain"
        return summary
