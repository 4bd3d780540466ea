"""What a replay found, in words: sections of short lines, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import polars as pl

from .reports.numbers import UNDEFINED, counted, format_duration, sparkline
from .reports.sections.diagnostics import diagnostic_counts
from .result_tables import ResultTables
from .tables import DETAILED_TABLES
from .trace import Loss, Trace

NOTES_SHOWN = 8
SPARKLINE_WIDTH = 28
"""Characters of a level over the trace: they fit a terminal of 50 columns."""
PLACE_WIDTH = 100
"""Characters shown of a line that could not be read."""

_WALK_MISSES = {
    "miss_rss": "mm without pages",
    "miss_range": "outside the vma",
    "miss_none": "nothing mapped there",
    "miss_swap": "swapped out there",
    "miss_other": "another page there",
}


class Section(NamedTuple):
    """One subject of the summary: its name and what there is to say about it, a line each."""

    name: str
    lines: list[str]


def summary_sections(summary: Mapping[str, Any], levels: pl.DataFrame | None = None) -> list[Section]:
    """Return the summary as sections: trace, scheme, vmas, anon_vmas, pages, merges, reclaim, locks, findings, ….

    Walks of file pages, a baseline and a validation have a section only where there was one.

    Parameters
    ----------
    summary : mapping
        As in ``summary.json``. Nothing is computed here; every figure stands in it.
    levels : polars.DataFrame, optional
        `counts_over_time` of the same replay: vmas, anon_vmas and the longest list get a sparkline.
    """
    lines = level_lines(levels)
    sections = [
        Section("trace", _trace_lines(summary["trace"], summary["unmapped_faults"])),
        Section("scheme", _scheme_lines(summary)),
        Section("vmas", _vma_lines(summary["vmas"]) + lines["vmas"]),
        Section("anon_vmas", _anon_vma_lines(summary["anon_vmas"], summary["extra"], lines)),
        Section("pages", _page_lines(summary["pages"]) + lines["anon_pages"]),
        Section("merges", _merge_lines(summary["merges"])),
        Section("reclaim", _reclaim_lines(summary["reclaim"])),
        *_file_page_sections(summary["file_reclaim"]),
        *_lock_sections(summary.get("locks", {})),
        Section("overhead", _overhead_lines(summary["overhead_bytes"])),
        Section("findings", _finding_lines(summary["findings"])),
        *_check_section(summary),
        *_detail_section(summary.get("detail", {})),
    ]
    if "validation" in summary:
        sections.append(Section("validation", _validation_lines(summary["validation"])))
    if "baseline" in summary:
        sections.append(Section("baseline", _baseline_lines(summary["baseline"])))
    return sections


def level_lines(levels: pl.DataFrame | None) -> dict[str, list[str]]:
    """Return a sparkline of each level over the trace, where it has a course at all."""
    names = ("vmas", "anon_vmas", "longest_list", "anon_pages")
    if levels is None or levels.height < 2:
        return {name: [] for name in names}
    courses = {name: sparkline(levels[name].to_list(), width=SPARKLINE_WIDTH) for name in names}
    return {name: [f"over time {course}"] if course.strip() else [] for name, course in courses.items()}


def _validation_lines(validation: Mapping[str, int]) -> list[str]:
    compared, recorded = validation["compared"], validation["snapshots"]
    lines = [f"{compared:,} of {counted(recorded, 'recorded snapshot')} compared"]
    if compared:
        pages, missing = validation["anon_pages"], validation["anon_pages_missing"]
        lines += [
            f"pages and permissions equal in {validation['pages_equal']:,} of {compared:,}",
            f"anonymous pages equal in {validation['anon_pages_equal']:,} of {compared:,}: "
            f"{counted(pages, 'page')}, {missing:,} missing, {validation['anon_pages_extra']:,} extra",
            f"vma borders equal in {validation['borders_equal']:,} of {compared:,} (they follow the scheme's merges)",
        ]
    return lines + _slab_lines(validation)


def _slab_lines(validation: Mapping[str, int]) -> list[str]:
    """Tell the counts beside those of the kernel's slab allocator, where it was recorded."""
    if "anon_vmas_prepared" not in validation:
        return []
    lines = [
        f"anon_vmas made by {site}: {validation[name]:,}, in the kernel {validation[f'{name}_recorded']:,}"
        for site, name in (
            ("__anon_vma_prepare", "anon_vmas_prepared"),
            ("anon_vma_fork", "anon_vmas_forked"),
        )
    ]
    for noun, name in (("anon_vmas", "live_anon_vmas"), ("anon_vma_chains", "live_anon_vma_chains")):
        if validation[f"{name}_marks"]:
            lines.append(
                f"as many {noun} alive as in the kernel at {validation[f'{name}_equal']:,} of "
                f"{counted(validation[f'{name}_marks'], 'mark')}"
            )
    return lines


