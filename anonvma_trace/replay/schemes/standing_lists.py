"""The lists of a scheme's anon_vmas as they stand, for whoever looks at a replay from outside; not compiled."""

from __future__ import annotations

import numpy as np

from ..layout import NULL, State


def vmas_on_lists(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows of anon_vmas, rows of vmas and positions from 1, of lists threaded through the vmas."""
    heads, vmas, positions = _followed(state.rmap.anon_vma.array, state.vma.array["anon_next"])
    return heads, vmas, positions


def vmas_on_chains(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of lists of chains."""
    chains = state.rmap.chain.array
    heads, members, positions = _followed(state.rmap.anon_vma.array, chains["next"])
    return heads, chains["vma"][members], positions


def _followed(anon_vmas: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every member of every list, head first: all lists are followed together, a place at a time."""
    heads = np.flatnonzero(anon_vmas["id"] != 0)
    members = anon_vmas["head"][heads]
    found = [(heads[:0], members[:0], heads[:0])]
    while len(members):
        found.append((heads, members, np.full(len(members), len(found), np.int64)))
        members = following[members]
        heads, members = heads[members != NULL], members[members != NULL]
    of_heads, of_members, positions = zip(*found, strict=True)
    return np.concatenate(of_heads), np.concatenate(of_members), np.concatenate(positions)
