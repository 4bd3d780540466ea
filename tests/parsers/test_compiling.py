"""Functions are compiled with or without a place to keep what was compiled."""

import pytest
from numba import njit
from numba.core.caching import CompileResultCacheImpl

from anonvma_trace.parsers.compiling import cached_njit


def add(first, second):
    return first + second


@pytest.mark.compiled
def test_functions_are_compiled_where_no_machine_code_can_be_kept(monkeypatch):
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache function"):
        njit(cache=True)(add)
    assert cached_njit()(add)(1, 2) == 3


def test_other_failures_of_the_compiler_are_not_hidden():
    def failing(function):
        raise RuntimeError("something else")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anonvma_trace.parsers.compiling.njit", lambda **_: failing)
        with pytest.raises(RuntimeError, match="something else"):
            cached_njit()(add)
