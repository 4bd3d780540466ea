"""What stands and what was counted: lists of anon_vmas, rows of result tables, peaks after each event."""

from __future__ import annotations

from collections import Counter

from .objects import AnonVma, Member, Page, Process, Vma

OBJECT_BYTES = {"i386": 12, "x86_64": 24}  # of an anon_vma, and of what the scheme adds to a vma


class NotInTheLoad(ValueError):
    """The fault-heavy load has no such event, and so this replay does not know it."""


class State:
    """All objects, figures and rows of one replay.

    `event`, `ts`, `op` and `pid` are those of the event under way, if it is more than the fault of a page.
    Counts of pages are those before the run of faults under way.
    """

    def __init__(self) -> None:
        self.event = self.ts = self.pid = 0
        self.op = ""
        self.processes: dict[int, Process] = {}
        self.every_process: list[Process] = []
        self.anon_vmas: dict[int, AnonVma] = {}
        self.active = Page()  # the LRU list, newest first
        self.active.next = self.active.prev = self.active
        self.changed_vmas: list[Vma] = []
        self.changed_members: list[Member] = []
        self.lists_by_length: Counter[int] = Counter()
        self._begin_figures()
        self.tables: dict[str, list[tuple]] = {
            name: []
            for name in ("anon_vmas", "merges", "walks", "vma_spans", "members", "timeline", "processes")
        }
        self.peak_samples: dict[str, tuple] = {}

    def _begin_figures(self) -> None:
        self.vmas_created = self.vmas_live = self.vmas_peak = self.splits = 0
        self.anon_vmas_allocated = self.anon_vmas_peak = self.never_used = 0
        self.longest_list = self.longest_list_peak = self.objects_peak = 0
        self.pages_live = self.pages_freed = self.pages_peak = self.ptes_live = 0
        self.cow_reuses = self.segv = self.unmapped_faults = 0

    # ---- processes and vmas

    def new_process(self, pid: int, parent: int | None, event: int) -> Process:
        process = self.processes[pid] = Process(pid, parent, event)
        self.every_process.append(process)
        return process

    def new_vma(self, process: Process, start: int, end: int, flags: int, pgoff: int) -> Vma:
        """Return a vma that stands in no mm yet, but is counted."""
        self.vmas_created += 1
        self.vmas_live += 1
        vma = Vma(self.vmas_created, process, start, end, flags, pgoff)
        self.changed_vmas.append(vma)
        return vma

    def free_vma(self, vma: Vma) -> None:
        """Take a vma off its list; it has left its mm."""
        if vma.anon_vma is not None:
            self.anon_vma_unlink(vma)
        self.drop_vma(vma)

    def drop_vma(self, vma: Vma) -> None:
        """Count the end of a vma that is on no list and in no mm."""
        vma.lives = False
        self.vmas_live -= 1
        if vma.process.mmap_cache is vma:
            vma.process.mmap_cache = None
        self.changed_vmas.append(vma)

    # ---- mm/rmap.c of rmap 39

    def anon_vma_prepare(self, vma: Vma) -> AnonVma:
        self.anon_vmas_allocated += 1
        anon_vma = AnonVma(self.anon_vmas_allocated, self.event, self.ts, self.op, self.pid)
        self.anon_vmas[anon_vma.id] = anon_vma
        vma.anon_vma = anon_vma
        self.anon_vma_link(vma)
        self.changed_vmas.append(vma)
        return anon_vma

    def anon_vma_link(self, vma: Vma) -> None:
        """Put a vma at the head of the list of its anon_vma."""
        anon_vma = vma.anon_vma
        first = anon_vma.next
        vma.next, vma.prev = first, anon_vma
        anon_vma.next = first.prev = vma
        anon_vma.length += 1
        member = vma.member = self.member_of(anon_vma, vma.process)
        if not member.vmas_ever:
            vma.process.anon_vmas_touched += 1
        member.vmas_ever += 1
        member.vmas += 1
        self.changed_members.append(member)

    def anon_vma_unlink(self, vma: Vma) -> None:
        """Take a vma off its list; the anon_vma goes with the last."""
        vma.next.prev, vma.prev.next = vma.prev, vma.next
        anon_vma, member = vma.anon_vma, vma.member
        anon_vma.length -= 1
        member.vmas -= 1
        self.changed_members.append(member)
        if not anon_vma.length:
            self._free_anon_vma(anon_vma)

    def anon_vma_merge(self, vma: Vma, following: Vma) -> None:
        """Let a vma stand for its neighbour, in whose place it comes where it has no anon_vma yet."""
        if vma.anon_vma is not None:
            self.anon_vma_unlink(following)
            return
        vma.anon_vma, vma.member = following.anon_vma, following.member
        vma.next, vma.prev = following.next, following.prev
        vma.next.prev = vma.prev.next = vma

    def member_of(self, anon_vma: AnonVma, process: Process) -> Member:
        member = process.members.get(anon_vma)
        if member is None:
            member = process.members[anon_vma] = anon_vma.members[process] = Member(anon_vma, process)
        return member

    def _free_anon_vma(self, anon_vma: AnonVma) -> None:
        anon_vma.freed = True
        del self.anon_vmas[anon_vma.id]
        self._close_anon_vma(anon_vma, self.event, self.ts)
        for member in anon_vma.members.values():
            del member.process.members[anon_vma]
        if not anon_vma.pages + anon_vma.pages_freed:
            self.never_used += 1

    # ---- pages

    def page_remove_rmaps(self, process: Process, pages: list[Page]) -> None:
        """Count the end of one pte of the process for each of these pages."""
        anon_vma, ptes, freed = None, 0, 0
        for page in pages:
            if page.anon_vma is not anon_vma:
                self._lower_counts(process, anon_vma, ptes, freed)
                anon_vma, ptes, freed = page.anon_vma, 0, 0
            ptes += 1
            if page.mapcount == 1:
                freed += 1
                page.next.prev, page.prev.next = page.prev, page.next
            else:
                page.mapcount -= 1
        self._lower_counts(process, anon_vma, ptes, freed)

    def _lower_counts(self, process: Process, anon_vma: AnonVma | None, ptes: int, freed: int) -> None:
        """Count that ptes hold pages of an anon_vma no more, and pages that are gone with them."""
        if not ptes:
            return
        self.ptes_live -= ptes
        self.pages_live -= freed
        self.pages_freed += freed
        anon_vma.pages_peak = max(anon_vma.pages_peak, anon_vma.pages)
        anon_vma.pages -= freed
        anon_vma.pages_freed += freed
        member = process.members.get(anon_vma)
        if member is not None:  # else the anon_vma is freed, and its rows are closed
            member.ptes_peak = max(member.ptes_peak, member.ptes)
            member.ptes -= ptes

    def move_pte(self, process: Process, anon_vma: AnonVma, member: Member) -> None:
        """Count that a pte now holds a page of another anon_vma."""
        self._lower_counts(process, anon_vma, 1, 0)
        self.ptes_live += 1
        member.ptes += 1

    # ---- after each event

    def settle(self) -> None:
        """Close spans of vmas that changed, and raise peaks, at the end of an event."""
        event, spans = self.event, self.tables["vma_spans"]
        for vma in self.changed_vmas:
            process = vma.process
            if len(process.vmas) > process.vmas_peak:
                process.vmas_peak = len(process.vmas)
            state = None
            if vma.lives:
                anon_vma = vma.anon_vma.id if vma.anon_vma is not None else None
                state = vma.start, vma.end, vma.flags, vma.pgoff, anon_vma
            if state != vma.span:
                if vma.span is not None:
                    spans.append((vma.id, process.pid, *vma.span, vma.since, event))
                vma.span, vma.since = state, event
        self.changed_vmas.clear()
        if self.changed_members:
            self._settle_lists()
        self._raise_peaks()

    def _settle_lists(self) -> None:
        lists = self.lists_by_length
        for member in self.changed_members:
            if member.vmas > member.vmas_peak:
                member.vmas_peak = member.vmas
            anon_vma, length = member.anon_vma, member.anon_vma.length
            if length != anon_vma.settled_length:
                lists[anon_vma.settled_length] -= 1
                lists[length] += 1
                anon_vma.settled_length = length
                if length > anon_vma.vmas_peak:
                    anon_vma.vmas_peak = length
                if length > self.longest_list:
                    self.longest_list = length
        while self.longest_list and not lists[self.longest_list]:
            self.longest_list -= 1
        self.changed_members.clear()

    def _raise_peaks(self) -> None:
        anon_vmas = len(self.anon_vmas)
        raised = []
        if self.vmas_live > self.vmas_peak:
            self.vmas_peak = self.vmas_live
            raised.append("vmas")
        if anon_vmas > self.anon_vmas_peak:
            self.anon_vmas_peak = anon_vmas
            raised.append("anon_vmas")
        if self.longest_list > self.longest_list_peak:
            self.longest_list_peak = self.longest_list
            raised.append("longest_list")
        if self.vmas_live + anon_vmas > self.objects_peak:
            self.objects_peak = self.vmas_live + anon_vmas
            raised.append("overhead_bytes")
        if raised:
            sample = self.sample(self.event, self.ts)
            for peak in raised:
                self.peak_samples[peak] = sample

    def raise_pages_peak(self, event: int, ts: int) -> None:
        """Take the count of pages that a run of faults led to, the last allocation in `event`."""
        self.pages_peak = self.pages_live
        self.peak_samples["pages"] = self.sample(event, ts)

    def sample(self, event: int, ts: int) -> tuple:
        """Return a row of `timeline`."""
        anon_vmas = len(self.anon_vmas)
        overhead = OBJECT_BYTES["x86_64"] * (self.vmas_live + anon_vmas)
        return (
            event,
            ts,
            self.vmas_live,
            anon_vmas,
            self.pages_live,
            self.ptes_live,
            self.longest_list,
            overhead,
        )

    # ---- the end

    def finish(self) -> None:
        """Add the rows of all that stands at the end."""
        for anon_vma in self.anon_vmas.values():
            self._close_anon_vma(anon_vma, None, None)
        for process in self.processes.values():
            for vma in process.vmas:
                self.tables["vma_spans"].append((vma.id, process.pid, *vma.span, vma.since, None))
        samples = {row[0]: row for row in (*self.tables["timeline"], *self.peak_samples.values())}
        self.tables["timeline"] = sorted(samples.values())
        self.tables["processes"] = [
            (
                process.pid,
                process.parent,
                process.first_event,
                process.last_event,
                process.vmas_peak,
                process.anon_vmas_touched,
                process.faults,
                process.cow_copies,
                process.merges,
                process.refusals,
                process.walks_caused,
            )
            for process in self.every_process
        ]

    def _close_anon_vma(self, anon_vma: AnonVma, freed_event: int | None, freed_ts: int | None) -> None:
        self.tables["anon_vmas"].append(
            (
                anon_vma.id,
                anon_vma.allocated_event,
                anon_vma.allocated_ts,
                anon_vma.allocated_by,
                anon_vma.pid,
                freed_event,
                freed_ts,
                anon_vma.vmas_peak,
                max(anon_vma.pages_peak, anon_vma.pages),
                anon_vma.pages + anon_vma.pages_freed,
                anon_vma.walks,
                anon_vma.visited,
            )
        )
        members = self.tables["members"]
        for process, member in anon_vma.members.items():
            ptes_peak = max(member.ptes_peak, member.ptes)
            if member.vmas_peak or ptes_peak:
                members.append((anon_vma.id, process.pid, member.vmas_peak, ptes_peak))
