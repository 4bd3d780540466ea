"""What stands at the top of a report: facts, notices, key figures and findings."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import polars as pl

from ...result_tables import ResultTables
from ...tables import DETAILED_TABLES
from .. import reclaim_cost
from ..coverage import Coverage, coverage
from ..document import KeyFigure, Notice
from ..numbers import counted, format_duration, format_value, plural, ratio, share_text
from ..process_names import process_text
from .diagnostics import diagnostic_counts, findings_by_event

WARNINGS_SHOWN = 3
TAINTED_SHOWN = 3
UNMAPPED_SHARE = (
    0.01  # more faults than this outside every vma, and the image of a process is probably missing
)


def default_title(results: ResultTables) -> str:
    """Return the title of a report that was not given one."""
    path = results.summary["trace"]["path"]
    return f"Replay of {PurePath(path).name}" if path and path != "-" else "Replay of a trace"


def facts(results: ResultTables) -> tuple[tuple[str, str], ...]:
    """Return where the numbers come from, as label and text."""
    summary = results.summary
    trace = summary["trace"]
    rows = [
        ("Trace", trace["path"] or "unnamed"),
        ("Format", trace["format"] or "unknown"),
        ("Events", f"{trace['events']:,}"),
        ("Processes", f"{trace['processes']:,}"),
    ]
    if trace["format"] != "scenario":  # whose clock only counts events
        rows.append(("Time span", format_duration(trace["span_ns"])))
    rows.append(("Scheme", summary["scheme"]))
    if summary["rules"]:
        rows.append(("Rules", ", ".join(summary["rules"])))
    if summary["options"]:
        rows.append(
            ("Options", ", ".join(f"{name}={_option(value)}" for name, value in summary["options"].items()))
        )
    return tuple(rows)


def _option(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def notices(results: ResultTables) -> tuple[Notice, ...]:
    """Return what makes the numbers less than certain, the gravest first."""
    return (
        *_violations(results),
        *_losses(results),
        *_unmapped(results),
        *_warnings(results),
        *_disagreements(results),
    )


def _violations(results: ResultTables) -> list[Notice]:
    violations = results.summary["violations"]
    if not violations:
        return []
    return [
        Notice(
            f"{counted(violations, 'invariant')} of the replay found broken.",
            "That is a defect of this tool, not of the trace: no number here can be relied on.",
        )
    ]


def _losses(results: ResultTables) -> list[Notice]:
    trace = results.summary["trace"]
    found = []
    if trace["lost_events"] or trace.get("tainted_processes"):
        how_many = (
            counted(trace["lost_events"], "event")
            if trace["lost_events"]
            else "events, it does not say how many"
        )
        found.append(
            Notice(
                f"The recorder lost {how_many}.",
                "What they did is missing: mappings, forks and faults may be absent, and what they "
                "removed may still stand. Counts of faults, merges and walks are too low; list lengths "
                f"and the vmas alive may be wrong either way. {_concerned(results)} "
                "A larger trace buffer avoids it.",
            )
        )
    if trace["unreadable_lines"]:
        lines = trace["unreadable_lines"]
        found.append(
            Notice(
                f"{counted(lines, 'line')} of the trace could not be read.",
                f"{'That line was' if lines == 1 else 'Those lines were'} left out of the replay, with "
                "the same effect as a lost event. `anonvma-trace inspect` lists them.",
            )
        )
    return found


def _concerned(results: ResultTables) -> str:
    """Say which processes the losses may concern."""
    trace = results.summary["trace"]
    if not trace.get("tainted_processes"):
        return "No process that the trace shows lived then."
    frame = (
        results.frame("processes")
        .filter(pl.col("tainted"))
        .sort("faults", descending=True, maintain_order=True)
    )
    rows = frame.head(TAINTED_SHOWN).iter_rows(named=True)
    names = ", ".join(process_text(row["pid"], row["comm"]) for row in rows)
    if frame.height > TAINTED_SHOWN:
        names += ", …"
    return (
        f"This may concern {trace['tainted_processes']:,} of {counted(trace['processes'], 'process')}"
        f"{f' ({names})' if names else ''}: those that lived then, and what was forked from them before an exec "
        "(`tainted` in the table `processes`). The others are as recorded."
    )


def _unmapped(results: ResultTables) -> list[Notice]:
    unmapped = results.summary["unmapped_faults"]
    faults = int(results.frame("processes")["faults"].sum())
    if not unmapped or unmapped <= UNMAPPED_SHARE * faults:
        return []
    return [
        Notice(
            f"{counted(unmapped, 'fault')} of {faults:,} ({share_text(unmapped, faults)}) met no known vma.",
            "Their pages are missing or stand in invented vmas. Give the processes' address spaces with "
            "--maps, or record from their start.",
        )
    ]


def _warnings(results: ResultTables) -> list[Notice]:
    frame = diagnostic_counts(results).filter(pl.col("severity").is_in(["error", "warning"]))
    found = [
        Notice(f"{row['code']}, {counted(row['times'], 'time')}.", row["message"] or "")
        for row in frame.head(WARNINGS_SHOWN).iter_rows(named=True)
    ]
    hidden = frame.tail(frame.height - len(found))
    if hidden.height:
        found.append(
            Notice(
                f"{counted(hidden.height, 'further kind')} of warning, "
                f"{counted(int(hidden['times'].sum()), 'time')} in all.",
                "They stand under Diagnostics.",
            )
        )
    return found


def _disagreements(results: ResultTables) -> list[Notice]:
    """Compare the totals of tables that hold all rows with the summary, which the core counts on its own."""
    summary = results.summary
    found = [
        _partial(coverage(results, name)) for name in DETAILED_TABLES if not coverage(results, name).is_full
    ]
    pairs = (
        ("walks", "walks", results.height("walks"), summary["reclaim"]["walks"]),
        ("walks", "vmas visited", _visits(results, "walks"), summary["reclaim"]["vmas_visited"]),
        ("file_walks", "walks of file pages", results.height("file_walks"), summary["file_reclaim"]["walks"]),
        (
            "file_walks",
            "vmas visited for file pages",
            _visits(results, "file_walks"),
            summary["file_reclaim"]["vmas_visited"],
        ),
        ("anon_vmas", "anon_vmas", results.height("anon_vmas"), summary["anon_vmas"]["allocated"]),
        ("merges", "merge attempts", results.height("merges"), summary["merges"]["attempts"]),
    )
    return found + [
        Notice(
            f"The result tables hold {in_table:,} {what}, the summary counts {in_summary:,}.",
            "Totals are those of the summary; breakdowns and shares are those of the table and cover "
            "only what it holds.",
        )
        for table, what, in_table, in_summary in pairs
        if in_table != in_summary and coverage(results, table).is_full
    ]


def _visits(results: ResultTables, table: str) -> int:
    return int(results.lazy(table).select(pl.col("vmas_visited").sum()).collect().item())


def _partial(found: Coverage) -> Notice:
    """Return what to say of a table that does not hold all rows."""
    how_much = (
        "left out"
        if found.is_left_out
        else f"a sample: {found.kept:,} of {found.rows:,} rows, one in {found.every:,}"
    )
    return Notice(
        f"The table {found.table} is {how_much}.",
        "Totals are those of the summary and exact; what is read from the table says so.",
    )


def key_figures(results: ResultTables) -> tuple[KeyFigure, ...]:
    """Return the figures that the report opens with."""
    summary = results.summary
    reclaim, anon_vmas, merges = summary["reclaim"], summary["anon_vmas"], summary["merges"]
    refused = sum(merges["refused"].values())
    per_walk = reclaim["visited_per_walk"]
    return (
        KeyFigure(
            "vmas visited per walk",
            per_walk["mean"] if reclaim["walks"] else None,
            "mean",
            f"{counted(reclaim['walks'], 'walk')}, at most {per_walk['max']:,}"
            if reclaim["walks"]
            else "no page was walked",
        ),
        KeyFigure(
            "anon_vmas at peak", anon_vmas["peak"], "count", f"{anon_vmas['allocated']:,} allocated in all"
        ),
        KeyFigure(
            "vmas on the longest list",
            anon_vmas["longest_list"],
            "count",
            f"{summary['vmas']['peak']:,} vmas at peak",
        ),
        KeyFigure(
            "merge refusals",
            refused,
            "count",
            f"{merges['refused_new']:,} new with rmap 39; {merges['merged']:,} merged",
        ),
    )


def findings(results: ResultTables) -> tuple[str, ...]:
    """Return what matters most, one sentence each; never none."""
    sentences = (
        _cost_finding(results),
        _dearest_finding(results),
        _anon_vma_finding(results),
        _merge_finding(results),
        _baseline_finding(results),
        _validation_finding(results),
    )
    found = [*(sentence for sentence in sentences if sentence), *_lost_pages(results)]
    return tuple(found) or (
        "The trace held nothing to replay: no mapping was written to, merged or reclaimed.",
    )


def _cost_finding(results: ResultTables) -> str:
    reclaim = results.summary["reclaim"]
    if not reclaim["walks"]:
        return ""
    per_walk = reclaim["visited_per_walk"]
    mean = format_value(per_walk["mean"], "mean")
    sentence = f"An rmap walk visited {mean} vmas on average and {per_walk['max']:,} at most"
    per_hit = ratio(reclaim["vmas_visited"], reclaim["hits"])
    if per_hit is not None:
        sentence += f"; for each pte it found, it visited {format_value(per_hit, 'mean')}"
    return sentence + "."


def _dearest_finding(results: ResultTables) -> str:
    frame = reclaim_cost.dearest_anon_vmas(results)
    if frame.is_empty() or not frame["share"][0]:
        return ""
    first = frame.row(0, named=True)
    return (
        f"{format_value(first['share'], 'share')} of all visits were on the list of one anon_vma (number "
        f"{first['anon_vma']:,}, allocated by {process_text(first['pid'], first['comm'])}; "
        f"{counted(first['peak_vmas'], 'vma')} at its longest)."
    )


def _anon_vma_finding(results: ResultTables) -> str:
    counts = results.summary["anon_vmas"]
    if not counts["allocated"]:
        return ""
    never_used = results.summary["extra"].get("anon_vmas_never_used", 0)
    sentence = (
        f"{counted(counts['allocated'], 'anon_vma')} {'was' if counts['allocated'] == 1 else 'were'} "
        f"allocated, at most {counts['peak']:,} at once"
    )
    if never_used:
        sentence += f"; {never_used:,} ({share_text(never_used, counts['allocated'])}) never had a page"
    return sentence + "."


def _merge_finding(results: ResultTables) -> str:
    merges = results.summary["merges"]
    if not merges["attempts"]:
        return ""
    refused = sum(merges["refused"].values())
    sentence = f"{merges['merged']:,} of {counted(merges['attempts'], 'attempt')} to merge succeeded"
    if not refused:
        return sentence + "; no side was refused."
    reason = max(merges["refused"], key=lambda name: merges["refused"][name])
    new = merges["refused_new"]
    how_many = f"{new:,} of these refusals ({share_text(new, refused)})" if new else "none of these refusals"
    return (
        f"{sentence}; {counted(refused, 'side')} {'was' if refused == 1 else 'were'} refused, most often for "
        f"{reason}, and {how_many} {'are' if new > 1 else 'is'} new with rmap 39."
    )


def _baseline_finding(results: ResultTables) -> str:
    baseline = results.summary.get("baseline")
    if not baseline:
        return ""
    more = baseline["vmas_more"]
    return (
        f"Replayed as a whole under {baseline['rule']}, the trace has "
        f"{counted(baseline['vmas']['peak'], 'vma')} at the peak; here {more['peak']:+,}, "
        f"and {more['mean']:+,.2f} on average."
    )


def _validation_finding(results: ResultTables) -> str:
    validation = results.summary.get("validation")
    compared = validation.get("compared", validation["snapshots"]) if validation else 0
    if not validation or not compared:
        return ""
    return (
        f"Of {counted(compared, 'recorded snapshot')} compared, {validation['pages_equal']:,} have the same pages and "
        f"permissions and {validation['anon_pages_equal']:,} exactly the same anonymous pages."
    )


def _lost_pages(results: ResultTables) -> list[str]:
    found = results.summary["findings"]
    names = (("unreachable_pages", "unreachable page"), ("dangling_pages", "dangling page"), ("bugs", "BUG"))
    named = [
        f"{found[key]:,} {name if found[key] == 1 else plural(name)}" for key, name in names if found[key]
    ]
    if not named:
        return []
    events = findings_by_event(results)["event"].drop_nulls()
    first = f"; the first finding is of event {events[0]:,}" if len(events) else ""
    return [f"The scheme's known defects were met: {', '.join(named)}{first}."]
