"""Compiled: the shared file mappings of each mm, followed through rows of the event table.

`shared_mappings` says what for. A mapping is a row of `maps`, linked to the next one of its mm; an mm is a row of
`mms`, which several pids may use. Row 0 of both is none.
"""

from __future__ import annotations

from ..compiling import entry_point, kernel
from ..events import CLONE_VM, MAP_FIXED, MAP_SHARED, MREMAP_DONTUNMAP, PAGE_SHIFT, PAGE_SIZE
from .row_table import (
    ADDR,
    CHILD,
    FILE,
    FLAGS,
    LEN,
    NEW_ADDR,
    NEW_LEN,
    OP,
    OP_CODE,
    PGOFF,
    PID,
    PROT,
)

NEXT, START, END, FILE_NUMBER, PLACE, ACCESS = range(6)  # columns of `maps`; PLACE in pages
MAPPING_COLUMNS = 6
HEAD, USERS = 0, 1  # columns of `mms`; a free one has the next free one in HEAD
MM_COLUMNS = 2
FREE_MAPPING, FREE_MAPPINGS, FREE_MM, FREE_MMS, USED_LINES = range(5)  # places in `state`
STATE_WORDS = 5
ROOM, ROOM_MMS = 8, 2  # more than a row that is no fork can need

FILE_AT_ADDRESS = 1 << 62
"""In FLAGS of an mmap's row under construction: file and protection are those of what is mapped at its address.
NEW_LEN then says how many lines the call has."""

_MMAP, _VMA, _MUNMAP, _MPROTECT, _MREMAP, _FORK, _EXEC, _EXIT = (
    OP_CODE[op] for op in ("mmap", "vma", "munmap", "mprotect", "mremap", "fork", "exec", "exit")
)
_OFFSET = PAGE_SIZE - 1


@kernel
def _first_page(address):
    return address & ~_OFFSET


@kernel
def _behind(address, length):
    """Return the end of the last page of a range."""
    return (address & ~_OFFSET) + ((length + _OFFSET) & ~_OFFSET)


@kernel
def _new_mapping(maps, state, start, end, file, place, access):
    node = state[FREE_MAPPING]
    state[FREE_MAPPING] = maps[node, NEXT]
    state[FREE_MAPPINGS] -= 1
    maps[node, NEXT], maps[node, START], maps[node, END] = 0, start, end
    maps[node, FILE_NUMBER], maps[node, PLACE], maps[node, ACCESS] = file, place, access
    return node


@kernel
def _forget(maps, state, node):
    """Free a mapping and those behind it."""
    while node != 0:
        following = maps[node, NEXT]
        maps[node, NEXT], maps[node, FILE_NUMBER] = state[FREE_MAPPING], -1
        state[FREE_MAPPING] = node
        state[FREE_MAPPINGS] += 1
        node = following


@kernel
def _put(maps, mms, mm, node):
    maps[node, NEXT] = mms[mm, HEAD]
    mms[mm, HEAD] = node


@kernel
def _find(maps, mms, mm, address):
    node = mms[mm, HEAD] if mm != 0 else 0
    while node != 0 and not maps[node, START] <= address < maps[node, END]:
        node = maps[node, NEXT]
    return node


@kernel
def _part(maps, state, node, start, end):
    """Return a new mapping of what `node` has between `start` and `end`."""
    place = maps[node, PLACE] + ((start - maps[node, START]) >> PAGE_SHIFT)
    return _new_mapping(maps, state, start, end, maps[node, FILE_NUMBER], place, maps[node, ACCESS])


