"""The section on merge refusals."""

from __future__ import annotations

from typing import Any

from ...result_tables import ResultTables
from ...tables import MERGE_REASONS
from .. import merge_refusals
from ..coverage import coverage, covered_part
from ..document import BarFigure, Block, Column, Part, Section, Table
from ..numbers import counted, format_value, share_text
from ..process_names import process_text

_INTRODUCTION = (
    "When a mapping is made, grown or changed, vma_merge tries to join it with the vma before it (left) "
    "and the one after it (right). rmap 39 adds a condition: two vmas that both have an anon_vma merge "
    "only if it is the same one, and anonymous vmas merge only if vm_pgoff goes on. A refusal is one "
    "side of one attempt that a test turned down; a side without a neighbour is none."
)


def merge_refusals_section(results: ResultTables) -> Section:
    """Return the section on merge refusals."""
    if results.summary["merges"]["attempts"]:
        parts: tuple[Part, ...] = (
            _cases(results),
            _reasons(results),
            *_baseline(results),
            covered_part(results, "merges", _neighbours_and_marks),
            covered_part(results, "merges", _by_operation),
            covered_part(results, "merges", _by_process),
            covered_part(results, "merges", _ranges),
        )
    else:
        parts = (
            Part("No attempts", "No operation of this trace tried to merge a vma."),
            *_baseline(results),
        )
    return Section("Merge refusals", "merge-refusals", _INTRODUCTION, parts)


def _cases(results: ResultTables) -> Part:
    merges = results.summary["merges"]
    refused = sum(merges["refused"].values())
    reading = (
        f"{merges['merged']:,} of {counted(merges['attempts'], 'attempt')} merged "
        f"({share_text(merges['merged'], merges['attempts'])}); {counted(refused, 'side')} "
        f"{'was' if refused == 1 else 'were'} refused."
    )
    columns = (
        Column("case", "case", "text"),
        Column("name", "what merges", "text"),
        Column("picture", "picture", "code"),
        Column("attempts", "attempts", summed=True),
        Column("share", "share", "share", summed=True),
    )
    table = Table.from_frame("Attempts by merge case", columns, merge_refusals.merge_cases(results))
    explanation = (
        "Cases are numbered as above vma_merge. r is the range that the call asks for, P the vma before "
        "it, N the one after it, X the vma whose head r is."
    )
    return Part("Attempts and cases", reading, (BarFigure(table, ("attempts",)),), explanation)


_SIDES_BY_REASON = (
    Column("new", "new", summed=True),
    Column("not_new", "not new", summed=True),
    Column("left", "left", summed=True),
    Column("right", "right", summed=True),
)


def _reasons(results: ResultTables) -> Part:
    merges = results.summary["merges"]
    found = coverage(results, "merges")
    refused = sum(merges["refused"].values())
    new = merges["refused_new"]
    never = [reason for reason in MERGE_REASONS if not merges["refused"][reason]]
    if not refused:
        return Part("Refusals by reason", "No side was refused.")
    frame = merge_refusals.refusals_by_reason(results)
    local = "the rules before it would have accepted that side in the same state"
    if new:
        verb = "is" if new == 1 else "are"
        reading = (
            f"{new:,} of {counted(refused, 'refusal')} ({share_text(new, refused)}) {verb} new with rmap "
            f"39: {local}."
        )
    else:
        reading = (
            f"None of the {counted(refused, 'refusal')} is new with rmap 39; each side failed an older test."
        )
    first = frame.sort("refusals", descending=True, maintain_order=True).row(0, named=True)
    share = share_text(first["refusals"], refused)
    reading += f" The most frequent reason is {first['reason']} ({share}): {first['meaning']}."
    columns = (
        Column("reason", "reason", "code"),
        Column("refusals", "refusals", summed=True),
        Column("share", "share", "share", summed=True),
        *(_SIDES_BY_REASON if found.is_full else ()),
        Column("meaning", "what it means", "text"),
    )
    note = (
        f"In the order of the tests. Nothing was refused for: {', '.join(never)}."
        if never
        else "In the order of the tests."
    )
    if not found.is_full:
        note += f" Sides, and which refusals are new, are told for the full table only ({found.table} is not full)."
    table = Table.from_frame("Refusals by reason", columns, frame, note=note)
    explanation = (
        "A side counts once, under the first test that it failed. New is the local measure: one side at "
        "a time, in the state of this replay. What whole runs under the older rules would have merged is "
        "another question, since each refusal changes the state that follows: --baseline answers it."
    )
    return Part(
        "Refusals by reason",
        reading,
        (BarFigure(table, ("new", "not_new") if found.is_full else ("refusals",)),),
        explanation,
    )


