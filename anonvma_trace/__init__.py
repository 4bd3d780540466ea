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
    from .compare import Comparison, compare_schemes
    from .difference import Difference, diff

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Difference",
    "Replay",
    "__version__",
    "compare_schemes",
    "diff",
    "read_trace",
    "replay_trace",
]

_HOMES = {
    "Comparison": "compare",
    "Difference": "difference",
    "Replay": "analysis",
    "compare_schemes": "compare",
    "diff": "difference",
    "read_trace": "analysis",
    "replay_trace": "analysis",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line answers --help and wrong usage without Arrow, Polars or Numba.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
