"""What ftrace text looks like at its beginning: enough to know it, and to refuse what cannot be replayed.

Apart from `ftrace`, because telling a format must not load the compiled scanner.
"""

from __future__ import annotations

import re

from ..errors import UnknownFormatError, UnsupportedTraceError
from .source import Source

_EVENT_LINE = re.compile(
    rb"^ *.{0,16}-\d+ +(?:\( *[\d-]+\) +)?"  # name-tid (tgid)
    # [cpu] flags seconds, where the flags tell ftrace from other tools; or cpu and flags in one word, then us
    rb"(?:\[\d+\] +[^ ]{4,6} +\d+\.\d+: \w|\d+[^ \d][^ ]{3,4} +\d+us[ !+#*@$]*: \w)"
)
_LOSS_LINE = re.compile(rb"^CPU:\d+ \[LOST (?:\d+ )?EVENTS\]")
_BARE_EVENT = re.compile(rb"^(?:sys_\w+(?:\(| -> 0x)|(?:page_fault_\w+|task_newtask|sched_\w+): \w+=)")
_LINES_LOOKED_AT = 400


def detect_ftrace(head: bytes) -> bool:
    """Tell whether `head`, the beginning of an input, is ftrace text (also such that cannot be replayed)."""
    if head.startswith(b"# tracer:"):
        return True
    lines = _event_lines(head)
    matching = sum(
        1 for line in lines if _EVENT_LINE.match(line) or _LOSS_LINE.match(line) or _BARE_EVENT.match(line)
    )
    return 2 * matching > len(lines)


def check_head(source: Source) -> None:
    """Refuse what cannot be replayed, with the reason.

    Raises
    ------
    UnsupportedTraceError
        The lines have no task column (``options/context-info`` was off).
    UnknownFormatError
        The content is something else.
    """
    lines = _event_lines(source.head)
    if any(_EVENT_LINE.match(line) or _LOSS_LINE.match(line) for line in lines):
        return
    bare = next((line for line in lines if _BARE_EVENT.match(line)), None)
    if bare is not None:
        raise UnsupportedTraceError(
            source.path,
            expected="a task column ('name-tid [cpu] flags time:') before each event",
            found=repr(bare[:60].decode("utf-8", "backslashreplace")),
            hint="nothing tells which process an event belongs to: record again with options/context-info on",
        )
    if lines and not source.head.startswith(b"# tracer:"):
        raise UnknownFormatError(
            source.path,
            expected="ftrace text ('name-tid [cpu] flags time: event')",
            found=repr(lines[0][:60].decode("utf-8", "backslashreplace")),
            hint="leave --format out: the format is told by the content",
        )


def _event_lines(head: bytes) -> list[bytes]:
    lines = (line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#"))
    return [line for line, _ in zip(lines, range(_LINES_LOOKED_AT), strict=False)]
