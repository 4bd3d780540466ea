"""Reports of large results: sensible, and never above 3 MB."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from anonvma_trace.reports import build_report, render_html, render_markdown
from anonvma_trace.result_tables import ResultTables
from anonvma_trace.tables import TABLES

from .hand_made import PROCESSES, WALKS, empty_results, hand_made_results, hand_made_summary
from .written_tables import charts_of_html

LARGEST_BYTES = 3_000_000
MANY = 5_000


def crowd() -> ResultTables:
    """Return results with 5,000 processes: each forked by another one, walked, refused a merge, sharing an anon_vma."""
    pids = range(1, MANY + 1)
    summary = hand_made_summary()
    summary["trace"].update(processes=MANY)
    summary["reclaim"].update(walks=MANY, vmas_visited=4 * MANY)
    summary["anon_vmas"].update(allocated=MANY)
    summary["merges"].update(attempts=MANY)
    return hand_made_results(
        summary=summary,
        processes=[(pid, f"worker-{pid}", pid // 7 or None, *PROCESSES[0][3:]) for pid in pids],
        walks=[(pid, pid, pid, 4096 * pid, pid, *WALKS[0][5:]) for pid in pids],
        anon_vmas=[(pid, pid, pid, "write_fault", pid, None, None, 4, 9, 9, 1, 4) for pid in pids],
        members=[(pid, member, 1, 1) for pid in pids for member in {pid, pid // 7 or 1}],
        merges=[
            (
                pid,
                pid,
                pid,
                "mprotect",
                4096 * pid,
                4096,
                0,
                "flags",
                "not_adjacent",
                False,
                False,
                None,
                False,
            )
            for pid in pids
        ],
        vma_spans=[
            (pid, 7, 8192 * pid, 8192 * pid + 4096, 3, "VM_READ", pid, None, None, pid, 90_000)
            for pid in pids
        ],
    )


def test_thousands_of_processes_make_a_report_of_the_dearest():
    report = build_report(crowd())
    page = render_html(report)
    assert len(page.encode()) <= LARGEST_BYTES
    for chart in charts_of_html(page).values():  # a few thousand points at most
        assert sum(len(rows) for rows in chart["datasets"].values()) <= 1_000
    (figure,) = [figure for figure in report.figures() if figure.table.title == "Processes of the family"]
    assert 50 <= len(figure.table.rows) <= 70
    assert len(figure.table.rows) + figure.table.hidden == MANY
    visits = figure.table.values("vmas_visited")
    assert sum(visits) + figure.table.rest[3] == 4 * MANY
    (space,) = [figure for figure in report.figures() if figure.table.title.startswith("Vmas over the trace")]
    assert (len(space.table.rows), space.table.hidden) == (600, MANY - 600)


def test_markdown_of_thousands_of_processes_still_fits_a_mail():
    assert len(render_markdown(build_report(crowd())).encode()) <= 150_000


@pytest.mark.parametrize("rows", [2_000_000])
def test_a_sample_after_every_event_becomes_forty_columns(rows):
    """Every peak stays: the highest sample of each stretch is shown."""
    events = np.arange(1, rows + 1)
    peak_at = 1_234_567
    columns = {field.name: events % 1_000 for field in TABLES["timeline"]} | {"event": events}
    columns["anon_vmas"] = np.where(events == peak_at, 77_777, 5)
    summary = hand_made_summary()
    summary["trace"].update(events=rows)
    tables = {"timeline": pa.table(columns, schema=TABLES["timeline"])}
    report = build_report(ResultTables(summary, tables))
    assert len(render_html(report).encode()) <= LARGEST_BYTES
    (figure,) = [figure for figure in report.figures() if figure.table.title == "anon_vmas over the trace"]
    assert len(figure.table.rows) == 40
    (row,) = [row for row in figure.table.rows if row[2] == 77_777]
    assert row[0] <= peak_at <= row[1]


def test_the_samples_of_fifty_million_events_become_forty_columns():
    """As many as a replay keeps of them: 4,096, equally spaced."""
    events = np.linspace(1, 50_000_000, 4_096).astype(np.int64)
    columns = {field.name: events % 1_000 for field in TABLES["timeline"]} | {"event": events}
    summary = hand_made_summary()
    summary["trace"].update(events=50_000_000)
    report = build_report(ResultTables(summary, {"timeline": pa.table(columns, schema=TABLES["timeline"])}))
    assert len(render_html(report).encode()) <= LARGEST_BYTES
    (figure,) = [figure for figure in report.figures() if figure.table.title == "anon_vmas over the trace"]
    assert (len(figure.table.rows), figure.last_event) == (40, 50_000_000)
    assert figure.table.rows[-1][:2] == (48_750_001, 50_000_000)


def test_a_report_of_nothing_says_so_and_needs_no_charts():
    report = build_report(empty_results())
    assert report.findings == (
        "The trace held nothing to replay: no mapping was written to, merged or reclaimed.",
    )
    assert not report.figures()
    assert len(render_html(report).encode()) <= 50_000  # the chart library is left out


def test_a_report_without_reclaim_says_how_to_get_some():
    summary = hand_made_summary()
    summary["reclaim"] = empty_results().summary["reclaim"]
    results = hand_made_results(summary=summary, walks=[])
    report = build_report(results)
    (section,) = [section for section in report.sections if section.anchor == "reclaim-cost"]
    (part,) = section.parts
    assert part.heading == "No walks" and "record under memory pressure" in part.reading
    assert report.figures()  # of everything else
    assert len(render_html(report).encode()) <= LARGEST_BYTES
