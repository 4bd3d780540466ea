"""What a comparison takes in of one scheme's replay, a stretch of events at a time: a few words for each event."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..replay.layout import DIAGNOSTICS, LOG_FIELDS
from ..tables import MERGE_SIDES

_MERGES, _WALKS, _TOLD = LOG_FIELDS["merges"], LOG_FIELDS["walks"], LOG_FIELDS["diagnostics"]
_REFUSED = np.array([side not in ("ok", "not_adjacent") for side in MERGE_SIDES])
_IS_FINDING = np.array([severity == "finding" for severity, _, _ in DIAGNOSTICS])
_SIDE_BITS = 4  # of a side's outcome within an attempt's code
_CASES = 9  # 0: not merged
_COUNT_BITS = 6  # of the number of attempts of each case, within the code of several attempts
_MOST = (1 << _COUNT_BITS) - 1
_REASON_AT = _CASES * _COUNT_BITS  # there, the first reason why one of several was refused
_SEVERAL = 1 << 60

NO_ATTEMPT = -1
"""Code of an event at which nothing tried to merge."""


class Observations(NamedTuple):
    """What happened in a stretch of events; all arrays int64, events ascending.

    Attributes
    ----------
    merge_events, merge_codes : ndarray
        Events with attempts to merge, and what became of them (`attempt_text`).
    walk_events, visited, found : ndarray
        Events with walks; vmas that these visited, and ptes that they found.
    finding_events, finding_codes : ndarray
        Findings, and which each is (an index into `layout.DIAGNOSTICS`).
    """

    merge_events: np.ndarray
    merge_codes: np.ndarray
    walk_events: np.ndarray
    visited: np.ndarray
    found: np.ndarray
    finding_events: np.ndarray
    finding_codes: np.ndarray


class Observer:
    """Collects the rows of a core's log and hands them out as `Observations`."""

    def __init__(self) -> None:
        names = ("merges", "walks", "diagnostics")
        self._rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        self.taps = {name: rows.append for name, rows in self._rows.items()}

    def take(self) -> Observations:
        """Return what has been observed since the last call."""
        merges, walks, told = (
            np.concatenate(rows) if rows else np.zeros((0, len(LOG_FIELDS[name])), np.int64)
            for name, rows in self._rows.items()
        )
        for rows in self._rows.values():
            rows.clear()
        merge_events, merge_codes = attempts_of(
            *(merges[:, _MERGES.index(name)] for name in ("event", "case", "left", "right"))
        )
        walk_events, first, _ = runs_of(walks[:, _WALKS.index("event")])
        told = told[_IS_FINDING[told[:, _TOLD.index("code")]]]
        return Observations(
            merge_events,
            merge_codes,
            walk_events,
            sums_of(walks[:, _WALKS.index("vmas_visited")], first),
            sums_of(walks[:, _WALKS.index("hits")], first),
            told[:, _TOLD.index("event")],
            told[:, _TOLD.index("code")],
        )


def runs_of(event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each event of rows in order of events, the place of its first row, and how many it has."""
    first = np.flatnonzero(np.diff(event, prepend=-1))
    return event[first], first, np.diff(first, append=len(event))


def attempts_of(
    event: np.ndarray, case: np.ndarray, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return events with attempts and a code for each: what became of one attempt, or the cases of several.

    Parameters
    ----------
    event, case, left, right : ndarray of int64
        Of each attempt, in order; sides as indices into `tables.MERGE_SIDES`.
    """
    events, first, attempts = runs_of(event)
    codes = (((case << _SIDE_BITS) | left) << _SIDE_BITS | right)[first]
    several = attempts > 1
    if several.any():
        codes[several] = _several(
            case, np.where(_REFUSED[left], left, np.where(_REFUSED[right], right, 0)), first
        )[several]
    return events, codes


def _several(case: np.ndarray, refused: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return, for each event, how many attempts ended in each case, and the first reason for a refusal."""
    code = np.full(len(first), _SEVERAL, np.int64)
    for number in range(_CASES):
        code |= np.minimum(sums_of((case == number).astype(np.int64), first), _MOST) << (number * _COUNT_BITS)
    of_event = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(case))))
    at = np.flatnonzero(refused)
    with_one, earliest = np.unique(of_event[at], return_index=True)
    code[with_one] |= refused[at[earliest]] << _REASON_AT
    return code


def sums_of(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the sums of the stretches of `values` that begin at the places `first`."""
    return np.add.reduceat(values, first) if len(first) else np.zeros(0, np.int64)


def _of_case(codes: Any, case: int) -> Any:
    """Return how many of several attempts ended in this case."""
    return (codes >> (case * _COUNT_BITS)) & _MOST


def merges_of(codes: np.ndarray) -> np.ndarray:
    """Return how many attempts of each code merged."""
    one = (codes >= 0) & (codes >> (2 * _SIDE_BITS) > 0)
    return np.where(codes >= _SEVERAL, sum(_of_case(codes, case) for case in range(1, _CASES)), one)


def results_of(codes: np.ndarray) -> np.ndarray:
    """Return what of each code the vmas can tell: the cases that merged, not why others did not."""
    cases = codes & ((1 << _REASON_AT) - 1) & ~_MOST
    return np.where(codes >= _SEVERAL, cases, np.where(codes < 0, 0, codes >> (2 * _SIDE_BITS)))


def attempt_text(code: int) -> str:
    """Return what a code means, for a reader: ``case 2; right prev_next``, ``not merged; left flags``."""
    if code == NO_ATTEMPT:
        return "no attempt"
    mask = (1 << _SIDE_BITS) - 1
    if code >= _SEVERAL:
        counts = [(case, _of_case(code, case)) for case in range(_CASES)]
        texts = [
            (f"{times} × " if times > 1 else "") + (f"case {case}" if case else "not merged")
            for case, times in [*counts[1:], counts[0]]
            if times
        ]
        reason = (code >> _REASON_AT) & mask
        return ", ".join(texts) + (f"; first refusal {MERGE_SIDES[reason]}" if reason else "")
    case = code >> (2 * _SIDE_BITS)
    sides = (("left", (code >> _SIDE_BITS) & mask), ("right", code & mask))
    refused = [f"{name} {MERGE_SIDES[side]}" for name, side in sides if _REFUSED[side]]
    return "; ".join([f"case {case}" if case else "not merged", *refused])
