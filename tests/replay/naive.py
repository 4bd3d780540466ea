"""`NaiveReplay`: a second, slow implementation of the replay, to compare the compiled core with.

Plain objects, lists and dicts, written from the specification of the operations and the notes on it
(docs/semantics-notes.md), never from the core. Bottom up:

    naive_objects   what there is: mm, vma, anon_vma, page, slot, pte
    naive_rmap      anon_vma lists, mappings of pages, walks; the state of the replay
    naive_memory    ptes, faults, swap, reclaim
    naive_files     walks and reclaim of file pages
    naive_layout    merge, split, munmap, mprotect, fork
    naive_mremap    mremap
    naive           rows of the event table become calls of these
    naive_results   state, summary and result tables, told from the state
    naive_checks    the invariants
"""

from __future__ import annotations

import copy
import sys

from anonvma_trace.events import (
    CLONE_VM,
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_NORMAL,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_TYPE,
    MREMAP_DONTUNMAP,
    TraceMetadata,
)

from .naive_checks import findings, violations
from .naive_mremap import NaiveMremap
from .naive_objects import RULES, RWX, KernelBug, Page, PresentPte, Process, SwapPte
from .naive_results import NaiveResults

END_OF_MEMORY = 1 << 52  # pages

SHARED_TYPES = (1, 3)  # MAP_SHARED, MAP_SHARED_VALIDATE

ADVICE_FLAGS = {  # advice -> flags it sets, flags it clears
    MADV_NORMAL: (set(), {"SEQ_READ", "RAND_READ"}),
    MADV_RANDOM: ({"RAND_READ"}, {"SEQ_READ"}),
    MADV_SEQUENTIAL: ({"SEQ_READ"}, {"RAND_READ"}),
    MADV_DONTFORK: ({"DONTCOPY"}, set()),
    MADV_DOFORK: (set(), {"DONTCOPY"}),
}

# Only ever appended to, and never by an event that may have to be undone.
LOGS = ("merges", "walks", "file_walks", "bugs", "closed_spans")


def page_range(addr, length):
    """Return the pages (first, one past the last) that a range of bytes touches; empty for no length."""
    if not length:
        return addr >> 12, addr >> 12
    return addr >> 12, min((addr + length + 4095) >> 12, END_OF_MEMORY)


def prot_flags(prot):
    """Return the names of the protection bits that are set."""
    return {name for name, bit in RWX.items() if prot & bit}


