"""How the core is compiled: entry points that take the state of a replay as one address, and their kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core.registry import CPUDispatcher

from .. import compiling
from ..compiling import LINKED_OPTIONS, kernel
from .bundle import Bundle

__all__ = ["LINKED_OPTIONS", "EntryPoint", "entry_point", "kernel", "machine_code"]


class EntryPoint:
    """A function of the core that Python calls; NamedTuples of tables go in as `Bundle`s.

    Parameters
    ----------
    compiled : callable
        By numba.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, whatever the types of its arguments."""
        return self._compiled(*_bundled(arguments))

    def machine_code(self, *arguments: Any) -> Callable:
        """Return what runs for arguments of these types: for calls that differ in values only.

        The entry point itself looks at the types of all arguments each time, which takes as long as many events. What
        is returned looks at none: an argument of another type is read as garbage.
        """
        compiled = self._compiled.compile(tuple(numba.typeof(argument) for argument in _bundled(arguments)))
        return lambda *others: compiled(*_bundled(others))


def _bundled(arguments: tuple[Any, ...]) -> Iterator[Any]:
    return (Bundle(each) if isinstance(each, tuple) else each for each in arguments)


def entry_point(function: Callable) -> Callable:
    """Compile a function that Python calls, with everything below it, and cache the machine code."""
    compiled = compiling.entry_point(function)
    return EntryPoint(compiled) if isinstance(compiled, CPUDispatcher) else compiled


def machine_code(function: Callable, *arguments: Any) -> Callable:
    """Return `EntryPoint.machine_code`, or the function itself where nothing is compiled."""
    return function.machine_code(*arguments) if isinstance(function, EntryPoint) else function
