"""Recording a command: its processes are followed, their snapshots taken, its events written down."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RecordingError
from .held_signals import held_signals
from .output_file import output_file
from .pagemap import PAGE_SIZE
from .perf import perf_is_there, record_with_perf
from .recording import Recording, not_executable
from .snapshots import SnapshotWriter
from .tracees import CommandNotStarted, Tracees
from .tracefs import Instance, TracefsRefused, events_directory, find_tracefs

FIRST_LINE = "# anonvma-trace recording: snapshots of address spaces as comments, then ftrace text"
"""Begins a recording, whatever follows it."""

DEFAULT_BUFFER_KB = 64 << 10
_SHARE_OF_MEMORY = 4  # the default takes at most this part of what is free


class _Watch:
    """Takes the snapshots; tracing begins with the first, of the command before its first instruction."""

    def __init__(self, instance: Instance, snapshots: SnapshotWriter, tell: Callable[[str], None]) -> None:
        self._instance = instance
        self._snapshots = snapshots
        self._tell = tell
        self._started = False

    def executed(self, pid: int) -> None:
        if self._started:
            self._snapshots.take("exec", pid, pid, pages=False)
            return
        self._started = True
        self._instance.start()
        self._snapshots.take("start", pid, pid, pages=True)

    def exiting(self, pid: int, tid: int) -> None:
        if self._started:
            self._snapshots.take("exit", pid, tid, pages=True)

    def left_behind(self, pids: list[int]) -> None:
        shown = ", ".join(map(str, pids[:5])) + (", ..." if len(pids) > 5 else "")
        self._tell(
            f"the command has ended, but not all that it started (pid {shown}): still recording until that ends too"
        )


def record_command(
    command: list[str],
    output: str | Path,
    *,
    buffer_kb: int | None = None,
    reclaim: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Run a command and record it and all that it starts, with the kernel's tracing.

    Where the kernel refuses an instance of tracefs, perf records, if it is installed.

    Reaps every child of this process while it runs; call it from the main thread.

    Parameters
    ----------
    command : list of str
        Program and arguments. Its standard input and output are those of this process.
    output : str or Path
        File to write; compressed if its name ends in ``.zst``, ``.gz`` or ``.xz``.
    buffer_kb : int, optional
        Size of the buffer of each CPU; `DEFAULT_BUFFER_KB` unless the machine is short of memory.
    reclaim : bool, optional
        Record the events of page reclaim too.
    tell : callable, optional
        Takes what the user should know while the recording goes on.

    Returns
    -------
    Recording
        What was recorded; `Recording.lost_events` is to be looked at.

    Raises
    ------
    RecordingError
        The kernel does not allow it, or the command cannot be executed.
    OutputError
        `output` cannot be written.
    KeyboardInterrupt
        SIGINT, SIGTERM or SIGHUP came: the processes are ended, nothing is written.
    """
    _check_page_size()
    try:
        tracefs = find_tracefs()
        buffer_kb = buffer_kb or _default_buffer_kb()
        return _record_with_tracefs(command, Path(output), tracefs, buffer_kb, reclaim, tell)
    except TracefsRefused as error:
        if not perf_is_there():
            raise
        tell(f"{error.where}: {error.found}; recording with perf instead, without snapshots")
    return record_with_perf(
        command,
        Path(output),
        events=events_directory(),
        buffer_kb=buffer_kb or _default_buffer_kb(),
        reclaim=reclaim,
    )


def _record_with_tracefs(
    command: list[str],
    output: Path,
    tracefs: Path,
    buffer_kb: int,
    reclaim: bool,
    tell: Callable[[str], None],
) -> Recording:
    recording = Recording(output, buffer_kb=buffer_kb)
    with held_signals(), output_file(recording.path) as file:
        file.write(_head(command).encode("utf-8", "surrogateescape"))
        with _instance(tracefs, recording.buffer_kb, reclaim) as instance:
            snapshots = SnapshotWriter(file, instance.mark)
            with _started(command, _Watch(instance, snapshots, tell)) as tracees:
                instance.follow(tracees.root)
                tracees.release()
                _follow(tracees, command)
            instance.stop()
            held, recording.lost_events = instance.counts()
            recording.events = held - snapshots.taken.total()
            _check_recorded(recording)
            instance.copy_trace(file)
        recording.missing_events = instance.missing_events
        recording.command_status = os.waitstatus_to_exitcode(tracees.root_status or 0)
        recording.processes = tracees.n_processes
        recording.snapshots = dict(snapshots.taken)
    recording.size_bytes = recording.path.stat().st_size
    return recording


@contextmanager
def _instance(tracefs: Path, buffer_kb: int, reclaim: bool) -> Iterator[Instance]:
    instance = Instance(tracefs, buffer_kb, reclaim)
    try:
        yield instance
    finally:
        instance.close()


@contextmanager
def _started(command: list[str], watch: _Watch) -> Iterator[Tracees]:
    """Have a process wait for the word to execute the command; whatever happens, none is left behind."""
    tracees = Tracees(watch)
    try:
        try:
            tracees.start(command)
        except OSError as error:
            raise RecordingError(
                shlex.join(command),
                expected="that the kernel lets its process be traced (ptrace)",
                found=error.strerror or str(error),
                hint="check /proc/sys/kernel/yama/ptrace_scope (3 forbids it); in a container add the capability "
                "SYS_PTRACE",
            ) from error
        yield tracees
    finally:
        tracees.end()


def _follow(tracees: Tracees, command: list[str]) -> None:
    try:
        tracees.follow()
    except CommandNotStarted as failure:
        reason: OSError = failure.args[0]
        raise not_executable(command[0], reason.strerror or str(reason)) from failure


def _check_recorded(recording: Recording) -> None:
    if recording.events <= 0:
        raise RecordingError(
            str(recording.path),
            expected="events of the command",
            found="none",
            hint="in a container the kernel counts processes otherwise than the container does: run it with "
            "the host's pid namespace (docker run --pid=host), or record outside of it",
        )


def _check_page_size() -> None:
    page_size = os.sysconf("SC_PAGE_SIZE")
    if page_size != PAGE_SIZE:
        raise RecordingError(
            platform.machine(),
            expected=f"pages of {PAGE_SIZE} bytes",
            found=f"{page_size}",
            hint="record on a kernel with 4 kB pages: the replay knows no others",
        )


def _default_buffer_kb() -> int:
    meminfo = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    available = next((int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable:")), 0)
    share = available // _SHARE_OF_MEMORY // (os.cpu_count() or 1)
    return min(DEFAULT_BUFFER_KB, max(share, 1 << 10))


def _head(command: list[str]) -> str:
    lines = (
        FIRST_LINE,
        f"# command: {shlex.join(command)}",
        f"# kernel: {platform.release()} {platform.machine()}",
    )
    return "".join(line.replace("\n", "\\n") + "\n" for line in lines)
