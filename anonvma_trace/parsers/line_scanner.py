"""Compiled scanner: blocks of text that prints tracepoints to columns of numbers, one pass over the bytes.

ftrace, trace-cmd and perf print the same events behind different task columns: the columns are read by
`_read_context` or `_read_perf_context`, as `layout` says, the event behind them by `_read_event`.
All functions here are compiled and call only each other, so that the on-disk cache, which looks at one file,
is never stale. What an event looks like comes in as arrays (`native_events.native_tables`). Numbers are int64
throughout; 64-bit values keep their bits (an error is printed as 0xfffffffffffffff4 and reads -12).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiling import cached_njit

# Same numbers as in native_events: constants are compiled in, and the cache looks at this file only.
_HASH_FACTOR, _HASH_MASK = 65599, (1 << 46) - 1
_HEX, _DECIMAL, _BARE_HEX, _ADDRESS, _FLAG, _WORDS, _TEXT = 1, 2, 3, 4, 5, 6, 7
_OTHER, _BLANK, _HEADER, _UNREADABLE, _FRAME, _LOST, _MARK, _RECORD = 0, -1, -2, -3, -4, 1, 2, 3

# What was wrong with an unreadable line; `FAULTS` says it in words.
_NO_TASK, _BAD_CPU, _BAD_FLAGS, _BAD_TIME, _NO_EVENT = 1, 2, 3, 4, 5
_NO_FIELD, _BAD_NUMBER, _NO_CLOSING, _BAD_LOSS, _BAD_TID, _BAD_RECORD = 6, 7, 8, 9, 10, 11

# Beginnings of lines and texts, as `_four_bytes` reads them.
_SNAP = int.from_bytes(b"snap")
_CPU_COLON = int.from_bytes(b"CPU:")
_ARROW = int.from_bytes(b" => ")
_CPUS = int.from_bytes(b"cpus")
_CPU_BLANK = int.from_bytes(b"CPU ")
_VERSION = int.from_bytes(b"vers")
_LOST_WORD, _EVENTS_WORD = int.from_bytes(b"LOST"), int.from_bytes(b"EVEN")
_PERF, _RECO, _RD = int.from_bytes(b"PERF"), int.from_bytes(b"_REC"), int.from_bytes(b"ORD_")

FAULTS: dict[int, tuple[str, str]] = {
    _NO_TASK: (
        "bad-task-column",
        "expected a task column: a name and a tid ('name-tid', perf: 'name pid/tid')",
    ),
    _BAD_CPU: ("bad-cpu", "expected a CPU number in brackets, such as [001]"),
    _BAD_FLAGS: ("bad-flags", "expected the flags column and a time stamp after it"),
    _BAD_TIME: ("bad-time", "expected a time stamp in seconds, such as 1631.348333, and ':' after it"),
    _NO_EVENT: ("bad-event-name", "expected the name of an event"),
    _NO_FIELD: ("missing-field", "expected a field that this event always has"),
    _BAD_NUMBER: ("bad-number", "expected a number as the value of this field"),
    _NO_CLOSING: ("unfinished-call", "expected ')' at the end of the arguments"),
    _BAD_LOSS: ("bad-loss-mark", "expected 'CPU:n [LOST m EVENTS]' or 'CPU:n [m EVENTS DROPPED]'"),
    _BAD_TID: (
        "bad-tid",
        "expected a tid of at most 4194304 (the kernel's PID_MAX_LIMIT); in an exec or exit, the task's own",
    ),
    _BAD_RECORD: ("bad-perf-record", "expected what follows the name of such a PERF_RECORD"),
}
"""Code of a fault in a line -> stable name and what was expected."""

BAD_TID, BAD_RECORD = _BAD_TID, _BAD_RECORD
PID_MAX_LIMIT = 4 * 1024 * 1024
_CPU_LIMIT = 1 << 15

FTRACE, TRACE_CMD, PERF_SCRIPT = 0, 1, 2
"""Tools whose task columns are known."""

STYLE_UNKNOWN, STYLE_0X, STYLE_BARE = 0, 1, 2
"""How the file prints system call arguments: with 0x (6.x kernels), or hexadecimal without it (before)."""

COMM_MEMORY = 1 << 16
"""Task names remembered while scanning, by the low bits of the tid."""

_NS_PER_SECOND = 1_000_000_000
_NS_PER_US = 1_000
# Columns of the results.
TID, TGID, CPU, TS, KIND, TEXT_BEGIN, TEXT_END, COMM_BEGIN, COMM_END, FAULT, FAULT_AT = range(11)
N_COLUMNS = 11


# Nothing here allocates. Without `_nrt=False` numba counts references to every array at every call, which took
# most of the time; the option is not documented, hence the bounded numba range in pyproject.toml.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_compiled = cached_njit(**_OPTIONS)


@_compiled
def _skip_blanks(data, at, end):
    while at < end and data[at] == 32:
        at += 1
    return at


@_compiled
def _is_digit(byte):
    return 48 <= byte <= 57


@_compiled
def _hex_digit(byte):
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return -1


@_compiled
def _read_decimal(data, at, end):
    """Read up to 18 digits; the second result is `at` itself if there is none."""
    value = 0
    stop = min(end, at + 18)
    while at < stop:
        byte = int(data[at])
        if not _is_digit(byte):
            break
        value = value * 10 + (byte - 48)
        at += 1
    return value, at


@_compiled
def _read_hex(data, at, end):
    """Read up to 16 hexadecimal digits as a signed 64-bit number."""
    high = 0
    low = 0
    stop = min(end, at + 16)
    while at < stop:
        digit = _hex_digit(int(data[at]))
        if digit < 0:
            break
        high = ((high << 4) | (low >> 28)) & 0xFFFFFFFF
        low = ((low << 4) | digit) & 0xFFFFFFFF
        at += 1
    if high >= 0x80000000:
        high -= 0x100000000
    return (high << 32) | low, at


@_compiled
def _ends_value(data, at, end):
    if at >= end:
        return True
    byte = data[at]
    return byte == 32 or byte == 44 or byte == 41  # blank , )


@_compiled
def _has_0x(data, at, end):
    return at + 2 < end and data[at] == 48 and (data[at + 1] == 120 or data[at + 1] == 88)


@_compiled
def _read_value(data, at, end, form, strict):
    """Read a field's value; the second result is where it ends, or -1 if it is none.

    `strict` (1 or 0): without 0x only a single digit is a number (what 6.x kernels print).
    """
    if at < end and data[at] == 40:  # options/fields puts some values in brackets
        at += 1
    if at >= end:
        return 0, -1
    value = 0
    stop = at
    if form == _FLAG and data[at] == 116:  # t(rue)
        value, stop = 1, at + 4
    elif form == _FLAG and data[at] == 102:  # f(alse)
        value, stop = 0, at + 5
    elif _has_0x(data, at, end):
        begin = at + 2
        value, stop = _read_hex(data, begin, end)
        if stop == begin:
            stop = -1
    elif form == _ADDRESS:
        byte = int(data[at])
        letter = 97 <= byte <= 122 or 65 <= byte <= 90 or byte == 95
        if letter:
            value = -1
            while stop < end and data[stop] != 32:
                stop += 1
        else:
            stop = -1
    elif form in (_DECIMAL, _FLAG):
        begin = at
        if data[at] == 45:
            begin = at + 1
        value, stop = _read_decimal(data, begin, end)
        if stop == begin:
            stop = -1
        elif begin > at:
            value = -value
        if 0 <= stop < end and data[stop] == 66:  # bytes: 4096B
            stop += 1
    else:
        value, stop = _read_hex(data, at, end)
        if stop == at or (strict != 0 and stop > at + 1):
            stop = -1
    if stop < 0 or stop > end or not _ends_value(data, stop, end):
        return 0, -1
    return value, stop


@_compiled
def _read_words(data, at, end, word_bits):
    """Read words with | between them: the bits of those that the table names; always a value."""
    bits = 0
    hashed = 0
    while at < end and not _ends_value(data, at, end):
        byte = int(data[at])
        if byte == 124:
            bits |= _find_word(word_bits, hashed)
            hashed = 0
        else:
            hashed = (hashed * _HASH_FACTOR + byte) & _HASH_MASK
        at += 1
    return bits | _find_word(word_bits, hashed), at


@_compiled
def _find_word(words, hashed):
    """Return what a sorted table holds for a hash; 0 if it is not there."""
    low = 0
    high = words.shape[0]
    while low < high:
        middle = (low + high) // 2
        if words[middle, 0] < hashed:
            low = middle + 1
        else:
            high = middle
    if low < words.shape[0] and words[low, 0] == hashed:
        return words[low, 1]
    return _OTHER


@_compiled
def _read_fields(data, at, end, separator, strict, kind, fields, word_bits, args, line):
    """Read ``name=value name=value`` (separator ``=``) or ``name: value, name: value`` (``:``).

    Fields that the event's description does not name are passed over.

    Returns
    -------
    found, fault, fault_at
        Bit mask of the slots read, and what was wrong where (0: nothing).
    """
    found = 0
    while True:
        hashed = 0
        while at < end:
            byte = int(data[at])
            if byte == separator:
                break
            if byte == 32 or byte == 44 or byte == 42:  # the name is the last word: options/verbose has types
                hashed = 0
            else:
                hashed = (hashed * _HASH_FACTOR + byte) & _HASH_MASK
            at += 1
        if at >= end:
            return found, 0, 0
        at = _skip_blanks(data, at + 1, end)
        for position in range(fields.shape[1]):
            candidate = fields[kind, position, 0]
            if candidate == 0:
                break
            if candidate == hashed:
                form = fields[kind, position, 1]
                if form == _WORDS:
                    value, stop = _read_words(data, at, end, word_bits)
                else:
                    value, stop = _read_value(data, at, end, form, strict)
                if stop < 0:
                    return found, _BAD_NUMBER, at
                slot = fields[kind, position, 2]
                args[line, slot] = value
                found |= 1 << slot
                at = stop
                break
        closing = 44 if separator == 58 else 32
        while at < end and data[at] != closing:
            at += 1


@_compiled
def _read_unnamed_or_fields(data, at, end, kind, fields, word_bits, args, line):
    """Read ``name=value …``, ``name: value, …``, or one value alone, which is that of the event's first field.

    Returns
    -------
    found, fault, fault_at
        As `_read_fields`.
    """
    separator = at
    while separator < end and data[separator] != 61 and data[separator] != 58:
        separator += 1
    if separator < end:
        mark = np.int64(data[separator])
        strict = np.int64(mark == 58)  # trace-cmd and perf print 0x before every argument
        return _read_fields(data, at, end, mark, strict, kind, fields, word_bits, args, line)
    if at == end or fields[kind, 0, 0] == 0:
        return 0, 0, 0
    value, stop = _read_value(data, at, end, fields[kind, 0, 1], np.int64(0))
    if stop < 0:
        return 0, _BAD_NUMBER, at
    slot = fields[kind, 0, 2]
    args[line, slot] = value
    return 1 << slot, 0, 0


@_compiled
def _find_last(data, begin, end, name, name_begin, name_end):
    """Return where the field ``name=`` stands last in data[begin:end], after a blank or at begin; else -1."""
    length = name_end - name_begin
    at = end - length
    while at >= begin:
        if data[at] == name[name_begin] and (at == begin or data[at - 1] == 32):
            same = 1
            while same < length and data[at + same] == name[name_begin + same]:
                same += 1
            if same == length:
                return at
        at -= 1
    return -1


@_compiled
def _read_text_fields(data, begin, end, kind, layout, text_name, args, line):
    """Read fields of which some are text: from the right, because text may hold anything, ``name=`` too.

    Returns
    -------
    found, fault, fault_at, kept_begin, kept_end
        As `_read_fields`, and where the text that is kept stands.
    """
    found = 0
    kept_begin = 0
    kept_end = 0
    lenient = np.int64(0)
    position = layout.shape[1] - 1
    while position >= 0:
        form = layout[kind, position, 2]
        if form != 0:
            name_begin, name_end = layout[kind, position, 0], layout[kind, position, 1]
            at = _find_last(data, begin, end, text_name, name_begin, name_end)
            if at < 0:
                if layout[kind, position, 4] != 0:
                    return found, _NO_FIELD, end, 0, 0
            else:
                value_at = at + name_end - name_begin
                if form < _TEXT:
                    value, stop = _read_value(data, value_at, end, form, lenient)
                    if stop < 0:
                        return found, _BAD_NUMBER, value_at, 0, 0
                    slot = layout[kind, position, 3]
                    args[line, slot] = value
                    found |= 1 << slot
                elif form == _TEXT:
                    kept_begin, kept_end = value_at, end
                end = at - 1 if at > begin else begin
        position -= 1
    return found, 0, 0, kept_begin, kept_end


@_compiled
def _read_time(data, at, end):
    """Read ``seconds.fraction:``; returns ns and where the colon ends (- 1 - place if it is no time)."""
    seconds, stop = _read_decimal(data, at, end)
    if stop == at or stop >= end:
        return 0, -1 - stop
    if data[stop] == 58:  # clocks that count (counter, x86-tsc) print one number
        return seconds, stop + 1
    if data[stop] != 46 or seconds > 9_000_000_000:
        return 0, -1 - stop
    at = stop + 1
    fraction, stop = _read_decimal(data, at, min(end, at + 9))
    if stop == at or stop >= end or data[stop] != 58:
        return 0, -1 - stop
    for _ in range(9 - (stop - at)):
        fraction *= 10
    return seconds * _NS_PER_SECOND + fraction, stop + 1


@_compiled
def _read_relative_time(data, at, end):
    """Read what options/latency-format prints, ``19938us! :``; results as `_read_time`."""
    micros, stop = _read_decimal(data, at, end)
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


@_compiled
def _read_context(data, dash, end, rows, line):
    """Read everything from the ``-`` before the tid to the event; fills TID, TGID, CPU, TS of row `line`.

    Returns
    -------
    fault, at
        0 and where the event begins, or what was wrong and where.
    """
    tid, at = _read_decimal(data, dash + 1, end)
    if at == dash + 1:
        return _NO_TASK, at
    if tid > PID_MAX_LIMIT:
        return _BAD_TID, dash + 1
    rows[line, TID] = tid
    rows[line, TGID] = -1
    at = _skip_blanks(data, at, end)
    if at < end and data[at] == 40:  # "(  tgid)", or "(-------)" where it is not known
        at = _skip_blanks(data, at + 1, end)
        tgid, stop = _read_decimal(data, at, end)
        if stop > at:
            if tgid > PID_MAX_LIMIT:
                return _BAD_TID, at
            rows[line, TGID] = tgid
        while stop < end and data[stop] == 45:
            stop += 1
        if stop >= end or data[stop] != 41:
            return _NO_TASK, stop
        at = _skip_blanks(data, stop + 1, end)
    if at >= end:
        return _NO_TASK, at
    if data[at] == 91:  # "[cpu]"
        cpu, stop = _read_decimal(data, at + 1, end)
        if stop == at + 1 or stop >= end or data[stop] != 93 or cpu >= _CPU_LIMIT:
            return _BAD_CPU, at + 1
        at = _skip_blanks(data, stop + 1, end)
        ts, stop = _read_time(data, at, end)  # without options/irq-info there are no flags
        if stop < 0:
            while at < end and data[at] != 32:
                if data[at] == 58:  # flags have no colon: this was to be the time
                    return _BAD_TIME, -1 - stop
                at += 1
            at = _skip_blanks(data, at, end)
            if at >= end:
                return _BAD_FLAGS, at
            ts, stop = _read_time(data, at, end)
    elif _is_digit(data[at]):  # options/latency-format, report -l: CPU and flags in one word
        cpu, stop = _read_decimal(data, at, end)
        if cpu >= _CPU_LIMIT:
            return _BAD_CPU, at
        at = stop
        while at < end and data[at] != 32:
            at += 1
        at = _skip_blanks(data, at, end)
        ts, stop = _read_time(data, at, end)  # trace-cmd
        if stop < 0:
            ts, stop = _read_relative_time(data, at, end)  # ftrace
    else:
        return _NO_TASK, at
    if stop < 0:
        return _BAD_TIME, -1 - stop
    rows[line, CPU] = cpu
    rows[line, TS] = ts
    return 0, _skip_blanks(data, stop, end)


@_compiled
def _read_head(data, begin, end, rows, line):
    """Read the columns before the event, whatever the name holds; fills COMM_BEGIN and COMM_END too.

    The name is padded to 16 bytes (8 under options/latency-format), so the ``-`` has its place. Where it is
    not there (a line that was edited), the last ``-`` that makes sense within a name's length is taken.
    """
    fault, at, first_dash = _NO_TASK, begin, -1
    for place in (begin + 16, begin + 8):
        if place + 1 < end and data[place] == 45 and _is_digit(data[place + 1]):
            fault, at = _read_context(data, place, end, rows, line)
            if fault == 0:
                first_dash = place
                break
    if fault != 0:
        dash = min(begin + 40, end - 2)
        while dash >= begin:
            if data[dash] == 45 and _is_digit(data[dash + 1]):
                other_fault, other_at = _read_context(data, dash, end, rows, line)
                if other_fault == 0:
                    fault, at, first_dash = 0, other_at, dash
                    break
                if other_fault != _NO_TASK and fault == _NO_TASK:
                    fault, at = other_fault, other_at  # the better guess at what is wrong
            dash -= 1
    if fault == 0:
        rows[line, COMM_BEGIN] = _skip_blanks(data, begin, first_dash)
        rows[line, COMM_END] = first_dash
    return fault, at


@_compiled
def _four_bytes(data, at, end):
    """Return the four bytes at `at` as one number, for comparisons; 0 if there are not so many."""
    if at + 4 > end:
        return 0
    return (int(data[at]) << 24) | (int(data[at + 1]) << 16) | (int(data[at + 2]) << 8) | int(data[at + 3])


@_compiled
def _is_word(byte):
    return 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 95


@_compiled
def _read_tid(data, at, end):
    """Read a tid of perf; a task that was gone already is printed as -1 and read as 0."""
    if at < end and data[at] == 45:
        _, stop = _read_decimal(data, at + 1, end)
        return 0, at if stop == at + 1 else stop
    return _read_decimal(data, at, end)


@_compiled
def _read_perf_context(data, at, end, rows, line):
    """Read ``pid/tid [cpu] seconds:`` and what stands before the event's own name; results as `_read_context`.

    One number is the tid. The period of a counter and the group of a tracepoint are passed over.
    """
    rows[line, TGID] = -1
    tid, stop = _read_tid(data, at, end)
    if stop == at:
        return _NO_TASK, at
    if stop < end and data[stop] == 47:  # "/"
        at = stop + 1
        rows[line, TGID] = tid if tid > 0 else -1
        tid, stop = _read_tid(data, at, end)
        if stop == at:
            return _NO_TASK, at
    if tid > PID_MAX_LIMIT or rows[line, TGID] > PID_MAX_LIMIT:
        return _BAD_TID, at
    if stop >= end or data[stop] != 32:
        return _NO_TASK, stop
    at = _skip_blanks(data, stop, end)
    cpu = -1
    if at < end and data[at] == 91:  # "[cpu]"
        cpu, stop = _read_decimal(data, at + 1, end)
        if stop == at + 1 or stop >= end or data[stop] != 93 or cpu >= _CPU_LIMIT:
            return _BAD_CPU, at + 1
        at = _skip_blanks(data, stop + 1, end)
    ts, stop = _read_time(data, at, end)
    if stop < 0:
        return _BAD_TIME, -1 - stop
    rows[line, TID], rows[line, CPU], rows[line, TS] = tid, cpu, ts
    at = _skip_blanks(data, stop, end)
    _, stop = _read_decimal(data, at, end)
    if stop > at and stop < end and data[stop] == 32:  # a period
        at = _skip_blanks(data, stop, end)
    stop = at
    while stop < end and _is_word(data[stop]):
        stop += 1
    if stop + 1 < end and data[stop] == 58 and data[stop + 1] != 32:  # "group:"
        at = stop + 1
    return 0, at


@_compiled
def _read_perf_head(data, begin, end, rows, line):
    """Read the columns of perf script before the event; fills COMM_BEGIN and COMM_END too.

    The name is padded to 16 bytes, except with call chains: then the last number after a blank that makes
    sense within a name's length is taken.
    """
    name_end = begin + 16
    place = _skip_blanks(data, name_end, end)
    fault, at = _NO_TASK, begin
    if place > name_end and place < end:
        fault, at = _read_perf_context(data, place, end, rows, line)
    if fault != 0:
        place = min(begin + 48, end - 1)
        while place > begin:
            if data[place - 1] == 32 and data[place] != 32:
                other_fault, other_at = _read_perf_context(data, place, end, rows, line)
                if other_fault == 0:
                    fault, at, name_end = 0, other_at, place - 1
                    break
                if other_fault != _NO_TASK and fault == _NO_TASK:
                    fault, at = other_fault, other_at  # the better guess at what is wrong
            place -= 1
    if fault == 0:
        while name_end > begin and data[name_end - 1] == 32:
            name_end -= 1
        rows[line, COMM_BEGIN] = _skip_blanks(data, begin, name_end)
        rows[line, COMM_END] = name_end
    return fault, at


@_compiled
def _after_buffer_name(data, begin, end):
    """Return where a line of trace-cmd begins behind ``buffer: ``, the name of an instance.

    Lines without it begin with a blank, because the task's name is shorter than its column.
    """
    if data[begin] == 32:
        return begin
    for at in range(begin, end - 1):
        if data[at] == 58 and data[at + 1] == 32:
            return at + 2
    return begin


@_compiled
def _read_loss(data, begin, end, rows, args, line):
    """Read ``CPU:n [LOST m EVENTS]`` or ``CPU:n [m EVENTS DROPPED]``; without m the number is not known (0)."""
    cpu, at = _read_decimal(data, begin + 4, end)
    if at == begin + 4 or cpu >= _CPU_LIMIT:
        return _BAD_LOSS, at
    at = _skip_blanks(data, at, end)
    if at >= end or data[at] != 91:  # "["
        return _BAD_LOSS, at
    at += 1
    if _four_bytes(data, at, end) == _LOST_WORD:
        at = _skip_blanks(data, at + 4, end)
    events, stop = _read_decimal(data, at, end)
    at = _skip_blanks(data, stop, end)
    if data[end - 1] != 93:  # "]"
        return _BAD_LOSS, end
    if _four_bytes(data, at, end) != _EVENTS_WORD:
        return _BAD_LOSS, at
    rows[line, CPU] = cpu
    args[line, 0] = events
    return 0, at


@_compiled
def _read_event(
    data, at, end, style, words, fields, layout, required, text_name, word_bits, rows, args, line
):
    """Read the event itself; sets KIND and the text columns of row `line`. Returns fault, place (0: none)."""
    begin = at
    if (
        _four_bytes(data, at, end) == _PERF
        and _four_bytes(data, at + 4, end) == _RECO
        and _four_bytes(data, at + 8, end) == _RD
    ):
        rows[line, KIND], rows[line, TEXT_BEGIN], rows[line, TEXT_END] = _RECORD, begin, end
        return 0, 0
    hashed = 0
    while at < end:
        byte = int(data[at])
        hashed = (hashed * _HASH_FACTOR + byte) & _HASH_MASK
        if byte == 58 or byte == 40 or byte == 32:  # : ( blank
            break
        at += 1
    first = int(data[begin]) if begin < end else 0
    if not (97 <= first <= 122 or 65 <= first <= 90 or first == 95 or first == 60):  # a letter, _ or <
        return _NO_EVENT, begin
    kind = _find_word(words, hashed)
    rows[line, KIND] = kind
    if kind == _OTHER:
        if at >= end and first != 60:
            return _NO_EVENT, at
        rows[line, TEXT_BEGIN], rows[line, TEXT_END] = begin, at
        args[line, 0] = hashed
        return 0, 0
    if required[kind] < 0:
        return 0, 0
    after = data[at]
    at = _skip_blanks(data, at + 1, end)
    if kind == _MARK:
        if _four_bytes(data, at, end) == _SNAP:
            rows[line, TEXT_BEGIN], rows[line, TEXT_END] = at, end
        else:
            rows[line, KIND] = _OTHER
            rows[line, TEXT_BEGIN], rows[line, TEXT_END] = begin, begin + 18
        return 0, 0
    found = 0
    fault, fault_at = 0, 0
    lenient = np.int64(0)  # np.int64: numba compiles a callee once more for each literal it is given
    if after == 40:
        if data[end - 1] != 41:
            return _NO_CLOSING, end
        strict = np.int64(style == STYLE_0X)
        found, fault, fault_at = _read_fields(
            data, at, end - 1, np.int64(58), strict, kind, fields, word_bits, args, line
        )
    elif after == 32:
        if at + 3 > end or data[at] != 45 or data[at + 1] != 62:  # "->"
            return _NO_FIELD, at
        value, stop = _read_value(data, at + 3, end, np.int64(_HEX), lenient)
        if stop < 0:
            return _BAD_NUMBER, at + 3
        args[line, 0] = value
        found = 1
    elif layout[kind, 0, 2] != 0:
        found, fault, fault_at, kept_begin, kept_end = _read_text_fields(
            data, at, end, kind, layout, text_name, args, line
        )
        rows[line, TEXT_BEGIN], rows[line, TEXT_END] = kept_begin, kept_end
    else:
        found, fault, fault_at = _read_unnamed_or_fields(data, at, end, kind, fields, word_bits, args, line)
    if fault == 0 and (found & required[kind]) != required[kind]:
        return _NO_FIELD, end
    args[line, args.shape[1] - 1] = found
    return fault, fault_at


@_compiled
def _forget_known_name(data, remembered, rows, line):
    """Set COMM_BEGIN to -1 where the task's name is the one last seen for its tid."""
    hashed = 0
    for at in range(rows[line, COMM_BEGIN], rows[line, COMM_END]):
        hashed = (hashed * _HASH_FACTOR + int(data[at])) & _HASH_MASK
    place = rows[line, TID] & (COMM_MEMORY - 1)
    if remembered[place, 0] == rows[line, TID] and remembered[place, 1] == hashed:
        rows[line, COMM_BEGIN] = -1
    else:
        remembered[place, 0], remembered[place, 1] = rows[line, TID], hashed


