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
_HASH_FACTOR, _HASH_MASK = 0x9E3779B97F4A7C15, (1 << 46) - 1
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
_INNER = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # only compiled code calls them
_entry = cached_njit(**_OPTIONS)
_compiled = cached_njit(**_INNER)
_inlined = cached_njit(forceinline=True, **_INNER)  # what is called for every word, number or line


# Eight bytes at a time, the first one lowest. The tests on all eight set the high bit of each byte that passes.
_U = np.uint64  # unsigned indices: numba looks for negative ones otherwise
_HIGH_BITS, _LOW_BITS = _U(0x8080808080808080), _U(0x0101010101010101)
_LOW_SEVEN = _U(0x7F7F7F7F7F7F7F7F)
_PLACES = _U(0x0001020304050607)
_ZEROS, _BLANKS, _NEWLINES = _U(0x3030303030303030), _U(0x2020202020202020), _U(0x0A0A0A0A0A0A0A0A)
_ABOVE_9, _ABOVE_F, _FROM_A = _U(0x3A3A3A3A3A3A3A3A), _U(0x6767676767676767), _U(0x6161616161616161)
_NIBBLES = _U(0x0F0F0F0F0F0F0F0F)
_FACTOR = _U(_HASH_FACTOR)


@_compiled
def _last_word(data, at):
    word = _U(0)
    place = len(data)
    while place > at:
        place -= 1
        word = (word << _U(8)) | _U(data[place])
    return word


@_inlined
def _word(data, at):
    """Return the eight bytes at `at`; bytes behind the end of `data` are 0."""
    if at + 8 > len(data):
        return _last_word(data, at)
    at = _U(at)
    # The compiler makes one load of it.
    return (
        _U(data[at])
        | _U(data[at + _U(1)]) << _U(8)
        | _U(data[at + _U(2)]) << _U(16)
        | _U(data[at + _U(3)]) << _U(24)
        | _U(data[at + _U(4)]) << _U(32)
        | _U(data[at + _U(5)]) << _U(40)
        | _U(data[at + _U(6)]) << _U(48)
        | _U(data[at + _U(7)]) << _U(56)
    )


@_inlined
def _first_place(marks):
    """Return which byte of a word is the first whose high bit is set; there must be one."""
    lowest = marks & (~marks + _U(1))
    return np.int64(((lowest >> _U(7)) * _PLACES) >> _U(56))


@_inlined
def _is_zero(word):
    """Mark the first byte that is 0, and perhaps some behind it."""
    return (word - _LOW_BITS) & ~word & _HIGH_BITS


@_inlined
def _at_least(word, limits):
    """Mark the bytes, all below 128, that are not below those of `limits`."""
    return ((word | _HIGH_BITS) - limits) & _HIGH_BITS


@_inlined
def _find(data, at, end, byte):
    """Return where `byte` stands first in data[at:end], or `end`."""
    wanted = _LOW_BITS * _U(byte)
    while at < end:
        marks = _is_zero(_word(data, at) ^ wanted)
        if marks != 0:
            return min(at + _first_place(marks), end)
        at += 8
    return end


@_inlined
def _find_value_end(data, at, end):
    """Return where the first blank, comma or closing bracket stands in data[at:end], or `end`."""
    while at < end:
        word = _word(data, at)
        marks = _is_zero(word ^ _BLANKS) | _is_zero(word ^ (_LOW_BITS * _U(44)))
        marks |= _is_zero(word ^ (_LOW_BITS * _U(41)))
        if marks != 0:
            return min(at + _first_place(marks), end)
        at += 8
    return end


@_inlined
def _first_bytes(word, n):
    """Return a word with its first `n` bytes only, at most 8."""
    if n >= 8:
        return word
    return word & ((_U(1) << _U(8 * n)) - _U(1))


@_inlined
def _hash(data, begin, end):
    """Return what `native_events.hash_word` does for data[begin:end]."""
    value = _U(end - begin)
    while begin < end:
        value = (value ^ _first_bytes(_word(data, begin), end - begin)) * _FACTOR
        value ^= value >> _U(32)
        begin += 8
    return np.int64(value & _U(_HASH_MASK))