def _baseline_lines(baseline: Mapping[str, Any]) -> list[str]:
    vmas, more, merges = baseline["vmas"], baseline["vmas_more"], baseline["merges"]
    return [
        f"under {baseline['rule']}: peak {vmas['peak']:,}, mean {vmas['mean']:,.1f}, {vmas['live']:,} at the end",
        f"here {more['peak']:+,} at the peak, {more['mean']:+,.1f} in the mean, {more['live']:+,} at the end",
        f"{merges['merged']:,} of {merges['attempts']:,} merges succeeded there",
        "This compares whole replays; “new with rmap 39” above counts single refusals. They differ: a refusal "
        "changes what later attempts meet",
    ]


def _check_section(summary: Mapping[str, Any]) -> list[Section]:
    """Return what checks of the replay found as one section, none where nothing was checked."""
    if not summary["checked_events"]:
        return []
    found = counted(summary["violations"], "violation") if summary["violations"] else "no violation"
    return [Section("check", [f"{found}, checked after {counted(summary['checked_events'], 'event')}"])]


def _detail_section(detail: Mapping[str, Any]) -> list[Section]:
    """Tell which tables do not hold all rows, if any."""
    lines = []
    for name in DETAILED_TABLES:
        table = detail.get(name, {"rows": 0, "kept": 0})
        if table["kept"] < table["rows"]:
            share = f", one in {table['every']:,}" if table["every"] else ""
            lines.append(
                f"{name}: {table['kept']:,} of {counted(table['rows'], 'row')}{share}; totals are exact"
            )
    return [Section("detail", lines)] if lines else []


def diagnostics_section(results: ResultTables) -> Section:
    """Return the diagnostics of a replay by kind, the gravest and most frequent first."""
    kinds = diagnostic_counts(results).rows(named=True)
    notes = [
        f"{kind['severity']} {kind['code']}{_at_event(kind)}: {kind['message']}"
        + (f" (and {kind['times'] - 1:,} more)" if kind["times"] > 1 else "")
        for kind in kinds[:NOTES_SHOWN]
    ]
    if len(kinds) > NOTES_SHOWN:
        notes.append(f"and {counted(len(kinds) - NOTES_SHOWN, 'kind')} more in the table `diagnostics`")
    return Section("notes", notes or ["none"])


def _at_event(kind: Mapping[str, Any]) -> str:
    known = kind["severity"] == "finding" and kind["event"] is not None
    return f" at event {kind['event']:,}" if known else ""


def loss_warnings(trace: Trace) -> list[str]:
    """Return what of the input is missing from the result, a message for each kind of loss."""
    warnings = []
    if lost := trace.metadata.lost_events:
        what = f"{counted(lost, 'event')} lost by the recorder, what they did is missing"
        warnings.append(f"warning: {trace.path}: {what}\nhint: record again with a larger buffer")
    for loss in trace.losses:
        first, *places = loss_lines(loss)
        warnings.append("\n".join([f"warning: {trace.path}: {first}", *places]))
    return warnings


