"""Rows that name a page: reclaim, referenced, try_unmap, swap_out. They leave the LRU order alone."""

from __future__ import annotations

from .compiled import kernel
from .frames import page_of_frame
from .layout import DIAG_FILE_PAGE, DIAG_NOT_ANON, DIAG_UNKNOWN_FRAME, NULL, PG_ANON_KIND
from .log import log_diagnostic
from .reclaim import anon_page_at


@kernel
def named_page(s, proc, address, vpn, frame):
    """Return the mapped anonymous page that a row names by address or frame, or NULL (told in diagnostics)."""
    page = NULL
    if address != -1:
        if proc != NULL:
            page = anon_page_at(s, s.proc[proc].mm, vpn)
        if page == NULL:
            log_diagnostic(s, DIAG_NOT_ANON, proc, vpn, 0, 0)
    elif frame >= 0:
        page = page_of_frame(s, frame)
        if page == NULL:
            log_diagnostic(s, DIAG_UNKNOWN_FRAME, proc, 0, frame, 0)
        elif s.page[page].pg_flags & PG_ANON_KIND == 0:
            log_diagnostic(s, DIAG_FILE_PAGE, proc, 0, 0, 0)
            page = NULL
    else:
        log_diagnostic(s, DIAG_NOT_ANON, proc, 0, 0, 0)
    return page
