"""Faults planted in the slow model, one at a time, are found by the comparison with the core, and how soon.

This shows that the comparison looks where it must: a fault of the same kind in the core would be found as well.
"""

from __future__ import annotations

import pickle
from functools import cache

import pytest

from .comparison import Difference, Lockstep
from .core_state import CoreReplay
from .naive import NaiveReplay
from .naive_objects import FilePage, PresentPte, SwapPte, ZeroPte
from .random_events import random_rows

SEEDS = (39, 19, 15)
SESSION = 300  # events of each

pytestmark = pytest.mark.compiled


class WrongListEnd(NaiveReplay):
    """A copied vma is linked at the tail of the list instead of the head."""

    def anon_vma_link(self, v, original):
        if original.anon_vma is not None:
            self._enter(original.anon_vma, v, len(original.anon_vma.list))


class MergedAtHead(NaiveReplay):
    """A survivor without an anon_vma goes to the head instead of its neighbour's place."""

    def anon_vma_merge(self, v, following):
        self.anon_vma_import(v, following)
        super().anon_vma_merge(v, following)


class ForgottenUnlink(NaiveReplay):
    """A vma that dies while others are on its list stays there."""

    def anon_vma_unlink(self, v):
        if v.anon_vma is not None and len(v.anon_vma.list) == 1:
            super().anon_vma_unlink(v)


class AnonVmaNotFreed(NaiveReplay):
    """An anon_vma whose list is empty lives on."""

    def anon_vma_unlink(self, v):
        if v.anon_vma is not None:
            self._leave(v.anon_vma, v)


class FileBeforeFlags(NaiveReplay):
    """The tests of a merge come in another order: the file before the flags."""

    def _side(self, neighbour, flags, anon_vma, file, fits, origin=None):
        if neighbour is not None and neighbour.file != file:
            return "file"
        return super()._side(neighbour, flags, anon_vma, file, fits, origin)


class PgoffBeforeAnonVma(NaiveReplay):
    """Another order again: the pgoff before the anon_vma."""

    def _side(self, neighbour, flags, anon_vma, file, fits, origin=None):
        reason = super()._side(neighbour, flags, anon_vma, file, fits, origin)
        if reason == "anon_diff" and not fits:
            return "pgoff_anon" if file is None else "pgoff_file"
        return reason


class JoinsDifferentAnonVmas(NaiveReplay):
    """Nobody asks whether two neighbours have different anon_vmas: `prev_next` is forgotten."""

    def compatible(self, one, other):
        return True

    def anon_vma_merge(self, v, following):
        if v.anon_vma in (None, following.anon_vma):
            super().anon_vma_merge(v, following)
        else:
            self.anon_vma_unlink(following)


class SplitOffByOne(NaiveReplay):
    """The new upper part of a split begins one page too late in the pgoff."""

    def split_vma(self, v, vpn, new_below):
        super().split_vma(v, vpn, new_below)
        if not new_below:
            v.mm.after(v).pgoff += 1


class SplitKeepsPgoff(NaiveReplay):
    """The old upper part of a split keeps its pgoff."""

    def split_vma(self, v, vpn, new_below):
        pgoff = v.pgoff
        super().split_vma(v, vpn, new_below)
        if new_below:
            v.pgoff = pgoff


class ForkForgetsMapcount(NaiveReplay):
    """Fork does not count the child's mapping of a page."""

    def page_dup_rmap(self, page, mm, vpn):
        super().page_dup_rmap(page, mm, vpn)
        page.mapcount -= 1


class ForkKeepsYoung(NaiveReplay):
    """The child's ptes are as young as the parent's."""

    def copy_ptes(self, source, target):
        super().copy_ptes(source, target)
        for vpn in source.mm.vpns_with_pte(source.start, source.end):
            pte = source.mm.ptes[vpn]
            if isinstance(pte, PresentPte):
                target.mm.ptes[vpn].young = pte.young


class ForkForgetsSlot(NaiveReplay):
    """Fork does not count the child's swap entry."""

    def copy_ptes(self, source, target):
        super().copy_ptes(source, target)
        for vpn in source.mm.vpns_with_pte(source.start, source.end):
            if isinstance(source.mm.ptes[vpn], SwapPte):
                source.mm.ptes[vpn].slot.map -= 1


class NoEarlyStop(NaiveReplay):
    """A walk goes on to the end of the list though all mappers are found."""

    def _walk(self, page, purpose, hit):
        row = super()._walk(page, purpose, hit)
        if row["early_stop"] and row["outcome"] is None:
            rest = page.mapping.list[row["vmas_visited"] :] if page.mapping else []
            for v in rest:
                row["vmas_visited"] += 1
                row[self._look_up(page, page.index, v)[0]] += 1
            row["early_stop"] = not page.mapping
        return row


