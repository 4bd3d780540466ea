"""Validation: every difference between replay and snapshots is found and told, and nothing else is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import anonvma_trace
from anonvma_trace import cli, samples
from anonvma_trace.parsers.proc_maps import read_snapshots
from anonvma_trace.validation import Validation

from .replay.scenario_text import scenario_rows

PAGE = 4096
ALL_EQUAL = {
    "snapshots": 1,
    "compared": 1,
    "pages_equal": 1,
    "borders_equal": 1,
    "anon_pages_equal": 1,
    "anon_pages": 2,
    "anon_pages_missing": 0,
    "anon_pages_extra": 0,
}


def mark(number=1, pid=1):
    return {"op": "mark", "pid": pid, "len": number}


def snapshot(*mappings, pages="", n=1, pid=1, why="exit"):
    """Return a block; a mapping is 'LOW HIGH rw-p [NAME]' and pages 'A LOW PFN:COUNT …', both in pages."""
    lines = [f"# SNAP n={n} why={why} t_mono=1.5 pid={pid} comm=x", "# MAPS"]
    for mapping in mappings:
        low, high, prot, *name = mapping.split()
        lines.append(f"{int(low) * PAGE:x}-{int(high) * PAGE:x} {prot} 00000000 00:00 0    {' '.join(name)}")
    lines.append("# PAGES")
    for run in filter(None, pages.split("; ")):
        kind, low, *entries = run.split()
        lines.append(f"{kind} {int(low) * PAGE:x} {' '.join(entries)}")
    return "\n".join([*lines, f"# END n={n}\n"])


@pytest.fixture
def validate(tmp_path):
    """Replay rows (a scenario, or rows of the event table) beside snapshots."""

    def replay(events, *blocks, complete=True):
        rows = [*scenario_rows(events), mark()] if isinstance(events, str) else events
        trace = tmp_path / "trace.jsonl"
        trace.write_text(
            "".join(json.dumps({"ts": 1, **row, "line": 10 * n}) + "\n" for n, row in enumerate(rows, 1))
        )
        if not complete:
            meta = {"anonvma_trace.schema": "1", "anonvma_trace.complete": "0"}
            trace.with_name("trace.jsonl.meta.json").write_text(json.dumps(meta))
        (tmp_path / "snapshots.txt").write_text("".join(blocks))
        return anonvma_trace.replay_trace(trace, validate=[tmp_path / "snapshots.txt"])

    return replay


def told(replay):
    """Return the codes of the diagnostics of validation, each with its message."""
    rows = replay.diagnostics.filter(replay.diagnostics["code"].cast(str).str.starts_with("validate-"))
    assert set(rows["severity"]) <= {"warning"}
    return dict(zip(rows["code"].to_list(), rows["message"].to_list(), strict=True))


def figures(replay, **different):
    """Return the figures as they would be with nothing but these different from `ALL_EQUAL`, and as they are."""
    return replay.summary["validation"], ALL_EQUAL | different


BASE = "map 10 12 rw; w 10; map 20 22 r file f 0; prot 20 21 rw; w 20"
RECORDED = ("10 12 rw-p", "20 21 rw-p /f", "21 22 r--p /f")
PAGES = "A 10 1f:1; A 20 20:1"


def test_what_is_equal_is_counted_and_nothing_is_told(validate):
    replay = validate(BASE, snapshot(*RECORDED, pages=PAGES))
    assert replay.summary["validation"] == ALL_EQUAL
    assert told(replay) == {}


def test_without_validate_the_summary_says_nothing_of_it():
    assert "validation" not in anonvma_trace.replay_trace("split-order").summary


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        (("10 12 r--p", *RECORDED[1:]), "2 pages mapped otherwise: a000-c000 r--p, replayed rw-p"),
        (("10 12 rw-s", *RECORDED[1:]), "2 pages mapped otherwise: a000-c000 rw-s, replayed rw-p"),
        (("10 12 rwxp", *RECORDED[1:]), "2 pages mapped otherwise: a000-c000 rwxp, replayed rw-p"),
        (("10 11 rw-p", *RECORDED[1:]), "1 page mapped otherwise: b000-c000 none, replayed rw-p"),
        (("10 13 rw-p", *RECORDED[1:]), "1 page mapped otherwise: c000-d000 rw-p, replayed none"),
        (("10 12 rw-p", "20 22 rw-p /f"), "1 page mapped otherwise: 15000-16000 rw-p, replayed r--p"),
        (("10 12 rw-p", "20 21 r--p /f", "21 22 ---p /f"),
         "2 pages mapped otherwise: 14000-15000 r--p, replayed rw-p, 15000-16000 ---p, replayed r--p"),
        (("10 11 ---p", "11 12 ---p", *RECORDED[1:]), "2 pages mapped otherwise: a000-c000 ---p, replayed rw-p"),
    ],
)  # fmt: skip
def test_pages_mapped_otherwise_are_told_with_both_permissions(validate, mappings, message):
    replay = validate(BASE, snapshot(*mappings, pages=PAGES))
    found, expected = figures(replay, pages_equal=0)
    assert found | {"borders_equal": 1} == expected
    assert told(replay)["validate-pages"].endswith(message)


def test_a_snapshot_of_nothing_differs_in_everything(validate):
    replay = validate(BASE, snapshot())
    found, expected = figures(
        replay, pages_equal=0, borders_equal=0, anon_pages_equal=0, anon_pages=0, anon_pages_extra=2
    )
    assert found == expected


def test_borders_alone_may_differ(validate):
    """The replay merges or splits where the recorded kernel did not; the pages are the same."""
    replay = validate(BASE, snapshot("10 11 rw-p", "11 12 rw-p", *RECORDED[1:], pages=PAGES))
    found, expected = figures(replay, borders_equal=0)
    assert found == expected
    assert told(replay).keys() == {"validate-borders"}
    assert "4 vmas recorded, 3 replayed; 1 border only recorded (b000)" in told(replay)["validate-borders"]


@pytest.mark.parametrize(
    ("pages", "counts", "message"),
    [
        ("A 10 1f:1", (1, 0, 1), "of 1 anonymous page 1 extra: 14000-15000"),
        ("A 10 1f:1 20:1; A 20 21:1", (3, 1, 0), "of 3 anonymous pages 1 missing: b000-c000"),
        ("A 10 1f:1 20:1; S 21 1:5", (3, 2, 1),
         "of 3 anonymous pages 2 missing: b000-c000, 15000-16000; 1 extra: 14000-15000"),
        ("", (0, 0, 2), "of 0 anonymous pages 2 extra: a000-b000, 14000-15000"),
    ],
)  # fmt: skip
def test_missing_and_extra_anonymous_pages_are_told(validate, pages, counts, message):
    replay = validate(BASE, snapshot(*RECORDED, pages=pages))
    total, missing, extra = counts
    found, expected = figures(
        replay, anon_pages_equal=0, anon_pages=total, anon_pages_missing=missing, anon_pages_extra=extra
    )
    assert found == expected
    assert told(replay).keys() == {"validate-anon-pages"}
    assert told(replay)["validate-anon-pages"].endswith(message)


@pytest.mark.parametrize(
    ("events", "pages"),
    [
        (BASE + "; swap_out 10", PAGES),  # replay has it in swap, the kernel in memory
        (BASE, "S 10 1:0; A 20 20:1"),  # the other way round
        (BASE + "; swap_out 10; swap_out 20", "S 10 1:0; S 20 1:1"),
        (BASE + "; r 11; r 21", "A 10 1f:1 0:0; A 20 20:1"),  # the zero page, and a page of the file
        (BASE + "; r 11", "A 10 1f:1 3b34:0; A 20 20:1"),  # the zero page by its true pfn
    ],
)
def test_swapped_pages_count_and_the_zero_page_does_not(validate, events, pages):
    assert validate(events, snapshot(*RECORDED, pages=pages)).summary["validation"] == ALL_EQUAL


STACK = {"op": "vma", "pid": 1, "addr": 40 * PAGE, "len": 2 * PAGE, "prot": 3, "flags": 0x122}
VDSO = {"op": "vma", "pid": 1, "addr": 50 * PAGE, "len": PAGE, "prot": 5, "flags": 2, "file": "[vdso]"}


@pytest.mark.parametrize(
    "aside",
    [
        ("38 42 rw-p [stack]", "50 51 r-xp [vdso]"),  # the recorded stack has grown further
        ("41 42 rw-p [stack]", "50 51 r-xp [vdso]"),  # the replayed one has
        ("40 42 rwxp [stack]", "44 46 r--p [vvar]", "46 48 r--p [vvar_vclock]", "50 52 r-xp [vdso]"),
        ("40 42 rw-p [stack]", "50 51 r-xp [vdso]", "4503599627370000 4503599627370001 --xp [vsyscall]"),
    ],
)
def test_stack_and_the_kernels_own_mappings_stand_aside(validate, aside):
    """With their anonymous pages."""
    rows = [STACK, VDSO, *scenario_rows(BASE + "; w 41"), mark()]
    replay = validate(rows, snapshot(*RECORDED, *aside, pages=f"{PAGES}; A 41 30:1; A 50 31:1"))
    assert replay.summary["validation"] == ALL_EQUAL


def test_another_vma_that_grows_down_does_not_stand_aside(validate):
    rows = [*scenario_rows(BASE + "; map 30 32 rw growsdown; w 31"), STACK, mark()]
    replay = validate(rows, snapshot(*RECORDED, "40 42 rw-p [stack]", pages=PAGES))
    found, expected = figures(replay, pages_equal=0, borders_equal=0, anon_pages_equal=0, anon_pages_extra=1)
    assert found == expected


def test_each_snapshot_is_compared_at_its_own_mark(validate):
    rows = [
        *scenario_rows("map 10 12 rw; w 10; fork m2"),
        mark(1),
        *scenario_rows("w 11; m2: unmap 11 12"),
        mark(2),
        mark(3, pid=2),
        *scenario_rows("unmap 10 12"),
    ]
    replay = validate(
        rows,
        snapshot("10 12 rw-p", pages="A 10 1:2", n=1, why="mark"),
        snapshot("10 12 rw-p", pages="A 10 1:2 2:1", n=2, why="mark"),
        snapshot("10 11 rw-p", pages="A 10 1:2", n=3, pid=2),
        snapshot("90 91 rw-p", n=4, why="start"),  # those are for --maps
        snapshot("90 91 rw-p", n=5, why="exec"),
    )
    assert told(replay) == {}
    validation = replay.summary["validation"]
    assert (validation["snapshots"], validation["compared"], validation["pages_equal"]) == (3, 3, 3)
    assert (validation["anon_pages_equal"], validation["anon_pages"]) == (3, 4)


def test_a_difference_is_told_with_its_event_and_line(validate):
    replay = validate(BASE, snapshot("10 11 rw-p", pages=PAGES, n=1))
    rows = replay.diagnostics.filter(replay.diagnostics["code"].cast(str) == "validate-pages")
    assert rows["event"].to_list() == [6]
    assert rows["line"].to_list() == [60]
    assert re.match(r"snapshot 1 \(exit\) of pid 1, \S*snapshots.txt:1: ", rows["message"][0])


def test_many_ranges_are_counted_and_the_first_shown(validate):
    events = "; ".join(f"map {page} {page + 1} rw" for page in range(10, 30, 2))
    message = told(validate(events, snapshot()))["validate-pages"]
    assert "10 pages mapped otherwise: a000-b000 none, replayed rw-p, c000-d000" in message
    assert message.endswith(" and 6 more")


# --- what cannot be compared ---


def test_a_snapshot_of_a_process_that_exited_before_is_compared_with_nothing(validate):
    rows = [*scenario_rows(BASE + "; exit"), mark()]
    replay = validate(rows, snapshot(*RECORDED, pages=PAGES))
    found, expected = figures(
        replay, pages_equal=0, borders_equal=0, anon_pages_equal=0, anon_pages_missing=2
    )
    assert found == expected
    assert "has exited by then" in told(replay)["validate-exited"]


def not_compared(snapshots=1):
    return dict.fromkeys(ALL_EQUAL, 0) | {"snapshots": snapshots}


def test_a_snapshot_of_a_process_without_events_is_not_compared(validate):
    replay = validate([*scenario_rows(BASE), mark(1, pid=7)], snapshot(*RECORDED, n=1, pid=7))
    assert replay.summary["validation"] == not_compared()
    assert "no other event of this process" in told(replay)["validate-not-compared"]


def test_a_snapshot_of_a_process_whose_image_is_unknown_is_not_compared(validate):
    replay = validate(BASE, snapshot(*RECORDED, pages=PAGES), complete=False)
    assert replay.summary["validation"] == not_compared()
    assert "see --maps" in told(replay)["validate-not-compared"]


LOST = {"op": "lost", "pid": 0, "len": 3}


def test_a_snapshot_after_lost_events_is_not_compared(validate):
    rows = [*scenario_rows("map 10 12 rw"), LOST, *scenario_rows(BASE), mark()]
    replay = validate(rows, snapshot(*RECORDED, pages=PAGES))
    assert replay.summary["validation"] == not_compared()
    assert "events were lost before it (event 2)" in told(replay)["validate-not-compared"]


def test_a_program_started_after_the_loss_is_compared(validate):
    rows = [
        *scenario_rows("map 30 32 rw"),
        LOST,
        {"op": "exec", "pid": 1, "file": "/x"},
        *scenario_rows(BASE),
    ]
    assert validate([*rows, mark()], snapshot(*RECORDED, pages=PAGES)).summary["validation"] == ALL_EQUAL


def test_an_exit_that_may_have_been_another_process_s_is_not_compared(validate):
    """The fork of the second one with this pid may be among the lost events."""
    rows = [*scenario_rows(BASE + "; exit"), LOST, mark()]
    assert validate(rows, snapshot(*RECORDED)).summary["validation"] == not_compared()


def test_a_snapshot_without_a_marker_is_told(validate):
    replay = validate(BASE, snapshot(*RECORDED, pages=PAGES), snapshot(n=2), snapshot(n=1, pid=3))
    found, expected = figures(replay, snapshots=3)
    assert found == expected
    codes = replay.diagnostics["code"].to_list()
    assert codes.count("validate-no-marker") == 2
    assert "no marker line" in told(replay)["validate-no-marker"]


def test_a_file_without_a_snapshot_to_compare_is_told(validate, tmp_path):
    replay = validate(BASE, snapshot(*RECORDED, why="start"))
    assert replay.summary["validation"] == not_compared(0)
    assert "holds no snapshot" in told(replay)["validate-no-snapshot"]
    plain = tmp_path / "maps"
    plain.write_text("00400000-0041f000 r-xp 0001f000 fe:00 260811 /a\n")
    assert Validation.of_files([str(plain)]).diagnostics()[0].code == "validate-no-snapshot"


def test_several_files_are_taken_together_and_a_snapshot_counts_once(validate, tmp_path):
    validate(BASE, snapshot(*RECORDED, pages=PAGES))
    second = tmp_path / "more.txt"
    second.write_text(snapshot(n=9))
    first = tmp_path / "snapshots.txt"
    replay = anonvma_trace.replay_trace(tmp_path / "trace.jsonl", validate=[first, second, first])
    found, expected = figures(replay, snapshots=2)
    assert found == expected


def test_a_validation_takes_the_snapshots_that_it_is_for():
    found = read_snapshots([str(path) for path in samples.get_sample("tiny-sh").maps])
    assert Validation(found).figures.snapshots == 3  # of 6


# --- real recordings ---

RECORDINGS = {
    # Snapshots, compared, with the same vma borders; anonymous pages in them.
    "cowfork-50": (104, 104, 104, 6220),
    "pycow": (9, 9, 6, 11370),
    "redis-midrun": (5, 5, 5, 24011),
    "shell": (25, 25, 25, 1232),
    "swapfork": (16, 16, 14, 66320),
    "threxec": (8, 8, 2, 425),
    "tiny-sh": (3, 3, 3, 69),
    "zoo": (42, 42, 11, 16386),
    "zoo-overwrite": (19, 1, 1, 24),  # its buffer was overwritten: one program began after that
}


@pytest.mark.compiled
@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_replay_as_the_live_kernel_was(name):
    snapshots, compared, borders, pages = RECORDINGS[name]
    assert anonvma_trace.replay_trace(name, validate=[name]).summary["validation"] == {
        "snapshots": snapshots,
        "compared": compared,
        "pages_equal": compared,
        "borders_equal": borders,
        "anon_pages_equal": compared,
        "anon_pages": pages,
        "anon_pages_missing": 0,
        "anon_pages_extra": 0,
    }


@pytest.mark.compiled
def test_planted_differences_in_a_real_snapshot_are_found(tmp_path):
    (path,) = samples.get_sample("tiny-sh").maps
    start, *blocks = re.split(r"(?=^# SNAP )", path.read_text(), flags=re.MULTILINE)[1:]
    exit_block = next(block for block in blocks if "why=exit" in block)
    planted = re.sub(r"(?m)^(\S+) r-xp (.*libc\.so\.6)$", r"\1 rwxp \2", exit_block, count=1)
    planted = re.sub(r"(?m)^A (\S+) \S+$", r"A \1 0:0", planted, count=1)
    assert planted != exit_block
    damaged = tmp_path / "planted.txt"
    damaged.write_text("".join([start, *blocks]).replace(exit_block, planted))
    replay = anonvma_trace.replay_trace("tiny-sh", validate=[damaged])
    validation = replay.summary["validation"]
    assert (validation["snapshots"], validation["pages_equal"], validation["anon_pages_equal"]) == (3, 2, 2)
    assert (validation["borders_equal"], validation["anon_pages_extra"]) == (3, 1)
    assert told(replay).keys() == {"validate-pages", "validate-anon-pages"}


@pytest.mark.compiled
def test_looking_at_a_recording_changes_no_result():
    alone = anonvma_trace.replay_trace("pycow")
    beside = anonvma_trace.replay_trace("pycow", validate=["pycow"])
    assert {**beside.summary, "validation": None} == {**alone.summary, "validation": None}
    for name in ("merges", "vma_spans", "anon_vmas", "members", "timeline", "processes"):
        assert beside.to_arrow(name).equals(alone.to_arrow(name)), name


# --- the command ---


def run(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli.app, [str(each) for each in arguments])


def test_differences_do_not_change_the_exit_status(validate, tmp_path):
    validate(BASE, snapshot("10 12 r--p", pages="A 11 1:1"))
    result = run("replay", tmp_path / "trace.jsonl", "--validate", tmp_path / "snapshots.txt")
    assert result.exit_code == 0
    assert "1 of 1 recorded snapshot compared" in result.stdout
    assert "pages and permissions equal in 0 of 1" in result.stdout
    assert "anonymous pages equal in 0 of 1: 1 page, 1 missing, 2 extra" in result.stdout
    assert "warning validate-pages" in result.stdout


def test_json_has_the_figures(validate, tmp_path):
    validate(BASE, snapshot(*RECORDED, pages=PAGES))
    result = run("replay", tmp_path / "trace.jsonl", "--json", "--validate", tmp_path / "snapshots.txt")
    assert json.loads(result.stdout)["validation"] == ALL_EQUAL


def test_nothing_compared_is_said_in_one_line(validate, tmp_path):
    validate(BASE, snapshot(n=2))
    result = run("replay", tmp_path / "trace.jsonl", "--validate", tmp_path / "snapshots.txt")
    assert "0 of 1 recorded snapshot compared" in result.stdout
    assert "pages and permissions" not in result.stdout


def test_a_missing_snapshot_file_stops_the_command(tmp_path):
    result = run("replay", "split-order", "--validate", Path(tmp_path / "none.txt"))
    assert result.exit_code == 1
    assert "none.txt" in result.stderr


def test_a_damaged_snapshot_file_is_told_with_its_line(tmp_path):
    damaged = tmp_path / "damaged.txt"
    damaged.write_text(snapshot(*RECORDED).replace("rw-p", "rw?p", 1))
    result = run("replay", "split-order", "--validate", damaged)
    assert result.exit_code == 1
    assert "damaged.txt:3" in result.stderr