@_entry
def find_line_ends(data, line_ends):
    """Fill `line_ends` with the places of all newlines; returns how many there are.

    Parameters
    ----------
    data : ndarray of uint8
    line_ends : ndarray of int64
        With room for all.
    """
    n_lines = np.int64(0)
    at = np.int64(0)
    while at < len(data):
        word = _word(data, at) ^ _NEWLINES
        # Exact for every byte, not only for the first.
        marks = ~(((word & _LOW_SEVEN) + _LOW_SEVEN) | word) & _HIGH_BITS
        while marks != 0:
            line_ends[n_lines] = at + _first_place(marks)
            n_lines += 1
            marks &= marks - _U(1)
        at += 8
    return n_lines


@_inlined
def _skip_blanks(data, at, end):
    if at < end and data[at] != 32:
        return at
    while at < end:
        word = _word(data, at) ^ _BLANKS
        marks = (((word & _LOW_SEVEN) + _LOW_SEVEN) | word) & _HIGH_BITS
        if marks != 0:
            return min(at + _first_place(marks), end)
        at += 8
    return at if at > end else end


@_inlined
def _is_digit(byte):
    return 48 <= byte <= 57


@_inlined
def _read_decimal(data, at, end):
    """Read up to 18 digits; the second result is `at` itself if there is none."""
    word = _word(data, at)
    digits = _at_least(word & ~_HIGH_BITS, _ZEROS) & ~_at_least(word & ~_HIGH_BITS, _ABOVE_9) & ~word
    others = ~digits & _HIGH_BITS
    n = min(_first_place(others) if others != 0 else 8, end - at)
    if n <= 0:
        return 0, at
    # The first digit is lowest in the word: bring the last one to the top, zeros before the first.
    word = (word & _NIBBLES) << _U(8 * (8 - n))
    word = (word * _U(10)) + (word >> _U(8))
    word = ((word & _U(0x000000FF000000FF)) * _U(0x000F424000000064)) + (
        ((word >> _U(16)) & _U(0x000000FF000000FF)) * _U(0x0000271000000001)
    )
    value = np.int64(word >> _U(32))
    stop = min(end, at + 18)
    at += n
    if n == 8:
        while at < stop:
            byte = int(data[at])
            if not _is_digit(byte):
                break
            value = value * 10 + (byte - 48)
            at += 1
    return value, at


@_inlined
def _read_eight_hex(data, at, end):
    """Read up to 8 hexadecimal digits; returns their value and how many there are."""
    word = _word(data, at)
    seven = word & ~_HIGH_BITS
    lower = seven | _BLANKS
    digits = _at_least(seven, _ZEROS) & ~_at_least(seven, _ABOVE_9)
    letters = _at_least(lower, _FROM_A) & ~_at_least(lower, _ABOVE_F)
    others = ~((digits | letters) & ~word) & _HIGH_BITS
    n = min(_first_place(others) if others != 0 else 8, end - at)
    if n <= 0:
        return _U(0), 0
    word = (word & _NIBBLES) + ((letters >> _U(7)) * _U(9))
    word <<= _U(8 * (8 - n))
    word = ((word << _U(4)) | (word >> _U(8))) & _U(0x00FF00FF00FF00FF)
    word = ((word << _U(8)) | (word >> _U(16))) & _U(0x0000FFFF0000FFFF)
    return ((word << _U(16)) | (word >> _U(32))) & _U(0xFFFFFFFF), n


@_inlined
def _read_hex(data, at, end):
    """Read up to 16 hexadecimal digits as a signed 64-bit number."""
    value, n = _read_eight_hex(data, at, end)
    at += n
    if n == 8:
        more, n = _read_eight_hex(data, at, end)
        value = (value << _U(4 * n)) | more
        at += n
    return np.int64(value), at


@_inlined
def _ends_value(data, at, end):
    if at >= end:
        return True
    byte = data[at]
    return byte == 32 or byte == 44 or byte == 41  # blank , )


@_inlined
def _has_0x(data, at, end):
    return at + 2 < end and data[at] == 48 and (data[at + 1] == 120 or data[at + 1] == 88)


@_inlined
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
    stop = _find_value_end(data, at, end)
    while at < stop:
        word_end = _find(data, at, stop, 124)
        bits |= _find_word(word_bits, _hash(data, at, word_end))
        at = word_end + 1
    return bits, stop


@_inlined
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


