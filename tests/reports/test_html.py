"""Reports as HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from anonvma_trace.reports import build_report, render_html
from anonvma_trace.reports.document import Table

from .hand_made import HOSTILE, empty_results, hand_made_results, hand_made_summary
from .written_tables import (
    charts_of_html,
    expected_tables,
    script_ids,
    tables_of_html,
    tags_and_text,
    without_vega,
)


@pytest.fixture(scope="module")
def page():
    return render_html(build_report(hand_made_results()))


def test_every_number_of_the_report_stands_in_the_page(page):
    assert tables_of_html(page) == expected_tables(build_report(hand_made_results()))


def test_readings_and_findings_stand_in_the_page(page):
    report = build_report(hand_made_results())
    _, text = tags_and_text(page)
    for sentence in [
        *report.findings,
        *(part.reading for section in report.sections for part in section.parts),
    ]:
        assert sentence in text


def test_the_page_needs_nothing_from_outside(page):
    own = without_vega(page)
    assert not re.search(r"https?:", own)
    assert not re.search(r"\b(src|href)=(?!\"#)", own)  # links within the page only
    assert not re.search(r"url\(|@import|import\(|fetch\(|XMLHttp", own)


def test_the_page_forbids_itself_to_load_anything(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none';")
    sources = dict(re.findall(r"([\w-]+)-src ([^;]+)", policy.removeprefix("default-src 'none';")))
    scripts = re.findall(r'<script id="(?:vega|report)">(.*?)</script>', page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert set(sources.pop("script").split()) == {
        f"'sha256-{digest}'" for digest in hashes
    }  # no other script runs
    assert len(hashes) == 2
    assert sources == {"style": "'unsafe-inline'", "img": "data: blob:"}


def test_names_of_the_trace_appear_as_text_and_never_run(page):
    _, text = tags_and_text(page)
    assert script_ids(page) == ["vega", "data", "report"]
    assert HOSTILE in text


def test_names_of_the_trace_cannot_end_the_data_of_the_charts(page):
    data = page.split('<script id="data" type="application/json">')[1].split("</script>")[0]
    assert not set("<>&") & set(data)
    assert HOSTILE in json.dumps(charts_of_html(page), ensure_ascii=False)


def test_every_figure_is_drawn_once(page):
    report = build_report(hand_made_results())
    figures = [
        block
        for section in report.sections
        for part in section.parts
        for block in part.blocks
        if not isinstance(block, Table)
    ]
    assert list(charts_of_html(page)) == [f"chart-{number}" for number in range(1, len(figures) + 1)]
    for chart in charts_of_html(page):
        assert page.count(f'id="{chart}"') == 1


def test_charts_hold_no_more_than_the_tables(page):
    """A chart that named an address, or held every row of a trace, would show here."""
    for chart in charts_of_html(page).values():
        assert "$schema" not in chart
        assert sum(len(rows) for rows in chart["datasets"].values()) < 1_000


def test_path_title_and_messages_are_escaped_too():
    summary = hand_made_summary()
    summary["trace"]["path"] = '/<b onload="x">'
    summary["options"] = {"brk_flags": "<i>"}
    tags, text = tags_and_text(
        render_html(build_report(hand_made_results(summary=summary), title="<u>&amp;"))
    )
    assert not tags & {"b", "i", "u"}
    assert '/<b onload="x">' in text
    assert "<u>&amp;" in text


def test_links_lead_to_sections_of_the_page(page):
    targets = re.findall(r'href="#([^"]+)"', page)
    assert len(targets) == 9
    for target in targets:
        assert f'id="{target}"' in page


def test_losses_stand_above_everything_else():
    summary = hand_made_summary()
    summary["trace"].update(lost_events=12_345)
    page = render_html(build_report(hand_made_results(summary=summary)))
    assert page.index("12,345 events") < page.index("In short")


def test_without_losses_there_is_no_banner(page):
    assert 'class="notices"' not in page


def test_a_replay_of_nothing_gives_a_page_without_figures():
    page = render_html(build_report(empty_results()))
    _, text = tags_and_text(page)
    assert charts_of_html(page) == {}
    assert script_ids(page) == ["data", "report"]  # and so needs no Vega
    assert "No page was walked" in text
    assert "No anon_vma was allocated" in text
    assert "No operation of this trace tried to merge" in text
