"""Compiled: the fields of an event, in every form in which the kernel and its tools print them."""

from __future__ import annotations

import numpy as np

from ...compiling import kernel
from ..native_events import Form
from .byte_words import find, first_bytes, load_word, skip_blanks
from .columns import BAD_NUMBER, NO_FIELD
from .event_tables import FIELDS, LAYOUT, TEXT_NAME
from .numbers import read_value, read_words

_WORDS, _TEXT = int(Form.WORDS), int(Form.TEXT)


@kernel
def position_of(data, begin, end, kind, expected):
    """Return which field of an event data[begin:end] names, or -1; `expected` is looked at first."""
    length = end - begin
    if length <= 0:
        return -1
    first = np.int64(first_bytes(load_word(data, begin), length))
    second = np.int64(first_bytes(load_word(data, begin + 8), length - 8)) if length > 8 else 0
    n_positions = FIELDS.shape[1]
    for number in range(expected, expected + n_positions):
        position = number if number < n_positions else number - n_positions
        if (
            FIELDS[kind, position, 0] == length
            and FIELDS[kind, position, 3] == first
            and FIELDS[kind, position, 4] == second
        ):
            return position
    return -1


@kernel
def read_fields(data, at, end, separator, strict, kind, args, line):
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
        at = skip_blanks(data, at, end)
        name_end = find(data, at, end, separator)
        if name_end >= end:
            return found, 0, 0
        position = position_of(data, at, name_end, kind, expected)
        if position < 0:
            name = name_end  # the last word: options/verbose has types before it
            while name > at and data[name - 1] != 32 and data[name - 1] != 44 and data[name - 1] != 42:
                name -= 1
            if name > at:
                position = position_of(data, name, name_end, kind, expected)
        at = skip_blanks(data, name_end + 1, end)
        if position >= 0:
            expected = position + 1  # most fields stand in the order of the table
            form = FIELDS[kind, position, 1]
            if form == _WORDS:
                value, stop = read_words(data, at, end)
            else:
                value, stop = read_value(data, at, end, form, strict)
            if stop < 0:
                return found, BAD_NUMBER, at
            slot = FIELDS[kind, position, 2]
            args[line, slot] = value
            found |= 1 << slot
            at = stop
        if at < end and data[at] != closing:
            at = find(data, at, end, closing)
        at += 1


@kernel
def read_unnamed_or_fields(data, at, end, kind, args, line):
    """Read ``name=value …``, ``name: value, …``, or one value alone, which is that of the event's first field.

    Returns
    -------
    found, fault, fault_at
        As `read_fields`.
    """
    separator = find(data, at, end, 61)
    separator = find(data, at, separator, 58)
    if separator < end:
        mark = np.int64(data[separator])
        strict = np.int64(mark == 58)  # trace-cmd and perf print 0x before every argument
        return read_fields(data, at, end, mark, strict, kind, args, line)
    if at == end or FIELDS[kind, 0, 0] == 0:
        return 0, 0, 0
    value, stop = read_value(data, at, end, FIELDS[kind, 0, 1], 0)
    if stop < 0:
        return 0, BAD_NUMBER, at
    slot = FIELDS[kind, 0, 2]
    args[line, slot] = value
    return 1 << slot, 0, 0


@kernel
def find_last(data, begin, end, name_begin, name_end):
    """Return where the field ``name=`` stands last in data[begin:end], after a blank or at begin; else -1."""
    length = name_end - name_begin
    at = end - length
    while at >= begin:
        if data[at] == TEXT_NAME[name_begin] and (at == begin or data[at - 1] == 32):
            same = 1
            while same < length and data[at + same] == TEXT_NAME[name_begin + same]:
                same += 1
            if same == length:
                return at
        at -= 1
    return -1


@kernel
def read_text_fields(data, begin, end, kind, args, line):
    """Read fields of which some are text: from the right, because text may hold anything, ``name=`` too.

    Returns
    -------
    found, fault, fault_at, kept_begin, kept_end
        As `read_fields`, and where the text that is kept stands.
    """
    found = 0
    kept_begin = 0
    kept_end = 0
    position = LAYOUT.shape[1] - 1
    while position >= 0:
        form = LAYOUT[kind, position, 2]
        if form != 0:
            name_begin, name_end = LAYOUT[kind, position, 0], LAYOUT[kind, position, 1]
            at = find_last(data, begin, end, name_begin, name_end)
            if at < 0:
                if LAYOUT[kind, position, 4] != 0:
                    return found, NO_FIELD, end, 0, 0
            else:
                value_at = at + name_end - name_begin
                if form < _TEXT:
                    value, stop = read_value(data, value_at, end, form, 0)
                    if stop < 0:
                        return found, BAD_NUMBER, value_at, 0, 0
                    slot = LAYOUT[kind, position, 3]
                    args[line, slot] = value
                    found |= 1 << slot
                elif form == _TEXT:
                    kept_begin, kept_end = value_at, end
                end = at - 1 if at > begin else begin
        position -= 1
    return found, 0, 0, kept_begin, kept_end
