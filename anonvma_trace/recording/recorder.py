"""Recording a command: its processes are followed, their snapshots taken, its events written down."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import RecordingError
from .held_signals import held_signals
from .output_file import output_file
from .pagemap import PAGE_SIZE
from .snapshots import SnapshotWriter
from .tracees import CommandNotStarted, Tracees
from .tracefs import Instance, find_tracefs

FIRST_LINE = "# anonvma-trace recording: snapshots of address spaces as comments, then ftrace text"
"""Begins a recording, whatever follows it."""

DEFAULT_BUFFER_KB = 64 << 10
_SHARE_OF_MEMORY = 4  # the default takes at most this part of what is free


@dataclass
class Recording:
    """What was recorded.

    Attributes
    ----------
    path : Path
        The file written.
    command_status : int
        Exit status of the command; -N if signal N killed it.
    events, lost_events : int
        Events in the file; events that did not fit into the buffers.
    processes : int
        Processes, the command itself included.
    snapshots : dict of str to int
        Snapshots by occasion: ``start``, ``exec``, ``exit``.
    buffer_kb : int
        Size of the buffer of each CPU.
    size_bytes : int
        Size of the file.
    missing_events : list of str
        Events that the kernel does not have and that a replay misses.
    """

    path: Path
    command_status: int = 0
    events: int = 0
    lost_events: int = 0
    processes: int = 0
    snapshots: dict[str, int] = field(default_factory=dict)
    buffer_kb: int = 0
    size_bytes: int = 0
    missing_events: list[str] = field(default_factory=list)


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
    tracefs = find_tracefs()
    recording = Recording(Path(output), buffer_kb=buffer_kb or _default_buffer_kb())
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
        raise RecordingError(
            command[0],
            expected="a program that can be executed",
            found=reason.strerror or str(reason),
            hint="check its name and its permissions",
        ) from failure


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
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
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
