"""The section on reclaim cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from ...result_tables import ResultTables
from .. import reclaim_cost
from ..bins import event_count
from ..coverage import coverage, covered_part, of_sample
from ..document import BarFigure, Column, Part, Section, Table, TimeFigure
from ..numbers import counted, format_value, ratio, share_text
from ..process_names import process_text

_INTRODUCTION = (
    "To free an anonymous page, reclaim must find every pte that maps it. It goes over the list of the "
    "page's anon_vma and visits one vma after another: the rmap walk. A visit that finds the page is a "
    "hit, every other is a miss; the vmas visited are the cost."
)

_TOTALS = (
    ("pages", "pages that reclaim shrank"),
    ("walks", "rmap walks, of both purposes (referenced, unmap)"),
    ("vmas_visited", "vmas visited, hits and misses together"),
    ("hits", "visits that found the page"),
    ("ptes_read", "visits that got as far as reading a pte (hit, miss_none, miss_swap, miss_other)"),
    ("list_length_sum", "lengths of the walked lists: what the visits would be if no walk stopped early"),
    ("early_stops", "walks that stopped with part of the list unvisited"),
    ("unreachable", "mappings that walks should have found and did not"),
    ("activated", "pages sent to the active list instead of being freed"),
    ("unmapped", "pages whose last pte was taken away"),
    ("locked_fail", "unmap walks that ended at a vma that is locked or reserved"),
    ("young_fail", "unmap walks that ended at a pte that had just been used"),
)


def reclaim_cost_section(results: ResultTables) -> Section:
    """Return the section on reclaim cost."""
    parts = _parts(results) if results.summary["reclaim"]["walks"] else (_nothing_walked(results),)
    return Section("Reclaim cost", "reclaim-cost", _INTRODUCTION, parts)


def _nothing_walked(results: ResultTables) -> Part:
    reading = "No page was walked, so there is no reclaim cost to report."
    if not results.summary["reclaim"]["pages"]:
        reading += (
            " The trace has no reclaim events that met a mapped anonymous page: record under memory "
            "pressure, or add reclaim or scan rows to the event table."
        )
    return Part("No walks", reading)


def _parts(results: ResultTables) -> tuple[Part, ...]:
    return (
        _visits(results),
        _per_walk(results),
        covered_part(results, "walks", _outcomes),
        covered_part(results, "walks", _over_time),
        _dearest_anon_vmas(results),
        covered_part(results, "walks", _dearest_processes),
    )


def _visits(results: ResultTables) -> Part:
    reclaim = results.summary["reclaim"]
    visited, hits = reclaim["vmas_visited"], reclaim["hits"]
    frame = reclaim_cost.visit_results(results)
    misses = frame.filter(pl.col("result") != "hit").sort("visits", descending=True, maintain_order=True)
    reading = (
        f"{counted(reclaim['walks'], 'walk')} made {counted(visited, 'visit')} to vmas; "
        f"{share_text(hits, visited)} of the visits were hits"
    )
    if misses["visits"][0]:
        share = share_text(misses["visits"][0], visited)
        reading += f", and the most frequent miss was {misses['result'][0]} ({share})"
    per_hit = ratio(visited, hits)
    if per_hit is not None:
        reading += f". Each pte found cost {format_value(per_hit, 'mean')} visits"
    columns = (
        Column("result", "visit", "code"),
        Column("visits", "visits", summed=True),
        Column("share", "share", "share", summed=True),
        Column("meaning", "what it means", "text"),
    )
    totals = Table(
        "Totals of the walks",
        (
            Column("figure", "figure", "code"),
            Column("value", "number", "figure"),
            Column("meaning", "what it counts", "text"),
        ),
        tuple((name, reclaim[name], meaning) for name, meaning in _TOTALS),
    )
    return Part(
        "What the visits came to",
        reading + ".",
        (BarFigure(Table.from_frame("Visits by result", columns, frame), ("visits",)), totals),
        "A walk tests in this order: the mm's rss, the range, the pte. Each visit counts once, under "
        "the first test that it fails.",
    )


def _per_walk(results: ResultTables) -> Part:
    per_walk = results.summary["reclaim"]["visited_per_walk"]
    reading = (
        f"Half of the walks visited at most {counted(per_walk['p50'], 'vma')}, 95 of 100 at most "
        f"{per_walk['p95']:,}; the dearest walk visited {per_walk['max']:,}."
    )
    found = coverage(results, "walks")
    reading += _beyond_p95(results, per_walk["p95"]) if found.is_full else f" {found.describe()}"
    figures = Table(
        "Vmas visited per walk, in figures",
        (
            Column("mean", "mean", "mean"),
            Column("p50", "median"),
            Column("p95", "95th percentile"),
            Column("p99", "99th percentile"),
            Column("max", "maximum"),
        ),
        ((per_walk["mean"], per_walk["p50"], per_walk["p95"], per_walk["p99"], per_walk["max"]),),
    )
    bars = () if found.is_left_out else (of_sample(_visited_bars(results), found),)
    explanation = (
        "Percentiles are nearest rank, of all walks: the smallest value that so many of them do not exceed."
    )
    return Part("Vmas visited per walk", reading, (*bars, figures), explanation)


def _beyond_p95(results: ResultTables, p95: int) -> str:
    """Tell what share of all visits the dearest walks made."""
    walks = results.lazy("walks").select("vmas_visited")
    sums = (pl.len().alias("walks"), pl.col("vmas_visited").sum())
    of_all = walks.select(sums).collect().row(0, named=True)
    beyond = walks.filter(pl.col("vmas_visited") > p95).select(sums).collect().row(0, named=True)
    if not beyond["walks"]:
        return ""
    return (
        f" The {counted(beyond['walks'], 'walk')} above the 95th percentile "
        f"({share_text(beyond['walks'], of_all['walks'])}) made "
        f"{share_text(beyond['vmas_visited'], of_all['vmas_visited'])} of all visits."
    )


def _visited_bars(results: ResultTables) -> BarFigure:
    columns = (
        Column("bin", "vmas visited", "text"),
        Column("walks", "walks", summed=True),
        Column("walks_share", "share of walks", "share", summed=True),
        Column("vmas_visited", "visits in all", summed=True),
        Column("visited_share", "share of visits", "share", summed=True),
    )
    frame = reclaim_cost.visited_distribution(results)
    return BarFigure(Table.from_frame("Walks by vmas visited", columns, frame, limit=None), ("walks",))


def _outcomes(results: ResultTables) -> Part:
    frame = reclaim_cost.walk_outcomes(results)
    columns = (
        Column("purpose", "purpose", "code"),
        Column("outcome", "outcome", "code"),
        Column("walks", "walks", summed=True),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("hits", "hits", summed=True),
        Column("early_stops", "early stops", summed=True),
        Column("unreachable", "unreachable", summed=True),
    )
    reclaim = results.summary["reclaim"]
    reading = (
        f"{counted(reclaim['early_stops'], 'walk')} "
        f"({share_text(reclaim['early_stops'], reclaim['walks'])}) stopped early, with part of the list "
        f"unvisited: {reclaim['list_length_sum']:,} list members stood on the walked lists, "
        f"{reclaim['vmas_visited']:,} were visited."
    )
    if reclaim["unreachable"]:
        reading += (
            f" {counted(reclaim['unreachable'], 'mapping')} went unfound: a vma that maps the page is not on "
            "the list of its anon_vma (unreachable)."
        )
    return Part(
        "Outcomes",
        reading,
        (Table.from_frame("Walks by purpose and outcome", columns, frame),),
        "A referenced walk asks whether the page was used, an unmap walk takes its ptes away. again: "
        "some pte is left; fail_locked, fail_young: stopped at a locked vma or a pte just used.",
    )


def _over_time(results: ResultTables) -> Part:
    frame = reclaim_cost.cost_over_time(results).filter(pl.col("walks") > 0)
    if frame.is_empty():
        return Part("Cost over the trace", "The table of walks is empty.")
    dearest = frame.sort("vmas_visited", descending=True, maintain_order=True).row(0, named=True)
    reading = (
        f"The dearest stretch, events {dearest['from_event']:,} to {dearest['to_event']:,}, has "
        f"{share_text(dearest['vmas_visited'], int(frame['vmas_visited'].sum()))} of all visits: "
        f"{counted(dearest['walks'], 'walk')} of {format_value(dearest['visited_per_walk'], 'mean')} vmas "
        "on average."
    )
    columns = (
        Column("from_event", "from event"),
        Column("to_event", "to event"),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("walks", "walks", summed=True),
        Column("visited_per_walk", "vmas per walk", "mean"),
        Column("dearest", "dearest walk"),
    )
    table = Table.from_frame(
        "Vmas visited over the trace",
        columns,
        frame,
        limit=None,
        note="Stretches of the trace without a walk are left out of the numbers.",
    )
    figure = TimeFigure(table, "vmas_visited", 1, event_count(results))
    return Part("Cost over the trace", reading, (figure,))


def _dearest_anon_vmas(results: ResultTables) -> Part:
    frame = reclaim_cost.dearest_anon_vmas(results)
    columns = (
        Column("anon_vma", "anon_vma"),
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("allocated_by", "allocated by", "code"),
        Column("peak_vmas", "longest list"),
        Column("walks", "walks", summed=True),
        Column("visited_per_walk", "vmas per walk", "mean"),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("share", "share", "share", summed=True),
    )
    reading = _ranking_reading(frame, "anon_vma", _describe_anon_vma)
    table = Table.from_frame(
        "anon_vmas by vmas visited",
        columns,
        frame,
        note="pid and process: those that allocated the anon_vma.",
    )
    return Part("The dearest anon_vmas", reading, (BarFigure(table, ("vmas_visited",)),))


def _dearest_processes(results: ResultTables) -> Part:
    frame = reclaim_cost.dearest_processes(results)
    columns = (
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("walks", "walks", summed=True),
        Column("visited_per_walk", "vmas per walk", "mean"),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("share", "share", "share", summed=True),
    )
    reading = _ranking_reading(
        frame, "process", lambda row: f"pages of {process_text(row['pid'], row['comm'])}"
    )
    table = Table.from_frame(
        "Processes by vmas visited",
        columns,
        frame,
        note="A page counts for the process that first mapped it. The lives of a reused pid share a row.",
    )
    return Part("The dearest processes", reading, (BarFigure(table, ("vmas_visited",)),))


def _ranking_reading(frame: pl.DataFrame, noun: str, describe: Callable[[dict[str, Any]], str]) -> str:
    """Say how much of the visits the first row has, and how many rows it takes to reach nine tenths."""
    if frame.is_empty() or not frame["vmas_visited"].sum():
        return "No vma was visited."
    first = frame.row(0, named=True)
    reading = f"Walks for {describe(first)} made {format_value(first['share'], 'share')} of all visits"
    running = frame["vmas_visited"].cum_sum()
    needed = int((running < 0.9 * running[-1]).sum()) + 1
    if 1 < needed < frame.height:
        reading += f"; {counted(needed, noun)} of {frame.height:,} together have nine tenths"
    return reading + "."


def _describe_anon_vma(row: dict[str, Any]) -> str:
    return f"anon_vma {row['anon_vma']:,} (allocated by {process_text(row['pid'], row['comm'])})"
