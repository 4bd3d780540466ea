"""How values are written."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonvma_trace.reports.numbers import (
    counted,
    format_duration,
    format_seconds,
    format_share,
    format_value,
    sparkline,
)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (501_501_000, "count", "501,501,000"),
        (None, "count", "–"),  # undefined is not zero
        (None, "figure", "not defined"),
        (0, "figure", "0"),
        (501.0, "mean", "501.00"),
        (1234.567, "mean", "1,234.57"),
        (0.123, "share", "12.3 %"),
        (1_234_567_890, "seconds", "1.234568"),
        (0x7F00_1000, "address", "0x7f001000"),
        ("miss_range", "code", "miss_range"),
        (12.0, "quantity", "12"),
        (12.5, "quantity", "12.50"),
        (None, "quantity", "not defined"),
        (1200, "change", "+1,200"),
        (-0.5, "change", "-0.50"),
        (0, "change", "+0"),
        (-0.25, "relative", "-25.0 %"),
        (12.3456, "relative", "+1,234.6 %"),
        (None, "relative", "–"),
    ],
)
def test_each_kind_of_value_has_one_form(value, kind, text):
    assert format_value(value, kind) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0.0 %"),
        (1e-6, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.5, "50.0 %"),
        (0.99999, ">99.9 %"),
        (1, "100.0 %"),
    ],
)
def test_a_share_is_rounded_to_nothing_or_all_only_if_it_is(fraction, text):
    assert format_share(fraction) == text


@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_seconds_are_right_to_the_last_digit(nanoseconds):
    exact = (Decimal(nanoseconds) / 10**9).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    assert Decimal(format_seconds(nanoseconds).replace(",", "")) == exact


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.5 µs"),
        (2_345_678_901, "2.35 s"),
        (7_200_000_000_000, "7,200 s"),
    ],
)
def test_a_duration_in_running_text_has_the_unit_that_fits(nanoseconds, text):
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "walk", "1 walk"), (0, "walk", "0 walks"), (2_000, "freed anon_vma", "2,000 freed anon_vmas")],
)
def test_a_counted_noun_is_plural_unless_it_is_one(number, noun, text):
    assert counted(number, noun) == text


@pytest.mark.parametrize(
    ("values", "how", "text"),
    [
        ([], {}, ""),
        ([0, 0], {}, "  "),
        ([0, 1, 8], {}, " ▂█"),
        ([1, 8], {"top": 16}, "▁▅"),  # half of a full block
        ([1, 9, 2, 2, 3, 1], {"width": 3}, "█▂▃"),  # the higher of two
        ([1, 2], {"width": 0}, "█"),
    ],
)
def test_a_sparkline_has_a_block_for_each_value(values, how, text):
    assert sparkline(values, **how) == text


@given(st.lists(st.integers(0, 10**12), min_size=1), st.integers(1, 60))
def test_a_sparkline_keeps_its_peak_and_its_width(values, width):
    drawn = sparkline(values, width=width)
    assert len(drawn) == min(len(values), width)
    assert ("█" in drawn) == any(values)
