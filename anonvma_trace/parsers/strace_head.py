r"""How a line of strace begins, and what the beginning of a file tells: the format, its columns, its clock.

::

    [pid  7886] 1795440035.246 (+ 0.000075) mmap(NULL, 8192, …
    7886  13:31:08.244649 <... mmap resumed>) = 0x7f5700000000
    \___/ \_____________/ \_______________/
    thread     time        a call, the rest of one, or a mark (+++ exited, --- signal)

Apart from `strace`, because telling a format must not load compiled code.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from .source import HEAD_BYTES, lines_of

# The order of the alternatives is for speed: lines of a file with -o are the usual ones.
_TASK = rb"(?:(\d{1,7})(?:<[^>]*>)? +|\[pid +(\d+)(?:<[^>]*>)?\] )?"
_TIME = rb" *(?:(\d+\.\d+|\d\d:\d\d:\d\d(?:\.\d+)?|\d{9,}) )?(?:\( *\+ *\d+\.\d+\) )?"
_ADDRESS = rb"(?:\[[ 0-9a-fx?]+\] )*"  # of the call (-i), or its number (-n)
BEGINNING = re.compile(_TASK + _TIME + _ADDRESS + rb"(?:([\w?]+)\(|<\.\.\. ([\w?]+) resumed>|(\+\+\+|---) )")
"""Groups: thread in a column, thread in brackets, time, call, call that goes on, mark."""

ATTACHED = re.compile(rb"strace: Process (\d+) attached$")
_WHOLE = re.compile(rb".*(?:\) += |\.\.\.>$|(?:\+\+\+|---)$|strace: Process \d+ attached$)")
_MESSAGE = re.compile(rb"strace: Process \d+ ")
_RESULT = re.compile(rb".*\) += (\d+)")
_NEW_TASK = re.compile(rb"(?:clone3?|v?fork)\b")
_LINES_LOOKED_AT = 2000

CLOCK_UNIX, CLOCK_DAY, CLOCK_RELATIVE, CLOCK_NONE = "unix", "day", "relative", "none"
_FIRST_UNIX_SECOND = 100_000_000  # a smaller number of seconds is one since the line before


@dataclass(frozen=True)
class Style:
    """What the lines of a file look like.

    Attributes
    ----------
    has_column : bool
        Each line begins with its thread (``-f -o FILE``). Otherwise ``[pid N]`` does, while there are several.
    clock : str
        ``CLOCK_UNIX`` (``-ttt``), ``CLOCK_DAY`` (``-t``, ``-tt``), ``CLOCK_RELATIVE`` (``-r``), `CLOCK_NONE`.
    root : int
        Without a column: the thread of the lines without ``[pid N]`` at the beginning; 0 if nothing tells it.
    """

    has_column: bool
    clock: str
    root: int


def detect_strace(head: bytes) -> bool:
    """Tell whether `head`, the beginning of an input, is output of strace."""
    lines = _lines(head)
    matching = sum(
        1 for line in lines if (BEGINNING.match(line) and _WHOLE.match(line)) or _MESSAGE.match(line)
    )
    return 2 * matching > len(lines)


def style_of(head: bytes) -> Style:
    """Return the style of most lines at the beginning of a file."""
    columns: Counter[bool] = Counter()
    clocks: Counter[str] = Counter()
    lines = _lines(head)
    for line in lines:
        match = BEGINNING.match(line)
        if match:
            columns[match[1] is not None] += 1
            clocks[clock_of(match[3])] += 1
    has_column = columns[True] > columns[False]
    clock = clocks.most_common(1)[0][0] if clocks else CLOCK_NONE
    return Style(has_column, clock, 0 if has_column else _root_of(lines))


def clock_of(time: bytes | None) -> str:
    """Return the clock that prints such a time."""
    if time is None:
        return CLOCK_NONE
    if b":" in time:
        return CLOCK_DAY
    return CLOCK_RELATIVE if int(time.partition(b".")[0]) < _FIRST_UNIX_SECOND else CLOCK_UNIX


def _root_of(lines: list[bytes]) -> int:
    """Return the first thread in brackets that no other line names as new: the one that was there before.

    If strace was attached to a process (-p), its first line names it.
    """
    attached = ATTACHED.match(lines[0]) if lines else None
    if attached:
        return int(attached[1])
    new, in_brackets = set(), []
    for line in lines:
        match = BEGINNING.match(line)
        message = ATTACHED.search(line)
        if message:
            new.add(int(message[1]))
        result = _RESULT.match(line)
        calls_new = match is None or bool(_NEW_TASK.match(match[4] or match[5] or b""))
        if result and calls_new:  # a line that does not begin as one may be the rest of a broken one
            new.add(int(result[1]))
        if match and match[2]:
            in_brackets.append(int(match[2]))
    return next((tid for tid in in_brackets if tid not in new), 0)


def _lines(head: bytes) -> list[bytes]:
    lines = [line for line in lines_of(head)[:_LINES_LOOKED_AT] if line.strip()]
    # The last one may be cut off by the end of `head`, unless that is all there is.
    return lines if len(head) < HEAD_BYTES or len(lines) == 1 else lines[:-1]
