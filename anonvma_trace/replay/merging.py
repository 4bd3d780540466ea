"""From what shards log to what one replay of the whole trace has: figures after each event, ids, rows in order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from ..tables import MERGE_SIDES
from .compiled import entry_point, kernel
from .layout import (
    CHANGE_WIDTH,
    COUNTERS,
    FILE_SHM,
    LOG_FIELDS,
    PAGE_CHANGES_WIDTH,
    State,
)
from .locks import LOCK_WORDS, OPERATIONS
from .results import (
    LOGGED_AT,
    ResultBuilder,
    give_pids,
    standing_anon_vmas,
    standing_members,
    standing_spans,
)
from .schemes.interface import scheme_of
from .shard import Round, Shard
from .state import grow
from .timeline import raise_peaks, sample_timeline

# Fields of `changes`.
_, _VMAS, _ANON_VMAS, _LONGEST, _I386, _X86_64, _VMA_ID, _ANON_VMA_ID, _SHM_ID = range(CHANGE_WIDTH)
_N_IDS = 3
_IDS = slice(_VMA_ID, _VMA_ID + _N_IDS)
_NOTHING: dict[str, np.ndarray] = {}
_NO_CHANGES, _NO_IDS = np.zeros((0, CHANGE_WIDTH), np.int64), np.zeros(_N_IDS, np.int64)

# Counters that follow from the figures after each event, not from the shards' own.
_FOLLOWED = {
    "vmas_peak",
    "vmas_sum",
    "anon_vmas_peak",
    "longest_list",
    "overhead_i386",
    "overhead_i386_peak",
    "overhead_x86_64",
    "overhead_x86_64_peak",
    "pages_peak",
}


@entry_point
def merge_changes(s, ts, first_event, shards, page_changes, changes, at, end, last, new_ids, new_ids_end):
    """Bring the figures of the whole trace up to date event by event, with peaks and samples of the timeline.

    Parameters
    ----------
    s : State
        Of the whole trace: its `glob` has the figures, its log the timeline.
    ts : ndarray of int64, shape (rows,)
        Of the batch.
    first_event : int64
    shards : ndarray of `SHARD_NUMBER`, shape (rows,)
    page_changes : ndarray of `PAGE_CHANGE`
        Of the batch: `PAGE_CHANGES` of each row.
    changes : ndarray of int64
        Rows of the shards' `changes`, shard after shard.
    at, end : ndarray of int64, shape (shards,)
        Where each shard's rows begin in these, which this function moves on, and end; in words.
    last : ndarray of int64
        For each shard a row of `changes`: its figures so far.
    new_ids : ndarray of int64
        Gets of each id that a shard gave, in order, its number in the whole trace.
    new_ids_end : ndarray of int64, shape (shards * kinds,)
        Where in `new_ids` those of each shard and kind begin, moved on to where they end.
    """
    glob = s.glob[0]
    next_change = _next_change(changes, at, end)
    row, rows = 0, len(ts)
    while row < rows:
        calm = min(rows, max(row, glob.next_sample - first_event))  # up to there pages alone change
        if next_change != 0:
            calm = min(calm, next_change - first_event)
        if row < calm:
            _follow_pages(s, ts, first_event, page_changes, row, calm)
            row = calm
            continue
        glob.event = first_event + row
        glob.ts = ts[row]
        glob.pages_allocated += page_changes[PAGE_CHANGES_WIDTH * row]
        glob.mapped_ptes += page_changes[PAGE_CHANGES_WIDTH * row + 1]
        if glob.event == next_change:
            _take_change(s, shards[row], changes, at, last, new_ids, new_ids_end)
            next_change = _next_change(changes, at, end)
        glob.vmas_sum += glob.vmas_live
        raise_peaks(s)
        sample_timeline(s)
        row += 1


@kernel
def _follow_pages(s, ts, first_event, page_changes, row, end):
    """Take in rows [row, end), which change nothing but pages."""
    glob = s.glob[0]
    pages, ptes = glob.pages_allocated - glob.pages_freed, glob.mapped_ptes
    highest, highest_row, highest_ptes = glob.pages_peak, -1, 0
    glob.vmas_sum += (end - row) * glob.vmas_live
    while row < end:
        pages += page_changes[PAGE_CHANGES_WIDTH * row]
        ptes += page_changes[PAGE_CHANGES_WIDTH * row + 1]
        if pages > highest:
            highest, highest_row, highest_ptes = pages, row, ptes
        row += 1
    if highest_row >= 0:
        _stand_at(s, ts, first_event, highest_row, highest, highest_ptes)
        raise_peaks(s)
    _stand_at(s, ts, first_event, end - 1, pages, ptes)


@kernel
def _stand_at(s, ts, first_event, row, pages, ptes):
    """Let the figures be those after a row."""
    glob = s.glob[0]
    glob.event = first_event + row
    glob.ts = ts[row]
    glob.pages_allocated = pages + glob.pages_freed
    glob.mapped_ptes = ptes


@kernel
def _next_change(changes, at, end):
    """Return the first event of which a shard has logged a row that is not taken yet; 0 if there is none."""
    event = 0
    for shard in range(len(at)):
        if at[shard] < end[shard] and (event == 0 or changes[at[shard]] < event):
            event = changes[at[shard]]
    return event


@kernel
def _take_change(s, shard, changes, at, last, new_ids, new_ids_end):
    """Take the next row of a shard's `changes` in, and number the ids that it gave."""
    glob = s.glob[0]
    before = CHANGE_WIDTH * shard
    now = at[shard]
    at[shard] += CHANGE_WIDTH
    glob.vmas_live += changes[now + _VMAS] - last[before + _VMAS]
    glob.anon_vmas_allocated += changes[now + _ANON_VMAS] - last[before + _ANON_VMAS]
    glob.overhead_i386 += changes[now + _I386] - last[before + _I386]
    glob.overhead_x86_64 += changes[now + _X86_64] - last[before + _X86_64]
    for kind in range(_N_IDS):
        whole = glob.vma_id if kind == 0 else glob.anon_vma_id if kind == 1 else glob.shm_id
        given = changes[now + _VMA_ID + kind] - last[before + _VMA_ID + kind]
        told = new_ids_end[_N_IDS * shard + kind]
        for each in range(given):
            new_ids[told + each] = whole + 1 + each
        new_ids_end[_N_IDS * shard + kind] += given
    glob.vma_id += changes[now + _VMA_ID] - last[before + _VMA_ID]
    glob.anon_vma_id += changes[now + _ANON_VMA_ID] - last[before + _ANON_VMA_ID]
    glob.shm_id += changes[now + _SHM_ID] - last[before + _SHM_ID]
    longest, was_longest = changes[now + _LONGEST], last[before + _LONGEST]
    for field in range(CHANGE_WIDTH):
        last[before + field] = changes[now + field]
    if longest > glob.longest_now:
        glob.longest_now = longest
    elif longest < was_longest and was_longest == glob.longest_now:
        glob.longest_now = longest
        for other in range(len(at)):
            glob.longest_now = max(glob.longest_now, last[CHANGE_WIDTH * other + _LONGEST])


