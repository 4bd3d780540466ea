"""Reports of bundled samples, as a user gets them: replayed, built, written and read back."""

from __future__ import annotations

import pytest

from anonvma_trace import replay_trace
from anonvma_trace.reports import build_report, render_html, render_markdown
from anonvma_trace.reports.markdown import LONGEST

from .written_tables import expected_tables, tables_of_html, tables_of_markdown, without_vega

SAMPLES = ("tiny-sh", "fork-and-copy", "boundary-shift-loses-page", "alternating-protections", "lru-scan")


@pytest.fixture(scope="module", params=SAMPLES)
def replay(request):
    return replay_trace(request.param)


def test_both_forms_hold_every_table_of_the_report(replay):
    report = build_report(replay)
    assert tables_of_html(render_html(report)) == expected_tables(report)
    assert tables_of_markdown(render_markdown(report)) == expected_tables(report, LONGEST)


def test_tables_and_summary_of_a_replay_agree(replay):
    assert not [notice for notice in build_report(replay).notices if "the summary counts" in notice.what]


def test_breakdowns_of_a_replay_add_up_to_its_summary(replay):
    sums = {
        (table.title, column.name): sum(value or 0 for value in table.values(column.name)) + (hidden or 0)
        for table in build_report(replay).tables()
        for column, hidden in zip(table.columns, table.rest or (0,) * len(table.columns), strict=True)
        if column.summed and column.kind == "count"
    }
    merges, reclaim = replay.summary["merges"], replay.summary["reclaim"]
    expected = {
        ("Attempts by merge case", "attempts"): merges["attempts"],
        ("Refusals by reason", "new"): merges["refused_new"],
        ("Attempts and refusals by operation", "merged"): merges["merged"],
        ("Attempts and refusals by process", "refusals"): sum(merges["refused"].values()),
        ("Visits by result", "visits"): reclaim["vmas_visited"],
        ("Walks by vmas visited", "walks"): reclaim["walks"],
        ("Walks by purpose and outcome", "hits"): reclaim["hits"],
        ("Walks by purpose and outcome", "early_stops"): reclaim["early_stops"],
        ("Walks by purpose and outcome", "unreachable"): reclaim["unreachable"],
        ("anon_vmas by vmas visited", "walks"): reclaim["walks"],
        ("anon_vmas by allocating process", "live"): replay.summary["anon_vmas"]["live"],
        ("anon_vmas by allocating operation", "never_used"): replay.summary["extra"]["anon_vmas_never_used"],
    }
    assert {place: sums.get(place, 0) for place in expected} == expected


def test_the_page_needs_nothing_from_outside(replay):
    assert "http:" not in without_vega(render_html(build_report(replay)))
    assert "https:" not in without_vega(render_html(build_report(replay)))
