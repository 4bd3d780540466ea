"""Compiled: what kind of line each line of a block is; two passes over it, the second for the events alone.

The first pass is another one for each kind of task columns, so that nobody waits for the compiler because of a
tool whose text he does not have.
"""

from __future__ import annotations

from ...compiling import entry_point, inlined_kernel, kernel
from ..native_events import KIND_BLANK, KIND_FRAME, KIND_HEADER, KIND_LOST, KIND_UNREADABLE
from .byte_words import four_bytes, skip_blanks
from .columns import (
    BAD_LOSS,
    COMM_BEGIN,
    COMM_END,
    CPU,
    CPU_LIMIT,
    EVENT_AT,
    FAULT,
    FAULT_AT,
    FTRACE,
    KIND,
    KIND_EVENT,
    LIKE,
    N_COLUMNS,
)
from .event_tables import REQUIRED
from .events import forget_known_name, read_event, read_fault
from .numbers import read_decimal
from .perf_columns import read_perf_head
from .task_columns import read_as_model, read_head, time_before

# Beginnings of lines, as `four_bytes` reads them.
_CPU_COLON = int.from_bytes(b"CPU:")
_ARROW = int.from_bytes(b" => ")
_CPUS = int.from_bytes(b"cpus")
_CPU_BLANK = int.from_bytes(b"CPU ")
_VERSION = int.from_bytes(b"vers")
_LOST_WORD, _EVENTS_WORD = int.from_bytes(b"LOST"), int.from_bytes(b"EVEN")


@kernel
def after_buffer_name(data, begin, end):
    """Return where a line of trace-cmd begins behind ``buffer: ``, the name of an instance.

    Lines without it begin with a blank, because the task's name is shorter than its column.
    """
    if data[begin] == 32:
        return begin
    for at in range(begin, end - 1):
        if data[at] == 58 and data[at + 1] == 32:
            return at + 2
    return begin


@kernel
def read_loss(data, begin, end, rows, args, line):
    """Read ``CPU:n [LOST m EVENTS]`` or ``CPU:n [m EVENTS DROPPED]``; without m the number is not known (0)."""
    cpu, at = read_decimal(data, begin + 4, end)
    if at == begin + 4 or cpu >= CPU_LIMIT:
        return BAD_LOSS, at
    at = skip_blanks(data, at, end)
    if at >= end or data[at] != 91:  # "["
        return BAD_LOSS, at
    at += 1
    if four_bytes(data, at, end) == _LOST_WORD:
        at = skip_blanks(data, at + 4, end)
    events, stop = read_decimal(data, at, end)
    at = skip_blanks(data, stop, end)
    if data[end - 1] != 93:  # "]"
        return BAD_LOSS, end
    if four_bytes(data, at, end) != _EVENTS_WORD:
        return BAD_LOSS, at
    rows[line, CPU] = cpu
    args[line, 0] = events
    return 0, at


@inlined_kernel
def end_of(data, begin, end):
    """Return where a line ends, blanks and a carriage return at its end left out."""
    while end > begin and (data[end - 1] == 13 or data[end - 1] == 32):
        end -= 1
    return end


@inlined_kernel
def clear(rows, args, line):
    """Begin the row of a line: nothing is known of it."""
    for column in range(N_COLUMNS):
        rows[line, column] = 0
    for slot in range(args.shape[1]):
        args[line, slot] = 0
    rows[line, COMM_BEGIN] = rows[line, LIKE] = -1


@inlined_kernel
def settle(rows, line, kind, fault, at, begin):
    """Enter what the line is, or that it cannot be read: what was wrong at `at`."""
    rows[line, KIND] = kind
    if fault != 0:
        rows[line, KIND], rows[line, FAULT], rows[line, FAULT_AT] = KIND_UNREADABLE, fault, at - begin
        rows[line, COMM_BEGIN] = -1


@kernel
def is_trace_cmd_header(data, begin, end):
    """Tell whether this is ``cpus=n``, ``version = n`` or ``CPU n is empty``."""
    word = four_bytes(data, begin, end)
    return word in (_CPUS, _VERSION, _CPU_BLANK)


