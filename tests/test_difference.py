"""`diff`, from the command line and from Python."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import anonvma_trace
from anonvma_trace import cli
from anonvma_trace.difference import diff
from anonvma_trace.errors import TraceAccessError, UsageError
from anonvma_trace.reports import build_difference_report, render_html, render_markdown

from .reports.browser import Page, why_not
from .reports.hand_made import HOSTILE, PROCESSES, hand_made_results, hand_made_summary
from .reports.written_tables import expected_tables, tables_of_html, tables_of_markdown

PAIRS = {
    "rules": ("zoo", {}, {"rules": ["merge_pre_rmap39"]}),
    "schemes": ("swapfork", {}, {"scheme": "anon_vma_chain"}),
    "lost page": ("boundary-shift-loses-page", {}, {"rules": ["fix_propagate"]}),
}


def run(*arguments: object, **environment: str):
    return CliRunner(env={"COLUMNS": "80", **environment}).invoke(cli.app, [str(each) for each in arguments])


@pytest.fixture(scope="module", params=PAIRS)
def pair(request):
    trace, *settings = PAIRS[request.param]
    return tuple(anonvma_trace.replay_trace(trace, **each) for each in settings)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two directories, of one trace under two rules."""
    directory = tmp_path_factory.mktemp("saved")
    trace, *settings = PAIRS["rules"]
    for name, each in zip("ab", settings, strict=True):
        anonvma_trace.replay_trace(trace, save=directory / name, **each)
    return directory / "a", directory / "b"


def leaves(summary: dict, place: str = "") -> dict:
    found = {}
    for key, value in summary.items():
        found |= leaves(value, f"{place}{key}.") if isinstance(value, dict) else {f"{place}{key}": value}
    return found


def test_a_run_does_not_differ_from_itself(pair):
    result = diff(pair[0], pair[0])
    assert result.same_trace and not result.differs
    assert set(result.figures["change"]) == {0}
    assert result.to_dict()["figures"] == [] and result.events.first.is_empty()
    (sentence,) = build_difference_report(result).findings
    assert sentence.startswith("A and B are equal")


def test_figures_are_those_of_the_summaries(pair):
    ours, theirs = (leaves(each.summary) for each in pair)
    rows = diff(*pair).figures.rows(named=True)
    for row in rows:
        absent = 0 if row["figure"].startswith("extra.") else None
        assert row["a"] == ours.get(row["figure"], absent)
        assert row["b"] == theirs.get(row["figure"], absent)
        if None not in (row["a"], row["b"]):
            assert row["change"] == row["b"] - row["a"]
            assert row["relative"] == (row["change"] / row["a"] if row["a"] else None)
    numbers = {
        key for each in (ours, theirs) for key, value in each.items() if isinstance(value, int | float)
    }
    settings = {key for key in numbers if key.startswith(("schema", "options", "detail", "checked_events"))}
    assert numbers - settings == {row["figure"] for row in rows}


def test_what_changed_most_stands_first_and_equal_figures_last(pair):
    rows = diff(*pair).figures.rows(named=True)
    kinds = [0 if row["change"] else 1 if row["change"] is None else 2 for row in rows]
    assert kinds == sorted(kinds)
    shares = [abs(row["change"]) / max(row["a"], row["b"]) for row in rows if row["change"]]
    assert shares == sorted(shares, reverse=True)


