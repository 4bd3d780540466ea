"""Every table of the core: its fields, their units, and who writes them.

One record array for each kind of object, so that an object is one or two cache lines. Row 0 of each is
NULL and is never written. Rows are reused through free lists; *ids* (`id`, `serial`) count from 1 in
creation order and are never reused. All addresses are page numbers (`vpn`).

Arithmetic is int64 throughout. Fields of `PAGE` are narrower where millions of them live; what is read
from them is widened with ``np.int64`` before it is passed on, else numba compiles the callee once more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..tables import MERGE_SIDES, WALK_OUTCOMES

NULL = 0

# include/linux/mm.h, 2.6.7: bits of vm_flags.
VM_READ, VM_WRITE, VM_EXEC, VM_SHARED = 0x1, 0x2, 0x4, 0x8
VM_GROWSDOWN, VM_LOCKED, VM_IO = 0x100, 0x2000, 0x4000
VM_SEQ_READ, VM_RAND_READ = 0x8000, 0x10000
VM_DONTCOPY, VM_DONTEXPAND, VM_RESERVED = 0x20000, 0x40000, 0x80000
VM_ACCOUNT, VM_HUGETLB = 0x100000, 0x400000
# Later ones, with their values in 6.x; only scheme `linux6` sets them.
VM_NORESERVE, VM_WIPEONFORK, VM_DONTDUMP = 0x200000, 0x2000000, 0x4000000
VM_HUGEPAGE, VM_NOHUGEPAGE = 0x20000000, 0x40000000
VM_UNKNOWN_ORIGIN = 0x100000000  # ours: a vma invented for a fault outside every known mapping

VM_ACCESS = VM_READ | VM_WRITE | VM_EXEC
VM_SPECIAL = VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_RESERVED

VM_FLAG_NAMES: tuple[tuple[int, str], ...] = (
    (VM_SHARED, "SHARED"),
    (VM_GROWSDOWN, "GROWSDOWN"),
    (VM_LOCKED, "LOCKED"),
    (VM_SEQ_READ, "SEQ_READ"),
    (VM_RAND_READ, "RAND_READ"),
    (VM_DONTCOPY, "DONTCOPY"),
    (VM_DONTEXPAND, "DONTEXPAND"),
    (VM_ACCOUNT, "ACCOUNT"),
    (VM_NORESERVE, "NORESERVE"),
    (VM_WIPEONFORK, "WIPEONFORK"),
    (VM_DONTDUMP, "DONTDUMP"),
    (VM_HUGEPAGE, "HUGEPAGE"),
    (VM_NOHUGEPAGE, "NOHUGEPAGE"),
    (VM_UNKNOWN_ORIGIN, "UNKNOWN_ORIGIN"),
)

# File ids: from 1 in order of appearance, with marks in high bits. 0 is no file (anonymous).
FILE_SPECIAL = 1 << 29  # [vdso], [vvar]: its vma is DONTEXPAND
FILE_SHM = 1 << 30  # the file behind a shared anonymous mapping; the low bits are its number

# A pte is 0 (none), or a row shifted left with these bits below it.
PTE_PRESENT, PTE_WRITE, PTE_YOUNG, PTE_DIRTY, PTE_SWAP, PTE_ZERO = 1, 2, 4, 8, 16, 32
PTE_SHIFT = 8

# Bits of pg_flags.
PG_ANON_KIND = 1  # an anonymous page object (else a page of a file)
PG_ANON = 2  # page->flags PG_anon: mapping and index are meaningful
PG_REFERENCED = 4
PG_ACTIVE = 8
PG_DIRTY = 16
PG_LRU = 32
PG_EXCLUSIVE = 64  # reuse=modern: no fork has shared the page since it was made or swapped in

# Blocks of a page table: 512 entries, then the number of entries in use.
PT_ENTRIES, PT_USED, PT_STRIDE = 512, 512, 513
PT_BITS = 9
PT_LEVELS = 6  # six levels reach over all 52 bits of a page number

# Outcomes of a side of a merge attempt: indices into MERGE_SIDES.
(
    SIDE_OK,
    SIDE_NOT_ADJACENT,
    SIDE_SPECIAL,
    SIDE_POLICY,
    SIDE_FLAGS,
    SIDE_FILE,
    SIDE_CLOSE_OP,
    SIDE_ANON_DIFF,
    SIDE_PGOFF_ANON,
    SIDE_PGOFF_FILE,
    SIDE_PREV_NEXT,
    SIDE_CLONED,
) = range(len(MERGE_SIDES))

# Outcomes of a walk: indices into WALK_OUTCOMES.
(
    WALK_REFERENCED,
    WALK_NOT_REFERENCED,
    WALK_SUCCESS,
    WALK_FAIL_LOCKED,
    WALK_FAIL_YOUNG,
    WALK_AGAIN,
    WALK_EMPTY_ANON_VMA,
) = range(len(WALK_OUTCOMES))

PURPOSE_REFERENCED, PURPOSE_UNMAP = 0, 1
PURPOSE_NAMES = ("referenced", "unmap")

# What page_add_anon_rmap would find wrong: names of undone events.
BUG_NONE, BUG_NO_ANON_VMA, BUG_MAPPING, BUG_INDEX = range(4)
BUG_NAMES = ("", "no_anon_vma", "mapping_mismatch", "index_mismatch")

# Codes of diagnostics that the core writes, with severity and a message for `str.format`:
# {pid}, {addr:#x} and {a}, {b} (two figures that the code explains).
DIAGNOSTICS: tuple[tuple[str, str, str], ...] = (
    ("warning", "unmapped-fault", "pid {pid}: fault at {addr:#x}, which no known vma covers; left out"),
    (
        "warning",
        "invented-vma",
        "pid {pid}: fault at {addr:#x} in an unknown process: a vma of one page was invented",
    ),
    ("info", "segv", "pid {pid}: fault at {addr:#x} is forbidden by its vma's protection"),
    ("warning", "lost-events", "the recorder lost {a} events here (0: unknown number)"),
    ("warning", "unknown-frame", "frame {a:#x} names no page that is mapped now; nothing was done"),
    (
        "warning",
        "not-an-anonymous-page",
        "pid {pid}: no anonymous page is present at {addr:#x}; nothing was done",
    ),
    ("warning", "mremap-hole", "pid {pid}: mremap at {addr:#x}, where no vma stands; nothing was done"),
    (
        "warning",
        "mremap-dontexpand",
        "pid {pid}: mremap would grow a DONTEXPAND vma at {addr:#x}; nothing was done",
    ),
    (
        "warning",
        "mremap-efault-span",
        "pid {pid}: growing mremap at {addr:#x} spans several vmas (EFAULT); not done",
    ),
    ("info", "span-forced", "pid {pid}: mremap at {addr:#x} spans {a} vmas here; applied piece by piece"),
    ("warning", "mprotect-hole", "pid {pid}: mprotect at {addr:#x} met a hole and stopped there"),
    ("warning", "bad-fork", "pid {a}: fork without a usable child pid ({b}); nothing was done"),
    ("info", "child-alive", "pid {a} was still alive when pid {pid} forked it; its old life ends here"),
    ("warning", "exit-unknown", "pid {a} exits, but was never seen; nothing was done"),
    (
        "finding",
        "unreachable-page",
        "pid {pid}: {a} ptes of the page first mapped at {addr:#x} cannot be reached from its anon_vma",
    ),
    (
        "finding",
        "dangling-page",
        "pid {pid}: the page first mapped at {addr:#x} points to a freed anon_vma; {a} ptes unreachable",
    ),
    ("finding", "bug", "pid {pid}: BUG in page_add_anon_rmap at {addr:#x} ({bug}); the event was undone"),
    ("warning", "file-page", "this row can name an anonymous page only, not one of a file; nothing was done"),
    ("warning", "file-page-not-mapped", "nobody maps page {a} of this file now; nothing was done"),
    ("info", "process-invented", "pid {pid} was not known before this event; it begins with an empty mm"),
    ("warning", "madvise-locked", "pid {pid}: MADV_DONTNEED at {addr:#x} stopped at a locked vma"),
)
(
    DIAG_UNMAPPED_FAULT,
    DIAG_INVENTED_VMA,
    DIAG_SEGV,
    DIAG_LOST,
    DIAG_UNKNOWN_FRAME,
    DIAG_NOT_ANON,
    DIAG_MREMAP_HOLE,
    DIAG_MREMAP_DONTEXPAND,
    DIAG_MREMAP_EFAULT,
    DIAG_SPAN_FORCED,
    DIAG_MPROTECT_HOLE,
    DIAG_BAD_FORK,
    DIAG_CHILD_ALIVE,
    DIAG_EXIT_UNKNOWN,
    DIAG_UNREACHABLE,
    DIAG_DANGLING,
    DIAG_BUG,
    DIAG_FILE_PAGE,
    DIAG_FILE_PAGE_NOT_MAPPED,
    DIAG_PROCESS_INVENTED,
    DIAG_MADVISE_LOCKED,
) = range(len(DIAGNOSTICS))


def extended(base: np.dtype, fields: tuple[str, ...], narrow: tuple[str, ...] = ()) -> np.dtype:
    """Return a record with int64 fields, then int32 ones, behind those of `base`; `base` itself if there are none."""
    if not fields and not narrow:
        return base
    known = [(name, base[name]) for name in base.names or ()]
    more = [(name, np.dtype(np.int64)) for name in fields] + [(name, np.dtype(np.int32)) for name in narrow]
    return np.dtype(known + more, align=True)


def record(*fields: str, narrow: tuple[str, ...] = ()) -> np.dtype:
    """Return an aligned record of int64 fields, then int32 ones.

    No field may be called as an attribute of NumPy's scalars is (``flags``, ``size``, …): interpreted code would
    get that one.
    """
    wide = [(name, np.int64) for name in fields]
    return np.dtype(wide + [(name, np.int32) for name in narrow], align=True)


VMA = record(
    "start",  # first page: vm_start >> PAGE_SHIFT. While free: next free row
    "end",  # one past the last page
    "pgoff",  # vm_pgoff, pages
    "vm_flags",  # VM_*
    "file",  # file id, 0 if anonymous
    "anon_vma",  # row of the scheme's table of anon_vmas; NULL until anon_vma_prepare
    "mm",
    "next",  # neighbours in the mm, by address
    "prev",
    "left",  # children in the mm's search tree
    "right",
    "id",
    "span_from",  # event since which the vma has stood as it does
)
"""One vma: 104 bytes, 128 with the fields of scheme `anon_vma`. A scheme may add fields to every kind of record."""

PAGE = record(
    "index",  # page->index, pages; of a file page: its place in the file
    "first_vpn",  # where the page object was first mapped
    narrow=(
        "mapping",  # row of the anon_vma
        "mapping_id",  # id of that anon_vma: tells a reused row from the one meant
        "mapcount",
        "pg_flags",  # PG_*
        "slot",  # swap slot while in the swap cache; of a file page: its file id
        "lru_next",  # towards the tail; of a file page: next in its hash chain. While free: next free row
        "lru_prev",
        "proc",  # process that first mapped the page object
        "serial",  # id; that of a file page is negative
    ),
)
"""One page: 56 bytes."""

MM = record(
    "owner",  # row of the process that created it
    "first",  # first vma by address
    "root",  # root of the search tree
    "mmap_cache",  # vma that find_vma found last
    "n_vmas",
    "rss",  # Present ptes
    "brk_start",  # pages; -1 until the first brk row
    "brk",
    "users",  # mm_users: processes that share it. 0: free row
    "known",  # event since which its image is complete: a fault outside every vma is a signal. 0: it is not
    "pgd",  # top block of the page table
    "pt_height",  # levels in use; 0: no page table yet
    "leaf_key",  # last leaf block looked up: vpn >> 9, plus 1
    "leaf_block",
    "n_blocks",  # blocks of the page table
    "next_free",
)

PROC = record(
    "pid",
    "mm",  # 0 once it has exited
    "comm",  # code of the last name seen, -1 if none
    "parent",  # pid, -1 if none
    "first_event",
    "last_event",
    "vmas_peak",
    "anon_vmas_touched",
    "faults",
    "cow_copies",
    "merges",
    "refusals",
    "walks_caused",
)

SLOT = record(
    "map",  # use count: 1 for the cache and 1 for each swap pte. 0: free row
    "page",  # page in the swap cache, NULL if none
    "id",
    "next_free",
)

PAGE_CHANGES = ("anon_pages", "mapped_ptes")
"""What stands in `State.page_changes` of a replay that is one of several (`is_shard`), for each row of the batch.