class Merger:
    """Puts together what shards have replayed.

    Parameters
    ----------
    shards : mapping of int to Shard
        By number, those that there are so far: others may be added.
    n_shards : int
        How many there can be.
    whole : State
        A new state: gets the figures of the whole trace.
    results : ResultBuilder
    """

    def __init__(
        self, shards: Mapping[int, Shard], n_shards: int, whole: State, results: ResultBuilder
    ) -> None:
        self._shards = shards
        self._whole = whole
        self._results = results
        self._last = np.zeros((n_shards, CHANGE_WIDTH), np.int64)
        self._last[:, _SHM_ID] = FILE_SHM

    def merge(self, batch: Round) -> None:
        """Take in the next batch, which all shards have replayed."""
        self._follow_changes(batch)
        for name in LOGGED_AT:
            streams = {
                shard: self._shards[shard].renumber(name, logs[name])
                for shard, logs in batch.logs.items()
                if name in logs
            }
            if streams:
                self._results.add_log(name, streams, batch.lines, batch.first_event)

    def _follow_changes(self, batch: Round) -> None:
        n_shards = len(self._last)
        changes = [batch.logs.get(number, _NOTHING).get("changes", _NO_CHANGES) for number in range(n_shards)]
        end = list(accumulate(rows.size for rows in changes))
        given = [
            count
            for rows, last in zip(changes, self._last, strict=True)
            for count in (rows[-1, _IDS] - last[_IDS] if len(rows) else _NO_IDS).tolist()
        ]
        ids_at = [0, *accumulate(given)]
        new_ids = np.empty(ids_at[-1], np.int64)
        merge_changes(
            self._whole,
            batch.ts,
            batch.first_event,
            batch.shards.array,
            batch.page_changes.array,
            np.concatenate(changes).reshape(-1),
            np.array([0, *end[:-1]]),
            np.array(end),
            self._last.reshape(-1),
            new_ids,
            np.array(ids_at[:-1]),
        )
        for place, count in enumerate(given):
            if count:
                numbers = new_ids[ids_at[place] : ids_at[place + 1]]
                self._shards[place // _N_IDS].learn_ids(place % _N_IDS, numbers)

    def processes(self) -> np.ndarray:
        """Return the rows of all shards' table of processes, in the order in which these began."""
        states = [self._whole, *(shard.state for shard in self._shards.values())]
        found = np.concatenate([state.proc[1 : state.glob[0].proc_top] for state in states])
        return found[np.argsort(found["first_event"], kind="stable")]

    def add_what_stands(self) -> None:
        """Add what only the end tells: live vmas and their spans, members, anon_vmas."""
        spans, births = [], []
        members, anon_vmas = [], []
        for _, shard in sorted(self._shards.items()):
            rows = standing_spans(shard.state)
            births.append(
                shard.state.proc.array["first_event"][rows[:, LOG_FIELDS["vma_spans"].index("proc")]]
            )
            spans.append(self._of_whole("vma_spans", rows, shard))
            members.append(self._of_whole("members", standing_members(shard.state), shard))
            anon_vmas.append(self._of_whole("anon_vmas", standing_anon_vmas(shard.state), shard))
        if not spans:
            return
        by_birth = np.argsort(np.concatenate(births), kind="stable")
        self._results.add_standing(
            np.concatenate(spans)[by_birth], _in_order(members, 0), _in_order(anon_vmas, 0)
        )

    @staticmethod
    def _of_whole(name: str, rows: np.ndarray, shard: Shard) -> np.ndarray:
        return shard.renumber(name, give_pids(name, rows, shard.state))

    def sum_up(self) -> State:
        """Add up the shards' counters and histograms and return the state that has those of the whole trace."""
        whole = self._whole
        states = [shard.state for shard in self._shards.values()]
        whole.glob[0].visited_need = max([0, *(int(state.glob[0].visited_cap) for state in states)])
        whole = grow(whole)
        glob = whole.glob[0]
        for name in {*COUNTERS, "n_processes", *scheme_of(whole).extra}:
            if name not in _FOLLOWED:
                glob[name] = sum(int(state.glob[0][name]) for state in states)
        for part in ("visited", "file_visited", "locks", "by_case", "refused"):
            _part(whole, part)[:] = 0
            for state in states:
                counts = _part(state, part)
                _part(whole, part)[: len(counts)] += counts
        self._whole = whole
        return whole


def _in_order(rows: list[np.ndarray], field: int) -> np.ndarray:
    """Return rows of several shards as one array, by a field; each shard's rows keep their order."""
    together = np.concatenate(rows)
    return together[np.argsort(together[:, field], kind="stable")] if len(rows) > 1 else together


def _part(state: State, part: str) -> np.ndarray:
    """Return a part of `ints` that can be added up: a view."""
    glob = state.glob[0]
    sizes = {"visited": int(glob.visited_cap), "file_visited": int(glob.visited_cap)}
    sizes |= {"locks": LOCK_WORDS * len(OPERATIONS), "by_case": 9, "refused": len(MERGE_SIDES)}
    base = int(glob[f"{part}_base"])
    return state.ints.array[base : base + sizes[part]]