@kernel
def _take(maps, mms, state, mm, start, end):
    """Remove what lies between `start` and `end` from an mm; return it as a chain."""
    taken, left, before = 0, 0, 0
    node = mms[mm, HEAD] if mm != 0 and start < end else 0
    while node != 0:
        following = maps[node, NEXT]
        first, last = maps[node, START], maps[node, END]
        if last <= start or first >= end:
            before = node
        else:
            if before == 0:
                mms[mm, HEAD] = following
            else:
                maps[before, NEXT] = following
            if first < start:
                below = _part(maps, state, node, first, start)
                maps[below, NEXT] = left
                left = below
            if last > end:
                above = _part(maps, state, node, end, last)
                maps[above, NEXT] = left
                left = above
            if first < start:
                maps[node, PLACE] += (start - first) >> PAGE_SHIFT
            maps[node, START], maps[node, END] = max(first, start), min(last, end)
            maps[node, NEXT] = taken
            taken = node
        node = following
    while left != 0:
        following = maps[left, NEXT]
        _put(maps, mms, mm, left)
        left = following
    return taken


@kernel
def _new_mm(mms, state):
    mm = state[FREE_MM]
    state[FREE_MM] = mms[mm, HEAD]
    state[FREE_MMS] -= 1
    mms[mm, HEAD], mms[mm, USERS] = 0, 0
    return mm


@kernel
def _use(mms, mm_of, pid, mm):
    mms[mm, USERS] += 1
    mm_of[pid] = mm


@kernel
def _leave(maps, mms, state, mm_of, pid):
    """End a pid's use of its mm; without users it goes."""
    mm = mm_of[pid]
    mm_of[pid] = 0
    if mm == 0:
        return
    mms[mm, USERS] -= 1
    if mms[mm, USERS] == 0:
        _forget(maps, state, mms[mm, HEAD])
        mms[mm, HEAD] = state[FREE_MM]
        state[FREE_MM] = mm
        state[FREE_MMS] += 1


@kernel
def _length(maps, mms, mm):
    n_mappings = 0
    node = mms[mm, HEAD] if mm != 0 else 0
    while node != 0:
        n_mappings += 1
        node = maps[node, NEXT]
    return n_mappings


@kernel
def _fork(maps, mms, state, mm_of, pid, child, flags):
    """Give `child` its parent's mm with CLONE_VM (vfork), else a copy."""
    mm = mm_of[pid]
    if flags & CLONE_VM:
        if mm == 0:
            mm = _new_mm(mms, state)
            _use(mms, mm_of, pid, mm)
        mms[mm, USERS] += 1  # before the child leaves what may be the same
        _leave(maps, mms, state, mm_of, child)
        mm_of[child] = mm
        return
    copy = 0
    node = mms[mm, HEAD] if mm != 0 else 0
    while node != 0:
        twin = _part(maps, state, node, maps[node, START], maps[node, END])
        maps[twin, NEXT] = copy
        copy = twin
        node = maps[node, NEXT]
    _leave(maps, mms, state, mm_of, child)
    if copy != 0:
        mm = _new_mm(mms, state)
        _use(mms, mm_of, child, mm)
        mms[mm, HEAD] = copy


@kernel
def _mprotect(maps, mms, state, mm, start, end, access):
    node = _take(maps, mms, state, mm, start, end)
    while node != 0:
        following = maps[node, NEXT]
        maps[node, ACCESS] = access
        _put(maps, mms, mm, node)
        node = following


@kernel
def _mremap(maps, mms, state, mm, start, end, new, new_length, flags):
    """Move, shrink or grow; without pages it maps what begins there a second time."""
    moved = 0
    if start == end:
        there = _find(maps, mms, mm, start)
        if there != 0:
            moved = _part(maps, state, there, start, start)
    else:
        moved = _take(maps, mms, state, mm, start, end)
        node = moved
        while node != 0 and flags & MREMAP_DONTUNMAP:
            _put(maps, mms, mm, _part(maps, state, node, maps[node, START], maps[node, END]))
            node = maps[node, NEXT]
    _forget(maps, state, _take(maps, mms, state, mm, new, new + new_length))
    while moved != 0:
        following = maps[moved, NEXT]
        first, last = maps[moved, START] - start, maps[moved, END] - start
        last = new_length if start + last == end else min(last, new_length)
        if first < last:
            maps[moved, START], maps[moved, END] = new + first, new + last
            _put(maps, mms, mm, moved)
        else:
            maps[moved, NEXT] = 0
            _forget(maps, state, moved)
        moved = following


