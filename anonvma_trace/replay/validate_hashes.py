"""Checks of processes and the users of their mms, of the hash tables, and of sums that counters must make."""

from __future__ import annotations

import numpy as np

from .breaches import compare, tell
from .compiled import kernel
from .file_pages import find_file_page
from .frames import frame_place
from .invariants import (
    FIGURE,
    FIGURE_ATTEMPTS,
    FIGURE_FILE_WALKS,
    FIGURE_PROCESSES,
    FIGURE_VISITED,
    FIGURE_WALKS,
    HASH_COUNT,
    HASH_ENTRY,
    HASH_FILE_PAGES,
    HASH_FRAMES,
    HASH_LOOKUP,
    HASH_PIDS,
    MM_OWNER,
    MM_USERS,
    PROC_MM,
)
from .layout import NULL, PG_ANON_KIND
from .processes import pid_place


@kernel
def validate_processes(s, c):
    """Check that every process has an mm in use, and every mm as many users as processes share it."""
    glob = s.glob[0]
    for proc in range(1, glob.proc_top):
        mm = s.proc[proc].mm
        if mm == NULL:
            continue
        if mm < 1 or mm >= glob.mm_top or s.mm[mm].users == 0:
            tell(c, PROC_MM, proc, 0, proc, 0, mm, 0)
            continue
        c.mm[mm].users += 1
    for mm in range(1, glob.mm_top):
        m = s.mm[mm]
        if m.users != 0 and (m.owner < 1 or m.owner >= glob.proc_top):
            tell(c, MM_OWNER, mm, 0, 0, 0, m.owner, 0)
        if m.users != c.mm[mm].users:
            tell(c, MM_USERS, mm, 0, m.owner, 0, m.users, c.mm[mm].users)
    compare(c, FIGURE, FIGURE_PROCESSES, glob.n_processes, glob.proc_top - 1)


@kernel
def _count_entries(s, base, mask):
    """Return how many entries of an open hash table are in use."""
    used = 0
    for entry in range(mask + 1):
        if s.ints[base + 3 * entry] != 0:
            used += 1
    return used


@kernel
def validate_pids(s, c):
    """Check the hash of pids: every live process is found, and each entry is where a search ends."""
    glob = s.glob[0]
    used = _count_entries(s, glob.pid_base, glob.pid_mask)
    compare_entries(c, HASH_PIDS, glob.pid_used, used)
    if used > glob.pid_mask:
        return  # a search would not end
    for entry in range(glob.pid_mask + 1):
        at = glob.pid_base + 3 * entry
        if s.ints[at] == 0:
            continue
        pid, proc = s.ints[at] - 1, s.ints[at + 1]
        if proc < 0 or proc >= glob.proc_top or (proc != NULL and s.proc[proc].pid != pid):
            tell(c, HASH_ENTRY, HASH_PIDS, entry, 0, 0, 0, 0)
        elif pid_place(s, pid) != at:
            tell(c, HASH_LOOKUP, HASH_PIDS, pid, 0, 0, 0, 0)
    for proc in range(1, glob.proc_top):
        p = s.proc[proc]
        if p.mm != NULL and s.ints[pid_place(s, p.pid) + 1] != proc:
            tell(c, HASH_LOOKUP, HASH_PIDS, p.pid, 0, 0, 0, 0)


@kernel
def validate_frames(s, c):
    """Check the hash of frames: each entry is where a search ends and names a row of `page`."""
    glob = s.glob[0]
    used = _count_entries(s, glob.frame_base, glob.frame_mask)
    compare_entries(c, HASH_FRAMES, glob.frame_used, used)
    if used == 0 or used > glob.frame_mask:
        return
    for entry in range(glob.frame_mask + 1):
        at = glob.frame_base + 3 * entry
        if s.ints[at] == 0:
            continue
        if s.ints[at + 1] < 0 or s.ints[at + 1] >= glob.page_top:
            tell(c, HASH_ENTRY, HASH_FRAMES, entry, 0, 0, 0, 0)
        elif frame_place(s, s.ints[at] - 1) != at:
            tell(c, HASH_LOOKUP, HASH_FRAMES, s.ints[at] - 1, 0, 0, 0, 0)


@kernel
def validate_file_pages(s, c):
    """Check the hash of file pages: its chains hold each of them once, where a search finds it."""
    glob = s.glob[0]
    n = 0
    for bucket in range(glob.file_mask + 1):
        page = s.ints[glob.file_base + bucket]
        while page != NULL:
            if page < 1 or page >= glob.page_top or s.page[page].serial >= 0 or c.page[page].met:
                tell(c, HASH_ENTRY, HASH_FILE_PAGES, bucket, 0, 0, 0, 0)
                return
            c.page[page].met = 1
            n += 1
            page = np.int64(s.page[page].lru_next)
    compare_entries(c, HASH_FILE_PAGES, glob.n_file_pages, n)
    for page in range(1, glob.page_top):
        p = s.page[page]
        if p.serial < 0 and p.pg_flags & PG_ANON_KIND == 0:
            if c.page[page].met == 0 or find_file_page(s, np.int64(p.slot), p.index) != page:
                tell(c, HASH_LOOKUP, HASH_FILE_PAGES, np.int64(p.serial), 0, 0, 0, 0)


@kernel
def compare_entries(c, table, counted, found):
    """Note a count of a hash table's entries that differs from a recount."""
    if counted != found:
        tell(c, HASH_COUNT, table, 0, 0, 0, counted, found)


@kernel
def validate_counters(s, c):
    """Check the sums that counters of walks and merges must make."""
    glob = s.glob[0]
    misses = glob.miss_rss + glob.miss_range + glob.miss_none + glob.miss_swap + glob.miss_other
    misses += glob.miss_extinct
    compare(c, FIGURE, FIGURE_VISITED, glob.vmas_visited, misses + glob.hits)
    walks, file_walks = 0, 0
    for visited in range(glob.visited_cap):
        walks += s.ints[glob.visited_base + visited]
        file_walks += s.ints[glob.file_visited_base + visited]
    compare(c, FIGURE, FIGURE_WALKS, glob.walks, walks)
    compare(c, FIGURE, FIGURE_FILE_WALKS, glob.file_walks, file_walks)
    attempts = 0
    for case in range(9):
        attempts += s.ints[glob.by_case_base + case]
    compare(c, FIGURE, FIGURE_ATTEMPTS, glob.merge_attempts, attempts)
