r"""What ``trace-cmd report`` prints.

::

    tc_make:    make-18515 [000]  1604.939008: sys_enter_mmap:       addr: 0x00000000, len: 0x00002000, …
    \_____/     \__/ \___/ \___/  \_________/  \____________/        \______________________________/
    instance    comm  tid   cpu    seconds       event               fields, named like those of ftrace

The instance is there for buffers that have a name (``-B``). ``report -t`` prints nanoseconds, ``-l`` joins CPU and
flags into one word, ``-R`` prints ``field=value`` for everything. Lost events are a line
``CPU:1 [107 EVENTS DROPPED]``; the event line behind it lacks the instance.
"""

from __future__ import annotations

from . import scanner
from .losses import LossLog
from .native_block import Names
from .native_stream import NativeFormat
from .source import Source
from .tracepoint_heads import TRACE_CMD_HEAD
from .tracepoint_reader import TracepointReader


def _open_reader(_: Source, texts: Names, losses: LossLog) -> TracepointReader:
    return TracepointReader(scanner.TRACE_CMD, scanner.STYLE_0X, texts, losses)


FORMAT = NativeFormat("trace-cmd", TRACE_CMD_HEAD.check, _open_reader)
