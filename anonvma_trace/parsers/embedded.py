"""Snapshots inside a recording: comments before its events, as ``anonvma-trace record`` writes them.

::

    # anonvma-trace recording: …
    # SNAP n=1 why=start t_mono=2523.210651 pid=4789 comm=zoo
    # MAPS
    # 55d5b2000000-55d5b2001000 r--p 00000000 fe:00 1687556                    /srv/demo/bin/zoo
    # END n=1
    # tracer: nop
      …  the events

The blocks are those of a file of snapshots (`proc_maps`), each line behind a ``#``.
"""

from __future__ import annotations

import re

from ..errors import TraceSyntaxError
from .proc_maps import IMAGE_WHYS, Snapshot, parse_snapshot_blocks
from .source import Source

_BEGINS = b"# anonvma-trace recording"
_BLOCK = re.compile(rb"^# (?:SNAP|END) n=\d", re.MULTILINE)
_ONLY_COMMENTS = re.compile(rb"(?:#[^\n]*\n|\s)*(?:#[^\n]*)?")

# What ends the snapshots. One line that is no comment may be a damaged comment, two are the events.
_EVENTS = re.compile(rb"^(?:# tracer:|[^#\s][^\n]*\n[^#\s]|[ \t]+[^#\s])", re.MULTILINE)


def holds_snapshots(head: bytes) -> bool:
    """Tell by the beginning of an input whether it is a recording that begins with its snapshots."""
    if head.startswith(_BEGINS):
        return True
    return _BLOCK.search(head) is not None and _ONLY_COMMENTS.fullmatch(head) is not None


def embedded_snapshots(source: Source) -> list[Snapshot]:
    """Return the start and exec snapshots before the events of `source`; none where there are none.

    A line that cannot be read is a loss of `source`, and only that line is missing from its snapshot.
    """
    if not holds_snapshots(source.head):
        return []

    def lose(error: TraceSyntaxError) -> None:
        source.losses.add(
            "snapshot-damaged", f"expected {error.expected}", error.line, error.column or 1, error.found
        )

    text = source.read_ahead(_EVENTS).decode("utf-8", "backslashreplace")
    blocks = parse_snapshot_blocks(iter(text.removesuffix("\n").split("\n")), source.path, lose)
    return [snapshot for snapshot in blocks if snapshot.why in IMAGE_WHYS]
