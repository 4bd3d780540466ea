"""The report on a comparison: what each scheme costs, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import polars as pl

from ...comparison_tables import ComparisonTables
from .. import scheme_comparison
from ..document import BarFigure, Block, Column, KeyFigure, Notice, Part, Section, Table
from ..numbers import Kind, counted, format_duration, format_value

_FALLS = ("merged_fewer", "merged_more", "merged_otherwise")
_INTRODUCTIONS = {
    "Costs": (
        "Each scheme replayed the same events with its own rules of merging. What pages are mapped does not depend on "
        "the scheme; how they are found, what that takes in memory, and which vmas may become one, does."
    ),
    "Disagreements": (
        "The events at which schemes came to different ends. What differs once changes what later attempts meet, "
        "so the first event of a kind tells most."
    ),
    "itself": "All schemes were replayed in one pass over the trace, each in a thread of its own.",
}


def comparison_title(comparison: ComparisonTables) -> str:
    """Return the title of a comparison's report."""
    path = _trace(comparison)["path"]
    return f"Schemes on {PurePath(path).name}" if path and path != "-" else "Schemes on a trace"


def comparison_facts(comparison: ComparisonTables) -> tuple[tuple[str, str], ...]:
    """Return where the numbers come from, as label and text."""
    trace = _trace(comparison)
    rows = [
        ("Trace", trace["path"] or "unnamed"),
        ("Format", trace["format"] or "unknown"),
        ("Events", f"{trace['events']:,}"),
        ("Processes", f"{trace['processes']:,}"),
    ]
    if trace["format"] != "scenario":  # whose clock only counts events
        rows.append(("Time span", format_duration(trace["span_ns"])))
    rows.append(("Schemes", ", ".join(comparison.names)))
    options = comparison.summaries[comparison.reference]["options"]
    if options:
        rows.append(("Options", ", ".join(f"{name}={value}" for name, value in options.items())))
    return tuple(rows)


def comparison_notices(comparison: ComparisonTables) -> tuple[Notice, ...]:
    """Return what makes the numbers less than certain."""
    trace = _trace(comparison)
    found = []
    if trace["lost_events"] or trace["tainted_processes"]:
        how_many = (
            counted(trace["lost_events"], "event") if trace["lost_events"] else "an unknown number of events"
        )
        found.append(
            Notice(
                f"The recorder lost {how_many}.",
                f"What they did is missing under every scheme; it may concern {trace['tainted_processes']:,} of "
                f"{counted(trace['processes'], 'process')}.",
            )
        )
    if trace["unreadable_lines"]:
        found.append(
            Notice(
                f"{counted(trace['unreadable_lines'], 'line')} of the trace could not be read.",
                "Left out of every replay. `anonvma-trace inspect` lists them.",
            )
        )
    return tuple(found)


def comparison_key_figures(comparison: ComparisonTables) -> tuple[KeyFigure, ...]:
    """Return for each scheme what a walk visits on average, or the vmas at the peak where nothing was walked."""
    figures = []
    for name, summary in comparison.summaries.items():
        per_walk, size = summary["reclaim"]["visited_per_walk"], summary["overhead_bytes"]["x86_64"]
        note = f"{format_value(size, 'figure')} bytes at the peak on x86_64"
        if summary["reclaim"]["walks"]:
            note = f"at most {per_walk['max']:,}; {note}"
            figures.append(KeyFigure(f"visited per walk, {name}", per_walk["mean"], "mean", note))
        else:
            figures.append(KeyFigure(f"vmas at the peak, {name}", summary["vmas"]["peak"], "figure", note))
    return tuple(figures)


