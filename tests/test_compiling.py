"""Functions are compiled once for each combination of argument types, and never run from older or damaged code."""

import multiprocessing
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from anonvma_trace import compiling
from anonvma_trace.compiling import code_cache, entry_point, inlined_kernel, kernel, prepared

PACKAGE = Path(compiling.__file__).parents[1]

KERNELS = """
from anonvma_trace.compiling import kernel

@kernel
def twice(number):
    return {factor} * number
"""
ENTRIES = """
import sys
from anonvma_trace.compiling import entry_point
from kernels import twice

@entry_point
def add(first, second):
    return twice(first) + twice(second)

print(add(1, 2), "numba" in sys.modules)
"""


@kernel
def _doubled(number):
    return 2 * number


@inlined_kernel
def _is_even(number):
    return number % 2 == 0


def _sum_of_doubles(numbers, n):
    """Called by Python in each test as an entry point of its own, with no code in memory yet."""
    total = 0
    for at in range(n):
        total += _doubled(numbers[at])
    return total


class Pair(NamedTuple):
    first: np.ndarray
    second: np.ndarray


NUMBERS = np.arange(1, 5)


@pytest.fixture(autouse=True)
def no_folder_is_remembered():
    code_cache.cache_directory.cache_clear()
    code_cache.source_hash.cache_clear()
    yield
    code_cache.cache_directory.cache_clear()
    code_cache.source_hash.cache_clear()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where machine code is kept."""
    monkeypatch.setattr(code_cache, "cache_directory", lambda sources: tmp_path)
    return tmp_path


@pytest.fixture
def compiles(monkeypatch):
    """Names of the entry points that were compiled."""
    from anonvma_trace.compiling import compiler

    names = []
    real = compiler.compile_entry_point

    def compile_entry_point(function, arguments):
        names.append(function.__name__)
        return real(function, arguments)

    monkeypatch.setattr(compiler, "compile_entry_point", compile_entry_point)
    return names


def run(folder, factor):
    """Run an entry point that calls a kernel of another file: what it returned, and whether it was compiled."""
    (folder / "kernels.py").write_text(KERNELS.format(factor=factor))
    (folder / "entries.py").write_text(ENTRIES)
    environment = {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",  # Python itself would miss a change within a second
    }
    done = subprocess.run(
        [sys.executable, "entries.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    result, compiled = done.stdout.split()
    return int(result), compiled == "True"


@pytest.mark.compiled
def test_machine_code_is_kept_until_the_file_of_any_kernel_changes(tmp_path):
    assert run(tmp_path, 2) == (6, True)
    assert run(tmp_path, 2) == (6, False)
    assert run(tmp_path, 3) == (9, True)


@pytest.mark.compiled
def test_functions_are_compiled_where_no_machine_code_can_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder: nothing can be made in it
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    assert code_cache.cache_directory(tmp_path) is None
    assert entry_point(_sum_of_doubles)(NUMBERS, 4) == 20


@pytest.mark.compiled
def test_functions_are_compiled_where_the_disk_is_full(folder, monkeypatch):
    def write_bytes(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert entry_point(_sum_of_doubles)(NUMBERS, 4) == 20
    assert not list(folder.iterdir())


def test_every_part_of_the_package_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = [code_cache.cache_directory(PACKAGE / part).name for part in ("parsers", "replay")]
    assert [name.split("-")[0] for name in names] == ["parsers", "replay"]
    assert all((tmp_path / "anonvma_trace" / name).is_dir() for name in names)


def test_another_processor_has_a_folder_of_its_own(monkeypatch):
    here = code_cache.source_hash(PACKAGE / "replay")
    code_cache.source_hash.cache_clear()
    monkeypatch.setattr(code_cache.llvm, "get_host_cpu_name", lambda: "another")
    assert code_cache.source_hash(PACKAGE / "replay") != here


@pytest.mark.compiled
def test_code_is_found_again_without_compiling(folder, compiles):
    assert entry_point(_sum_of_doubles)(NUMBERS, 4) == 2 * (1 + 2 + 3 + 4)
    assert entry_point(_sum_of_doubles)(NUMBERS, 3) == 2 * (1 + 2 + 3)
    assert compiles == ["_sum_of_doubles"]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.compiled
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-1],  # truncated
        lambda whole: whole[:20],
        lambda whole: whole.partition(b"\n")[2],  # the object file alone
        lambda whole: b"{}\n" + whole.partition(b"\n")[2],
        lambda whole: b"[]\n" + whole.partition(b"\n")[2],
        lambda whole: whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        lambda whole: whole.replace(b'"results": -1', b'"results": 40'),
        lambda whole: b"\xff\xfe" + whole,
    ],
)
def test_damaged_code_is_compiled_anew_and_then_found(folder, compiles, damage):
    entry_point(_sum_of_doubles)(NUMBERS, 4)
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert entry_point(_sum_of_doubles)(NUMBERS, 4) == 20
    assert entry_point(_sum_of_doubles)(NUMBERS, 2) == 6
    assert compiles == 2 * ["_sum_of_doubles"]


@pytest.mark.compiled
def test_code_of_another_place_is_not_taken(folder, compiles):
    """A file copied over that of other argument types would read its arguments as garbage."""
    entry_point(_sum_of_doubles)(NUMBERS, 4)
    (first,) = folder.iterdir()
    entry_point(_sum_of_doubles)(NUMBERS.astype(np.int32), 4)
    (second,) = set(folder.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    assert entry_point(_sum_of_doubles)(NUMBERS.astype(np.int32), 4) == 20
    assert len(compiles) == 3


@pytest.mark.compiled
def test_code_that_cannot_be_read_is_compiled_anew(folder, monkeypatch):
    entry_point(_sum_of_doubles)(NUMBERS, 4)

    def read_bytes(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert entry_point(_sum_of_doubles)(NUMBERS, 4) == 20


def _sum_in_another_process(folder, results):
    code_cache.cache_directory = lambda sources: folder
    results.put(entry_point(_sum_of_doubles)(NUMBERS, 4))


@pytest.mark.compiled
def test_two_processes_may_compile_the_same_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")  # a fork copies all that the tests before have mapped
    results = context.Queue()
    processes = [context.Process(target=_sum_in_another_process, args=(tmp_path, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [20, 20]
    for process in processes:
        process.join()
    assert [path.suffix for path in tmp_path.iterdir()] == [".bin"]


@pytest.mark.parametrize(
    "numbers",
    [
        NUMBERS,
        NUMBERS.astype(np.int32),
        np.arange(1, 9)[::2] // 2 + 1,
        np.array([[1, 9], [2, 9], [3, 9], [4, 9]])[:, 0],  # not contiguous
    ],
)
def test_arrays_of_each_kind_are_read_as_python_reads_them(numbers):
    assert entry_point(_sum_of_doubles)(numbers, 4) == 20


def test_a_read_only_array_is_read():
    numbers = NUMBERS.copy()
    numbers.flags.writeable = False
    assert entry_point(_sum_of_doubles)(numbers, 4) == 20


def test_arrays_of_two_dimensions_and_named_tuples_of_arrays_are_changed_in_place():
    @entry_point
    def fill(table, pair, offset):
        for row in range(table.shape[0]):
            for column in range(table.shape[1]):
                table[row, column] = offset + 10 * row + column
            pair.second[row] = pair.first[row] + len(table)

    table = np.zeros((4, 6), np.int64)
    pair = Pair(NUMBERS, np.zeros(4, np.int64))
    assert fill(table[:, ::2], pair, -5) is None
    assert table[:, ::2].tolist() == [[10 * row + column - 5 for column in range(3)] for row in range(4)]
    assert not table[:, 1::2].any()
    assert pair.second.tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("order", ["C", "F"])
def test_places_are_counted_from_the_end_where_negative(order):
    @entry_point
    def exchange(table, row, line):
        line[row,] = table[row, -1]
        table[row, -1] = table[-1, row + 1]
        table[-1, row + 1] = line[-1]

    table, line = np.array(np.arange(12).reshape(3, 4), np.int32, order=order), np.array([7, 8, 9])
    exchange(table, -2, line)
    assert table.tolist() == [[0, 1, 2, 3], [4, 5, 6, 11], [8, 9, 10, 9]]
    assert line.tolist() == [7, 7, 9]


def test_several_results_are_a_tuple():
    @entry_point
    def divide(number, divisor):
        if _is_even(number):
            return number // divisor, number % divisor, -1
        return number // divisor, number % divisor, 1

    assert divide(np.int64(-7), 2) == (-4, 1, 1)
    assert divide(1 << 62, 3) == ((1 << 62) // 3, (1 << 62) % 3, -1)


@pytest.mark.compiled
def test_an_entry_point_that_returns_no_integer_is_refused():
    @entry_point
    def half(number):
        return number / 2

    with pytest.raises(TypeError, match="expected int64, found float64"):
        half(1)


def _with_a_closure(number):
    def add(other):
        return number + other

    return add(1)


def _with_a_comprehension(number):
    return len([place + 1 for place in range(number)])


def _with_an_error(number):
    if number < 0:
        raise ValueError("negative")
    return number


@pytest.mark.compiled
@pytest.mark.parametrize("function", [_with_a_closure, _with_a_comprehension, _with_an_error])
def test_what_functions_may_not_contain_is_refused(function):
    from numba.core.errors import NumbaError

    with pytest.raises(NumbaError):
        entry_point(function)(1)


def test_a_variable_may_hold_several_types_one_after_the_other():
    @entry_point
    def last_of(words, n):
        total = 0
        for at in range(n):
            word = words[at]  # uint64: with int64 it would become a float
            if word > 5:
                word = 0
            word = np.int64(word)
            total += word
        return total

    assert last_of(np.array([3, 9, 5], np.uint64), 3) == 8


@pytest.mark.compiled
def test_kernels_are_not_called_from_python():
    with pytest.raises(TypeError, match="by compiled functions only"):
        _doubled(1)


def test_machine_code_is_had_once_for_calls_that_differ_in_values():
    entry = entry_point(_sum_of_doubles)
    add = entry.machine_code(NUMBERS, 0) if not compiling.INTERPRETED else entry
    assert add(NUMBERS, 2) == 6 and add(NUMBERS, 4) == 20


def test_arrays_may_be_prepared_for_several_calls():
    entry = entry_point(_sum_of_doubles)
    (numbers,) = prepared([NUMBERS])
    assert entry(numbers, 2) == 6 and entry(numbers, 4) == entry(NUMBERS, 4) == 20


@pytest.mark.compiled
@pytest.mark.parametrize("sample", ["fork-and-copy", "tiny-sh"])
def test_a_replay_with_kept_code_does_not_import_numba(sample):
    code = f"import anonvma_trace, sys; anonvma_trace.replay_trace({sample!r}); print('numba' in sys.modules)"
    for _ in range(2):  # the first may compile
        told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["False"]
