"""What must balance at the end of every replay, checked or not: sums that cost next to nothing to compare."""

from __future__ import annotations

import numpy as np

from ..errors import ReplayBug
from .layout import NULL, State


def raise_imbalance(state: State, lost_pages: np.ndarray, path: str, line: int) -> None:
    """Raise if figures of a finished replay contradict each other, which no trace can cause.

    Parameters
    ----------
    state : State
    lost_pages : ndarray of uint8
        Marks of `mark_lost_pages`.
    path, line : str, int
        Of the trace, and of its last event, for the message.

    Raises
    ------
    ReplayBug
        With the first contradiction; ``--check`` finds the event that caused it.
    """
    for invariant, expected, found in _imbalances(state, lost_pages):
        if expected != found:
            raise ReplayBug(
                path,
                line,
                expected=f"{invariant} to be {expected:,} after event {state.glob[0].event:,}",
                found=f"{found:,}: a defect of this tool, no figure of this replay can be relied on",
                hint="replay with --check to see which event causes it, and report the events up to that one "
                "(docs/checking.md tells how)",
            )


def _imbalances(state: State, lost_pages: np.ndarray) -> list[tuple[str, int, int]]:
    """Return what balances: a name, and two figures that must be equal."""
    glob = state.glob[0]
    mm = state.mm.array[1 : glob.mm_top]
    mm = mm[mm["users"] != 0]
    misses = sum(int(glob[name]) for name in glob.dtype.names if name.startswith("miss_"))
    may_lose = glob.lossy_merges or glob.layout_only
    lost = 0 if may_lose else int(np.count_nonzero(lost_pages))
    return [
        ("the sum of rss (I2)", int(glob.mapped_ptes), int(mm["rss"].sum())),
        ("the number of vmas", int(glob.vmas_live), int(mm["n_vmas"].sum())),
        ("the number of vma rows in use", int(glob.vmas_live), _in_use(state)),
        ("the number of pages on the LRU lists", int(glob.n_active + glob.n_inactive), _live_pages(state)),
        ("vmas visited by walks", int(glob.vmas_visited), misses + int(glob.hits)),
        ("pages that no walk reaches (I1), since no merge lost an anon_vma,", 0, lost),
    ]


def _in_use(state: State) -> int:
    return int(np.count_nonzero(state.vma.array["mm"] != NULL))


def _live_pages(state: State) -> int:
    return int(state.glob[0].pages_allocated - state.glob[0].pages_freed)
