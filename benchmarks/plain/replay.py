"""The event loop: faults are handled in it, every other operation by a function of its own."""

from __future__ import annotations

from itertools import islice
from typing import Any

from anonvma_trace.events import CLONE_VM, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE

from .columns import Columns
from .objects import ACCESS, WRITE, Page, Process, Vma
from .state import NotInTheLoad, State
from .summary import summary_of
from .vmas import do_munmap, find_vma, mmap, mprotect, vma_link

_SAMPLES = 4096  # rows of `timeline` that are equally spaced, at most
_PLAIN_MMAP = MAP_PRIVATE | MAP_ANONYMOUS


class PlainReplay:
    """One replay of columns from the first to the last row."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.state = State()
        self._others = {
            "mmap": self._mmap,
            "munmap": self._munmap,
            "mprotect": self._mprotect,
            "fork": self._fork,
            "exit": self._exit,
            "referenced": self._referenced,
        }

    def run(self) -> dict[str, Any]:
        """Return the parts of the summary that the load decides; the rows are in `state.tables`.

        Raises
        ------
        NotInTheLoad
            An event that the fault-heavy load does not have.
        """
        columns, timeline = self.columns, self.state.tables["timeline"]
        events = len(columns.op)
        every = -(-events // _SAMPLES)
        rows = zip(range(1, events + 1), columns.op, columns.pid, columns.page, strict=True)
        done = 0
        for sampled in sorted({1, *range(every, events, every), events}):
            self._replay(islice(rows, sampled - done))
            timeline.append(self.state.sample(sampled, columns.ts[sampled - 1]))
            done = sampled
        self.state.finish()
        return summary_of(self.state)

    def _replay(self, rows: islice) -> None:
        """Replay rows. Faults of one process in one vma are counted when their run ends; `first` began it."""
        lru, processes = self.state.active, self.state.processes
        process = vma = last_pid = None
        start = end = new = copied = allocated = event = first = 0
        for event, op, pid, address in rows:
            if op != "write_fault" or pid != last_pid or not start <= address < end:
                if process is not None:
                    self._end_run(process, vma, event - first, new, copied, allocated)
                start = end = new = copied = 0
                vma, first = None, event
                if pid != last_pid:
                    process = processes.get(pid) or self.state.new_process(pid, None, event)
                    last_pid = pid
                    pages, writable, young = process.pages, process.writable, process.young
                process.last_event = event
                if op != "write_fault":
                    self._other(process, event, op)
                    first = event + 1
                    if op == "exit":
                        process = last_pid = None
                    continue
                vma = self._vma_at(process, address)
                if vma is None or (vma.anon_vma is None and not self._prepare(process, vma, address, event)):
                    vma = None
                    continue
                start, end, offset, anon_vma = vma.start, vma.end, vma.pgoff - vma.start, vma.anon_vma

            page = pages.get(address)
            if page is None:
                new += 1
                referenced = True
            elif address in writable:
                young.add(address)
                continue
            elif page.mapcount == 1:
                self.state.cow_reuses += 1
                writable.add(address)
                young.add(address)
                continue
            else:
                # The copy of do_wp_page: another pte keeps the old page.
                page.mapcount -= 1
                if page.anon_vma is not anon_vma:
                    self.state.move_pte(process, page.anon_vma, vma.member)
                copied += 1
                referenced = False
            allocated = event
            pages[address] = page = Page()
            page.mapcount = 1
            page.anon_vma = anon_vma
            page.index = address + offset
            page.referenced = referenced
            page.process = process
            page.address = address
            # To the head of the LRU list.
            page.prev = lru
            page.next = following = lru.next
            lru.next = following.prev = page
            writable.add(address)
            young.add(address)
        if process is not None:
            self._end_run(process, vma, event + 1 - first, new, copied, allocated)

    def _end_run(
        self, process: Process, vma: Vma | None, faults: int, new: int, copied: int, allocated: int
    ) -> None:
        """Count faults of a process: `new` and `copied` pages in a vma, the last in the event `allocated`."""
        process.faults += faults
        process.last_event += max(faults - 1, 0)
        if new or copied:
            state = self.state
            process.cow_copies += copied
            vma.anon_vma.pages += new + copied
            vma.member.ptes += new
            state.pages_live += new + copied
            state.ptes_live += new
            if state.pages_live > state.pages_peak:
                state.raise_pages_peak(allocated, self.columns.ts[allocated - 1])

    def _vma_at(self, process: Process, address: int) -> Vma | None:
        """Return the vma that a write may go to, or None."""
        vma = process.mmap_cache
        if vma is None or not vma.start <= address < vma.end:
            at = find_vma(process, address)
            if at == len(process.vmas) or process.vmas[at].start > address:
                self.state.unmapped_faults += 1
                return None
            vma = process.mmap_cache = process.vmas[at]
        if not vma.flags & WRITE:
            self.state.segv += 1
            return None
        return vma

    def _prepare(self, process: Process, vma: Vma, address: int, event: int) -> bool:
        """Give a vma an anon_vma if a fault needs it for a new page; else do the fault, and return False."""
        page = process.pages.get(address)
        if page is not None and (address in process.writable or page.mapcount == 1):
            self.state.cow_reuses += address not in process.writable
            process.writable.add(address)
            process.young.add(address)
            return False
        state = self._begin(event)
        state.anon_vma_prepare(vma)
        # A sample of this event has the page that is about to come; the run of faults counts it.
        new = page is None
        state.pages_live += 1
        state.ptes_live += new
        state.settle()
        state.pages_live -= 1
        state.ptes_live -= new
        return True

    def _begin(self, event: int) -> State:
        state, at = self.state, event - 1
        state.event, state.ts = event, self.columns.ts[at]
        state.pid, state.op = self.columns.pid[at], self.columns.op[at]
        return state

    # ---- operations other than faults

    def _other(self, process: Process, event: int, op: str) -> None:
        operation = self._others.get(op)
        if operation is None:
            raise self._not_in_the_load(event, f"one of write_fault, {', '.join(self._others)}", op)
        state = self._begin(event)
        operation(process, event - 1)
        if state.changed_vmas:
            state.settle()

    def _not_in_the_load(self, event: int, expected: str, found: object) -> NotInTheLoad:
        return NotInTheLoad(
            f"event {event}: expected {expected}, found {found!r}; "
            "benchmarks.plain replays the fault-heavy load of tests.replay.generated and nothing else"
        )

    def _range(self, at: int) -> tuple[int, int]:
        start, end = self.columns.page[at], self.columns.end[at]
        if end <= start:
            raise self._not_in_the_load(at + 1, "a range that is not empty", f"pages {start} to {end}")
        return start, end

    def _access(self, at: int) -> int:
        access = self.columns.prot[at]
        if access is None:
            raise self._not_in_the_load(at + 1, "PROT_* bits", access)
        return access & ACCESS

    def _require_alive(self, process: Process, at: int) -> None:
        if process.first_event == at + 1:
            raise self._not_in_the_load(at + 1, "a process that lives", process.pid)

    def _mmap(self, process: Process, at: int) -> None:
        flags = self.columns.flags[at]
        if flags is None or flags & ~MAP_FIXED != _PLAIN_MMAP:
            raise self._not_in_the_load(
                at + 1, "MAP_PRIVATE | MAP_ANONYMOUS, with or without MAP_FIXED", flags
            )
        mmap(self.state, process, *self._range(at), self._access(at))

    def _munmap(self, process: Process, at: int) -> None:
        do_munmap(self.state, process, *self._range(at))

    def _mprotect(self, process: Process, at: int) -> None:
        mprotect(self.state, process, *self._range(at), self._access(at))

    def _fork(self, parent: Process, at: int) -> None:
        """dup_mmap, copy_page_range: all is private, so no pte stays writable on either side."""
        state, pid = self.state, self.columns.child[at]
        flags = self.columns.flags[at]
        if pid is None or pid in state.processes or (flags or 0) & CLONE_VM:
            raise self._not_in_the_load(at + 1, "a child of its own mm and a new pid", (pid, flags))
        child = state.new_process(pid, parent.pid, at + 1)
        for vma in parent.vmas:
            copy = state.new_vma(child, vma.start, vma.end, vma.flags, vma.pgoff)
            vma_link(copy)
            copy.anon_vma = vma.anon_vma
            if copy.anon_vma is not None:
                state.anon_vma_link(copy)
        child.pages = parent.pages.copy()
        for page in child.pages.values():
            page.mapcount += 1
        state.ptes_live += len(child.pages)
        parent.writable.clear()
        for anon_vma, member in parent.members.items():
            if member.ptes:
                state.member_of(anon_vma, child).ptes = member.ptes

    def _exit(self, process: Process, at: int) -> None:
        """exit_mmap."""
        self._require_alive(process, at)
        state = self.state
        state.page_remove_rmaps(process, list(process.pages.values()))
        process.pages.clear()
        vmas = process.vmas[:]
        process.vmas.clear()
        for vma in vmas:
            state.free_vma(vma)
        del state.processes[process.pid]

    def _referenced(self, process: Process, at: int) -> None:
        """page_referenced, and the walk of its list."""
        self._require_alive(process, at)
        page = process.pages.get(self.columns.page[at])
        if page is None:
            return
        anon_vma, index, mapcount = page.anon_vma, page.index, page.mapcount
        references = int(page.referenced)
        page.referenced = False
        left, length = mapcount, anon_vma.length
        visited = miss_rss = miss_range = miss_none = miss_other = 0
        vma = anon_vma.next
        while vma is not anon_vma:
            visited += 1
            mm = vma.process
            address = vma.start + index - vma.pgoff
            if not mm.pages:
                miss_rss += 1
            elif not vma.start <= address < vma.end:
                miss_range += 1
            else:
                found = mm.pages.get(address)
                if found is page:
                    if address in mm.young:
                        references += 1
                        mm.young.remove(address)
                    left -= 1
                    if not left:
                        break
                elif found is None:
                    miss_none += 1
                else:
                    miss_other += 1
            vma = vma.next
        if anon_vma.freed:
            outcome = "bug:empty_anon_vma"
        else:
            outcome = "referenced" if references else "not_referenced"
            anon_vma.walks += 1
            anon_vma.visited += visited
        mapper = page.process
        mapper.walks_caused += 1
        walk = (
            self.state.event,
            self.state.ts,
            mapper.pid,
            page.address,
            anon_vma.id,
            "referenced",
            mapcount,
            length,
        )
        visits = (visited, miss_rss, miss_range, miss_none, 0, miss_other, mapcount - left)
        self.state.tables["walks"].append((*walk, *visits, left, visited < length, outcome))
