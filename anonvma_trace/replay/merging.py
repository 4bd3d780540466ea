"""From what shards log to what one replay of the whole trace has: figures after each event, ids, rows in order."""

from __future__ import annotations

import numpy as np

from ..tables import MERGE_SIDES
from .compiled import entry_point
from .layout import (
    CHANGE_WIDTH,
    COUNTERS,
    FILE_SHM,
    LOG_FIELDS,
    PAGE_CHANGE_WIDTH,
    State,
)
from .locks import LOCK_WORDS, OPERATIONS
from .results import ResultBuilder, standing_anon_vmas, standing_members, standing_spans, with_pids
from .schemes.interface import scheme_of
from .shard import Round, Shard
from .state import grow
from .timeline import raise_peaks, sample_timeline

# Fields of `page_changes` and `changes`.
_PAGES, _PTES = 1, 2
_, _VMAS, _ANON_VMAS, _LONGEST, _I386, _X86_64, _VMA_ID, _ANON_VMA_ID, _SHM_ID = range(CHANGE_WIDTH)
_N_IDS = 3
_NEW_IDS_WIDTH = (
    4  # words told of ids given at one event: the shard, their kind, the last of them, what to add
)

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
def merge_changes(s, ts, first_event, shards, pages, pages_at, pages_end, changes, at, end, last, new_ids):
    """Bring the figures of the whole trace up to date event by event, with peaks and samples of the timeline.

    Parameters
    ----------
    s : State
        Of the whole trace: its `glob` has the figures, its log the timeline.
    ts, shards : ndarray of int64, shape (rows,)
        Of the batch.
    first_event : int64
    pages, changes : ndarray of int64
        Rows of the shards' `page_changes` and `changes`, shard after shard.
    pages_at, at, pages_end, end : ndarray of int64, shape (shards,)
        Where each shard's rows begin in these, which this function moves on, and end; in words.
    last : ndarray of int64
        For each shard a row of `page_changes` and one of `changes`: its figures so far.
    new_ids : ndarray of int64
        Gets four words for each event that gave ids of one kind: the shard, the kind, the last of them, and what to
        add to an id of the shard to have that of the whole trace.

    Returns
    -------
    int64
        Words written to `new_ids`.
    """
    glob = s.glob[0]
    told = 0
    for row in range(len(ts)):
        event = first_event + row
        glob.event = event
        glob.ts = ts[row]
        shard = shards[row]
        before = (PAGE_CHANGE_WIDTH + CHANGE_WIDTH) * shard
        if shard >= 0 and pages_at[shard] < pages_end[shard] and pages[pages_at[shard]] == event:
            now = pages_at[shard]
            pages_at[shard] += PAGE_CHANGE_WIDTH
            glob.pages_allocated += pages[now + _PAGES] - last[before + _PAGES]
            glob.mapped_ptes += pages[now + _PTES] - last[before + _PTES]
            for field in range(PAGE_CHANGE_WIDTH):
                last[before + field] = pages[now + field]
        before += PAGE_CHANGE_WIDTH
        if shard >= 0 and at[shard] < end[shard] and changes[at[shard]] == event:
            now = at[shard]
            at[shard] += CHANGE_WIDTH
            glob.vmas_live += changes[now + _VMAS] - last[before + _VMAS]
            glob.anon_vmas_allocated += changes[now + _ANON_VMAS] - last[before + _ANON_VMAS]
            glob.overhead_i386 += changes[now + _I386] - last[before + _I386]
            glob.overhead_x86_64 += changes[now + _X86_64] - last[before + _X86_64]
            glob.vma_id += changes[now + _VMA_ID] - last[before + _VMA_ID]
            glob.anon_vma_id += changes[now + _ANON_VMA_ID] - last[before + _ANON_VMA_ID]
            glob.shm_id += changes[now + _SHM_ID] - last[before + _SHM_ID]
            longest, was_longest = changes[now + _LONGEST], last[before + _LONGEST]
            for kind in range(_N_IDS):
                if changes[now + _VMA_ID + kind] != last[before + _VMA_ID + kind]:
                    whole = glob.vma_id if kind == 0 else glob.anon_vma_id if kind == 1 else glob.shm_id
                    new_ids[told] = shard
                    new_ids[told + 1] = kind
                    new_ids[told + 2] = changes[now + _VMA_ID + kind]
                    new_ids[told + 3] = whole - changes[now + _VMA_ID + kind]
                    told += _NEW_IDS_WIDTH
            for field in range(CHANGE_WIDTH):
                last[before + field] = changes[now + field]
            if longest > glob.longest_now:
                glob.longest_now = longest
            elif longest < was_longest and was_longest == glob.longest_now:
                glob.longest_now = longest
                width = PAGE_CHANGE_WIDTH + CHANGE_WIDTH
                for other in range(len(at)):
                    glob.longest_now = max(
                        glob.longest_now, last[width * other + PAGE_CHANGE_WIDTH + _LONGEST]
                    )
        raise_peaks(s)
        sample_timeline(s)
    return told


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
        last = np.zeros((len(shards), PAGE_CHANGE_WIDTH + CHANGE_WIDTH), np.int64)
        last[:, PAGE_CHANGE_WIDTH + _SHM_ID] = FILE_SHM
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
        changes, at, end = self._logged(batch, "changes", CHANGE_WIDTH)
        new_ids = np.empty(len(changes) // CHANGE_WIDTH * _N_IDS * _NEW_IDS_WIDTH, np.int64)
        told = merge_changes(
            self._whole,
            batch.columns[0],
            batch.first_event,
            batch.shards,
            *self._logged(batch, "page_changes", PAGE_CHANGE_WIDTH),
            changes,
            at,
            end,
            self._last,
            new_ids,
        )
        shard, kind, given, ahead = new_ids[:told].reshape(-1, _NEW_IDS_WIDTH).T
        for number, each in enumerate(self._shards):
            for which in range(_N_IDS):
                mine = (shard == number) & (kind == which)
                each.learn_ids(which, given[mine], ahead[mine])

    def _logged(self, batch: Round, name: str, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what all shards logged in a region as one array of words, and where each one's begins and ends."""
        none = np.zeros((0, width), np.int64)
        rows = [batch.logs.get(number, {}).get(name, none) for number in range(len(self._shards))]
        ends = np.cumsum([each.size for each in rows])
        return np.concatenate(rows).reshape(-1), np.array([0, *ends[:-1]]), ends

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
