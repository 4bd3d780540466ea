"""Two saved replays of the same trace, joined event by event: where they first differ, and at which merges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from ..difference_tables import EventDifferences
from ..replay.layout import DIAGNOSTICS
from ..result_tables import ResultTables
from ..tables import MERGE_SIDES
from .disagreements import Disagreements, joined
from .observations import NO_ATTEMPT, Observations, attempt_text, attempts_of, results_of, sums_of

_NAMES = ("a", "b")
_FINDING_CODES = {code: at for at, (severity, code, _) in enumerate(DIAGNOSTICS) if severity == "finding"}
_FIRST_SCHEMA = {"subject": pl.String, "event": pl.Int64, "a": pl.String, "b": pl.String}


def find_event_differences(
    a: ResultTables, b: ResultTables, *, merges: bool = True, walks: bool = True
) -> EventDifferences:
    """Join two replays of the same events.

    Parameters
    ----------
    a, b : ResultTables
        They are taken at their word: that they are of the same trace has to be known before.
    merges, walks : bool, optional
        Whether both hold these tables as a whole; else nothing is said of them.
    """
    observed = [_observe(results, merges, walks) for results in (a, b)]
    disagreements = Disagreements(_NAMES, "a")
    disagreements.add(observed)
    differing = _merge_differences(observed, a, b)
    firsts = [
        *_first_merge(differing),
        *_first_walk(observed),
        *_first_anon_vma(a, b, "allocated_event", "allocated"),
        *_first_anon_vma(a, b, "freed_event", "freed"),
        *_first_finding(observed),
    ]
    return EventDifferences(
        first=pl.DataFrame(firsts, schema=_FIRST_SCHEMA, orient="row").sort("event", maintain_order=True),
        merges=differing,
        merge_outcomes=disagreements.merge_outcomes(),
        other_reasons=_other_reasons(observed),
        walks=disagreements.walk_differences(),
        counts={name: disagreements.against["b"][name] for name in disagreements.against["b"]},
    )


def _observe(results: ResultTables, merges: bool, walks: bool) -> Observations:
    """Return what a saved replay tells of each event, as if it had been observed while it ran."""
    merge_rows = _columns(results, "merges", ("event", "case", "left", "right"), merges)
    event, visited, hits = _columns(results, "walks", ("event", "vmas_visited", "hits"), walks)
    walk_events, first = np.unique(event, return_index=True)
    told = results.lazy("diagnostics").filter(pl.col("severity").cast(pl.String) == "finding")
    code = pl.col("code").cast(pl.String).replace_strict(_FINDING_CODES, default=-1, return_dtype=pl.Int64)
    findings = told.select("event", code).drop_nulls("event").filter(pl.col("code") >= 0).collect()
    return Observations(
        *attempts_of(*merge_rows),
        walk_events,
        sums_of(visited, first),
        sums_of(hits, first),
        findings["event"].to_numpy(),
        findings["code"].to_numpy(),
    )


def _columns(
    results: ResultTables, table: str, names: tuple[str, ...], wanted: bool
) -> tuple[np.ndarray, ...]:
    """Return columns of a result table, ordered by event, as int64; sides of merges as their numbers."""
    if not wanted:
        return tuple(np.zeros(0, np.int64) for _ in names)
    sides = pl.Enum(MERGE_SIDES)
    columns = [
        pl.col(name).cast(sides).to_physical().cast(pl.Int64) if name in ("left", "right") else pl.col(name)
        for name in names
    ]
    frame = results.lazy(table).select(columns).sort("event", maintain_order=True).collect()
    return tuple(frame[name].to_numpy() for name in names)


def _merge_differences(observed: list[Observations], a: ResultTables, b: ResultTables) -> pl.DataFrame:
    """Return each event whose attempts came to another end."""
    events, codes = joined([(each.merge_events, each.merge_codes) for each in observed], NO_ATTEMPT)
    results = results_of(codes)
    differ = results[:, 0] != results[:, 1]
    texts = [[attempt_text(code) for code in column] for column in codes[differ].T.tolist()]
    frame = pl.DataFrame(
        {"event": events[differ], **dict(zip(_NAMES, texts, strict=True))},
        schema={"event": pl.Int64, "a": pl.String, "b": pl.String},
    )
    asked = pl.concat(
        [
            results.lazy("merges")
            .join(frame.lazy().select("event"), on="event", how="semi")
            .select("event", "pid", pl.col("op").cast(pl.String), "addr")
            for results in (a, b)
            if len(frame)
        ]
        or [pl.LazyFrame(schema={"event": pl.Int64, "pid": pl.Int64, "op": pl.String, "addr": pl.UInt64})]
    )
    places = asked.unique("event", keep="first", maintain_order=True).collect()
    return (
        frame.join(places, on="event", how="left")
        .select("event", "pid", "op", "addr", "a", "b")
        .sort("event")
    )


def _other_reasons(observed: list[Observations]) -> int:
    """Count the events at which the same merged, or nothing, with another reason or number of attempts."""
    _, codes = joined([(each.merge_events, each.merge_codes) for each in observed], NO_ATTEMPT)
    results = results_of(codes)
    return int(np.count_nonzero((results[:, 0] == results[:, 1]) & (codes[:, 0] != codes[:, 1])))


def _first_merge(differing: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    for row in differing.head(1).iter_rows(named=True):
        yield "merges", row["event"], row["a"], row["b"]


def _first_walk(observed: list[Observations]) -> Iterator[tuple[Any, ...]]:
    events, visited = joined([(each.walk_events, each.visited) for each in observed], 0)
    _, found = joined([(each.walk_events, each.found) for each in observed], 0)
    differ = np.flatnonzero((visited[:, 0] != visited[:, 1]) | (found[:, 0] != found[:, 1]))
    if len(differ):
        at = differ[0]
        texts = (f"{visited[at, side]:,} visited, {found[at, side]:,} found" for side in (0, 1))
        yield "walks", int(events[at]), *texts


def _first_anon_vma(a: ResultTables, b: ResultTables, column: str, verb: str) -> Iterator[tuple[Any, ...]]:
    """Tell the first event at which another number of anon_vmas was allocated, or freed."""
    counts = [
        results.lazy("anon_vmas")
        .select(event=column)
        .drop_nulls()
        .group_by("event")
        .agg(pl.len().alias(name))
        for results, name in ((a, "a"), (b, "b"))
    ]
    both = (
        counts[0]
        .join(counts[1], on="event", how="full", coalesce=True)
        .with_columns(pl.col("a", "b").fill_null(0))
    )
    first = both.filter(pl.col("a") != pl.col("b")).sort("event").head(1).collect()
    for event, ours, theirs in first.select("event", "a", "b").iter_rows():
        yield f"anon_vmas {verb}", event, f"{ours:,} {verb}", f"{theirs:,} {verb}"


def _first_finding(observed: list[Observations]) -> Iterator[tuple[Any, ...]]:
    found = [
        set(zip(each.finding_events.tolist(), each.finding_codes.tolist(), strict=True)) for each in observed
    ]
    only = sorted(found[0] ^ found[1])
    if only:
        event, code = only[0]
        name = DIAGNOSTICS[code][1]
        texts = (name if (event, code) in each else "no such finding" for each in found)
        yield "findings", event, *texts
