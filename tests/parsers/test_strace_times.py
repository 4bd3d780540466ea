"""Times of strace rise from line to line: steps of the clock and damaged digits do not change the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonvma_trace.parsers.strace_head import CLOCK_DAY, CLOCK_UNIX
from anonvma_trace.parsers.strace_times import DAY, SECOND, LineTimes, nanoseconds


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (b"1795440035.244649", 1795440035244649000),
        (b"512.004417", 512004417000),  # through a float: ...416999
        (b"0.000000001", 1),
        (b"13:31:08", 48668 * SECOND),
        (b"13:31:08.25", 48668 * SECOND + 250_000_000),
    ],
)
def test_times_are_exact(text, ns):
    assert nanoseconds(text) == ns


@pytest.mark.parametrize(
    "text", [b"", b"1.", b"x.5", b"1.0000000001", b"12345678901", b"1:02:03", b"13:31:0x"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        nanoseconds(text)


def corrected(clock, *blocks):
    times = LineTimes(clock)
    lines = [np.array(block) for block in blocks]
    return [(block + times.corrections(block)).tolist() for block in lines], times.steps


@pytest.mark.parametrize(
    ("times", "expected", "steps"),
    [
        ([10, 20, 30], [10, 20, 30], 0),
        ([10, 20, 90, 30, 40], [10, 20, 20, 30, 40], 0),  # one line is too late
        ([10, 20, 5, 30, 40], [10, 20, 20, 30, 40], 0),  # one line is too early
        ([90, 20, 30], [20, 20, 30], 0),  # the first one is too late
        ([10, 20, 5, 6, 7, 30], [10, 20, 20, 21, 22, 45], 1),  # the clock was set back by 15
        ([20, 10, 15, 3, 4], [10, 10, 15, 15, 16], 1),
    ],
)
def test_one_wrong_line_is_told_from_a_step_of_the_clock(times, expected, steps):
    assert corrected(CLOCK_UNIX, times) == ([expected], steps)


def test_a_step_holds_for_the_blocks_behind_it():
    assert corrected(CLOCK_UNIX, [10, 20, 5, 6], [7, 8], [9]) == ([[10, 20, 20, 21], [22, 23], [24]], 1)
    assert corrected(CLOCK_UNIX, [10, 20], [5, 6], [7]) == ([[10, 20], [20, 21], [22]], 1)


def test_the_day_begins_anew_at_midnight():
    days = [DAY - 2, DAY - 1, 5, DAY - 1, 3]
    assert corrected(CLOCK_DAY, days[:3], days[3:]) == (
        [[DAY - 2, DAY - 1, DAY + 5], [2 * DAY - 1, 2 * DAY + 3]],
        0,
    )


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 5))
def test_rising_times_stay_as_they_are(times, n_blocks):
    rising = sorted(times)
    size = -(-len(rising) // n_blocks)
    blocks = [rising[begin : begin + size] for begin in range(0, len(rising), size)]
    assert corrected(CLOCK_UNIX, *blocks) == (blocks, 0)
