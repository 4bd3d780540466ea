"""The slow model of every scheme, by name.

Each is `NaiveReplay` with the `mm/rmap.c` of its time in place of that of rmap 39: what the schemes share (system
calls, faults, swap, the LRU) is written once. Written from the specification of the schemes and the notes on it
(docs/semantics-notes.md), never from the core.

    pte_chain       2.6.0 to 2.6.6: a page knows its ptes
    anonmm          rmap 10 to rmap 38: a page knows a family of address spaces
    anon_vma        rmap 39: a page knows a list of vmas
    anon_vma_chain  2.6.34: a list for each process that inherits
    linux6          today: the same with an interval tree, reuse of lists and newer rules for merging
"""

from __future__ import annotations

from ..naive import NaiveReplay
from .anon_vma_chain import AnonVmaChainReplay
from .anonmm import AnonmmReplay
from .linux6 import Linux6Replay
from .pte_chain import PteChainReplay

MODELS = {
    "pte_chain": PteChainReplay,
    "anonmm": AnonmmReplay,
    "anon_vma": NaiveReplay,
    "anon_vma_chain": AnonVmaChainReplay,
    "linux6": Linux6Replay,
}
"""Name of the scheme -> its model."""

__all__ = ["MODELS", "AnonVmaChainReplay", "AnonmmReplay", "Linux6Replay", "PteChainReplay"]
