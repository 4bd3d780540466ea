"""Locks by operation, before the patch and with it, on scenarios small enough to count by hand."""

import pytest

from .core_state import CoreReplay
from .scenario_text import scenario_rows


def locks(text, operation):
    """Return (i_mmap_lock, page_table_lock before, page_table_lock after, anon_vma_lock) of an operation."""
    replay = CoreReplay()
    replay.feed(*scenario_rows(text))
    counted = replay.summary()["locks"][operation]
    before, after = counted["before"], counted["after"]
    assert before["i_mmap_lock"] == after["i_mmap_lock"]
    return (
        before["i_mmap_lock"],
        before["page_table_lock"],
        after["page_table_lock"],
        after["anon_vma_lock"],
    )


@pytest.mark.parametrize(
    ("text", "operation", "expected"),
    [
        ("map 10 12 rw", "vma_link", (0, 1, 0, 0)),  # a new vma has no anon_vma
        ("map 10 12 rw file f 0", "vma_link", (1, 1, 0, 0)),
        ("map 10 12 rw; w 10; move 10 12 50", "vma_link", (0, 2, 0, 1)),  # the moved copy has one
        ("map 10 14 rw; prot 12 14 r", "vma_adjust", (0, 1, 0, 0)),  # one split, nothing faulted
        ("map 10 14 rw; w 10; prot 12 14 r", "vma_adjust", (0, 1, 0, 1)),
        ("map 10 12 rw; w 10; map 12 14 rw", "vma_adjust", (0, 1, 0, 1)),  # a merge, case 2
        ("map 10 12 rw; w 10; unmap 10 12", "munmap", (0, 1, 1, 1)),
        ("map 10 12 rw; unmap 10 12", "munmap", (0, 1, 1, 0)),
        ("map 98 99 rw growsdown; w 95", "stack_growth", (0, 1, 0, 1)),  # prepare comes first
        ("map 10 12 rw; w 10,11", "prepare", (0, 0, 1, 0)),  # the second write finds one
        ("map 10 12 rw; w 10; map 20 22 rw file f 0; fork m2", "fork", (1, 2, 2, 1)),
        ("map 10 12 rw; w 10; map 20 22 rw file f 0; exit", "exit", (1, 0, 0, 1)),
        # Walk: one anon_vma->lock; of two vmas the child's passes the tests, and so does the parent's.
        ("map 10 12 rw; w 10; fork m2; referenced 10", "walk", (0, None, 2, 1)),
        ("map 10 12 rw; w 10; fork m2; m2: dontneed 10 12; referenced 10", "walk", (0, None, 1, 1)),  # rss 0
    ],
)
def test_locks_of_an_operation(text, operation, expected):
    assert locks(text, operation) == expected
