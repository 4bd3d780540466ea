"""The kernel's tracing, as far as a recording needs it: an instance of its own, made and removed.

Source: Linux Documentation/trace/ftrace.rst, "Instances".
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RecordingError
from . import event_names
from .held_signals import raise_if_interrupted

_USUAL_PLACE = Path("/sys/kernel/tracing")
_COPY_BYTES = 1 << 20
_SECONDS_UNTIL_UNUSED = 2.0

# An instance begins with the options of the whole machine, whoever set them.
_OPTIONS = {
    "event-fork": "1",  # children of the recorded processes are recorded too
    "record-tgid": "1",
    **dict.fromkeys(("context-info", "irq-info"), "1"),
    "overwrite": "1",  # a header tells what was overwritten; nothing would tell what was not written
    **dict.fromkeys(("verbose", "fields", "latency-format", "raw", "hex", "bin", "stacktrace"), "0"),
    **dict.fromkeys(("userstacktrace", "annotate"), "0"),
}
_STATS_OF_LOSSES = re.compile(r"^(?:overrun|commit overrun|dropped events): (\d+)$", re.MULTILINE)
_STATS_OF_ENTRIES = re.compile(r"^entries: (\d+)$", re.MULTILINE)


class TracefsRefused(RecordingError):
    """tracefs is there, but an instance cannot be made in it."""


def events_directory() -> Path | None:
    """Return the directory that has all events of the kernel; None if it cannot be read."""
    mounted = _mounted_at()
    events = mounted / "events" if mounted else None
    return events if events and os.access(events, os.R_OK | os.X_OK) else None


def find_tracefs() -> Path:
    """Return where tracefs is mounted and may be used.

    Raises
    ------
    RecordingError
        It is not mounted, or the user may not use it; the message says what to do.
    """
    mounted = _mounted_at()
    if os.geteuid() != 0 and (mounted is None or not os.access(mounted / "instances", os.W_OK | os.X_OK)):
        raise RecordingError(
            str(mounted or _USUAL_PLACE),
            expected="permission to use the kernel's tracing (root)",
            found=f"user {os.geteuid()}, who has none",
            hint="run the same command as root: sudo anonvma-trace record -o FILE -- COMMAND; "
            "for COMMAND to run as you: ... -- setpriv --reuid=$USER --regid=$(id -g) --init-groups COMMAND",
        )
    if mounted is None:
        raise RecordingError(
            str(_USUAL_PLACE),
            expected="tracefs, mounted",
            found="none in /proc/mounts",
            hint=f"mount -t tracefs none {_USUAL_PLACE} (in a container: on the host, and share the directory)",
        )
    if not os.access(mounted / "instances", os.W_OK | os.X_OK):
        raise TracefsRefused(
            str(mounted / "instances"),
            expected="a directory in which root may make an instance",
            found=_why_no_instance(mounted),
            hint="in a container, mount tracefs writable (docker run --privileged); under kernel lockdown, "
            "record with strace (see docs/recording.md)",
        )
    return mounted


def _mounted_at() -> Path | None:
    """Return the mount point of tracefs; the one at its usual place if there are several."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    fields = [line.split(" ") for line in mounts.splitlines()]
    places = [Path(_unescaped(field[1])) for field in fields if field[2] == "tracefs"]
    return _USUAL_PLACE if _USUAL_PLACE in places else next(iter(places), None)


def _unescaped(mount_point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount_point)


def _why_no_instance(mounted: Path) -> str:
    return (
        "one that is not writable"
        if (mounted / "instances").is_dir()
        else "none: the kernel has no instances"
    )


