"""Samples over time: equally spaced events, thinned out as the trace grows, and the events of peaks."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    CHANGE_WIDTH,
    LOG_CHANGES,
    LOG_PAGE_CHANGES,
    LOG_TIMELINE,
    PAGE_CHANGE_WIDTH,
    PEAK_ANON_VMAS,
    PEAK_LONGEST,
    PEAK_OVERHEAD,
    PEAK_PAGES,
    PEAK_VMAS,
    REGION_BASE,
    REGION_ROWS,
    REGION_WIDTH,
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
def log_change(s):
    """Log the figures of a shard where this event changed one of them, or gave an id."""
    glob = s.glob[0]
    log = s.log
    at = _next_row(s, LOG_PAGE_CHANGES)
    log[at + 1] = glob.pages_allocated - glob.pages_freed
    log[at + 2] = glob.mapped_ptes
    _take_if_changed(s, LOG_PAGE_CHANGES, at, glob.page_change_base, PAGE_CHANGE_WIDTH)
    at = _next_row(s, LOG_CHANGES)
    log[at + 1] = glob.vmas_live
    log[at + 2] = glob.anon_vmas_allocated - glob.anon_vmas_freed
    log[at + 3] = glob.longest_now
    log[at + 4] = glob.overhead_i386
    log[at + 5] = glob.overhead_x86_64
    log[at + 6] = glob.vma_id
    log[at + 7] = glob.anon_vma_id
    log[at + 8] = glob.shm_id
    _take_if_changed(s, LOG_CHANGES, at, glob.change_base, CHANGE_WIDTH)


@kernel
def _next_row(s, region):
    mark = 4 * region
    return s.ints[mark + REGION_BASE] + s.ints[mark + REGION_ROWS] * s.ints[mark + REGION_WIDTH]


@kernel
def _take_if_changed(s, region, at, last, width):
    """Take the row of a region written at `at` if it differs from the one at `last` in `ints`, the one before it."""
    changed = False
    for field in range(1, width):
        if s.log[at + field] != s.ints[last + field]:
            s.ints[last + field] = s.log[at + field]
            changed = True
    if changed:
        s.log[at] = s.glob[0].event
        s.ints[4 * region + REGION_ROWS] += 1


@kernel
def raise_peaks(s):
    """Raise the summary's peaks to the present figures, and keep the sample of the event that did."""
    glob = s.glob[0]
    glob.vmas_sum += glob.vmas_live
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
