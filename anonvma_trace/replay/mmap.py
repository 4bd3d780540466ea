"""Making, merging, splitting and removing vmas. Source: mm/mmap.c of 2.6.7 with rmap 39."""

from __future__ import annotations

from .compiled import kernel
from .layout import (
    LOG_MERGES,
    NULL,
    SIDE_ANON_DIFF,
    SIDE_CLONED,
    SIDE_NOT_ADJACENT,
    SIDE_OK,
    SIDE_PGOFF_ANON,
    SIDE_PREV_NEXT,
    SIDE_SPECIAL,
    VM_ACCOUNT,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_SHARED,
    VM_WRITE,
)
from .locks import LOCK_MUNMAP, LOCK_STACK_GROWTH, LOCK_VMA_ADJUST, LOCK_VMA_LINK, count_locks
from .log import log_row, log_vma_span
from .memory import make_pages_present, zap_page_range
from .pools import alloc_vma, free_vma
from .schemes.defaults import (
    BRK_BOTH,
    BRK_NO_ATTEMPT,
    MAP_GROWSDOWN,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_TYPE,
)
from .schemes.interface import (
    anon_vma_link,
    anon_vma_merge,
    anon_vma_prepare,
    anon_vma_resized,
    anon_vma_shift,
    anon_vma_unlink,
    anon_vmas_compatible,
    brk_sides,
    merge_side,
    mmap_vm_flags,
    shared_anonymous_pgoff,
    special_flags,
    vma_init,
)
from .steps import is_told, tell_merge, tell_split
from .vma_index import find_vma, index_insert, index_remove, vma_before

ORIGIN_HOLDS, ORIGIN_MOVES, ORIGIN_GROWS = range(3)
"""What `origin` is to the range of `vma_merge`."""


@kernel
def enter_vma(s, vma):
    """Put a new vma into its mm and count it; its anon_vma list is the caller's affair."""
    glob = s.glob[0]
    mm = s.vma[vma].mm
    index_insert(s, mm, vma)
    s.mm[mm].n_vmas += 1
    glob.vmas_created += 1
    glob.vmas_live += 1


@kernel
def new_vma(s, mm, start, end, flags, file, pgoff):
    """Make a vma without anon_vma and put it into the mm; it must overlap none there."""
    vma = alloc_vma(s)
    v = s.vma[vma]
    v.start = start
    v.end = end
    v.pgoff = pgoff
    v.vm_flags = flags
    v.file = file
    v.anon_vma = NULL
    v.mm = mm
    v.span_from = s.glob[0].event
    vma_init(s, vma)
    count_locks(s, LOCK_VMA_LINK, file, 1, 0, NULL)
    enter_vma(s, vma)
    return vma


@kernel
def copy_of_vma(s, vma, mm):
    """Return an unlinked copy of a vma, for `mm`: same range, flags, file and anon_vma."""
    copy = alloc_vma(s)
    c, v = s.vma[copy], s.vma[vma]
    c.start = v.start
    c.end = v.end
    c.pgoff = v.pgoff
    c.vm_flags = v.vm_flags
    c.file = v.file
    c.anon_vma = v.anon_vma
    c.mm = mm
    c.span_from = s.glob[0].event
    vma_init(s, copy)
    return copy


@kernel
def remove_vma(s, vma):
    """Take a vma that no anon_vma list holds any more out of its mm and free it."""
    log_vma_span(s, vma)
    mm = s.vma[vma].mm
    index_remove(s, mm, vma)
    s.mm[mm].n_vmas -= 1
    s.glob[0].vmas_live -= 1
    free_vma(s, vma)


