"""How many objects a scheme has made that are alive: what a slab allocator would show of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .layout import State


class LiveObjects(NamedTuple):
    """Objects that are alive, by kind; None for a kind that the scheme does not have.

    Attributes
    ----------
    anon_vma_ts, chain_ts : ndarray of int64 or None
        When each anon_vma, each anon_vma_chain was made: time of the event, ns; in no order.
    """

    anon_vma_ts: np.ndarray | None
    chain_ts: np.ndarray | None


def live_objects(state: State) -> LiveObjects:
    """Return the objects of the scheme that are alive now."""
    return LiveObjects(_made_at(state, "anon_vma", "id"), _made_at(state, "chain", "vma"))


def _made_at(state: State, table: str, in_use: str) -> np.ndarray | None:
    """Return the times of the rows in use of a table of the scheme: those whose field `in_use` is not 0."""
    if table not in state.rmap._fields:
        return None
    rows = getattr(state.rmap, table).array
    return rows["allocated_ts"][rows[in_use] != 0]
