"""Following processes by ptrace, which needs no root for one's own."""

import signal
import subprocess
import sys

import pytest

from anonvma_trace.recording.held_signals import held_signals
from anonvma_trace.recording.tracees import CommandNotStarted, Tracees

FOLLOW = """
import os, sys
from anonvma_trace.recording.held_signals import held_signals
from anonvma_trace.recording.tracees import Tracees
class Printer:
    def executed(self, pid):
        print("exec", open(f"/proc/{pid}/comm").read().strip(), flush=True)
    def exiting(self, pid, tid):
        maps = open(f"/proc/{tid}/maps").read()
        print("exit", open(f"/proc/{tid}/comm").read().strip(), "mapped" if maps else "empty", flush=True)
with held_signals():
    tracees = Tracees(Printer())
    try:
        tracees.start(sys.argv[1:])
        tracees.release()
        tracees.follow()
    finally:
        tracees.end()
print("processes", tracees.n_processes, "status", os.waitstatus_to_exitcode(tracees.root_status))
"""


def follow(*command):
    """Follow a command in a process of its own and return what was printed, without what the command prints."""
    run = subprocess.run(
        [sys.executable, "-c", FOLLOW, *command], capture_output=True, text=True, timeout=60, check=False
    )
    if "Operation not permitted" in run.stderr:
        pytest.skip("ptrace is not permitted here")
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_each_exec_and_each_exit_is_seen_once():
    lines = follow("/bin/sh", "-c", "/bin/true; /bin/true; exit 5")
    assert lines.count("exec true") == lines.count("exit true mapped") == 2
    assert lines[0] == "exec sh"
    assert lines[-2:] == ["exit sh mapped", "processes 3 status 5"]


def test_a_process_of_many_threads_exits_once():
    code = (
        "import threading; t = [threading.Thread(target=sum, args=([1],)) for i in range(20)]\n"
        "[x.start() for x in t]; [x.join() for x in t]"
    )
    lines = follow(sys.executable, "-S", "-c", code)
    assert sum(line.startswith("exit") for line in lines) == 1
    assert lines[-1] == "processes 1 status 0"


def test_an_exec_by_a_thread_is_one_of_its_process():
    code = (
        "import os, threading; t = threading.Thread(target=os.execv, args=('/bin/true', ['true']))\n"
        "t.start(); t.join()"
    )
    lines = follow(sys.executable, "-S", "-c", code)
    assert lines[-3:] == ["exec true", "exit true mapped", "processes 1 status 0"]


def test_signals_reach_the_processes():
    lines = follow("/bin/sh", "-c", "trap 'echo caught' USR1; kill -USR1 $$; kill -KILL $$")
    assert "caught" in lines
    assert lines[-1] == f"processes 1 status {-signal.SIGKILL}"


def test_a_stopped_process_goes_on_when_continued():
    lines = follow("/bin/sh", "-c", "(sleep 0.3; kill -CONT $$) & kill -STOP $$; wait; echo continued")
    assert "continued" in lines


class Silent:
    def executed(self, pid):
        pass

    def exiting(self, pid, tid):
        pass

    def left_behind(self, pids):
        pass


@pytest.fixture
def start():
    """Start a command under an observer; whatever happens, it is ended."""
    started = []

    def start_command(observer, *command):
        tracees = Tracees(observer)
        started.append(tracees)
        try:
            tracees.start(list(command))
        except PermissionError:
            pytest.skip("ptrace is not permitted here")
        tracees.release()
        return tracees

    with held_signals():
        yield start_command
        for tracees in started:
            tracees.end()


def test_a_program_that_is_not_there_is_told(start):
    with pytest.raises(CommandNotStarted, match="No such file"):
        start(Silent(), "/no/such/program").follow()


@pytest.mark.parametrize("moment", ["executed", "exiting"])
def test_processes_end_when_the_observer_fails(start, moment):
    """A disk that is full, for example: a process that exits must not wait for its tracer for ever."""

    class Failing(Silent):
        pass

    def fail(self, *arguments):
        raise OSError("no space")

    setattr(Failing, moment, fail)
    tracees = start(Failing(), "/bin/sh", "-c", "exit 0")
    with pytest.raises(OSError, match="no space"):
        tracees.follow()
    tracees.end()
    assert tracees.root_status is not None


def test_processes_that_outlive_the_command_are_told_once_and_followed(start):
    told = []

    class Listening(Silent):
        def left_behind(self, pids):
            told.append(pids)

    tracees = start(Listening(), "/bin/sh", "-c", "sleep 2.5 & exit 0")
    tracees.follow()
    assert len(told) == 1
    assert len(told[0]) == 1
    assert tracees.root not in told[0]
    assert tracees.n_processes == 2