@kernel
def vma_adjust(s, vma, start, end, pgoff):
    """Give a vma new bounds; its next neighbour is shifted or swallowed as they say.

    Source: rmap 39, mm/mmap.c, ``vma_adjust`` without `insert` (see `split_vma`). As posted, a boundary shift
    does not link the vma that takes pages over (defect D1); `anon_vma_shift` is where a scheme may.
    """
    v = s.vma[vma]
    while True:
        after = v.next
        adjust_next = 0
        remove_next = 0
        wanted = end
        if after != NULL:
            n = s.vma[after]
            if end >= n.end:
                remove_next = 2 if end > n.end else 1
                wanted = n.end
            elif end < v.end or end > n.start:
                adjust_next = end - n.start
        log_vma_span(s, vma)
        concerned = after if adjust_next != 0 or remove_next != 0 else NULL
        neighbour = s.vma[concerned].anon_vma if concerned != NULL else NULL
        count_locks(s, LOCK_VMA_ADJUST, v.file, 1, 0, v.anon_vma if v.anon_vma != NULL else neighbour)
        if adjust_next != 0:
            log_vma_span(s, after)
            if adjust_next < 0:
                anon_vma_shift(s, after, vma)
            else:
                anon_vma_shift(s, vma, after)
        v.start = start
        v.end = wanted
        v.pgoff = pgoff
        anon_vma_resized(s, vma)
        if adjust_next != 0:
            s.vma[after].start += adjust_next
            s.vma[after].pgoff += adjust_next
            anon_vma_resized(s, after)
        if remove_next != 0:
            anon_vma_merge(s, vma, after)
            remove_vma(s, after)
        if remove_next != 2:
            return


@kernel
def split_vma(s, vma, addr, new_below):
    """Split a vma in two at `addr`; the new one lies below or above and goes to the head of the list.

    Source: rmap 39, mm/mmap.c, ``split_vma`` and ``vma_adjust`` with `insert`.
    """
    s.glob[0].vma_splits += 1
    log_vma_span(s, vma)
    new = copy_of_vma(s, vma, s.vma[vma].mm)
    n, v = s.vma[new], s.vma[vma]
    if new_below:
        n.end = addr
        v.pgoff += addr - v.start
        v.start = addr
    else:
        n.start = addr
        n.pgoff += addr - v.start
        v.end = addr
    count_locks(s, LOCK_VMA_ADJUST, v.file, 1, 0, v.anon_vma)
    enter_vma(s, new)
    anon_vma_resized(s, vma)
    anon_vma_link(s, new, vma)
    if is_told(s):
        tell_split(s, vma, addr, new, new_below)
    return new


@kernel
def vma_merge(s, mm, prev, addr, end, flags, file, pgoff, origin, role, sides, counted):
    """Try to cover [addr, end) by growing neighbours; return the vma that then covers it, or NULL.

    Parameters
    ----------
    s : State
    mm : int64
        Row of `mm`.
    prev : int64
        The vma before the range (or, for mprotect of a vma's tail, that vma itself); NULL if none.
    addr, end, pgoff : int64
        Pages.
    flags, file : int64
        What the range will have.
    origin : int64
        The vma whose anon_vma the range has; NULL for a new mapping.
    role : int64
        ORIGIN_HOLDS: the range is part of it (or there is none). ORIGIN_MOVES: the range is to be copied from it; it is
        marked `self` where it is a neighbour. ORIGIN_GROWS: it grows over the range, which nothing holds yet.
    sides : int64
        BRK_LEFT: the vma above is not looked at; else BRK_BOTH.
    counted : bool
        Whether this is an attempt of the trace's, to be counted and logged.

    Notes
    -----
    Both sides are always evaluated, also where the kernel stops early, so that every refusal is counted.
    Cases 1 to 8 are those of the comment above ``vma_merge``.
    Source: rmap 39, mm/mmap.c, ``vma_merge``.
    """
    vma = s.vma
    anon_vma = vma[origin].anon_vma if origin != NULL else NULL
    source = NULL if role == ORIGIN_GROWS else origin
    area = s.mm[mm].first if prev == NULL else vma[prev].next
    after = area
    if area != NULL and vma[area].end == end:
        after = vma[area].next
    left, right = SIDE_NOT_ADJACENT, SIDE_NOT_ADJACENT
    left_fits, right_fits = False, False  # whether pgoff continues: asked for "new" as well
    beside_left = prev != NULL and vma[prev].end == addr
    beside_right = after != NULL and vma[after].start == end and sides == BRK_BOTH
    if flags & special_flags(s):
        left, right = SIDE_SPECIAL, SIDE_SPECIAL
    else:
        if beside_left:
            left_fits = vma[prev].pgoff + (vma[prev].end - vma[prev].start) == pgoff
            left = merge_side(s, prev, flags, file, anon_vma, source, left_fits)
        if beside_right:
            right_fits = vma[after].pgoff == pgoff + (end - addr)
            right = merge_side(s, after, flags, file, anon_vma, source, right_fits)
    if left == SIDE_OK and right == SIDE_OK:
        if not anon_vmas_compatible(s, vma[prev].anon_vma, vma[after].anon_vma):
            right = SIDE_PREV_NEXT

    hole = area == NULL or vma[area].start >= end
    whole = area != NULL and vma[area].end == end
    case = 0
    if left == SIDE_OK:
        if right == SIDE_OK:
            case = 1 if hole else 6
        elif hole:
            case = 2
        else:
            case = 7 if whole else 5
    elif right == SIDE_OK:
        if prev != NULL and addr < vma[prev].end:
            case = 4
        else:
            case = 3 if hole else 8
    if counted:
        same = _pgoff_anon_vma(s, prev, left, after, right, anon_vma)
        own = role == ORIGIN_MOVES and (
            (beside_left and prev == origin) or (beside_right and after == origin)
        )
        own = own and left != SIDE_SPECIAL
        new_left = _new_refusal(left, file, left_fits)
        new_right = _new_refusal(right, file, right_fits)
        _log_merge(s, s.mm[mm].owner, addr, end, case, left, right, new_left, new_right, same, own)
    if is_told(s):
        tell_merge(s, addr, end, flags, file, pgoff, anon_vma, prev, after, case, left, right)

    if case == 0:
        return NULL
    if case == 1 or case == 6:
        vma_adjust(s, prev, vma[prev].start, vma[after].end, vma[prev].pgoff)
        return prev
    if left == SIDE_OK:  # cases 2, 5, 7
        vma_adjust(s, prev, vma[prev].start, end, vma[prev].pgoff)
        return prev
    if case == 4:
        vma_adjust(s, prev, vma[prev].start, addr, vma[prev].pgoff)
    else:  # cases 3, 8
        vma_adjust(s, area, addr, vma[after].end, vma[after].pgoff - (end - addr))
    return area


