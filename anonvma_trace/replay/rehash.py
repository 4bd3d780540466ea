"""Filling the hash tables anew after they grew."""

from __future__ import annotations

from .compiled import entry_point
from .file_pages import hash_file_page
from .frames import frame_place
from .layout import NULL, PG_ANON_KIND
from .processes import pid_place
from .schemes.interface import rehash_rmap


@entry_point
def fill_hashes(s, pids, frames):
    """Put everything back into the emptied hash tables.

    Parameters
    ----------
    s : State
    pids, frames : ndarray of int64, shape (n,)
        The old tables of pids and frames: three words for each entry.
    """
    glob = s.glob[0]
    glob.pid_used = 0
    for entry in range(0, len(pids), 3):
        if pids[entry] != 0:
            at = pid_place(s, pids[entry] - 1)
            for word in range(3):
                s.ints[at + word] = pids[entry + word]
            glob.pid_used += 1
    glob.frame_used = 0
    for entry in range(0, len(frames), 3):
        page = frames[entry + 1]
        if page != NULL and s.page[page].serial == frames[entry + 2]:
            at = frame_place(s, frames[entry] - 1)
            for word in range(3):
                s.ints[at + word] = frames[entry + word]
            glob.frame_used += 1
    for page in range(1, glob.page_top):
        if s.page[page].mapcount > 0 and s.page[page].pg_flags & PG_ANON_KIND == 0:
            hash_file_page(s, page)
    rehash_rmap(s)
    return 0
