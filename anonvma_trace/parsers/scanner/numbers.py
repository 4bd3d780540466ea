"""Compiled: numbers, and words that stand for bits, as the kernel prints them."""

from __future__ import annotations

import numpy as np

from ...compiling import inlined_kernel, kernel
from ..native_events import KIND_OTHER, Form
from .byte_words import BLANKS, HIGH_BITS, at_least, find, find_any, first_place, hash_of, load_word
from .event_tables import WORD_BITS

HEX = int(Form.HEX)
_DECIMAL, _ADDRESS, _FLAG = int(Form.DECIMAL), int(Form.ADDRESS), int(Form.FLAG)
_BLANK, _COMMA, _CLOSING = ord(" "), ord(","), ord(")")

_U = np.uint64
_ZEROS, _NIBBLES = _U(0x3030303030303030), _U(0x0F0F0F0F0F0F0F0F)
_ABOVE_9, _ABOVE_F, _FROM_A = _U(0x3A3A3A3A3A3A3A3A), _U(0x6767676767676767), _U(0x6161616161616161)


@inlined_kernel
def is_digit(byte):
    """Tell whether a byte is one of 0 … 9."""
    return 48 <= byte <= 57


@inlined_kernel
def read_decimal(data, at, end):
    """Read up to 18 digits; the second result is `at` itself if there is none."""
    word = load_word(data, at)
    digits = at_least(word & ~HIGH_BITS, _ZEROS) & ~at_least(word & ~HIGH_BITS, _ABOVE_9) & ~word
    others = ~digits & HIGH_BITS
    n = min(first_place(others) if others != 0 else 8, end - at)
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
            if not is_digit(byte):
                break
            value = value * 10 + (byte - 48)
            at += 1
    return value, at


@inlined_kernel
def read_eight_hex(data, at, end):
    """Read up to 8 hexadecimal digits; returns their value and how many there are."""
    word = load_word(data, at)
    seven = word & ~HIGH_BITS
    lower = seven | BLANKS
    digits = at_least(seven, _ZEROS) & ~at_least(seven, _ABOVE_9)
    letters = at_least(lower, _FROM_A) & ~at_least(lower, _ABOVE_F)
    others = ~((digits | letters) & ~word) & HIGH_BITS
    n = min(first_place(others) if others != 0 else 8, end - at)
    if n <= 0:
        return _U(0), 0
    word = (word & _NIBBLES) + ((letters >> _U(7)) * _U(9))
    word <<= _U(8 * (8 - n))
    word = ((word << _U(4)) | (word >> _U(8))) & _U(0x00FF00FF00FF00FF)
    word = ((word << _U(8)) | (word >> _U(16))) & _U(0x0000FFFF0000FFFF)
    return ((word << _U(16)) | (word >> _U(32))) & _U(0xFFFFFFFF), n


@inlined_kernel
def read_hex(data, at, end):
    """Read up to 16 hexadecimal digits as a signed 64-bit number."""
    value, n = read_eight_hex(data, at, end)
    at += n
    if n == 8:
        more, n = read_eight_hex(data, at, end)
        value = (value << _U(4 * n)) | more
        at += n
    return np.int64(value), at


@kernel
def ends_value(data, at, end):
    """Tell whether what stands at `at` ends a field's value."""
    if at >= end:
        return True
    byte = data[at]
    return byte == 32 or byte == 44 or byte == 41  # blank , )


@kernel
def has_0x(data, at, end):
    """Tell whether ``0x`` and at least one more byte stand at `at`."""
    return at + 2 < end and data[at] == 48 and (data[at + 1] == 120 or data[at + 1] == 88)


@kernel
def read_value(data, at, end, form, strict):
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
    elif has_0x(data, at, end):
        begin = at + 2
        value, stop = read_hex(data, begin, end)
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
        value, stop = read_decimal(data, begin, end)
        if stop == begin:
            stop = -1
        elif begin > at:
            value = -value
        if 0 <= stop < end and data[stop] == 66:  # bytes: 4096B
            stop += 1
    else:
        value, stop = read_hex(data, at, end)
        if stop == at or (strict != 0 and stop > at + 1):
            stop = -1
    if stop < 0 or stop > end or not ends_value(data, stop, end):
        return 0, -1
    return value, stop


@kernel
def read_words(data, at, end):
    """Read words with | between them: the bits of those that the table names; always a value."""
    bits = 0
    stop = find_any(data, at, end, _BLANK, _COMMA, _CLOSING)
    while at < stop:
        word_end = find(data, at, stop, 124)
        bits |= find_word(WORD_BITS, hash_of(data, at, word_end))
        at = word_end + 1
    return bits, stop


@kernel
def find_word(words, hashed):
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
    return KIND_OTHER
