"""The arguments of system calls as strace prints them: in the order of the call, without names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .printed_calls import CALLS, SIGNAL_AT_EXIT, Call, converter_of, unknown_names

# What a call prints that is of use, in its order; "" for what is not. One more may follow.
_PRINTED: dict[str, tuple[str, ...]] = {
    "mmap": ("addr", "len", "prot", "flags", "fd", "off"),
    "munmap": ("addr", "len"),
    "mprotect": ("start", "len", "prot"),
    "pkey_mprotect": ("start", "len", "prot"),
    "mremap": ("addr", "old_len", "new_len", "flags"),
    "brk": ("brk",),
    "madvise": ("start", "len_in", "behavior"),
    "mlock": ("start", "len"),
    "mlock2": ("start", "len"),
    "munlock": ("start", "len"),
    "shmat": ("shmid", "", "shmflg"),
    "shmdt": ("shmaddr",),
    "shmget": ("", "size"),
    "remap_file_pages": ("start", "size", "", "pgoff"),
}

# strace escapes < and > in paths; those of a device it may add (-yy) stand at the end.
_DESCRIPTOR = rb"(-?\w+)(?:<[^<>]*(?:<[^<>]*>)?>)?(?:\(deleted\))?"
_PATH_OF_DESCRIPTOR = re.compile(rb", -?\w+<(.*)>(?:\(deleted\))?, ")

_STRING = rb'"((?:[^"\\]|\\.)*)"(\.\.\.)?'
_PATH = re.compile(_STRING)
_PATH_AT = re.compile(rb"(AT_FDCWD|-?\w+)(?:<[^>]*>)?, " + _STRING)
_POINTER = re.compile(rb"(?:0x[0-9a-f]+|NULL)\b")  # with -e raw
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)")
_CONTROLS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
_CLONE_FLAGS = re.compile(rb"\{?(?:.*?, )?flags=([^,}]*)|(0x[0-9a-f]+|\d+)(?:,|$)")


class Arguments(NamedTuple):
    """What a call was given.

    Attributes
    ----------
    numbers : list of int
        In the order of `Call.arguments`.
    file : bytes or None
        Path behind the descriptor of an mmap (``-y``).
    unknown : tuple of str
        Names among its flags that are in no table.
    """

    numbers: list[int]
    file: bytes | None
    unknown: tuple[str, ...]


class _Pattern(NamedTuple):
    regex: re.Pattern[bytes]
    converters: tuple[Callable[[bytes], int], ...]


def _pattern_of(call: Call) -> _Pattern:
    parts, converters = [], []
    for argument in _PRINTED.get(call.name, ()):
        if argument == "":
            parts.append(rb"[^,]*")
        else:
            parts.append(_DESCRIPTOR if argument == "fd" else rb"([^,]+)")
            converters.append(converter_of(call, argument))
    tail = rb"(?:, [^,()]*)?" if parts else rb".*"
    return _Pattern(re.compile(rb", ".join(parts) + tail), tuple(converters))


_PATTERNS = {call.name: _pattern_of(call) for call in CALLS.values()}


def read_arguments(call: Call, text: bytes) -> Arguments:
    """Read what stands between the parentheses of a call.

    Raises
    ------
    ValueError
        It is not what strace prints.
    """
    regex, converters = _PATTERNS[call.name]
    match = regex.fullmatch(text)
    if match is None:
        raise ValueError(text)
    groups = match.groups()
    numbers = [convert(group) for convert, group in zip(converters, groups, strict=True)]
    path = _PATH_OF_DESCRIPTOR.search(text) if b"<" in text else None
    file = None if path is None else unescape(path[1])
    return Arguments(numbers, file, unknown_names(call, groups))


def flags_of_new_task(call: Call, text: bytes) -> int | None:
    """Return the flags of a call that makes a task, as task_newtask tells them; None if it does not show any.

    Raises
    ------
    ValueError
        They are not there, or not what strace prints.
    """
    if call.name in ("fork", "vfork") or (call.name == "clone3" and _POINTER.match(text)):
        return None
    match = _CLONE_FLAGS.match(text)
    if match is None:
        raise ValueError(text)
    return converter_of(call, "clone_flags")(match[1] or match[2]) & ~SIGNAL_AT_EXIT


def executed_file(call: Call, text: bytes) -> bytes | None:
    """Return the path that an execve or execveat executes, as sched_process_exec tells it; None for a pointer.

    Raises
    ------
    ValueError
        It is not what strace prints.
    """
    if _POINTER.match(text):
        return None
    if call.name == "execve":
        match = _PATH.match(text)
        if match is None:
            raise ValueError(text)
        return unescape(match[1])
    match = _PATH_AT.match(text)
    if match is None:
        raise ValueError(text)
    folder, path = match[1], unescape(match[2])
    if folder == b"AT_FDCWD" or path.startswith(b"/"):
        return path
    return b"/dev/fd/" + folder + (b"/" + path if path else b"")


def unescape(text: bytes) -> bytes:
    r"""Undo the escapes of a C string (``\n``, ``\76``, ``\x7f``)."""
    return _ESCAPE.sub(_unescape, text) if b"\\" in text else text


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1].isdigit():
        return bytes((int(code, 8) & 0xFF,))
    if len(code) == 3:
        return bytes((int(code[1:], 16),))
    return _CONTROLS.get(code, code)
