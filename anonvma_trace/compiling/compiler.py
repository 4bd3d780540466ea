"""How entry points are compiled with numba: its options, and what stands in place of parts of it.

Imported only where no machine code is kept.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite.binding import Linkage
from numba import njit
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import typeof_impl

from . import Kernel
from .arguments import Argument
from .code_cache import ObjectCode
from .passes import Passes

# Functions that code may call without being linked to them: LLVM makes such calls of its own.
_OUTSIDE = ("llvm.", "memset", "memcpy", "memmove")


class _KernelLibrary(JITCodeLibrary):
    """Code of a function that only other compiled functions call: kept for linking, never made executable.

    numba would optimise every function together with all that it calls and make machine code of that, again at each
    level of calls: nine tenths of the time. The entry point's library links all of them, and does both once.
    """

    def _optimize_functions(self, ll_module: Any) -> None:
        pass

    def finalize(self) -> None:
        self._finalized = True

    def linkable(self) -> Any:
        """Return the module; another one that it is linked with may have functions of it too."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        return self._final_module

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no executable code."""
        return 0

    @property
    def codegen(self) -> Any:
        """Stand for the code generator, which is asked for nothing else."""
        return _NO_ENVIRONMENT


class _NoEnvironment:
    """Stands for the code generator where numba would attach an environment for Python objects: there are none."""

    def set_env(self, name: str, env: Any) -> None:
        pass


_NO_ENVIRONMENT = _NoEnvironment()


def _nothing() -> None:
    pass


class _KernelCompiler(Compiler):
    """numba's compiler, its output going into a `_KernelLibrary`."""

    def __init__(self, typingctx: Any, targetctx: Any, library: Any, *arguments: Any) -> None:
        library = _KernelLibrary(targetctx.codegen(), "anonvma_trace kernel") if library is None else library
        super().__init__(typingctx, targetctx, library, *arguments)
        # numba would look for newly registered functions at every use of an array, none of which has an `__array__`.
        self.state.targetctx.refresh = _nothing

    def define_pipelines(self) -> list[Passes]:
        return [Passes()]


class _KernelDispatcher(CPUDispatcher):
    """A kernel, compiled once for arguments of the same types: constants among them are ordinary values."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return super().get_call_template(tuple(types.unliteral(argument) for argument in args), kws)


class _EntryLibrary(_KernelLibrary):
    """Code of an entry point and of all that it calls, of which the entry point alone is called from outside.

    Told so, the compiler may inline functions, and pass arguments as it likes: measured at 1.4 times the speed.
    """

    def object_file(self) -> bytes:
        """Link everything, optimise it, and make the object file."""
        self._link_all()
        outside = f"{len(self.name)}{self.name}"  # as it stands in a mangled name
        for function in self._final_module.functions:
            if not function.is_declaration and outside not in function.name:
                function.linkage = "internal"
        self._optimize_final_module()
        for function in self._final_module.functions:
            if function.is_declaration and not function.name.startswith(_OUTSIDE):
                raise RuntimeError(f"compiled code: expected no call outside itself, found {function.name}")
        object_file: bytes = self._codegen._tm.emit_object(self._final_module)
        return object_file

    def _link_all(self) -> None:
        seen: set[JITCodeLibrary] = set()
        waiting = list(self._linking_libraries)
        while waiting:
            library = waiting.pop()
            if library in seen:
                continue
            seen.add(library)
            if isinstance(library, _KernelLibrary):
                waiting.extend(library._linking_libraries)
                module = library.linkable()
            else:  # one of numba's own functions, which holds all that it calls
                module = library._get_module_for_linking()
            self._final_module.link_in(module, preserve=True)


class _EntryCompiler(_KernelCompiler):
    """numba's compiler, its output going into an `_EntryLibrary`."""

    def compile_extra(self, func: Any) -> Any:
        self.state.library = _EntryLibrary(self.state.targetctx.codegen(), func.__name__)
        return super().compile_extra(func)


# `_nrt=False` keeps numba from counting references to every array at every call: measured at three times the
# speed in the replay, and at most of the time in the line scanner. It is not documented, hence the bounded
# numba range in pyproject.toml and the benchmarks that would show its loss. Kernels must not allocate under
# it, and none needs to.
LINKED_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _KernelCompiler,
}


@typeof_impl.register(Kernel)
def _typeof_kernel(kernel: Kernel, context: Any) -> types.Type:
    if kernel.dispatcher is None:
        kernel.dispatcher = njit(**LINKED_OPTIONS | {"forceinline": kernel.inlined})(kernel.py_func)
        kernel.dispatcher.__class__ = _KernelDispatcher
    return types.Dispatcher(kernel.dispatcher)


@contextlib.contextmanager
def _little_garbage() -> Iterator[None]:
    """Let Python look for garbage seldom: nearly all that compiling makes is kept until its end."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def compile_entry_point(function: Callable[..., Any], arguments: list[Argument]) -> ObjectCode:
    """Compile a function that Python calls, for arguments like these, with everything below it.

    Raises
    ------
    TypeError
        It returns something else than integers.
    """
    with _little_garbage():
        return _compile(function, tuple(argument.numba_type() for argument in arguments))


def _compile(function: Callable[..., Any], signature: tuple[types.Type, ...]) -> ObjectCode:
    dispatcher = njit(**LINKED_OPTIONS | {"pipeline_class": _EntryCompiler})(function)
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    results = _n_results(types.unliteral(result.signature.return_type))
    if results is None:
        raise TypeError(f"{function.__name__}: expected int64, found {result.signature.return_type} returned")
    return ObjectCode(result.fndesc.llvm_func_name, results, result.library.object_file())


def _n_results(returned: types.Type) -> int | None:
    """Return the `ObjectCode.results` of a type; None if it cannot be returned."""
    if returned == types.none:
        return 0
    if returned == types.int64:
        return -1
    if isinstance(returned, types.UniTuple) and returned.dtype == types.int64:
        return int(returned.count)
    return None
