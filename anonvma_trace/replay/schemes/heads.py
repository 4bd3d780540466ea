"""anon_vmas as objects: made, freed, with the lengths of their lists and the peaks that the tables tell.

For schemes whose pool `anon_vma` has the fields of `ANON_VMA` (and perhaps more) and whose pool `member` is that of
`members`. What a list consists of is the scheme's affair.
"""

from __future__ import annotations

from ..compiled import kernel
from ..headroom import log_has_room
from ..layout import LOG_ANON_VMAS, LOG_MEMBERS, NULL, record
from ..locks import LOCK_PREPARE, count_locks
from ..log import log_freed_anon_vma
from .list_lengths import length_grew, length_shrinks
from .members import drop_members, settle_members

ANON_VMA = record(
    "id",
    "head",  # first vma of the list. While free: next free row
    "n_vmas",
    "peak_vmas",
    "n_pages",  # pages with mapcount above 0 whose mapping it is
    "peak_pages",
    "pages_ever",
    "walks",
    "vmas_visited",
    "allocated_event",
    "allocated_ts",
    "allocated_by",  # op
    "proc",
    "first_member",
    "touched",  # on the list of those whose peaks are to be looked at when the event is over
    "touched_next",
)

HEAD_GLOB = ("touched_anon_vma", "touched_member")
"""Fields of `glob` that go with them: whose peaks are to be looked at when the event is over."""


@kernel
def list_grew(s, anon_vma):
    """Bring the list's length, and the longest of all, up to date after a vma came onto it."""
    a = s.rmap.anon_vma[anon_vma]
    a.n_vmas += 1
    length_grew(s, a.n_vmas)
    touch_head(s, anon_vma)


@kernel
def list_shrank(s, anon_vma):
    """Bring the list's length, and the longest of all, up to date when a vma leaves it."""
    a = s.rmap.anon_vma[anon_vma]
    length_shrinks(s, a.n_vmas)
    a.n_vmas -= 1


@kernel
def touch_head(s, anon_vma):
    """Remember to look at the peaks of this anon_vma when the event is over."""
    a = s.rmap.anon_vma[anon_vma]
    if a.touched == 0:
        a.touched = 1
        a.touched_next = s.glob[0].touched_anon_vma
        s.glob[0].touched_anon_vma = anon_vma


@kernel
def alloc_head(s, proc):
    """Return a new anon_vma with an empty list; `proc` is the process that it is made for."""
    glob = s.glob[0]
    row = glob.anon_vma_free
    if row != NULL:
        glob.anon_vma_free = s.rmap.anon_vma[row].head
        glob.anon_vma_n_free -= 1
    else:
        row = glob.anon_vma_top
        glob.anon_vma_top += 1
    glob.anon_vma_id += 1
    glob.anon_vmas_allocated += 1
    count_locks(s, LOCK_PREPARE, 0, 0, 1, NULL)
    a = s.rmap.anon_vma[row]
    a.id = glob.anon_vma_id
    a.head = NULL
    a.n_vmas = 0
    a.peak_vmas = 0
    a.n_pages = 0
    a.peak_pages = 0
    a.pages_ever = 0
    a.walks = 0
    a.vmas_visited = 0
    a.allocated_event = glob.event
    a.allocated_ts = glob.ts
    a.allocated_by = glob.op
    a.proc = proc
    a.first_member = NULL
    return row


@kernel
def free_head(s, anon_vma):
    """Free an anon_vma whose list is empty; pages that still point to it dangle."""
    glob = s.glob[0]
    drop_members(s, anon_vma)
    a = s.rmap.anon_vma[anon_vma]
    allocated = (a.allocated_event, a.allocated_ts, a.allocated_by, a.proc)
    figures = (a.peak_vmas, a.peak_pages, a.pages_ever, a.walks, a.vmas_visited)
    log_freed_anon_vma(s, a.id, allocated, figures)
    a.id = 0
    a.head = glob.anon_vma_free
    glob.anon_vma_free = anon_vma
    glob.anon_vma_n_free += 1


@kernel
def settle_heads(s):
    """Bring the peaks of anon_vmas and members up to date when an event is over."""
    glob = s.glob[0]
    anon_vma = glob.touched_anon_vma
    while anon_vma != NULL:
        a = s.rmap.anon_vma[anon_vma]
        a.touched = 0
        a.peak_vmas = max(a.peak_vmas, a.n_vmas)
        a.peak_pages = max(a.peak_pages, a.n_pages)
        anon_vma = a.touched_next
    glob.touched_anon_vma = NULL
    settle_members(s)


@kernel
def heads_have_room(s, n_vmas, n_new_vmas, n_pages, few):
    """Return whether there is room for the anon_vmas and members of an event (`rmap_has_room`)."""
    glob = s.glob[0]
    glob.anon_vma_need = n_pages + few
    glob.member_need = n_new_vmas + glob.n_members + few if n_vmas > 0 else few
    if (
        glob.anon_vma_cap - glob.anon_vma_top + glob.anon_vma_n_free < glob.anon_vma_need
        or glob.member_cap - glob.member_top + glob.member_n_free < glob.member_need
        or glob.n_members > 2 * glob.member_mask
    ):
        return False
    return log_has_room(s, LOG_ANON_VMAS, n_vmas + few) and log_has_room(
        s, LOG_MEMBERS, (n_vmas + glob.n_members if n_vmas > 0 else 0) + few
    )


def head_id(s, anon_vma):
    """Return the id of an anon_vma, 0 for NULL."""
    return 0 if anon_vma == NULL else s.rmap.anon_vma[anon_vma].id


def anon_vma_id(s, vma):
    """Return the id of the vma's (own) anon_vma, or 0."""
    anon_vma = s.vma[vma].anon_vma
    return 0 if anon_vma == NULL else s.rmap.anon_vma[anon_vma].id
