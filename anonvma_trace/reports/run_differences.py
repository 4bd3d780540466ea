"""What differs between the results of two replays: figures, breakdowns, processes, lengths of lists, levels over time.

Every function takes two `ResultTables`, called A and B, and returns a frame with columns ``a`` and ``b`` beside each
other. `change` is ``b - a``; `relative` is that divided by `a`, null where `a` is 0 or not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..result_tables import ResultTables
from ..tables import DETAILED_TABLES
from .anon_vma_counts import counts_over_time
from .bins import value_bins
from .coverage import coverage
from .document import Part
from .merge_refusals import refusals_of
from .reclaim_cost import VISIT_RESULTS
from .shares import row_count

# What says how results were made, or is told elsewhere; everything else in a summary is a figure.
_SETTINGS = ("schema", "trace.path", "trace.format", "scheme", "rules", "options", "detail", "checked_events")
_OF_PROCESSES = (
    "vmas_peak",
    "anon_vmas_touched",
    "faults",
    "cow_copies",
    "merges",
    "refusals",
    "walks_caused",
)
LEVELS = ("anon_vmas", "longest_list", "vmas", "overhead_bytes")
"""Levels of the timeline that a scheme decides."""


@dataclass(frozen=True)
class Breakdown:
    """One way to break a count down.

    Attributes
    ----------
    title, noun : str
        For a reader: what the rows are, what is counted.
    table : str
        Result table whose rows are counted.
    keys : tuple of str
        Columns that tell the rows apart.
    count : callable
        From results to a frame of the keys and ``n``.
    """

    title: str
    noun: str
    table: str
    keys: tuple[str, ...]
    count: Callable[[ResultTables], pl.DataFrame]


def _refusals(results: ResultTables) -> pl.DataFrame:
    counts = refusals_of(results).group_by("op", "side", "reason").agg(row_count().alias("n"))
    return counts.collect().with_columns(pl.col("op", "side", "reason").cast(pl.String))


def _attempts(results: ResultTables) -> pl.DataFrame:
    case = pl.when(pl.col("case") > 0).then(pl.format("case {}", "case")).otherwise(pl.lit("none"))
    keys = (pl.col("op").cast(pl.String), case.alias("case"))
    return results.lazy("merges").group_by(*keys).agg(row_count().alias("n")).collect()


def _visits(results: ResultTables) -> pl.DataFrame:
    sums = (pl.col(key).sum().alias(result) for result, (key, _) in VISIT_RESULTS.items())
    by_purpose = results.lazy("walks").group_by(pl.col("purpose").cast(pl.String)).agg(*sums).collect()
    return by_purpose.unpivot(index="purpose", variable_name="result", value_name="n").filter(pl.col("n") > 0)


def _outcomes(results: ResultTables) -> pl.DataFrame:
    keys = pl.col("purpose", "outcome").cast(pl.String)
    return results.lazy("walks").group_by(keys).agg(row_count().alias("n")).collect()


def _origins(results: ResultTables) -> pl.DataFrame:
    operation = pl.col("allocated_by").cast(pl.String).alias("operation")
    return results.lazy("anon_vmas").group_by(operation).agg(row_count().alias("n")).collect()


def _remarks(results: ResultTables) -> pl.DataFrame:
    keys = pl.col("severity", "code").cast(pl.String)
    return results.lazy("diagnostics").group_by(keys).agg(row_count().alias("n")).collect()


BREAKDOWNS: Mapping[str, Breakdown] = {
    "refusals": Breakdown(
        "Refused sides by operation, side and reason",
        "refusals",
        "merges",
        ("op", "side", "reason"),
        _refusals,
    ),
    "attempts": Breakdown(
        "Attempts to merge by operation and case", "attempts", "merges", ("op", "case"), _attempts
    ),
    "visits": Breakdown(
        "Visits of vmas by purpose of the walk and result", "visits", "walks", ("purpose", "result"), _visits
    ),
    "outcomes": Breakdown(
        "Walks by purpose and outcome", "walks", "walks", ("purpose", "outcome"), _outcomes
    ),
    "origins": Breakdown(
        "anon_vmas by the operation that allocated them", "anon_vmas", "anon_vmas", ("operation",), _origins
    ),
    "remarks": Breakdown(
        "Diagnostics by severity and code", "diagnostics", "diagnostics", ("severity", "code"), _remarks
    ),
}
"""All breakdowns, by the name that they have in JSON."""


def breakdown(a: ResultTables, b: ResultTables, name: str) -> pl.DataFrame:
    """Return one of `BREAKDOWNS` for both.

    Returns
    -------
    polars.DataFrame
        The keys of the breakdown, ``a``, ``b``, ``change`` (int64), ``relative``; the largest change first. A row that
        one of them has not is 0 there.
    """
    of = BREAKDOWNS[name]
    return _beside(of.count(a), of.count(b), of.keys)


def summary_figures(a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Return every figure of both summaries.

    Returns
    -------
    polars.DataFrame
        ``figure`` (its place in ``summary.json``, ``reclaim.walks``), ``a``, ``b``, ``change``, ``relative`` (float64;
        `a` or `b` null where it is not defined there). First what changed most beside the larger of both, then by the
        change itself; then what is defined in one only; equal figures last.
    """
    ours, theirs = _leaves(a.summary), _leaves(b.summary)
    rows = []
    for figure in dict.fromkeys((*ours, *theirs)):
        # What is not among the further counts of a scheme is something that it never does.
        absent = 0 if figure.startswith("extra.") else None
        rows.append((figure, ours.get(figure, absent), theirs.get(figure, absent)))
    schema = {"figure": pl.String, "a": pl.Float64, "b": pl.Float64}
    frame = _with_changes(pl.DataFrame(rows, schema=schema, orient="row", strict=False))
    frame = frame.filter(pl.col("a").is_not_null() | pl.col("b").is_not_null())
    size = pl.col("change").abs()
    share = size / pl.max_horizontal(pl.col("a").abs(), pl.col("b").abs())
    equal = (pl.col("change") == 0).fill_null(False)
    in_order = [equal, share.fill_nan(0), size]
    return frame.sort(in_order, descending=[False, True, True], nulls_last=True, maintain_order=True)


