"""How a value of a result table is written: one form for each kind of value, the same in every report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

Kind = Literal[
    "count",
    "figure",
    "mean",
    "share",
    "seconds",
    "address",
    "text",
    "code",
    "number",
    "quantity",
    "change",
    "relative",
]
"""What a value is, and so how it is written and aligned."""

NUMERIC_KINDS = frozenset(
    {"count", "figure", "mean", "share", "seconds", "number", "quantity", "change", "relative"}
)
NONE = "–"  # stands where a value is undefined (null), so that it cannot be read as zero
UNDEFINED = "not defined"  # stands where a figure of the summary is null

_PLURALS = {"process": "processes", "this": "these", "is": "are", "was": "were"}


def format_value(value: Any, kind: Kind) -> str:
    """Return `value` as it stands in a report.

    Parameters
    ----------
    value : int, float, str or None
        ``count``: an integer. ``figure``: a count of the summary, which may be undefined. ``mean``: a number, two
        decimals. ``share``: a fraction of 1, in per cent.
        ``seconds``: nanoseconds (int), written in seconds with six decimals. ``address``: an integer, in
        hexadecimal. ``number``: text that is a number already, aligned as one. ``quantity``: a count, a mean or
        undefined. ``change``: the difference of two such, with its sign. ``relative``: the same as a fraction, in per
        cent. ``text``, ``code``: anything, as it is.
    kind : str
        One of `Kind`.
    """
    if value is None:
        return UNDEFINED if kind in ("figure", "quantity") else NONE
    match kind:
        case "count" | "figure":
            return f"{int(value):,}"
        case "mean":
            return f"{value:,.2f}"
        case "quantity":
            return f"{value:,.2f}" if value % 1 else f"{int(value):,}"
        case "change":
            return f"{value:+,.2f}" if value % 1 else f"{int(value):+,}"
        case "relative":
            return f"{100 * value:+,.1f} %"
        case "share":
            return format_share(value)
        case "seconds":
            return format_seconds(int(value))
        case "address":
            return f"{int(value):#x}"
        case _:
            return str(value)


def format_share(fraction: float) -> str:
    """Return a fraction of 1 in per cent; what is not quite nothing or all is never rounded to it."""
    per_cent = 100 * fraction
    if 0 < per_cent < 0.05:
        return "<0.1 %"
    if 99.95 <= per_cent < 100:
        return ">99.9 %"
    return f"{per_cent:.1f} %"


def format_seconds(nanoseconds: int) -> str:
    """Return nanoseconds as seconds with six decimals, rounded half up, without going through a float."""
    microseconds = (abs(nanoseconds) + 500) // 1000
    sign = "-" if nanoseconds < 0 and microseconds else ""
    return f"{sign}{microseconds // 1_000_000:,}.{microseconds % 1_000_000:06d}"


def format_duration(nanoseconds: int) -> str:
    """Return nanoseconds as running text: the unit that fits, three figures."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1000)):
        if abs(nanoseconds) >= size:
            value = nanoseconds / size
            return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"
    return f"{nanoseconds} ns"


def counted(number: int, noun: str) -> str:
    """Return ``1 walk`` or ``2,000 walks``."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def counted_figure(number: int | None, noun: str) -> str:
    """Return the same for a figure of the summary, or ``a number of walks that is not defined``."""
    return f"a number of {plural(noun)} that is {UNDEFINED}" if number is None else counted(number, noun)


def plural(noun: str) -> str:
    """Return the plural of `noun`, whose last word is the one that changes."""
    first, _, last = noun.rpartition(" ")
    return f"{first} {plural(last)}" if first else _PLURALS.get(last, last + "s")


def ratio(part: float, whole: float) -> float | None:
    """Return ``part / whole``, or None where `whole` is 0: a share of nothing is undefined, not zero."""
    return part / whole if whole else None


def share_text(part: float, whole: float) -> str:
    """Return ``part / whole`` in per cent, for running text."""
    return format_value(ratio(part, whole), "share")


_LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], top: float = 0, width: int | None = None) -> str:
    """Return a block character for each value, on a scale from nothing to `top` or the largest.

    Nothing at all is a blank, so that zero is told from little.

    Parameters
    ----------
    values : sequence of int or float
        None below 0.
    top : float, optional
        Value of a full block, if it is above the largest value.
    width : int, optional
        Most characters (at least 1): neighbouring values become one, the largest of them, so that no peak is lost.
    """
    if width is not None and len(values) > max(width, 1):
        width = max(width, 1)
        edges = [-(-at * len(values) // width) for at in range(width + 1)]
        values = [max(values[start:end]) for start, end in pairwise(edges)]
    top = max(top, *values, 0) if values else 0
    if not top:
        return " " * len(values)
    steps = (min(int(len(_LEVELS) * value / top), len(_LEVELS) - 1) for value in values)
    return "".join(_LEVELS[step] if value else " " for step, value in zip(steps, values, strict=True))