@_inlined
def _position_of(data, begin, end, kind, fields, expected):
    """Return which field of an event data[begin:end] names, or -1; `expected` is looked at first."""
    length = end - begin
    if length <= 0:
        return -1
    first = np.int64(_first_bytes(_word(data, begin), length))
    second = np.int64(_first_bytes(_word(data, begin + 8), length - 8)) if length > 8 else np.int64(0)
    n_positions = fields.shape[1]
    for number in range(expected, expected + n_positions):
        position = number if number < n_positions else number - n_positions
        if (
            fields[kind, position, 0] == length
            and fields[kind, position, 3] == first
            and fields[kind, position, 4] == second
        ):
            return position
    return -1


@_inlined
def _read_fields(data, at, end, separator, strict, kind, fields, word_bits, args, line):
    """Read ``name=value name=value`` (separator ``=``) or ``name: value, name: value`` (``:``).

    Fields that the event's description does not name are passed over.

    Returns
    -------
    found, fault, fault_at
        Bit mask of the slots read, and what was wrong where (0: nothing).
    """
    found = 0
    expected = 0
    closing = 44 if separator == 58 else 32
    while True:
        at = _skip_blanks(data, at, end)
        name_end = _find(data, at, end, separator)
        if name_end >= end:
            return found, 0, 0
        position = _position_of(data, at, name_end, kind, fields, expected)
        if position < 0:
            name = name_end  # the last word: options/verbose has types before it
            while name > at and data[name - 1] != 32 and data[name - 1] != 44 and data[name - 1] != 42:
                name -= 1
            if name > at:
                position = _position_of(data, name, name_end, kind, fields, expected)
        at = _skip_blanks(data, name_end + 1, end)
        if position >= 0:
            expected = position + 1  # most fields stand in the order of the table
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
        if at < end and data[at] != closing:
            at = _find(data, at, end, closing)
        at += 1


@_compiled
def _read_unnamed_or_fields(data, at, end, kind, fields, word_bits, args, line):
    """Read ``name=value …``, ``name: value, …``, or one value alone, which is that of the event's first field.

    Returns
    -------
    found, fault, fault_at
        As `_read_fields`.
    """
    separator = _find(data, at, end, np.int64(61))
    separator = _find(data, at, separator, np.int64(58))
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


@_inlined
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
def _read_odd_head(data, begin, end, fault, at, rows, line):
    """Read the columns of a line whose ``-`` is not behind 16 bytes; results as `_read_context`, and the ``-``."""
    dash = begin + 8
    if dash + 1 < end and data[dash] == 45 and _is_digit(data[dash + 1]):
        fault, at = _read_context(data, dash, end, rows, line)
        if fault == 0:
            return fault, at, dash
    dash = min(begin + 40, end - 2)
    while dash >= begin:
        if data[dash] == 45 and _is_digit(data[dash + 1]):
            other_fault, other_at = _read_context(data, dash, end, rows, line)
            if other_fault == 0:
                return other_fault, other_at, dash
            if other_fault != _NO_TASK and fault == _NO_TASK:
                fault, at = other_fault, other_at  # the better guess at what is wrong
        dash -= 1
    return fault, at, dash


@_compiled
def _read_head(data, begin, end, rows, line):
    """Read the columns before the event, whatever the name holds; fills COMM_BEGIN and COMM_END too.

    The name is padded to 16 bytes (8 under options/latency-format), so the ``-`` has its place. Where it is
    not there (a line that was edited), the last ``-`` that makes sense within a name's length is taken.
    """
    dash = begin + 16
    fault, at = _NO_TASK, begin
    if dash + 1 < end and data[dash] == 45 and _is_digit(data[dash + 1]):
        fault, at = _read_context(data, dash, end, rows, line)
    if fault != 0:
        fault, at, dash = _read_odd_head(data, begin, end, fault, at, rows, line)
    if fault == 0:
        rows[line, COMM_BEGIN] = _skip_blanks(data, begin, dash)
        rows[line, COMM_END] = dash
    return fault, at


@_inlined
def _time_before(data, begin, event):
    """Return where the time stamp that ends before `event` begins, as `_read_time` reads it."""
    at = event - 1
    while at > begin and data[at] != 58:
        at -= 1
    while at > begin and (_is_digit(data[at - 1]) or data[at - 1] == 46):
        at -= 1
    return at