@kernel
def _complete(rows, row, maps, mms, state, mm):
    """Fill in what remap_file_pages does not say; False if nothing tells what is mapped there."""
    there = _find(maps, mms, mm, rows[ADDR, row])
    if there == 0:
        return False
    start = _first_page(rows[ADDR, row])
    end = start + (rows[LEN, row] & ~_OFFSET)
    file, access = maps[there, FILE_NUMBER], maps[there, ACCESS]
    state[USED_LINES] += rows[NEW_LEN, row]
    rows[ADDR, row], rows[LEN, row], rows[PROT, row] = start, end - start, access
    rows[FLAGS, row], rows[FILE, row] = MAP_SHARED | MAP_FIXED, file
    _forget(maps, state, _take(maps, mms, state, mm, start, end))
    if start < end:
        _put(maps, mms, mm, _new_mapping(maps, state, start, end, file, rows[PGOFF, row], access))
    return True


@entry_point
def follow_rows(rows, begin, n_rows, maps, mms, mm_of, state, left_out):
    """Follow the rows from `begin` on, and complete those of remap_file_pages.

    Parameters
    ----------
    rows : ndarray of int64, shape (N_ROW_COLUMNS, at least n_rows)
    maps, mms, state : ndarray of int64
        Changed in place.
    mm_of : ndarray of int64
        Row of `mms` by pid.
    left_out : ndarray of int64, shape (n_rows,)
        Gets 1 where nothing tells what is mapped.

    Returns
    -------
    int
        `n_rows`, or the row before which `maps` and `mms` need more room.
    """
    for row in range(begin, n_rows):
        op, pid = rows[OP, row], rows[PID, row]
        if op not in (_MMAP, _VMA, _MUNMAP, _MPROTECT, _MREMAP, _FORK, _EXEC, _EXIT):
            continue
        if not 0 <= pid < len(mm_of):
            continue
        mm, flags = mm_of[pid], rows[FLAGS, row]
        needed = _length(maps, mms, mm) if op in (_FORK, _MREMAP) else 0
        if state[FREE_MAPPINGS] < needed + ROOM or state[FREE_MMS] < ROOM_MMS:
            return row
        start, end = _first_page(rows[ADDR, row]), _behind(rows[ADDR, row], rows[LEN, row])
        if op == _FORK:
            child = rows[CHILD, row]
            if child != pid and 0 <= child < len(mm_of):
                _fork(maps, mms, state, mm_of, pid, child, flags)
        elif op in (_EXEC, _EXIT):
            _leave(maps, mms, state, mm_of, pid)
        elif op == _MPROTECT:
            _mprotect(maps, mms, state, mm, start, end, rows[PROT, row])
        elif op == _MREMAP:
            length = _behind(0, rows[NEW_LEN, row])
            _mremap(maps, mms, state, mm, start, end, rows[NEW_ADDR, row], length, flags)
        elif flags & FILE_AT_ADDRESS:
            left_out[row] = 0 if _complete(rows, row, maps, mms, state, mm) else 1
        else:
            _forget(maps, state, _take(maps, mms, state, mm, start, end))
            if op != _MUNMAP and flags & MAP_SHARED and rows[FILE, row] >= 0 and start < end:
                if mm == 0:
                    mm = _new_mm(mms, state)
                    _use(mms, mm_of, pid, mm)
                file, place, access = rows[FILE, row], rows[PGOFF, row], rows[PROT, row]
                _put(maps, mms, mm, _new_mapping(maps, state, start, end, file, place, access))
    return n_rows
