r"""ftrace text: the files ``trace`` and ``trace_pipe`` of tracefs.

::

    bash-812  (  812) [001] d....  512.004417: page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6
    \__/ \_/  \____/ \___/ \___/  \________/  \_____________/  \_____________________________________/
    comm tid   tgid   cpu  flags   seconds      event            fields, unknown ones are passed over

A system call is two lines, ``sys_mmap(addr: 0, len: 0x2000, …)`` and ``sys_mmap -> 0x7fa05b8c6000``; its row
is made at the second. The tgid is there only with ``options/record-tgid``. ``options/verbose``,
``options/fields`` and ``options/latency-format`` print the same in other words, which are read too.
"""

from __future__ import annotations

import re

import numpy as np

from . import scanner
from .losses import LossLog
from .native_block import Names
from .native_events import KIND_LOST
from .native_stream import NativeFormat
from .source import Source
from .tracepoint_heads import FTRACE_HEAD
from .tracepoint_reader import TracepointReader

_NEW_STYLE = re.compile(rb" sys_\w+\([^\n]*: 0x")
_ENTRIES = re.compile(rb"# entries-in-buffer/entries-written: (\d+)/(\d+)")


class FtraceReader(TracepointReader):
    """Reads one file of ftrace text."""

    def __init__(self, source: Source, texts: Names, losses: LossLog) -> None:
        style = scanner.STYLE_0X if _NEW_STYLE.search(source.head) else scanner.STYLE_UNKNOWN
        super().__init__(scanner.FTRACE, style, texts, losses)

    def _read_header(self, header: bytes, row: np.ndarray) -> None:
        """Note how many events a header announces; those overwritten become a loss of no CPU in particular."""
        found = _ENTRIES.match(header)
        if found:
            self.announced += int(found[1])
        if found and int(found[1]) < int(found[2]):
            row[scanner.KIND], row[scanner.CPU] = KIND_LOST, -1
            row[scanner.FAULT] = int(found[2]) - int(found[1])  # free: a loss has no fault


FORMAT = NativeFormat("ftrace", FTRACE_HEAD.check, FtraceReader, snapshots_by_time=False)
