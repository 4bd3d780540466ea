"""Sizes as a user writes and reads them."""

from __future__ import annotations

import re

from ..errors import UsageError

_SIZE = re.compile(r"(\d+)([kmg]?)i?b?", re.IGNORECASE)
_KB = {"k": 1, "m": 1 << 10, "g": 1 << 20}


def parse_size_kb(text: str) -> int:
    """Return a size in kB; ``M`` and ``G`` (and ``k``) are units, a bare number is kB as in tracefs.

    Raises
    ------
    UsageError
        It is no size, or zero.
    """
    found = _SIZE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise UsageError(
            "--buffer-size",
            expected="a size such as 512k, 64M or 1G",
            found=repr(text),
            hint="a number without a unit is kB",
        )
    return int(found[1]) * _KB[found[2].lower() or "k"]


def size_text(n_bytes: int) -> str:
    """Return a size in the largest unit of which it is at least one."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} bytes"
