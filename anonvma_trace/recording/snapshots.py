"""Snapshots of stopped processes, in the block format that the snapshot readers take.

Every line begins with ``#``, so that the blocks can stand in a recording before its events: to any other
reader of ftrace text they are comments.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .pagemap import anonymous_page_lines


class SnapshotWriter:
    """Takes snapshots, numbers them, and marks in the trace where each belongs.

    Parameters
    ----------
    output : binary file
        Where the blocks go.
    mark : callable
        Writes a text into the trace.

    Attributes
    ----------
    taken : Counter
        Snapshots so far, by occasion.
    """

    def __init__(self, output: BinaryIO, mark: Callable[[str], None]) -> None:
        self.taken: Counter[str] = Counter()
        self._output = output
        self._mark = mark

    def take(self, why: str, pid: int, tid: int, pages: bool) -> bool:
        """Take a snapshot of a stopped process.

        Parameters
        ----------
        why : str
            ``"start"``, ``"exec"`` or ``"exit"``.
        pid, tid : int
            The process, and a thread of it that still has its address space.
        pages : bool
            Tell the anonymous pages too.

        Returns
        -------
        bool
            False if the process is being killed and there is nothing left to look at.
        """
        number = self.taken.total() + 1
        t_mono = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        try:
            comm = Path(f"/proc/{tid}/comm").read_bytes().removesuffix(b"\n").replace(b"\n", b"\\n")
            lines = Path(f"/proc/{tid}/maps").read_bytes().splitlines()
            page_lines = list(anonymous_page_lines(tid)) if pages else []
        except OSError:
            return False
        if not lines:
            return False
        stamp = f"{t_mono // 10**6}.{t_mono % 10**6:06}"
        block = [
            b"SNAP n=%d why=%s t_mono=%s pid=%d comm=%s" % (number, why.encode(), stamp.encode(), pid, comm)
        ]
        block += [b"MAPS", *lines]
        if pages:
            block += [b"PAGES A address pfn:mapcount ... / S address swaptype:offset ...", *page_lines]
        block += [b"END n=%d" % number]
        self._output.write(b"".join(b"# " + line + b"\n" for line in block))
        self._mark(f"snap n={number} why={why} pid={pid} t_mono={stamp}")
        self.taken[why] += 1
        return True