@kernel
def is_frame(data, begin, end, tool):
    """Tell whether the line is a frame of a stack trace, which belongs to the event above it."""
    if tool == FTRACE:
        return four_bytes(data, begin, end) == _ARROW
    return begin + 1 < end and data[begin] == 61 and data[begin + 1] == 62  # "=>"


@entry_point
def read_task_columns(data, line_ends, tool, rows, args):
    """Tell the lines of ftrace (`tool` FTRACE) or trace-cmd apart, and read the columns of those that are events.

    Parameters and results are those of `scan_lines`; KIND is KIND_EVENT where an event is still to be read.
    """
    begin = 0
    # The last line whose columns were read in full: most lines behind it begin with the same bytes.
    model, model_line, model_length, model_name = (
        0,
        0,
        0,
        0,
    )  # where it and its name begin; bytes before its time
    for line in range(len(line_ends)):
        end = end_of(data, begin, line_ends[line])
        clear(rows, args, line)
        first = skip_blanks(data, begin, end)
        kind, fault, at = KIND_EVENT, 0, 0
        if first == end:
            kind = KIND_BLANK
        elif data[begin] == 35:  # '#'
            kind = KIND_HEADER
        elif is_frame(data, begin, end, tool):
            kind = KIND_FRAME
        elif tool != FTRACE and is_trace_cmd_header(data, begin, end):
            kind = KIND_HEADER
        else:
            head = begin if tool == FTRACE else after_buffer_name(data, begin, end)
            at = -1
            if model_length > 0 and head + model_length < end:
                at = read_as_model(data, head, end, model, model_line, model_length, rows, line)
            if at >= 0:
                rows[line, COMM_BEGIN], rows[line, COMM_END] = head + model_name - model, head + 16
                rows[line, LIKE] = model_line
            elif four_bytes(data, head, end) == _CPU_COLON:
                kind = KIND_LOST
                fault, at = read_loss(data, head, end, rows, args, line)
            else:
                fault, at = read_head(data, head, end, rows, line)
                model, model_line, model_length = head, line, 0
                if fault == 0 and rows[line, COMM_END] == head + 16:
                    model_name, model_length = rows[line, COMM_BEGIN], time_before(data, head, at) - head
                    rows[line, LIKE] = line if model_length > 0 else -1
        rows[line, EVENT_AT] = at
        settle(rows, line, kind, fault, at, begin)
        begin = line_ends[line] + 1


@entry_point
def read_perf_columns(data, line_ends, rows, args):
    """Do what `read_task_columns` does for the lines of perf script."""
    begin = 0
    for line in range(len(line_ends)):
        end = end_of(data, begin, line_ends[line])
        clear(rows, args, line)
        kind, fault, at = KIND_EVENT, 0, 0
        if skip_blanks(data, begin, end) == end:
            kind = KIND_BLANK
        elif data[begin] == 35:  # '#'
            kind = KIND_HEADER
        elif data[begin] == 9:  # a tab
            kind = KIND_FRAME
        else:
            fault, at = read_perf_head(data, begin, end, rows, line)
        rows[line, EVENT_AT] = at
        settle(rows, line, kind, fault, at, begin)
        begin = line_ends[line] + 1


@entry_point
def read_events(data, line_ends, style, remembered, rows, args):
    """Read the events of the lines whose columns are read; parameters and results are those of `scan_lines`."""
    begin = 0
    known = -1  # the line whose name in the task column `remembered` holds
    for line in range(len(line_ends)):
        if rows[line, KIND] == KIND_EVENT:
            end = end_of(data, begin, line_ends[line])
            fault, at = 0, rows[line, EVENT_AT]
            if not read_fault(data, at, end, rows, args, line):
                fault, at = read_event(data, at, end, style, rows, args, line)
            kind = rows[line, KIND]
            if fault == 0 and kind > 0 and REQUIRED[kind] >= 0:
                like = rows[line, LIKE]
                if like >= 0 and like == known:
                    rows[line, COMM_BEGIN] = -1
                else:
                    forget_known_name(data, remembered, rows, line)
                    known = like
            settle(rows, line, kind, fault, at, begin)
        begin = line_ends[line] + 1
