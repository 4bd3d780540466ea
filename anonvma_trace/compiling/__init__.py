"""How functions are compiled, in every part of the package, and how Python calls what was compiled.

`entry_point` is for functions that Python calls, `kernel` for those that only compiled functions call; the
kernels of a part (a folder of the package, such as ``replay``) may stand in any of its modules.

numba is imported, and anything compiled, only where no machine code is kept (`compiler`): its own tables of types
and operators take longer to load than all else of a start. Kept code is loaded and called by address (`code_cache`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .arguments import Argument, Array, Tabled, as_argument
from .code_cache import CodeCache, MachineCode

__all__ = ["INTERPRETED", "EntryPoint", "Kernel", "entry_point", "inlined_kernel", "kernel", "prepared"]

INTERPRETED = bool(int(os.environ.get("NUMBA_DISABLE_JIT") or 0))
"""Nothing is compiled: kernels and entry points are the functions themselves."""

_PACKAGE = Path(__file__).parents[1]
_ONE_AT_A_TIME = threading.Lock()  # the compiler registers what it meets; threads ask for the same code


class Kernel:
    """A function that only compiled functions call; its machine code is part of the entry point's.

    Parameters
    ----------
    function : callable
    inlined : bool
        It becomes part of each caller: for what is called for every word or number.
    """

    def __init__(self, function: Callable[..., Any], inlined: bool = False) -> None:
        self.py_func = function
        self.inlined = inlined
        self.dispatcher: Any = None  # what numba compiles, set by `compiler`
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Raise TypeError: there is no machine code of this function alone."""
        raise TypeError(f"{self.py_func.__qualname__} is called by compiled functions only; use its py_func")


def kernel(function: Callable[..., Any]) -> Any:
    """Make a function one that compiled functions call, unless everything is interpreted."""
    return function if INTERPRETED else Kernel(function)


def inlined_kernel(function: Callable[..., Any]) -> Any:
    """Make a function a `kernel` that becomes part of each caller."""
    return function if INTERPRETED else Kernel(function, inlined=True)


class EntryPoint:
    """A function that Python calls, compiled with everything below it.

    Its arguments are arrays, NamedTuples of arrays, and integers; it returns an integer, a tuple of integers, or
    nothing. There is machine code of its own for each combination of types.

    Parameters
    ----------
    function : callable
    tabled : callable, optional
        Makes the argument of a NamedTuple: what a part of the package passes in a way of its own.
    """

    def __init__(self, function: Callable[..., Any], tabled: Tabled | None = None) -> None:
        self.py_func = function
        self.__doc__ = function.__doc__
        self._tabled = tabled
        self._code: dict[tuple[Any, ...], MachineCode] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, whatever the types of its arguments."""
        given = self._arguments(arguments)  # kept until the call is over
        return self._code_for(given)([word for each in given for word in each.words])

    def machine_code(self, *arguments: Any) -> Callable[..., Any]:
        """Return what runs for arguments of these types: for calls that differ in values only.

        What is returned looks at no type: an argument of another type is read as garbage.
        """
        code = self._code_for(self._arguments(arguments))

        def call(*others: Any) -> Any:
            given = self._arguments(others)  # kept until the call is over
            return code([word for each in given for word in each.words])

        return call

    def _code_for(self, given: list[Argument]) -> MachineCode:
        kinds = tuple(each.kind for each in given)
        code = self._code.get(kinds)
        if code is None:
            with _ONE_AT_A_TIME:
                code = self._code[kinds] = self._code.get(kinds) or self._find_or_compile(given, kinds)
        return code

    def _arguments(self, values: tuple[Any, ...]) -> list[Argument]:
        return [as_argument(value, self._tabled) for value in values]

    def _find_or_compile(self, arguments: list[Argument], kinds: tuple[Any, ...]) -> MachineCode:
        cache = CodeCache(_folder_of(self.py_func))
        name = f"{self.py_func.__module__}.{self.py_func.__name__}"
        code = cache.find(name, kinds)
        if code is None:
            from .compiler import compile_entry_point

            code = compile_entry_point(self.py_func, arguments)
            cache.keep(name, kinds, code)
        return MachineCode(code, sum(len(each.words) for each in arguments))


def prepared(arrays: Iterable[np.ndarray]) -> tuple[Any, ...]:
    """Return arrays as arguments of entry points that are passed more than once, and looked at for that once."""
    return tuple(arrays) if INTERPRETED else tuple(Array(array) for array in arrays)


def entry_point(function: Callable[..., Any]) -> Any:
    """Make a function one that Python calls, compiled unless everything is interpreted.

    The machine code is kept on disk, in a folder named after a hash of all sources of the part of the package that
    the function belongs to. Where nothing can be kept, every start compiles.
    """
    return function if INTERPRETED else EntryPoint(function)


def _folder_of(function: Callable[..., Any]) -> Path:
    """Return the folder of the part that a function belongs to: directly below the package, if it is in it."""
    path = Path(function.__code__.co_filename)
    inside = path.relative_to(_PACKAGE).parts[:-1] if path.is_relative_to(_PACKAGE) else ()
    return _PACKAGE / inside[0] if inside else path.parent
