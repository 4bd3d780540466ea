"""The top of the report on two results: what they are, what keeps them apart, what matters most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ...difference_tables import DifferenceTables
from ...tables import DETAILED_TABLES
from .. import run_differences
from ..coverage import coverage
from ..document import KeyFigure, Notice
from ..numbers import counted, format_value
from ..run_differences import BREAKDOWNS, changed

_KEY_FIGURES = (
    ("vmas.peak", "vmas at the peak"),
    ("merges.merged", "merged"),
    ("anon_vmas.allocated", "anon_vmas allocated"),
    ("reclaim.visited_per_walk.mean", "visited per walk"),
    ("overhead_bytes.x86_64", "bytes of the scheme, x86_64"),
)
_FALLS = {"merged_fewer": "fewer", "merged_more": "more", "merged_otherwise": "otherwise"}


def settings_text(summary: Mapping[str, Any]) -> str:
    """Return scheme, rules and options of a replay in one word each: ``anon_vma+rmap40, reuse=modern``."""
    options = [f"{name}={value}" for name, value in summary["options"].items()]
    return ", ".join(["+".join([summary["scheme"], *summary["rules"]]), *options])


def replay_text(summary: Mapping[str, Any]) -> str:
    """Return what was replayed and how: ``zoo under anon_vma+rmap40``."""
    return f"{summary['trace']['path'] or 'a trace without a name'} under {settings_text(summary)}"


def difference_title(difference: DifferenceTables) -> str:
    """Return the title of the report."""
    return f"From {difference.names[0]} to {difference.names[1]}"


def difference_facts(difference: DifferenceTables) -> tuple[tuple[str, str], ...]:
    """Return what A and B are."""
    facts = []
    for side, name, results in zip("AB", difference.names, (difference.a, difference.b), strict=True):
        of = replay_text(results.summary)
        text = f"{of}, {counted(results.summary['trace']['events'], 'event')}"
        facts.append((side, text if name == of else f"{name}: {text}"))
    same = "the same" if difference.same_trace else f"different ones: {difference.why_other_trace}"
    return (*facts, ("Traces", same))


def difference_notices(difference: DifferenceTables) -> tuple[Notice, ...]:
    """Return what keeps A and B from being compared, or makes it less certain."""
    return (
        *_other_trace(difference),
        *_losses(difference),
        *_partial_tables(difference),
        *_several_causes(difference),
        *_violations(difference),
    )


def _other_trace(difference: DifferenceTables) -> list[Notice]:
    if difference.same_trace:
        return []
    return [
        Notice(
            f"A and B are of different traces: {difference.why_other_trace}.",
            "No event is joined with another; processes are compared by name.",
        )
    ]


def _losses(difference: DifferenceTables) -> list[Notice]:
    found = []
    for key, noun in (("lost_events", "lost event"), ("unreadable_lines", "unreadable line")):
        ours, theirs = (results.summary["trace"][key] for results in (difference.a, difference.b))
        if ours == theirs == 0:
            continue
        what = f"A has {counted(ours, noun)}, B {theirs:,}."
        if ours == theirs:
            found.append(Notice(what, "What they did is missing on both sides."))
        else:
            found.append(
                Notice(what, "A part of each change comes from what is missing, not from what is compared.")
            )
    return found


def _partial_tables(difference: DifferenceTables) -> list[Notice]:
    found = []
    for name in DETAILED_TABLES:
        partial = [
            f"{side} holds {coverage(results, name).kept:,} of {coverage(results, name).rows:,} rows"
            for side, results in zip("AB", (difference.a, difference.b), strict=True)
            if not coverage(results, name).is_full
        ]
        if partial:
            found.append(
                Notice(
                    f"The table {name} is not whole: {', '.join(partial)} (--detail).",
                    "Figures of the summary are exact; nothing is broken down or joined by event from this table.",
                )
            )
    return found


def _several_causes(difference: DifferenceTables) -> list[Notice]:
    ours, theirs = difference.a.summary, difference.b.summary
    causes = [] if difference.same_trace else ["traces"]
    if (ours["scheme"], ours["rules"]) != (theirs["scheme"], theirs["rules"]):
        causes.append("schemes or rules")
    if ours["options"] != theirs["options"]:
        causes.append("options")
    if len(causes) < 2:
        return []
    return [
        Notice(
            f"A and B differ in {' and in '.join(causes)}.",
            "No change can be put down to one of them alone.",
        )
    ]


def _violations(difference: DifferenceTables) -> list[Notice]:
    return [
        Notice(
            f"{counted(results.summary['violations'], 'broken invariant')} in {side}.",
            "That is a defect of this tool: no number of that side can be relied on.",
        )
        for side, results in zip("AB", (difference.a, difference.b), strict=True)
        if results.summary["violations"]
    ]


def difference_key_figures(difference: DifferenceTables) -> tuple[KeyFigure, ...]:
    """Return how many figures changed, and by how much the most telling ones."""
    frame = run_differences.summary_figures(difference.a, difference.b)
    differ = changed(frame)["change"]
    note = f"{frame.height - len(differ):,} are equal"
    if differ.null_count():
        note += f", {differ.null_count():,} defined on one side only"
    found = [KeyFigure("figures changed", len(differ) - differ.null_count(), "count", note)]
    for figure, label in _KEY_FIGURES:
        for row in frame.filter((pl.col("figure") == figure) & pl.col("change").is_not_null()).iter_rows(
            named=True
        ):
            ours, theirs = (format_value(row[side], "quantity") for side in ("a", "b"))
            found.append(KeyFigure(label, row["change"], "change", f"A {ours}, B {theirs}"))
    return tuple(found)


def difference_findings(difference: DifferenceTables) -> tuple[str, ...]:
    """Return what matters most in sentences, never none."""
    if not differs(difference):
        return (
            "A and B are equal: in every figure, in every breakdown, and at every event that tables tell of.",
        )
    frame = changed(run_differences.summary_figures(difference.a, difference.b))
    sentences = [
        f"{label}: {format_value(row['a'], 'quantity')} in A, {format_value(row['b'], 'quantity')} in B."
        for figure, label in (*_KEY_FIGURES, ("findings.unreachable_pages", "pages that no walk reaches"))
        for row in frame.filter(pl.col("figure") == figure).iter_rows(named=True)
    ]
    return (*_event_sentences(difference), *sentences) or (
        "The figures that matter most are equal; the tables tell what changed.",
    )


def _event_sentences(difference: DifferenceTables) -> list[str]:
    events = difference.events
    if events is None or events.first.is_empty():
        return []
    first = events.first.row(0, named=True)
    sentences = [
        f"A and B first differ at event {first['event']:,} ({first['subject']}: A {first['a']}; B {first['b']})."
    ]
    merged = [
        f"{how} at {counted(events.counts[kind], 'event')}"
        for kind, how in _FALLS.items()
        if events.counts[kind]
    ]
    if merged:
        sentences.append(f"Beside A, B merged {', '.join(merged)}.")
    return sentences


def differs(difference: DifferenceTables) -> bool:
    """Tell whether A and B differ in a figure, in a breakdown, in a process or at an event."""
    a, b = difference.a, difference.b
    frames = [run_differences.summary_figures(a, b), processes(difference)]
    frames += [
        run_differences.breakdown(a, b, name)
        for name, of in BREAKDOWNS.items()
        if run_differences.is_whole(a, b, of.table)
    ]
    frames.append(run_differences.list_lengths(a, b))
    events = difference.events
    return (
        any(changed(frame).height for frame in frames)
        or (events is not None and (events.first.height > 0 or events.other_reasons > 0))
        or not difference.same_trace
    )


def processes(difference: DifferenceTables) -> pl.DataFrame:
    """Return the counts of processes: of each one, or of all of a name where the traces differ."""
    of = (
        run_differences.processes_of_one_trace if difference.same_trace else run_differences.processes_by_name
    )
    return of(difference.a, difference.b)