@_compiled
def _is_frame(data, begin, end, tool):
    """Tell whether the line is a frame of a stack trace, which belongs to the event above it."""
    if tool == PERF_SCRIPT:
        return data[begin] == 9  # a tab
    if tool == TRACE_CMD:
        return begin + 1 < end and data[begin] == 61 and data[begin + 1] == 62  # "=>"
    return _four_bytes(data, begin, end) == _ARROW


@_compiled
def _is_trace_cmd_header(data, begin, end):
    """Tell whether this is ``cpus=n``, ``version = n`` or ``CPU n is empty``."""
    word = _four_bytes(data, begin, end)
    return word in (_CPUS, _VERSION, _CPU_BLANK)


@_compiled
def scan_lines(
    data,
    line_ends,
    tool,
    style,
    words,
    fields,
    layout,
    required,
    text_name,
    word_bits,
    remembered,
    rows,
    args,
):
    """Read every line of a block of text.

    Parameters
    ----------
    data : ndarray of uint8
        Whole lines.
    line_ends : ndarray of int64, shape (n_lines,)
        Where each line ends (its newline, or the end of `data`).
    tool : int64
        `FTRACE`, `TRACE_CMD` or `PERF_SCRIPT`.
    style : int64
        One of the ``STYLE_`` constants.
    words, fields, layout, required, text_name, word_bits : ndarray
        As in `native_events.NativeTables`.
    remembered : ndarray of int64, shape (COMM_MEMORY, 2)
        Tid and hash of the task name last seen at that place; kept from block to block.
    rows : ndarray of int64, shape (n_lines, N_COLUMNS)
        Filled: the columns named by `TID` … `FAULT_AT`. COMM_BEGIN is -1 where the task's name is the one
        last seen for its tid. FAULT_AT counts bytes from the line's beginning.
    args : ndarray of int64, shape (n_lines, MAX_ARGS + 1)
        Filled: numbers of the event by slot; the last column is the bit mask of the slots found. Of an event
        that the tables do not name, the hash of its name.
    """
    begin = np.int64(0)  # not a literal: numba would compile every callee once more for it
    for line in range(len(line_ends)):
        end = line_ends[line]
        next_begin = end + 1
        while end > begin and (data[end - 1] == 13 or data[end - 1] == 32):  # \r and blanks
            end -= 1
        rows[line, COMM_BEGIN] = -1
        first = _skip_blanks(data, begin, end)
        head = _after_buffer_name(data, begin, end) if tool == TRACE_CMD and first < end else begin
        fault, at = 0, 0
        if first == end:
            rows[line, KIND] = _BLANK
        elif data[begin] == 35:  # '#'
            rows[line, KIND] = _HEADER
        elif _is_frame(data, begin, end, tool):
            rows[line, KIND] = _FRAME
        elif tool == TRACE_CMD and _is_trace_cmd_header(data, begin, end):
            rows[line, KIND] = _HEADER
        elif tool != PERF_SCRIPT and _four_bytes(data, head, end) == _CPU_COLON:
            rows[line, KIND] = _LOST
            fault, at = _read_loss(data, head, end, rows, args, line)
        else:
            if tool == PERF_SCRIPT:
                fault, at = _read_perf_head(data, begin, end, rows, line)
            else:
                fault, at = _read_head(data, head, end, rows, line)
            if fault == 0:
                fault, at = _read_event(
                    data,
                    at,
                    end,
                    style,
                    words,
                    fields,
                    layout,
                    required,
                    text_name,
                    word_bits,
                    rows,
                    args,
                    line,
                )
            kind = rows[line, KIND]
            if fault == 0 and kind > 0 and required[kind] >= 0:
                _forget_known_name(data, remembered, rows, line)
        if fault != 0:
            rows[line, KIND], rows[line, FAULT], rows[line, FAULT_AT] = _UNREADABLE, fault, at - begin
            rows[line, COMM_BEGIN] = -1
        begin = next_begin


def empty_memory() -> np.ndarray:
    """Return the `remembered` array for the first block."""
    return np.full((COMM_MEMORY, 2), -1, dtype=np.int64)