@kernel
def _new_refusal(side, file, pgoff_fits):
    """Return whether the rules before rmap 39 would have accepted this side in the same state."""
    if side == SIDE_ANON_DIFF or side == SIDE_CLONED:
        return file == 0 or pgoff_fits
    return side == SIDE_PGOFF_ANON or side == SIDE_PREV_NEXT


@kernel
def _pgoff_anon_vma(s, prev, left, after, right, anon_vma):
    """Tell of a side refused for `pgoff_anon`: 1 the range's own anon_vma, 2 either has none, 0 no such side."""
    if left == SIDE_PGOFF_ANON:
        neighbour = s.vma[prev].anon_vma
    elif right == SIDE_PGOFF_ANON:
        neighbour = s.vma[after].anon_vma
    else:
        return 0
    return 1 if anon_vma != NULL and neighbour == anon_vma else 2


@kernel
def _log_merge(s, owner, addr, end, case, left, right, new_left, new_right, pgoff_anon_vma, own):
    """Count a merge attempt and write its row."""
    glob = s.glob[0]
    proc = s.proc[owner]
    glob.merge_attempts += 1
    s.ints[glob.by_case_base + case] += 1
    if case != 0:
        glob.merged += 1
        proc.merges += 1
    for side in (left, right):
        if side > SIDE_NOT_ADJACENT:
            s.ints[glob.refused_base + side] += 1
            proc.refusals += 1
    glob.refused_new += (1 if new_left else 0) + (1 if new_right else 0)
    at = log_row(s, LOG_MERGES)
    log = s.log
    log[at] = glob.event
    log[at + 1] = glob.ts
    log[at + 2] = owner
    log[at + 3] = glob.op
    log[at + 4] = addr
    log[at + 5] = end - addr
    log[at + 6] = case
    log[at + 7] = left
    log[at + 8] = right
    log[at + 9] = 1 if new_left else 0
    log[at + 10] = 1 if new_right else 0
    log[at + 11] = pgoff_anon_vma
    log[at + 12] = 1 if own else 0


@kernel
def do_munmap(s, mm, start, end):
    """Unmap [start, end): split at its ends, take all ptes away, then unlink and free in address order.

    The start split leaves the survivor as the old object, the end split leaves it above.
    Source: rmap 39, mm/mmap.c, ``do_munmap``, ``unmap_vma_list``.
    """
    if start >= end:
        return
    vma = find_vma(s, mm, start)
    if vma == NULL or s.vma[vma].start >= end:
        return
    if start > s.vma[vma].start:
        vma = split_vma(s, vma, start, False)
    last = find_vma(s, mm, end)
    if last != NULL and s.vma[last].start < end:
        below = split_vma(s, last, end, True)
        if last == vma:
            vma = below
    first = vma
    count_locks(s, LOCK_MUNMAP, 0, 1, 1, NULL)
    while vma != NULL and s.vma[vma].start < end:
        zap_page_range(s, vma, s.vma[vma].start, s.vma[vma].end)
        vma = s.vma[vma].next
    vma = first
    while vma != NULL and s.vma[vma].start < end:
        after = s.vma[vma].next
        log_vma_span(s, vma)
        count_locks(s, LOCK_MUNMAP, 0, 0, 0, s.vma[vma].anon_vma)
        anon_vma_unlink(s, vma)
        remove_vma(s, vma)
        vma = after


