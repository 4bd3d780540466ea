"""The section on anon_vma counts."""

from __future__ import annotations

import polars as pl

from ...result_tables import ResultTables
from .. import anon_vma_counts
from ..bins import event_count
from ..coverage import coverage, of_sample
from ..document import BarFigure, Block, Column, Part, Section, Table, TimeFigure
from ..numbers import counted, format_duration, format_value, share_text
from ..process_names import process_text

_INTRODUCTION = (
    "An anon_vma is the head of a list of vmas whose anonymous pages are found by walking it. A vma gets "
    "one at its first write fault; fork, split and mremap put further vmas on the same list. Many "
    "anon_vmas cost memory and keep vmas apart; long lists cost time in every walk."
)

_VALUE = (
    Column("figure", "figure", "code"),
    Column("value", "number", "figure"),
    Column("meaning", "what it counts", "text"),
)


def anon_vma_counts_section(results: ResultTables) -> Section:
    """Return the section on anon_vma counts."""
    if results.summary["anon_vmas"]["allocated"]:
        parts: tuple[Part, ...] = (
            _totals(results),
            *_over_time(results),
            _list_lengths(results),
            _longest(results),
            _by_operation(results),
            _by_process(results),
            _lifetimes(results),
            _memory(results),
        )
    else:
        parts = (Part("No anon_vmas", _no_anon_vma(results)), _memory(results))
    return Section("anon_vma counts", "anon-vma-counts", _INTRODUCTION, parts)


def _no_anon_vma(results: ResultTables) -> str:
    scheme = results.summary["scheme"]
    if scheme == "anon_vma" or not results.summary["pages"]["allocated"]:
        return "No anon_vma was allocated: no private mapping was ever written to."
    return f"The scheme {scheme} has no anon_vma: it finds pages in another way."


def _totals(results: ResultTables) -> Part:
    counts, extra = results.summary["anon_vmas"], results.summary["extra"]
    never_used = extra.get("anon_vmas_never_used", 0)
    reading = (
        f"{counted(counts['allocated'], 'anon_vma')} allocated, at most {counts['peak']:,} at once, "
        f"{counts['live']:,} left at the end; the longest list held "
        f"{counted(counts['longest_list'], 'vma')}. Freed without ever having "
        f"had a page: {never_used:,} ({share_text(never_used, counts['allocated'])})."
    )
    rows = (
        ("allocated", counts["allocated"], "anon_vmas ever allocated"),
        ("freed", counts["freed"], "anon_vmas freed when their list became empty"),
        ("live", counts["live"], "anon_vmas at the end of the trace"),
        ("peak", counts["peak"], "most anon_vmas at once"),
        ("longest_list", counts["longest_list"], "most vmas on one list at once"),
        ("anon_vmas_never_used", never_used, "anon_vmas freed without ever having had a page"),
    )
    return Part("How many", reading, (Table("anon_vmas in figures", _VALUE, rows),))


def _over_time(results: ResultTables) -> tuple[Part, ...]:
    frame = anon_vma_counts.counts_over_time(results)
    if frame.is_empty():
        return ()
    counts = results.summary["anon_vmas"]
    top = frame.sort("anon_vmas", descending=True, maintain_order=True).row(0, named=True)
    last = frame.row(-1, named=True)
    reading = (
        f"The number of anon_vmas was highest between event {top['from_event']:,} and {top['to_event']:,} "
        f"({top['anon_vmas']:,}); in the last stretch it reached {last['anon_vmas']:,}."
    )
    if counts["longest_list"] > 1:
        longest = frame.sort("longest_list", descending=True, maintain_order=True).row(0, named=True)
        length = counted(longest["longest_list"], "vma")
        reading += f" The longest list reached {length} by event {longest['to_event']:,}."
    columns = [Column("from_event", "from event"), Column("to_event", "to event")]
    events = event_count(results)

    def figure(title: str, series: str, label: str, *others: Column) -> TimeFigure:
        table = Table.from_frame(title, (*columns, Column(series, label), *others), frame, limit=None)
        return TimeFigure(table, series, 1, events, is_state=True)

    blocks: tuple[Block, ...] = (
        figure(
            "anon_vmas over the trace",
            "anon_vmas",
            "anon_vmas",
            Column("vmas", "vmas"),
            Column("anon_pages", "anonymous pages"),
        ),
        figure("Longest list over the trace", "longest_list", "vmas on the longest list"),
    )
    explanation = "Each stretch shows the highest level that the timeline has in it, so no peak is lost."
    return (Part("Over the trace", reading, blocks, explanation),)


