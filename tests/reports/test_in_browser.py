"""Reports as a reader opens them: in Chromium, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anonvma_trace import replay_trace
from anonvma_trace.reports import build_report, render_html, write_report
from anonvma_trace.reports.vega_bundle import vega_bundle
from anonvma_trace.result_tables import ResultTables
from tests.replay.generated import fault_heavy

from .browser import Page, why_not
from .hand_made import HOSTILE, empty_results, hand_made_results
from .written_tables import expected_tables

LARGEST_BYTES = 1_800_000
LONGEST_SECONDS = 3.0  # of processor time, to build a report from saved results
LONGEST_DRAWING = 2.5  # seconds of processor time, from the start of the page to its last chart

in_browser = pytest.mark.skipif(bool(why_not()), reason=why_not() or "a browser is here")

TABLES = """[...document.querySelectorAll("table")].map(table => [...table.rows].map(
  row => [...row.cells].map(cell => cell.textContent.trim())))"""
FIRST_RANKING = """[...document.querySelectorAll("figure")].find(
  figure => figure.querySelector("figcaption").textContent === %s)"""
LISTING = {
    "Totals of the walks": "reclaim",
    "anon_vmas in figures": "anon_vmas",
    "Findings in figures": "findings",
}


def results_of(name: str, directory: Path):
    """Return the recording under memory pressure, or a generated trace of a million rows."""
    if name == "swapfork":
        return replay_trace("swapfork")
    batches = list(fault_heavy(1_000_000))
    assert sum(batch.num_rows for batch in batches) >= 1_000_000
    pq.write_table(pa.Table.from_batches(batches), directory / "trace.parquet")
    return replay_trace(directory / "trace.parquet")


@pytest.fixture(scope="module", params=["swapfork", "generated"])
def saved(request, tmp_path_factory):
    """Results in a directory, and what writing a report from them took of the processor, in seconds."""
    directory = tmp_path_factory.mktemp(request.param)
    results_of(request.param, directory).save(directory)
    vega_bundle()  # made once for each installation, as the core is compiled once
    return directory, min(seconds_to_report(directory) for _ in range(3))


def seconds_to_report(directory: Path) -> float:
    before = os.times()
    command = [
        sys.executable,
        "-m",
        "anonvma_trace",
        "report",
        str(directory),
        "-o",
        str(directory / "r.html"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def drawn(page: Page, theme: str = "light") -> None:
    page.wait_for(f"document.documentElement.dataset.drawn === '{theme}'")


def rows_of(page: Page, caption: str) -> list[list[str]]:
    figure = FIRST_RANKING % json.dumps(caption)
    return page.run(
        f"[...{figure}.querySelectorAll('tbody tr')].filter(row => !row.hidden)"
        ".map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )


def test_a_report_is_small_and_soon_written(saved):
    directory, seconds = saved
    assert (directory / "r.html").stat().st_size <= LARGEST_BYTES
    assert seconds <= LONGEST_SECONDS


@in_browser
def test_a_report_is_drawn_read_sorted_searched_and_darkened(saved):
    directory, _ = saved
    summary = json.loads((directory / "summary.json").read_text())
    with Page(directory / "r.html") as page:
        drawn(page)
        assert page.seconds_at_work() <= LONGEST_DRAWING
        charts = page.run("Object.keys(JSON.parse(document.getElementById('data').textContent).charts)")
        assert len(charts) >= 12
        for chart in charts:  # each has drawn marks, none is wider than its place
            assert page.run(f"document.querySelectorAll('#{chart} svg .mark-group path').length") > 0
            assert page.run(f"document.querySelector('#{chart} svg').clientWidth") <= page.run(
                f"document.getElementById('{chart}').clientWidth"
            )

        # The numbers that a reader sees are those of summary.json.
        for caption, group in LISTING.items():
            for name, number, _ in rows_of(page, caption):
                if name in summary[group]:
                    assert number == f"{summary[group][name]:,}", (group, name)
        per_walk = summary["reclaim"]["visited_per_walk"]
        assert rows_of(page, "Vmas visited per walk, in figures") == [
            [f"{per_walk['mean']:,.2f}", *(f"{per_walk[key]:,}" for key in ("p50", "p95", "p99", "max"))]
        ]

        # Sort by the number of pages, smallest first and largest first.
        caption = "anon_vmas by the longest their list was, longest first"
        unsorted = rows_of(page, caption)
        headings = page.run(
            f"[...{FIRST_RANKING % json.dumps(caption)}.querySelectorAll('th[scope=col]')].map(th => th.textContent)"
        )
        column = headings.index("pages ever")
        click = f"{FIRST_RANKING % json.dumps(caption)}.querySelectorAll('th button')[{column}].click()"
        for direction, is_descending in (("descending", True), ("ascending", False)):
            page.run(click)
            values = [int(row[column].replace(",", "")) for row in rows_of(page, caption)]
            assert values == sorted(values, reverse=is_descending)
            assert page.run(f"document.querySelectorAll('th[aria-sort={direction}]').length") == 1
        assert sorted(rows_of(page, caption)) == sorted(unsorted)

        # Search it.
        field = f"{FIRST_RANKING % json.dumps(caption)}.querySelector('input')"
        page.run(f"{field}.value = '{unsorted[3][0]}'; {field}.dispatchEvent(new Event('input'))")
        found = rows_of(page, caption)
        assert unsorted[3] in found
        assert all(any(unsorted[3][0] in cell for cell in row) for row in found)

        # Dark and back.
        paper = page.run("getComputedStyle(document.body).backgroundColor")
        bar = "getComputedStyle(document.querySelector('#chart-1 svg .mark-rect path')).fill"
        colour = page.run(bar)
        page.run("document.getElementById('theme').click()")
        drawn(page, "dark")
        assert page.run("getComputedStyle(document.body).backgroundColor") != paper
        assert page.run(bar) != colour
        page.run("document.getElementById('theme').click()")
        drawn(page)
        assert page.run(bar) == colour

        # A narrow window does not scroll sideways.
        page.resize(390, 844)
        page.wait_for("document.documentElement.scrollWidth <= 390", 20)
        assert page.console == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []


@in_browser
def test_every_table_of_the_report_is_seen_as_the_report_has_it(saved, tmp_path):
    directory, _ = saved
    report = build_report(ResultTables.load(directory))
    write_report(report, tmp_path / "r.html")
    with Page(tmp_path / "r.html") as page:
        drawn(page)
        seen = [[[cell for cell in row if cell] for row in table] for table in page.run(TABLES)]
    assert seen == expected_tables(report)


@in_browser
def test_names_that_look_like_markup_are_text_in_tables_charts_and_tooltips(tmp_path):
    hostile = [HOSTILE, "<img src=x onerror=alert(1)>", "\"'><script>document.title='owned'</script>"]
    processes = [
        (100 + number, name, None, 1, 90_000, 51, 2, 40, 12, 2, 3, 5, False)
        for number, name in enumerate(hostile)
    ]
    results = hand_made_results(processes=processes)
    (tmp_path / "r.html").write_text(render_html(build_report(results, title="<script>alert(1)</script>")))
    with Page(tmp_path / "r.html") as page:
        drawn(page)
        assert page.run("document.title") == "<script>alert(1)</script>"
        assert page.run("document.querySelectorAll('img').length") == 0
        assert page.run("document.querySelectorAll('script').length") == 3
        assert hostile[0] in page.run("document.body.textContent")
        drawn_texts = page.run("[...document.querySelectorAll('.chart text')].map(text => text.textContent)")
        assert any("<script>" in text for text in drawn_texts)
        page.point_at("#family .chart svg .mark-symbol path")
        page.wait_for("document.querySelector('#vg-tooltip-element.visible')")
        assert page.run("document.querySelectorAll('#vg-tooltip-element :is(script, img)').length") == 0
        assert page.console == []


@in_browser
@pytest.mark.parametrize("results", [empty_results, lambda: hand_made_results(walks=[], timeline=[])])
def test_a_report_of_nothing_and_one_without_reclaim_open_too(results, tmp_path):
    write_report(results(), tmp_path / "r.html")
    with Page(tmp_path / "r.html") as page:
        drawn(page)
        assert page.console == []
