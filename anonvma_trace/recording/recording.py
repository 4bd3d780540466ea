"""What a recording is, once it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import RecordingError


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


def not_executable(program: str, reason: str) -> RecordingError:
    """Return the error that a program cannot be executed."""
    return RecordingError(
        program,
        expected="a program that can be executed",
        found=reason,
        hint="check its name and its permissions",
    )
