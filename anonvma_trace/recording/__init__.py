"""Recording with the kernel's tracing: a command and its children, into one file that replays by itself."""

from __future__ import annotations

from .recorder import DEFAULT_BUFFER_KB, Recording, record_command
from .sizes import parse_size_kb

__all__ = ["DEFAULT_BUFFER_KB", "Recording", "parse_size_kb", "record_command"]