def _baseline(results: ResultTables) -> tuple[Part, ...]:
    """Return the comparison with the replay under the baseline's rule, or nothing where there was none."""
    summary = results.summary
    if "baseline" not in summary:
        return ()
    baseline, rule = summary["baseline"], summary["baseline"]["rule"]
    there, more = baseline["vmas"], baseline["vmas_more"]
    reading = (
        f"Local: {counted(summary['merges']['refused_new'], 'side')} refused here that the rules before rmap 39 "
        f"would have accepted in the same state. Global: replayed from the first event under {rule}, the trace "
        f"has {counted(there['peak'], 'vma')} at the peak and {format_value(there['mean'], 'mean')} on average; here "
        f"{more['peak']:+,} and {more['mean']:+,.2f}."
    )
    explanation = (
        "The local measure takes one side of one attempt at a time, in the state that this replay has reached. The "
        "global measure compares two whole replays. They differ because a refusal changes the state that later "
        "attempts meet: one refused merge can keep vmas apart through many later attempts, or cost nothing because the "
        "other side merges or the vmas are soon unmapped."
    )
    if rule != "merge_pre_rmap39":
        explanation += f" The local measure is not about {rule}: it always asks the rules before rmap 39."
    columns = (
        Column("replay", "replay", "code"),
        Column("created", "vmas created", "figure"),
        Column("live", "live at the end", "figure"),
        Column("peak", "peak", "figure"),
        Column("mean", "mean after an event", "mean"),
        Column("splits", "splits", "figure"),
        Column("attempts", "merge attempts", "figure"),
        Column("merged", "merged", "figure"),
    )
    here = summary["vmas"] | {"mean": there["mean"] + more["mean"]}
    rows = (
        _counts_row("this one", here, summary["merges"]),
        _counts_row(rule, there, baseline["merges"]),
    )
    difference = (
        f"this one less {rule}",
        here["created"] - there["created"],
        more["live"],
        more["peak"],
        more["mean"],
        here["splits"] - there["splits"],
        summary["merges"]["attempts"] - baseline["merges"]["attempts"],
        summary["merges"]["merged"] - baseline["merges"]["merged"],
    )
    table = Table(f"Vmas here and under {rule}", columns, (*rows, difference))
    return (Part(f"Compared with {rule}", reading, (table,), explanation),)


def _counts_row(name: str, vmas: dict[str, Any], merges: dict[str, Any]) -> tuple[Any, ...]:
    figures = (vmas[key] for key in ("created", "live", "peak", "mean", "splits"))
    return (name, *figures, merges["attempts"], merges["merged"])


def _neighbours_and_marks(results: ResultTables) -> Part:
    missing = merge_refusals.missing_neighbours(results)
    own = merge_refusals.own_source_attempts(results)
    attempts = results.height("merges")
    reading = (
        f"{counted(missing.both, 'attempt')} ({share_text(missing.both, attempts)}) had nothing to merge "
        "with on either side; that is not a refusal."
    )
    rows = [
        ("not_adjacent, left", missing.left, "attempts without a neighbour on the left"),
        ("not_adjacent, right", missing.right, "attempts without a neighbour on the right"),
        ("not_adjacent, both", missing.both, "attempts without a neighbour on either side"),
        ("self", own, "attempts in which the vma being moved is a neighbour of its own destination"),
    ]
    meanings = {
        "same": "pgoff_anon refusals where range and neighbour hold one and the same anon_vma",
        "null": "pgoff_anon refusals where one of the two has no anon_vma",
    }
    marks = dict(merge_refusals.pgoff_anon_marks(results).iter_rows())
    rows += [(f"pgoff_anon, {mark}", marks.get(mark, 0), meaning) for mark, meaning in meanings.items()]
    columns = (
        Column("figure", "figure", "code"),
        Column("value", "number"),
        Column("meaning", "what it counts", "text"),
    )
    return Part(
        "No neighbour, and marks", reading, (Table("Sides without a neighbour; marks", columns, tuple(rows)),)
    )


