"""Tables grow in place where memory was set aside for them, and are copied where not; what they hold stays."""

from __future__ import annotations

import numpy as np
import pytest

from anonvma_trace.replay import room
from anonvma_trace.replay.layout import PAGE
from anonvma_trace.replay.table import Table


def test_a_table_grows_in_place():
    table = Table.zeros(10, PAGE)
    table[3].mapcount = 7
    larger = table.grown(100_000)
    assert larger.address == table.address and len(larger) == 100_000
    assert larger[3].mapcount == 7 and not larger.array[10:].view(np.ndarray).view(np.uint8).any()


def test_rows_are_copied_where_no_memory_was_set_aside(monkeypatch):
    monkeypatch.setattr(room, "SET_ASIDE", 1 << 62)  # more than there is
    table = Table.zeros(10, np.int64)
    table[9] = 5
    larger = table.grown(20)
    assert larger.address != table.address
    assert larger.array.tolist() == [0] * 9 + [5] + [0] * 10


def test_rows_are_copied_where_the_memory_is_too_small(monkeypatch):
    monkeypatch.setattr(room, "SET_ASIDE", 4096)
    table = Table.zeros(512, np.int64)
    table[511] = 5
    larger = table.grown(513)
    assert larger.address != table.address and larger[511] == 5 and larger[512] == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_may_be_empty(rows):
    assert len(Table.zeros(rows, np.int64)) == rows
    assert len(Table.zeros(rows, np.int64).grown(4)) == 4
