"""Named counts of what could not be read: lines skipped, records cut short, damaged compression."""

from __future__ import annotations

from collections.abc import Iterable

from ..trace import Loss

PLACES_KEPT = 5
"""Places remembered of each kind of loss."""

TEXT_KEPT = 400
"""Characters kept of the text at a place: enough for a message, whatever the line holds."""


class LossLog:
    """What one pass over an input could not use, by kind.

    >>> log = LossLog()
    >>> log.add("bad-number", "expected a hexadecimal address", line=7, column=12, text="address=0x7fZZ10")
    >>> [(loss.code, loss.count) for loss in log.losses]
    [('bad-number', 1)]
    """

    def __init__(self) -> None:
        self._by_code: dict[str, Loss] = {}

    def add(
        self, code: str, reason: str, line: int = 0, column: int = 0, text: str = "", count: int = 1
    ) -> None:
        """Count a loss; of each kind the first `PLACES_KEPT` places are remembered.

        Parameters
        ----------
        code : str
            Stable kebab-case name of the kind.
        reason : str
            What was expected and what to do, for a reader. The first one given for a code stays.
        line, column : int, optional
            Where, counted from 1; 0 where there is no such place.
        text : str, optional
            What was found there.
        count : int, optional
            Lines (or records) lost at once; 0 changes nothing.
        """
        if count <= 0:
            return
        loss = self._by_code.get(code)
        if loss is None:
            loss = self._by_code[code] = Loss(code, reason)
        loss.count += count
        if (line or text) and len(loss.places) < PLACES_KEPT:
            loss.places.append((line, column, text[:TEXT_KEPT]))

    def take_in(self, losses: Iterable[Loss]) -> None:
        """Add what another log holds (a source's own losses, those of another part of the recording)."""
        for other in losses:
            loss = self._by_code.setdefault(other.code, Loss(other.code, other.reason))
            loss.count += other.count
            loss.places.extend(other.places[: PLACES_KEPT - len(loss.places)])

    @property
    def losses(self) -> list[Loss]:
        """All kinds met so far, in the order of their first appearance."""
        return list(self._by_code.values())

    @property
    def total(self) -> int:
        """Lines (or records) lost, all kinds together."""
        return sum(loss.count for loss in self._by_code.values())