COUNTED = {
    "refusals": lambda replay: Counter(
        (row["op"], side, row[side])
        for row in replay.merges.rows(named=True)
        for side in ("left", "right")
        if row[side] not in ("ok", "not_adjacent")
    ),
    "attempts": lambda replay: Counter(
        (row["op"], f"case {row['case']}" if row["case"] else "none")
        for row in replay.merges.rows(named=True)
    ),
    "outcomes": lambda replay: Counter(
        (row["purpose"], row["outcome"]) for row in replay.walks.rows(named=True)
    ),
    "origins": lambda replay: Counter((row["allocated_by"],) for row in replay.anon_vmas.rows(named=True)),
    "remarks": lambda replay: Counter(
        (row["severity"], row["code"]) for row in replay.diagnostics.rows(named=True)
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_breakdowns_count_the_rows_of_the_tables(pair, name):
    expected = [COUNTED[name](each) for each in pair]
    rows = diff(*pair).breakdown(name).rows()
    assert {row[:-4]: row[-4:-2] for row in rows} == {
        key: (expected[0][key], expected[1][key]) for key in expected[0] | expected[1]
    }
    changes = [abs(row[-2]) for row in rows]
    assert changes == sorted(changes, reverse=True)


def test_visits_add_up_to_the_summaries(pair):
    frame = diff(*pair).breakdown("visits")
    for side, replay in zip("ab", pair, strict=True):
        assert frame[side].sum() == replay.summary["reclaim"]["vmas_visited"]


def test_lengths_of_lists_add_up(pair):
    report = diff(*pair)
    for side, replay in zip("ab", pair, strict=True):
        assert sum(row[side] for row in report.to_dict()["list_lengths"]) == replay.anon_vmas.height


def test_merges_that_end_differently_are_those_of_the_tables(pair):
    """By event: the multiset of the cases that merged."""
    cases: list[dict[int, Counter]] = [{}, {}]
    for found, replay in zip(cases, pair, strict=True):
        for row in replay.merges.rows(named=True):
            found.setdefault(row["event"], Counter())[row["case"]] += row["case"] > 0
    differ = sorted(
        event
        for event in cases[0] | cases[1]
        if +cases[0].get(event, Counter()) != +cases[1].get(event, Counter())
    )
    events = diff(*pair).events
    assert events.merges["event"].to_list() == differ
    assert events.merge_outcomes["events"].sum() == len(differ)
    first = dict(events.first.select("subject", "event").rows())
    assert first.get("merges") == (differ[0] if differ else None)


def test_walks_that_cost_otherwise_are_those_of_the_tables(pair):
    visited = [dict(each.walks.group_by("event").agg(pl.col("vmas_visited").sum()).rows()) for each in pair]
    more = {event: visited[1].get(event, 0) - visited[0].get(event, 0) for event in visited[0] | visited[1]}
    events = diff(*pair).events
    assert events.counts["visited_more"] == sum(change > 0 for change in more.values())
    assert events.counts["visited_fewer"] == sum(change < 0 for change in more.values())
    spread = [abs(row["a"] - row["b"]) for row in events.walks.rows(named=True)]
    assert spread == sorted((abs(change) for change in more.values() if change), reverse=True)[:20]


def test_a_page_lost_on_one_side_only_is_found():
    trace, *settings = PAIRS["lost page"]
    result = diff(*(anonvma_trace.replay_trace(trace, **each) for each in settings))
    assert "pages that no walk reaches: 1 in A, 0 in B." in build_difference_report(result).findings
    first = result.events.first.row(0, named=True)
    where = render_markdown(build_difference_report(result))
    assert f"explain boundary-shift-loses-page --event {first['event']}" in where
    assert "fix_propagate" in where


def test_processes_of_one_trace_are_joined_by_life(pair):
    rows = diff(*pair).processes.rows(named=True)
    assert {row["figure"] for row in rows} >= {"merges", "refusals", "walks_caused", "anon_vmas_touched"}
    for side, replay in zip("ab", pair, strict=True):
        sums = Counter({row["figure"]: 0 for row in rows})
        for row in rows:
            sums[row["figure"]] += row[side]
        assert all(sums[name] == replay.processes[name].sum() for name in sums)


def test_different_traces_are_told_and_not_joined():
    a, b = (anonvma_trace.replay_trace(name) for name in ("fork-family", "fork-and-copy"))
    result = diff(a, b)
    assert not result.same_trace and result.differs and result.events is None
    notice = build_difference_report(result).notices[0]
    assert notice.what.startswith("A and B are of different traces: A has ")
    assert result.to_dict()["events"] is None
    by_name = {
        row["comm"]: (row["a"], row["b"])
        for row in result.processes.rows(named=True)
        if row["figure"] == "processes"
    }
    assert by_name == {None: (a.processes.height, b.processes.height)}


def named(*names: str, **summary: int):
    whole = hand_made_summary()
    whole["trace"] |= summary
    processes = [(100 + at, name, *PROCESSES[0][2:]) for at, name in enumerate(names)]
    return hand_made_results(summary=whole, processes=processes)


def test_names_that_appear_and_vanish_are_told():
    report = build_difference_report(
        diff(named("a", "both", processes=2), named("b", "both", "c", processes=3))
    )
    only = {table.title: table.rows for table in report.tables() if "only in" in table.title}
    assert only == {"Processes only in A": (("a", 1),), "Processes only in B": (("b", 1), ("c", 1))}


def test_names_of_the_trace_are_text():
    result = diff(named("one", HOSTILE), named("one", "<img src=x>", path="<script>alert(1)</script>"))
    for text in (render_html(build_difference_report(result)), result._repr_html_()):
        assert "<script>x" not in text and "<img" not in text and "<script>alert" not in text
        assert "&lt;img src=x&gt;" in text


def test_both_forms_hold_every_table(pair):
    report = build_difference_report(diff(*pair))
    assert tables_of_html(render_html(report)) == expected_tables(report)
    assert tables_of_markdown(render_markdown(report)) == expected_tables(report, 40)


def test_losses_on_one_side_are_a_notice():
    notices = build_difference_report(diff(named("x", lost_events=7), named("x", lost_events=0))).notices
    assert any(notice.what == "A has 7 lost events, B 0." for notice in notices)


def test_settings_that_differ_together_are_a_notice():
    a = anonvma_trace.replay_trace("fork-family")
    b = anonvma_trace.replay_trace("fork-family", rules=["rmap40"], options={"reuse": "modern"})
    notices = build_difference_report(diff(a, b)).notices
    assert [notice.what for notice in notices] == ["A and B differ in schemes or rules and in options."]


def test_tables_that_are_not_whole_are_not_broken_down():
    a = anonvma_trace.replay_trace("fork-family")
    b = anonvma_trace.replay_trace("fork-family", rules=["rmap40"], detail="none")
    result = diff(a, b)
    report = build_difference_report(result)
    assert any(
        notice.what.startswith("The table merges is not whole: B holds 0 of") for notice in report.notices
    )
    assert "refusals" not in result.to_dict()["breakdowns"]
    with pytest.raises(UsageError, match="the whole table merges"):
        result.breakdown("refusals")
    readings = [part.reading for section in report.sections for part in section.parts]
    assert any("the table merges is not whole" in reading for reading in readings)
    with pytest.raises(UsageError, match="expected one of refusals"):
        result.breakdown("reasons")


def test_a_replay_that_kept_not_all_tables_is_refused():
    whole = anonvma_trace.replay_trace("fork-family")
    with pytest.raises(UsageError, match="table anon_vmas"):
        diff(whole, anonvma_trace.replay_trace("fork-family", tables=["merges"]))


def damage(directory: Path, kind: str) -> None:
    if kind == "partial":
        (directory / "walks.parquet").unlink()
    elif kind == "foreign":
        (directory / "summary.json").write_text('{"name": "of something else"}')
    elif kind == "damaged":
        (directory / "walks.parquet").write_bytes(b"PAR1")
    elif kind == "other table":
        (directory / "merges.parquet").write_bytes((directory / "walks.parquet").read_bytes())
    elif kind == "empty":
        for path in directory.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("partial", "no walks.parquet"),
        ("foreign", "a summary.json of something else"),
        ("damaged", "walks.parquet"),
        ("other table", "no column op in merges.parquet"),
        ("empty", "no summary.json"),
    ],
)
def test_a_directory_without_all_results_is_an_error(tmp_path, kind, found):
    anonvma_trace.replay_trace("fork-family", save=tmp_path)
    damage(tmp_path, kind)
    with pytest.raises(TraceAccessError, match=found) as raised:
        diff(tmp_path, tmp_path)
    assert "all results of `anonvma-trace replay --out`" in str(raised.value)
    result = run("diff", tmp_path, tmp_path)
    assert result.exit_code == 1 and "hint: " in result.stderr


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(TraceAccessError, match="no such directory"):
        diff(tmp_path / "a", tmp_path / "b")
    assert run("diff", tmp_path / "a", tmp_path / "b").exit_code == 1


