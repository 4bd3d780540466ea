r"""Output of ``strace -f``: system calls and exits, no page faults.

::

    783 1795440134.864419 mmap(NULL, 8392704, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f7c <0.000025>
    779 1795440134.864370 brk(NULL <unfinished ...>
    779 1795440134.864466 <... brk resumed>) = 0x5598a4fbd000 <0.000087>
    779 1795440134.896834 +++ exited with 0 +++
    \_/ \_______________/ \______________________________________/   \____________/ \________/
  thread   time of enter     call, or what was left of one                result     duration (-T)

A call is cut into ``<unfinished ...>`` and ``resumed`` when another thread prints before it returns. Whatever
the times say, the lines stand in the order in which strace saw things. Without ``-o`` the thread stands in
brackets, and only while there are several; messages of strace itself then break lines in two.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from .foreign import unlike
from .line_errors import LineError, count_unreadable
from .losses import LossLog
from .native_block import BlockBuilder, Names, NativeBlock, no_events
from .native_events import LEADER_LAST, PID_MAX_LIMIT
from .native_stream import NativeFormat, NativeReader
from .printed_calls import (
    CALLS,
    EXEC,
    EXEC_CALLS,
    EXIT_CALLS,
    FLAGS_OF_CALL,
    FORK,
    NEW_TASK_CALLS,
    NEWTASK,
    REASONS,
    TASK_EXIT,
    Call,
    returned_value,
)
from .source import Source, lines_of
from .strace_arguments import executed_file, flags_of_new_task, read_arguments
from .strace_head import ATTACHED, BEGINNING, CLOCK_NONE, style_of
from .strace_tasks import NewTasks, Unnumbered
from .strace_times import LineTimes, nanoseconds

_RETURN = re.compile(
    rb"(.*)\) += (\?|-?\d[\dxa-f]*)(?:<[^>]*>)?(?: <unavailable>)?"
    rb"(?: (E[A-Z0-9]+) \(.*\)| \([^<]*\))?(?: <(\d+\.\d+)>)?$"
)
"""Groups: arguments (or the rest of them), result, error, duration."""

_CUT = re.compile(rb"(.*?)(?:, )? ?<(?:unfinished|detached|pid changed to (\d{1,7})) \.\.\.>$")
_MARK = re.compile(rb"(exited with -?\d+|killed by \w+(?: \(core dumped\))?|superseded by execve in pid \d+)")
_OWN_LINE = re.compile(rb"strace: |(?:.* )?\[ Process PID=\d+ runs in .* mode\. \]$|Process \d+ \w+|[ \t]+> ")
_REST = re.compile(rb"(?:, |\)| => | <unfinished)")
_SUMMARY = re.compile(rb"% time +seconds +usecs/call")


def _check_head(source: Source) -> None:
    lines = [line for line in lines_of(source.head) if line.strip()]
    if lines and not any(BEGINNING.match(line) for line in lines):
        raise unlike(source.path, "output of strace ('TID TIME call(arguments) = result')", lines[0])


class _OpenCall(NamedTuple):
    """A call that was entered and has not returned.

    Attributes
    ----------
    flags : int or None
        Of a call that makes a task.
    file : int
        Number of the path that an execve executes; -1 for none.
    caller : int
        The thread that entered it, under its number at that time.
    """

    call: Call
    flags: int | None
    file: int
    caller: int


class _LineReader(NativeReader):
    """Reads the lines of one source.

    Events are held back by one block of text, because a child's first line may come before that of the call
    that made it, and the fork has to stand before both.
    """

    def __init__(self, source: Source, texts: Names, losses: LossLog) -> None:
        super().__init__()
        style = style_of(source.head)
        self._has_column = style.has_column
        self._texts = texts
        self._losses = losses
        self._times = LineTimes(style.clock)
        self._unnumbered = Unnumbered(style, source.path, self.notes)
        self._new_tasks = NewTasks()
        self._builder = BlockBuilder()
        self._held = no_events()
        self._open: dict[int, _OpenCall] = {}
        self._exiting: set[int] = set()
        self._others: Counter[bytes] = Counter()
        self._piece, self._piece_line = b"", 0  # of a line that a message of strace broke
        self._in_summary = False
        self._line = 0
        self._ts = 0
        self.notes.add("no-faults")
        if style.clock == CLOCK_NONE:
            self.notes.add("no-times")

    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of the text before; those of `text` follow when what comes behind it is known."""
        lines = lines_of(text)
        counts = dict.fromkeys(("known", "other", "headers", "blank", "unreadable"), 0)
        times = np.empty(len(lines), dtype=np.int64)
        for number, line in enumerate(lines):
            self._line = first_line + number
            try:
                kind = self._read_line(line)
            except LineError as error:
                kind = "unreadable"
                count_unreadable(self._losses, REASONS, error, self._line, line)
            counts[kind] += 1
            times[number] = self._ts
        self.counts.update(counts)
        block = self._builder.block()
        if self._times.printed:
            corrections = self._times.corrections(times)
            block.ts += corrections[block.line - first_line]
            # The order of the lines stands, whatever a duration says of the return.
            block.ts[:] = np.minimum.accumulate(block.ts[::-1])[::-1]
            self._new_tasks.correct_times(first_line, corrections)
        return self._emit(block)

    def finish(self) -> NativeBlock:
        """Return the events of the last text."""
        for name, count in self._others.items():
            self.unused[name.decode("utf-8", "backslashreplace")] += count
        self._others.clear()
        self.notes.add("clock-set-back", self._times.steps)
        self.notes.add("exit-not-shown", len(self._exiting))
        return self._emit(no_events())

    def _emit(self, block: NativeBlock) -> NativeBlock:
        """Hold `block` back, and return what was held, with the forks that are known now."""
        held, self._held = self._held, block
        if len(block):
            np.minimum(held.ts, block.ts[0], out=held.ts)
        return self._new_tasks.insert(held, len(block))

    def _read_line(self, line: bytes) -> str:
        match = BEGINNING.match(line)
        if match is None or self._in_summary:
            return self._read_other_line(line)
        in_column, in_brackets, time, name, resumed, mark = match.groups()
        tid = self._tid(in_brackets, in_column)
        self._read_time(time, match)
        self._new_tasks.see(tid, len(self._builder))
        if name is not None:
            call = CALLS.get(name)
            if not self._has_column and (message := ATTACHED.search(line, match.end())):
                self._unnumbered.start(int(message[1]))
                self._piece, self._piece_line = line[: message.start()], self._line
                return "other"
            if call is None:
                self._others[name] += 1
                return "other"
            self._read_call(call, tid, line, match.end())
        elif resumed is not None:
            call = CALLS.get(resumed)
            if call is None:
                return "other"
            self._read_resumed(call, tid, line, match.end())
        elif mark == b"+++":
            self._read_end(tid, line, match.end())
        elif not line.endswith(b" ---"):
            raise LineError("bad-mark", match.end() + 1)
        else:
            return "other"  # a signal
        return "known"

    def _read_other_line(self, line: bytes) -> str:
        """Read a line that does not begin as one: the rest of a broken one, a message, a summary at the end."""
        if not line.strip():
            return "blank"
        if self._in_summary:
            return "headers"
        if self._piece:
            return self._read_rest_of_piece(line)
        if _SUMMARY.match(line):
            self._in_summary = True
            return "headers"
        if not self._has_column and _REST.match(line):
            return "other"  # of a line whose beginning was unreadable
        if not _OWN_LINE.match(line):
            raise LineError("not-a-call", 1)
        attached = ATTACHED.match(line)
        if attached:
            self._unnumbered.start(int(attached[1]))
        return "other"

    def _read_rest_of_piece(self, line: bytes) -> str:
        piece, self._piece = self._piece, b""
        try:
            return self._read_line(piece + line)
        except LineError as error:
            if error.column > len(piece):
                raise LineError(error.code, error.column - len(piece)) from None
            raise LineError(error.code, error.column, (self._piece_line, piece)) from None

    def _tid(self, in_brackets: bytes | None, in_column: bytes | None) -> int:
        if self._has_column:
            tid = 0 if in_column is None else int(in_column)
        elif in_column is not None:
            tid = 0
        else:
            tid = self._unnumbered.tid(None if in_brackets is None else int(in_brackets), self._open)
        if not 0 < tid <= PID_MAX_LIMIT:
            raise LineError("bad-task", 1)
        return tid

    def _read_time(self, time: bytes | None, match: re.Match[bytes]) -> None:
        if not self._times.printed:
            self._ts = self._line
            return
        try:
            self._ts = self._times.read(b"" if time is None else time)
        except ValueError:
            column = match.start(3) if time is not None else match.end(1) if match[1] else 0
            raise LineError("bad-time", column + 1) from None

    def _read_call(self, call: Call, tid: int, line: bytes, begin: int) -> None:
        """Read what follows ``call(``: all of it, or the part before another thread printed."""
        rest = line[begin:]
        if rest.endswith(b" ...>"):
            cut = _CUT.match(rest)
            if cut is None:
                raise LineError("bad-return", len(line))
            opened = self._enter(call, tid, cut[1], begin)
            # A thread that calls execve goes on as the leader of its process.
            self._open[int(cut[2]) if cut[2] else tid] = opened
            if cut[2]:
                self._new_tasks.end(tid)
            return
        whole = _RETURN.match(rest)
        if whole is None:
            raise LineError("bad-return", len(line) + 1)
        # Who executes a file and goes on under the same number is a process.
        tgid = tid if call.name in EXEC_CALLS and whole[2] == b"0" else -1
        opened = self._enter(call, tid, whole[1], begin, tgid)
        self._open.pop(tid, None)
        self._leave(opened, tid, whole, begin)

    def _read_resumed(self, call: Call, tid: int, line: bytes, begin: int) -> None:
        rest = _RETURN.match(line[begin:])
        if rest is None:
            raise LineError("bad-return", begin + 1)
        opened = self._open.pop(tid, None)
        if opened is None or opened.call is not call:
            opened = _OpenCall(call, None, -1, 0)
        self._leave(opened, tid, rest, begin, resumed=True)

    def _enter(self, call: Call, tid: int, arguments: bytes, begin: int, tgid: int = -1) -> _OpenCall:
        """Add the event of the enter; those of new tasks have none, since nothing but the result tells of them."""
        try:
            if call.name in NEW_TASK_CALLS:
                return _OpenCall(call, flags_of_new_task(call, arguments), -1, tid)
            if call.name in EXEC_CALLS:
                path = executed_file(call, arguments)
                self._builder.add(call.enter, self._line, tid, self._ts, tgid=tgid)
                return _OpenCall(call, None, self._text(path), tid)
            read = read_arguments(call, arguments)
        except ValueError:
            raise LineError("bad-arguments", begin + 1) from None
        for name in read.unknown:
            self.notes.count("flag-unknown", np.array([self._line]), name)
        self._builder.add(call.enter, self._line, tid, self._ts, read.numbers, text=self._text(read.file))
        if call.name in EXIT_CALLS:
            self._exiting.add(tid)
        return _OpenCall(call, None, -1, tid)

    def _leave(
        self, opened: _OpenCall, tid: int, rest: re.Match[bytes], begin: int, *, resumed: bool = False
    ) -> None:
        """Add the events of a return: its own, and what it tells of tasks."""
        call, number = opened.call, rest[2]
        if number == b"?" and rest[3] is None:
            return  # it will not return, or nobody knows what
        try:
            returned = returned_value(number, rest[3])
        except ValueError:
            raise LineError("bad-return", begin + rest.start(2) + 1) from None
        ts = self._ts
        if rest[4] is not None and not resumed:  # the line shows the time of the enter
            ts += nanoseconds(rest[4])
        if call.name in NEW_TASK_CALLS:
            if returned > 0:
                self._start_task(opened, tid, returned, begin + rest.start(2))
            return
        if call.name in EXEC_CALLS and returned == 0:
            caller = opened.caller or tid
            self._builder.add(EXEC, self._line, tid, ts, (tid, caller), tgid=tid, text=opened.file)
        self._builder.add(call.leave, self._line, tid, ts, (returned,))

    def _read_end(self, tid: int, line: bytes, begin: int) -> None:
        mark = _MARK.match(line, begin)
        if mark is None or not line.endswith(b" +++"):
            raise LineError("bad-mark", begin + 1)
        if mark[1].startswith(b"superseded"):
            return  # the number goes on: the thread that called execve has it now
        # A tracer hears of the end of a leader when all other threads are gone.
        self._builder.add(TASK_EXIT, self._line, tid, self._ts, (tid, LEADER_LAST))
        self._open.pop(tid, None)
        self._exiting.discard(tid)
        self._new_tasks.end(tid)
        self._unnumbered.end(tid)

    def _text(self, text: bytes | None) -> int:
        return -1 if text is None else self._texts.number(text.decode("utf-8", "backslashreplace"))

    def _start_task(self, opened: _OpenCall, tid: int, child: int, column: int) -> None:
        if child > PID_MAX_LIMIT:
            raise LineError("bad-task", column + 1)
        self._unnumbered.start(child)
        name = opened.call.name
        flags = FLAGS_OF_CALL.get(name) if opened.flags is None else opened.flags
        if opened.flags is None and name == "clone3":
            self.notes.count("task-flags-unknown", np.array([self._line]), name)
        # The line with the flags of a clone can be missing.
        kind, args = (FORK, (tid, child)) if flags is None else (NEWTASK, (child, flags))
        self._new_tasks.start(kind, self._line, tid, self._ts, args, child, len(self._builder))


# The clock is the wall clock, or none: no snapshot has its place by time.
FORMAT = NativeFormat("strace", _check_head, _LineReader, snapshots_by_time=False)
