"""Which thread a line of strace is of, and where the forks stand that it tells of later."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from .native_block import BlockBuilder, NativeBlock, concatenate
from .notes import Notes
from .strace_head import Style

_OF_ONE_THREAD = re.compile(r"\.(\d{1,7})(?:\.(?:gz|zst|xz))?$")  # strace -ff -o FILE writes FILE.TID
NAMELESS = 1  # the init process: never traced as a child


class Unnumbered:
    """Numbers the threads of lines that have no column for them.

    Such a line is of the only thread that there is; while there are several, ``[pid N]`` says which.

    Parameters
    ----------
    style : Style
        Its `root` is the first thread, if the beginning of the file tells it.
    path : str
        Name of the file, which may end with the number.
    notes : Notes
        Where to tell that nothing tells the number.
    """

    def __init__(self, style: Style, path: str, notes: Notes) -> None:
        in_name = _OF_ONE_THREAD.search(PurePath(path).name)
        self._root = style.root or (int(in_name[1]) if in_name else 0)
        self._live = {self._root} - {0}
        self._notes = notes
        self._other_name = 0  # of the nameless thread, learnt too late

    def tid(self, in_brackets: int | None, making_tasks: Container[int]) -> int:
        """Return the thread of a line.

        Parameters
        ----------
        in_brackets : int or None
            As printed.
        making_tasks : container of int
            Threads with an open call: an unknown number may be that of their child.
        """
        if in_brackets is None:
            return self._only_one()
        if in_brackets == self._other_name:
            return NAMELESS
        if in_brackets not in self._live:
            if self._root == NAMELESS and not self._other_name and NAMELESS not in making_tasks:
                self._other_name = in_brackets
                return NAMELESS
            self._live.add(in_brackets)
        return in_brackets

    def start(self, tid: int) -> None:
        """Note that there is a new thread (or one that strace was attached to)."""
        self._live.add(tid)

    def end(self, tid: int) -> None:
        """Note that a thread is gone."""
        self._live.discard(tid)

    def _only_one(self) -> int:
        if len(self._live) == 1:
            return next(iter(self._live))
        if not self._root:
            self._root = NAMELESS
            self._live.add(NAMELESS)
            self._notes.add("thread-without-number")
        return self._root  # the end of another was missed: the first one mostly is the last one


class _NewTask(NamedTuple):
    """Event that tells of a new task; `position` is where it belongs, the others as in `NativeBlock`."""

    position: int
    kind: int
    line: int
    tid: int
    ts: int
    args: tuple[int, int]


class NewTasks:
    """Puts the events of new tasks in front of the first line of the task.

    What a clone returns stands on a line that may come behind the first lines of the child. Positions count the
    events of the file.
    """

    def __init__(self) -> None:
        self._first_event: dict[int, int] = {}  # of each live thread; _TOLD once its fork is
        self._ended: dict[int, int] = {}  # the same of threads that were gone before their fork was told
        self._waiting: list[_NewTask] = []
        self._begin = 0  # position of the first event held back
        self._now = 0  # position of the first event of the current text

    def see(self, tid: int, n_events: int) -> None:
        """Note that a line of `tid` comes after so many events of the current text."""
        if tid not in self._first_event:
            self._first_event[tid] = self._now + n_events

    def end(self, tid: int) -> None:
        """Note that a thread is gone: its number can be used again."""
        first = self._first_event.pop(tid, _TOLD)
        if first != _TOLD:
            self._ended[tid] = first

    def start(
        self, kind: int, line: int, tid: int, ts: int, args: tuple[int, int], child: int, n_events: int
    ) -> None:
        """Take in that `child` began, which is told after so many events of the current text."""
        ended = self._ended.pop(child, _TOLD)
        first = self._first_event.get(child, _TOLD)
        if first == _TOLD and ended >= self._begin:
            first = ended
        else:
            self._first_event[child] = _TOLD
        # Events before `_begin` are out of reach: the child was not held back long enough, or is another one.
        position = first if first >= self._begin else self._now + n_events
        self._waiting.append(_NewTask(position, kind, line, tid, ts, args))

    def correct_times(self, first_line: int, corrections: np.ndarray) -> None:
        """Add to each time what `LineTimes` says of its line, for the lines from `first_line` on."""
        self._waiting = [
            task._replace(ts=task.ts + int(corrections[task.line - first_line]))
            if task.line >= first_line
            else task
            for task in self._waiting
        ]

    def insert(self, held: NativeBlock, n_next: int) -> NativeBlock:
        """Return the events held back, with those of new tasks among them.

        Parameters
        ----------
        held : NativeBlock
            The next events of the file.
        n_next : int
            How many follow that are held back from now on; 0 at the end.
        """
        begin, end = self._begin, self._begin + len(held)
        self._begin, self._now = end, end + n_next
        due = [task for task in self._waiting if task.position < end or not n_next]
        if not due:
            return held
        self._waiting = [task for task in self._waiting if task.position >= end and n_next]
        builder = BlockBuilder()
        for task in due:
            at = task.position - begin
            ts = min(task.ts, int(held.ts[at])) if at < len(held) else task.ts
            builder.add(task.kind, task.line, task.tid, ts, task.args)
        places = np.array([task.position - begin for task in due]) - 0.5
        order = np.argsort(np.concatenate([np.arange(len(held)), places]), kind="stable")
        return concatenate([held, builder.block()]).take(order)


_TOLD = -1
