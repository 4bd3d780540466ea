"""Recording with the kernel's tracing: a command and its children, into one file that replays by itself."""

from __future__ import annotations

from importlib.resources import files

from .recorder import DEFAULT_BUFFER_KB, record_command
from .recording import Recording
from .sizes import parse_size_kb

__all__ = ["DEFAULT_BUFFER_KB", "Recording", "bpftrace_script", "parse_size_kb", "record_command"]


def bpftrace_script() -> str:
    """Return the bpftrace script whose output the format ``bpftrace`` is."""
    return files(__package__).joinpath("memory.bt").read_text(encoding="utf-8")
