"""Compiled: the columns before an event in what perf script prints."""

from __future__ import annotations

from ...compiling import kernel
from ..native_events import PID_MAX_LIMIT
from .byte_words import skip_blanks
from .columns import (
    BAD_CPU,
    BAD_TID,
    BAD_TIME,
    COMM_BEGIN,
    COMM_END,
    CPU,
    CPU_LIMIT,
    NO_TASK,
    TGID,
    TID,
    TS,
)
from .numbers import read_decimal
from .task_columns import read_time


@kernel
def is_word(byte):
    """Tell whether a byte is a letter, a digit or _."""
    return 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 95


@kernel
def read_tid(data, at, end):
    """Read a tid of perf; a task that was gone already is printed as -1 and read as 0."""
    if at < end and data[at] == 45:
        _, stop = read_decimal(data, at + 1, end)
        return 0, at if stop == at + 1 else stop
    return read_decimal(data, at, end)


@kernel
def read_perf_context(data, at, end, rows, line):
    """Read ``pid/tid [cpu] seconds:`` and what stands before the event's own name; results as `read_context`.

    One number is the tid. The period of a counter and the group of a tracepoint are passed over.
    """
    rows[line, TGID] = -1
    tid, stop = read_tid(data, at, end)
    if stop == at:
        return NO_TASK, at
    if stop < end and data[stop] == 47:  # "/"
        at = stop + 1
        rows[line, TGID] = tid if tid > 0 else -1
        tid, stop = read_tid(data, at, end)
        if stop == at:
            return NO_TASK, at
    if tid > PID_MAX_LIMIT or rows[line, TGID] > PID_MAX_LIMIT:
        return BAD_TID, at
    if stop >= end or data[stop] != 32:
        return NO_TASK, stop
    at = skip_blanks(data, stop, end)
    cpu = -1
    if at < end and data[at] == 91:  # "[cpu]"
        cpu, stop = read_decimal(data, at + 1, end)
        if stop == at + 1 or stop >= end or data[stop] != 93 or cpu >= CPU_LIMIT:
            return BAD_CPU, at + 1
        at = skip_blanks(data, stop + 1, end)
    ts, stop = read_time(data, at, end)
    if stop < 0:
        return BAD_TIME, -1 - stop
    rows[line, TID], rows[line, CPU], rows[line, TS] = tid, cpu, ts
    at = skip_blanks(data, stop, end)
    _, stop = read_decimal(data, at, end)
    if stop > at and stop < end and data[stop] == 32:  # a period
        at = skip_blanks(data, stop, end)
    stop = at
    while stop < end and is_word(data[stop]):
        stop += 1
    if stop + 1 < end and data[stop] == 58 and data[stop + 1] != 32:  # "group:"
        at = stop + 1
    return 0, at


@kernel
def read_perf_head(data, begin, end, rows, line):
    """Read the columns of perf script before the event; fills COMM_BEGIN and COMM_END too.

    The name is padded to 16 bytes, except with call chains: then the last number after a blank that makes
    sense within a name's length is taken.
    """
    name_end = begin + 16
    place = skip_blanks(data, name_end, end)
    fault, at = NO_TASK, begin
    if place > name_end and place < end:
        fault, at = read_perf_context(data, place, end, rows, line)
    if fault != 0:
        place = min(begin + 48, end - 1)
        while place > begin:
            if data[place - 1] == 32 and data[place] != 32:
                other_fault, other_at = read_perf_context(data, place, end, rows, line)
                if other_fault == 0:
                    fault, at, name_end = 0, other_at, place - 1
                    break
                if other_fault != NO_TASK and fault == NO_TASK:
                    fault, at = other_fault, other_at  # the better guess at what is wrong
            place -= 1
    if fault == 0:
        while name_end > begin and data[name_end - 1] == 32:
            name_end -= 1
        rows[line, COMM_BEGIN] = skip_blanks(data, begin, name_end)
        rows[line, COMM_END] = name_end
    return fault, at
