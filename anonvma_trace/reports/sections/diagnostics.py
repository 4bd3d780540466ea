"""The closing section: findings, diagnostics and the rest of the summary."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ...result_tables import ResultTables
from ..document import Column, Part, Section, Table
from ..numbers import UNDEFINED, counted, counted_figure
from ..shares import row_count

_INTRODUCTION = (
    "What the replay met beside the subjects above. A finding is a state that the scheme itself "
    "allows and that loses pages; a violation is a defect of this tool."
)
_VALUE = (
    Column("figure", "figure", "code"),
    Column("value", "number", "figure"),
    Column("meaning", "what it counts", "text"),
)

_FINDINGS = (
    ("unreachable_pages", "pages at the end that their own walk cannot find"),
    ("dangling_pages", "of these, pages whose anon_vma was freed"),
    ("bugs", "events at which the kernel would have stopped at a BUG; each was undone"),
)
_TOTALS: tuple[tuple[str, str, str], ...] = (
    ("vmas", "created", "vmas that entered an mm"),
    ("vmas", "live", "vmas at the end"),
    ("vmas", "peak", "most vmas at once"),
    ("vmas", "splits", "calls of split_vma"),
    ("pages", "allocated", "anonymous pages allocated"),
    ("pages", "freed", "anonymous pages freed"),
    ("pages", "live", "anonymous pages at the end"),
    ("pages", "peak", "most anonymous pages at once"),
    ("pages", "cow_copies", "pages copied at a write fault"),
    ("pages", "cow_reuses", "write faults that found no other user and reused the page"),
    ("pages", "swapped_out", "pages written to swap"),
    ("pages", "swapped_in", "pages read from swap"),
)
_EXTRA_MEANINGS = {
    "anon_vmas_never_used": "anon_vmas freed without ever having had a page",
    "mremap_efault_span": "mremap calls over several vmas that the patch would refuse with EFAULT",
    "span_forced": "mremap calls over several vmas that were applied piece by piece, as recorded",
    "lossy_merges": "merges that gave a range with an anon_vma to a vma without one (defects D1, D2)",
    "lossy_moves": "of these, by an mremap (D2)",
    "ptes_lost": "ptes of anonymous pages that no walk could find after such a merge, unless it was undone",
    "zero_copies": "write faults on the zero page",
    "early_copies": "private file pages copied at the first write",
    "invented_vmas": "vmas invented for faults of processes whose mappings were never recorded",
    "segv": "faults that the protection of their vma forbids",
}


def diagnostics_section(results: ResultTables) -> Section:
    """Return the closing section."""
    parts = (_findings(results), _diagnostics(results), _totals(results))
    return Section("Findings and diagnostics", "diagnostics", _INTRODUCTION, parts)


def diagnostic_counts(results: ResultTables) -> pl.DataFrame:
    """Group the diagnostics by severity and code.

    Returns
    -------
    polars.DataFrame
        ``severity``, ``code``, ``times``, ``event``, ``line`` and ``message`` (of the first of them);
        errors first, then warnings, findings and the rest, each by number of times.
    """
    order = pl.col("severity").replace_strict(
        {"error": 0, "warning": 1, "finding": 2}, default=3, return_dtype=pl.Int64
    )
    return (
        results.lazy("diagnostics")
        .with_columns(pl.col("severity", "code").cast(pl.String))
        .group_by("severity", "code", maintain_order=True)
        .agg(row_count().alias("times"), pl.col("event", "line", "message").first())
        .sort([order, "times", "severity", "code"], descending=[False, True, False, False])
        .select("severity", "code", "times", "event", "line", "message")
        .collect()
    )


def findings_by_event(results: ResultTables) -> pl.DataFrame:
    """Return the findings among the diagnostics, in order of time.

    Returns
    -------
    polars.DataFrame
        ``event``, ``line``, ``code``, ``message``; one row for each finding. `event` is the one that led to it.
    """
    return (
        results.lazy("diagnostics")
        .with_columns(pl.col("severity", "code").cast(pl.String))
        .filter(pl.col("severity") == "finding")
        .select("event", "line", "code", "message")
        .sort("event", nulls_last=True, maintain_order=True)
        .collect()
    )


def _findings(results: ResultTables) -> Part:
    summary = results.summary
    findings = summary["findings"]
    each = findings_by_event(results)
    rows = [(name, findings[name], meaning) for name, meaning in _FINDINGS]
    rows += [
        ("violations", summary["violations"], "broken invariants found by --check: defects of this tool"),
        ("checked_events", summary["checked_events"], "events after which the invariants were checked"),
        ("unmapped_faults", summary["unmapped_faults"], "faults at addresses that no known vma covers"),
    ]
    blocks = [Table("Findings in figures", _VALUE, tuple(rows))]
    if each.height:
        columns = (
            Column("event", "event"),
            Column("line", "line"),
            Column("code", "code", "code"),
            Column("message", "message", "text"),
        )
        blocks.append(Table.from_frame("Findings by event", columns, each))
    explanation = (
        "A page that the scheme lost is told at the walk that missed it; with --check also after the event that "
        "lost it. A BUG is told at its event, which was undone."
    )
    return Part("Findings", _findings_reading(findings, each.height), tuple(blocks), explanation)


def _findings_reading(findings: Mapping[str, int | None], told: int) -> str:
    unreachable, dangling, bugs = (findings[name] for name, _ in _FINDINGS)
    if not (unreachable is None or dangling is None) and not any(findings.values()):
        reading = "No page is lost at the end, and no event met a BUG."
        return (
            f"{reading} On the way there {'was' if told == 1 else 'were'} {counted(told, 'finding')}."
            if told
            else reading
        )
    if unreachable is None or dangling is None:
        lost = (
            f"How many pages were lost is {UNDEFINED} here: these rules give the layout of vmas only, and the "
            "lists of the anon_vmas mean nothing under them"
        )
    else:
        lost = (
            f"At the end no walk can find {counted(unreachable, 'page')}, of which {dangling:,} dangling (the "
            "anon_vma was freed)"
        )
    reading = f"{lost}; {counted_figure(bugs, 'event')} met a BUG."
    if unreachable and not told:
        reading += " No walk met them, so no event is named: --check names it."
    return reading


def _diagnostics(results: ResultTables) -> Part:
    frame = diagnostic_counts(results)
    if frame.is_empty():
        return Part("Diagnostics", "The replay had nothing to remark.")
    columns = (
        Column("severity", "severity", "code"),
        Column("code", "code", "code"),
        Column("times", "times", summed=True),
        Column("event", "first event"),
        Column("line", "first line"),
        Column("message", "first message", "text"),
    )
    remarks = counted(int(frame["times"].sum()), "remark")
    table = Table.from_frame("Diagnostics by code", columns, frame)
    return Part("Diagnostics", f"{remarks} of {counted(frame.height, 'kind')}.", (table,))


def _totals(results: ResultTables) -> Part:
    summary = results.summary
    rows = [(f"{group}.{name}", summary[group][name], meaning) for group, name, meaning in _TOTALS]
    rows += [
        (f"extra.{name}", value, _EXTRA_MEANINGS.get(name, ""))
        for name, value in summary["extra"].items()
        if isinstance(value, int)
    ]
    reading = (
        f"{counted(summary['vmas']['created'], 'vma')} came into being, at most "
        f"{summary['vmas']['peak']:,} at once; {counted(summary['pages']['allocated'], 'anonymous page')} "
        f"allocated, {summary['pages']['cow_copies']:,} by copy-on-write."
    )
    return Part("Vmas and pages", reading, (Table("Vmas and pages in figures", _VALUE, tuple(rows)),))
