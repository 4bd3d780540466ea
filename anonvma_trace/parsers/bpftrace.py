r"""Output of bpftrace scripts that print memory events, one a line.

::

    16983407855249 1 29749 29749 sys_enter_mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 off=0x0 comm=sh
    1631351445163 1 18901 18901 zoo kid (1) ->  fault addr=0x7fa05b89c000 ip=0x55f35ce3a355 err=0x7
    \___________/ | \___/ \___/ \____________/  \___/ \__________________________________________/
       nsecs    cpu  pid   tid    task's name   event                  fields
    Lost 134 events

The script that this package ships prints as in the first line: the kernel's names, the task's name last. The
second is of an older one (`bpftrace_events`). A loss mark names no CPU and no time.

bpftrace prints the buffers of the CPUs one after another, so that lines are some ms out of order: they are
put into order within a block of text, and by the stream as far as one block back.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import NamedTuple

from .bpftrace_events import TASK_FIELDS, Printed, events_by_kernel_names, events_by_short_names
from .bpftrace_head import NO_EVENT, check_bpftrace
from .line_errors import LineError, count_unreadable
from .losses import LossLog
from .native_block import NO_TIME, BlockBuilder, Names, NativeBlock
from .native_events import KIND_LOST, PID_MAX_LIMIT, kind_of
from .native_stream import NativeFormat, NativeReader
from .source import Source, lines_of

_NUMBER = rb"(?:0x[0-9a-f]{1,16}|-?\d{1,19})"
_COLUMNS = re.compile(rb"(\d{1,18}) (\d{1,5}) (\d{1,7}) (\d{1,7}) ")
_KERNEL_NAMED = re.compile(
    rb"((?:tracepoint:syscalls:)?\w+)((?: \w+=%s)*)(?: (comm|newcomm|filename)=(.*))?$" % _NUMBER, re.DOTALL
)
# The task's name, of up to 15 bytes of anything, stands before the event: the last word that can be one is it.
_SHORT_NAMED = re.compile(
    rb"(.{0,15}) (%s)((?: \w+=%s)*)(?: file=(.*))?$" % (b"|".join(events_by_short_names()), _NUMBER),
    re.DOTALL,
)
_FIELD = re.compile(rb" (\w+)=(%s)" % _NUMBER)
_EVENT_WORD = re.compile(
    rb"(?:.{0,15} )?(?:%s)(?= )" % b"|".join([*events_by_kernel_names(), *events_by_short_names()]),
    re.DOTALL,
)
_LOST = re.compile(rb"Lost (\d{1,18}) events")

_CPU_LIMIT = 1 << 15
_RENAME, _NEWTASK = kind_of("task_rename"), kind_of("task_newtask")

_REASONS = {
    "bad-columns": "expected four numbers: nsecs, cpu, pid and tid",
    "bad-event-name": "expected an event of the script that `anonvma-trace record --print-bpftrace` prints",
    "bad-number": "expected fields 'name=number', decimal or 0x…",
    "missing-field": "expected a field that this event always has",
    "bad-tid": f"expected a tid of at most {PID_MAX_LIMIT} (the kernel's PID_MAX_LIMIT)",
    "bad-cpu": f"expected a CPU number below {_CPU_LIMIT}",
}


class _Event(NamedTuple):
    """One line; `comm` is the name of the acting task, None where the line does not tell it."""

    ts: int
    line: int
    kind: int
    cpu: int
    tgid: int
    tid: int
    args: list[int | None]
    text: bytes | None
    comm: bytes | None


class _LineReader(NativeReader):
    """Reads the lines of one source."""

    def __init__(self, _: Source, texts: Names, losses: LossLog) -> None:
        super().__init__()
        self._texts = texts
        self._losses = losses
        self._comm_of: dict[int, bytes] = {}  # tid -> name, as far as lines told it

    def read(self, text: bytes, first_line: int) -> NativeBlock:
        """Return the events of `text` in order of time."""
        events: list[_Event] = []
        for number, line in enumerate(lines_of(text), start=first_line):
            event = self._read_line(line, number)
            if event is not None:
                events.append(event)
        return self._block(_in_order(events))

    def _read_line(self, line: bytes, number: int) -> _Event | None:
        if not line.strip():
            self.counts["blank"] += 1
            return None
        if lost := _LOST.fullmatch(line):
            self.counts["loss_marks"] += 1
            return _Event(NO_TIME, number, KIND_LOST, -1, -1, 0, [int(lost[1])], None, None)
        if NO_EVENT.match(line):
            self.counts["headers"] += 1
            return None
        try:
            event = _parse(line, number)
        except LineError as error:
            self.counts["unreadable"] += 1
            count_unreadable(self._losses, _REASONS, error, number, line)
            return None
        self.counts["known"] += 1
        return event

    def _block(self, events: list[_Event]) -> NativeBlock:
        builder = BlockBuilder()
        for event in events:
            comm = self._follow_name(event, builder)
            text = -1 if event.text is None else self._number(event.text)
            builder.add(
                event.kind,
                event.line,
                event.tid,
                event.ts,
                event.args,
                tgid=event.tgid,
                cpu=event.cpu,
                text=text,
                comm=comm,
            )
        return builder.block()

    def _follow_name(self, event: _Event, builder: BlockBuilder) -> int:
        """Add the rename that a new name of a known task shows, which comes with every exec.

        Returns
        -------
        int
            Number of the task's name where it was not known before; else -1.
        """
        if event.kind == _RENAME and event.text is not None:
            self._comm_of[event.tid] = event.text
        elif event.kind == _NEWTASK and event.text is not None and event.args[0] is not None:
            self._comm_of[event.args[0]] = event.text
        if event.comm is None:
            return -1
        known = self._comm_of.get(event.tid)
        if known == event.comm:
            return -1
        self._comm_of[event.tid] = event.comm
        number = self._number(event.comm)
        if known is None:
            return number
        builder.add(
            _RENAME, event.line, event.tid, event.ts, [None], tgid=event.tgid, cpu=event.cpu, text=number
        )
        return -1

    def _number(self, text: bytes) -> int:
        return self._texts.number(text.decode("utf-8", "backslashreplace"))


def _in_order(events: list[_Event]) -> list[_Event]:
    """Sort by time; a loss mark, which has none, stays before the event behind it."""
    ts = NO_TIME
    for position in range(len(events) - 1, -1, -1):
        if events[position].ts == NO_TIME:
            events[position] = events[position]._replace(ts=ts)
        else:
            ts = events[position].ts
    # Marks behind the last event still have no time: the stream waits with them for the next block.
    timed = [event for event in events if event.ts != NO_TIME]
    return sorted(timed, key=attrgetter("ts")) + events[len(timed) :]


def _parse(line: bytes, number: int) -> _Event:
    """Read a line that should be an event.

    Raises
    ------
    LineError
        It is none.
    """
    columns = _COLUMNS.match(line)
    if columns is None:
        begin = re.match(rb"(?:\d+ ){0,4}", line)
        raise LineError("bad-columns", (begin.end() if begin else 0) + 1)
    ts, cpu, tgid, tid = (int(column) for column in columns.groups())
    if cpu >= _CPU_LIMIT:
        raise LineError("bad-cpu", columns.start(2) + 1)
    if max(tgid, tid) > PID_MAX_LIMIT:
        raise LineError("bad-tid", columns.start(3 if tgid > PID_MAX_LIMIT else 4) + 1)
    at = columns.end()
    found = _KERNEL_NAMED.match(line, at)
    printed = events_by_kernel_names().get(found[1]) if found else None
    if found and printed:
        args = _numbers(printed, found, 2, tid)
        is_text = printed.text != b"" and found[3] == printed.text
        if printed.text and not is_text:
            raise LineError("missing-field", len(line) + 1)
        comm = found[4] if found[3] == b"comm" and not is_text else None
        return _Event(ts, number, printed.kind, cpu, tgid, tid, args, found[4] if is_text else None, comm)
    found = _SHORT_NAMED.match(line, at)
    if found is None:
        raise _trouble(line, at)
    printed = events_by_short_names()[found[2]]
    if bool(printed.text) != (found[4] is not None):
        raise LineError("missing-field", len(line) + 1)
    args = _numbers(printed, found, 3, tid)
    # A child begins with its parent's name.
    text = found[1] if printed.kind == _NEWTASK else found[4]
    return _Event(ts, number, printed.kind, cpu, tgid, tid, args, text, found[1])


def _numbers(printed: Printed, found: re.Match[bytes], group: int, tid: int) -> list[int | None]:
    """Return the numbers of an event by slot."""
    args: list[int | None] = [None] * (max(printed.slots.values(), default=0) + 1)
    if printed.own_tid:
        args[0] = tid
    there = set()
    for field in _FIELD.finditer(found[group]):
        slot = printed.slots.get(field[1])
        if slot is None:
            continue
        value = int(field[2], 16 if field[2].startswith(b"0x") else 10)
        if field[1] in TASK_FIELDS and not 0 <= value <= PID_MAX_LIMIT:
            raise LineError("bad-tid", found.start(group) + field.start(2) + 1)
        args[slot] = value
        there.add(field[1])
    if not printed.required <= there:
        raise LineError("missing-field", found.end(group) + 1)
    return args


def _trouble(line: bytes, at: int) -> LineError:
    """Return what is wrong with the event that begins at byte `at`, from 0."""
    word = _EVENT_WORD.match(line, at)
    if word is None:
        return LineError("bad-event-name", at + 1)
    place = word.end()
    while field := _FIELD.match(line, place):
        place = field.end()
    return LineError("bad-number", place + 1)


FORMAT = NativeFormat("bpftrace", check_bpftrace, _LineReader)
