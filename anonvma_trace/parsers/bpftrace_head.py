"""What output of a bpftrace script of memory events looks like at its beginning: enough to know it.

Apart from `bpftrace`, because telling a format must not load compiled code.
"""

from __future__ import annotations

import re

from .foreign import unlike
from .source import HEAD_BYTES, Source, lines_of

_LINES_LOOKED_AT = 400
_HEADER = re.compile(rb"^#bt nsecs ", re.MULTILINE)
_LINE = re.compile(
    rb"\d+ \d+ \d+ \d+ "  # nsecs cpu pid tid
    rb"(?:(?:tracepoint:syscalls:)?(?:sys|task|sched|page)_\w+ \w+="  # the event, or the name of the task
    rb"|.*(?:fault|faultk|newtask|exec|_enter|_exit) \w+=|.* exit$)"
)
_ATTACHED = re.compile(rb"Attach(?:ing|ed) \d+ probe")
# What bpftrace itself says: how many probes there are, what was lost, the maps left at the end.
NO_EVENT = re.compile(rb"#|@|Attach(?:ing|ed) \d+ probe|Lost \d+ events")


def detect_bpftrace(head: bytes) -> bool:
    """Tell whether `head`, the beginning of an input, is output of such a script."""
    if _HEADER.search(head):
        return True
    lines = _event_lines(head)
    if not lines:  # it attached its probes, and nothing happened
        return bool(_ATTACHED.match(head.lstrip()))
    return 2 * sum(1 for line in lines if _LINE.match(line)) > len(lines)


def check_bpftrace(source: Source) -> None:
    """Refuse what no such script printed.

    Raises
    ------
    UnknownFormatError
        No line has the columns.
    """
    lines = _event_lines(source.head)
    if lines and not _HEADER.search(source.head) and not any(_LINE.match(line) for line in lines):
        raise unlike(source.path, "output of a bpftrace script ('nsecs cpu pid tid …')", lines[0])


def _event_lines(head: bytes) -> list[bytes]:
    if len(head) >= HEAD_BYTES:  # it probably ends within a line
        head = head[: head.rfind(b"\n") + 1]
    lines = (line for line in lines_of(head) if line.strip() and not NO_EVENT.match(line))
    return [line for line, _ in zip(lines, range(_LINES_LOOKED_AT), strict=False)]
