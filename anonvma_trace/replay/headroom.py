"""Room for one event: asked before it begins, so that nothing inside it can run out.

The core never reallocates. Where room is short it notes what it needs and hands the event back; Python grows
that pool, or empties the log, and calls again. The bounds are generous, not tight.
"""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    LOG_CHANGES,
    LOG_DIAGNOSTICS,
    LOG_FILE_WALKS,
    LOG_MERGES,
    LOG_SPANS,
    LOG_STEPS,
    LOG_WALKS,
    PT_BITS,
    PT_LEVELS,
    REGION_CAP,
    REGION_ROWS,
)
from .schemes.interface import rmap_has_room

FEW = 16  # more than any event needs that does not grow with vmas or pages
FAULTS_AT_ONCE = 8  # faults for which room is asked together: they come in rows


@kernel
def log_has_room(s, region, rows):
    """Return whether a region of the log has room for so many rows; if not, the need stands in `glob`."""
    mark = 4 * region
    if s.ints[mark + REGION_ROWS] + rows <= s.ints[mark + REGION_CAP]:
        return True
    s.glob[0].log_need = region + 1
    s.glob[0].log_need_rows = rows
    return False


@kernel
def has_room(s, n_vmas, n_new_vmas, n_pages, n_blocks, n_walks, n_ptes=0, n_events=1):
    """Return whether every pool and log region has room for an event; if not, the needs stand in `glob`.

    Parameters
    ----------
    n_vmas : int64
        Vmas that may change or go: vmas of the mms concerned.
    n_new_vmas, n_pages, n_blocks, n_walks : int64
        Objects that may be made, and walks that may be done.
    n_ptes : int64, optional
        Ptes of anonymous pages that may be copied or moved.
    n_events : int64, optional
        So many such events, of which none changes or makes many things.
    """
    glob = s.glob[0]
    few = FEW * n_events
    glob.log_need = 0
    glob.vma_need = n_new_vmas + few
    glob.page_need = n_pages + few
    glob.block_need = n_blocks + 2 * PT_LEVELS * n_events
    glob.mm_need = few
    glob.proc_need = few
    glob.slot_need = n_walks + few
    glob.visited_need = glob.longest_now + n_vmas + n_new_vmas + few
    if (
        glob.vma_cap - glob.vma_top + glob.vma_n_free < glob.vma_need
        or glob.page_cap - glob.page_top + glob.page_n_free < glob.page_need
        or glob.block_cap - glob.block_top + glob.block_n_free < glob.block_need
        or glob.mm_cap - glob.mm_top + glob.mm_n_free < glob.mm_need
        or glob.proc_cap - glob.proc_top < glob.proc_need
        or glob.slot_cap - glob.slot_top + glob.slot_n_free < glob.slot_need
        or glob.visited_cap < glob.visited_need
        or glob.index_cap < glob.index_need
        or 2 * glob.pid_used > glob.pid_mask - few
        or 2 * glob.frame_used > glob.frame_mask - few
        or glob.n_file_pages > 2 * glob.file_mask
        or not rmap_has_room(s, n_vmas, n_new_vmas, n_pages, n_ptes, few)
    ):
        return False
    return (
        log_has_room(s, LOG_SPANS, n_vmas + few)
        and log_has_room(s, LOG_MERGES, n_vmas + few)
        and log_has_room(s, LOG_WALKS, n_walks + few)
        and log_has_room(s, LOG_FILE_WALKS, few)
        and log_has_room(s, LOG_DIAGNOSTICS, n_vmas + n_walks + few)
        and (glob.told_event == 0 or log_has_room(s, LOG_STEPS, n_vmas + few))
        and (glob.is_shard == 0 or log_has_room(s, LOG_CHANGES, few))
    )


@kernel
def blocks_over(length):
    """Return how many page-table blocks a fully present range of `length` pages needs at most."""
    return (length >> PT_BITS) + (length >> (2 * PT_BITS)) + 2 * PT_LEVELS
