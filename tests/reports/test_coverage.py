"""Reports of tables that hold a sample, or nothing: no figure of them is passed off as exact."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from anonvma_trace.reports import build_report, render_html, render_markdown
from anonvma_trace.reports.coverage import coverage
from anonvma_trace.reports.document import Part, Report
from anonvma_trace.result_tables import ResultTables
from anonvma_trace.tables import DETAILED_TABLES, TABLES

from .hand_made import hand_made_results, hand_made_summary

FROM_WALKS = {"Outcomes", "Cost over the trace", "The dearest processes"}
FROM_FILE_WALKS = {"Outcomes of walks of file pages", "The dearest files"}
FROM_MERGES = {"No neighbour, and marks", "By operation", "By process", "The most refused address ranges"}


def results(setting: str) -> ResultTables:
    """Return the hand-made results as `--detail` would leave them: every second row, or none."""
    whole = hand_made_results()
    every = {"sampled": 2, "none": None}[setting]
    tables = {name: whole.to_arrow(name) for name in TABLES}
    told: dict[str, Any] = {"setting": setting}
    for name in DETAILED_TABLES:
        table = tables[name]
        kept = list(range(0, table.num_rows, every)) if every else []
        tables[name] = table.take(pa.array(kept, pa.int64()))
        told[name] = {"rows": table.num_rows, "kept": len(kept), "every": every}
    return ResultTables(hand_made_summary() | {"detail": told}, tables)


def parts(report: Report) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for section in report.sections:
        for part in section.parts:
            found.setdefault(
                part.heading, part
            )  # the section on locks has a heading of the one on merges too
    return found


def titles(part: Part) -> list[str]:
    return [getattr(block, "table", block).title for block in part.blocks]


def test_every_table_of_a_sample_says_so():
    report = parts(build_report(results("sampled")))
    for heading in FROM_WALKS | FROM_FILE_WALKS | FROM_MERGES:
        assert "From a sample: " in report[heading].reading, heading
        assert titles(report[heading]), heading
        assert all(title.endswith("(sample of 1 in 2)") for title in titles(report[heading])), heading
    assert titles(report["Vmas visited per walk"]) == [
        "Walks by vmas visited (sample of 1 in 2)",
        "Vmas visited per walk, in figures",  # of the core's histogram: all walks
    ]
    assert titles(report["Vmas visited per walk of a file page"]) == [
        "Walks of file pages by vmas visited (sample of 1 in 2)"
    ]
    assert "Walks by the length of the list (sample of 1 in 2)" in titles(report["List lengths"])


def test_what_the_summary_tells_is_the_same_whatever_the_tables_hold():
    whole = parts(build_report(hand_made_results()))
    for setting in ("sampled", "none"):
        partial = parts(build_report(results(setting)))
        for heading in (
            "What the visits came to",
            "What the visits to file pages came to",
            "Attempts and cases",
        ):
            assert partial[heading] == whole[heading]
        refused = {row[0]: row[1] for row in partial["Refusals by reason"].blocks[0].table.rows}
        assert refused == {row[0]: row[1] for row in whole["Refusals by reason"].blocks[0].table.rows}
        columns = {column.name for column in partial["Refusals by reason"].blocks[0].table.columns}
        assert columns == {"reason", "refusals", "share", "meaning"}


def test_parts_of_a_table_that_was_left_out_have_no_figures():
    report = parts(build_report(results("none")))
    for heading in FROM_WALKS | FROM_FILE_WALKS | FROM_MERGES:
        assert "left out (--detail none)" in report[heading].reading
        assert report[heading].blocks == ()
    assert titles(report["Vmas visited per walk"]) == ["Vmas visited per walk, in figures"]
    assert titles(report["List lengths"]) == ["anon_vmas by the longest their list was"]


@pytest.mark.parametrize("setting", ["sampled", "none"])
@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_notice_names_each_table_that_is_not_whole(setting: str, render):
    text = render(build_report(results(setting)))
    for name in DETAILED_TABLES:
        found = coverage(results(setting), name)
        if not found.is_full:
            assert f"The table {name} is {'a sample' if setting == 'sampled' else 'left out'}" in text
    assert "The result tables hold" not in text  # they are smaller than the summary's totals by intent


def test_results_without_the_key_are_taken_as_whole():
    summary = hand_made_summary()
    del summary["detail"]
    older = ResultTables(summary, {name: hand_made_results().to_arrow(name) for name in TABLES})
    assert coverage(older, "walks").is_full
    when = build_report(older)
    now = build_report(hand_made_results(), generated_at=when.generated_at)
    assert dataclasses.replace(now) == when


def test_the_fork_family_and_the_address_space_say_what_they_are_of():
    sampled, none = (parts(build_report(results(setting))) for setting in ("sampled", "none"))
    family, left_out = sampled["Who shares anon_vmas with whom"], none["Who shares anon_vmas with whom"]
    assert "From a sample: " in family.reading
    assert titles(family)[0].endswith("(sample of 1 in 2)")
    assert "The table walks was left out" in left_out.reading
    assert "Visits of processes were not kept" in left_out.explanation
    vmas = next(part for heading, part in sampled.items() if heading.startswith("Vmas of "))
    assert "From a sample: " in vmas.reading
    assert titles(vmas)[0].endswith("(sample of 1 in 2)")
    assert "The table vma_spans was left out" in none["No vma"].reading
