"""Replay memory-management traces under the kernel's reverse-mapping schemes and see what they cost.

>>> import anonvma_trace
>>> trace = anonvma_trace.read_trace("tiny-sh")
>>> replay = anonvma_trace.replay_trace(trace)
>>> replay.walks
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis import Replay, read_trace, replay_trace

__version__ = "0.1.0"

__all__ = ["Replay", "__version__", "read_trace", "replay_trace"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line answers --help and wrong usage without Arrow, Polars or Numba.
    if name in ("Replay", "read_trace", "replay_trace"):
        return getattr(importlib.import_module(f"{__name__}.analysis"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