_COUNTS = (
    Column("attempts", "attempts", summed=True),
    Column("merged", "merged", summed=True),
    Column("refused", "all refused", summed=True),
    Column("no_neighbour", "no neighbour", summed=True),
    Column("refusals", "refusals", summed=True),
    Column("left", "left", summed=True),
    Column("right", "right", summed=True),
    Column("new", "new", summed=True),
)

_COUNTS_NOTE = (
    "all refused: nothing merged, and at least one side was refused. no neighbour: nothing on either side. "
    "refusals, left, right, new: sides, those of attempts that merged on the other side included."
)


def _by_operation(results: ResultTables) -> Part:
    frame = merge_refusals.attempts_by_operation(results)
    columns = (Column("operation", "operation", "code"), *_COUNTS)
    reading = "The table of merges is empty."
    if frame.height:
        most = frame.sort("refusals", descending=True, maintain_order=True).row(0, named=True)
        refusals = int(frame["refusals"].sum())
        reading = f"{counted(frame.height, 'operation')} tried to merge; none was refused anything."
        if refusals:
            reading = (
                f"{most['operation']} met the most refusals: {most['refusals']:,} of {refusals:,} "
                f"({share_text(most['refusals'], refusals)}), in {counted(most['attempts'], 'attempt')}."
            )
    table = Table.from_frame("Attempts and refusals by operation", columns, frame, note=_COUNTS_NOTE)
    return Part("By operation", reading, _bars_if_any(table, "refusals"))


def _by_process(results: ResultTables) -> Part:
    frame = merge_refusals.attempts_by_process(results)
    columns = (Column("pid", "pid", "text"), Column("comm", "process", "text"), *_COUNTS)
    reading = "The table of merges is empty."
    if frame.height:
        refused = frame.filter(frame["refusals"] > 0)
        reading = f"No refusal met any of the {counted(frame.height, 'process')} that tried to merge."
        if refused.height:
            first = refused.row(0, named=True)
            most = process_text(first["pid"], first["comm"])
            who = f"{counted(refused.height, 'process')} of {frame.height:,} met refusals"
            if 1 < refused.height == frame.height:
                who = f"All {frame.height:,} processes that tried to merge met refusals"
            reading = (
                f"{who}, {most} the most: {first['refusals']:,} "
                f"({share_text(first['refusals'], int(frame['refusals'].sum()))})."
            )
    return Part(
        "By process",
        reading,
        _bars_if_any(Table.from_frame("Attempts and refusals by process", columns, frame), "refusals"),
    )


def _ranges(results: ResultTables) -> Part:
    frame = merge_refusals.most_refused_ranges(results)
    if frame.is_empty():
        return Part("The most refused address ranges", "No range was refused.")
    first = frame.row(0, named=True)
    reading = (
        f"{counted(frame.height, 'combination')} of process, range, operation and reason; the first in "
        f"the table met {counted(first['refusals'], 'refusal')}: {first['reason']}, in "
        f"{process_text(first['pid'], first['comm'])}."
    )
    columns = (
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("start", "from", "address"),
        Column("end", "to", "address"),
        Column("pages", "pages"),
        Column("operation", "operation", "code"),
        Column("reason", "reason", "code"),
        Column("refusals", "refusals", summed=True),
        Column("left", "left", summed=True),
        Column("right", "right", summed=True),
        Column("new", "new", summed=True),
        Column("first_event", "first event"),
        Column("last_event", "last event"),
    )
    table = Table.from_frame(
        "Address ranges by refusals",
        columns,
        frame,
        note="The end of a range (to) is the first byte after it.",
    )
    return Part("The most refused address ranges", reading, (table,))


def _bars_if_any(table: Table, series: str) -> tuple[Block, ...]:
    return (BarFigure(table, (series,)),) if any(table.values(series)) else (table,)
