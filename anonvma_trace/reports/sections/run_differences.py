"""The report on two results beside each other: what changed, and by what."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ...difference_tables import DifferenceTables
from ...result_tables import ResultTables
from .. import run_differences
from ..bins import event_count
from ..document import BarFigure, Block, Column, Part, Section, Table, TimeFigure
from ..numbers import counted, format_value
from ..run_differences import BREAKDOWNS, changed, left_out
from .difference_overview import processes
from .difference_where import where_section

PROCESS_COUNTS_SHOWN = 20
_SIDES = (
    Column("a", "A", "quantity"),
    Column("b", "B", "quantity"),
    Column("change", "change", "change"),
    Column("relative", "relative", "relative"),
)
_LEVEL_LABELS = {
    "anon_vmas": "anon_vmas",
    "longest_list": "vmas on the longest list",
    "vmas": "vmas",
    "overhead_bytes": "bytes that the scheme takes (x86_64)",
}
_PROCESSES = (
    "Counts of processes: merges and refusals of their vmas, walks of pages that they mapped first, anon_vmas that "
    "their vmas were on."
)


def difference_sections(difference: DifferenceTables) -> tuple[Section, ...]:
    """Return the sections: figures, where, merges, walks, anon_vmas, processes, diagnostics."""
    a, b = difference.a, difference.b
    return (
        Section(
            "Figures",
            "figures",
            "Every figure of the two summaries, named as in summary.json. What changed most beside the larger of both "
            "stands first.",
            _figures(difference),
        ),
        where_section(difference),
        Section(
            "Merges",
            "merges",
            "Attempts to merge vmas, and the sides that were refused.",
            (_breakdown(a, b, "refusals", "Refusals"), _breakdown(a, b, "attempts", "Attempts")),
        ),
        Section(
            "Walks",
            "walks",
            "What finding the mappings of pages took.",
            (
                _breakdown(a, b, "visits", "Visits"),
                _breakdown(a, b, "outcomes", "Outcomes"),
                _distribution(
                    a, b, "walks", "Vmas visited per walk", "vmas visited", run_differences.walked_lengths
                ),
            ),
        ),
        Section(
            "anon_vmas",
            "anon-vmas",
            "How many list heads there are, who made them, and how long their lists grew.",
            (
                *_over_time(difference),
                _breakdown(a, b, "origins", "Origin"),
                _distribution(
                    a, b, "anon_vmas", "Longest lists", "vmas on the list", run_differences.list_lengths
                ),
            ),
        ),
        Section("Processes", "processes", _PROCESSES, _processes(difference)),
        Section(
            "Diagnostics",
            "diagnostics",
            "What the replays had to remark: losses, assumptions, findings.",
            (_breakdown(a, b, "remarks", "Diagnostics by code"),),
        ),
    )


def _figures(difference: DifferenceTables) -> tuple[Part, ...]:
    frame = run_differences.summary_figures(difference.a, difference.b)
    both = changed(frame).filter(pl.col("change").is_not_null())
    one = changed(frame).filter(pl.col("change").is_null())
    equal = frame.height - both.height - one.height
    columns = (Column("figure", "figure", "code"), *_SIDES)
    parts = [_changes("What changed", "Figures that changed", columns, both, "figure", equal)]
    if one.height:
        parts.append(_one_sided(one))
    return tuple(parts)


def _one_sided(frame: pl.DataFrame) -> Part:
    """Return the blocks of the summary of which figures are defined on one side only."""
    by_block = (
        frame.group_by(pl.col("figure").str.split(".").list.first().alias("block"))
        .agg(pl.col("a", "b").count().cast(pl.Int64))
        .sort("block")
    )
    columns = (Column("block", "block", "code"), Column("a", "in A only"), Column("b", "in B only"))
    table = Table.from_frame("Figures that are defined on one side only, by block", columns, by_block)
    are = "is" if frame.height == 1 else "are"
    reading = f"{counted(frame.height, 'figure')} {are} not defined on one side."
    return Part("Defined on one side only", reading, (table,))


def _changes(
    heading: str,
    title: str,
    columns: tuple[Column, ...],
    frame: pl.DataFrame,
    noun: str,
    equal: int,
    limit: int | None = None,
) -> Part:
    """Return a part with the rows that changed; how many are equal is told."""
    folded = f"{counted(equal, noun)} {'is' if equal == 1 else 'are'} equal."
    if frame.is_empty():
        return Part(heading, f"Nothing changed: {folded}" if equal else "There is nothing to compare.")
    table = Table.from_frame(title, columns, frame, limit=limit)
    return Part(heading, f"{counted(frame.height, noun)} changed; {folded}", (table,))


def _breakdown(a: ResultTables, b: ResultTables, name: str, heading: str) -> Part:
    of = BREAKDOWNS[name]
    if not run_differences.is_whole(a, b, of.table):
        return left_out(heading, of.table)
    frame = run_differences.breakdown(a, b, name)
    rows = changed(frame)
    columns = (*(Column(key, key, "code") for key in of.keys), *_SIDES)
    part = _changes(heading, of.title, columns, rows, "row", frame.height - rows.height)
    first = next(rows.iter_rows(named=True), None)
    if first is None:
        return part
    most = " ".join(str(first[key]) for key in of.keys)
    change = format_value(first["change"], "change")
    return Part(heading, f"Most changed {most}: {change} {of.noun}. {part.reading}", part.blocks)


def _distribution(
    a: ResultTables,
    b: ResultTables,
    table: str,
    title: str,
    what: str,
    make: Callable[[ResultTables, ResultTables], pl.DataFrame],
) -> Part:
    if not run_differences.is_whole(a, b, table):
        return left_out(title, table)
    frame = make(a, b)
    differ = changed(frame).height
    if not differ:
        return Part(title, "The distribution is the same." if frame.height else f"There are no {table}.")
    columns = (Column("bin", what, "number"), Column("a", "A"), Column("b", "B"), *_SIDES[2:])
    bars = Table.from_frame(f"{title}: {table}", columns, frame, limit=None)
    reading = f"{counted(differ, 'bin')} of {frame.height:,} changed."
    return Part(title, reading, (BarFigure(bars, ("a", "b"), side_by_side=True),))


def _over_time(difference: DifferenceTables) -> tuple[Part, ...]:
    if not difference.same_trace:
        return ()
    a, b = difference.a, difference.b
    figures: list[Block] = []
    for level, label in _LEVEL_LABELS.items():
        frame = run_differences.levels_over_time(a, b, level)
        if changed(frame).height:
            columns = (
                Column("from_event", "from event"),
                Column("to_event", "to event"),
                Column("a", "A"),
                Column("b", "B"),
            )
            table = Table.from_frame(
                f"{label} over the trace: A filled, B a line", columns, frame, limit=None
            )
            last = max(event_count(results) for results in (a, b))
            figures.append(TimeFigure(table, "a", 1, last, is_state=True, beside="b"))
    if not figures:
        return (Part("Over the trace", "Vmas, anon_vmas, the longest list and memory take the same course."),)
    reading = f"{counted(len(figures), 'level')} of {len(_LEVEL_LABELS)} took another course."
    note = "Each stretch shows the highest level that the timeline has in it."
    return (Part("Over the trace", reading, tuple(figures), note),)


def _processes(difference: DifferenceTables) -> tuple[Part, ...]:
    frame = processes(difference)
    rows = changed(frame)
    keys = ("pid", "comm") if difference.same_trace else ("comm",)
    columns = (
        *(Column(key, key, "number" if key == "pid" else "text") for key in keys),
        Column("figure", "figure", "code"),
        *_SIDES,
    )
    counts = _changes(
        "Counts",
        "Counts of processes",
        columns,
        rows,
        "count",
        frame.height - rows.height,
        limit=PROCESS_COUNTS_SHOWN,
    )
    if difference.same_trace:
        return (counts,)
    of_names = frame.filter(pl.col("figure") == "processes")
    parts = []
    for side, own, other in (("A", "a", "b"), ("B", "b", "a")):
        only = of_names.filter(pl.col(other) == 0).sort("comm", nulls_last=True)
        if only.height:
            columns = (Column("comm", "comm", "text"), Column(own, "processes", summed=True))
            table = Table.from_frame(f"Processes only in {side}", columns, only)
            names = counted(only.height, "name")
            parts.append(Part(f"Only in {side}", f"{names} of processes stand only in {side}.", (table,)))
    return (*parts, counts)
