"""Which page object a physical frame of the trace is: the page of the latest fault row with that frame."""

from __future__ import annotations

from .compiled import kernel
from .layout import NULL, PTE_PRESENT, PTE_SHIFT
from .page_table import get_pte


@kernel
def frame_place(s, frame):
    """Return where in `ints` the entry of a frame is, or would be."""
    glob = s.glob[0]
    at = (((frame & 0x7FFFFFFF) * 0x9E3779B1) >> 5) & glob.frame_mask
    while True:
        key = s.ints[glob.frame_base + 3 * at]
        if key == 0 or key == frame + 1:
            return glob.frame_base + 3 * at
        at = (at + 1) & glob.frame_mask


@kernel
def name_frame(s, frame, mm, vpn):
    """Let `frame` name the page that is present at `vpn` now; with none there it names nothing any more."""
    pte = get_pte(s, mm, vpn)
    page = pte >> PTE_SHIFT if pte & PTE_PRESENT else NULL
    at = frame_place(s, frame)
    if s.ints[at] == 0:
        s.glob[0].frame_used += 1
    s.ints[at] = frame + 1
    s.ints[at + 1] = page
    s.ints[at + 2] = s.page[page].serial


@kernel
def page_of_frame(s, frame):
    """Return the page that a frame names, if it is still there and mapped, or NULL."""
    at = frame_place(s, frame)
    page = s.ints[at + 1]
    if page == NULL or s.page[page].serial != s.ints[at + 2] or s.page[page].mapcount == 0:
        return NULL
    return page
