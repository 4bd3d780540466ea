"""Compiled: an event, from its name to its end."""

from __future__ import annotations

import numpy as np

from ...compiling import inlined_kernel, kernel
from ..native_events import KIND_MARK, KIND_OTHER, KIND_RECORD, MAX_ARGS, kind_of, native_tables
from .byte_words import find, find_any, first_bytes, four_bytes, hash_of, load_word, skip_blanks
from .columns import (
    BAD_NUMBER,
    COMM_BEGIN,
    COMM_END,
    COMM_MEMORY,
    KIND,
    NO_CLOSING,
    NO_EVENT,
    NO_FIELD,
    STYLE_0X,
    TEXT_BEGIN,
    TEXT_END,
    TID,
)
from .event_fields import read_fields, read_text_fields, read_unnamed_or_fields
from .event_tables import LAYOUT, REQUIRED, WORDS
from .numbers import HEX, find_word, read_hex, read_value

# Beginnings of texts, as `four_bytes` reads them.
_SNAP = int.from_bytes(b"snap")
_PERF, _RECO, _RD = int.from_bytes(b"PERF"), int.from_bytes(b"_REC"), int.from_bytes(b"ORD_")
_BLANK, _COLON, _OPENING = ord(" "), ord(":"), ord("(")


def _loaded(text: bytes) -> np.uint64:
    """Return text of at most eight bytes as `load_word` reads it."""
    return np.uint64(int.from_bytes(text, "little"))


# The words of the commonest lines of all.
_FAULT = _loaded(b"page_fau")
_USER, _USER_ADDRESS, _USER_0X = _loaded(b"lt_user:"), _loaded(b" address"), _loaded(b"=0x")
_KERNEL, _KERNEL_ADDRESS, _KERNEL_0X = _loaded(b"lt_kerne"), _loaded(b"l: addre"), _loaded(b"ss=0x")
_IP, _ERROR, _CODE_0X = _loaded(b" ip="), _loaded(b" error_c"), _loaded(b"ode=0x")
_FAULT_USER, _FAULT_KERNEL = kind_of("page_fault_user"), kind_of("page_fault_kernel")
_BOTH = 0b11
assert native_tables().required[[_FAULT_USER, _FAULT_KERNEL]].tolist() == [_BOTH, _BOTH]


@inlined_kernel
def read_fault(data, at, end, rows, args, line):
    """Read a page fault as every kernel of today prints it: ``page_fault_user: address=0x… ip=… error_code=0x…``.

    Returns
    -------
    bool
        False if it is anything else, which `read_event` reads, and tells what is wrong with it.
    """
    if load_word(data, at) != _FAULT:
        return False
    second, third, fourth = load_word(data, at + 8), load_word(data, at + 16), load_word(data, at + 24)
    if second == _USER and third == _USER_ADDRESS and first_bytes(fourth, 3) == _USER_0X:
        kind, at = _FAULT_USER, at + 27
    elif second == _KERNEL and third == _KERNEL_ADDRESS and first_bytes(fourth, 5) == _KERNEL_0X:
        kind, at = _FAULT_KERNEL, at + 29
    else:
        return False
    address, stop = read_hex(data, at, end)
    if stop == at or first_bytes(load_word(data, stop), 4) != _IP:
        return False
    at = find(data, stop + 4, end, _BLANK)
    if load_word(data, at) != _ERROR or first_bytes(load_word(data, at + 8), 6) != _CODE_0X:
        return False
    at += 14
    code, stop = read_hex(data, at, end)
    if stop <= at or stop != end:
        return False
    rows[line, KIND] = kind
    args[line, 0], args[line, 1], args[line, MAX_ARGS] = address, code, _BOTH
    return True


@kernel
def read_event(data, at, end, style, rows, args, line):
    """Read the event itself; sets KIND and the text columns of row `line`. Returns fault, place (0: none)."""
    begin = at
    if (
        four_bytes(data, at, end) == _PERF
        and four_bytes(data, at + 4, end) == _RECO
        and four_bytes(data, at + 8, end) == _RD
    ):
        rows[line, KIND], rows[line, TEXT_BEGIN], rows[line, TEXT_END] = KIND_RECORD, begin, end
        return 0, 0
    at = find_any(data, begin, end, _BLANK, _COLON, _OPENING)
    hashed = hash_of(data, begin, min(at + 1, end))
    first = int(data[begin]) if begin < end else 0
    if not (97 <= first <= 122 or 65 <= first <= 90 or first == 95 or first == 60):  # a letter, _ or <
        return NO_EVENT, begin
    kind = find_word(WORDS, hashed)
    rows[line, KIND] = kind
    if kind == KIND_OTHER:
        if at >= end and first != 60:
            return NO_EVENT, at
        rows[line, TEXT_BEGIN], rows[line, TEXT_END] = begin, at
        args[line, 0] = hashed
        return 0, 0
    if REQUIRED[kind] < 0:
        return 0, 0
    after = data[at]
    at = skip_blanks(data, at + 1, end)
    if kind == KIND_MARK:
        if four_bytes(data, at, end) == _SNAP:
            rows[line, TEXT_BEGIN], rows[line, TEXT_END] = at, end
        else:
            rows[line, KIND] = KIND_OTHER
            rows[line, TEXT_BEGIN], rows[line, TEXT_END] = begin, begin + 18
        return 0, 0
    found = 0
    fault, fault_at = 0, 0
    if after == 40:
        if data[end - 1] != 41:
            return NO_CLOSING, end
        strict = np.int64(style == STYLE_0X)
        found, fault, fault_at = read_fields(data, at, end - 1, _COLON, strict, kind, args, line)
    elif after == 32:
        if at + 3 > end or data[at] != 45 or data[at + 1] != 62:  # "->"
            return NO_FIELD, at
        value, stop = read_value(data, at + 3, end, HEX, 0)
        if stop < 0:
            return BAD_NUMBER, at + 3
        args[line, 0] = value
        found = 1
    elif LAYOUT[kind, 0, 2] != 0:
        found, fault, fault_at, kept_begin, kept_end = read_text_fields(data, at, end, kind, args, line)
        rows[line, TEXT_BEGIN], rows[line, TEXT_END] = kept_begin, kept_end
    else:
        found, fault, fault_at = read_unnamed_or_fields(data, at, end, kind, args, line)
    if fault == 0 and (found & REQUIRED[kind]) != REQUIRED[kind]:
        return NO_FIELD, end
    args[line, MAX_ARGS] = found
    return fault, fault_at


@kernel
def forget_known_name(data, remembered, rows, line):
    """Set COMM_BEGIN to -1 where the task's name is the one last seen for its tid."""
    hashed = hash_of(data, rows[line, COMM_BEGIN], rows[line, COMM_END])
    place = rows[line, TID] & (COMM_MEMORY - 1)
    if remembered[place, 0] == rows[line, TID] and remembered[place, 1] == hashed:
        rows[line, COMM_BEGIN] = -1
    else:
        remembered[place, 0], remembered[place, 1] = rows[line, TID], hashed