@_inlined
def _read_as_model(data, begin, end, model, model_line, model_length, rows, line):
    """Read the columns of a line that begins, up to its time, like the line at `model`; fills TID, TGID, CPU, TS.

    Returns
    -------
    int64
        Where the event begins; -1 if the line begins otherwise, or its time cannot be read.
    """
    place = np.int64(0)
    while place < model_length:
        differing = _word(data, begin + place) ^ _word(data, model + place)
        if _first_bytes(differing, model_length - place) != 0:
            return -1
        place += 8
    ts, at = _read_time(data, begin + model_length, end)
    if at < 0:
        return -1
    rows[line, TID], rows[line, TGID] = rows[model_line, TID], rows[model_line, TGID]
    rows[line, CPU], rows[line, TS] = rows[model_line, CPU], ts
    return _skip_blanks(data, at, end)


@_inlined
def _four_bytes(data, at, end):
    """Return the four bytes at `at` as one number, for comparisons; 0 if there are not so many."""
    if at + 4 > end:
        return 0
    return (int(data[at]) << 24) | (int(data[at + 1]) << 16) | (int(data[at + 2]) << 8) | int(data[at + 3])


@_inlined
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


@_inlined
def _find_name_end(data, at, end):
    """Return where the first blank, colon or opening bracket stands in data[at:end], or `end`."""
    while at < end:
        word = _word(data, at)
        marks = _is_zero(word ^ _BLANKS) | _is_zero(word ^ (_LOW_BITS * _U(58)))
        marks |= _is_zero(word ^ (_LOW_BITS * _U(40)))
        if marks != 0:
            return min(at + _first_place(marks), end)
        at += 8
    return end


@_inlined
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
    at = _find_name_end(data, begin, end)
    hashed = _hash(data, begin, min(at + 1, end))
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


@_inlined
def _forget_known_name(data, remembered, rows, line):
    """Set COMM_BEGIN to -1 where the task's name is the one last seen for its tid."""
    hashed = _hash(data, rows[line, COMM_BEGIN], rows[line, COMM_END])
    place = rows[line, TID] & (COMM_MEMORY - 1)
    if remembered[place, 0] == rows[line, TID] and remembered[place, 1] == hashed:
        rows[line, COMM_BEGIN] = -1
    else:
        remembered[place, 0], remembered[place, 1] = rows[line, TID], hashed


@_inlined
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


@_entry
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
    # The last line whose columns were read in full: most lines behind it begin with the same bytes.
    model, model_line, model_length = np.int64(0), 0, np.int64(0)  # where it begins; bytes before its time
    model_name, model_name_known = np.int64(0), False  # where its name begins; `remembered` holds it
    for line in range(len(line_ends)):
        end = line_ends[line]
        next_begin = end + 1
        while end > begin and (data[end - 1] == 13 or data[end - 1] == 32):  # \r and blanks
            end -= 1
        for column in range(N_COLUMNS):
            rows[line, column] = 0
        for slot in range(args.shape[1]):
            args[line, slot] = 0
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
                at = -1
                if model_length > 0 and head + model_length < end:
                    at = _read_as_model(data, head, end, model, model_line, model_length, rows, line)
                if at >= 0:
                    rows[line, COMM_BEGIN], rows[line, COMM_END] = head + model_name - model, head + 16
                else:
                    fault, at = _read_head(data, head, end, rows, line)
                    model, model_line, model_length, model_name_known = head, line, np.int64(0), False
                    if fault == 0 and rows[line, COMM_END] == head + 16:
                        model_name, model_length = rows[line, COMM_BEGIN], _time_before(data, head, at) - head
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
                if model_name_known:
                    rows[line, COMM_BEGIN] = -1
                else:
                    _forget_known_name(data, remembered, rows, line)
                    model_name_known = bool(model_length > 0)
        if fault != 0:
            rows[line, KIND], rows[line, FAULT], rows[line, FAULT_AT] = _UNREADABLE, fault, at - begin
            rows[line, COMM_BEGIN] = -1
        begin = next_begin


def empty_memory() -> np.ndarray:
    """Return the `remembered` array for the first block."""
    return np.full((COMM_MEMORY, 2), -1, dtype=np.int64)