class StopsTooEarly(NaiveReplay):
    """A walk stops one mapper before the last."""

    def _walk(self, page, purpose, hit):
        page.mapcount -= page.mapcount > 1
        row = super()._walk(page, purpose, hit)
        page.mapcount += row["mapcount"] > 1 or page.mapcount > 1
        return row


class ZeroPageInRss(NaiveReplay):
    """The zero page counts in rss."""

    def _do_anonymous_page(self, v, vpn, write):
        super()._do_anonymous_page(v, vpn, write)
        v.mm.rss += isinstance(v.mm.ptes[vpn], ZeroPte)


class MoveKeepsPgoffOfUnwritten(NaiveReplay):
    """A move does not set the pgoff of a vma that was never written anew."""

    def _copy_vma(self, v, start, end, pgoff):
        if v.file is None and v.anon_vma is None:
            return self._new_vma(v.mm, start, end, v.flags, pgoff, v.file, v)
        return super()._copy_vma(v, start, end, pgoff)


class AccountForgotten(NaiveReplay):
    """mprotect does not account for what becomes writable."""

    def _mprotect_fixup(self, v, prev, start, end, prot):
        accounted = v.flags & {"ACCOUNT"}
        merged = super()._mprotect_fixup(v, prev, start, end, prot)
        if not accounted:
            merged.flags -= {"ACCOUNT"}
        return merged


class PropagatesAlready(NaiveReplay):
    """The fix of June 2004 is on though no rule says so."""

    def vma_adjust(self, v, start, end, pgoff):
        self.rules |= {"fix_propagate"}
        super().vma_adjust(v, start, end, pgoff)


class UnmapsLockedPages(NaiveReplay):
    """Reclaim unmaps pages of locked vmas."""

    def try_to_unmap(self, page, recorded=False):
        return super().try_to_unmap(page, recorded=True)


class FileWalkBackwards(NaiveReplay):
    """The walk of a file page begins at the highest offset."""

    def file_mappers(self, page):
        return super().file_mappers(page)[::-1]


class LockedFilePagesIgnored(NaiveReplay):
    """A locked shared mapping of a file page does not count as a reference."""

    def _walk_file(self, page, purpose, hit, stop_at=None):
        assert isinstance(page, FilePage)
        return super()._walk_file(page, purpose, hit)


class RecordedCore:
    """What the core showed after each of the rows, to compare many models with one replay of it."""

    def __init__(self, rows):
        core = CoreReplay()
        self.shown = []
        for row in rows:
            core.feed(row)
            self.shown.append(pickle.dumps((core.state(), core.counters())))
        self.at = -1
        self.summary, self.rows = core.summary, core.rows

    def feed(self, *rows):
        self.at += len(rows)

    def state(self):
        return pickle.loads(self.shown[self.at])[0]

    def counters(self):
        return pickle.loads(self.shown[self.at])[1]


@cache
def recorded_sessions():
    """Return (rows, recorded core) of some sessions that together meet the rare states."""
    sessions = [random_rows(seed, SESSION, pages=32, pids=4, file_reclaim=True) for seed in SEEDS]
    return [(rows, RecordedCore(rows)) for rows in sessions]


def steps_until_found(model):
    """Return after how many steps the comparison finds that the model is wrong, or None."""
    for number, (rows, core) in enumerate(recorded_sessions()):
        core.at = -1
        both = Lockstep(model=model, core=core)
        try:
            for row in rows:
                both.step(row)
            both.compare_results()
        except Difference as difference:
            return number * SESSION + difference.event
    return None


FAULTS = {  # fault -> steps within which it is found
    WrongListEnd: 50,
    MergedAtHead: 200,
    ForgottenUnlink: 100,
    AnonVmaNotFreed: 100,
    FileBeforeFlags: 100,
    PgoffBeforeAnonVma: 200,
    JoinsDifferentAnonVmas: 200,
    SplitOffByOne: 50,
    SplitKeepsPgoff: 50,
    ForkForgetsMapcount: 50,
    ForkKeepsYoung: 50,
    ForkForgetsSlot: 900,
    NoEarlyStop: 50,
    StopsTooEarly: 50,
    ZeroPageInRss: 50,
    MoveKeepsPgoffOfUnwritten: 50,
    AccountForgotten: 400,
    PropagatesAlready: 50,
    UnmapsLockedPages: 900,
    FileWalkBackwards: 100,
    LockedFilePagesIgnored: 400,
}


@pytest.mark.parametrize(("fault", "steps"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_fault_is_found(fault, steps):
    found = steps_until_found(fault)
    assert found is not None and found <= steps, found


def test_without_a_fault_nothing_is_found():
    assert steps_until_found(NaiveReplay) is None
