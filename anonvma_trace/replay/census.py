"""What a check counts for itself, to compare with what the state says.

`Census` has a table beside each table of the state, as long as that, for marks and counts of the check. What the next
check must know of this one (where each vma stood) is kept there too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .breaches import BREACH_WIDTH
from .layout import PT_LEVELS, PT_STRIDE, State, record
from .schemes.interface import checks_of, scheme_of
from .table import Table

VMA_CENSUS = record(
    "mm",  # whose list holds it
    "treed",  # met in that mm's tree
    "id",  # of the vma that stood in this row after the last check, 0 if none
    "slide",  # its pgoff - start
)
PAGE_CENSUS = record(
    "ptes",  # that hold it
    "mm",  # the last one whose page table was found to hold it
    "met",  # on an LRU list, or in the hash of file pages
)
MM_CENSUS = record(
    "ptes",  # present ones
    "users",
)
SLOT_CENSUS = record("ptes")  # swap ptes that name it
BLOCK_CENSUS = record("met")  # in a page table
CHECK = record(
    "n_breaches",
    "room",  # rows of `breaches`
    "vma_rows",  # lengths of the state's tables
    "page_rows",
    "mm_rows",
    "proc_rows",
    "slot_rows",
    "block_rows",
    "moved",  # since the last check something was moved, or placed with a pgoff of its own
    "slides",  # pgoff of an anonymous vma means something
    "layout_only",  # the scheme's lists and mappings mean nothing (rule merge_pre_rmap39)
)
FIRST_ROOM = 1 << 10
PATH_WORDS = 4 * (PT_LEVELS + 1)
"""Words for each level of the way through a page table: block, next entry, entries met, first page."""


class Census(NamedTuple):
    """All arrays of a check; `rmap` holds the scheme's own."""

    vma: Any  # VMA_CENSUS records
    page: Any  # PAGE_CENSUS records
    mm: Any  # MM_CENSUS records
    slot: Any  # SLOT_CENSUS records
    block: Any  # BLOCK_CENSUS records
    stack: Any  # int64: the way through a search tree, a word for each vma, or through a page table
    check: Any  # one CHECK record
    breaches: Any  # int64: rows of BREACH_FIELDS
    rmap: Any


def _records(rows: int, dtype: np.dtype) -> Table:
    return Table(np.zeros(rows, dtype).view(np.recarray))


def new_census(state: State, *, layout_only: bool, room: int = FIRST_ROOM) -> Census:
    """Return a census for a state, before its first check.

    Parameters
    ----------
    state : State
    layout_only : bool
        Do not look at what is reached from pages: lists and mappings of the scheme mean nothing.
    room : int
        Breaches that one check can note.
    """
    blocks = len(state.pt) // PT_STRIDE
    census = Census(
        vma=_records(len(state.vma), VMA_CENSUS),
        page=_records(len(state.page), PAGE_CENSUS),
        mm=_records(len(state.mm), MM_CENSUS),
        slot=_records(len(state.slot), SLOT_CENSUS),
        block=_records(blocks, BLOCK_CENSUS),
        stack=Table(np.zeros(max(len(state.vma), PATH_WORDS), np.int64)),
        check=_records(1, CHECK),
        breaches=Table(np.zeros(room * BREACH_WIDTH, np.int64)),
        rmap=checks_of(state).new_rmap_census(state),
    )
    check = census.check[0]
    check.room = room
    check.layout_only = layout_only
    check.slides = scheme_of(state).follows_pgoff and not layout_only
    for name in ("vma", "page", "mm", "proc", "slot"):
        check[f"{name}_rows"] = len(getattr(state, name))
    check.block_rows = blocks
    return census


def grown_census(census: Census, state: State, room: int) -> Census:
    """Return a census for a state whose tables have grown, or with more room; it remembers what `census` does."""
    larger = new_census(state, layout_only=bool(census.check[0].layout_only), room=room)
    larger.vma.array[: len(census.vma)] = census.vma.array
    larger.check[0].moved = census.check[0].moved
    return larger


def breach_rows(census: Census) -> np.ndarray:
    """Return the breaches that the last check noted: int64, shape (rows, fields), a copy."""
    check = census.check[0]
    rows = int(min(check.n_breaches, check.room))
    return census.breaches.array[: rows * BREACH_WIDTH].reshape(rows, BREACH_WIDTH).copy()
