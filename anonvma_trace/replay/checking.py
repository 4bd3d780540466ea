"""`Checker`: when to check the state of a replay, and what the checks found, in words and told once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..events import OPS, PAGE_SHIFT
from .breaches import BREACH_FIELDS
from .examiner import Examiner
from .invariants import BREACHES, FIGURES, FINDING_CODES, HASHES, POOLS
from .layout import State
from .schemes.interface import checks_of, scheme_of

_OP_MREMAP, _OP_VMA = OPS.index("mremap"), OPS.index("vma")


class Told(NamedTuple):
    """A finding or a violation, as it stands in `diagnostics`."""

    severity: str
    code: str
    message: str


class Checker:
    """Checks the state of a replay after events and remembers what it has told.

    A breach is told when a check finds it and the check before did not: one that heals and comes back is told again.
    What the scheme itself allows (invariants I1, I4, I7 and I11 once a merge has lost an anon_vma) is a finding, all
    else a violation, that is, a defect of this tool.

    Parameters
    ----------
    every : int
        Check after each event whose number this divides, at least 1.
    layout_only : bool
        As for `Examiner`.

    Attributes
    ----------
    checked_events : int
        Events after which there was a check.
    violations : int
        Violations told so far.
    """

    def __init__(self, every: int = 1, *, layout_only: bool = False) -> None:
        self.every = every
        self.checked_events = 0
        self.violations = 0
        self._examiner = Examiner(layout_only=layout_only)
        self._moved = False
        self._last_event = 0
        self._rows = np.zeros((0, len(BREACH_FIELDS)), np.int64)
        self._standing: set[tuple[int, ...]] = set()

    def next_row(self, event: int, row: int, last: int) -> int:
        """Return the row to stop before for a check, at most `last`; `event` events are done before `row`."""
        return min(last, row + self.every - event % self.every)

    def is_due(self, event: int) -> bool:
        """Return whether to check after this event."""
        return event % self.every == 0 and not self.is_checked(event)

    def is_checked(self, event: int) -> bool:
        """Return whether the latest check was after this event (true of no event at all)."""
        return event == self._last_event

    def note_rows(self, columns: tuple[np.ndarray, ...], first: int, last: int) -> None:
        """Take notice of the rows [first, last) that have been replayed; `columns` as `EventColumns.read` has them."""
        self._moved = self._moved or moves_something(columns, first, last)

    def check(self, state: State) -> list[Told]:
        """Check the state after an event; return what the last check did not find already."""
        rows = self._examiner.breaches(state, moved=self._moved)
        self._moved = False
        self.checked_events += 1
        self._last_event = int(state.glob[0].event)
        if np.array_equal(rows, self._rows):
            return []
        standing = {_identity(row): row for row in rows[::-1]}  # of several, the first
        fresh = [row for identity, row in standing.items() if identity not in self._standing]
        self._rows, self._standing = rows, set(standing)
        told = [_in_words(row, state) for row in reversed(fresh)]
        self.violations += sum(each.severity == "error" for each in told)
        return told


def moves_something(columns: tuple[np.ndarray, ...], first: int, last: int) -> bool:
    """Return whether rows [first, last) move a mapping, or place one with a pgoff of its own."""
    op, pgoff = columns[3][first:last], columns[8][first:last]
    return bool(np.any((op == _OP_MREMAP) | ((op == _OP_VMA) & (pgoff >= 0))))


def _identity(row: np.ndarray) -> tuple[int, ...]:
    """Return what stays of a breach for as long as it stands: code, key, other."""
    return tuple(row[:3].tolist())


def _in_words(row: np.ndarray, state: State) -> Told:
    fields = dict(zip(BREACH_FIELDS, row.tolist(), strict=True))
    code, proc, key = fields.pop("code"), fields.pop("proc"), fields["key"]
    scheme = scheme_of(state)
    invariant, message = (*BREACHES, *getattr(checks_of(state), "OWN_BREACHES", ()))[code]
    text = message.format(
        pid=int(state.proc[proc].pid) if 0 < proc < len(state.proc) else "?",
        addr=fields.pop("vpn") << PAGE_SHIFT,
        pool=_named((*POOLS, *scheme.pools), key),
        hash=_named((*HASHES, *(f"{pool}s" for pool in scheme.hashes)), key),
        figure=_named(FIGURES, key),
        **fields,
    )
    if code not in FINDING_CODES:
        return Told("error", f"validate-{invariant}", text)
    if state.glob[0].lossy_merges == 0:
        return Told("error", f"validate-{invariant}", f"{text}, though no merge has lost an anon_vma")
    return Told("finding", FINDING_CODES[code], text)


def _named(names: tuple[str, ...], key: int) -> str:
    return names[key] if 0 <= key < len(names) else ""
