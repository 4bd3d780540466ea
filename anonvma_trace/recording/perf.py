"""Recording with perf, where a tracefs instance cannot be made.

perf tells images itself (``-d``, `PERF_RECORD_MMAP2`), so that no snapshot is needed; there is none to compare
with either.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ..errors import RecordingError
from . import event_names
from .held_signals import held_signals, raise_if_interrupted, release_signals, wait_for_signal
from .output_file import output_file
from .recording import Recording, not_executable

_LOST = re.compile(rb"PERF_RECORD_LOST lost (\d+)")
_FORK = re.compile(rb"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)")
_FIELDS = "comm,pid,tid,cpu,time,event,trace"
_GRACE_SECONDS = 2.0


def perf_is_there() -> bool:
    """Tell whether perf is installed."""
    return shutil.which("perf") is not None


def record_with_perf(
    command: list[str], output: Path, *, events: Path | None, buffer_kb: int, reclaim: bool
) -> Recording:
    """Run a command and record it and all that it starts with ``perf record``, printed by ``perf script``.

    Parameters
    ----------
    events : Path or None
        Directory of the kernel's events, which tells those that it has; None if it cannot be read.

    Other parameters, the result, and what is raised are as at `recorder.record_command`.
    """
    if shutil.which(command[0]) is None:  # perf would record its own attempt to execute it
        raise not_executable(command[0], "none of this name")
    recording = Recording(output, buffer_kb=buffer_kb)
    with held_signals(), output_file(output) as file, tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "perf.data"
        arguments = ["perf", "record", "-q", "-o", str(data), "-k", "mono", "-d", "-c", "1"]
        arguments += [
            "-m",
            f"{_power_of_two(buffer_kb)}K",
            *_event_arguments(events, reclaim),
            "--",
            *command,
        ]
        with (Path(folder) / "messages").open("w+b") as messages:
            recording.command_status = _run(arguments)
            if not data.exists() or data.stat().st_size == 0:
                raise _refused(command, recording.command_status)
            shown = ["--show-mmap-events", "--show-task-events", "--show-lost-events", "-F", _FIELDS]
            with subprocess.Popen(
                ["perf", "script", "-i", str(data), "--ns", *shown],
                stdout=subprocess.PIPE,
                stderr=messages,
                preexec_fn=release_signals,
            ) as script:
                assert script.stdout is not None
                _copy(script.stdout, file, recording)
            if script.returncode:
                messages.seek(0)
                raise RecordingError(
                    "perf script",
                    expected="that it prints what was recorded",
                    found=messages.read().decode("utf-8", "replace").strip() or f"status {script.returncode}",
                    hint="update perf, or record where tracefs can be used",
                )
    recording.size_bytes = output.stat().st_size
    return recording


def _event_arguments(events: Path | None, reclaim: bool) -> Iterable[str]:
    wanted = (*event_names.SYSCALL_EVENTS, *event_names.TASK_EVENTS, *event_names.FAULT_EVENTS)
    wanted += event_names.RECLAIM_EVENTS if reclaim else ()
    for event in wanted:
        if events is None or (events / event).is_dir():
            yield from ("-e", event.replace("/", ":"))
            if event in event_names.FILTERS:
                yield from ("--filter", event_names.FILTERS[event])


def _run(arguments: list[str]) -> int:
    """Run perf to its end and return its status, which is the command's; end it if this process has to end."""
    # preexec_fn: signals that are held back here must reach perf and the command.
    perf = subprocess.Popen(arguments, preexec_fn=release_signals)
    try:
        while perf.poll() is None:
            wait_for_signal(timeout=1.0)
    except BaseException:
        perf.terminate()  # perf ends the command
        try:
            perf.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            perf.kill()
            perf.wait()
        raise
    return perf.returncode


def _copy(text: BinaryIO | Iterable[bytes], file: BinaryIO, recording: Recording) -> None:
    """Write what perf prints, and count it."""
    recording.processes = 1
    for number, line in enumerate(text):
        file.write(line)
        if b" PERF_RECORD_" not in line:
            recording.events += 1
        elif lost := _LOST.search(line):
            recording.lost_events += int(lost[1])
        elif (fork := _FORK.search(line)) and fork[1] != fork[2]:
            recording.processes += 1
        if number % 4096 == 0:
            raise_if_interrupted()


def _power_of_two(kb: int) -> int:
    """Return the largest power of two that is not above a size; perf takes no other."""
    return 1 << (max(kb, 4).bit_length() - 1)


def _refused(command: list[str], status: int) -> RecordingError:
    return RecordingError(
        "perf record",
        expected="a recording",
        found=f"none (status {status}); what it says stands above",
        hint=f"check {command[0]}, and that /proc/sys/kernel/perf_event_paranoid allows tracepoints",
    )