class Instance:
    """A buffer and a set of events that belong to this recording alone.

    Parameters
    ----------
    tracefs : Path
        Where tracefs is mounted.
    buffer_kb : int
        Size of the buffer of each CPU.
    reclaim : bool
        Record the events of page reclaim too.

    Attributes
    ----------
    missing_events : list of str
        Events that this kernel does not have and that a replay would miss.

    Raises
    ------
    RecordingError
        The kernel refuses, or lacks, what a recording needs; nothing is left behind.
    """

    def __init__(self, tracefs: Path, buffer_kb: int, reclaim: bool = False) -> None:
        self.missing_events: list[str] = []
        self._path = tracefs / "instances" / f"anonvma-trace.{os.getpid()}"
        self._marker: BinaryIO | None = None
        try:
            self._path.mkdir()
        except OSError as error:
            refused = self._refused(self._path, error)
            raise TracefsRefused(
                refused.path, expected=refused.expected, found=refused.found, hint=refused.hint
            ) from error
        try:
            self._write("tracing_on", "0")
            self._write("trace_clock", "mono")
            self._set_buffer_size(buffer_kb)
            for option, value in _OPTIONS.items():
                if (self._path / "options" / option).exists():
                    self._write(f"options/{option}", value)
            self._check_events()
            self._wanted = (*event_names.SYSCALL_EVENTS, *event_names.TASK_EVENTS, *event_names.FAULT_EVENTS)
            self._wanted += event_names.RECLAIM_EVENTS if reclaim else ()
            self._marker = (self._path / "trace_marker").open("wb", buffering=0)
        except BaseException:
            self.close()
            raise

    def follow(self, pid: int) -> None:
        """Enable the events, for a process and all that it will start; nothing is recorded before `start`."""
        # Before any event is enabled: without a pid they would be those of the whole machine.
        self._write("set_event_pid", str(pid))
        for event in self._wanted:
            directory = self._path / "events" / event
            if directory.is_dir():
                if event in event_names.FILTERS:
                    self._write(f"events/{event}/filter", event_names.FILTERS[event])
                self._write(f"events/{event}/enable", "1")

    def start(self) -> None:
        """Switch tracing on."""
        self._write("tracing_on", "1")

    def stop(self) -> None:
        """Switch tracing off; what was recorded stays."""
        self._write("tracing_on", "0")

    def mark(self, text: str) -> None:
        """Write a text into the trace."""
        assert self._marker is not None
        self._marker.write(text.encode() + b"\n")

    def counts(self) -> tuple[int, int]:
        """Return how many events the buffers hold, and how many they lost."""
        texts = [stats.read_text() for stats in self._path.glob("per_cpu/cpu*/stats")]
        held = sum(int(number) for text in texts for number in _STATS_OF_ENTRIES.findall(text))
        lost = sum(int(number) for text in texts for number in _STATS_OF_LOSSES.findall(text))
        return held, lost

    def copy_trace(self, output: BinaryIO) -> None:
        """Write the trace as text.

        Raises
        ------
        KeyboardInterrupt
            This process was asked to end.
        """
        with (self._path / "trace").open("rb", buffering=0) as trace:
            while block := trace.read(_COPY_BYTES):
                output.write(block)
                raise_if_interrupted()

    def close(self) -> None:
        """Remove the instance and what it holds."""
        if self._marker is not None:
            self._marker.close()
        for file, value in (("tracing_on", "0"), ("events/enable", "0")):
            self._write(file, value)
        for _ in _attempts(_SECONDS_UNTIL_UNUSED):
            try:
                self._path.rmdir()
                return
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise self._refused(self._path, error) from error
        raise RecordingError(
            str(self._path),
            expected="that the tracing instance can be removed",
            found="that something else uses it",
            hint=f"close what reads it, then rmdir {self._path}",
        )

    def _set_buffer_size(self, buffer_kb: int) -> None:
        try:
            (self._path / "buffer_size_kb").write_text(str(buffer_kb))
        except OSError as error:
            raise RecordingError(
                str(self._path / "buffer_size_kb"),
                expected=f"{buffer_kb} kB of memory for the buffer of each of {os.cpu_count()} CPUs",
                found=error.strerror or str(error),
                hint="record with a smaller --buffer-size",
            ) from error

    def _check_events(self) -> None:
        events = self._path / "events"
        required = ("syscalls/sys_enter_mmap", "syscalls/sys_exit_mmap", *event_names.TASK_EVENTS)
        absent = [event for event in required if not (events / event).is_dir()]
        if absent:
            raise RecordingError(
                str(events),
                expected=f"the events {', '.join(absent)}",
                found="a kernel without them",
                hint="use a kernel with CONFIG_FTRACE_SYSCALLS, or record with strace (see docs/recording.md)",
            )
        self.missing_events = [event for event in event_names.FAULT_EVENTS if not (events / event).is_dir()]

    def _write(self, file: str, text: str) -> None:
        path = self._path / file
        try:
            path.write_text(text)
        except OSError as error:
            raise self._refused(path, error) from error

    def _refused(self, path: Path, error: OSError) -> RecordingError:
        return RecordingError(
            str(path),
            expected="that the kernel takes what a recording sets there",
            found=error.strerror or str(error),
            hint="kernel lockdown or a container can forbid tracing even to root: record outside of it, or with "
            "strace (see docs/recording.md)",
        )


def _attempts(seconds: float) -> Iterator[None]:
    """Yield at once and then every now and then, for some seconds."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() < deadline:
        time.sleep(0.02)
        yield
