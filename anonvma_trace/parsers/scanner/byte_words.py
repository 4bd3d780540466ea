"""Compiled: text looked at eight bytes at a time."""

from __future__ import annotations

import numpy as np

from ...compiling import entry_point, inlined_kernel, kernel
from ..native_events import HASH_FACTOR, HASH_MASK

# Eight bytes are one number, the first one lowest. The tests on all eight set the high bit of each byte that passes.
_U = np.uint64  # unsigned indices: numba looks for negative ones otherwise
HIGH_BITS, _LOW_BITS = _U(0x8080808080808080), _U(0x0101010101010101)
_LOW_SEVEN = _U(0x7F7F7F7F7F7F7F7F)
_PLACES = _U(0x0001020304050607)
BLANKS, _NEWLINES = _U(0x2020202020202020), _U(0x0A0A0A0A0A0A0A0A)
_FACTOR = _U(HASH_FACTOR)


@kernel
def load_last_word(data, at):
    """Return what `load_word` does near the end of `data`."""
    value = _U(0)
    place = len(data)
    while place > at:
        place -= 1
        value = (value << _U(8)) | _U(data[place])
    return value


@inlined_kernel
def load_word(data, at):
    """Return the eight bytes at `at`; bytes behind the end of `data` are 0."""
    if at + 8 > len(data):
        return load_last_word(data, at)
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


@inlined_kernel
def first_place(marks):
    """Return which byte of a word is the first whose high bit is set; there must be one."""
    lowest = marks & (~marks + _U(1))
    return np.int64(((lowest >> _U(7)) * _PLACES) >> _U(56))


@inlined_kernel
def is_zero(word):
    """Mark the first byte that is 0, and perhaps some behind it."""
    return (word - _LOW_BITS) & ~word & HIGH_BITS


@inlined_kernel
def at_least(word, limits):
    """Mark the bytes, all below 128, that are not below those of `limits`."""
    return ((word | HIGH_BITS) - limits) & HIGH_BITS


@inlined_kernel
def find(data, at, end, byte):
    """Return where `byte` stands first in data[at:end], or `end`."""
    wanted = _LOW_BITS * _U(byte)
    while at < end:
        marks = is_zero(load_word(data, at) ^ wanted)
        if marks != 0:
            return min(at + first_place(marks), end)
        at += 8
    return end


@kernel
def find_any(data, at, end, first, second, third):
    """Return where any of three bytes stands first in data[at:end], or `end`."""
    firsts, seconds, thirds = _LOW_BITS * _U(first), _LOW_BITS * _U(second), _LOW_BITS * _U(third)
    while at < end:
        bytes_read = load_word(data, at)
        marks = is_zero(bytes_read ^ firsts) | is_zero(bytes_read ^ seconds) | is_zero(bytes_read ^ thirds)
        if marks != 0:
            return min(at + first_place(marks), end)
        at += 8
    return end


@inlined_kernel
def first_bytes(word, n):
    """Return a word with its first `n` bytes only, at most 8."""
    if n >= 8:
        return word
    return word & ((_U(1) << _U(8 * n)) - _U(1))


@kernel
def hash_of(data, begin, end):
    """Return what `native_events.hash_word` does for data[begin:end]."""
    value = _U(end - begin)
    while begin < end:
        value = (value ^ first_bytes(load_word(data, begin), end - begin)) * _FACTOR
        value ^= value >> _U(32)
        begin += 8
    return np.int64(value & _U(HASH_MASK))


@inlined_kernel
def skip_blanks(data, at, end):
    """Return where something else than a blank stands first in data[at:end], or `end`; `at` if it is behind that."""
    if at < end and data[at] != 32:
        return at
    while at < end:
        word = load_word(data, at) ^ BLANKS
        marks = (((word & _LOW_SEVEN) + _LOW_SEVEN) | word) & HIGH_BITS
        if marks != 0:
            return min(at + first_place(marks), end)
        at += 8
    return at if at > end else end


@kernel
def four_bytes(data, at, end):
    """Return the four bytes at `at` as one number, for comparisons; 0 if there are not so many."""
    if at + 4 > end:
        return 0
    return (int(data[at]) << 24) | (int(data[at + 1]) << 16) | (int(data[at + 2]) << 8) | int(data[at + 3])


@entry_point
def find_line_ends(data, line_ends):
    """Fill `line_ends` with the places of the newlines, as far as it has room; returns how many there are.

    Parameters
    ----------
    data : ndarray of uint8
    line_ends : ndarray of int64
    """
    n_lines = 0
    at = 0
    while at < len(data):
        word = load_word(data, at) ^ _NEWLINES
        # Exact for every byte, not only for the first.
        marks = ~(((word & _LOW_SEVEN) + _LOW_SEVEN) | word) & HIGH_BITS
        while marks != 0:
            if n_lines < len(line_ends):
                line_ends[n_lines] = at + first_place(marks)
            n_lines += 1
            marks &= marks - _U(1)
        at += 8
    return n_lines
