"""Reports as Markdown."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from anonvma_trace.errors import OutputError, UsageError
from anonvma_trace.reports import build_report, render_markdown, write_report
from anonvma_trace.reports.markdown import LONGEST, escape_text, text_bar

from .hand_made import HOSTILE, empty_results, hand_made_results, hand_made_summary
from .written_tables import expected_tables, tables_of_markdown, tags_and_text


@pytest.fixture(scope="module")
def text():
    return render_markdown(build_report(hand_made_results()))


def test_every_number_of_the_report_stands_in_the_text(text):
    assert tables_of_markdown(text) == expected_tables(build_report(hand_made_results()), LONGEST)


def test_readings_and_findings_stand_in_the_text(text):
    report = build_report(hand_made_results())
    _, shown = tags_and_text(MarkdownIt("commonmark").enable("table").render(text))
    for sentence in [
        *report.findings,
        *(part.reading for section in report.sections for part in section.parts),
    ]:
        assert sentence in shown


def test_tables_read_as_plain_text_too(text):
    """All lines of a table are equally long, so that a mail in a fixed font shows columns."""
    lengths = {len(line) for line in text.split("**Walks by purpose and outcome**")[1].splitlines()[2:10]}
    assert len(lengths) == 1


def test_names_of_the_trace_appear_as_text(text):
    tags, shown = tags_and_text(MarkdownIt("commonmark").enable("table").render(text))
    assert "script" not in tags
    assert HOSTILE in shown


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15))
def test_any_name_survives_a_table_cell(name):
    line = f"| a | b |\n| --- | --- |\n| {escape_text(name)} | x |"
    assert tables_of_markdown(line)[0][1] == [name, "x"]


def test_a_name_with_control_characters_stays_on_its_line():
    assert escape_text("a\nb\x1b") == r"a\\nb\\x1b"


@pytest.mark.parametrize(
    ("values", "bar"),
    [
        ((8,), "████"),
        ((4,), "██"),
        ((3,), "█▌"),
        ((0,), ""),
        ((0.001,), "▏"),  # not nothing, so it is seen
        ((4, 4), "██░░"),
        ((0, 2), "░"),
    ],
)
def test_bars_are_in_proportion(values, bar):
    assert text_bar(values, 8, 4) == bar


def test_losses_stand_above_everything_else():
    summary = hand_made_summary()
    summary["trace"].update(unreadable_lines=1)
    text = render_markdown(build_report(hand_made_results(summary=summary)))
    assert text.index("1 line of the trace could not be read") < text.index("## In short")


def test_a_replay_of_nothing_gives_a_text_without_bars():
    text = render_markdown(build_report(empty_results()))
    assert "No page was walked" in text
    assert "█" not in text


def test_charts_may_stand_beside_it_as_svg(tmp_path):
    results = hand_made_results()
    write_report(results, tmp_path / "a report.md", svg=True)
    text = (tmp_path / "a report.md").read_text()
    figures = build_report(results).figures()
    named = re.findall(r"^!\[.+\]\((.+)\)$", text, re.MULTILINE)
    assert [unquote(name) for name in named] == [
        f"a report.figures/{number:02}.svg" for number in range(1, len(figures) + 1)
    ]
    for name in named:
        drawing = ElementTree.parse(tmp_path / unquote(name)).getroot()
        assert drawing.tag.endswith("svg")
        assert {element.tag.rpartition("}")[2] for element in drawing.iter()}.isdisjoint({"script", "image"})
    assert "█" not in text
    assert tables_of_markdown(text) == expected_tables(build_report(results), LONGEST)


def test_a_page_holds_its_charts_and_takes_no_svg(tmp_path):
    with pytest.raises(UsageError, match="leave out --svg"):
        write_report(empty_results(), tmp_path / "report.html", svg=True)
    assert not list(tmp_path.iterdir())


def test_pictures_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "report.figures").write_text("a file where the folder would be")
    with pytest.raises(OutputError, match=r"report\.figures"):
        write_report(hand_made_results(), tmp_path / "report.md", svg=True)
