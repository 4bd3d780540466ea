"""What a recording tells its user at the end."""

from __future__ import annotations

import shlex
import signal

from .recording import Recording
from .sizes import size_text


def recording_lines(recording: Recording) -> list[str]:
    """Return what was recorded, what is missing from it, and what to do next, line by line."""
    path = shlex.quote(str(recording.path))
    snapshots = ", ".join(f"{count} {why}" for why, count in recording.snapshots.items()) or "none"
    lines = [
        f"command     {_ended(recording.command_status)}",
        f"recorded    {_counted(recording.events, 'event')}, {recording.lost_events:,} lost; "
        f"{_counted(recording.processes, 'process', 'processes')}; snapshots: {snapshots}",
        f"wrote       {recording.path} ({size_text(recording.size_bytes)})",
    ]
    if recording.missing_events:
        lines.append(
            f"warning: this kernel has no events {', '.join(recording.missing_events)}: mappings replay, pages do not"
        )
    if recording.lost_events:
        lines.append(
            f"warning: the buffers of {size_text(recording.buffer_kb << 10)} for each CPU were too small, and "
            f"events are gone: record again with --buffer-size {_larger(recording)}"
        )
    validate = f" --validate {path}" if "exit" in recording.snapshots else ""
    lines.append(f"next        anonvma-trace replay {path}{validate}")
    return lines


def _ended(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else "unknown"
    return f"killed by signal {-status} ({name})"


def _counted(count: int, noun: str, nouns: str = "") -> str:
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def _larger(recording: Recording) -> str:
    """Return a buffer size in which all would have fitted, were each CPU to log every event."""
    share = (recording.events + recording.lost_events) / max(recording.events, 1)
    return f"{max(1, round(2 * share * recording.buffer_kb / 1024 + 0.5))}M"
