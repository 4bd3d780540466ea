"""Logged rows of several replays become columns in the order of one of their fields."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.replay.waiting_rows import ENOUGH_ROWS, WaitingRows

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=40)


@settings(deadline=None)
@given(events=EVENTS, cuts=st.lists(st.integers(0, 40), max_size=4), by=st.integers(0, 2))
def test_rows_of_streams_come_in_order_however_they_are_handed_over(events, cuts, by):
    """Each event is of one stream, has a few rows, and all rows of an event are handed over together."""
    rows = [
        (stream, [event if field == by else 100 * event + each for field in range(3)])
        for event, (stream, n) in enumerate(events)
        for each in range(n % 3)
    ]
    waiting = WaitingRows(3, by)
    borders = [0, *sorted(cuts), len(events)]
    for begin, end in pairwise(borders):
        part = [(stream, row) for stream, row in rows if begin <= row[by] < end]
        streams = {stream: np.array([row for of, row in part if of == stream]) for stream, _ in part}
        assert waiting.add(streams) is False
    assert waiting.take().tolist() == [row for _, row in rows]
    assert waiting.take().tolist() == []


def test_enough_rows_are_told():
    waiting = WaitingRows(1, 0)
    rows = np.arange(ENOUGH_ROWS - 1).reshape(-1, 1)
    assert not waiting.add({1: rows})
    assert waiting.add({0: np.full((1, 1), -1)})
    taken = waiting.take()
    assert taken[:, 0].tolist() == [-1, *range(ENOUGH_ROWS - 1)]
    assert taken[:, 0].flags.c_contiguous
