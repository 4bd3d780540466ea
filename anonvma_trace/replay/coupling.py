"""Where process families cannot be replayed apart."""

from __future__ import annotations


class FamiliesCoupled(Exception):
    """A row for which families cannot be replayed apart.

    Attributes
    ----------
    event : int
        Its number.
    reason : str
        One of `families.COUPLINGS`.
    """

    def __init__(self, event: int, reason: str) -> None:
        super().__init__(event, reason)
        self.event = event
        self.reason = reason
