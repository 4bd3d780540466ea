"""Which locks an operation takes, before the patch (rmap 38) and with it: counts, no contention.

Source: the hunks of rmap 39 in mm/mmap.c, mm/rmap.c, kernel/fork.c.
"""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL

OPERATIONS = ("vma_link", "vma_adjust", "munmap", "stack_growth", "prepare", "fork", "exit", "walk")
(
    LOCK_VMA_LINK,
    LOCK_VMA_ADJUST,
    LOCK_MUNMAP,
    LOCK_STACK_GROWTH,
    LOCK_PREPARE,
    LOCK_FORK,
    LOCK_EXIT,
    LOCK_WALK,
) = range(len(OPERATIONS))

# Words of an operation: i_mmap_lock (before and after alike), page_table_lock before, page_table_lock after,
# anon_vma->lock (after only).
LOCK_WORDS = 4
I_MMAP_LOCK, PAGE_TABLE_LOCK_BEFORE, PAGE_TABLE_LOCK_AFTER, ANON_VMA_LOCK = range(LOCK_WORDS)


@kernel
def count_locks(s, operation, file, page_table_before, page_table_after, anon_vma):
    """Count the locks of one operation; `file` and `anon_vma` are rows, NULL for none."""
    at = s.glob[0].locks_base + LOCK_WORDS * operation
    if file != 0:
        s.ints[at + I_MMAP_LOCK] += 1
    s.ints[at + PAGE_TABLE_LOCK_BEFORE] += page_table_before
    s.ints[at + PAGE_TABLE_LOCK_AFTER] += page_table_after
    if anon_vma != NULL:
        s.ints[at + ANON_VMA_LOCK] += 1
