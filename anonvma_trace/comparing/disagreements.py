"""Where schemes disagree on the same events: merges, walks, findings. Counts are kept, and the first few events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ..replay.layout import DIAGNOSTICS
from .observations import NO_ATTEMPT, Observations, attempt_text, merges_of, results_of

EVENTS_KEPT = 3
"""Events named for each kind of disagreement: the first ones."""

WALKS_KEPT = 20
"""Events named whose walks cost most more under one scheme than under another."""


class Disagreements:
    """Joins what all schemes did in each stretch of events.

    Parameters
    ----------
    names : sequence of str
        The replays, in the order in which their observations come.
    reference : str
        The one that the others are measured against.

    Attributes
    ----------
    against : dict of str to dict
        For each replay, at how many events it merged more, fewer or otherwise than the reference, and at how many its
        walks visited more or fewer vmas or found other numbers of ptes.
    """

    def __init__(self, names: Sequence[str], reference: str) -> None:
        self._names = list(names)
        self._reference = self._names.index(reference)
        self._merges: dict[tuple[int, ...], list[int]] = {}  # codes -> events in all, then the first ones
        self._walks = np.zeros((0, 1 + len(self._names)), np.int64)
        self._findings: dict[tuple[str, str], list[int]] = {}
        kinds = (
            "merged_more",
            "merged_fewer",
            "merged_otherwise",
            "visited_more",
            "visited_fewer",
            "found_otherwise",
        )
        self.against: dict[str, dict[str, int]] = {name: dict.fromkeys(kinds, 0) for name in self._names}

    def add(self, observed: Sequence[Observations]) -> None:
        """Take in the next stretch of events, as each replay observed it."""
        self._add_merges(observed)
        self._add_walks(observed)
        for name, each in zip(self._names, observed, strict=True):
            for event, code in zip(each.finding_events.tolist(), each.finding_codes.tolist(), strict=True):
                _note(self._findings, (name, DIAGNOSTICS[code][1]), [event], 1)

    def _add_merges(self, observed: Sequence[Observations]) -> None:
        events, codes = joined([(each.merge_events, each.merge_codes) for each in observed], NO_ATTEMPT)
        results = results_of(codes)
        reference = results[:, self._reference]
        merged = merges_of(codes)
        more = merged - merged[:, [self._reference]]
        for at, name in enumerate(self._names):
            beside = self.against[name]
            beside["merged_more"] += int(np.count_nonzero(more[:, at] > 0))
            beside["merged_fewer"] += int(np.count_nonzero(more[:, at] < 0))
            otherwise = (more[:, at] == 0) & (results[:, at] != reference)
            beside["merged_otherwise"] += int(np.count_nonzero(otherwise))
        differ = (results != reference[:, None]).any(axis=1)
        events, codes = events[differ], codes[differ]
        kinds, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(inverse.ravel(), kind="stable")  # events of each kind, ascending
        ends = np.cumsum(counts)
        for kind, end, count in zip(kinds.tolist(), ends.tolist(), counts.tolist(), strict=True):
            begin = end - count
            _note(
                self._merges,
                tuple(kind),
                events[order[begin : min(end, begin + EVENTS_KEPT)]].tolist(),
                count,
            )

    def _add_walks(self, observed: Sequence[Observations]) -> None:
        events, visited = joined([(each.walk_events, each.visited) for each in observed], 0)
        _, found = joined([(each.walk_events, each.found) for each in observed], 0)
        for at, name in enumerate(self._names):
            beside = self.against[name]
            more = visited[:, at] - visited[:, self._reference]
            beside["visited_more"] += int(np.count_nonzero(more > 0))
            beside["visited_fewer"] += int(np.count_nonzero(more < 0))
            beside["found_otherwise"] += int(np.count_nonzero(found[:, at] != found[:, self._reference]))
        rows = np.concatenate([self._walks, np.column_stack([events, visited])])
        spread = rows[:, 1:].max(axis=1) - rows[:, 1:].min(axis=1)
        least = np.partition(spread, -WALKS_KEPT)[-WALKS_KEPT] if len(rows) > WALKS_KEPT else 1
        large = spread >= max(least, 1)  # few are left to be sorted
        rows, spread = rows[large], spread[large]
        self._walks = rows[np.lexsort((rows[:, 0], -spread))[:WALKS_KEPT]]

    def merge_outcomes(self) -> pl.DataFrame:
        """Return the kinds of disagreement on merges, the most frequent first.

        Returns
        -------
        polars.DataFrame
            ``events`` (how many), ``first_events`` (the first few, comma-separated), and for each replay what became
            of the attempt there. Attempts of one event that were several are counted together.
        """
        rows = sorted(self._merges.items(), key=lambda item: (-item[1][0], item[1][1]))
        return pl.DataFrame(
            [(noted[0], _listed(noted[1:]), *map(attempt_text, codes)) for codes, noted in rows],
            schema={"events": pl.Int64, "first_events": pl.String} | dict.fromkeys(self._names, pl.String),
            orient="row",
        )

    def walk_differences(self) -> pl.DataFrame:
        """Return the events whose walks visited the most vmas more under one scheme than under another.

        Returns
        -------
        polars.DataFrame
            ``event``, and for each replay the vmas (or members of a ring, entries of a chain) visited at it.
        """
        schema = dict.fromkeys(["event", *self._names], pl.Int64)
        return pl.DataFrame(self._walks, schema=schema, orient="row")

    def findings(self) -> pl.DataFrame:
        """Return the findings of each replay: ``scheme``, ``code``, ``times``, ``first_events``."""
        rows: list[tuple[Any, ...]] = [
            (name, code, noted[0], _listed(noted[1:])) for (name, code), noted in self._findings.items()
        ]
        rows.sort(key=lambda row: (self._names.index(row[0]), row[1]))
        schema = {"scheme": pl.String, "code": pl.String, "times": pl.Int64, "first_events": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")


def joined(parts: list[tuple[np.ndarray, np.ndarray]], missing: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all events of all parts, and a column of values for each part, `missing` where it has none.

    Parameters
    ----------
    parts : list of (ndarray, ndarray)
        Events, ascending, and a value for each.
    missing : int
    """
    events = parts[0][0]
    if all(np.array_equal(of, events) for of, _ in parts):  # so it is with walks: no need to sort
        return events, np.column_stack([each for _, each in parts])
    events = np.unique(np.concatenate([of for of, _ in parts]))
    values = np.full((len(events), len(parts)), missing, np.int64)
    for column, (of, each) in enumerate(parts):
        values[np.searchsorted(events, of), column] = each
    return events, values


def _note(noted: dict[Any, list[int]], key: Any, events: list[int], count: int) -> None:
    """Count `count` more events of a kind; keep the first ones."""
    kept = noted.setdefault(key, [0])
    kept[0] += count
    kept += [event for event in events if event not in kept[1:]][: EVENTS_KEPT + 1 - len(kept)]


def _listed(events: list[int]) -> str:
    return ", ".join(map(str, events))