class NaiveReplay(NaiveResults, NaiveMremap):
    """Replay rows of the event table one by one under the scheme `anon_vma`.

    Parameters
    ----------
    metadata : TraceMetadata
        `complete`, `known_pids` and `brk_flags` decide; the counts of losses are told in the summary.
    invent_vmas, instant_free : bool
        Options of the same names.
    brk_flags : str, optional
        "rw" or "rwx" in place of what the metadata say.
    rules : iterable of str
        Names of `RULES`. Under "merge_pre_rmap39" only the layout means something: vmas without their
        anon_vmas (and without pgoff where there is no file), and `merges`.

    Attributes
    ----------
    merges, walks, file_walks : list of dict
        Rows of these result tables.
    bugs : list of tuple (event, name)
        Events left out because the kernel would have stopped.
    """

    known_rules = RULES
    advice_flags = ADVICE_FLAGS

    def __init__(self, metadata=None, *, invent_vmas=True, brk_flags=None, instant_free=True, rules=()):
        super().__init__()
        self.rules = frozenset(rules)
        assert self.rules <= set(self.known_rules), rules
        self.metadata = metadata or TraceMetadata()
        self.invent_vmas, self.instant_free = invent_vmas, instant_free
        self.heap_flags = frozenset(prot_flags(7 if (brk_flags or self.metadata.brk_flags) == "rwx" else 3))
        self.heap_flags |= {"ACCOUNT"}
        self.frames = {}  # frame -> page that the latest fault with it found there
        self.lost = False  # a lost row was met

    def feed(self, row):
        """Replay the next row: a dict with columns of the event table, a missing one is None."""
        row = {name: value for name, value in row.items() if value is not None}
        self.event += 1
        self.op, self.ts = row["op"], row.get("ts", 0)
        try:
            getattr(self, "_row_" + self.op)(row)
        except KernelBug as bug:
            self.bugs.append((self.event, bug.name))
        self._finish_event()

    def findings(self):
        """Return broken invariants that the patch as posted allows (its defects), as strings."""
        return findings(self)

    def violations(self):
        """Return broken invariants that nothing allows: errors of the model, as strings."""
        return violations(self)

    def invariants(self):
        """Return all broken invariants, findings first."""
        return ["finding: " + text for text in findings(self)] + [
            "violation: " + text for text in violations(self)
        ]

    # ---- processes

    def _process(self, row):
        """Return the process that a row acts on, begun with an empty mm if it is unknown."""
        pid = row["pid"]
        process = self.processes.get(pid)
        if process is None:
            process = self._begin(pid, parent=None)
            process.tainted = process.uncertain = self.lost  # it may have lived before
            process.mm = self._new_mm(process, self.metadata.complete or pid in self.metadata.known_pids)
        process.last_event = self.event
        process.comm = row.get("comm", process.comm)
        self.changed_mms[process.mm.id] = process.mm
        return process

    def _begin(self, pid, parent):
        process = Process(pid, None, parent, self.event)
        self.processes[pid] = process
        self.lives.append(process)
        return process

    def _end(self, process):
        del self.processes[process.pid]
        self.drop_mm(process.mm)

    def _row_fork(self, row):
        pid, child_pid = row["pid"], row.get("child")
        if child_pid is None or child_pid == pid:
            return
        parent = self._process(row)
        if child_pid in self.processes:
            self._end(self.processes[child_pid])
        child = self._begin(child_pid, parent=pid)
        child.comm = parent.comm
        child.tainted = child.uncertain = parent.uncertain
        if row.get("flags", 0) & CLONE_VM:
            child.mm = parent.mm
            child.mm.users += 1
        else:
            child.mm = self.dup_mmap(parent.mm, child)

    def _row_exec(self, row):
        process = self._process(row)
        process.uncertain = False
        old = process.mm
        process.mm = self._new_mm(process, self.metadata.complete)
        self.drop_mm(old)

    def _row_exit(self, row):
        if row["pid"] in self.processes:
            self._end(self._process(row))

    # ---- mappings

    def _row_vma(self, row):
        mm = self._process(row).mm
        mm.known = True
        start, end = page_range(row.get("addr", 0), row.get("len"))
        if start == end:
            return
        flags, bits, file = prot_flags(row.get("prot", 0)), row.get("flags", 0), row.get("file")
        if bits & MAP_GROWSDOWN:
            flags.add("GROWSDOWN")
        if bits & MAP_TYPE in SHARED_TYPES:
            flags.add("SHARED")
        elif "WRITE" in flags:
            flags.add("ACCOUNT")
        if file is not None and file.startswith(("[vdso]", "[vvar")):
            flags.add("DONTEXPAND")
        pgoff = row.get("pgoff", start if file is None and "SHARED" not in flags else 0)
        self.do_munmap(mm, start, end)
        self._new_vma(mm, start, end, flags, pgoff, self._backing(file, flags))

    def _row_mmap(self, row):
        mm = self._process(row).mm
        start, end = page_range(row.get("addr", 0), row.get("len"))
        if start == end:
            return
        flags = self.mmap_flags(row.get("prot", 0), row.get("flags", 0))
        file = self._backing(row.get("file"), flags)
        self.do_mmap(mm, start, end, frozenset(flags), row.get("pgoff", 0), file)

    def mmap_flags(self, prot, bits):
        """Return the flags of the vma that an mmap with these protection and flag bits makes."""
        flags = prot_flags(prot)
        if bits & MAP_GROWSDOWN:
            flags.add("GROWSDOWN")
        if bits & MAP_LOCKED:
            flags.add("LOCKED")
        if bits & MAP_TYPE in SHARED_TYPES:
            flags.add("SHARED")
        elif "WRITE" in flags and not bits & MAP_NORESERVE:
            flags.add("ACCOUNT")
        return flags

    def _backing(self, file, flags):
        """Return the file behind a mapping; a shared one without gets a file of its own."""
        if file is None and "SHARED" in flags:
            self.counts["shm"] += 1
            return f"shm:{self.counts['shm']}"
        return file

    def _row_munmap(self, row):
        self.do_munmap(self._process(row).mm, *page_range(row.get("addr", 0), row.get("len")))

    def _row_mprotect(self, row):
        mm = self._process(row).mm
        start, end = page_range(row.get("addr", 0), row.get("len"))
        if start < end:
            self.do_mprotect(mm, start, end, prot_flags(row.get("prot", 0)))

    def _row_mremap(self, row):
        mm = self._process(row).mm
        addr, length = row.get("addr", 0), row.get("len", 0)
        old, old_end = page_range(addr, length)
        new, new_end = page_range(row.get("new_addr", addr), row.get("new_len", length))
        apart = new_end <= old or old_end <= new
        if old == old_end or new == new_end or not (new == old or apart):
            return
        dontunmap = bool(row.get("flags", 0) & MREMAP_DONTUNMAP)
        self.do_mremap(mm, old, old_end - old, new, new_end - new, dontunmap)

    def _row_brk(self, row):
        self.do_brk(self._process(row).mm, (row.get("addr", 0) + 4095) >> 12, self.heap_flags)

    def _row_madvise(self, row):
        mm = self._process(row).mm
        start, end = page_range(row.get("addr", 0), row.get("len"))
        advice = row.get("flags", 0)
        if start == end:
            return
        if advice == MADV_DONTNEED:
            self.do_dontneed(mm, start, end)
        elif advice in self.advice_flags:
            self.set_advice(mm, start, end, *self.advice_flags[advice])

    def _row_munlock(self, row):
        mm = self._process(row).mm
        self.do_mlock(mm, *page_range(row.get("addr", 0), row.get("len")), lock=False)

    def _row_mlock(self, row):
        mm = self._process(row).mm
        start, end = page_range(row.get("addr", 0), row.get("len"))
        # Only a swap-in can end in a BUG, and then the whole call is left out.
        before = None
        if any(isinstance(mm.ptes[vpn], SwapPte) for vpn in mm.vpns_with_pte(start, end)):
            before = self._snapshot()
        try:
            self.do_mlock(mm, start, end, lock=True)
        except KernelBug:
            self.__dict__.update(before)
            raise

    def _snapshot(self):
        """Return a copy of everything but the logs."""
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(1_000_000)  # lists of vmas of mms of vmas: deepcopy goes deep
        try:
            return copy.deepcopy({name: value for name, value in self.__dict__.items() if name not in LOGS})
        finally:
            sys.setrecursionlimit(limit)

    # ---- accesses

    def _row_read_fault(self, row):
        self._fault(row, write=False)

    def _row_write_fault(self, row):
        self._fault(row, write=True)

    def _fault(self, row, write):
        process = self._process(row)
        process.faults += 1
        mm, vpn = process.mm, row.get("addr", 0) >> 12
        v = mm.find_vma(vpn)
        if v and vpn < v.start and "GROWSDOWN" in v.flags and v.file is None:
            self.expand_stack(v, vpn)
        v = mm.vma_at(vpn)
        if v is None:
            self.counts["unmapped_faults"] += 1
            if not mm.known and self.invent_vmas:
                v = self._invent_vma(mm, vpn, write)
        if v is not None and self._access_allowed(v, write):
            self.handle_fault(v, vpn, write)
        if "frame" in row:
            pte = mm.ptes.get(vpn)
            self.frames.pop(row["frame"], None)
            if isinstance(pte, PresentPte):
                self.frames[row["frame"]] = pte.page

    def _invent_vma(self, mm, vpn, write):
        flags = frozenset({"READ", "UNKNOWN_ORIGIN"} | ({"WRITE", "ACCOUNT"} if write else set()))
        merged = self.vma_merge(mm, mm.before(vpn), vpn, vpn + 1, flags, None, None, vpn, counted=False)
        return merged or self._new_vma(mm, vpn, vpn + 1, flags, vpn, None)

    @staticmethod
    def _access_allowed(v, write):
        """Whether the vma permits the access; an invented one learns that it must have."""
        allowed = "WRITE" in v.flags if write else bool(v.prot)
        if not allowed and "UNKNOWN_ORIGIN" in v.flags:
            v.flags |= {"WRITE", "ACCOUNT"} if write else {"READ"}
            return True
        return allowed

    def _row_touch(self, row):
        mm = self._process(row).mm
        start, end = page_range(row.get("addr", 0), row.get("len", 1))
        for vpn in mm.vpns_with_pte(start, end):
            pte = mm.ptes[vpn]
            if not isinstance(pte, SwapPte):
                pte.young = True

    # ---- reclaim

    def _named_page(self, row):
        """Return the mapped anonymous page that a row names by address or frame, or None."""
        if "addr" in row:
            if row["pid"] not in self.processes:
                return None
            pte = self._process(row).mm.ptes.get(row["addr"] >> 12)
            page = pte.page if isinstance(pte, PresentPte) else None
        else:
            page = self.frames.get(row.get("frame"))
        return page if isinstance(page, Page) and page.mapcount else None

    def _row_reclaim(self, row):
        if "file" in row and not {"addr", "frame"} & row.keys():
            page = self.file_pages.get((row["file"], row.get("pgoff", 0)))
            if page:
                self.shrink_file_page(page)
            return
        page = self._named_page(row)
        if page:
            self.shrink_named(page)

    def _row_referenced(self, row):
        page = self._named_page(row)
        if page:
            self.page_referenced(page)

    def _row_try_unmap(self, row):
        page = self._named_page(row)
        if page:
            self.unmap_named(page, recorded=False)

    def _row_swap_out(self, row):
        page = self._named_page(row)
        if page:
            self.unmap_named(page, recorded=True)

    def _row_scan(self, row):
        self.scan(row.get("len", 0))

    def _row_mark(self, row):
        pass

    def _row_lost(self, row):
        self.lost = True
        for process in self.processes.values():
            process.tainted = process.uncertain = True
