"""How functions are compiled, in every part of the package: numba's options, and where machine code is kept.

`entry_point` is for functions that Python calls, `kernel` for those that only compiled functions call; the
kernels of a part (a folder of the package, such as ``replay``) may stand in any of its modules.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core import config, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

# `_nrt=False` keeps numba from counting references to every array at every call: measured at three times the
# speed in the replay, and at most of the time in the line scanner. It is not documented, hence the bounded
# numba range in pyproject.toml and the benchmarks that would show its loss. Kernels must not allocate under
# it, and none needs to.
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
    """A kernel, compiled once for arguments of the same types: constants among them are ordinary values."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(types.unliteral(argument) for argument in args), kws)


LINKED_OPTIONS: dict[str, Any] = KERNEL_OPTIONS | {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _KernelCompiler,
}


def kernel(function: Callable) -> Callable:
    """Compile a function that only compiled functions call; its machine code is part of the entry point's."""
    return _kernel(function, LINKED_OPTIONS)


def inlined_kernel(function: Callable) -> Callable:
    """Compile a `kernel` that becomes part of each caller: for what is called for every word or number."""
    return _kernel(function, LINKED_OPTIONS | {"forceinline": True})


def _kernel(function: Callable, options: dict[str, Any]) -> Callable:
    compiled = njit(**options)(function)
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


def entry_point(function: Callable) -> Callable:
    """Compile a function that Python calls, with everything below it, and keep the machine code on disk.

    Where nothing can be kept, every start compiles. The folder is named after a hash of all sources of the
    part of the package that the function belongs to.
    """
    directory = _cache_directory(_folder_of(function))
    previous = config.CACHE_DIR
    config.CACHE_DIR = directory or previous  # read by numba when it decorates
    try:
        return njit(cache=directory is not None, pipeline_class=_EntryCompiler, **KERNEL_OPTIONS)(function)
    finally:
        config.CACHE_DIR = previous


def _folder_of(function: Callable) -> Path:
    """Return the folder of the part that a function belongs to: directly below the package, if it is in it."""
    package, path = Path(__file__).parent, Path(function.__code__.co_filename)
    inside = path.relative_to(package).parts[:-1] if path.is_relative_to(package) else ()
    return package / inside[0] if inside else path.parent


@cache
def source_hash(folder: Path) -> str:
    """Return a hash of all sources in a folder, and of what decides how they are compiled.

    numba itself looks only at the file of the entry point, and would miss an edit in a kernel of another.
    """
    digest = hashlib.sha256(f"{sys.version} numba {numba.__version__}".encode())
    for path in (Path(__file__), *sorted(folder.rglob("*.py"))):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _cache_directory(folder: Path) -> str | None:
    """Return a writable folder for machine code of the part in `folder`, or None if there is none."""
    name = f"{folder.name}-{source_hash(folder)}"
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