def summary_html(
    summary: Mapping[str, Any], rows_by_table: Mapping[str, int], levels: pl.DataFrame | None = None
) -> str:
    """Return the summary as an HTML fragment for a notebook, with the result tables and their lengths."""
    rows = [
        (section.name, "<br>".join(escape(line) for line in section.lines))
        for section in summary_sections(summary, levels)
    ]
    tables = ", ".join(f"<code>{escape(name)}</code> {n_rows:,}" for name, n_rows in rows_by_table.items())
    rows.append(("tables", f"{tables} rows"))
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top">{escape(name)}</th>'
        f'<td style="text-align:left">{text}</td></tr>'
        for name, text in rows
    )
    return f"<table>{cells}</table>"


def _trace_lines(trace: Mapping[str, Any], unmapped_faults: int) -> list[str]:
    lines = [
        f"{trace['path']} ({trace['format']})",
        f"{counted(trace['events'], 'event')}{_duration(trace['format'], trace['span_ns'])}, "
        f"{counted(trace['processes'], 'process')}",
    ]
    tainted = trace.get("tainted_processes")  # not in results that an older version saved
    if trace["lost_events"] or tainted:
        how_many = (
            counted(trace["lost_events"], "event") if trace["lost_events"] else "an unknown number of events"
        )
        lines.append(f"{how_many} lost by the recorder")
    if tainted:
        lines.append(
            f"this may concern {tainted:,} of {counted(trace['processes'], 'process')}: their counts are too low, "
            "their vmas and lists may be wrong"
        )
    if trace["unreadable_lines"]:
        lines.append(f"{counted(trace['unreadable_lines'], 'line')} could not be read")
    if unmapped_faults:
        lines.append(f"{counted(unmapped_faults, 'fault')} outside every known vma")
    return lines


def _duration(format: str, span_ns: int) -> str:
    return "" if format == "scenario" else f" in {format_duration(span_ns)}"  # its clock only counts events


def _scheme_lines(summary: Mapping[str, Any]) -> list[str]:
    parts = [summary["scheme"]]
    if summary["rules"]:
        parts.append("rules " + " ".join(summary["rules"]))
    if summary["options"]:
        parts.append("options " + " ".join(f"{name}={value}" for name, value in summary["options"].items()))
    return [", ".join(parts)]


def _vma_lines(vmas: Mapping[str, int]) -> list[str]:
    return [
        f"{vmas['created']:,} created, {counted(vmas['splits'], 'split')}, "
        f"peak {vmas['peak']:,}, {vmas['live']:,} at the end"
    ]


def _anon_vma_lines(
    anon_vmas: Mapping[str, int], extra: Mapping[str, Any], levels: Mapping[str, list[str]]
) -> list[str]:
    lines = [
        f"{anon_vmas['allocated']:,} allocated, {anon_vmas['freed']:,} freed, "
        f"peak {anon_vmas['peak']:,}, {anon_vmas['live']:,} at the end",
        *levels["anon_vmas"],
        f"longest list {counted(anon_vmas['longest_list'], 'vma')}",
        *levels["longest_list"],
    ]
    if extra.get("anon_vmas_never_used"):
        lines.append(f"{extra['anon_vmas_never_used']:,} freed without ever having had a page")
    return lines


def _page_lines(pages: Mapping[str, int]) -> list[str]:
    lines = [
        f"{pages['allocated']:,} allocated, {pages['freed']:,} freed, "
        f"peak {pages['peak']:,}, {pages['live']:,} at the end",
        f"{pages['cow_copies']:,} copied on write, {pages['cow_reuses']:,} written in place",
    ]
    if pages["swapped_out"] or pages["swapped_in"]:
        lines.append(f"{pages['swapped_out']:,} swapped out, {pages['swapped_in']:,} read back")
    return lines


def _merge_lines(merges: Mapping[str, Any]) -> list[str]:
    cases = ", ".join(f"case {case}: {n:,}" for case, n in merges["by_case"].items() if n)
    lines = [
        f"{counted(merges['attempts'], 'attempt')}, {merges['merged']:,} merged"
        + (f" ({cases})" if cases else "")
    ]
    refused = sorted(((n, reason) for reason, n in merges["refused"].items() if n), reverse=True)
    if refused:
        lines.append("refused: " + ", ".join(f"{reason} {n:,}" for n, reason in refused))
    else:
        lines.append("none refused")
    lines.append(f"new with rmap 39: {merges['refused_new']:,}")
    return lines


