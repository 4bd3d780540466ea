"""Recording with perf, where the kernel refuses an instance of tracefs."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from anonvma_trace import read_trace, replay_trace
from anonvma_trace.errors import RecordingError
from anonvma_trace.recording import record_command, recorder
from anonvma_trace.recording.tracefs import TracefsRefused

REFUSED = TracefsRefused(
    "/t/instances", expected="a directory", found="one that is not writable", hint="do this"
)


def refuse():
    raise REFUSED


@pytest.fixture
def tracefs_refused(tracefs, monkeypatch):
    """Let the kernel seem to refuse instances; tracefs itself is there, which perf needs too."""
    if shutil.which("perf") is None:
        pytest.skip("perf is not installed")
    monkeypatch.setattr(recorder, "find_tracefs", refuse)


def test_perf_records_what_tracefs_refuses(tracefs_refused, tmp_path):
    path = tmp_path / "run.perf.zst"
    told = []
    recording = record_command(["/bin/sh", "-c", "/bin/true; (exit 1); exit 3"], path, tell=told.append)
    assert told == ["/t/instances: one that is not writable; recording with perf instead, without snapshots"]
    assert (recording.command_status, recording.lost_events, recording.processes) == (3, 0, 3)
    assert list(tmp_path.iterdir()) == [path]
    trace = read_trace([str(path)])
    assert trace.format == "perf-script"
    replay = replay_trace(trace)
    assert replay.summary["trace"]["processes"] == 3
    assert replay.summary["unmapped_faults"] == replay.summary["trace"]["unreadable_lines"] == 0


def test_a_program_that_is_not_there_leaves_no_file(tracefs_refused, tmp_path):
    with pytest.raises(RecordingError, match="/no/such/program: expected a program that can be executed"):
        record_command(["/no/such/program"], tmp_path / "run.perf")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_recording_leaves_nothing_behind(tracefs_refused, tmp_path):
    code = f"""
from anonvma_trace.recording import record_command, recorder
from anonvma_trace.recording.tracefs import TracefsRefused
def refuse():
    raise TracefsRefused("/t", expected="", found="", hint="")
recorder.find_tracefs = refuse
try:
    record_command(["/bin/sh", "-c", "echo $$; exec sleep 60"], {str(tmp_path / "run.perf")!r})
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_perf_the_reason_is_that_of_tracefs(monkeypatch, tmp_path):
    monkeypatch.setattr(recorder, "find_tracefs", refuse)
    monkeypatch.setattr(recorder, "perf_is_there", lambda: False)
    with pytest.raises(TracefsRefused, match="one that is not writable"):
        record_command(["/bin/true"], tmp_path / "run.trace")
