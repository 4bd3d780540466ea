"""Samples over time: equally spaced events, thinned out as the trace grows, and the events of peaks."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    LOG_CHANGES,
    LOG_TIMELINE,
    PAGE_CHANGES_WIDTH,
    PEAK_ANON_VMAS,
    PEAK_LONGEST,
    PEAK_OVERHEAD,
    PEAK_PAGES,
    PEAK_VMAS,
    REGION_BASE,
    REGION_ROWS,
    TIMELINE_SAMPLES,
    TIMELINE_WIDTH,
)
from .log import log_row


@kernel
def write_sample(s, table, at):
    """Write the present figures as one sample of eight words."""
    glob = s.glob[0]
    table[at] = glob.event
    table[at + 1] = glob.ts
    table[at + 2] = glob.vmas_live
    table[at + 3] = glob.anon_vmas_allocated - glob.anon_vmas_freed
    table[at + 4] = glob.pages_allocated - glob.pages_freed
    table[at + 5] = glob.mapped_ptes
    table[at + 6] = glob.longest_now
    table[at + 7] = glob.overhead_x86_64


@kernel
def log_change(s, row):
    """Tell what this event, a row of the batch, changed of a shard's figures; ids that it gave too."""
    glob = s.glob[0]
    pages = glob.pages_allocated - glob.pages_freed
    at = PAGE_CHANGES_WIDTH * row
    s.page_changes[at] = pages - glob.pages_told
    s.page_changes[at + 1] = glob.mapped_ptes - glob.ptes_told
    glob.pages_told = pages
    glob.ptes_told = glob.mapped_ptes
    last = glob.change_base
    if (
        s.ints[last + 1] != glob.vmas_live
        or s.ints[last + 2] != glob.anon_vmas_allocated - glob.anon_vmas_freed
        or s.ints[last + 3] != glob.longest_now
        or s.ints[last + 4] != glob.overhead_i386
        or s.ints[last + 5] != glob.overhead_x86_64
        or s.ints[last + 6] != glob.vma_id
        or s.ints[last + 7] != glob.anon_vma_id
        or s.ints[last + 8] != glob.shm_id
    ):
        _write_change(s, s.ints, last)
        _write_change(s, s.log, log_row(s, LOG_CHANGES))


@kernel
def _write_change(s, table, at):
    """Write the present figures as a row of `changes`."""
    glob = s.glob[0]
    table[at] = glob.event
    table[at + 1] = glob.vmas_live
    table[at + 2] = glob.anon_vmas_allocated - glob.anon_vmas_freed
    table[at + 3] = glob.longest_now
    table[at + 4] = glob.overhead_i386
    table[at + 5] = glob.overhead_x86_64
    table[at + 6] = glob.vma_id
    table[at + 7] = glob.anon_vma_id
    table[at + 8] = glob.shm_id


@kernel
def raise_peaks(s):
    """Raise the summary's peaks to the present figures, and keep the sample of the event that did."""
    glob = s.glob[0]
    glob.overhead_i386_peak = max(glob.overhead_i386_peak, glob.overhead_i386)
    if glob.vmas_live > glob.vmas_peak:
        glob.vmas_peak = glob.vmas_live
        write_sample(s, s.ints, glob.peaks_base + PEAK_VMAS * TIMELINE_WIDTH)
    anon_vmas = glob.anon_vmas_allocated - glob.anon_vmas_freed
    if anon_vmas > glob.anon_vmas_peak:
        glob.anon_vmas_peak = anon_vmas
        write_sample(s, s.ints, glob.peaks_base + PEAK_ANON_VMAS * TIMELINE_WIDTH)
    if glob.longest_now > glob.longest_list:
        glob.longest_list = glob.longest_now
        write_sample(s, s.ints, glob.peaks_base + PEAK_LONGEST * TIMELINE_WIDTH)
    pages = glob.pages_allocated - glob.pages_freed
    if pages > glob.pages_peak:
        glob.pages_peak = pages
        write_sample(s, s.ints, glob.peaks_base + PEAK_PAGES * TIMELINE_WIDTH)
    if glob.overhead_x86_64 > glob.overhead_x86_64_peak:
        glob.overhead_x86_64_peak = glob.overhead_x86_64
        write_sample(s, s.ints, glob.peaks_base + PEAK_OVERHEAD * TIMELINE_WIDTH)


@kernel
def sample_timeline(s):
    """Sample every `stride`-th event; when there are too many samples, drop every second one."""
    glob = s.glob[0]
    if glob.event < glob.next_sample:
        return
    mark = 4 * LOG_TIMELINE
    rows = s.ints[mark + REGION_ROWS]
    if rows == TIMELINE_SAMPLES:
        base = s.ints[mark + REGION_BASE]
        for row in range(rows // 2):
            for field in range(TIMELINE_WIDTH):
                s.log[base + row * TIMELINE_WIDTH + field] = s.log[base + 2 * row * TIMELINE_WIDTH + field]
        s.ints[mark + REGION_ROWS] = rows // 2
        glob.stride *= 2
        past = (glob.event - 1) % glob.stride
        if past != 0:
            glob.next_sample = glob.event - past + glob.stride
            return
    glob.next_sample = glob.event + glob.stride
    write_sample(s, s.log, log_row(s, LOG_TIMELINE))