def _list_lengths(results: ResultTables) -> Part:
    peak = anon_vma_counts.peak_list_lengths(results)
    alone = int(peak.filter(pl.col("high") <= 1)["anon_vmas"].sum())
    reading = (
        f"{alone:,} of {counted(int(peak['anon_vmas'].sum()), 'anon_vma')} "
        f"({share_text(alone, int(peak['anon_vmas'].sum()))}) never had more than one vma on their list."
    )
    peak_columns = (
        Column("bin", "vmas on the list at its longest", "text"),
        Column("anon_vmas", "anon_vmas", summed=True),
        Column("share", "share", "share", summed=True),
    )
    blocks: list[Block] = [
        BarFigure(
            Table.from_frame("anon_vmas by the longest their list was", peak_columns, peak, limit=None),
            ("anon_vmas",),
        )
    ]
    walked = anon_vma_counts.walked_list_lengths(results)
    if results.summary["reclaim"]["walks"]:
        mean = results.summary["reclaim"]["list_length_sum"] / max(results.summary["reclaim"]["walks"], 1)
        reading += f" The list that a walk went over held {format_value(mean, 'mean')} vmas on average."
    if walked.height:
        walked_columns = (
            Column("bin", "vmas on the walked list", "text"),
            Column("walks", "walks", summed=True),
            Column("share", "share", "share", summed=True),
            Column("vmas_visited", "vmas visited", summed=True),
        )
        blocks.append(
            of_sample(
                BarFigure(
                    Table.from_frame("Walks by the length of the list", walked_columns, walked, limit=None),
                    ("walks",),
                ),
                coverage(results, "walks"),
            )
        )
    return Part("List lengths", reading, tuple(blocks))


def _longest(results: ResultTables) -> Part:
    frame = anon_vma_counts.longest_lists(results)
    columns = (
        Column("anon_vma", "anon_vma"),
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("allocated_by", "allocated by", "code"),
        Column("allocated_event", "at event"),
        Column("peak_vmas", "longest list"),
        Column("processes", "processes"),
        Column("peak_pages", "most pages"),
        Column("pages_ever", "pages ever", summed=True),
        Column("lifetime_events", "lived", unit="events"),
    )
    reading = "The table of anon_vmas is empty."
    if frame.height:
        first = frame.row(0, named=True)
        reading = (
            f"The longest list, of anon_vma {first['anon_vma']:,}, held {counted(first['peak_vmas'], 'vma')}"
        )
        if first["processes"]:
            reading += f" of {counted(first['processes'], 'process')}"
        reading += f" and at most {counted(first['peak_pages'], 'page')}."
    note = "processes: those that ever had a vma on the list."
    if frame["lifetime_events"].null_count():
        note += " A dash under “lived”: still there at the end."
    table = Table.from_frame(
        "anon_vmas by the longest their list was, longest first", columns, frame, note=note
    )
    return Part("The longest lists", reading, (table,))


def _by_operation(results: ResultTables) -> Part:
    frame = anon_vma_counts.allocated_by_operation(results)
    columns = (
        Column("operation", "operation", "code"),
        Column("anon_vmas", "anon_vmas", summed=True),
        Column("share", "share", "share", summed=True),
        Column("live", "live at the end", summed=True),
        Column("never_used", "never used", summed=True),
    )
    return Part(
        "Allocated by operation",
        _who(frame, "operation"),
        (BarFigure(Table.from_frame("anon_vmas by allocating operation", columns, frame), ("anon_vmas",)),),
        "never used: freed without ever having had a page.",
    )


