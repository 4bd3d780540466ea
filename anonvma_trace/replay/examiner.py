"""`Examiner`: runs the compiled check on a state, with a census as large as that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .breaches import BREACH_FIELDS
from .census import Census, breach_rows, grown_census, new_census
from .compiled import machine_code
from .invariants import NULL_ROW, POOLS
from .layout import PT_STRIDE, State
from .schemes.interface import scheme_of
from .validate import validate_state


class Examiner:
    """Finds everything that is wrong with the state of one replay, again and again as it goes on.

    Parameters
    ----------
    layout_only : bool
        Mappings of the scheme mean nothing (rule ``merge_pre_rmap39``): what follows from them is not looked at.
    """

    def __init__(self, *, layout_only: bool = False) -> None:
        self._layout_only = layout_only
        self._state: State | None = None
        self._census: Census | None = None
        self._validate: Callable[[State, Census], int] = validate_state
        self._first_rows: list[np.ndarray] = []

    def breaches(self, state: State, *, moved: bool) -> np.ndarray:
        """Return all breaches that stand in the state.

        Parameters
        ----------
        state : State
            Not changed.
        moved : bool
            Since the last call something was moved, or placed with a pgoff of its own.

        Returns
        -------
        ndarray of int64, shape (n, fields of `BREACH_FIELDS`)
        """
        census = self._census_for(state)
        census.check[0].moved = moved
        n = self._validate(state, census)
        while n > census.check[0].room:
            self._census = census = grown_census(census, state, 2 * n)
            n = self._validate(state, census)
        return np.concatenate([self._written_first_rows(), breach_rows(census)])

    def _census_for(self, state: State) -> Census:
        """Return the census, as large as the state, which is another object whenever a table has grown."""
        if self._census is None:
            self._census = new_census(state, layout_only=self._layout_only)
            self._validate = machine_code(validate_state, state, self._census)
        elif state is not self._state:
            self._census = grown_census(self._census, state, int(self._census.check[0].room))
        if state is not self._state:
            self._state = state
            self._first_rows = [_first_row(state, pool) for pool in (*POOLS, *scheme_of(state).pools)]
        return self._census

    def _written_first_rows(self) -> np.ndarray:
        """Return a breach for each table whose row 0, which is NULL, is not as it was made (``validate_null_rows``)."""
        written = [pool for pool, row in enumerate(self._first_rows) if row.any()]
        rows = np.zeros((len(written), len(BREACH_FIELDS)), np.int64)
        rows[:, 0], rows[:, 1] = NULL_ROW, written
        return rows


def _first_row(state: State, pool: str) -> np.ndarray:
    """Return a view of row 0 of a table as bytes."""
    if pool == "block":
        return state.pt.array[:PT_STRIDE].view(np.uint8)
    table = getattr(state, pool, None) or getattr(state.rmap, pool)
    return table.array[:1].view(np.ndarray).view(np.uint8)
