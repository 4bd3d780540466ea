"""Rows on their way to Arrow: merged in order, each column once, with the nulls that belong there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.events import EVENT_SCHEMA, OPS
from anonvma_trace.parsers import row_batches
from anonvma_trace.parsers.native_block import Names
from anonvma_trace.parsers.row_batches import BatchMaker
from anonvma_trace.parsers.row_table import (
    ADDR,
    COMM,
    CPU,
    FILE,
    KEY,
    LINE,
    OP,
    OP_CODE,
    PID,
    TS,
    merge_rows,
    new_rows,
)

KEYS = st.lists(st.integers(0, 30), max_size=20)


def rows_with(keys, mark=0):
    rows = new_rows(len(keys))
    rows[KEY], rows[TS], rows[PID] = keys, np.arange(len(keys)), mark
    return rows


@given(parts=st.lists(KEYS, max_size=5), in_order=st.lists(st.booleans(), min_size=5, max_size=5))
@settings(deadline=None)
def test_merging_is_a_stable_sort_of_all_parts(parts, in_order):
    parts = [sorted(keys) if order else keys for keys, order in zip(parts, in_order, strict=False)]
    merged = merge_rows([rows_with(keys, mark) for mark, keys in enumerate(parts)])
    expected = sorted(
        ((key, mark, place) for mark, keys in enumerate(parts) for place, key in enumerate(keys)),
        key=lambda row: row[0],
    )
    assert list(zip(*merged[[KEY, PID, TS]].tolist(), strict=True)) == expected


@given(
    ops=st.lists(st.sampled_from(OPS), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_batches_hold_what_the_rows_say(ops, seed):
    rng = np.random.default_rng(seed)
    comms, files = Names(), Names()
    for number in range(5):
        comms.number(f"comm {number}")
        files.number(f"file {number}")
    rows = new_rows(len(ops))
    rows[OP] = [OP_CODE[op] for op in ops]
    rows[TS], rows[LINE] = rng.integers(0, 1 << 60, len(ops)), rng.integers(0, 3, len(ops))
    rows[CPU], rows[ADDR] = rng.integers(-1, 2, len(ops)), rng.integers(-(1 << 62), 1 << 62, len(ops))
    rows[COMM], rows[FILE] = rng.integers(-1, 5, len(ops)), rng.integers(-1, 5, len(ops))
    (batch,) = BatchMaker(comms, files).batches(rows)
    batch.validate(full=True)
    assert batch.schema == EVENT_SCHEMA
    has_address = {"vma", "mmap", "munmap", "mprotect", "mremap", "brk", "madvise", "mlock", "munlock"}
    has_address |= {"read_fault", "write_fault"}
    for number, row in enumerate(batch.to_pylist()):
        assert (row["ts"], row["op"], row["pid"], row["new_addr"]) == (
            *(rows[TS, number], ops[number], 0),
            0 if ops[number] == "mremap" else None,
        )
        assert row["cpu"] == (rows[CPU, number] if rows[CPU, number] >= 0 else None)
        assert row["line"] == (rows[LINE, number] or None)
        assert row["addr"] == (int(rows[ADDR, number]) % (1 << 64) if ops[number] in has_address else None)
        assert row["comm"] == (f"comm {rows[COMM, number]}" if rows[COMM, number] >= 0 else None)
        assert row["file"] == (f"file {rows[FILE, number]}" if rows[FILE, number] >= 0 else None)


def test_each_batch_carries_only_the_names_that_it_uses(monkeypatch):
    monkeypatch.setattr(row_batches, "BATCH_ROWS", 2)
    comms, files = Names(), Names()
    rows = new_rows(4)
    rows[OP] = OP_CODE["exec"]
    rows[FILE] = [files.number(name) for name in ("/bin/a", "/bin/b", "/bin/c", "/bin/a")]
    dictionaries = [
        batch.column("file").dictionary.to_pylist() for batch in BatchMaker(comms, files).batches(rows)
    ]
    assert dictionaries == [["/bin/a", "/bin/b"], ["/bin/c", "/bin/a"]]


@pytest.mark.parametrize(
    ("kept", "values", "numbers"),
    [([3, -1, 1, 3], ["b", "d"], [1, -1, 0, 1]), ([], [], []), ([-1], [], [-1])],
)
def test_names_that_nothing_holds_are_forgotten(kept, values, numbers):
    names = Names()
    for name in "abcd":
        names.number(name)
    assert names.keep_only(np.array(kept, dtype=np.int64)).tolist() == numbers
    assert names.values == values
    assert [names.number(value) for value in values] == list(range(len(values)))
    assert names.number("new") == len(values)
