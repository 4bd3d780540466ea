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
    return LiveObjects(_made_at(state, "anon_vma"), _made_at(state, "avc"))


def _made_at(state: State, table: str) -> np.ndarray | None:
    if table not in state.rmap._fields:
        return None
    rows = getattr(state.rmap, table).array
    return rows["allocated_ts"][rows["id"] != 0]
