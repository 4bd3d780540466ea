r"""Output of ``perf trace``: system calls, and with ``-F all`` page faults.

`perf_trace_head` draws the lines. They are printed when a call returns, with the time at which it was entered: the
events stand at the sum of that and the duration. Arguments that are 0 (and a descriptor that is -1) are not
printed at all. A call during which another thread made a line ends in ``...``, and a line of its own tells how it
went on. The lines of a file can be incomplete without saying so: what contradicts itself is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .foreign import unlike
from .line_errors import LineError, count_unreadable
from .losses import LossLog
from .native_block import NO_TIME, BlockBuilder, Names, NativeBlock, no_events
from .native_events import GROUP_DEAD, KIND_LOST, PID_MAX_LIMIT, kind_of
from .native_stream import NativeFormat, NativeReader
from .perf_trace_arguments import read_arguments
from .perf_trace_head import BEGINNING, LOST
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
    SIGNAL_AT_EXIT,
    TASK_EXIT,
    Call,
    returned_value,
)
from .silent_loss import UnmapCheck
from .source import Source, lines_of

_RETURN = re.compile(rb"(.*)\) += ?(.*)$")
_OPEN = re.compile(rb"(.*)\) +\.\.\.$")
_RESULT = re.compile(rb"(\?|-?\d[\dxa-f]*|)(?: (E[A-Z0-9]+) \(.*\)| \(.*\))?$")
_FAULT = re.compile(rb"\[.*\] => (?:(.*)@)?0x([0-9a-f]{1,16}) \(.(.)\)$")
_FILENAME = re.compile(rb'(?:.*, )?filename: "([^"]*)"')
_SUMMARY = re.compile(rb" ?Summary of events:")

# Addresses behind @ that are absolute; behind the name of a file stands an offset into its mapping.
_NO_FILES = (None, b"//anon", b"[heap]", b"[stack]")

_FAULT_USER, _FAULT_KERNEL = kind_of("page_fault_user"), kind_of("page_fault_kernel")
_NAMELESS = 1  # the init process: never traced as a child
_MOST_LOST = (1 << 32) - 1
_NEGATIVE = 1 << 63  # negative times are printed as if they were unsigned: 18446744073709.551


def _check_head(source: Source) -> None:
    lines = [line for line in lines_of(source.head) if line.strip()]
    if lines and not any(BEGINNING.match(line) or LOST.match(line) for line in lines):
        raise unlike(
            source.path, "output of perf trace ('MS ( MS ms): NAME/TID call(name: value) = result')", lines[0]
        )


class _OpenCall(NamedTuple):
    """A call that was entered.

    Attributes
    ----------
    ts : int
        When, in nanoseconds; `NO_TIME` if that is not told.
    numbers : list of int
        In the order of `Call.arguments`.
    file : int
        Number of the path that an execve executes; -1 for none.
    line : int
        Where it stands.
    """

    call: Call
    ts: int
    numbers: list[int]
    file: int
    line: int


class _LineReader(NativeReader):
    """Reads the lines of one source."""

    def __init__(self, source: Source, texts: Names, losses: LossLog) -> None:
        super().__init__()
        self._texts = texts
        self._losses = losses
        self._builder = BlockBuilder()
        self._has_threads = bool(re.search(rb"^.*ms\): .{1,16}/\d+ ", source.head, re.MULTILINE))
        self._open: dict[tuple[int, str], _OpenCall] = {}  # by thread and call
        self._early: dict[tuple[int, str], bytes] = {}  # results that came before the call's own line
        self._latest: dict[int, int] = {}  # time of the latest call of each thread
        self._begun: set[int] = set()  # tasks whose first line was there, but not yet the one that made them
        self._made: set[int] = set()  # the other way round
        self._others: Counter[bytes] = Counter()
        self._comm: bytes | None = None  # in the line
        self._in_summary = False
        self._has_faults = False
        self._line = 0

    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of `text` in file order."""
        lines = lines_of(text)
        counts = dict.fromkeys(("known", "other", "headers", "blank", "loss_marks", "unreadable"), 0)
        for number, line in enumerate(lines):
            self._line = first_line + number
            try:
                kind = self._read_line(line)
            except LineError as error:
                kind = "unreadable"
                count_unreadable(self._losses, REASONS, error, self._line, line)
            counts[kind] += 1
        self.counts.update(counts)
        return self._builder.block()

    def finish(self) -> NativeBlock:
        """Complete what the reader has to say; no event was held back."""
        for name, count in self._others.items():
            self.unused[name.decode("utf-8", "backslashreplace")] += count
        self._others.clear()
        if not self._has_faults:
            self.notes.add("no-faults")
        if not self._has_threads:
            self.notes.add("threads-not-shown")
        for (tid, _), opened in self._open.items():
            went_on = opened.ts < self._latest[tid]
            self.notes.count("result-lost" if went_on else "call-without-exit", np.array([opened.line]))
        self.notes.add("task-without-parent", len(self._begun))
        return no_events()

    def _note(self, code: str, name: str = "") -> None:
        self.notes.count(code, np.array([self._line]), name)

    def _read_line(self, line: bytes) -> str:
        match = BEGINNING.match(line)
        if match is None or self._in_summary:
            return self._read_other_line(line)
        ms, us, duration_ms, duration_us, comm, tid_text, name, goes_on, fault = match.groups()
        ts = NO_TIME if ms is None else max(_nanoseconds(ms, us), NO_TIME)
        duration = 0 if duration_ms is None else _nanoseconds(duration_ms, duration_us)
        tid = self._tid(tid_text, match)
        self._comm = comm
        begin = match.end()
        if fault is not None:
            return self._read_fault(tid, ts, line, begin)
        call = CALLS.get(name if name is not None else goes_on)
        if call is None:
            self._others[name or goes_on] += name is not None
            return "other"
        if name is not None:
            self._read_call(call, tid, ts, duration, line, begin)
        else:
            self._read_rest(call, tid, ts, duration, line, begin)
        return "known"

    def _read_other_line(self, line: bytes) -> str:
        if not line.strip():
            return "blank"
        lost = LOST.match(line)
        if lost is not None:
            self._builder.add(KIND_LOST, self._line, 0, NO_TIME, (min(int(lost[1]), _MOST_LOST),))
            return "loss_marks"
        self._in_summary = self._in_summary or bool(_SUMMARY.match(line))
        if self._in_summary:
            return "headers"
        raise LineError("not-a-call", 1)

    def _tid(self, text: bytes | None, match: re.Match[bytes]) -> int:
        if text is None:
            if self._has_threads:
                raise LineError("bad-task", match.end() + 1)
            return _NAMELESS
        tid = int(text)
        if not 0 < tid <= PID_MAX_LIMIT:
            raise LineError("bad-task", match.start(6) + 1)
        return tid

    def _add(
        self, kind: int, tid: int, ts: int, args: Sequence[int], *, tgid: int = -1, text: int = -1
    ) -> None:
        """Add an event of the line."""
        number = -1
        if self._comm is not None and self._comm != b":%d" % tid:  # what perf prints if it does not know
            number = self._texts.number(self._comm.decode("utf-8", "backslashreplace"))
        self._builder.add(kind, self._line, tid, ts, args, tgid=tgid, text=text, comm=number)

    def _read_fault(self, tid: int, ts: int, line: bytes, begin: int) -> str:
        fault = _FAULT.match(line, begin - 1)
        if fault is None:
            raise LineError("bad-arguments", begin + 1)
        self._has_faults = True
        if fault[1] not in _NO_FILES:
            self._note("fault-in-file")
            return "other"
        kind = _FAULT_KERNEL if fault[3] == b"k" else _FAULT_USER
        self._add(kind, tid, ts, (int(fault[2], 16),))  # no error code: read or write is not told
        return "known"

    def _read_call(self, call: Call, tid: int, ts: int, duration: int, line: bytes, begin: int) -> None:
        """Read what follows ``call(``, with the result or without."""
        rest = line[begin:]
        whole = _RETURN.match(rest)
        open_end = None if whole is not None else _OPEN.match(rest)
        text = whole or open_end
        if text is None:
            raise LineError("bad-return", begin + 1)
        try:
            numbers, unknown = read_arguments(call, text[1])
            filename = _FILENAME.match(text[1]) if call.name in EXEC_CALLS else None
        except ValueError:
            raise LineError("bad-arguments", begin + 1) from None
        file = -1
        if filename is not None:
            file = self._texts.number(filename[1].decode("utf-8", "backslashreplace"))
        opened = _OpenCall(call, ts, numbers, file, self._line)
        for name in unknown:
            self._note("flag-unknown", name)
        if call.name in EXIT_CALLS:
            self._end(call, tid, ts)
            return
        self._latest[tid] = max(ts, self._latest.get(tid, NO_TIME))
        if whole is not None:
            self._leave(opened, tid, ts + duration, whole[2], begin + whole.start(2))
            return
        early = self._early.pop((tid, call.name), None)
        if early is not None:
            if call.name not in NEW_TASK_CALLS | EXEC_CALLS:
                self._leave(opened, tid, ts, early, begin)
            return
        replaced = self._open.pop((tid, call.name), None)
        if replaced is not None:
            self.notes.count("result-lost", np.array([replaced.line]))
        self._open[tid, call.name] = opened

    def _read_rest(self, call: Call, tid: int, ts: int, duration: int, line: bytes, begin: int) -> None:
        """Read the line of a call that went on: that of the open one, or the first line of a new task."""
        rest = _RETURN.match(b")" + line[begin:])
        if rest is None:
            raise LineError("bad-return", begin + 1)
        if call.name in NEW_TASK_CALLS and rest[2] in (b"", b"0"):
            self._begin_task(tid)
            return
        opened = self._open.pop((tid, call.name), None)
        if opened is None:
            opened = _OpenCall(call, ts, [], -1, 0)
            if ts == NO_TIME:  # its own line may follow
                self._early[tid, call.name] = rest[2]
        # perf takes the lines of one CPU after those of another: the time that it shows for the enter can be
        # that of a later call, or none, but the sum with the duration is right.
        returned_at = opened.ts if ts == NO_TIME else ts + duration
        self._leave(opened, tid, max(returned_at, opened.ts), rest[2], begin + rest.start(2) - 1)

    def _leave(self, opened: _OpenCall, tid: int, ts: int, text: bytes, column: int) -> None:
        """Add the events of a call that returned at `ts`."""
        result = _RESULT.match(text)
        if result is None:
            raise LineError("bad-return", column + 1)
        if result[1] in (b"", b"?"):
            return
        try:
            returned = returned_value(result[1], result[2])
        except ValueError:
            raise LineError("bad-return", column + 1) from None
        call = opened.call
        if call.name in NEW_TASK_CALLS:
            if returned > 0:
                self._start_task(opened, tid, returned, column)
            return
        if call.name in EXEC_CALLS:
            self._add(call.enter, tid, opened.ts, ())
            if returned == 0:
                self._add(EXEC, tid, ts, (tid, tid), tgid=tid, text=opened.file)
        elif opened.line:
            # Next to the return, so that a loss in between, which this call survived, does not part them.
            self._add(call.enter, tid, ts, opened.numbers)
        self._add(call.leave, tid, ts, (returned,))

    def _start_task(self, opened: _OpenCall, tid: int, child: int, column: int) -> None:
        if child > PID_MAX_LIMIT:
            raise LineError("bad-task", column + 1)
        if child in self._begun:
            self._begun.discard(child)
        else:
            self._made.add(child)
        name = opened.call.name
        flags = FLAGS_OF_CALL.get(name)
        if name == "clone3":
            self._note("task-flags-unknown", name)
        elif name == "clone" and opened.line:
            flags = opened.numbers[0] & ~SIGNAL_AT_EXIT
        if flags is None:
            self._add(FORK, tid, opened.ts, (tid, child))  # the line with its flags is missing
            return
        # The child may be in the recording before the call returns, but not before it is entered.
        self._add(NEWTASK, tid, opened.ts, (child, flags))

    def _begin_task(self, tid: int) -> None:
        """Take in the first line of a new task: the call that made it returns there too."""
        if tid in self._made:
            self._made.discard(tid)
        else:
            self._begun.add(tid)

    def _end(self, call: Call, tid: int, ts: int) -> None:
        self._add(TASK_EXIT, tid, ts, (tid, GROUP_DEAD) if call.name == "exit_group" else (tid,))


def _nanoseconds(ms: bytes, us: bytes) -> int:
    """Return a time or duration, which may be negative."""
    ns = 1_000_000 * int(ms) + 1000 * int(us)
    return ns if ns < _NEGATIVE else max(ns - 2 * _NEGATIVE, -_NEGATIVE // 2)


# The clock begins with the recording: no snapshot has its place by time.
FORMAT = NativeFormat("perf-trace", _check_head, _LineReader, snapshots_by_time=False, batch_check=UnmapCheck)
