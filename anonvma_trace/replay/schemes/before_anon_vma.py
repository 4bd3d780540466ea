"""What the schemes before rmap 39 have alike: vmas know nothing of reverse mapping, and merge without regard to it.

Modules of such schemes take these functions over by name (`interface`).

Source: mm/mmap.c of Linux 2.6.6, ``is_mergeable_vma``, ``can_vma_merge_before``, ``can_vma_merge_after``.
"""

from __future__ import annotations

from ..layout import BUG_NONE, SIDE_FILE, SIDE_FLAGS, SIDE_OK, SIDE_PGOFF_FILE


def anon_vma_prepare(s, vma):
    """Do nothing: a vma needs nothing before its first page."""


def anon_vma_fork(s, vma, parent):
    """Do nothing for the child's copy of a vma."""


def anon_vma_link(s, vma, source):
    """Do nothing for a vma that was copied from another."""


def anon_vma_merge(s, vma, next_vma):
    """Do nothing for a vma that disappears into another."""


def anon_vma_shift(s, importer, exporter):
    """Do nothing where a boundary moves."""


def anon_vma_moved(s, vma, source, anon_vma):
    """Do nothing for the vma that moved pages go to."""


def anon_vma_unlink(s, vma):
    """Do nothing for a dying vma."""


def anon_vmas_compatible(s, a, b):
    """Return True: there is nothing in which two vmas could differ."""
    return True


def merge_side(s, vma, flags, file, anon_vma, source, pgoff_fits):
    """Return why `vma` may not grow over a range of these properties, or SIDE_OK.

    There is no test of an anon_vma, and none of ``vm_pgoff`` where there is no file.
    """
    v = s.vma[vma]
    if v.vm_flags != flags:
        return SIDE_FLAGS
    if v.file != file:
        return SIDE_FILE
    return SIDE_OK if file == 0 or pgoff_fits else SIDE_PGOFF_FILE


def anon_rmap_bug(s, page, vma, vpn):
    """Return BUG_NONE: nothing is checked when a page is mapped."""
    return BUG_NONE
