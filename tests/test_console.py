"""How errors, losses and summaries look."""

from __future__ import annotations

import io
import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from anonvma_trace import cli, console
from anonvma_trace.errors import TraceSyntaxError
from anonvma_trace.events import TraceMetadata
from anonvma_trace.reports import document
from anonvma_trace.reports.document import Column
from anonvma_trace.result_tables import ResultTables
from anonvma_trace.summary_text import Section, diagnostics_section, loss_warnings, summary_sections
from anonvma_trace.survey import TraceSurvey
from anonvma_trace.survey_text import survey_sections
from anonvma_trace.tables import TABLES, empty_summary
from anonvma_trace.trace import Diagnostic, Loss, Trace


def _error(path: Path, line: int, column: int, found: str) -> TraceSyntaxError:
    return TraceSyntaxError(str(path), line, column, "a hexadecimal address", found, "the line looks damaged")


def test_an_error_shows_the_line_and_marks_the_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "faults.ftrace"
    path.write_text("first line\nbash-812 page_fault_user: address=0x7fZZ10 ip=0x40\n")
    console.print_error(_error(path, 2, 35, "'0x7fZZ10'"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"{path}:2:35: expected a hexadecimal address, found '0x7fZZ10'",
        "  bash-812 page_fault_user: address=0x7fZZ10 ip=0x40",
        "                                    ~~~~~~~~",
        "hint: the line looks damaged",
    ]


def test_an_error_without_a_column_shows_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "t"
    path.write_text("one\n")
    console.print_error(_error(path, 1, 0, "nothing"))
    assert "~" not in capsys.readouterr().err


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_long_line_is_cut_so_that_the_marked_place_is_seen(tmp_path: Path, width: int):
    line = "x" * 300 + " BAD " + "y" * 300 + "\n"
    text, marker = console.marked_line(_error(tmp_path, 1, 302, "'BAD'"), line, width)
    assert len(text) <= width
    assert len(marker) <= width
    assert text[marker.index("~") : marker.rindex("~") + 1] == "BAD"


def test_tabs_do_not_shift_the_marker(tmp_path: Path):
    text, marker = console.marked_line(_error(tmp_path, 1, 5, "'BAD'"), "a\tb\tBAD\n", 80)
    assert text[marker.index("~") :].startswith("BAD")


def test_markup_in_a_trace_is_text(capsys: pytest.CaptureFixture[str]):
    summary = empty_summary()
    summary["trace"]["path"] = "[red]odd[/red] :smile: name"
    console.print_sections(summary_sections(summary))
    assert "[red]odd[/red] :smile: name" in capsys.readouterr().out


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_the_summary_fits_the_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", str(width))
    console.print_sections(summary_sections(empty_summary()))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("trace")


def terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> io.StringIO:
    """Let standard output be a terminal that shows colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", **environment}.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdout", out)
    return out


COLOUR = re.compile(r"\x1b\[[0-9;]*[34][0-7]")
NOTES = [Section("notes", ["warning a: b", "finding c: d", "info e: f"])]


def test_a_terminal_shows_colours(monkeypatch: pytest.MonkeyPatch):
    out = terminal(monkeypatch)
    console.print_sections(NOTES)
    assert COLOUR.search(out.getvalue())


def test_no_color_shows_none(monkeypatch: pytest.MonkeyPatch):
    out = terminal(monkeypatch, NO_COLOR="1")
    console.print_sections(NOTES)
    assert "warning a: b" in out.getvalue()
    assert not COLOUR.search(out.getvalue())


def test_a_pipe_shows_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.print_sections(NOTES)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [50, 80])
@pytest.mark.parametrize(
    "command",
    [
        ("replay", "zoo"),
        ("inspect", "zoo"),
        ("samples",),
        ("compare", "fork-family"),
        ("explain", "zoo", "--event", "1959"),
    ],
)
def test_every_command_fits_the_terminal(width: int, command: tuple[str, ...]):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli.app, list(command))
    assert done.exit_code == 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith("in /")]  # a path is left whole
    assert max(map(len, lines)) <= width
    assert "…" not in done.stdout and "\x1b" not in done.stdout


def test_levels_over_the_trace_are_sparklines_on_one_line(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    course = list(range(40))
    levels = pl.DataFrame(
        dict.fromkeys(("vmas", "anon_vmas", "longest_list"), course) | {"anon_pages": [0] * 40}
    )
    console.print_sections(summary_sections(empty_summary(), levels))
    drawn = [line for line in capsys.readouterr().out.splitlines() if "over time" in line]
    assert len(drawn) == 3  # none of a level that has no course
    for line in drawn:
        spark = line.split("over time ")[1]
        assert len(spark) == 28 and spark[-1] == "█" and sorted(spark) == list(spark)


def test_a_table_too_wide_is_printed_in_parts_with_whole_numbers():
    columns = (Column("name", "", "text"), *(Column(f"n{at}", f"n{at}") for at in range(9)))
    table = document.Table("wide", columns, (("first", *[1_234_567] * 9), ("second", *range(9))))
    parts = console.side_ways(table, 50)
    assert [len(part.columns) for part in parts] == [5, 5, 2]
    assert all(part.values("name") == ["first", "second"] for part in parts)
    numbers = [column.name for part in parts for column in part.columns[1:]]
    assert numbers == [f"n{at}" for at in range(9)]
    assert console.side_ways(table, 200) == [table]


def test_every_section_of_the_summary_has_text_even_for_an_empty_replay():
    sections = summary_sections(empty_summary())
    assert [section.name for section in sections] == [
        "trace",
        "scheme",
        "vmas",
        "anon_vmas",
        "pages",
        "merges",
        "reclaim",
        "overhead",
        "findings",
    ]
    assert all(section.lines for section in sections)


def test_refusals_are_told_the_most_frequent_first():
    summary = empty_summary()
    summary["merges"] |= {"attempts": 9, "merged": 2, "refused_new": 3}
    summary["merges"]["refused"] |= {"flags": 1, "prev_next": 3, "file": 2}
    merges = next(section for section in summary_sections(summary) if section.name == "merges")
    assert merges.lines == [
        "9 attempts, 2 merged",
        "refused: prev_next 3, file 2, flags 1",
        "new with rmap 39: 3",
    ]


def test_findings_are_told_in_words():
    summary = empty_summary()
    summary["findings"] = {"unreachable_pages": 2, "dangling_pages": 1, "bugs": 1}
    assert next(section for section in summary_sections(summary) if section.name == "findings").lines == [
        "2 pages that no walk reaches",
        "1 page whose anon_vma is freed",
        "1 event at which the kernel would have stopped (BUG)",
    ]


def test_figures_that_are_null_read_as_not_defined():
    summary = empty_summary()
    summary["findings"] |= {"unreachable_pages": None, "dangling_pages": None}
    summary["overhead_bytes"]["i386"] = None
    sections = {section.name: section.lines for section in summary_sections(summary)}
    assert sections["findings"] == ["unreachable pages: not defined", "dangling pages: not defined"]
    assert sections["overhead"] == ["at the peak not defined on i386, 0 bytes on x86_64"]


def test_walks_of_file_pages_stand_apart():
    summary = empty_summary()
    assert "file pages" not in {section.name for section in summary_sections(summary)}
    summary["file_reclaim"] |= {
        "pages": 2,
        "walks": 3,
        "vmas_visited": 5,
        "hits": 4,
        "miss_none": 1,
        "unmapped": 1,
    }
    sections = {section.name: section.lines for section in summary_sections(summary)}
    assert sections["reclaim"] == ["no walk: no event looks at a page for reclaim"]
    assert sections["file pages"][:2] == ["2 looks at pages of files", "3 walks visited 5 vmas, 4 hits"]


def test_locks_are_told_by_operation_before_the_patch_and_with_it():
    summary = empty_summary()
    summary["locks"] = {
        operation: {
            "before": {"i_mmap_lock": file, "page_table_lock": before},
            "after": {"i_mmap_lock": file, "page_table_lock": after, "anon_vma_lock": anon_vma},
        }
        for operation, file, before, after, anon_vma in [
            ("vma_link", 3, 2_000, 0, 1),
            ("prepare", 0, 0, 0, 0),
            ("walk", 0, None, 7, 4),
        ]
    }
    assert next(section for section in summary_sections(summary) if section.name == "locks").lines == [
        "page_table_lock, before the patch → with it: vma_link 2,000 → 0, walk not defined → 7",
        "anon_vma->lock, with the patch only: vma_link 1, walk 4",
        "i_mmap_lock, with the patch as before it: vma_link 3",
    ]


def test_a_baseline_is_told_with_why_it_is_not_the_count_of_new_refusals():
    summary = empty_summary()
    summary["baseline"] = {
        "rule": "merge_pre_rmap39",
        "vmas": {"created": 9, "live": 1, "peak": 8, "splits": 0, "mean": 4.5},
        "merges": {"attempts": 6, "merged": 5},
        "vmas_more": {"live": 0, "peak": 2, "mean": 0.5},
    }
    lines = summary_sections(summary)[-1].lines
    assert lines[:3] == [
        "under merge_pre_rmap39: peak 8, mean 4.5, 1 at the end",
        "here +2 at the peak, +0.5 in the mean, +0 at the end",
        "5 of 6 merges succeeded there",
    ]
    assert "a refusal changes what later attempts meet" in lines[3]


def test_a_survey_tells_lines_by_fate_and_what_could_not_be_read(capsys: pytest.CaptureFixture[str]):
    survey = TraceSurvey(
        path="run.trace",
        metadata=TraceMetadata(format="ftrace", complete=False, lost_events=5, unreadable_lines=1),
        events=3,
        events_by_op={"mmap": 2, "exit": 1},
        processes=1,
        last_ts=1_500_000_000,
        line_counts={"events": 3, "headers": 11, "unreadable": 1, "blank": 0},
        losses=[Loss("bad-number", "expected a hexadecimal address", 1, [(7, 12, "address=0x7fZZ10")])],
        diagnostics=[Diagnostic("warning", "some-code", "a message")],
    )
    console.print_sections(survey_sections(survey))
    out = capsys.readouterr().out
    assert "mmap 2, exit 1" in out
    assert "events 3, headers 11, unreadable 1" in out
    assert "5 events lost by the recorder" in out
    assert "expected a hexadecimal address" in out
    assert "line 7, column 12: address=0x7fZZ10" in out
    assert "warning some-code: a message" in out


def test_output_into_a_closed_pipe_is_quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return own.fileno()

    with (tmp_path / "own").open("w") as own:
        monkeypatch.setattr("sys.stdout", Closed())
        console.print_json({})


def test_diagnostics_are_told_by_kind_the_gravest_first():
    rows = [
        {"severity": "info", "event": None, "line": None, "code": "a", "message": "first a"},
        {"severity": "finding", "event": 7, "line": 7, "code": "b", "message": "first b"},
        {"severity": "info", "event": None, "line": None, "code": "a", "message": "second a"},
    ]
    table = pa.Table.from_pylist(rows, TABLES["diagnostics"])
    section = diagnostics_section(ResultTables(empty_summary(), {"diagnostics": table}))
    assert section.lines == ["finding b at event 7: first b", "info a: first a (and 1 more)"]


def test_a_replay_without_diagnostics_says_so():
    assert diagnostics_section(ResultTables(empty_summary(), {})).lines == ["none"]


def test_losses_are_told_with_number_reason_and_place():
    trace = Trace("run.trace", lambda: LossyStream())
    assert loss_warnings(trace) == [
        "warning: run.trace: 5 events lost by the recorder, what they did is missing\n"
        "hint: record again with a larger buffer",
        "warning: run.trace: 1 line could not be read: expected a hexadecimal address (bad-number)\n"
        "  line 7, column 12: address=0x7fZZ10",
    ]


class LossyStream:
    """A stream that is exhausted already: only what it tells about losses is looked at."""

    format = "ftrace"
    metadata = TraceMetadata(format="ftrace", lost_events=5, unreadable_lines=1)
    losses = (Loss("bad-number", "expected a hexadecimal address", 1, [(7, 12, "  address=0x7fZZ10")]),)
