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
from .native_stream import NativeStream
from .source import Source
from .tracepoint_heads import TRACE_CMD_HEAD
from .tracepoint_reader import TracepointReader


class TraceCmdStream(NativeStream):
    """The events of trace-cmd's text.

    Parameters
    ----------
    sources : list of Source
        Parts of one recording: merged by time.
    maps : list of str, optional
        Arguments of ``--maps`` (`proc_maps.read_snapshots`).

    Raises
    ------
    UnsupportedTraceError, UnknownFormatError
        The lines have no task column, or the content is something else.
    TraceError
        A file of `maps` cannot be read.
    """

    def __init__(self, sources: list[Source], maps: list[str] | None = None) -> None:
        for source in sources:
            TRACE_CMD_HEAD.check(source)
        super().__init__("trace-cmd", sources, maps or [], _open_reader)


def _open_reader(_: Source, texts: Names, losses: LossLog) -> TracepointReader:
    return TracepointReader(scanner.TRACE_CMD, scanner.STYLE_0X, texts, losses)
