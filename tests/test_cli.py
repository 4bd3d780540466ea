"""The command line: its contract of exit statuses, streams and outputs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import anonvma_trace
from anonvma_trace import __main__, cli, samples
from anonvma_trace.tables import TABLES, empty_summary

SCENARIO = "map 10 20 rw; w 12,15; prot 13 16 r; referenced 12,15"
HEAVY = ("altair", "numba", "pandas", "polars", "pyarrow", "vl_convert")


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner(env={"COLUMNS": "80", **environment}).invoke(cli.app, [str(each) for each in arguments])


def run_process(*arguments: str, stdin: bytes = b"", **keywords) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "anonvma_trace", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=300, check=False, **keywords)


def tiny_sh() -> samples.Sample:
    return samples.get_sample("tiny-sh")


# --- before anything heavy is imported ---


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["replay", "--help"], 0),
        (["inspect", "--help"], 0),
        ([], 2),
        (["no-such-command"], 2),
        (["replay"], 2),
        (["replay", "--no-such-option"], 2),
        (["convert", "zoo"], 2),  # -o is missing
        (["replay", "zoo", "--option", "novalue"], 2),
        (["replay", "zoo", "--scenario", "map 1 2 rw"], 2),
        (["report", "zoo", "-o", "report.pdf"], 2),
        (["samples"], 0),
        (["record", "--help"], 0),
        (["record", "-o", "run.trace"], 2),  # no command
        (["explain", "zoo"], 2),
        (["explain", "zoo", "--event", "0"], 2),
        (["compare", "zoo", "-o", "report.pdf"], 2),
        (["diff", "zoo"], 2),
    ],
)
def test_help_version_and_wrong_usage_import_nothing_heavy(arguments: list[str], status: int):
    program = (
        "import sys\n"
        "from anonvma_trace import cli\n"
        f"sys.argv = ['anonvma-trace', *{arguments!r}]\n"
        "status = 0\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as leaving:\n"
        "    status = leaving.code or 0\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('status', status, 'heavy', heavy, file=sys.__stderr__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.splitlines()[-1] == f"status {status} heavy []"
    assert "Traceback" not in done.stderr


def test_version_is_the_packages():
    assert run("--version").stdout == f"anonvma-trace {anonvma_trace.__version__}\n"


def test_python_m_is_the_same_command():
    assert run_process("--version").stdout.decode() == f"anonvma-trace {anonvma_trace.__version__}\n"


# --- replay ---


def test_replay_prints_a_summary_to_standard_output_and_nothing_to_standard_error():
    done = run("replay", "tiny-sh")
    assert (done.exit_code, done.stderr) == (0, "")
    names = [line.split()[0] for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert names == [
        "trace",
        "scheme",
        "vmas",
        "anon_vmas",
        "pages",
        "merges",
        "reclaim",
        "locks",
        "overhead",
        "findings",
        "notes",
    ]


def test_replay_json_is_exactly_one_object_with_every_key_of_the_contract():
    done = run("replay", "tiny-sh", "--json")
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert set(empty_summary()) <= set(summary)
    assert summary["trace"]["events"] > 100
    assert summary["trace"]["format"] == "ftrace"


def test_replay_out_writes_all_tables_the_summary_and_both_reports(tmp_path: Path):
    done = run("replay", "--scenario", SCENARIO, "--out", tmp_path / "results", "--json")
    assert done.exit_code == 0
    assert {path.name for path in (tmp_path / "results").iterdir()} == {
        "summary.json",
        "report.html",
        "report.md",
        *(f"{name}.parquet" for name in TABLES),
    }
    assert json.loads((tmp_path / "results" / "summary.json").read_text()) == json.loads(done.stdout)
    assert "report.html" in done.stderr


def test_replay_detail_leaves_rows_out_and_no_total():
    full, none = (
        json.loads(run("replay", "zoo", "--json", "--detail", how).stdout) for how in ("full", "none")
    )
    assert none["detail"]["merges"] == {"rows": full["merges"]["attempts"], "kept": 0, "every": None}
    assert {**none, "detail": 0} == {**full, "detail": 0}
    text = run("replay", "zoo", "--detail", "none").stdout
    assert f"merges: 0 of {full['merges']['attempts']:,} rows; totals are exact" in text
    assert "info table-left-out" in text


def test_a_report_of_a_replay_without_detail_says_what_is_missing(tmp_path: Path):
    assert run("report", "zoo", "--detail", "none", "-o", tmp_path / "r.md").exit_code == 0
    assert "The table merges is left out." in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert run("replay", "zoo", "--out", tmp_path / "results").exit_code == 0
    done = run("report", tmp_path / "results", "--detail", "none", "-o", tmp_path / "r.md")
    assert (done.exit_code, "--detail" in done.stderr) == (2, True)


def test_an_unknown_detail_is_wrong_usage():
    done = run("replay", "split-order", "--detail", "fully")
    assert done.exit_code == 2
    assert "did you mean 'full'" in done.stderr


LOSSY = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"  # a boundary shift loses page 11


def test_replay_check_tells_findings_and_how_many_events_were_checked():
    done = run("replay", "--scenario", LOSSY, "--check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "no violation, checked after 4 events" in done.stdout
    assert "finding unreachable-pte at event 4" in done.stdout
    assert "check" not in run("replay", "--scenario", LOSSY).stdout


@pytest.mark.parametrize(("every", "checks"), [("1", 4), ("3", 2), ("100", 1)])
def test_replay_check_every_thins_out_the_checks_but_for_the_last_event(every: str, checks: int):
    done = run("replay", "--scenario", LOSSY, "--check-every", every, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["checked_events"] == checks


def test_replay_check_every_zeroth_event_is_wrong_usage():
    assert run("replay", "--scenario", LOSSY, "--check-every", "0").exit_code == 2


def test_a_violation_is_status_1_and_the_result_is_printed(monkeypatch: pytest.MonkeyPatch):
    from anonvma_trace.replay import checking

    told = checking.Told("error", "validate-i2", "rss of pid 1 is 2, its page table holds 1 present ptes")

    def check(self: checking.Checker, state: object) -> list[checking.Told]:
        self.violations += 1
        return [told]

    monkeypatch.setattr(checking.Checker, "check", check)
    done = run("replay", "--scenario", SCENARIO, "--check-every", "100", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["violations"] == 1
    assert "a defect of this tool" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_first_events_of_a_converted_trace_can_be_reported_and_checked_alone(tmp_path: Path):
    run("convert", "tiny-sh", "-o", tmp_path / "run.csv")
    lines = (tmp_path / "run.csv").read_text().splitlines(keepends=True)
    (tmp_path / "slice.csv").write_text("".join(lines[:301]))
    (tmp_path / "slice.csv.meta.json").write_text((tmp_path / "run.csv.meta.json").read_text())
    done = run("replay", tmp_path / "slice.csv", "--check", "--json")
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert (summary["trace"]["events"], summary["checked_events"], summary["violations"]) == (300, 300, 0)


def test_replay_out_onto_a_file_is_wrong_usage(tmp_path: Path):
    (tmp_path / "results").write_text("precious")
    assert run("replay", "--scenario", SCENARIO, "--out", tmp_path / "results").exit_code == 2
    assert (tmp_path / "results").read_text() == "precious"


def test_a_sample_brings_its_snapshots_and_a_path_does_not():
    by_name = json.loads(run("replay", "tiny-sh", "--json").stdout)
    by_path = json.loads(run("replay", tiny_sh().path, "--json").stdout)
    with_maps = json.loads(run("replay", tiny_sh().path, "--maps", tiny_sh().maps[0], "--json").stdout)
    assert by_name["trace"].pop("path") == "tiny-sh"
    assert with_maps["trace"].pop("path") == str(tiny_sh().path)
    assert by_name == with_maps
    assert by_path["unmapped_faults"] > by_name["unmapped_faults"]


def test_standard_input_is_a_trace():
    done = run_process(
        "replay", "-", "--maps", str(tiny_sh().maps[0]), "--json", stdin=tiny_sh().path.read_bytes()
    )
    summary, expected = json.loads(done.stdout), json.loads(run("replay", "tiny-sh", "--json").stdout)
    for each in (summary, expected):
        each["trace"].pop("path")
    assert summary == expected


def test_compressed_standard_input_is_a_trace():
    done = run_process("inspect", "-", "--json", stdin=samples.get_sample("shell").path.read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout)["events"] > 1000


def test_options_reach_the_replay():
    summary = json.loads(
        run("replay", "--scenario", SCENARIO, "--option", "instant_free=off", "--json").stdout
    )
    assert summary["options"]["instant_free"] == "off"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--scheme", "anonvma"], "anon_vma"),
        (["--option", "instantfree=on"], "instant_free"),
        (["--option", "instant_free=maybe"], "instant_free"),
        (["--rule", "no_such_rule"], "no_such_rule"),
    ],
)
def test_a_name_that_does_not_exist_is_wrong_usage_and_the_nearest_is_told(arguments: list[str], named: str):
    done = run("replay", "--scenario", SCENARIO, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert named in done.stderr


def test_an_unknown_format_is_wrong_usage():
    done = run("replay", "tiny-sh", "--format", "ftrase")
    assert done.exit_code == 2
    assert "ftrace" in done.stderr


def test_maps_beside_a_complete_input_are_wrong_usage(tmp_path: Path):
    assert run("convert", "tiny-sh", "-o", tmp_path / "t.parquet").exit_code == 0
    done = run("replay", tmp_path / "t.parquet", "--maps", tiny_sh().maps[0])
    assert (done.exit_code, done.stdout) == (2, "")
    assert run("replay", "--scenario", SCENARIO, "--maps", tiny_sh().maps[0]).exit_code == 2


def test_a_word_outside_the_scenario_grammar_is_marked():
    done = run("replay", "--scenario", "map 10 20 rw; wirte 12")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "found 'wirte'" in done.stderr
    source, marker = done.stderr.splitlines()[1:3]
    assert source[marker.index("~") : marker.rindex("~") + 1] == "wirte"


# --- inspect, convert, report, samples ---


@pytest.mark.parametrize("name", ["zoo", "zoo-overwrite", "swapfork", "pycow", "tiny-sh", "split-order"])
def test_inspect_fits_one_screen(name: str):
    done = run("inspect", name)
    assert done.exit_code == (3 if name == "zoo-overwrite" else 0)
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for word in (
        "trace",
        "mmap",
        "write_fault",
        "processes",
        "read:",
        "lost",
        "unreadable",
        "tells mappings",
    ):
        assert word in done.stdout


def test_inspect_json_counts_every_event():
    survey = json.loads(run("inspect", "tiny-sh", "--json").stdout)
    assert sum(survey["events_by_op"].values()) == survey["events"]
    assert survey["line_counts"]["unreadable"] == 0


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "jsonl"])
def test_a_converted_trace_replays_to_the_same_summary(tmp_path: Path, suffix: str):
    path = tmp_path / f"events.{suffix}"
    assert run("convert", "tiny-sh", "-o", path).exit_code == 0
    summary, expected = (json.loads(run("replay", trace, "--json").stdout) for trace in (path, "tiny-sh"))
    for each in (summary, expected):
        each["trace"].pop("path")
        each["trace"].pop("format")
    assert summary == expected


def test_convert_to_an_unknown_suffix_is_wrong_usage_and_writes_nothing(tmp_path: Path):
    done = run("convert", "tiny-sh", "-o", tmp_path / "events.xlsx")
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_a_report_from_saved_results_equals_one_straight_from_the_trace(tmp_path: Path, suffix: str):
    direct, saved = tmp_path / f"direct.{suffix}", tmp_path / f"saved.{suffix}"
    assert run("replay", "fork-family", "--out", tmp_path / "results").exit_code == 0
    assert run("report", tmp_path / "results", "-o", saved).exit_code == 0
    assert run("report", "fork-family", "-o", direct).exit_code == 0
    assert saved.read_text(encoding="utf-8") == direct.read_text(encoding="utf-8")


def test_a_report_draws_the_process_asked_for_and_charts_beside_markdown(tmp_path: Path):
    run("replay", "fork-family", "--out", tmp_path / "results")
    assert run("report", tmp_path / "results", "-o", tmp_path / "r.md", "--pid", "2", "--svg").exit_code == 0
    assert "Vmas of pid 2 over the trace" in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert (tmp_path / "r.figures" / "01.svg").is_file()
    assert run("report", tmp_path / "results", "-o", tmp_path / "r.html", "--svg").exit_code == 2
    refused = run("report", tmp_path / "results", "-o", tmp_path / "r.html", "--pid", "77")
    assert refused.exit_code == 2
    assert "no vma of pid 77" in refused.stderr


def test_a_report_of_a_directory_without_results_says_what_is_missing(tmp_path: Path):
    done = run("report", tmp_path, "-o", tmp_path / "report.html")
    assert done.exit_code == 1
    assert "expected all results of `anonvma-trace replay --out`, found no summary.json" in done.stderr


def test_options_of_a_replay_beside_saved_results_are_wrong_usage(tmp_path: Path):
    run("replay", "fork-family", "--out", tmp_path / "results")
    assert run("report", tmp_path / "results", "--rule", "rmap40", "-o", tmp_path / "r.md").exit_code == 2


def test_samples_lists_every_sample_and_where_they_are():
    done = run("samples", COLUMNS="200")
    assert done.exit_code == 0
    for sample in samples.list_samples():
        assert sample.name in done.stdout
    assert str(samples.samples_directory()) in done.stdout
    listed = json.loads(run("samples", "--json").stdout)
    assert [each["name"] for each in listed["samples"]] == [sample.name for sample in samples.list_samples()]


# --- inputs that are wrong or incomplete ---


def _missing(folder: Path) -> Path:
    return folder / "missing.trace"


def _empty(folder: Path) -> Path:
    (folder / "empty.trace").write_bytes(b"")
    return folder / "empty.trace"


def _directory(folder: Path) -> Path:
    (folder / "directory.trace").mkdir()
    return folder / "directory.trace"


def _binary(folder: Path) -> Path:
    (folder / "binary.trace").write_bytes(bytes(range(256)) * 64)
    return folder / "binary.trace"


def _noise(folder: Path) -> Path:
    (folder / "noise.trace").write_bytes(random.Random(39).randbytes(20_000))
    return folder / "noise.trace"


def _prose(folder: Path) -> Path:
    (folder / "prose.txt").write_text("Dear reader,\nthis is no trace.\n")
    return folder / "prose.txt"


def _truncated_compression(folder: Path) -> Path:
    whole = samples.get_sample("shell").path.read_bytes()
    (folder / "cut.trace.zst").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.trace.zst"


@pytest.mark.parametrize("make_input", [_missing, _empty, _directory, _binary, _noise, _prose])
@pytest.mark.parametrize("command", ["inspect", "convert", "replay", "report"])
def test_an_input_that_is_no_trace_is_told_once_and_clearly(tmp_path: Path, make_input, command: str):
    path = make_input(tmp_path)
    output = {
        "inspect": [],
        "convert": ["-o", str(tmp_path / "out" / "events.parquet")],
        "replay": ["--out", str(tmp_path / "out")],
        "report": ["-o", str(tmp_path / "out" / "report.html")],
    }[command]
    done = run(command, path, *output)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(str(path))
    for word in ("expected", "found", "hint:"):
        assert done.stderr.count(word) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def unreadable_file(tmp_path: Path) -> Iterator[Path]:
    """Yield a file that may not be read; root gives up its right to read everything for the test."""
    run("inspect", "split-order")  # whatever is imported late is imported now
    path = tmp_path / "secret.trace"
    path.write_text("x")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield path
    os.seteuid(user)


def test_a_file_without_permission_is_told(unreadable_file: Path):
    done = run("replay", unreadable_file)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ermission denied" in done.stderr


def test_a_truncated_compressed_trace_gives_what_can_be_read_and_status_3(tmp_path: Path):
    done = run("replay", _truncated_compression(tmp_path), "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["trace"]["events"] > 100
    assert "could not be read" in done.stderr


def test_a_trace_cut_in_the_middle_of_a_line_gives_status_3(tmp_path: Path):
    whole = tiny_sh().path.read_bytes()
    path = tmp_path / "cut.trace"
    path.write_bytes(whole[: whole.rindex(b"address=0x") + 10])
    done = run("replay", path, "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["trace"]["unreadable_lines"] == 1
    assert f"{path}: 1 line could not be read" in done.stderr


def test_events_lost_by_the_recorder_give_status_3_and_the_result_says_so():
    done = run("replay", "zoo-overwrite", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["trace"]["lost_events"] > 0
    assert "lost by the recorder" in done.stderr
    assert run("inspect", "zoo-overwrite").exit_code == 3


def test_a_loss_of_unknown_size_counts_one_event_and_taints(tmp_path: Path):
    lines = tiny_sh().path.read_bytes().splitlines(keepends=True)
    path = tmp_path / "lossy.trace"
    path.write_bytes(b"".join([*lines[:200], b"CPU:1 [LOST EVENTS]\n", *lines[200:]]))
    done = run("replay", path, "--json")
    assert done.exit_code == 3
    summary = json.loads(done.stdout)
    assert (summary["trace"]["lost_events"], summary["trace"]["unreadable_lines"]) == (1, 0)
    assert 0 < summary["trace"]["tainted_processes"] <= summary["trace"]["processes"]


def test_a_trace_without_its_middle_third_still_replays(tmp_path: Path):
    lines = tiny_sh().path.read_bytes().splitlines(keepends=True)
    path = tmp_path / "gap.trace"
    path.write_bytes(b"".join(lines[: len(lines) // 3] + lines[2 * len(lines) // 3 :]))
    done = run("replay", path, "--maps", tiny_sh().maps[0])
    assert done.exit_code in (0, 3)
    assert "Traceback" not in done.stderr


# --- streams ---


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize("command", ["inspect", "replay", "samples"])
def test_output_fits_the_terminals_width(columns: str, command: str):
    arguments = [] if command == "samples" else ["alternating-protections"]
    lines = run(command, *arguments, COLUMNS=columns).stdout.splitlines()
    if command == "samples":
        lines = lines[:-1]  # the folder's path is not broken
    assert max(map(len, lines)) <= int(columns)


def test_no_colour_in_a_pipe():
    assert b"\x1b" not in run_process("replay", "alternating-protections").stdout


def test_no_color_is_honoured_on_a_terminal():
    coloured = run("replay", "boundary-shift-bug", FORCE_COLOR="1").stdout
    plain = run("replay", "boundary-shift-bug", FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b[35m" in coloured or "\x1b[1;35m" in coloured  # a finding
    assert "35m" not in plain


@pytest.mark.parametrize(
    "arguments", [["samples"], ["replay", "split-order"], ["replay", "split-order", "--json"]]
)
def test_a_reader_that_leaves_early_is_no_error(arguments: list[str]):
    command = [sys.executable, "-m", "anonvma_trace", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_an_interrupt_gives_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("anonvma_trace.analysis.run_replay", interrupted)
    done = run("replay", "split-order")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_defect_of_the_tool_shows_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch):
    def broken(*_arguments, **_keywords):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("anonvma_trace.analysis.run_replay", broken)
    quiet, loud = run("replay", "split-order"), run("replay", "split-order", "--debug")
    assert (quiet.exit_code, loud.exit_code) == (1, 1)
    assert "Traceback" not in quiet.stderr
    assert "ZeroDivisionError: by zero" in quiet.stderr
    assert "--debug" in quiet.stderr
    assert "Traceback" in loud.stderr


def test_an_interrupt_while_the_program_starts_is_quiet_too(monkeypatch: pytest.MonkeyPatch, capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    with pytest.raises(SystemExit) as leaving:
        __main__.main()
    assert leaving.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_explain_tells_why_two_vmas_did_not_merge():
    result = run("explain", "--scenario", "map 10 12 rw; map 12 14 r", "--event", "2")
    assert result.exit_code == 0
    assert "refused (flags). The flags must be equal: the range has r--, vma 1 rw- ACCOUNT" in " ".join(
        result.stdout.split()
    )


@pytest.mark.parametrize("subject", ["event", "page"])
def test_explain_tells_what_the_whole_input_lacks(tmp_path: Path, subject):
    whole = tiny_sh().path.read_bytes()
    path = tmp_path / "cut.trace"
    path.write_bytes(whole[: whole.rindex(b"address=0x") + 10])  # far behind the event
    rows = anonvma_trace.read_trace(tiny_sh().path).table.to_pylist()
    fault = next(at for at, row in enumerate(rows) if row["op"] == "write_fault")
    page = ("--addr", str(rows[fault]["addr"]), "--pid", str(rows[fault]["pid"]))
    asked = ("--event", str(fault + 1)) if subject == "event" else page
    done = run("explain", path, *asked)
    assert done.exit_code == 3
    assert f"{path}: 1 line could not be read" in done.stderr
    assert run("explain", tiny_sh().path, *asked).exit_code == 0


def test_explain_json_holds_the_same_lines():
    told = json.loads(
        run("explain", "--scenario", "map 10 12 rw; w 10", "--addr", "0xa000", "--pid", "1", "--json").stdout
    )
    assert [section["name"] for section in told["explanation"]] == ["page 0xa000", "event 1", "event 2"]


@pytest.mark.parametrize(
    "subject", [(), ("--event", "1", "--pid", "1"), ("--addr", "16"), ("--addr", "x", "--pid", "1")]
)
def test_explain_wants_one_subject(subject):
    result = run("explain", "--scenario", "map 10 12 rw", *subject)
    assert result.exit_code == 2
    assert "expected" in result.stderr
