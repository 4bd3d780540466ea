"""Which pages of a process are anonymous, by ``/proc/PID/pagemap``.

Source: Linux Documentation/admin-guide/mm/pagemap.rst, include/uapi/linux/fs.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from array import array
from collections.abc import Iterator
from pathlib import Path

PAGE_SIZE = 4096
USER_END = 1 << 47

_ENTRIES_AT_ONCE = 1 << 16

# Bits of a pagemap entry.
_PRESENT, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61
_PFN_MASK = (1 << 55) - 1
_SWAP_TYPE_BITS = 5

_PAGEMAP_SCAN = 0xC0606610  # _IOWR('f', 16, struct pm_scan_arg)
_IS_FILE, _IS_PRESENT, _IS_SWAPPED, _IS_PFNZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_REGIONS_AT_ONCE = 4096


class _ScanArgument(ctypes.Structure):
    """``struct pm_scan_arg``."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "size",
            "flags",
            "start",
            "end",
            "walk_end",
            "vec",
            "vec_len",
            "max_pages",
            "category_inverted",
            "category_mask",
            "category_anyof_mask",
            "return_mask",
        )
    )


class _Region(ctypes.Structure):
    """``struct page_region``."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("start", "end", "categories"))


def anonymous_page_lines(tid: int) -> Iterator[bytes]:
    """Yield the anonymous pages of a stopped process, a line for each run of neighbours.

    Yields
    ------
    bytes
        ``A ADDRESS PFN:MAPCOUNT …`` for present pages, ``S ADDRESS TYPE:OFFSET …`` for swapped ones, numbers
        hexadecimal; the shared zero page is left out.

    Raises
    ------
    OSError
        The process is gone, or the kernel tells nothing of its pages.
    """
    with (
        Path(f"/proc/{tid}/pagemap").open("rb", buffering=0) as pagemap,
        Path("/proc/kpagecount").open("rb", buffering=0) as counts,
    ):
        regions = _scanned_regions(pagemap.fileno())
        if regions is None:
            regions = _regions_with_anonymous_memory(tid)
        for start, end in regions:
            yield from _lines_of_region(pagemap.fileno(), counts.fileno(), start, end)


def _lines_of_region(pagemap: int, counts: int, start: int, end: int) -> Iterator[bytes]:
    line: list[bytes] = []
    kind = b""
    for address, entry in _entries(pagemap, start, end):
        new_kind, text = _describe(entry, counts)
        if new_kind != kind:
            if kind:
                yield b" ".join(line)
            line, kind = [new_kind, b"%x" % address], new_kind
        line.append(text)
    if kind:
        yield b" ".join(line)


def _entries(pagemap: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield address and pagemap entry of each page of a range."""
    while start < end:
        wanted = min((end - start) // PAGE_SIZE, _ENTRIES_AT_ONCE)
        entries = array("Q", os.pread(pagemap, 8 * wanted, start // PAGE_SIZE * 8))
        if not entries:
            return
        for entry in entries:
            yield start, entry
            start += PAGE_SIZE


def _describe(entry: int, counts: int) -> tuple[bytes, bytes]:
    """Return what kind of page a pagemap entry tells (``A``, ``S``, or empty for none of these), and its text."""
    if entry & _SWAPPED:
        swap = entry & _PFN_MASK
        return b"S", b"%x:%x" % (swap & ((1 << _SWAP_TYPE_BITS) - 1), swap >> _SWAP_TYPE_BITS)
    if not entry & _PRESENT or entry & _OF_FILE:
        return b"", b""
    pfn = entry & _PFN_MASK
    count = int.from_bytes(os.pread(counts, 8, 8 * pfn), "little")
    if count == 0:  # the shared zero page is not counted
        return b"", b""
    return b"A", b"%x:%x" % (pfn, count)


def _scanned_regions(pagemap: int) -> list[tuple[int, int]] | None:
    """Return the ranges of anonymous pages; None before Linux 6.7, which cannot tell them.

    A mapping of terabytes with a few pages in it costs no more than these pages.
    """
    regions: list[tuple[int, int]] = []
    vector = (_Region * _REGIONS_AT_ONCE)()
    argument = _ScanArgument(
        size=ctypes.sizeof(_ScanArgument),
        end=USER_END - PAGE_SIZE,
        vec=ctypes.addressof(vector),
        vec_len=_REGIONS_AT_ONCE,
        category_inverted=_IS_FILE | _IS_PFNZERO,
        category_mask=_IS_FILE | _IS_PFNZERO,
        category_anyof_mask=_IS_PRESENT | _IS_SWAPPED,
        return_mask=0,
    )
    while argument.start < argument.end:
        try:
            n_regions = fcntl.ioctl(pagemap, _PAGEMAP_SCAN, argument)
        except OSError:
            return None
        regions += [(region.start, region.end) for region in vector[:n_regions]]
        if argument.walk_end <= argument.start:
            break
        argument.start = argument.walk_end
    return regions


def _regions_with_anonymous_memory(tid: int) -> list[tuple[int, int]]:
    """Return the mappings in which there are anonymous pages, present or swapped."""
    regions: list[tuple[int, int]] = []
    mapping = (0, 0)
    for line in Path(f"/proc/{tid}/smaps").read_bytes().splitlines():
        word, *values = line.split()
        if not word.endswith(b":"):
            start, end = word.split(b"-")
            mapping = (int(start, 16), int(end, 16))
        elif word in (b"Anonymous:", b"Swap:") and values[0] != b"0" and mapping not in regions[-1:]:
            regions.append(mapping)
    return regions
