"""Arrow arrays made and read without pandas, and that no command needs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.arrow_arrays import array_of, as_numpy, is_valid, numbers, strings

NULLABLE = st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=40)


@given(NULLABLE, st.integers(0, 5))
def test_numbers_with_nulls_come_back(values, offset):
    null = np.array([value is None for value in values], bool)
    array = numbers(np.array([value or 0 for value in values], np.int32), null)
    assert array.type == pa.int32() and array.to_pylist() == values
    part = array.slice(offset)
    assert is_valid(part).tolist() == [value is not None for value in values[offset:]]
    given_back = zip(as_numpy(part).tolist(), values[offset:], strict=True)
    assert all(number == value for number, value in given_back if value is not None)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 9))
def test_booleans_come_back(values, offset):
    array = numbers(np.array(values, bool))
    assert array.type == pa.bool_() and array.to_pylist() == values
    assert as_numpy(array.slice(offset)).tolist() == values[offset:]


@settings(deadline=None)  # Arrow imports pandas at the first list
@given(st.lists(st.none() | st.booleans(), min_size=1, max_size=70), st.integers(0, 70), st.integers(0, 70))
def test_a_part_in_the_middle_comes_back(values, offset, length):
    part = pa.array(values, pa.bool_()).slice(min(offset, len(values)), length)
    expected = values[offset : offset + length]
    assert is_valid(part).tolist() == [value is not None for value in expected]
    given_back = zip(as_numpy(part).tolist(), expected, strict=True)
    assert all(found == value for found, value in given_back if value is not None)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_view_is_copied(rows):
    """What it shows may be written over: the core's log is, again and again."""
    matrix = np.arange(3 * rows).reshape(rows, 3)
    array = numbers(matrix[:, 1])
    expected = matrix[:, 1].tolist()
    matrix[:] = -1
    assert array.to_pylist() == expected


def test_strings_and_nulls():
    array = strings(["a", None, "", "ü"])
    assert array.type == pa.string() and array.to_pylist() == ["a", None, "", "ü"]


def test_numbers_of_a_list():
    assert array_of([1, None, 2**64 - 1], pa.uint64()).to_pylist() == [1, None, 2**64 - 1]
    with pytest.raises((TypeError, OverflowError)):
        array_of(["a"], pa.int32())


COMMANDS = (
    ["replay", "tiny-sh", "--validate", "tiny-sh", "--out", "results"],
    ["inspect", "fork-and-copy"],
    ["convert", "tiny-sh", "-o", "events.parquet"],
    ["convert", "tiny-sh", "-o", "events.jsonl"],
    ["replay", "events.parquet"],
    ["replay", "events.jsonl"],
)


@pytest.mark.compiled
def test_no_command_imports_pandas(tmp_path):
    code = "import sys\nfrom anonvma_trace.cli import app\n"
    code += "".join(f"app({arguments!r}, standalone_mode=False)\n" for arguments in COMMANDS)
    code += "sys.exit('pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