def test_saved_results_are_the_same_as_those_in_memory(saved):
    trace, *settings = PAIRS["rules"]
    in_memory = diff(*(anonvma_trace.replay_trace(trace, **each) for each in settings)).to_dict()
    on_disk = diff(*saved).to_dict()
    for side, path in zip("ab", saved, strict=True):
        assert on_disk[side].pop("name") == str(path)
        del in_memory[side]["name"]
    assert on_disk == in_memory


def test_json_is_one_object_and_o_writes_each_form(saved, tmp_path):
    result = run("diff", *saved, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == diff(*saved).to_dict()
    for suffix in ("html", "md", "json"):
        path = tmp_path / f"out.{suffix}"
        written = run("diff", *saved, "-o", path)
        assert written.exit_code == 0 and written.stdout == ""
        assert "merges.refused" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(result.stdout)


@pytest.mark.parametrize("width", [50, 80])
def test_it_fits_the_terminal_and_is_not_coloured(saved, width):
    result = run("diff", *saved, COLUMNS=str(width))
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= width
    assert "…" not in result.stdout and "\x1b" not in result.stdout
    assert "A and B first differ at event" in result.stdout.replace("\n", " ")


def test_equal_figures_are_folded(saved):
    frame = diff(*saved).figures
    equal = frame.filter(pl.col("change") == 0)
    printed = run("diff", *saved).stdout
    assert f"{equal.height} figures are equal" in " ".join(printed.split())
    assert equal["figure"][0] not in printed


def test_exit_code_is_that_of_diff_only_if_asked_for(saved):
    assert run("diff", *saved).exit_code == 0
    assert run("diff", *saved, "--exit-code").exit_code == 1
    assert run("diff", saved[0], saved[0], "--exit-code").exit_code == 0


def test_traces_are_replayed_first(saved):
    trace = PAIRS["rules"][0]
    schemes = ("--schemes", "anon_vma,anon_vma+merge_pre_rmap39")
    results = [
        json.loads(run("diff", *sides, "--json").stdout)
        for sides in ((trace, *schemes), (trace, trace, *schemes), saved)
    ]
    for result in results:
        for side in "ab":
            del result[side]["name"]
    assert results[0] == results[1] == results[2]
    mixed = json.loads(
        run("diff", saved[0], trace, "--schemes", "anon_vma+merge_pre_rmap39", "--json").stdout
    )
    assert mixed["figures"] == results[2]["figures"]


def test_losses_of_a_replayed_trace_are_told_by_the_status():
    assert run("diff", "zoo-overwrite", "zoo-overwrite").exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("zoo",),
        ("zoo", "zoo", "zoo"),
        ("zoo", "--schemes", "anon_vma,anon_vma,anon_vma"),
        ("zoo", "zoo", "--schemes", "anonvma"),
        ("zoo", "zoo", "--option", "reuse=2005"),
        ("zoo", "zoo", "-o", "out.txt"),
    ],
)
def test_wrong_usage_is_status_2(arguments):
    assert run("diff", *arguments).exit_code == 2


def test_options_of_a_replay_beside_saved_results_are_wrong_usage(saved):
    assert run("diff", *saved, "--schemes", "anon_vma").exit_code == 2


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "a browser is here")
def test_the_page_opens_in_a_browser_without_a_network(pair, tmp_path):
    result = diff(*pair)
    result.report(tmp_path / "d.html")
    with Page(tmp_path / "d.html") as page:
        page.wait_for("document.documentElement.dataset.drawn === 'light'")
        charts = page.run("document.querySelectorAll('.chart svg.marks').length")
        assert charts == len(build_difference_report(result).figures())
        assert page.console == []
        assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_what_it_shows_for_itself(pair):
    result = diff(*pair)
    assert repr(result).startswith(
        f"<Difference from '{pair[0].summary['trace']['path']} under anon_vma' to '"
    )
    assert "<table>" in result._repr_html_()
