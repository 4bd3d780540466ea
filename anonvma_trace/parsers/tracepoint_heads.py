"""What the tools that print tracepoints print at the beginning: enough to know each, and to refuse others.

Apart from the parsers, because telling a format must not load the compiled scanner.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UnsupportedTraceError
from .embedded import holds_snapshots
from .foreign import beginning_of, unlike
from .source import HEAD_BYTES, Source

_LINES_LOOKED_AT = 400
_TASK = rb" *.{0,16}-\d+ +(?:\( *[\d-]+\) +)?"  # name-tid (tgid)
_LOST = rb"CPU:\d+ \[LOST (?:\d+ )?EVENTS\]"
# ftrace text tells itself from the others by the flags, by "sys_mmap(" and by one blank behind the colon.
_FTRACE_LINE = re.compile(
    # [cpu] flags seconds; or cpu and flags in one word, then us; there may be no flags
    rb"%s(?:\[\d+\] +(?:[^ ]{4,6} +)?\d+\.\d+: (?!\w+: {2}|sys_(?:enter|exit)_\w+:$)\w"
    rb"|\d+[^ \d][^ ]{3,4} +\d+us[ !+#*@$]*: \w)|%s" % (_TASK, _LOST)
)
# trace-cmd pads the names of events.
_TRACE_CMD_LINE = re.compile(
    rb"(?:[^ :][^:]*: )?(?:%s(?:\[\d+\] +(?:[^ ]{4,6} +)?|\d+[^ \d][^ ]{3,4} +)\d+\.\d+: "
    rb"(?:\w+: {2}|sys_(?:enter|exit)_\w+:$)|CPU:\d+ \[(?:\d+ )?EVENTS DROPPED\])" % _TASK
)
_PERF_LINE = re.compile(
    rb" *.{0,16} +-?\d+(?:/-?\d+)? +(?:\[\d+\] +)?\d+\.\d+: +(?:\d+ +)?"  # name pid/tid [cpu] seconds: period
    rb"(?:\w+:\w[\w:]*:(?: |$)|PERF_RECORD_[A-Z]|(?:page|minor|major)-faults:)"
)
_FTRACE_START = re.compile(rb"# tracer:")
_TRACE_CMD_START = re.compile(rb"(?:version = \d+\n)?cpus=\d+\n")
# The text of an event without the columns that say when and by whom: of ftrace, of any tool.
_BARE_FTRACE = re.compile(rb"(?:sys_\w+(?:\(| -> 0x)|(?:page_fault_\w+|task_newtask|sched_\w+): \w+=)")
_BARE_EVENT = re.compile(
    rb"(?:.* )?(?:\w+:)?(?:sys_\w+(?:\(| -> 0x|: )|(?:page_fault_\w+|task_newtask|sched_\w+): +\w+=)"
)


@dataclass(frozen=True)
class ToolHead:
    """How the output of one tool begins.

    Attributes
    ----------
    title, shape : str
        What a message calls it, and the columns of its lines.
    line : Pattern
        Matches the beginning of each of its lines that have a task.
    start : Pattern or None
        What nothing else begins with.
    hint : str
        What to do about lines without these columns.
    """

    title: str
    shape: str
    line: re.Pattern[bytes]
    start: re.Pattern[bytes] | None
    hint: str

    def detect(self, head: bytes) -> bool:
        """Tell whether `head`, the beginning of an input, is of this tool."""
        if self.start is not None and self.start.match(head):
            return True
        lines = _event_lines(head)
        return 2 * sum(1 for line in lines if self.line.match(line)) > len(lines)

    def check(self, source: Source) -> None:
        """Refuse what this tool did not print, or printed without the columns that a replay needs.

        Raises
        ------
        UnsupportedTraceError
            The lines do not tell when and by whom.
        UnknownFormatError
            The content is something else.
        """
        lines = _event_lines(source.head)
        if not lines or any(self.line.match(line) for line in lines):
            return
        bare = next((line for line in lines if _is_bare_event(line)), None)
        if bare is not None:
            raise UnsupportedTraceError(
                source.path,
                expected=f"a task column ({self.shape}) before each event",
                found=beginning_of(bare),
                hint=f"nothing tells which process an event belongs to: {self.hint}",
            )
        if self.start is None or not self.start.match(source.head):
            raise unlike(source.path, f"{self.title} ({self.shape} event)", lines[0])


FTRACE_HEAD = ToolHead(
    "ftrace text",
    "'name-tid [cpu] flags time:'",
    _FTRACE_LINE,
    _FTRACE_START,
    "record again with options/context-info on",
)
TRACE_CMD_HEAD = ToolHead(
    "output of trace-cmd report",
    "'name-tid [cpu] time:'",
    _TRACE_CMD_LINE,
    _TRACE_CMD_START,
    "print the recording again with plain `trace-cmd report`",
)
PERF_SCRIPT_HEAD = ToolHead(
    "output of perf script",
    "'name pid/tid [cpu] time:'",
    _PERF_LINE,
    None,
    "print the recording again with `perf script -F comm,pid,tid,cpu,time,event,trace`",
)


def _is_bare_event(line: bytes) -> bool:
    of_a_tool = any(known.match(line) for known in (_FTRACE_LINE, _TRACE_CMD_LINE, _PERF_LINE))
    return not of_a_tool and _BARE_EVENT.match(line) is not None


def detect_ftrace(head: bytes) -> bool:
    """Tell whether `head` is ftrace text, also such that cannot be replayed (without a task column)."""
    if FTRACE_HEAD.detect(head) or holds_snapshots(head):
        return True
    lines = _event_lines(head)
    return 2 * sum(1 for line in lines if _BARE_FTRACE.match(line)) > len(lines)


def _event_lines(head: bytes) -> list[bytes]:
    """Return the lines that could be events: no blanks, headers, or frames of call chains."""
    if len(head) >= HEAD_BYTES:  # it probably ends within a line
        head = head[: head.rfind(b"\n") + 1]
    lines = (line for line in head.split(b"\n") if line.strip() and line[:1] not in (b"#", b"\t"))
    return [line for line, _ in zip(lines, range(_LINES_LOOKED_AT), strict=False)]
