"""Anonymous pages by /proc/PID/pagemap, of this very process."""

import ctypes
import mmap
import os

import pytest

from anonvma_trace.parsers.proc_maps import Snapshot
from anonvma_trace.recording import pagemap

PAGE = 4096
MAP_NORESERVE = 0x4000


def anonymous_pages(regions=None):
    try:
        lines = [line.decode() for line in pagemap.anonymous_page_lines(os.getpid())]
    except PermissionError:
        pytest.skip("page frames are told to root only")
    return set(Snapshot(1, page_lines=lines).anonymous_pages().tolist())


@pytest.fixture(params=["scan", "before Linux 6.7"])
def kernel(request, monkeypatch):
    if request.param != "scan":
        monkeypatch.setattr(pagemap, "_scanned_regions", lambda _: None)
    return request.param


def test_pages_written_are_anonymous_and_others_are_not(kernel, tmp_path):
    private = mmap.mmap(-1, 8 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(private))
    for page in (1, 2, 5):
        private[page * PAGE] = 1
    assert private[6 * PAGE] == 0  # reads the zero page
    (tmp_path / "file").write_bytes(bytes(2 * PAGE))
    with (tmp_path / "file").open("r+b") as file:
        of_file = mmap.mmap(file.fileno(), 2 * PAGE, flags=mmap.MAP_PRIVATE)
    file_start = ctypes.addressof(ctypes.c_char.from_buffer(of_file))
    assert of_file[0] == 0
    of_file[PAGE] = 1  # copied
    shared = mmap.mmap(-1, PAGE)
    shared[0] = 1
    shared_start = ctypes.addressof(ctypes.c_char.from_buffer(shared))
    pages = anonymous_pages()
    assert [(start + page * PAGE in pages) for page in range(8)] == [page in (1, 2, 5) for page in range(8)]
    assert (file_start in pages, file_start + PAGE in pages, shared_start in pages) == (False, True, False)


def test_terabytes_with_one_page_cost_one_page():
    n_bytes = 1 << 42
    huge = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(huge)) + n_bytes // 2
    huge[n_bytes // 2] = 1
    with open("/proc/self/pagemap", "rb", buffering=0) as file:  # noqa: PTH123
        if pagemap._scanned_regions(file.fileno()) is None:
            pytest.skip("this kernel has no PAGEMAP_SCAN")
    assert address in anonymous_pages()


def test_more_regions_than_one_call_returns(monkeypatch):
    monkeypatch.setattr(pagemap, "_REGIONS_AT_ONCE", 2)
    private = mmap.mmap(-1, 64 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(private))
    for page in range(0, 64, 2):
        private[page * PAGE] = 1
    pages = anonymous_pages()
    assert [start + page * PAGE in pages for page in range(64)] == [page % 2 == 0 for page in range(64)]


def test_the_text_of_a_swapped_page():
    entry = 1 << 62 | 0x1A4 << 5 | 2
    assert pagemap._describe(entry, -1) == (b"S", b"2:1a4")
