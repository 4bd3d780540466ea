"""How functions of the parsers are compiled: kept on disk where there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def cached_njit(**options: Any) -> Callable[[Callable], Callable]:
    """Return ``numba.njit(cache=True, **options)``, which compiles at every start where nothing can be kept.

    numba keeps machine code beside the source or in the user's cache folder, and refuses to decorate where it
    may write to neither: an installation by root, used by a user without a writable home.
    """

    def compiled(function: Callable) -> Callable:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            return njit(**options)(function)

    return compiled
