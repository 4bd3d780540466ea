"""From what shards log to what one replay of the whole trace has: figures after each event, ids, rows in order."""

from __future__ import annotations

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
from .results import ResultBuilder, standing_anon_vmas, standing_members, standing_spans, with_pids
from .schemes.interface import scheme_of
from .shard import Round, Shard
from .state import grow
from .timeline import raise_peaks, sample_timeline

# Fields of `changes`.
_, _VMAS, _ANON_VMAS, _LONGEST, _I386, _X86_64, _VMA_ID, _ANON_VMA_ID, _SHM_ID = range(CHANGE_WIDTH)
_N_IDS = 3
_NEW_IDS_WIDTH = 2  # words told of ids given at one event: the last of them, and what to add

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

# The field that tells at which event a row of each region was logged.
_LOGGED_AT = {
    name: LOG_FIELDS[name].index(field)
    for name, field in {
        "anon_vmas": "freed_event",
        "merges": "event",
        "walks": "event",
        "vma_spans": "to_event",
        "members": "event",
        "diagnostics": "event",
        "file_walks": "event",
    }.items()
}


@entry_point
def merge_changes(s, ts, first_event, shards, page_changes, changes, at, end, last, new_ids, new_ids_end):
    """Bring the figures of the whole trace up to date event by event, with peaks and samples of the timeline.

    Parameters
    ----------
    s : State
        Of the whole trace: its `glob` has the figures, its log the timeline.
    ts, shards : ndarray of int64, shape (rows,)
        Of the batch.
    first_event : int64
    page_changes : ndarray of int64
        Of the batch: `PAGE_CHANGES` of each row.
    changes : ndarray of int64
        Rows of the shards' `changes`, shard after shard.
    at, end : ndarray of int64, shape (shards,)
        Where each shard's rows begin in these, which this function moves on, and end; in words.
    last : ndarray of int64
        For each shard a row of `changes`: its figures so far.
    new_ids : ndarray of int64
        Gets two words for each event at which a shard gave ids of one kind: the last of them, and what to add to an id
        of the shard to have that of the whole trace.
    new_ids_end : ndarray of int64, shape (shards * kinds,)
        Where in `new_ids` the words of each shard and kind begin, moved on to where they end.
    """
    glob = s.glob[0]
    next_change = _next_change(changes, at, end)
    for row in range(len(ts)):
        glob.event = first_event + row
        glob.ts = ts[row]
        pages = page_changes[PAGE_CHANGES_WIDTH * row]
        glob.pages_allocated += pages
        glob.mapped_ptes += page_changes[PAGE_CHANGES_WIDTH * row + 1]
        changed = glob.event == next_change
        if changed:
            _take_change(s, shards[row], changes, at, last, new_ids, new_ids_end)
            next_change = _next_change(changes, at, end)
        glob.vmas_sum += glob.vmas_live
        if changed or pages > 0:  # else nothing has grown
            raise_peaks(s)
        sample_timeline(s)


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
    """Take the next row of a shard's `changes` in, and tell the ids that it gave."""
    glob = s.glob[0]
    before = CHANGE_WIDTH * shard
    now = at[shard]
    at[shard] += CHANGE_WIDTH
    glob.vmas_live += changes[now + _VMAS] - last[before + _VMAS]
    glob.anon_vmas_allocated += changes[now + _ANON_VMAS] - last[before + _ANON_VMAS]
    glob.overhead_i386 += changes[now + _I386] - last[before + _I386]
    glob.overhead_x86_64 += changes[now + _X86_64] - last[before + _X86_64]
    glob.vma_id += changes[now + _VMA_ID] - last[before + _VMA_ID]
    glob.anon_vma_id += changes[now + _ANON_VMA_ID] - last[before + _ANON_VMA_ID]
    glob.shm_id += changes[now + _SHM_ID] - last[before + _SHM_ID]
    for kind in range(_N_IDS):
        if changes[now + _VMA_ID + kind] != last[before + _VMA_ID + kind]:
            whole = glob.vma_id if kind == 0 else glob.anon_vma_id if kind == 1 else glob.shm_id
            told = new_ids_end[_N_IDS * shard + kind]
            new_ids[told] = changes[now + _VMA_ID + kind]
            new_ids[told + 1] = whole - changes[now + _VMA_ID + kind]
            new_ids_end[_N_IDS * shard + kind] += _NEW_IDS_WIDTH
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
    shards : list of Shard
    whole : State
        A new state: gets the figures of the whole trace.
    results : ResultBuilder
    """

    def __init__(self, shards: list[Shard], whole: State, results: ResultBuilder) -> None:
        self._shards = shards
        self._whole = whole
        self._results = results
        last = np.zeros((len(shards), CHANGE_WIDTH), np.int64)
        last[:, _SHM_ID] = FILE_SHM
        self._last = last.reshape(-1)

    def merge(self, batch: Round) -> None:
        """Take in the next batch, which all shards have replayed."""
        self._follow_changes(batch)
        for name, event in _LOGGED_AT.items():
            rows = [
                self._shards[shard].renumber(name, logs[name])
                for shard, logs in sorted(batch.logs.items())
                if name in logs
            ]
            if rows:
                self._results.add_rows(name, _in_order(rows, event), batch.lines, batch.first_event)

    def _follow_changes(self, batch: Round) -> None:
        none = np.zeros((0, CHANGE_WIDTH), np.int64)
        rows = [batch.logs.get(number, {}).get("changes", none) for number in range(len(self._shards))]
        at = np.cumsum([0, *(each.size for each in rows)])
        room = np.repeat([_NEW_IDS_WIDTH * len(each) for each in rows], _N_IDS)  # of each kind, for each row
        ids_at = np.concatenate([[0], np.cumsum(room)])
        new_ids, ids_end = np.empty(ids_at[-1], np.int64), ids_at[:-1].copy()
        merge_changes(
            self._whole,
            batch.columns[0],
            batch.first_event,
            batch.shards,
            batch.page_changes.array,
            np.concatenate(rows).reshape(-1),
            at[:-1].copy(),
            at[1:],
            self._last,
            new_ids,
            ids_end,
        )
        for place in np.flatnonzero(ids_end > ids_at[:-1]).tolist():
            given, ahead = new_ids[ids_at[place] : ids_end[place]].reshape(-1, _NEW_IDS_WIDTH).T
            self._shards[place // _N_IDS].learn_ids(place % _N_IDS, given, ahead)

    def processes(self) -> np.ndarray:
        """Return the rows of all shards' table of processes, in the order in which these began."""
        found = np.concatenate([shard.state.proc[1 : shard.state.glob[0].proc_top] for shard in self._shards])
        return found[np.argsort(found["first_event"], kind="stable")]

    def add_what_stands(self) -> None:
        """Add what only the end tells: live vmas and their spans, members, anon_vmas."""
        spans, births = [], []
        members, anon_vmas = [], []
        for shard in self._shards:
            rows = standing_spans(shard.state)
            births.append(
                shard.state.proc.array["first_event"][rows[:, LOG_FIELDS["vma_spans"].index("proc")]]
            )
            spans.append(self._of_whole("vma_spans", rows, shard))
            members.append(self._of_whole("members", standing_members(shard.state), shard))
            anon_vmas.append(self._of_whole("anon_vmas", standing_anon_vmas(shard.state), shard))
        by_birth = np.argsort(np.concatenate(births), kind="stable")
        self._results.add_standing(
            np.concatenate(spans)[by_birth], _in_order(members, 0), _in_order(anon_vmas, 0)
        )

    @staticmethod
    def _of_whole(name: str, rows: np.ndarray, shard: Shard) -> np.ndarray:
        return shard.renumber(name, with_pids(name, rows, shard.state))

    def sum_up(self) -> State:
        """Add up the shards' counters and histograms and return the state that has those of the whole trace."""
        whole = self._whole
        states = [shard.state for shard in self._shards]
        whole.glob[0].visited_need = max(int(state.glob[0].visited_cap) for state in states)
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