By how much the row changed the anonymous pages and the mapped ptes. The table is one for all shards: each row is
replayed by one of them.
"""
PAGE_CHANGES_WIDTH = len(PAGE_CHANGES)
PAGE_CHANGE = np.dtype(np.int32)

SHARD_NUMBER = np.int16
"""What `State.shards` holds. Every shard reads those of all rows, so they are narrow."""

# Regions of the `log`: rows that wait to become result tables. (name, fields)
LOG_FIELDS: dict[str, tuple[str, ...]] = {
    "anon_vmas": (
        "anon_vma",
        "allocated_event",
        "allocated_ts",
        "allocated_by",
        "proc",
        "freed_event",
        "freed_ts",
        "peak_vmas",
        "peak_pages",
        "pages_ever",
        "walks",
        "vmas_visited",
    ),
    "merges": (
        "event",
        "ts",
        "proc",
        "op",
        "addr",
        "len",
        "case",
        "left",
        "right",
        "left_new",
        "right_new",
        "pgoff_anon_vma",
        "self",
    ),
    "walks": (
        "event",
        "ts",
        "proc",
        "addr",
        "anon_vma",
        "purpose",
        "mapcount",
        "list_length",
        "vmas_visited",
        "miss_rss",
        "miss_range",
        "miss_none",
        "miss_swap",
        "miss_other",
        "hits",
        "unreachable",
        "early_stop",
        "outcome",
    ),
    "vma_spans": (
        "vma",
        "proc",
        "start",
        "end",
        "flags",
        "pgoff",
        "file",
        "anon_vma",
        "from_event",
        "to_event",
        "row",  # of the vma, to look at it again when the event is over
    ),
    "members": (
        "anon_vma",
        "proc",
        "vmas_peak",
        "pages_peak",
        "event",  # at which the relation ended, for merging
    ),
    "timeline": (
        "event",
        "ts",
        "vmas",
        "anon_vmas",
        "anon_pages",
        "mapped_ptes",
        "longest_list",
        "overhead_bytes",
    ),
    "diagnostics": ("event", "code", "proc", "addr", "a", "b"),
    "file_walks": (
        "event",
        "ts",
        "proc",
        "addr",
        "file",
        "pgoff",
        "purpose",
        "mapcount",
        "list_length",
        "vmas_visited",
        "miss_rss",
        "miss_range",
        "miss_none",
        "miss_swap",
        "miss_other",
        "hits",
        "unreachable",
        "early_stop",
        "outcome",
    ),
    # what happened inside the one event that is to be explained (`steps`)
    "steps": (
        "kind",
        "start",
        "end",
        "flags",
        "file",
        "pgoff",
        "anon_vma",
        *(
            f"{side}_{field}"
            for side in ("left", "right")
            for field in ("vma", "start", "end", "flags", "file", "pgoff", "anon_vma")
        ),
        "case",
        "left",
        "right",
    ),
    # figures after each event that changed one of them, where a replay is one of several (`is_shard`); what faults
    # change stands in `page_changes` instead
    "changes": (
        "event",
        "vmas",
        "anon_vmas",
        "longest_list",
        "overhead_i386",
        "overhead_x86_64",
        "vma_id",  # the ids given last
        "anon_vma_id",
        "shm_id",
    ),
}
(
    LOG_ANON_VMAS,
    LOG_MERGES,
    LOG_WALKS,
    LOG_SPANS,
    LOG_MEMBERS,
    LOG_TIMELINE,
    LOG_DIAGNOSTICS,
    LOG_FILE_WALKS,
    LOG_STEPS,
    LOG_CHANGES,
) = range(len(LOG_FIELDS))

# `ints` begins with four words for each region of the log, then holds these parts:
REGION_BASE, REGION_ROWS, REGION_CAP, REGION_WIDTH = range(4)
TIMELINE_SAMPLES = 4096

# Peaks that the timeline keeps an event for.
PEAK_VMAS, PEAK_ANON_VMAS, PEAK_LONGEST, PEAK_PAGES, PEAK_OVERHEAD, N_PEAKS = range(6)
TIMELINE_WIDTH = len(LOG_FIELDS["timeline"])
CHANGE_WIDTH = len(LOG_FIELDS["changes"])

_COUNTERS = (
    # vmas
    "vmas_created",
    "vmas_live",
    "vmas_peak",
    "vma_splits",
    "vmas_sum",  # of vmas_live after each event: for the mean
    # what the scheme costs
    "fork_objects",  # objects that forks made for reverse mapping
    "fork_insertions",  # list insertions, or entries added, by forks
    "fault_objects",  # objects that faults made
    "rmap_hot_ops",  # entries added and removed for single ptes
    # the scheme's list heads
    "anon_vmas_allocated",
    "anon_vmas_freed",
    "anon_vmas_peak",
    "anon_vmas_never_used",
    "longest_list",  # peak, after each event
    "overhead_i386",
    "overhead_i386_peak",
    "overhead_x86_64",
    "overhead_x86_64_peak",
    # anonymous pages
    "pages_allocated",
    "pages_freed",
    "pages_peak",
    "cow_copies",
    "cow_reuses",
    "zero_copies",
    "early_copies",
    "swapped_out",
    "swapped_in",
    "mapped_ptes",  # Present ptes of all mms
    # merges
    "merge_attempts",
    "merged",
    "refused_new",
    "lossy_merges",  # those that gave a range with an anon_vma to a vma without one (defects D1, D2)
    "lossy_moves",  # of these, by mremap (D2)
    "ptes_lost",  # ptes of anonymous pages, present or in swap, in such ranges
    # reclaim
    "reclaim_pages",
    "walks",
    "vmas_visited",
    "miss_rss",
    "miss_range",
    "miss_none",
    "miss_swap",
    "miss_other",
    "miss_extinct",  # of scheme anonmm: members of a ring whose mm is gone
    "hits",
    "early_stops",
    "unreachable",
    "list_length_sum",
    "activated",
    "unmapped",
    "locked_fail",
    "young_fail",
    # reclaim of pages of files
    "file_pages_looked_at",
    "file_walks",
    "file_vmas_visited",
    "file_miss_rss",
    "file_miss_none",
    "file_miss_swap",
    "file_miss_other",
    "file_hits",
    "file_early_stops",
    "file_unreachable",
    "file_list_length_sum",
    "file_activated",
    "file_unmapped",
    "file_locked_fail",
    "file_young_fail",
    # the rest
    "bugs",
    "unmapped_faults",
    "invented_vmas",
    "segv",
    "mremap_efault_span",
    "span_forced",
)
_CONTEXT = (
    "event",  # number of the row being replayed, from 1
    "ts",
    "op",
    "proc",  # process of the row
    "n_processes",  # lives of processes
    "first_ts",
    "last_ts",
    "populates",  # the row at hand may fault pages in (mlock, MAP_LOCKED)
    "longest_now",  # length of the longest list now
    "shard",  # its number among several
    "is_shard",  # others replay the events of other families: peaks and timeline come from the log's `changes`
    "spans_before",  # rows of vma_spans in the log when the event began
    "told_event",  # the event whose steps are logged; 0: none
    "complete",  # options
    "invent_vmas",
    "brk_flags",
    "instant_free",
    "reuse_modern",
    "runs",  # plain faults are replayed in runs; 0: one by one, for comparison
    "faults_in_runs",  # so many were
    "rules",  # bits, by the scheme's own numbering
    "layout_only",  # a rule leaves the scheme's lists and mappings without meaning
)
_POOLS = tuple(
    f"{pool}_{what}"
    for pool in ("vma", "page", "mm", "proc", "slot", "block")
    for what in ("top", "cap", "free", "n_free", "need")
)
_FREE_PAGES = (
    "page_free_last",  # the last free row of `page`, to which the next one is linked
    "pages_freed_when_sorted",  # `pages_freed` when these rows were put in order
)
_IDS = (
    "vma_id",
    "file_page_serial",
    "slot_id",
    "shm_id",
    "anon_vma_id",
)  # the last of the scheme's list heads
_LRU = ("active_head", "active_tail", "n_active", "inactive_head", "inactive_tail", "n_inactive")
_PARTS = (
    # parts of `ints`: where each begins and how large it is
    "pid_base",  # open addressing: pid + 1, row of proc, whether its image is known from the start
    "pid_mask",
    "pid_used",
    "frame_base",  # open addressing: frame + 1, page row, page serial
    "frame_mask",
    "frame_used",
    "file_base",  # chain heads: first page row
    "file_mask",
    "n_file_pages",
    "visited_base",  # histogram of vmas visited by walk
    "visited_cap",
    "visited_need",
    "file_visited_base",  # the same for walks of file pages
    "lengths_base",  # histogram of list lengths, as large as that of visits
    "locks_base",  # locks by operation, see `locks`
    "by_case_base",  # merges by case, 9 words
    "refused_base",  # refused sides by reason, one word for each of MERGE_SIDES
    # the index of one anon_vma's list (`schemes.walk_index`)
    "index_cap",  # words of `index`
    "index_need",  # words that an index which is due takes
    "index_shortest",  # settings: vmas of a list that is worth one
    "index_patience",  # walks of the whole list before one is thought of
    "index_anon_vma",  # whose index there is, NULL if none
    "index_wanted",  # the anon_vma walked last, NULL after any event but a walk
    "index_walks",  # walks done by an index
    "index_credit",  # vmas visited by plain walks of it
    "index_price",  # vmas to be visited before an index is made
    "index_words",  # the index that would be made: its size, page index of column 0, columns
    "index_wanted_low",
    "index_wanted_columns",
    "index_low",  # the same of the one that there is
    "index_columns",
    "index_no_rss",  # where each part begins
    "index_column",
    "index_bits",
    "index_cursor",
    "index_places",
    "index_swap",
    "index_other",
    "index_first",
    "index_mappers",
    "index_n_mappers",
    "peaks_base",  # N_PEAKS rows of the timeline
    "change_base",  # the row of `changes` logged last
    "pages_told",  # anonymous pages and mapped ptes up to the last row of `page_changes`
    "ptes_told",
    "next_sample",  # event of the next sample of the timeline
    "stride",  # the timeline has one sample for each `stride` events
    "log_need",  # region whose room ran out, plus 1, and rows needed
    "log_need_rows",
)
GLOB = record(*_COUNTERS, *_CONTEXT, *_POOLS, *_FREE_PAGES, *_IDS, *_LRU, *_PARTS)
"""The one record of counters, options, pool marks and hash parameters; the scheme adds its own."""

COUNTERS = _COUNTERS


class State(NamedTuple):
    """All arrays of a replay. `rmap` holds the scheme's own tables; its class names the scheme."""

    vma: Any  # VMA records
    page: Any  # PAGE records
    mm: Any  # MM records
    proc: Any  # PROC records; never reused
    slot: Any  # SLOT records
    pt: Any  # int64: blocks of PT_STRIDE words; interior blocks hold rows of blocks, leaves hold ptes
    ints: Any  # int64: hash tables, histograms and the marks of the log's regions
    glob: Any  # one GLOB record
    log: Any  # int64: rows of result tables, a region for each
    page_changes: Any  # PAGE_CHANGE: see `PAGE_CHANGES`
    shards: Any  # SHARD_NUMBER: where a replay is one of several, which of them each row of the batch is for
    index: Any  # int64: an index of one list, while it is walked again and again
    rmap: Any
