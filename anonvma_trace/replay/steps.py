"""What happened inside one event, step by step: logged for the one event that is to be explained.

Result tables tell the outcome of an event. These rows tell on the way to it what each merge attempt saw, which is
gone when the event is over: an mprotect over several vmas tries to merge each of them.
"""

from __future__ import annotations

from .compiled import kernel
from .layout import LOG_STEPS, NULL
from .log import log_row
from .schemes.interface import head_id

STEP_MERGE, STEP_SPLIT = 1, 2
NEIGHBOUR_FIELDS = 7  # of each of the two neighbours, in the order of `LOG_FIELDS["steps"]`


@kernel
def is_told(s):
    """Return whether the steps of the current event are logged."""
    return s.glob[0].told_event == s.glob[0].event


@kernel
def tell_merge(s, start, end, flags, file, pgoff, anon_vma, prev, after, case, left, right):
    """Log a merge attempt, before anything changes: the range, its neighbours (NULL: none), the outcome."""
    at = log_row(s, LOG_STEPS)
    _write_range(s, at, STEP_MERGE, start, end, flags, file, pgoff, anon_vma)
    _write_neighbour(s, at + 7, prev)
    _write_neighbour(s, at + 7 + NEIGHBOUR_FIELDS, after)
    rest = at + 7 + 2 * NEIGHBOUR_FIELDS
    s.log[rest] = case
    s.log[rest + 1] = left
    s.log[rest + 2] = right


@kernel
def tell_split(s, vma, addr, new, new_below):
    """Log a split, when it is done: the whole range, then the two vmas, lower first; `case` 1: that one is new."""
    v = s.vma[vma]
    n = s.vma[new]
    at = log_row(s, LOG_STEPS)
    _write_range(
        s, at, STEP_SPLIT, min(v.start, n.start), max(v.end, n.end), v.vm_flags, v.file, addr, v.anon_vma
    )
    _write_neighbour(s, at + 7, new if new_below else vma)
    _write_neighbour(s, at + 7 + NEIGHBOUR_FIELDS, vma if new_below else new)
    rest = at + 7 + 2 * NEIGHBOUR_FIELDS
    s.log[rest] = 1 if new_below else 0
    s.log[rest + 1] = 0
    s.log[rest + 2] = 0


@kernel
def _write_range(s, at, kind, start, end, flags, file, pgoff, anon_vma):
    s.log[at] = kind
    s.log[at + 1] = start
    s.log[at + 2] = end
    s.log[at + 3] = flags
    s.log[at + 4] = file
    s.log[at + 5] = pgoff
    s.log[at + 6] = head_id(s, anon_vma)


@kernel
def _write_neighbour(s, at, vma):
    if vma == NULL:
        for field in range(NEIGHBOUR_FIELDS):
            s.log[at + field] = 0
        return
    v = s.vma[vma]
    s.log[at] = v.id
    s.log[at + 1] = v.start
    s.log[at + 2] = v.end
    s.log[at + 3] = v.vm_flags
    s.log[at + 4] = v.file
    s.log[at + 5] = v.pgoff
    s.log[at + 6] = head_id(s, v.anon_vma)
