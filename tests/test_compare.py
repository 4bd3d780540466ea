"""`compare`, from the command line and from Python."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

import anonvma_trace
from anonvma_trace import cli
from anonvma_trace.reports import build_comparison_report, render_html, render_markdown

from .reports.written_tables import expected_tables, tables_of_html, tables_of_markdown

SCHEMES = "anon_vma,anon_vma+fix_propagate,anon_vma+merge_pre_rmap39"


def run(*arguments: object, **environment: str):
    return CliRunner(env={"COLUMNS": "80", **environment}).invoke(cli.app, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def comparison():
    return anonvma_trace.compare_schemes("boundary-shift-loses-page", SCHEMES.split(","))


def test_json_has_the_summary_of_each_scheme():
    result = run("compare", "tiny-sh", "--schemes", SCHEMES, "--json")
    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert list(data["schemes"]) == SCHEMES.split(",")
    alone = anonvma_trace.replay_trace("tiny-sh").summary
    assert data["schemes"]["anon_vma"] == {name: alone[name] for name in alone if name != "detail"}
    assert data["reference"] == "anon_vma"


def test_a_terminal_of_80_columns_shows_everything():
    schemes = ",".join([SCHEMES, "anon_vma+rmap40", "anon_vma+propagate_all"])
    result = run("compare", "alternating-protections", "--schemes", schemes)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in result.stdout
    assert any("case 6" in line for line in lines)


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
def test_o_writes_the_form_that_its_suffix_names(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    result = run("compare", "split-order", "--schemes", SCHEMES, "-o", path)
    assert result.exit_code == 0 and result.stdout == ""
    text = path.read_text(encoding="utf-8")
    assert "merge_pre_rmap39" in text
    if suffix == "json":
        assert list(json.loads(text)["schemes"]) == SCHEMES.split(",")


@pytest.mark.parametrize(
    "arguments",
    [("-o", "out.txt"), ("--schemes", "anonvma"), ("--rule", "rmap_40"), ("--option", "reuse=2005")],
)
def test_wrong_usage_is_status_2(arguments):
    assert run("compare", "tiny-sh", *arguments).exit_code == 2


@pytest.mark.compiled
def test_losses_are_told_as_by_replay():
    assert run("compare", "zoo-overwrite", "--schemes", "anon_vma").exit_code == 3


def test_both_forms_of_the_report_hold_every_table(comparison):
    report = build_comparison_report(comparison)
    assert tables_of_html(render_html(report)) == expected_tables(report)
    assert tables_of_markdown(render_markdown(report)) == expected_tables(report)


def test_lost_pages_are_told_of_the_schemes_that_lose_them(comparison):
    report = build_comparison_report(comparison)
    assert "Under anon_vma: 1 unreachable page." in report.findings
    assert comparison.findings["scheme"].to_list() == [
        "anon_vma"
    ]  # the fix loses none, the old rules define none


def test_figures_are_tidy_and_beside_the_reference(comparison):
    frame = comparison.figures
    reference = frame.filter(pl.col("scheme") == "anon_vma")
    assert set(reference["ratio"].drop_nulls().to_list()) <= {1.0}
    lists = frame.filter(pl.col("figure") == "list lengths, sum")
    assert dict(zip(lists["scheme"], lists["value"], strict=True))["anon_vma+fix_propagate"] == 2
    assert dict(zip(lists["scheme"], lists["ratio"], strict=True))["anon_vma+fix_propagate"] == 2


def test_a_notebook_shows_names_of_the_trace_escaped():
    result = anonvma_trace.compare_schemes("fork-family", ["anon_vma", "anon_vma+rmap40"])
    for by_name in (result.summaries, result.against, result.overhead_at_end, result.memory_bytes):
        by_name["<b>"] = by_name.pop("anon_vma+rmap40")
    assert "<b><" not in result._repr_html_().replace("<p><b>", "")
    assert repr(result).startswith("<Comparison of anon_vma")
