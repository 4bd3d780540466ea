"""The command `record`, with the kernel's tracing where that is allowed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anonvma_trace import read_trace, replay_trace

FORK_HEAVY = Path(__file__).with_name("fork_heavy.py")
ANONVMA_TRACE = (sys.executable, "-m", "anonvma_trace")


def record(*arguments, **options):
    return subprocess.run(
        [*ANONVMA_TRACE, "record", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def instances(tracefs):
    return {path.name for path in (tracefs / "instances").iterdir()}


@pytest.fixture(scope="module")
def fork_heavy(tracefs, tmp_path_factory):
    """Return the recording of a fork-heavy program, and how the recorder ran."""
    path = tmp_path_factory.mktemp("recording") / "fork-heavy.trace.zst"
    before = instances(tracefs)
    run = record("-o", path, "--", sys.executable, "-S", FORK_HEAVY)
    assert instances(tracefs) == before
    return path, run


def test_the_command_runs_as_it_would_and_its_end_is_told(fork_heavy):
    path, run = fork_heavy
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n"
    assert "command     exit status 3\n" in run.stderr
    assert re.search(r"recorded    [\d,]+ events, 0 lost; 21 processes", run.stderr)
    assert f"anonvma-trace replay {path} --validate {path}" in run.stderr
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_a_recording_needs_nothing_else_and_replays_to_the_live_maps_at_exit(fork_heavy):
    path, _ = fork_heavy
    replay = replay_trace(read_trace([str(path)]), validate=[str(path)])
    validation = replay.summary["validation"]
    assert validation["snapshots"] == 21  # the exit of each process
    assert validation["compared"] == validation["pages_equal"] == 21, replay.diagnostics
    assert validation["anon_pages_equal"] == 21, replay.diagnostics
    assert validation["anon_pages"] > 5000
    assert replay.summary["unmapped_faults"] == 0
    assert replay.summary["trace"]["unreadable_lines"] == replay.summary["trace"]["lost_events"] == 0


def test_a_recording_reads_without_notes(fork_heavy):
    path, _ = fork_heavy
    trace = read_trace([str(path)])
    table = trace.table
    assert trace.format == "ftrace"
    assert trace.diagnostics == []
    assert table["op"].to_pylist()[:2] == ["mark", "vma"]
    assert len(trace.metadata.known_pids) == 1


def test_what_does_not_fit_is_lost_and_told(tracefs, tmp_path):
    path = tmp_path / "small.trace"
    run = record(
        "-o", path, "--buffer-size", "8k", "--", "/bin/sh", "-c", "for i in 1 2 3 4; do ls | cat; done"
    )
    assert run.returncode == 3
    assert re.search(r"record again with --buffer-size \d+M", run.stderr)
    trace = read_trace([str(path)])
    assert trace.table.num_rows
    assert trace.metadata.lost_events > 0


def test_reclaim_events_are_recorded_on_demand(tracefs, tmp_path):
    path = tmp_path / "reclaim.trace"
    assert record("-o", path, "--reclaim", "--", "/bin/true").returncode == 0
    text = path.read_text()
    assert " rss_stat: " in text
    assert " mm_page_alloc: " in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_leaves_nothing_behind(tracefs, tmp_path, number):
    before = instances(tracefs)
    path = tmp_path / "interrupted.trace"
    command = "trap '' TERM; sleep 60 & echo $$ $!; wait"  # the shell does not end when asked to
    recorder = subprocess.Popen(
        [*ANONVMA_TRACE, "record", "-o", path, "--", "/bin/sh", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pids = [int(word) for word in recorder.stdout.readline().split()]
    assert len(pids) == 2
    assert instances(tracefs) - before == {f"anonvma-trace.{recorder.pid}"}
    recorder.send_signal(number)
    _, errors = recorder.communicate(timeout=30)
    assert recorder.returncode == 130
    assert errors == "interrupted\n"
    assert instances(tracefs) == before
    assert list(tmp_path.iterdir()) == []
    assert not any(is_running(pid) for pid in pids)


def is_running(pid):
    """Tell whether a process lives; one that ended may still be a zombie until its parent asks."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("output", "command", "told"),
    [
        (
            "run.trace",
            ["no-such-program-here"],
            "no-such-program-here: expected a program that can be executed",
        ),
        ("missing/run.trace", ["/bin/true"], "expected a file that can be written, found No such file"),
    ],
)
def test_a_recording_that_fails_says_why_and_leaves_nothing_behind(tracefs, tmp_path, output, command, told):
    before = instances(tracefs)
    run = record("-o", tmp_path / output, "--", *command)
    assert run.returncode == 1
    assert told in run.stderr
    assert "hint: " in run.stderr
    assert instances(tracefs) == before
    assert list(tmp_path.iterdir()) == []


def test_without_permission_the_message_says_what_to_do(tmp_path):
    """As another user, who may not even see what is in tracefs."""
    tmp_path.chmod(0o777)
    become = "os.setgroups([]); os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""
    code = f"""
import os
from anonvma_trace.errors import RecordingError
from anonvma_trace.recording import record_command
{become}
try:
    record_command(["/bin/true"], {str(tmp_path / "run.trace")!r})
except RecordingError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "expected permission to use the kernel's tracing (root), found user " in run.stdout, run.stderr
    assert "\nhint: run the same command as root: sudo anonvma-trace record -o FILE -- COMMAND" in run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["0", "x", "12Q"])
def test_a_buffer_size_that_is_none_is_wrong_usage(tmp_path, size):
    run = record("-o", tmp_path / "run.trace", "--buffer-size", size, "--", "/bin/true")
    assert run.returncode == 2
    assert "such as 512k, 64M or 1G" in run.stderr
