"""Rows for result tables: written into the log's regions, collected by Python between calls."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    LOG_ANON_VMAS,
    LOG_DIAGNOSTICS,
    LOG_MEMBERS,
    LOG_SPANS,
    NULL,
    REGION_BASE,
    REGION_ROWS,
    REGION_WIDTH,
)
from .schemes.interface import anon_vma_id


@kernel
def log_row(s, region):
    """Take the next row of a region and return where in the log it begins; the caller fills it."""
    mark = 4 * region
    rows = s.ints[mark + REGION_ROWS]
    s.ints[mark + REGION_ROWS] = rows + 1
    return s.ints[mark + REGION_BASE] + rows * s.ints[mark + REGION_WIDTH]


@kernel
def log_diagnostic(s, code, proc, vpn, a, b):
    """Tell something of the current event; `vpn` is a page number, `a` and `b` are as the code says."""
    at = log_row(s, LOG_DIAGNOSTICS)
    s.log[at] = s.glob[0].event
    s.log[at + 1] = code
    s.log[at + 2] = proc
    s.log[at + 3] = vpn
    s.log[at + 4] = a
    s.log[at + 5] = b


@kernel
def log_vma_span(s, vma):
    """Close the span in which a vma stood unchanged; to be called before every change of it.

    A state that did not last from one event to the next leaves no row.
    """
    event = s.glob[0].event
    v = s.vma[vma]
    if v.span_from < event:
        at = log_row(s, LOG_SPANS)
        _write_span(s, at, vma)
        s.log[at + 9] = event
        s.log[at + 10] = vma
        v.span_from = event


@kernel
def _write_span(s, at, vma):
    v = s.vma[vma]
    s.log[at] = v.id
    s.log[at + 1] = s.mm[v.mm].owner
    s.log[at + 2] = v.start
    s.log[at + 3] = v.end
    s.log[at + 4] = v.vm_flags
    s.log[at + 5] = v.pgoff
    s.log[at + 6] = v.file
    s.log[at + 7] = anon_vma_id(s, vma)
    s.log[at + 8] = v.span_from


@kernel
def settle_vma_spans(s):
    """Take back the spans that this event closed although the vma stands as before, now that it is over."""
    mark = 4 * LOG_SPANS
    rows = s.ints[mark + REGION_ROWS]
    kept = s.glob[0].spans_before
    if kept == rows:
        return
    width = s.ints[mark + REGION_WIDTH]
    base = s.ints[mark + REGION_BASE]
    for row in range(kept, rows):
        at = base + row * width
        if _stands_as_logged(s, at):
            s.vma[s.log[at + 10]].span_from = s.log[at + 8]
        else:
            for field in range(width):
                s.log[base + kept * width + field] = s.log[at + field]
            kept += 1
    s.ints[mark + REGION_ROWS] = kept


@kernel
def _stands_as_logged(s, at):
    vma = s.log[at + 10]
    v = s.vma[vma]
    return (
        v.mm != NULL
        and v.id == s.log[at]
        and v.start == s.log[at + 2]
        and v.end == s.log[at + 3]
        and v.vm_flags == s.log[at + 4]
        and v.pgoff == s.log[at + 5]
        and v.file == s.log[at + 6]
        and s.log[at + 7] == anon_vma_id(s, vma)
    )


@kernel
def log_member(s, anon_vma_id, proc, vmas_peak, pages_peak):
    """Write the row of an anon_vma and process whose relation has ended."""
    at = log_row(s, LOG_MEMBERS)
    s.log[at] = anon_vma_id
    s.log[at + 1] = proc
    s.log[at + 2] = vmas_peak
    s.log[at + 3] = pages_peak
    s.log[at + 4] = s.glob[0].event


@kernel
def log_freed_anon_vma(s, anon_vma_id, allocated, figures):
    """Count an anon_vma (or what the scheme has for it) as freed, and write its row.

    Parameters
    ----------
    anon_vma_id : int64
    allocated : tuple of int64
        allocated_event, allocated_ts, allocated_by, proc.
    figures : tuple of int64
        peak_vmas, peak_pages, pages_ever, walks, vmas_visited.
    """
    glob = s.glob[0]
    allocated_event, allocated_ts, allocated_by, proc = allocated
    peak_vmas, peak_pages, pages_ever, walks, vmas_visited = figures
    at = log_row(s, LOG_ANON_VMAS)
    log = s.log
    log[at] = anon_vma_id
    log[at + 1] = allocated_event
    log[at + 2] = allocated_ts
    log[at + 3] = allocated_by
    log[at + 4] = proc
    log[at + 5] = glob.event
    log[at + 6] = glob.ts
    log[at + 7] = peak_vmas
    log[at + 8] = peak_pages
    log[at + 9] = pages_ever
    log[at + 10] = walks
    log[at + 11] = vmas_visited
    glob.anon_vmas_freed += 1
    if pages_ever == 0:
        glob.anon_vmas_never_used += 1
