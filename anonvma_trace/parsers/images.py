"""The image of a process as rows: what stands before its first event, or after an exec."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..events import (
    MAP_ANONYMOUS,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_READ,
    PROT_WRITE,
)
from .native_block import Names
from .proc_maps import Mapping, Snapshot
from .row_table import ADDR, FILE, FLAGS, FRAME, LEN, OP, OP_CODE, PGOFF, PROT, new_rows

USER_END = 1 << 47
"""First address that is not a user's; [vsyscall], which no mm owns, lies above."""

# Names in maps text that stand for memory without a file; other names in brackets ([vdso], [vvar]) are kept.
_ANONYMOUS_NAMES = ("", "[heap]", "[stack]")


def start_rows(snapshot: Snapshot, files: Names) -> np.ndarray:
    """Return the rows that build a running process: its vmas, its heap, its anonymous pages.

    A mapping that holds anonymous pages but is not writable (relocated data) is given as writable and made
    read-only after its pages were written.

    Returns
    -------
    ndarray of int64, shape (N_ROW_COLUMNS, n)
        Only the columns of an operation's arguments are filled.
    """
    addresses, frames = snapshot.anonymous_frames()
    pages = addresses.astype(np.int64)
    mappings = _user_mappings(snapshot)
    written = [_holds_pages(mapping, pages) and not mapping.prot & PROT_WRITE for mapping in mappings]
    given = [
        mapping._replace(prot=mapping.prot | PROT_READ | PROT_WRITE) if relocated else mapping
        for mapping, relocated in zip(mappings, written, strict=True)
    ]
    faults = new_rows(len(pages))
    faults[OP], faults[ADDR], faults[FRAME] = OP_CODE["write_fault"], pages, frames
    protections = [
        _row("mprotect", mapping.start, mapping.end - mapping.start, mapping.prot)
        for mapping, relocated in zip(mappings, written, strict=True)
        if relocated
    ]
    return np.hstack([_mapping_rows(given, files), faults, *protections])


def exec_rows(snapshot: Snapshot, files: Names) -> np.ndarray:
    """Return the rows of a freshly executed program: its vmas, and the write of the argument page.

    Nothing tells how many argument pages there were: one is written, the last of the stack.
    """
    mappings = _user_mappings(snapshot)
    rows = [_mapping_rows(mappings, files)]
    stacks = [mapping for mapping in mappings if mapping.name == "[stack]"]
    for stack in stacks:
        argument_page = _row("write_fault", stack.end - PAGE_SIZE)
        argument_page[FRAME] = argument_frame(snapshot)
        rows.append(argument_page)
    return np.hstack(rows)


def argument_frame(snapshot: Snapshot) -> int:
    """Return the page frame number of the argument page of a freshly executed program; -1 if it is not told."""
    addresses, frames = snapshot.anonymous_frames()
    for stack in (mapping for mapping in snapshot.mappings if mapping.name == "[stack]"):
        at = np.flatnonzero(addresses == np.uint64(stack.end - PAGE_SIZE))
        if len(at):
            return int(frames[at[0]])
    return -1


def covered_by(snapshot: Snapshot, addresses: np.ndarray) -> np.ndarray:
    """Return, for each address, whether a mapping of `snapshot` covers it."""
    mappings = _user_mappings(snapshot)
    starts = np.array([mapping.start for mapping in mappings], dtype=np.int64)
    ends = np.array([mapping.end for mapping in mappings], dtype=np.int64)
    if not len(starts):
        return np.zeros(len(addresses), dtype=bool)
    below = np.searchsorted(starts, addresses, side="right") - 1
    return (below >= 0) & (addresses < ends[below])


def shared_memory_sizes(snapshots: Iterable[Snapshot]) -> dict[int, int]:
    """Return the sizes in bytes of the System V segments that start and exec snapshots show, by shmid.

    Source: Linux ipc/shm.c, newseg: the inode number of a segment is its id.
    """
    sizes: dict[int, int] = {}
    for snapshot in snapshots:
        for mapping in snapshot.mappings:
            if is_shared_memory(mapping):
                length = mapping.end - mapping.start
                sizes[mapping.inode] = max(length, sizes.get(mapping.inode, 0))
    return sizes


def is_shared_memory(mapping: Mapping) -> bool:
    """Tell whether this is an attached System V segment."""
    return mapping.name.startswith("/SYSV")


def _user_mappings(snapshot: Snapshot) -> list[Mapping]:
    return [mapping for mapping in snapshot.mappings if mapping.end <= USER_END]


def _holds_pages(mapping: Mapping, pages: np.ndarray) -> bool:
    first, last = np.searchsorted(pages, (mapping.start, mapping.end))
    return bool(last > first)


def _row(op: str, addr: int, length: int = 0, prot: int = 0) -> np.ndarray:
    row = new_rows(1)
    row[OP], row[ADDR], row[LEN], row[PROT] = OP_CODE[op], addr, length, prot
    return row


def _mapping_rows(mappings: list[Mapping], files: Names) -> np.ndarray:
    heap = [mapping for mapping in mappings if mapping.name == "[heap]"]
    heap_is_plain = len(heap) == 1 and heap[0].prot == PROT_READ | PROT_WRITE and not heap[0].shared
    rows = []
    for mapping in mappings:
        if heap and mapping is heap[0]:
            # The first brk only fixes where the heap starts, the second makes it.
            rows += [_row("brk", heap[0].start), _row("brk", heap[-1].end)]
            if heap_is_plain:
                continue
        rows.append(_vma_row(mapping, files))
    return np.hstack(rows) if rows else new_rows(0)


def _vma_row(mapping: Mapping, files: Names) -> np.ndarray:
    row = _row("vma", mapping.start, mapping.end - mapping.start, mapping.prot)
    flags = MAP_SHARED if mapping.shared else MAP_PRIVATE
    if mapping.name in _ANONYMOUS_NAMES or mapping.name.startswith("[anon"):
        flags |= MAP_ANONYMOUS
    else:
        row[FILE], row[PGOFF] = files.number(mapping.name), mapping.pgoff
    if mapping.name == "[stack]":
        flags |= MAP_GROWSDOWN
    row[FLAGS] = flags
    return row
