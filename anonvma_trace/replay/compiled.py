"""How the core is compiled: the one place with numba's options, and where machine code is cached."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core import config, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

from .bundle import Bundle

# `_nrt=False` keeps numba from counting references to every array of the state at every call: measured at
# three times the speed. It is not documented, hence the bounded numba range in pyproject.toml and the
# benchmark that would show its loss. Kernels must not allocate under it, and none needs to.
KERNEL_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


class _LinkedLibrary(JITCodeLibrary):
    """Code of a function that only other compiled functions call: kept for linking, never made executable.

    numba would optimise every function together with all that it calls and make machine code of that, again at each
    level of calls: nine tenths of the time. The entry point's library does both once, for everything.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        pass

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        return _NO_ENVIRONMENT


class _NoEnvironment:
    """Stands for the code generator where numba would attach an environment for Python objects: there are none."""

    def set_env(self, name: str, env: Any) -> None:
        pass


_NO_ENVIRONMENT = _NoEnvironment()


class _KernelCompiler(Compiler):
    """numba's compiler, its output going into a `_LinkedLibrary`."""

    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *arguments: Any) -> None:
        library = _LinkedLibrary(targetctx.codegen(), "anonvma_trace kernel") if library is None else library
        super().__init__(typingctx, targetctx, library, *arguments)


class _KernelDispatcher(CPUDispatcher):
    """A function of the core, compiled once for each scheme: constants among its arguments are ordinary values."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(types.unliteral(argument) for argument in args), kws)


LINKED_OPTIONS: dict[str, Any] = KERNEL_OPTIONS | {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _KernelCompiler,
}


def kernel(function: Callable) -> Callable:
    """Compile a function of the core; its machine code is part of the entry point's."""
    compiled = njit(**LINKED_OPTIONS)(function)
    if isinstance(compiled, CPUDispatcher):  # not under NUMBA_DISABLE_JIT
        compiled.__class__ = _KernelDispatcher
    return compiled


class _EntryLibrary(JITCodeLibrary):
    """Code of an entry point and of all that it calls, of which the entry point alone is called from outside.

    Told so, the compiler may inline functions, and pass arguments as it likes: measured at 1.4 times the speed.
    """

    def _optimize_final_module(self) -> None:
        outside = f"{len(self.name)}{self.name}"  # as it stands in a mangled name
        for function in self._final_module.functions:
            if not function.is_declaration and outside not in function.name:
                function.linkage = "internal"
        super()._optimize_final_module()


class _EntryCompiler(Compiler):
    """numba's compiler, its output going into an `_EntryLibrary`."""

    def compile_extra(self, func: Any) -> Any:
        self.state.library = _EntryLibrary(self.state.targetctx.codegen(), func.__name__)
        self.state.library.enable_object_caching()
        return super().compile_extra(func)


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
    directory = _cache_directory()
    previous = config.CACHE_DIR
    config.CACHE_DIR = directory or previous  # read by numba when it decorates
    try:
        compiled = njit(cache=directory is not None, pipeline_class=_EntryCompiler, **KERNEL_OPTIONS)(
            function
        )
    finally:
        config.CACHE_DIR = previous
    return EntryPoint(compiled) if isinstance(compiled, CPUDispatcher) else compiled


def machine_code(function: Callable, *arguments: Any) -> Callable:
    """Return `EntryPoint.machine_code`, or the function itself where nothing is compiled."""
    return function.machine_code(*arguments) if isinstance(function, EntryPoint) else function


def source_hash() -> str:
    """Return a hash of all sources of the core: numba itself looks only at the file of the entry point."""
    digest = hashlib.sha256(f"{sys.version} numba {numba.__version__}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _cache_directory() -> str | None:
    """Return a writable folder for machine code, or None if there is none (then every start compiles)."""
    name = f"core-{source_hash()}"
    if config.BOUNDSCHECK:
        name += "-boundscheck"
    user_cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    for base in (Path(user_cache), Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"):
        directory = base / "anonvma_trace" / name
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(directory, os.W_OK) and directory.stat().st_uid == os.getuid():
            return str(directory)
    return None