def comparison_findings(comparison: ComparisonTables) -> tuple[str, ...]:
    """Return what the choice of a scheme costs, in sentences: at swap-out, in memory, in merges, in lost pages."""
    sentences = [
        _span(comparison, ("reclaim", "visited_per_walk", "mean"), "A walk visits on average", "", "mean"),
        _span(
            comparison, ("overhead_bytes", "x86_64"), "At the peak the scheme itself takes on x86_64", "bytes"
        ),
        _span(comparison, ("extra", "fork_insertions"), "Forks made", "list insertions"),
        _span(comparison, ("extra", "rmap_hot_ops"), "Single ptes cost", "operations"),
        _span(comparison, ("extra", "mremap_copies"), "Moving mappings copied", "pages"),
        _span(comparison, ("vmas", "peak"), "At the peak there are", "vmas"),
        *(_merges_beside(comparison, name) for name in comparison.names),
        *(_lost(comparison, name) for name in comparison.names),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def comparison_sections(comparison: ComparisonTables) -> tuple[Section, ...]:
    """Return the sections: costs by subject, and disagreements."""
    costs = tuple(
        part
        for part in (
            _cost(comparison, "swap-out", "At swap-out", "mean per walk"),
            _cost(comparison, "fork", "At fork", "list insertions"),
            _cost(comparison, "fault", "At faults, and wherever ptes come and go", "hot-path operations"),
            _cost(comparison, "memory", "In memory", "bytes, x86_64"),
            _cost(comparison, "vmas", "In vmas", ""),
            _cost(comparison, "merges", "Merges", ""),
            _cost(comparison, "moves", "At mremap and swap-in", ""),
            _cost(comparison, "findings", "In lost pages", ""),
        )
        if part is not None
    )
    ends = (_merge_outcomes(comparison), _walk_differences(comparison), _findings(comparison))
    took = Section("The comparison itself", "comparison", _INTRODUCTIONS["itself"], (_memory(comparison),))
    return (
        Section("Costs", "costs", _INTRODUCTIONS["Costs"], costs),
        Section("Disagreements", "disagreements", _INTRODUCTIONS["Disagreements"], ends),
        took,
    )


def figure_table(comparison: ComparisonTables, subject: str, title: str) -> Table | None:
    """Return the figures of a subject, a column for each scheme; None if there are none."""
    rows: list[tuple[str, ...]] = []
    at = comparison.names.index(comparison.reference)
    for figure, values in scheme_comparison.shown_figures(comparison, subject):
        rows.append((figure.label, *(format_value(value, figure.kind) for value in values)))
        ratios = [scheme_comparison.ratio_to(value, values[at]) for value in values]
        if figure.has_ratio and any(ratio not in (None, 1) for ratio in ratios):
            texts = ("" if ratio is None else f"×{format_value(ratio, 'mean')}" for ratio in ratios)
            rows.append((f"– to {comparison.reference}", *texts))
    if subject == "memory":
        for machine in ("i386", "x86_64"):
            now = (comparison.overhead_at_end[name][machine] for name in comparison.names)
            rows.append((f"at the end, {machine}", *(format_value(each, "figure") for each in now)))
    columns = (Column("figure", "", "text"), *(Column(name, name, "number") for name in comparison.names))
    return Table(title, columns, tuple(rows)) if rows else None


def _cost(comparison: ComparisonTables, subject: str, heading: str, drawn: str) -> Part | None:
    if subject == "swap-out" and not any(s["reclaim"]["walks"] for s in comparison.summaries.values()):
        return Part(heading, "No event of this trace looks at a page for reclaim: nothing was walked.")
    table = figure_table(comparison, subject, heading)
    if table is None:
        return None
    blocks: list[Block] = [table]
    for figure, values in scheme_comparison.shown_figures(comparison, subject):
        if figure.label == drawn and any(values) and all(value is not None for value in values):
            bars = Table(
                f"{heading}: {drawn}",
                (Column("scheme", "scheme", "code"), Column("value", drawn, figure.kind)),
                tuple(zip(comparison.names, values, strict=True)),
            )
            blocks.append(BarFigure(bars, ("value",)))
    return Part(heading, _READINGS[subject], tuple(blocks), _EXPLANATIONS.get(subject, ""))


_READINGS = {
    "swap-out": "What finding the mappings of a page takes when it is looked at or swapped out.",
    "fork": "What a fork takes for reverse mapping, beside copying vmas and ptes.",
    "fault": "What each pte costs that comes or goes: the schemes by object abolish this.",
    "memory": "What the scheme needs of its own: at the peak of the trace, and at its end.",
    "vmas": "Rules of merging decide how many vmas stand.",
    "merges": "Attempts to merge by their end. Case numbers are those of the comment above vma_merge.",
    "moves": "Pages copied only because the scheme cannot follow them to another address.",
    "findings": "Pages that the scheme itself loses: no walk reaches them any more.",
}
_EXPLANATIONS = {
    "swap-out": (
        "Visited: vmas of the list (anon_vma), entries of the chain (pte_chain), members of the ring (anonmm), "
        "anon_vma_chains of the list (anon_vma_chain) or of the interval tree that cover the page (linux6)."
    ),
    "memory": (
        "Objects: anon_vmas, anonmms; a pte_chain has none of these. Bytes: all that the scheme allocates or adds to "
        "each vma and mm. Not defined: linux6 on i386."
    ),
}


def _merge_outcomes(comparison: ComparisonTables) -> Part:
    frame = comparison.merge_outcomes
    if frame.is_empty():
        return Part("Merges", "At every attempt the same case merged, or none, under every scheme.")
    columns = (
        Column("events", "events", summed=True),
        Column("first_events", "first", "text"),
        *(Column(name, name, "text") for name in comparison.names),
    )
    table = Table.from_frame("Merges that ended differently, by how", columns, frame)
    total = int(frame["events"].sum())
    reading = f"{counted(total, 'event')} merged under one scheme and not, or otherwise, under another."
    return Part(
        "Merges",
        reading,
        (
            table,
            _against(comparison, "Events beside the reference", (*_FALLS, "visited_more", "visited_fewer")),
        ),
        "A reason stands for the side that was refused. Of an event with several attempts the cases are counted. "
        "`anonvma-trace explain TRACE --event N` tells what one event did.",
    )


def _against(comparison: ComparisonTables, title: str, kinds: Sequence[str]) -> Table:
    columns = (
        Column("scheme", "scheme", "code"),
        *(Column(kind, kind.replace("_", " "), "count") for kind in kinds),
    )
    rows = tuple((name, *(comparison.against[name][kind] for kind in kinds)) for name in comparison.names)
    return Table(title, columns, rows, note=f"Numbers of events, beside {comparison.reference}.")


def _walk_differences(comparison: ComparisonTables) -> Part:
    frame = comparison.walk_differences
    found = "".join(
        f" {name} found another number of ptes at {counted(of['found_otherwise'], 'event')}."
        for name, of in comparison.against.items()
        if of["found_otherwise"]
    )
    if frame.is_empty():
        return Part("Walks", f"The walks of every event visited as much under every scheme.{found}")
    columns = (Column("event", "event", "count"), *(Column(name, name, "count") for name in comparison.names))
    table = Table.from_frame("Visited at the events where that differs most", columns, frame, limit=None)
    reading = "These are the events whose walks cost most more under one scheme than under another."
    return Part("Walks", reading + found, (table,))


def _findings(comparison: ComparisonTables) -> Part:
    frame = comparison.findings
    if frame.is_empty():
        return Part("Findings", "No scheme lost a page or came to a BUG at any event.")
    columns = (
        Column("scheme", "scheme", "code"),
        Column("code", "finding", "code"),
        Column("times", "times"),
        Column("first_events", "first events", "text"),
    )
    names = frame["scheme"].unique(maintain_order=True).to_list()
    reading = f"Found under {', '.join(names)}" + (
        " only." if len(names) < len(comparison.names) else ": under every scheme."
    )
    return Part("Findings", reading, (Table.from_frame("Findings", columns, frame, limit=None),))


def _memory(comparison: ComparisonTables) -> Part:
    table = Table(
        "Memory of each replay",
        (Column("scheme", "scheme", "code"), Column("bytes", "memory", "count", "bytes")),
        tuple(comparison.memory_bytes.items()),
    )
    total = sum(comparison.memory_bytes.values())
    return Part("Memory", f"The states of all replays took {total:,} bytes at the end.", (table,))


def _trace(comparison: ComparisonTables) -> dict:
    return comparison.summaries[comparison.reference]["trace"]


def _span(
    comparison: ComparisonTables, path: tuple[str, ...], begin: str, unit: str, kind: Kind = "figure"
) -> str:
    """Tell which schemes have the least and the most of a figure; nothing where all have the same."""
    figure = scheme_comparison.Figure("", "", path)
    values = {
        name: value
        for name, summary in comparison.summaries.items()
        if (value := scheme_comparison.figure_value(summary, figure)) is not None
    }
    if len(set(values.values())) < 2:
        return ""
    least, most = min(values.values()), max(values.values())
    least_text, most_text = (
        f"{format_value(value, kind)} {unit}".rstrip() + f" under {_those(values, value)}"
        for value in (least, most)
    )
    return f"{begin} {least_text}, {most_text}."


def _those(values: dict[str, float | int], value: float) -> str:
    return _listing([name for name, each in values.items() if each == value])


def _listing(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _merges_beside(comparison: ComparisonTables, name: str) -> str:
    counts = comparison.against[name]
    parts = [
        f"{how} at {counted(counts[kind], 'event')}"
        for kind, how in zip(_FALLS, ("fewer", "more", "otherwise"), strict=True)
        if counts[kind]
    ]
    if not parts:
        return ""
    return (
        f"Beside {comparison.reference}, {name} merged {_listing(parts)}; the first is event "
        f"{_first_event(comparison, name):,}."
    )


def _first_event(comparison: ComparisonTables, name: str) -> int:
    frame = comparison.merge_outcomes.filter(pl.col(name) != pl.col(comparison.reference))
    events = [int(text.split(",")[0]) for text in frame["first_events"].to_list()]
    return min(events, default=0)


def _lost(comparison: ComparisonTables, name: str) -> str:
    found = comparison.summaries[name]["findings"]
    lost, bugs = found["unreachable_pages"], found["bugs"]
    parts = [counted(n, noun) for n, noun in ((lost, "unreachable page"), (bugs, "BUG")) if n]
    return f"Under {name}: {' and '.join(parts)}." if parts else ""
