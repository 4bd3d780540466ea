"""How the core is compiled: entry points that take the state of a replay as one address, and functions of schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compiling import INTERPRETED, EntryPoint, kernel, prepared
from .bundle import Bundle

__all__ = ["entry_point", "kernel", "machine_code", "prepared", "specialisations", "specialised"]

specialisations: list[tuple[Callable[..., Any], Callable[[type], Callable[..., Any]]]] = []
"""Functions that stand for one of each scheme, and what returns that of the scheme with these tables."""


def specialised(function: Callable[..., Any], choose: Callable[[type], Callable[..., Any]]) -> None:
    """Let compiled calls of `function`, whose first argument is a State, be calls of the function of its scheme.

    `choose` returns that, given the class of `State.rmap`.
    """
    specialisations.append((function, choose))


def entry_point(function: Callable[..., Any]) -> Any:
    """Make a function one that Python calls, with NamedTuples of tables as `Bundle`s."""
    return function if INTERPRETED else EntryPoint(function, Bundle)


def machine_code(function: Any, *arguments: Any) -> Callable[..., Any]:
    """Return `EntryPoint.machine_code`, or the function itself where nothing is compiled."""
    return function.machine_code(*arguments) if isinstance(function, EntryPoint) else function
