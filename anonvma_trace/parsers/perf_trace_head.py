r"""How a line of perf trace begins, and how the beginning of a file tells the format.

::

         9.059 ( 0.053 ms): zoo kid (1) ->/20615 mprotect(start: 0x7f2ecdc73000, len: 8192, prot: READ)  = 0
             ? (         ): zoo/20615  ... [continued]: clone())                                         =
        13.520 ( 0.000 ms): zoo/20614 minfault [wr+0x11] => //anon@0x7f2ecdc5a000 (d.)
    \________/  \_______/   \_______/ \__________________
    enter, ms   duration    name/tid   a call, the rest of one, or a fault

Apart from `perf_trace`, because telling a format must not load compiled code.
"""

from __future__ import annotations

import re

from .source import lines_of

BEGINNING = re.compile(
    rb" *(?:\?|(\d+)\.(\d{3})) \( *(?:(\d+)\.(\d{3}) ms)? *\): "
    # A name holds up to 15 bytes of anything; only its last "/number" counts.
    rb"(?:(.{1,16})/(\d{1,7}) +)?"
    rb"(?:(\w+)\(|\.\.\. \[continued\]: (\w+)\(\)\)|(minfault|majfault) \[)"
)
"""Groups: time (ms, µs), duration (ms, µs), name, thread, call, call that goes on, fault."""

LOST = re.compile(rb"LOST (\d+) events!$")
_LINES_LOOKED_AT = 400


def detect_perf_trace(head: bytes) -> bool:
    """Tell whether `head`, the beginning of an input, is output of perf trace."""
    lines = [line for line in lines_of(head)[:_LINES_LOOKED_AT] if line.strip()]
    return 2 * sum(1 for line in lines if BEGINNING.match(line) or LOST.match(line)) > len(lines)
