"""Bins of values and of events."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonvma_trace.reports.bins import event_bin, event_bins, nearest_rank, value_bins


@pytest.mark.parametrize(
    ("values", "bins"),
    [
        ([1, 3], ["1", "2", "3"]),  # small: one bin each, the empty one between them kept
        ([0, 16], [str(value) for value in range(17)]),
        ([1, 17], ["1", "2", "3–4", "5–8", "9–16", "17–32"]),  # doubling
        ([1, 5_000], ["1", "2–4", "5–16", "17–64", "65–256", "257–1,024", "1,025–4,096", "4,097–16,384"]),
        ([], []),
    ],
)
def test_bins_grow_with_the_range_of_the_values(values, bins):
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Int64})
    assert value_bins(frame, "value")["bin"].to_list() == bins


@given(st.lists(st.integers(min_value=0, max_value=2**50), min_size=1, max_size=30))
def test_every_value_is_in_the_bin_that_counts_it(values):
    binned = value_bins(pl.DataFrame({"value": values, "weight": values}), "value", "weight")
    for row in binned.iter_rows(named=True):
        inside = [value for value in values if row["low"] <= value <= row["high"]]
        assert (row["rows"], row["weight"]) == (len(inside), sum(inside))
    assert binned["rows"].sum() == len(values)


@given(st.integers(min_value=1, max_value=500), st.integers(min_value=1, max_value=60))
def test_event_bins_cover_all_events_without_overlap(events, bins):
    ranges = event_bins(events, bins)
    covered = [event for row in ranges.iter_rows() for event in range(row[1], row[2] + 1)]
    assert covered == list(range(1, events + 1))
    assert ranges.height == min(events, bins)
    numbers = pl.DataFrame({"event": covered}).select(event_bin("event", events, bins))["bin"]
    assert numbers.to_list() == [row[0] for row in ranges.iter_rows() for _ in range(row[1], row[2] + 1)]


@pytest.mark.parametrize(
    ("values", "quantile", "expected"),
    [
        ([10, 20, 30, 40], 0.5, 20),  # nearest rank: two of the four do not exceed 20
        ([10, 20, 30], 0.5, 20),
        (list(range(1, 101)), 0.95, 95),
        ([7], 0.99, 7),
        ([3, 1, 2], 1.0, 3),
        ([], 0.5, None),
    ],
)
def test_quantiles_are_nearest_rank(values, quantile, expected):
    assert nearest_rank(pl.Series(values, dtype=pl.Int64), quantile) == expected
