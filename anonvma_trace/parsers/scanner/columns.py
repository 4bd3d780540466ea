"""What the scanner tells of each line: columns of its result, kinds of lines, and what can be wrong with one."""

from __future__ import annotations

from ..native_events import PID_MAX_LIMIT

FTRACE, TRACE_CMD, PERF_SCRIPT = 0, 1, 2
"""Tools whose task columns are known."""

STYLE_UNKNOWN, STYLE_0X = 0, 1
"""How the file prints system call arguments: with 0x (6.x kernels); else perhaps without it (before)."""

TID, TGID, CPU, TS, KIND, TEXT_BEGIN, TEXT_END, COMM_BEGIN, COMM_END, FAULT, FAULT_AT = range(11)
EVENT_AT, LIKE = 11, 12
"""Where the event begins; a line, itself perhaps, with the same columns before the time, -1 for none."""

N_COLUMNS = 13

KIND_EVENT = -5
"""In `KIND`, between the two passes: an event that is not read yet."""

COMM_MEMORY = 1 << 16
"""Task names remembered while scanning, by the low bits of the tid."""

CPU_LIMIT = 1 << 15

# What was wrong with an unreadable line; `FAULTS` says it in words.
NO_TASK, BAD_CPU, BAD_FLAGS, BAD_TIME, NO_EVENT = 1, 2, 3, 4, 5
NO_FIELD, BAD_NUMBER, NO_CLOSING, BAD_LOSS, BAD_TID, BAD_RECORD = 6, 7, 8, 9, 10, 11

FAULTS: dict[int, tuple[str, str]] = {
    NO_TASK: (
        "bad-task-column",
        "expected a task column: a name and a tid ('name-tid', perf: 'name pid/tid')",
    ),
    BAD_CPU: ("bad-cpu", "expected a CPU number in brackets, such as [001]"),
    BAD_FLAGS: ("bad-flags", "expected the flags column and a time stamp after it"),
    BAD_TIME: ("bad-time", "expected a time stamp in seconds, such as 1631.348333, and ':' after it"),
    NO_EVENT: ("bad-event-name", "expected the name of an event"),
    NO_FIELD: ("missing-field", "expected a field that this event always has"),
    BAD_NUMBER: ("bad-number", "expected a number as the value of this field"),
    NO_CLOSING: ("unfinished-call", "expected ')' at the end of the arguments"),
    BAD_LOSS: ("bad-loss-mark", "expected 'CPU:n [LOST m EVENTS]' or 'CPU:n [m EVENTS DROPPED]'"),
    BAD_TID: (
        "bad-tid",
        f"expected a tid of at most {PID_MAX_LIMIT} (the kernel's PID_MAX_LIMIT); in an exec or exit, the "
        "task's own",
    ),
    BAD_RECORD: ("bad-perf-record", "expected what follows the name of such a PERF_RECORD"),
}
"""Code of a fault in a line -> stable name and what was expected."""
