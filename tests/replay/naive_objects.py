"""The objects of the slow model: plain Python, one class for each thing the kernel has.

Addresses are page numbers, ranges are half open. Nothing here does any work; `naive.py` does.
"""

from __future__ import annotations

RWX = {"READ": 1, "WRITE": 2, "EXEC": 4}
"""Names of the protection bits of a vma's flags and their values in the `prot` column."""

FLAG_ORDER = (
    "SHARED",
    "GROWSDOWN",
    "LOCKED",
    "SEQ_READ",
    "RAND_READ",
    "DONTCOPY",
    "DONTEXPAND",
    "ACCOUNT",
    "NORESERVE",
    "HUGEPAGE",
    "NOHUGEPAGE",
    "DONTDUMP",
    "WIPEONFORK",
    "UNKNOWN_ORIGIN",
)
"""The other flags of a vma, in the order in which they are told.

Those behind ACCOUNT are of today; UNKNOWN_ORIGIN marks an invented vma.
"""

RULES = ("fix_propagate", "propagate_all", "fix_move_merge", "rmap40", "merge_pre_rmap39")
"""The switches of the scheme: later fixes, and the rules for merging as they were before rmap 39."""

SPECIAL = frozenset({"IO", "DONTCOPY", "DONTEXPAND", "RESERVED"})
"""Flags that keep a vma from ever merging."""


class Process:
    """One life of a pid, with the figures of its row in `processes`."""

    def __init__(self, pid, mm, parent, event):
        self.pid, self.mm, self.parent = pid, mm, parent
        self.comm = None
        self.first_event = self.last_event = event
        self.vmas_peak = self.faults = self.cow_copies = self.merges = self.refusals = self.walks_caused = 0
        self.tainted = self.uncertain = False  # a loss may concern it; and its address space as it is now
        self.anon_vmas = set()  # ids of all that a vma of its mms was ever linked to


class Mm:
    """An address space. `owner` is the process that created it, even when that is gone."""

    def __init__(self, mm_id, known):
        self.id, self.known = mm_id, known
        self.owner = None
        self.users = 1
        self.vmas = []  # ascending, disjoint
        self.ptes = {}  # page number -> PresentPte | SwapPte | ZeroPte
        self.rss = 0
        self.brk_start = self.brk = None
        self.spans = {}  # vma id -> (event since which it is so, its state): open rows of `vma_spans`

    def find_vma(self, vpn):
        """Return the first vma that ends above `vpn`, or None; it need not contain `vpn`."""
        return next((v for v in self.vmas if v.end > vpn), None)

    def vma_at(self, vpn):
        """Return the vma that contains `vpn`, or None."""
        v = self.find_vma(vpn)
        return v if v and v.start <= vpn else None

    def after(self, v):
        """Return the vma behind `v`, the first one if `v` is None, or None."""
        i = self.vmas.index(v) + 1 if v else 0
        return self.vmas[i] if i < len(self.vmas) else None

    def before(self, vpn):
        """Return the last vma that ends at or below `vpn`, or None."""
        return next((v for v in reversed(self.vmas) if v.end <= vpn), None)

    def insert(self, v):
        """Put `v` in its place among the vmas."""
        self.vmas.append(v)
        self.vmas.sort(key=lambda other: other.start)

    def vpns_with_pte(self, start, end):
        """Return the pages of the range that have any pte, ascending."""
        return sorted(vpn for vpn in self.ptes if start <= vpn < end)


class Vma:
    """A mapping. `flags` is a frozenset of names, replaced and never changed in place."""

    policy = None  # tested by vma_merge; no event sets it
    close_op = False  # likewise

    def __init__(self, vma_id, mm, start, end, flags, pgoff, file, anon_vma):
        self.id, self.mm = vma_id, mm
        self.start, self.end, self.flags = start, end, frozenset(flags)
        self.pgoff, self.file, self.anon_vma = pgoff, file, anon_vma
        self.chain = []  # under anon_vma_chain and linux6: the anon_vmas it is linked to, newest first
        self.slide = pgoff - start  # of the vma as made; must never change (I6)

    @property
    def prot(self):
        return sum(bit for name, bit in RWX.items() if name in self.flags)

    @property
    def flags_text(self):
        return "|".join(name for name in FLAG_ORDER if name in self.flags)

    def index_of(self, vpn):
        """Return the `page->index` that a page of this vma has at `vpn`."""
        return self.pgoff + (vpn - self.start)

    def state(self):
        """Return everything that a row of `vma_spans` tells of it."""
        anon_vma = self.anon_vma.id if self.anon_vma else None
        return (self.start, self.end, self.flags_text, self.prot, self.pgoff, self.file, anon_vma)


class AnonVma:
    """A list of vmas, head first, with the figures of its row in `anon_vmas`."""

    def __init__(self, anon_vma_id, event, ts, op, pid):
        self.id = anon_vma_id
        self.list = []
        self.allocated_event, self.allocated_ts, self.allocated_by, self.pid = event, ts, op, pid
        self.freed_event = self.freed_ts = None
        self.n_pages = self.peak_vmas = self.peak_pages = self.walks = self.vmas_visited = 0
        self.pages_ever = set()  # page ids
        self.vmas_of, self.ptes_of = {}, {}  # Process -> vmas on the list, ptes holding its pages
        self.vmas_peak_of, self.ptes_peak_of = {}, {}

    @property
    def freed(self):
        return self.freed_event is not None


class Page:
    """An anonymous page; `anon`, `mapping` and `index` mean something only while mapcount > 0."""

    def __init__(self, page_id):
        self.id = page_id
        self.mapcount = 0
        self.anon, self.mapping, self.index = False, None, None
        self.referenced = self.active = self.dirty = False
        self.entries, self.chained = (
            [],
            False,
        )  # under pte_chain: (mm, page number) of its ptes; has it blocks?
        self.slot = None  # set while it is in the swap cache
        self.freed = False
        self.first_process = self.first_vpn = None  # the first mapping of all


class FilePage:
    """A page of the page cache, as far as it is mapped."""

    def __init__(self, file, pgoff, first_process, first_vpn):
        self.file, self.pgoff = file, pgoff
        self.mapcount = 0
        self.first_process, self.first_vpn = first_process, first_vpn


class Slot:
    """A swap slot: `map` counts the swap cache (once) and the ptes that name it."""

    def __init__(self, slot_id):
        self.id = slot_id
        self.map = 0
        self.cache = None


class PresentPte:
    def __init__(self, page, writable, young, dirty):
        self.page, self.writable, self.young, self.dirty = page, writable, young, dirty


class SwapPte:
    def __init__(self, slot):
        self.slot = slot


class ZeroPte:
    """The shared zero page: no rss, no mapcount, never found by a walk."""

    def __init__(self, young=True):
        self.young = young


class KernelBug(Exception):
    """The kernel would have stopped with BUG: the event is left out as a whole."""

    def __init__(self, name):
        super().__init__(name)
        self.name = name