def changed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a frame of this module in which A and B differ."""
    return frame.filter(pl.col("a").ne_missing(pl.col("b")))


def list_lengths(a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Group the anon_vmas of both by the longest that their list ever was.

    Returns
    -------
    polars.DataFrame
        ``bin`` (vmas, as in `value_bins`), ``a``, ``b`` (anon_vmas), ``change``, ``relative``; by length.
    """
    return _binned(a, b, "anon_vmas", "peak_vmas")


def walked_lengths(a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Group the walks of both by the vmas that they visited; columns as `list_lengths`."""
    return _binned(a, b, "walks", "vmas_visited")


def _binned(a: ResultTables, b: ResultTables, table: str, value: str) -> pl.DataFrame:
    parts = [
        results.lazy(table).select(pl.col(value), a=pl.lit(in_a), b=pl.lit(1 - in_a))
        for results, in_a in ((a, 1), (b, 0))
    ]
    frame = value_bins(pl.concat(parts), value, "a", "b").select("bin", pl.col("a", "b").cast(pl.Int64))
    return _with_changes(frame)


def processes_of_one_trace(a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Return each count of each process of both, where both replayed the same trace.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, ``first_event`` (which life of the pid), ``figure``, ``a``, ``b``, ``change``, ``relative``;
        the largest change first.
    """
    life = ("pid", "comm", "first_event")
    return _beside(_process_counts(a, life), _process_counts(b, life), (*life, "figure"))


def processes_by_name(a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Return the counts of all processes of one name, where the traces differ and pids tell nothing.

    Returns
    -------
    polars.DataFrame
        ``comm``, ``figure`` (``processes``: how many there are, then as `processes_of_one_trace`), ``a``, ``b``,
        ``change``, ``relative``; the largest change first.
    """

    def counts(results: ResultTables) -> pl.DataFrame:
        each = _process_counts(results, ("comm",))
        lives = results.lazy("processes").select(
            comm=pl.col("comm").cast(pl.String), figure=pl.lit("processes"), n=pl.lit(1, dtype=pl.Int64)
        )
        summed = pl.concat([each.lazy(), lives]).group_by("comm", "figure").agg(pl.col("n").sum())
        return summed.collect()

    return _beside(counts(a), counts(b), ("comm", "figure"))


def _process_counts(results: ResultTables, keys: tuple[str, ...]) -> pl.DataFrame:
    frame = results.frame("processes").with_columns(pl.col("comm").cast(pl.String))
    return frame.select(*keys, *_OF_PROCESSES).unpivot(index=keys, variable_name="figure", value_name="n")


def levels_over_time(a: ResultTables, b: ResultTables, level: str) -> pl.DataFrame:
    """Return the highest that a level was in each part of the trace that both replayed.

    Parameters
    ----------
    a, b : ResultTables
    level : str
        One of `LEVELS`.

    Returns
    -------
    polars.DataFrame
        ``from_event``, ``to_event``, ``a``, ``b`` (int64).
    """
    ours, theirs = (
        counts_over_time(results).select("from_event", "to_event", pl.col(level).alias(name))
        for results, name in ((a, "a"), (b, "b"))
    )
    joined = ours.join(theirs, on=["from_event", "to_event"], how="full", coalesce=True).sort("from_event")
    return joined.with_columns(pl.col("a", "b").forward_fill().fill_null(0))


def why_other_trace(a: ResultTables, b: ResultTables) -> str:
    """Return what shows that A and B replayed different traces; empty if nothing does.

    No scheme, rule or option changes the number of events, their times, the lives of the processes with their faults,
    or which event of which process asked for a merge: results that agree in all of these are of the same events, be
    they read from a recording or from an event table made of it.
    """
    ours, theirs = a.summary["trace"], b.summary["trace"]
    for key, noun in (("events", "events"), ("span_ns", "nanoseconds"), ("processes", "processes")):
        if ours[key] != theirs[key]:
            return f"A has {ours[key]:,} {noun}, B {theirs[key]:,}"
    if not _lives(a).equals(_lives(b)):
        return "their processes differ"
    if _disagree(a, b, "timeline", ("ts",)):
        return "their events have other times"
    if is_whole(a, b, "merges") and _disagree(a, b, "merges", ("ts", "pid", "op")):
        return "other events ask for merges"
    return ""


def is_whole(a: ResultTables, b: ResultTables, table: str) -> bool:
    """Tell whether both hold all rows of a table (``--detail``)."""
    return table not in DETAILED_TABLES or all(coverage(results, table).is_full for results in (a, b))


def left_out(heading: str, table: str) -> Part:
    """Return a part that says why nothing is told: its table is not whole on both sides."""
    return Part(heading, f"Not told: the table {table} is not whole on both sides (--detail).")


def _lives(results: ResultTables) -> pl.DataFrame:
    return results.frame("processes").select(
        "pid", pl.col("comm").cast(pl.String), "parent", "first_event", "last_event", "faults"
    )


def _disagree(a: ResultTables, b: ResultTables, table: str, columns: tuple[str, ...]) -> bool:
    """Tell whether both have rows of one event in which these columns differ."""
    # Operations are compared as text: every table numbers its names anew.
    kept = [pl.col(name).cast(pl.String) if name == "op" else pl.col(name) for name in columns]
    ours, theirs = (results.lazy(table).select("event", *kept).unique() for results in (a, b))
    differ = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_right")) for name in columns)
    return bool(ours.join(theirs, on="event").select(differ.any()).collect().item())


def _leaves(summary: Mapping[str, Any], place: str = "") -> dict[str, float | None]:
    """Return every figure of a summary by its place."""
    found: dict[str, float | None] = {}
    for key, value in summary.items():
        name = f"{place}{key}"
        if name in _SETTINGS or isinstance(value, str | list):
            continue
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{name}.")
        else:
            found[name] = value
    return found


def _beside(a: pl.DataFrame, b: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    joined = a.rename({"n": "a"}).join(
        b.rename({"n": "b"}), on=list(keys), how="full", coalesce=True, nulls_equal=True
    )
    frame = _with_changes(joined.select(*keys, pl.col("a", "b").fill_null(0)))
    order = [pl.col("change").abs(), pl.max_horizontal("a", "b"), *keys]
    return frame.sort(order, descending=[True, True, *(False for _ in keys)], nulls_last=True)


def _with_changes(frame: pl.DataFrame) -> pl.DataFrame:
    change = pl.col("b") - pl.col("a")
    relative = pl.when(pl.col("a") != 0).then(change / pl.col("a"))
    return frame.with_columns(change=change, relative=relative)
