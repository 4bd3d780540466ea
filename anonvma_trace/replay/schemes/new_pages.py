"""Pages that are new in a vma, in events one after another, for schemes whose pages point to `heads` with `members`."""

from __future__ import annotations

from ..layout import NULL
from .defaults import ANY_NUMBER
from .heads import touch_head
from .members import member_add_pages


def room_for_new_pages(s, vma):
    """Return ANY_NUMBER if the vma has an anon_vma: a new page is the vma's own."""
    return 0 if s.vma[vma].anon_vma == NULL else ANY_NUMBER


def new_page_mapping(s, vma):
    """Return the vma's anon_vma, its id, and what added to a page number gives the index."""
    v = s.vma[vma]
    return v.anon_vma, s.rmap.anon_vma[v.anon_vma].id, v.pgoff - v.start


def pages_mapped(s, vma, pages):
    """Count new pages on the vma's anon_vma and its process there."""
    anon_vma = s.vma[vma].anon_vma
    a = s.rmap.anon_vma[anon_vma]
    a.pages_ever += pages
    a.n_pages += pages
    touch_head(s, anon_vma)
    member_add_pages(s, s.vma[vma].member, pages)
