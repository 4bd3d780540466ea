"""Reports as HTML."""

from __future__ import annotations

import re

import pytest

from anonvma_trace.reports import build_report, render_html

from .hand_made import HOSTILE, empty_results, hand_made_results, hand_made_summary
from .written_tables import expected_tables, tables_of_html, tags_and_text


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
    assert "http" not in page
    assert not re.search(r"\b(src|href)=(?!\"#)", page)  # links within the page only
    assert not re.search(r"url\(|@import", page)


def test_names_of_the_trace_appear_as_text_and_never_run(page):
    tags, text = tags_and_text(page)
    assert "script" not in tags
    assert HOSTILE in text


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
    assert len(targets) == 7
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
    tags, text = tags_and_text(page)
    assert "svg" not in tags
    assert "No page was walked" in text
    assert "No anon_vma was allocated" in text
    assert "No operation of this trace tried to merge" in text