def _reclaim_lines(reclaim: Mapping[str, Any]) -> list[str]:
    if not reclaim["walks"]:
        return ["no walk: no event looks at a page for reclaim"]
    return _walk_lines(reclaim)


def _walk_lines(reclaim: Mapping[str, Any]) -> list[str]:
    visited = reclaim["visited_per_walk"]
    lines = [
        f"{counted(reclaim['walks'], 'walk')} visited {counted(reclaim['vmas_visited'], 'vma')}, "
        f"{counted(reclaim['hits'], 'hit')}",
        f"per walk: mean {visited['mean']:,.2f}, median {visited['p50']:,}, "
        f"95 % {visited['p95']:,}, 99 % {visited['p99']:,}, maximum {visited['max']:,}",
    ]
    misses = [f"{text} {reclaim[key]:,}" for key, text in _WALK_MISSES.items() if reclaim[key]]
    lines.append("misses: " + ", ".join(misses) if misses else "no miss")
    lines.append(
        f"{counted(reclaim['unmapped'], 'page')} unmapped, {reclaim['activated']:,} kept as referenced"
    )
    return lines


def _file_page_sections(reclaim: Mapping[str, Any]) -> list[Section]:
    if not reclaim["walks"]:
        return []
    return [
        Section(
            "file pages", [f"{counted(reclaim['pages'], 'look')} at pages of files", *_walk_lines(reclaim)]
        )
    ]


def _lock_sections(locks: Mapping[str, Any]) -> list[Section]:
    """Tell each lock by operation; operations that never took it are left out."""
    if not locks:
        return []
    i_mmap = _by_operation({name: [taken["after"]["i_mmap_lock"]] for name, taken in locks.items()})
    page_table = _by_operation(
        {
            name: [taken[when]["page_table_lock"] for when in ("before", "after")]
            for name, taken in locks.items()
        }
    )
    anon_vma = _by_operation({name: [taken["after"]["anon_vma_lock"]] for name, taken in locks.items()})
    return [
        Section(
            "locks",
            [
                f"page_table_lock, before the patch → with it: {page_table}",
                f"anon_vma->lock, with the patch only: {anon_vma}",
                f"i_mmap_lock, with the patch as before it: {i_mmap}",
            ],
        )
    ]


def _by_operation(counts: Mapping[str, list[int | None]]) -> str:
    texts = [
        f"{name} " + " → ".join(UNDEFINED if number is None else f"{number:,}" for number in numbers)
        for name, numbers in counts.items()
        if any(numbers)
    ]
    return ", ".join(texts) or "none"


def _overhead_lines(overhead: Mapping[str, int | None]) -> list[str]:
    peaks = [f"{UNDEFINED if n is None else f'{n:,} bytes'} on {machine}" for machine, n in overhead.items()]
    return ["at the peak " + ", ".join(peaks)]


def _finding_lines(findings: Mapping[str, int | None]) -> list[str]:
    lines = [f"{name.replace('_', ' ')}: {UNDEFINED}" for name, number in findings.items() if number is None]
    if findings["unreachable_pages"]:
        lines.append(f"{counted(findings['unreachable_pages'], 'page')} that no walk reaches")
    if findings["dangling_pages"]:
        lines.append(f"{counted(findings['dangling_pages'], 'page')} whose anon_vma is freed")
    if findings["bugs"]:
        lines.append(f"{counted(findings['bugs'], 'event')} at which the kernel would have stopped (BUG)")
    return lines or ["none"]


def loss_lines(loss: Loss) -> list[str]:
    """Return one kind of unreadable lines: how many, why, and where the first few are."""
    lines = [f"{counted(loss.count, 'line')} could not be read: {loss.reason} ({loss.code})"]
    for line, column, text in loss.places:
        place = f"line {line}" + (f", column {column}" if column else "")
        lines.append(f"  {place}: {text.strip()[:PLACE_WIDTH]}")
    return lines


def count_list(counts: Mapping[str, int]) -> str:
    """Return counts by name as running text: ``mmap 2, exit 1``."""
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())
