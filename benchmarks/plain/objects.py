"""The objects of the replay. All addresses are page numbers; `id` counts from 1 in the order of creation."""

from __future__ import annotations

# Flags of a vma: PROT_* bits, and one more that takes part in the comparison of flags.
WRITE = 2
ACCESS = 7  # PROT_READ | PROT_WRITE | PROT_EXEC
ACCOUNT = 8


class Page:
    """An anonymous page that at least one pte maps; `next` and `prev` are its neighbours on an LRU list.

    It has no constructor: a call of one would take longer than the event loop takes to fill the fields.
    """

    __slots__ = ("address", "anon_vma", "index", "mapcount", "next", "prev", "process", "referenced")

    mapcount: int
    anon_vma: AnonVma
    index: int
    referenced: bool  # PG_referenced
    process: Process  # that first mapped it,
    address: int  # and where
    next: Page
    prev: Page


class AnonVma:
    """An anon_vma: also the head of its list of vmas. `pages_peak` is raised before `pages` falls."""

    __slots__ = (
        "allocated_by",
        "allocated_event",
        "allocated_ts",
        "freed",
        "id",
        "length",
        "members",
        "next",
        "pages",
        "pages_freed",
        "pages_peak",
        "pid",
        "prev",
        "settled_length",
        "visited",
        "vmas_peak",
        "walks",
    )

    def __init__(self, id: int, event: int, ts: int, op: str, pid: int) -> None:
        self.id = id
        self.allocated_event, self.allocated_ts, self.allocated_by, self.pid = event, ts, op, pid
        self.next: Vma | AnonVma = self  # the first to be visited; itself where the list is empty
        self.prev: Vma | AnonVma = self
        self.length = self.settled_length = self.vmas_peak = 0  # settled: after the last event
        self.pages = self.pages_freed = self.pages_peak = 0
        self.walks = self.visited = 0
        self.members: dict[Process, Member] = {}
        self.freed = False


class Member:
    """A process on an anon_vma: how many of its vmas are on the list, how many of its ptes hold its pages."""

    __slots__ = ("anon_vma", "process", "ptes", "ptes_peak", "vmas", "vmas_ever", "vmas_peak")

    def __init__(self, anon_vma: AnonVma, process: Process) -> None:
        self.anon_vma, self.process = anon_vma, process
        self.vmas = self.vmas_ever = self.vmas_peak = 0
        self.ptes = self.ptes_peak = 0


class Vma:
    """A mapping of private anonymous memory."""

    __slots__ = (
        "anon_vma",
        "end",
        "flags",
        "id",
        "lives",
        "member",
        "next",
        "pgoff",
        "prev",
        "process",
        "since",
        "span",
        "start",
    )

    def __init__(self, id: int, process: Process, start: int, end: int, flags: int, pgoff: int) -> None:
        self.id = id
        self.process = process
        self.start, self.end = start, end
        self.flags = flags
        self.pgoff = pgoff
        self.anon_vma: AnonVma | None = None
        self.member: Member | None = None
        self.next: Vma | AnonVma | None = None  # on the list of the anon_vma
        self.prev: Vma | AnonVma | None = None
        self.lives = True
        self.span: tuple | None = None  # the state that its open row of `vma_spans` has,
        self.since = 0  # and the event that began it


class Process:
    """A process and its mm: page table, vmas, figures.

    `pages` holds what is mapped, `writable` and `young` the addresses whose pte has that bit.
    """

    __slots__ = (
        "anon_vmas_touched",
        "cow_copies",
        "faults",
        "first_event",
        "last_event",
        "members",
        "merges",
        "mmap_cache",
        "pages",
        "parent",
        "pid",
        "refusals",
        "starts",
        "vmas",
        "vmas_peak",
        "walks_caused",
        "writable",
        "young",
    )

    def __init__(self, pid: int, parent: int | None, event: int) -> None:
        self.pid, self.parent = pid, parent
        self.first_event = self.last_event = event
        self.pages: dict[int, Page] = {}
        self.writable: set[int] = set()
        self.young: set[int] = set()
        self.vmas: list[Vma] = []  # by address
        self.starts: list[int] = []  # their first pages, for `bisect`
        self.mmap_cache: Vma | None = None
        self.members: dict[AnonVma, Member] = {}
        self.vmas_peak = self.anon_vmas_touched = 0
        self.faults = self.cow_copies = self.merges = self.refusals = self.walks_caused = 0