@kernel
def shared_memory_file(s):
    """Return the file id of a new shared anonymous mapping (``shmem_zero_setup``)."""
    s.glob[0].shm_id += 1
    return s.glob[0].shm_id


@kernel
def do_mmap_pgoff(s, mm, start, end, prot, map_flags, file, pgoff):
    """Map [start, end), merging where a neighbour takes it.

    Source: rmap 39, mm/mmap.c, ``do_mmap_pgoff``.
    """
    if start >= end:
        return
    do_munmap(s, mm, start, end)
    flags = mmap_vm_flags(s, prot, map_flags)
    shared = flags & VM_SHARED != 0
    mergeable = True
    if file == 0:
        if shared:
            file = shared_memory_file(s)
            pgoff = shared_anonymous_pgoff(s, pgoff)
            mergeable = False  # a fresh file is not offered for merging
        else:
            pgoff = start
    vma = NULL
    if mergeable:
        prev = vma_before(s, mm, start)
        vma = vma_merge(s, mm, prev, start, end, flags, file, pgoff, NULL, ORIGIN_HOLDS, BRK_BOTH, True)
    if vma == NULL:
        vma = new_vma(s, mm, start, end, flags, file, pgoff)
    if flags & VM_LOCKED:
        make_pages_present(s, vma, start, end)


@kernel
def do_brk(s, mm, start, end):
    """Grow the heap over [start, end).

    Source: rmap 39, mm/mmap.c, ``do_brk``.
    """
    if start >= end:
        return
    do_munmap(s, mm, start, end)
    flags = s.glob[0].brk_flags | VM_ACCOUNT
    prev = vma_before(s, mm, start)
    sides = brk_sides(s, mm, prev, start)
    vma = NULL
    if sides != BRK_NO_ATTEMPT:
        vma = vma_merge(s, mm, prev, start, end, flags, 0, start, NULL, ORIGIN_HOLDS, sides, True)
    if vma == NULL:
        new_vma(s, mm, start, end, flags, 0, start)


@kernel
def sys_brk(s, mm, brk):
    """Set the break to page `brk`; the first call of an mm only tells where its heap begins."""
    m = s.mm[mm]
    if m.brk < 0:
        m.brk_start = brk
    elif brk > m.brk:
        do_brk(s, mm, m.brk, brk)
    else:
        do_munmap(s, mm, brk, m.brk)
    m.brk = brk


@kernel
def expand_stack(s, vma, vpn):
    """Grow a GROWSDOWN vma down to `vpn`; it gets its anon_vma first.

    Source: rmap 39, mm/mmap.c, ``expand_stack``.
    """
    anon_vma_prepare(s, vma)
    log_vma_span(s, vma)
    v = s.vma[vma]
    count_locks(s, LOCK_STACK_GROWTH, 0, 1, 0, v.anon_vma)
    v.pgoff -= v.start - vpn
    v.start = vpn
    anon_vma_resized(s, vma)


@kernel
def standing_vma(s, mm, start, end, prot, map_flags, file, pgoff, special):
    """Insert a mapping that a snapshot shows: whatever it overlaps goes, and nothing merges."""
    if start >= end:
        return
    do_munmap(s, mm, start, end)
    flags = prot | special
    if map_flags & MAP_GROWSDOWN:
        flags |= VM_GROWSDOWN
    kind = map_flags & MAP_TYPE
    if kind == MAP_SHARED or kind == MAP_SHARED_VALIDATE:
        flags |= VM_SHARED
        if file == 0:
            file = shared_memory_file(s)
    else:
        if prot & VM_WRITE:
            flags |= VM_ACCOUNT
        if file == 0 and pgoff < 0:
            pgoff = start
    new_vma(s, mm, start, end, flags, file, max(pgoff, 0))
    if s.mm[mm].known == 0:
        s.mm[mm].known = s.glob[0].event
