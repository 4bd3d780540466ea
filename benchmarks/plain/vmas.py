"""Changes of mappings, as in mm/mmap.c and mm/mprotect.c: every attempt to merge, and what refused it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from .objects import ACCESS, ACCOUNT, WRITE, AnonVma, Process, Vma
from .state import State

_NEW_WITH_RMAP39 = frozenset(("anon_diff", "pgoff_anon", "prev_next"))
_NO_REFUSAL = frozenset(("ok", "not_adjacent"))


def find_vma(process: Process, page: int) -> int:
    """Return the place of the first vma that ends above a page, or how many vmas there are."""
    at = bisect_right(process.starts, page)
    return at - 1 if at and process.vmas[at - 1].end > page else at


def place_of(vma: Vma) -> int:
    return bisect_left(vma.process.starts, vma.start)


def vma_link(vma: Vma) -> None:
    """Put a vma in its mm."""
    at = place_of(vma)
    vma.process.starts.insert(at, vma.start)
    vma.process.vmas.insert(at, vma)


# ---- merging


def vma_merge(
    state: State,
    process: Process,
    prev: Vma | None,
    start: int,
    end: int,
    flags: int,
    anon_vma: AnonVma | None,
    pgoff: int,
) -> Vma | None:
    """Return the vma that a range was merged into, or None."""
    vmas = process.vmas
    at = place_of(prev) + 1 if prev is not None else 0
    area = vmas[at] if at < len(vmas) else None
    following = area
    if area is not None and area.end == end:
        following = vmas[at + 1] if at + 1 < len(vmas) else None
    left = right = "not_adjacent"
    if prev is not None and prev.end == start:
        left = _side(prev, flags, anon_vma, prev.pgoff + prev.end - prev.start == pgoff)
    if following is not None and following.start == end:
        right = _side(following, flags, anon_vma, following.pgoff == pgoff + end - start)
    if left == right == "ok" and not _compatible(prev.anon_vma, following.anon_vma):
        right = "prev_next"

    mapped = area is not None and area.start < end
    case, merged = 0, None
    if left == "ok":
        merged = prev
        if right == "ok":
            case = 6 if mapped else 1
            vma_adjust(state, prev, prev.start, following.end, prev.pgoff)
        else:
            case = (7 if area.end == end else 5) if mapped else 2
            vma_adjust(state, prev, prev.start, end, prev.pgoff)
    elif right == "ok":
        merged = area
        if prev is not None and start < prev.end:
            case = 4
            vma_adjust(state, prev, prev.start, start, prev.pgoff)
        else:
            case = 8 if mapped else 3
            vma_adjust(state, area, start, following.end, following.pgoff - (end - start))
    offset = None
    if left == "pgoff_anon":
        offset = _whose(anon_vma, prev)
    elif right == "pgoff_anon":
        offset = _whose(anon_vma, following)
    _count_attempt(state, process, start, end, case, left, right, offset)
    return merged


def _side(vma: Vma, flags: int, anon_vma: AnonVma | None, fits: bool) -> str:
    if vma.flags != flags:
        return "flags"
    if not _compatible(anon_vma, vma.anon_vma):
        return "anon_diff"
    return "ok" if fits else "pgoff_anon"


def _compatible(one: AnonVma | None, other: AnonVma | None) -> bool:
    return one is None or other is None or one is other


def _whose(anon_vma: AnonVma | None, neighbour: Vma) -> str:
    return "same" if anon_vma is not None and anon_vma is neighbour.anon_vma else "null"


def _count_attempt(
    state: State, process: Process, start: int, end: int, case: int, left: str, right: str, offset: str | None
) -> None:
    if case:
        process.merges += 1
    process.refusals += (left not in _NO_REFUSAL) + (right not in _NO_REFUSAL)
    row = (state.event, state.ts, state.pid, state.op, start, end - start, case, left, right)
    state.tables["merges"].append((*row, left in _NEW_WITH_RMAP39, right in _NEW_WITH_RMAP39, offset, False))


def vma_adjust(state: State, vma: Vma, start: int, end: int, pgoff: int) -> None:
    """Change the borders of a vma; the next one gives way or is merged, in case 6 the next two."""
    vmas, starts = vma.process.vmas, vma.process.starts
    at = place_of(vma)
    state.changed_vmas.append(vma)
    while True:
        following = vmas[at + 1] if at + 1 < len(vmas) else None
        shift, swallowed, reached = 0, False, end
        if following is not None:
            if end >= following.end:
                swallowed, reached = True, following.end
            elif end < vma.end or end > following.start:
                shift = end - following.start
        vma.start = starts[at] = start
        vma.end, vma.pgoff = reached, pgoff
        if shift:
            following.start += shift
            starts[at + 1] = following.start
            following.pgoff += shift
            state.changed_vmas.append(following)
        if swallowed:
            del vmas[at + 1], starts[at + 1]
            if following.anon_vma is not None:
                state.anon_vma_merge(vma, following)
            state.drop_vma(following)
        if reached == end:
            return


# ---- system calls


def split_vma(state: State, vma: Vma, page: int, new_below: bool) -> None:
    """Split a vma; the new one, on one of the sides, comes to the head of the list."""
    process = vma.process
    state.splits += 1
    at, offset = place_of(vma), page - vma.start
    if new_below:
        new = state.new_vma(process, vma.start, page, vma.flags, vma.pgoff)
        vma.start = process.starts[at] = page
        vma.pgoff += offset
    else:
        new = state.new_vma(process, page, vma.end, vma.flags, vma.pgoff + offset)
        vma.end = page
        at += 1
    process.starts.insert(at, new.start)
    process.vmas.insert(at, new)
    new.anon_vma = vma.anon_vma
    if new.anon_vma is not None:
        state.anon_vma_link(new)
    state.changed_vmas.append(vma)


def do_munmap(state: State, process: Process, start: int, end: int) -> None:
    vmas = process.vmas
    first = find_vma(process, start)
    if first == len(vmas) or vmas[first].start >= end:
        return
    if start > vmas[first].start:
        split_vma(state, vmas[first], start, new_below=False)
        first += 1
    stop = find_vma(process, end)
    if stop < len(vmas) and vmas[stop].start < end:
        split_vma(state, vmas[stop], end, new_below=True)
        stop += 1
    detached = vmas[first:stop]
    del vmas[first:stop], process.starts[first:stop]
    _zap(state, process, start, end)
    for vma in detached:
        state.free_vma(vma)


def _zap(state: State, process: Process, start: int, end: int) -> None:
    pages = process.pages
    addresses = _addresses(process, start, end)
    removed = [pages.pop(address, None) for address in addresses]
    if None in removed:
        removed = [page for page in removed if page is not None]
    if removed:
        state.page_remove_rmaps(process, removed)
        process.writable.difference_update(addresses)
        process.young.difference_update(addresses)


def _addresses(process: Process, start: int, end: int) -> range | list[int]:
    """Return the addresses of a range: all of a small one, else those that are mapped."""
    if end - start <= len(process.pages):
        return range(start, end)
    return [address for address in process.pages if start <= address < end]


def mmap(state: State, process: Process, start: int, end: int, access: int) -> None:
    do_munmap(state, process, start, end)
    flags = access | ACCOUNT if access & WRITE else access
    at = find_vma(process, start)
    prev = process.vmas[at - 1] if at else None
    if vma_merge(state, process, prev, start, end, flags, None, start) is None:
        vma_link(state.new_vma(process, start, end, flags, start))


def mprotect(state: State, process: Process, start: int, end: int, access: int) -> None:
    """Change a range, vma by vma; a hole ends it, and what came before stays changed."""
    vmas = process.vmas
    at = find_vma(process, start)
    if at == len(vmas) or vmas[at].start > start:
        return
    vma = vmas[at]
    prev = vma if start > vma.start else vmas[at - 1] if at else None
    while True:
        done = min(end, vma.end)
        prev = _mprotect_fixup(state, process, prev, vma, start, done, access)
        start = max(done, prev.end)
        at = place_of(prev) + 1
        if start >= end or at == len(vmas) or vmas[at].start != start:
            return
        vma = vmas[at]


def _mprotect_fixup(
    state: State, process: Process, prev: Vma | None, vma: Vma, start: int, end: int, access: int
) -> Vma:
    """Return the vma that the range is in afterwards."""
    flags = vma.flags & ~ACCESS | access
    if flags == vma.flags:
        return vma
    if flags & WRITE and not vma.flags & (ACCOUNT | WRITE):
        flags |= ACCOUNT
    pgoff = vma.pgoff + start - vma.start
    merged = vma_merge(state, process, prev, start, end, flags, vma.anon_vma, pgoff)
    if merged is not None:
        vma = merged
    else:
        if start != vma.start:
            split_vma(state, vma, start, new_below=True)
        if end != vma.end:
            split_vma(state, vma, end, new_below=False)
    vma.flags = flags
    state.changed_vmas.append(vma)
    process.writable.difference_update(_addresses(process, start, end))
    return vma
