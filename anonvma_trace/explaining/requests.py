"""What an event asks of the kernel, and which of its functions answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import events
from ..reports.numbers import counted, format_seconds
from .wording import access, backing, byte_range

Row = Mapping[str, Any]

_ADVICE = {
    events.MADV_NORMAL: "MADV_NORMAL",
    events.MADV_RANDOM: "MADV_RANDOM",
    events.MADV_SEQUENTIAL: "MADV_SEQUENTIAL",
    events.MADV_WILLNEED: "MADV_WILLNEED",
    events.MADV_DONTNEED: "MADV_DONTNEED",
    events.MADV_DONTFORK: "MADV_DONTFORK",
    events.MADV_DOFORK: "MADV_DOFORK",
}
_MAP_FLAGS = (
    (events.MAP_FIXED, "MAP_FIXED"),
    (events.MAP_GROWSDOWN, "MAP_GROWSDOWN"),
    (events.MAP_LOCKED, "MAP_LOCKED"),
    (events.MAP_NORESERVE, "MAP_NORESERVE"),
)


def request_text(row: Row) -> str:
    """Return in one sentence what a row of the event table asks for."""
    who = "the recorder" if row["pid"] is None else f"pid {row['pid']}"
    if row["comm"]:
        who += f" ({row['comm']})"
    return f"{who}: {_REQUESTS[row['op']](row)}"


def place_text(row: Row, has_clock: bool) -> str:
    """Return when the event happened (if the trace has a clock) and where it stands in the source."""
    parts = [f"at {format_seconds(row['ts'])} s of the trace's clock"] if has_clock else []
    parts += [] if row["line"] is None else [f"line {row['line']:,} of the trace"]
    return ", ".join(parts) or "the trace tells neither time nor line"


def functions_text(row: Row) -> str:
    """Return the kernel functions that answer such a request, outermost first; empty if none does."""
    return _FUNCTIONS.get(row["op"], "")


def ranges_of(row: Row) -> list[tuple[int, int]]:
    """Return the ranges of bytes that the row is about."""
    start, op = row["addr"], row["op"]
    if start is None:
        return []
    length = row["len"] or 0
    if op in ("read_fault", "write_fault", "reclaim", "referenced", "try_unmap", "swap_out", "brk"):
        start, length = start & ~(events.PAGE_SIZE - 1), events.PAGE_SIZE
    ranges = [(start, start + length)]
    if op == "mremap" and row["new_addr"] is not None:
        ranges.append((row["new_addr"], row["new_addr"] + (row["new_len"] or 0)))
    return ranges


def _range(row: Row) -> str:
    return byte_range(row["addr"], row["addr"] + (row["len"] or 0))


def _mmap(row: Row) -> str:
    flags = row["flags"] or 0
    shared = flags & events.MAP_TYPE != events.MAP_PRIVATE and flags & events.MAP_SHARED
    names = [name for bit, name in _MAP_FLAGS if flags & bit]
    kind = "shared" if shared else "private"
    offset = "" if row["file"] is None else f" from page {row['pgoff'] or 0:#x}"
    told = f", {' '.join(names)}" if names else ""
    return f"mmap of {_range(row)}, {access(row['prot'])}, {kind}, {backing(row['file'])}{offset}{told}"


def _mremap(row: Row) -> str:
    new_len = row["new_len"] or 0
    new = row["addr"] if row["new_addr"] is None else row["new_addr"]
    if new == row["addr"]:
        return f"mremap of {_range(row)} in place, to {byte_range(new, new + new_len)}"
    kept = " and leave the old range mapped" if (row["flags"] or 0) & events.MREMAP_DONTUNMAP else ""
    return f"mremap: move {_range(row)} to {byte_range(new, new + new_len)}{kept}"


def _fork(row: Row) -> str:
    if (row["flags"] or 0) & events.CLONE_VM:
        return f"vfork of pid {row['child']}, which shares the address space"
    return f"fork of pid {row['child']}"


def _named_page(row: Row) -> str:
    if row["addr"] is not None:
        return f"the page at {row['addr']:#x}"
    return (
        f"page frame {row['frame']:#x}"
        if row["frame"] is not None
        else f"page {row['pgoff']} of {row['file']}"
    )


_REQUESTS: dict[str, Callable[[Row], str]] = {
    "vma": lambda row: f"a snapshot shows {_range(row)}, {access(row['prot'])}, {backing(row['file'])}",
    "mmap": _mmap,
    "munmap": lambda row: f"munmap of {_range(row)}",
    "mprotect": lambda row: f"mprotect of {_range(row)}: {access(row['prot'])} from now on",
    "mremap": _mremap,
    "brk": lambda row: f"brk: the heap ends at {row['addr']:#x} from now on",
    "madvise": lambda row: f"madvise of {_range(row)}, {_ADVICE.get(row['flags'], 'another advice')}",
    "mlock": lambda row: f"mlock of {_range(row)}",
    "munlock": lambda row: f"munlock of {_range(row)}",
    "fork": _fork,
    "exec": lambda row: f"exec of {row['file'] or 'another program'}",
    "exit": lambda row: "exit of the process",
    "read_fault": lambda row: f"page fault, a read at {row['addr']:#x}",
    "write_fault": lambda row: f"page fault, a write at {row['addr']:#x}",
    "touch": lambda row: f"{_range(row)} was used: the accessed bit of its ptes is set",
    "reclaim": lambda row: f"reclaim looks at {_named_page(row)}",
    "referenced": lambda row: f"reclaim asks whether {_named_page(row)} was used",
    "try_unmap": lambda row: f"reclaim tries to take {_named_page(row)} out of all page tables",
    "swap_out": lambda row: f"the recorder saw {_named_page(row)} go to swap",
    "scan": lambda row: f"reclaim scans {counted(row['len'] or 0, 'page')} from the end of the LRU lists",
    "mark": lambda row: f"snapshot {row['len']} was taken here",
    "lost": lambda row: f"{counted(row['len'] or 0, 'event')} lost (0: unknown number)",
}

_FUNCTIONS = {
    "mmap": "do_mmap_pgoff()",
    "munmap": "do_munmap()",
    "mprotect": "sys_mprotect(), mprotect_fixup() for each vma",
    "mremap": "do_mremap(); a move is move_vma() with copy_vma()",
    "brk": "sys_brk(), do_brk()",
    "madvise": "sys_madvise()",
    "mlock": "sys_mlock()",
    "munlock": "sys_munlock()",
    "fork": "copy_mm(), dup_mmap()",
    "exec": "exec_mmap(), setup_arg_pages()",
    "exit": "exit_mmap()",
    "read_fault": "do_page_fault(), handle_mm_fault()",
    "write_fault": "do_page_fault(), handle_mm_fault()",
    "reclaim": "shrink_list(): page_referenced(), then try_to_unmap()",
    "referenced": "page_referenced()",
    "try_unmap": "try_to_unmap()",
    "swap_out": "try_to_unmap()",
    "scan": "refill_inactive_zone(), shrink_list()",
}