def _by_process(results: ResultTables) -> Part:
    frame = anon_vma_counts.allocated_by_process(results)
    columns = (
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("anon_vmas", "anon_vmas", summed=True),
        Column("share", "share", "share", summed=True),
        Column("live", "live at the end", summed=True),
        Column("never_used", "never used", summed=True),
        Column("peak_vmas", "longest list"),
    )
    return Part(
        "Allocated by process",
        _who(frame, "pid"),
        (BarFigure(Table.from_frame("anon_vmas by allocating process", columns, frame), ("anon_vmas",)),),
    )


def _who(frame: pl.DataFrame, key: str) -> str:
    if frame.is_empty():
        return "The table of anon_vmas is empty."
    first = frame.row(0, named=True)
    who = first["operation"] if key == "operation" else process_text(first["pid"], first["comm"])
    if frame.height == 1:
        return f"Only {who} allocated any: {counted(first['anon_vmas'], 'anon_vma')}."
    kinds = counted(frame.height, "operation" if key == "operation" else "process")
    return (
        f"{who} allocated {counted(first['anon_vmas'], 'anon_vma')} "
        f"({format_value(first['share'], 'share')}), the most; {kinds} allocated any."
    )


def _lifetimes(results: ResultTables) -> Part:
    lives = anon_vma_counts.lifetimes(results)
    if not lives.freed:
        return Part("Lifetimes", f"None was freed: all {counted(lives.live, 'anon_vma')} live at the end.")
    has_clock = results.summary["trace"]["format"] != "scenario"  # a scenario's ts is only the event number
    median = counted(lives.events[0] or 0, "event")
    reading = f"Half of the {counted(lives.freed, 'freed anon_vma')} lived for at most {median}"
    if has_clock:
        reading += f" ({format_duration(lives.span_ns[0] or 0)} at the median)"
    if lives.live:
        reading += f"; {lives.live:,} still live at the end and are not counted here"
    reading += "."
    columns = (
        Column("bin", "events from allocation to freeing", "text"),
        Column("anon_vmas", "anon_vmas", summed=True),
        Column("share", "share", "share", summed=True),
        Column("never_used", "never used", summed=True),
    )
    frame = anon_vma_counts.lifetime_distribution(results)
    bars = BarFigure(
        Table.from_frame("Freed anon_vmas by lifetime", columns, frame, limit=None), ("anon_vmas",)
    )
    figure_columns = [Column("which", "lifetime", "text"), Column("events", "events")]
    figure_rows = [
        ("median", lives.events[0]),
        ("95th percentile", lives.events[1]),
        ("longest", lives.events[2]),
    ]
    if has_clock:
        figure_columns.append(Column("span_ns", "time", "seconds", "s"))
        figure_rows = [(*row, span) for row, span in zip(figure_rows, lives.span_ns, strict=True)]  # type: ignore[misc]
    figures = Table("Lifetimes in figures", tuple(figure_columns), tuple(figure_rows))
    return Part("Lifetimes", reading, (bars, figures))


def _memory(results: ResultTables) -> Part:
    overhead = results.summary["overhead_bytes"]
    reading = (
        f"At its peak the scheme's own memory was {format_value(overhead['x86_64'], 'figure')} bytes on "
        f"x86_64 and {format_value(overhead['i386'], 'figure')} bytes on i386: its objects and the fields "
        "that it adds to each vma."
    )
    columns = (Column("machine", "machine", "code"), Column("value", "peak", "figure", "bytes"))
    rows = (("i386", overhead["i386"]), ("x86_64", overhead["x86_64"]))
    blocks: list[Block] = [Table("Memory that the scheme needs", columns, rows)]
    frame = anon_vma_counts.counts_over_time(results)
    if frame.height and overhead["x86_64"]:
        time_columns = (
            Column("from_event", "from event"),
            Column("to_event", "to event"),
            Column("overhead_bytes", "overhead on x86_64", unit="bytes"),
        )
        table = Table.from_frame(
            "Memory that the scheme needs, over the trace", time_columns, frame, limit=None
        )
        blocks.append(TimeFigure(table, "overhead_bytes", 1, event_count(results), is_state=True))
    return Part("Memory overhead", reading, tuple(blocks))
