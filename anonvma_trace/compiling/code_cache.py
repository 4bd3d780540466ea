"""Machine code: kept in the user's cache folder, loaded from there, called by address.

A file for each entry point and combination of argument types: a line of JSON, then the object file that the compiler
made. The folder is named after a hash of all that the code depends on.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import json
import os
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm

_RETURNED = (0, -2)  # a value, or None; any other status is an error

BOUNDSCHECK = bool(int(os.environ.get("NUMBA_BOUNDSCHECK") or 0))
"""Compiled code checks the bounds of arrays."""

# Of the package, beside the sources of a part: how it is compiled, and names whose places compiled code knows.
_ALWAYS = ("compiling", "events.py", "tables.py")


class ObjectCode(NamedTuple):
    """What the compiler makes of an entry point.

    Attributes
    ----------
    symbol : str
        Its name in the object file.
    results : int
        Integers that it returns; 0 for nothing, -1 for one that is no tuple.
    object_file : bytes
        It calls nothing outside itself, and needs nothing of numba any more.
    """

    symbol: str
    results: int
    object_file: bytes


class MachineCode:
    """A compiled function in memory, with all that it calls.

    Parameters
    ----------
    code : ObjectCode
    n_words : int
        Words of its arguments.
    """

    def __init__(self, code: ObjectCode, n_words: int) -> None:
        self._engine = _new_engine()  # of its own: symbols of two functions do not meet
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_file))
        self._engine.finalize_object()
        # numba's calling convention: a status, then where results and errors go, then the arguments.
        words = [ctypes.c_int64] * n_words
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *words)
        self._call = prototype(self._engine.get_function_address(code.symbol))
        self._results = code.results
        self._result_words = ctypes.c_int64 * max(abs(code.results), 1)

    def __call__(self, words: list[int]) -> Any:
        """Call the function with integers and addresses; the interpreter is free for other threads meanwhile.

        Raises
        ------
        IndexError
            With ``NUMBA_BOUNDSCHECK`` set: a place outside an array.
        """
        results, error = self._result_words(), ctypes.c_void_p()
        status = self._call(ctypes.addressof(results), ctypes.addressof(error), *words)
        if status not in _RETURNED:
            raise IndexError(f"a place outside an array (status {status} of compiled code)")
        if self._results == 0:
            return None
        return results[0] if self._results < 0 else tuple(results)


@functools.cache
def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(llvm.get_process_triple())


def _new_engine() -> Any:
    target_machine = _target().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine)


class CodeCache:
    """The object files of a part of the package.

    Parameters
    ----------
    folder : Path
        Where its sources are.
    """

    def __init__(self, folder: Path) -> None:
        self._directory = cache_directory(folder)

    def find(self, name: str, kinds: tuple[Any, ...]) -> ObjectCode | None:
        """Return what is kept of an entry point for arguments of these kinds; None if nothing is, or it is damaged."""
        path = self._path(name, kinds)
        if path is None:
            return None
        try:
            head, _, object_file = path.read_bytes().partition(b"\n")
            told = json.loads(head)
            code = ObjectCode(str(told["symbol"]), int(told["results"]), object_file)
            intact = told["digest"] == _digest(path, code)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return code if intact else None

    def keep(self, name: str, kinds: tuple[Any, ...], code: ObjectCode) -> None:
        """Keep the code of an entry point, if there is a folder that can be written."""
        path = self._path(name, kinds)
        if path is not None:
            told = {"symbol": code.symbol, "results": code.results, "digest": _digest(path, code)}
            _write(path, json.dumps(told).encode() + b"\n" + code.object_file)

    def _path(self, name: str, kinds: tuple[Any, ...]) -> Path | None:
        digest = hashlib.sha256(repr(kinds).encode()).hexdigest()[:16]
        return self._directory / f"{name}-{digest}.bin" if self._directory else None


def _digest(path: Path, code: ObjectCode) -> str:
    """Return a digest of code and of its place: a file of another place is no substitute."""
    told = f"{path.parent.name}/{path.name} {code.symbol} {code.results}\n"
    return hashlib.sha256(told.encode() + code.object_file).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whoever else writes it now; a full disk is no error."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()


@functools.cache
def source_hash(folder: Path) -> str:
    """Return a hash of all sources in a folder, of what compiles them, and of the processor they are compiled for."""
    compiler = f"{sys.version} numba {version('numba')} llvmlite {version('llvmlite')}"
    processor = f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()}"
    features = llvm.get_host_cpu_features().flatten()
    digest = hashlib.sha256(f"{compiler} {processor} {features}".encode())
    for source in (*(Path(__file__).parents[1] / name for name in _ALWAYS), folder):
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_directory(folder: Path) -> Path | None:
    """Return a writable folder for machine code of the part in `folder`, or None if there is none."""
    name = f"{folder.name}-{source_hash(folder)}"
    if BOUNDSCHECK:
        name += "-boundscheck"
    user_cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    for base in (Path(user_cache), Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"):
        directory = base / "anonvma_trace" / name
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(directory, os.W_OK) and directory.stat().st_uid == os.getuid():
            return directory
    return None
