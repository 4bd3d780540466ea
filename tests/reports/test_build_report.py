"""Building and writing a report."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from anonvma_trace.errors import OutputError, UsageError
from anonvma_trace.reports import build_report, render_html, render_markdown, write_report
from anonvma_trace.reports.numbers import format_value
from anonvma_trace.tables import empty_summary

from .hand_made import PROCESSES, WALKS, empty_results, hand_made_results, hand_made_summary
from .written_tables import without_vega

MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def leaves(summary: dict) -> list[tuple[str, int]]:
    """Return every integer of a summary with its place."""
    found = []
    for name, value in summary.items():
        if isinstance(value, dict):
            found += [(f"{name}.{inner}", number) for inner, number in leaves(value)]
        elif isinstance(value, int):
            found.append((name, value))
    return found


def test_the_clock_and_the_version_are_arguments():
    reports = [build_report(hand_made_results(), generated_at=MOMENT, tool_version="9.9.9") for _ in range(2)]
    for render in (render_html, render_markdown):
        first, second = map(render, reports)
        assert first == second
        assert "2026-01-02 03:04 UTC" in first
        assert "9.9.9" in first


def test_the_same_results_give_the_same_report_every_time():
    """Groups come out of Polars in any order, so every ranking must break its ties."""
    texts = {
        render_markdown(build_report(hand_made_results(), generated_at=MOMENT, tool_version=""))
        for _ in range(8)
    }
    assert len(texts) == 1


def test_the_title_names_the_trace_unless_one_is_given():
    assert build_report(hand_made_results()).title == "Replay of server.ftrace"
    assert build_report(hand_made_results(), title="Mine").title == "Mine"
    assert build_report(empty_results()).title == "Replay of a trace"


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_every_figure_of_the_summary_stands_in_the_report(render):
    """Each integer is replaced by a number found nowhere else, which must then stand in the report."""
    summary = hand_made_summary()
    unseen = {"schema", "trace.span_ns"}  # the span stands in words
    for number, (place, _) in enumerate(leaves(summary)):
        *groups, last = place.split(".")
        group = summary
        for name in groups:
            group = group[name]
        group[last] = 7_000_000_000 + 1_001 * number
    text = render(build_report(hand_made_results(summary=summary)))
    missing = [place for place, value in leaves(summary) if place not in unseen and f"{value:,}" not in text]
    assert missing == []


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_figure_that_is_null_reads_as_not_defined(render):
    """As under merge_pre_rmap39, where the lists mean nothing and so no page can be called lost."""
    summary = hand_made_summary()
    summary["findings"] |= {"unreachable_pages": None, "dangling_pages": None}
    summary["overhead_bytes"] |= {"i386": None}
    report = build_report(hand_made_results(summary=summary))
    tables = {table.title: table for table in report.tables()}
    for title, undefined in [
        ("Findings in figures", {"unreachable_pages", "dangling_pages"}),
        ("Memory that the scheme needs", {"i386"}),
        ("Locks taken by operation, before the patch and with it", {"walk"}),
    ]:
        table = tables[title]
        cells = [
            [format_value(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]
            for row in table.rows
        ]
        assert {row[0] for row in cells if "not defined" in row} == undefined
    assert "How many pages were lost is not defined here" in render(report)
    assert "None" not in without_vega(render(report))


def test_only_what_was_done_is_compared():
    summary = hand_made_summary()
    for name in ("baseline", "validation"):
        del summary[name]
    report = build_report(hand_made_results(summary=summary))
    assert "Validation" not in [section.heading for section in report.sections]
    assert not [
        part for section in report.sections for part in section.parts if part.heading.startswith("Compared")
    ]


def test_the_baseline_is_told_with_both_measures_and_why_they_differ():
    part = _part(build_report(hand_made_results()), "Compared with merge_pre_rmap39")
    assert part.reading == (
        "Local: 6 sides refused here that the rules before rmap 39 would have accepted in the same state. Global: "
        "replayed from the first event under merge_pre_rmap39, the trace has 71 vmas at the peak and 52.25 on "
        "average; here +6 and +3.50."
    )
    assert "They differ because a refusal changes the state that later attempts meet" in part.explanation
    assert part.blocks[0].rows == (
        ("this one", 130, 40, 77, 55.75, 6, 11, 4),
        ("merge_pre_rmap39", 121, 38, 71, 52.25, 5, 11, 8),
        ("this one less merge_pre_rmap39", 9, 2, 6, 3.5, 1, 0, -4),
    )


def test_the_local_measure_is_not_about_another_baseline():
    summary = hand_made_summary()
    summary["baseline"]["rule"] = "rmap40"
    part = _part(build_report(hand_made_results(summary=summary)), "Compared with rmap40")
    assert "The local measure is not about rmap40" in part.explanation


def test_validation_says_of_how_many():
    part = _part(build_report(hand_made_results()), "Compared with the kernel")
    assert part.reading == (
        "Pages and permissions are equal in 8 of 8 snapshots, the anonymous pages in 7, the borders of the vmas in 3. "
        "Of 2,000 anonymous pages the replay has >99.9 %, and 4 pages that the snapshots have not."
    )
    summary = hand_made_summary()
    summary["validation"]["compared"] = 0
    part = _part(build_report(hand_made_results(summary=summary)), "Compared with the kernel")
    assert part.reading == "None of 9 recorded snapshots could be compared."


def test_findings_are_told_with_the_event_that_caused_each():
    rows = [
        ("finding", 90_000, 12, "bug", "BUG in page_add_anon_rmap"),
        ("info", 5, 17, "unknown-frame", "no page has frame 0x99"),
        ("finding", 80_000, None, "unreachable-page", "one pte"),
        ("finding", None, None, "dangling-page", "no event known"),
    ]
    report = build_report(hand_made_results(diagnostics=rows))
    table = next(table for table in report.tables() if table.title == "Findings by event")
    assert table.rows == (
        (80_000, None, "unreachable-page", "one pte"),
        (90_000, 12, "bug", "BUG in page_add_anon_rmap"),
        (None, None, "dangling-page", "no event known"),
    )
    assert any("the first finding is of event 80,000" in sentence for sentence in report.findings)


def test_a_lost_page_that_no_walk_met_leads_to_check():
    report = build_report(hand_made_results(diagnostics=[]))
    assert "--check names it" in _part(report, "Findings").reading


def test_a_finding_that_healed_is_still_told():
    summary = hand_made_summary()
    summary["findings"]["unreachable_pages"] = 0
    reading = _part(build_report(hand_made_results(summary=summary)), "Findings").reading
    assert reading == "No page is lost at the end, and no event met a BUG. On the way there was 1 finding."


def _part(report, heading):
    return next(part for section in report.sections for part in section.parts if part.heading == heading)


def test_the_breakdowns_add_up_to_the_totals_of_the_summary():
    results = hand_made_results()
    report = build_report(results)
    sums = {table.title: table for table in report.tables()}
    reclaim, merges = results.summary["reclaim"], results.summary["merges"]
    assert sum(sums["Visits by result"].values("visits")) == reclaim["vmas_visited"]
    assert sum(sums["Walks by vmas visited"].values("walks")) == reclaim["walks"]
    assert sum(sums["Walks by purpose and outcome"].values("vmas_visited")) == reclaim["vmas_visited"]
    assert sum(sums["Vmas visited over the trace"].values("vmas_visited")) == reclaim["vmas_visited"]
    assert sum(sums["anon_vmas by vmas visited"].values("vmas_visited")) == reclaim["vmas_visited"]
    files = results.summary["file_reclaim"]
    assert sum(sums["Visits of file pages by result"].values("visits")) == files["vmas_visited"]
    assert sum(sums["Walks of file pages by vmas visited"].values("walks")) == files["walks"]
    assert sum(sums["Walks of file pages by purpose and outcome"].values("hits")) == files["hits"]
    assert sum(sums["Files by vmas visited"].values("vmas_visited")) == files["vmas_visited"]
    assert sum(sums["Attempts by merge case"].values("attempts")) == merges["attempts"]
    assert sum(sums["Refusals by reason"].values("refusals")) == sum(merges["refused"].values())
    assert sum(sums["Attempts and refusals by process"].values("new")) == merges["refused_new"]
    assert (
        sum(sums["anon_vmas by allocating operation"].values("anon_vmas"))
        == results.summary["anon_vmas"]["allocated"]
    )


def test_sound_results_raise_no_notice():
    assert build_report(hand_made_results()).notices == ()


@pytest.mark.parametrize(
    ("change", "what", "consequence"),
    [
        ({"trace.lost_events": 12_345}, "lost 12,345 events", "too low"),
        ({"trace.unreadable_lines": 2}, "2 lines of the trace could not be read", "inspect"),
        ({"violations": 1}, "1 invariant", "defect of this tool"),
        ({"unmapped_faults": 20_000}, "20,000 faults of 43,547 (45.9 %)", "--maps"),
        ({"file_reclaim.walks": 6}, "hold 5 walks of file pages, the summary counts 6", "breakdowns"),
        ({"reclaim.walks": 12}, "hold 10 walks, the summary counts 12", "breakdowns"),
    ],
)
def test_losses_say_what_they_may_have_changed(change, what, consequence):
    summary = hand_made_summary()
    for place, value in change.items():
        *groups, last = place.split(".")
        (summary[groups[0]] if groups else summary)[last] = value
    notices = build_report(hand_made_results(summary=summary)).notices
    assert len(notices) == 1
    assert what in notices[0].what
    assert consequence in notices[0].consequence


def test_a_loss_names_the_processes_that_it_may_concern():
    summary = hand_made_summary()
    summary["trace"] |= {"lost_events": 12_345, "tainted_processes": 2}
    processes = [(*row[:-1], row[0] in (100, 200)) for row in PROCESSES]
    (notice,) = build_report(hand_made_results(summary=summary, processes=processes)).notices
    assert "2 of 4 processes (pid 100 “server”, pid 200 " in notice.consequence
    assert "others are as recorded" in notice.consequence
    summary["trace"]["lost_events"] = 0
    (notice,) = build_report(hand_made_results(summary=summary, processes=processes)).notices
    assert "it does not say how many" in notice.what
    summary["trace"] |= {"lost_events": 1, "tainted_processes": 0}
    (notice,) = build_report(hand_made_results(summary=summary)).notices
    assert "No process" in notice.consequence


def test_warnings_among_the_diagnostics_are_noticed_and_those_beyond_three_kinds_are_counted():
    warnings = [("warning", None, 5, f"kind-{number}", f"message {number}") for number in (1, 1, 2, 3, 4, 5)]
    notices = build_report(
        hand_made_results(diagnostics=[*warnings, ("info", 1, 1, "quiet", "not a warning")])
    ).notices
    assert [notice.what for notice in notices] == [
        "kind-1, 2 times.",
        "kind-2, 1 time.",
        "kind-3, 1 time.",
        "2 further kinds of warning, 2 times in all.",
    ]
    assert notices[0].consequence == "message 1"


def test_without_walks_the_report_says_how_to_get_some():
    summary = hand_made_summary()
    summary["reclaim"] = empty_summary()["reclaim"]
    report = build_report(hand_made_results(summary=summary, walks=[]))
    parts = report.sections[0].parts
    assert len(parts) == 1
    assert "record under memory pressure" in parts[0].reading
    assert report.key_figures[0].value is None  # no mean of nothing


def test_tables_that_were_not_kept_leave_the_figures_of_the_summary():
    report = build_report(hand_made_results(walks=[], merges=[], anon_vmas=[], timeline=[]))
    assert len(report.notices) == 4
    assert "3.70" in render_markdown(report)
    assert render_html(report)


def test_no_merges_is_said_in_words():
    summary = hand_made_summary()
    summary["merges"] = empty_summary()["merges"]
    report = build_report(hand_made_results(summary=summary, merges=[]))
    assert report.sections[2].parts[0].reading == "No operation of this trace tried to merge a vma."


def test_a_scenario_has_no_clock_and_so_no_seconds():
    summary = hand_made_summary()
    summary["trace"].update(format="scenario")
    report = build_report(hand_made_results(summary=summary))
    assert "Time span" not in dict(report.facts)
    assert not any(column.kind == "seconds" for table in report.tables() for column in table.columns)


def test_thousands_of_processes_give_twenty_rows_and_the_sum_of_the_rest():
    processes = [(pid, f"w{pid}", *PROCESSES[0][2:]) for pid in range(1, 5_001)]
    walks = [(event, event, event, *WALKS[0][3:]) for event in range(1, 5_001)]
    summary = hand_made_summary()
    summary["reclaim"].update(walks=5_000, vmas_visited=20_000)
    report = build_report(hand_made_results(summary=summary, processes=processes, walks=walks))
    table = next(table for table in report.tables() if table.title == "Processes by vmas visited")
    assert (len(table.rows), table.hidden) == (20, 4_980)
    assert sum(table.values("vmas_visited")) + table.rest[4] == 20_000
    assert len(without_vega(render_html(report))) < 300_000


def test_a_long_timeline_gives_at_most_forty_rows():
    timeline = [(event, event, 1, event % 7, 1, 1, 1, 24) for event in range(1, 92_855, 3)]
    report = build_report(hand_made_results(timeline=timeline))
    table = next(table for table in report.tables() if table.title == "anon_vmas over the trace")
    assert len(table.rows) == 40
    assert set(table.values("anon_vmas")) == {6}


@pytest.mark.parametrize("suffix", [".html", ".md", ".HTML"])
def test_the_suffix_chooses_the_form(tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    write_report(build_report(hand_made_results()), path)
    assert path.read_text(encoding="utf-8").startswith("# " if suffix == ".md" else "<!DOCTYPE html>")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]  # no temporary file is left


def test_results_can_be_written_as_they_are(tmp_path):
    write_report(hand_made_results(), tmp_path / "report.md")
    assert "Replay of server.ftrace" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_another_suffix_is_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.html or \.md"):
        write_report(build_report(hand_made_results()), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="expected a file that can be written"):
        write_report(build_report(hand_made_results()), tmp_path / "missing" / "report.html")
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(OutputError):
        write_report(build_report(hand_made_results()), tmp_path / "taken.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken.html"]


def test_names_may_be_missing_everywhere():
    """Formats without a task column know no comm, and a diagnostic may have neither event nor line."""
    results = hand_made_results(
        processes=[(row[0], None, *row[2:]) for row in PROCESSES],
        diagnostics=[("info", None, None, "quiet", "nothing")],
    )
    report = build_report(results)
    assert "None" not in render_markdown(report)
    assert "None" not in without_vega(render_html(report))
    assert results.frame("processes")["comm"].dtype in (pl.Categorical, pl.String)
