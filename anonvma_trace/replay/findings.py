"""Pages that the patch itself loses: where a merge does it, and as they stand at the end of a replay."""

from __future__ import annotations

from .compiled import entry_point, kernel
from .layout import NULL, PG_ANON_KIND, PTE_PRESENT, PTE_SHIFT, PTE_SWAP
from .page_table import end_of_leaf, find_pte, get_pte, next_pte
from .schemes.interface import page_reachable

UNREACHABLE, DANGLING = 1, 2


@kernel
def count_lossy_merge(s, mm, start, end):
    """Count that [start, end), which had an anon_vma, is now in a vma without one, and the ptes that it concerns.

    Defects D1 (mm/mmap.c, ``vma_adjust`` of rmap 39 shifts a border) and D2 (``copy_vma`` merges).
    """
    s.glob[0].lossy_merges += 1
    vpn = next_pte(s, mm, start, end)
    while vpn < end:
        pte = get_pte(s, mm, vpn)
        anonymous = pte & PTE_PRESENT and s.page[pte >> PTE_SHIFT].pg_flags & PG_ANON_KIND
        if anonymous or pte & PTE_SWAP:
            s.glob[0].ptes_lost += 1
        vpn = next_pte(s, mm, vpn + 1, end)


@entry_point
def mark_lost_pages(s, marks):
    """Mark every anonymous page with a pte that no walk finds.

    Parameters
    ----------
    s : State
    marks : ndarray of uint8, shape (rows of `page`,)
        Gets UNREACHABLE, and DANGLING where the page's anon_vma is freed.
    """
    for mm in range(1, s.glob[0].mm_top):
        vma = s.mm[mm].first if s.mm[mm].users != 0 else NULL
        while vma != NULL:
            _mark_in_vma(s, vma, marks)
            vma = s.vma[vma].next
    return 0


@kernel
def _mark_in_vma(s, vma, marks):
    """Mark the pages of one vma, as `mark_lost_pages`."""
    mm, end = s.vma[vma].mm, s.vma[vma].end
    vpn = next_pte(s, mm, s.vma[vma].start, end)
    while vpn < end:  # block by block
        stop = end_of_leaf(vpn, end)
        first = find_pte(s, mm, vpn)
        for at in range(first, first + stop - vpn):
            pte = s.pt[at]
            page = pte >> PTE_SHIFT
            if pte & PTE_PRESENT and s.page[page].pg_flags & PG_ANON_KIND:
                found = page_reachable(s, page, vma, vpn + at - first)
                if found != 1:
                    marks[page] |= UNREACHABLE
                if found < 0:
                    marks[page] |= DANGLING
        vpn = next_pte(s, mm, stop, end)
