"""Compiled: the columns before an event in ftrace text and in what trace-cmd prints."""

from __future__ import annotations

from ...compiling import inlined_kernel, kernel
from ..native_events import PID_MAX_LIMIT
from .byte_words import first_bytes, load_word, skip_blanks
from .columns import (
    BAD_CPU,
    BAD_FLAGS,
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
from .numbers import is_digit, read_decimal

_NS_PER_SECOND = 1_000_000_000
_NS_PER_US = 1_000


@inlined_kernel
def read_time(data, at, end):
    """Read ``seconds.fraction:``; returns ns and where the colon ends (- 1 - place if it is no time)."""
    seconds, stop = read_decimal(data, at, end)
    if stop == at or stop >= end:
        return 0, -1 - stop
    if data[stop] == 58:  # clocks that count (counter, x86-tsc) print one number
        return seconds, stop + 1
    if data[stop] != 46 or seconds > 9_000_000_000:
        return 0, -1 - stop
    at = stop + 1
    fraction, stop = read_decimal(data, at, min(end, at + 9))
    if stop == at or stop >= end or data[stop] != 58:
        return 0, -1 - stop
    for _ in range(9 - (stop - at)):
        fraction *= 10
    return seconds * _NS_PER_SECOND + fraction, stop + 1


@kernel
def read_relative_time(data, at, end):
    """Read what options/latency-format prints, ``19938us! :``; results as `read_time`."""
    micros, stop = read_decimal(data, at, end)
    if stop == at or stop + 1 >= end or data[stop] != 117 or data[stop + 1] != 115:
        return 0, -1 - stop
    stop += 2
    while stop < end and data[stop] != 58:
        byte = data[stop]
        # marks of a long delay: blank ! + # * @ $
        if not (
            byte == 32 or byte == 33 or byte == 43 or byte == 35 or byte == 42 or byte == 64 or byte == 36
        ):
            return 0, -1 - stop
        stop += 1
    if stop >= end:
        return 0, -1 - stop
    return micros * _NS_PER_US, stop + 1


@kernel
def read_context(data, dash, end, rows, line):
    """Read everything from the ``-`` before the tid to the event; fills TID, TGID, CPU, TS of row `line`.

    Returns
    -------
    fault, at
        0 and where the event begins, or what was wrong and where.
    """
    tid, at = read_decimal(data, dash + 1, end)
    if at == dash + 1:
        return NO_TASK, at
    if tid > PID_MAX_LIMIT:
        return BAD_TID, dash + 1
    rows[line, TID] = tid
    rows[line, TGID] = -1
    at = skip_blanks(data, at, end)
    if at < end and data[at] == 40:  # "(  tgid)", or "(-------)" where it is not known
        at = skip_blanks(data, at + 1, end)
        tgid, stop = read_decimal(data, at, end)
        if stop > at:
            if tgid > PID_MAX_LIMIT:
                return BAD_TID, at
            rows[line, TGID] = tgid
        while stop < end and data[stop] == 45:
            stop += 1
        if stop >= end or data[stop] != 41:
            return NO_TASK, stop
        at = skip_blanks(data, stop + 1, end)
    if at >= end:
        return NO_TASK, at
    if data[at] == 91:  # "[cpu]"
        cpu, stop = read_decimal(data, at + 1, end)
        if stop == at + 1 or stop >= end or data[stop] != 93 or cpu >= CPU_LIMIT:
            return BAD_CPU, at + 1
        at = skip_blanks(data, stop + 1, end)
        ts, stop = read_time(data, at, end)  # without options/irq-info there are no flags
        if stop < 0:
            while at < end and data[at] != 32:
                if data[at] == 58:  # flags have no colon: this was to be the time
                    return BAD_TIME, -1 - stop
                at += 1
            at = skip_blanks(data, at, end)
            if at >= end:
                return BAD_FLAGS, at
            ts, stop = read_time(data, at, end)
    elif is_digit(data[at]):  # options/latency-format, report -l: CPU and flags in one word
        cpu, stop = read_decimal(data, at, end)
        if cpu >= CPU_LIMIT:
            return BAD_CPU, at
        at = stop
        while at < end and data[at] != 32:
            at += 1
        at = skip_blanks(data, at, end)
        ts, stop = read_time(data, at, end)  # trace-cmd
        if stop < 0:
            ts, stop = read_relative_time(data, at, end)  # ftrace
    else:
        return NO_TASK, at
    if stop < 0:
        return BAD_TIME, -1 - stop
    rows[line, CPU] = cpu
    rows[line, TS] = ts
    return 0, skip_blanks(data, stop, end)


@kernel
def read_odd_head(data, begin, end, fault, at, rows, line):
    """Read the columns of a line whose ``-`` is not behind 16 bytes; results as `read_context`, and the ``-``."""
    dash = begin + 8
    if dash + 1 < end and data[dash] == 45 and is_digit(data[dash + 1]):
        fault, at = read_context(data, dash, end, rows, line)
        if fault == 0:
            return fault, at, dash
    dash = min(begin + 40, end - 2)
    while dash >= begin:
        if data[dash] == 45 and is_digit(data[dash + 1]):
            other_fault, other_at = read_context(data, dash, end, rows, line)
            if other_fault == 0:
                return other_fault, other_at, dash
            if other_fault != NO_TASK and fault == NO_TASK:
                fault, at = other_fault, other_at  # the better guess at what is wrong
        dash -= 1
    return fault, at, dash


@kernel
def read_head(data, begin, end, rows, line):
    """Read the columns before the event, whatever the name holds; fills COMM_BEGIN and COMM_END too.

    The name is padded to 16 bytes (8 under options/latency-format), so the ``-`` has its place. Where it is
    not there (a line that was edited), the last ``-`` that makes sense within a name's length is taken.
    """
    dash = begin + 16
    fault, at = NO_TASK, begin
    if dash + 1 < end and data[dash] == 45 and is_digit(data[dash + 1]):
        fault, at = read_context(data, dash, end, rows, line)
    if fault != 0:
        fault, at, dash = read_odd_head(data, begin, end, fault, at, rows, line)
    if fault == 0:
        rows[line, COMM_BEGIN] = skip_blanks(data, begin, dash)
        rows[line, COMM_END] = dash
    return fault, at


@kernel
def time_before(data, begin, event):
    """Return where the time stamp that ends before `event` begins, as `read_time` reads it."""
    at = event - 1
    while at > begin and data[at] != 58:
        at -= 1
    while at > begin and (is_digit(data[at - 1]) or data[at - 1] == 46):
        at -= 1
    return at


@inlined_kernel
def read_as_model(data, begin, end, model, model_line, model_length, rows, line):
    """Read the columns of a line that begins, up to its time, like the line at `model`; fills TID, TGID, CPU, TS.

    Returns
    -------
    int64
        Where the event begins; -1 if the line begins otherwise, or its time cannot be read.
    """
    place = 0
    while place < model_length:
        differing = load_word(data, begin + place) ^ load_word(data, model + place)
        if first_bytes(differing, model_length - place) != 0:
            return -1
        place += 8
    ts, at = read_time(data, begin + model_length, end)
    if at < 0:
        return -1
    rows[line, TID], rows[line, TGID] = rows[model_line, TID], rows[model_line, TGID]
    rows[line, CPU], rows[line, TS] = rows[model_line, CPU], ts
    return skip_blanks(data, at, end)
