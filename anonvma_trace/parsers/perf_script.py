r"""What ``perf script`` prints.

::

    zoo 18833/18834 [001]  1631.348357708:  syscalls:sys_enter_mremap: addr: 0x7fa05bb2d000, old_len: 0x00008000, …
    \_/ \___/ \___/ \___/  \____________/   \______/ \______________/  \______________________________________/
    comm pid   tid   cpu      seconds         group       event          fields, named like those of ftrace

One number in place of ``pid/tid`` is the tid; the CPU may be missing. Frames of call chains are lines of their
own that begin with a tab. Lines ``PERF_RECORD_…`` tell of tasks, mappings and losses (`perf_records`).
"""

from __future__ import annotations

import numpy as np

from . import scanner
from .losses import LossLog
from .native_block import NO_TIME, Names
from .native_events import (
    KIND_IMAGE,
    KIND_LOST,
    KIND_OTHER,
    KIND_RECORD,
    KIND_UNREADABLE,
    MAX_ARGS,
    hash_word,
    kind_of,
)
from .native_stream import NativeFormat
from .perf_records import ImageInTheMaking, Record, parse_record
from .proc_maps import Snapshot
from .source import Source
from .tracepoint_heads import PERF_SCRIPT_HEAD
from .tracepoint_reader import TracepointReader

_NEWTASK, _FORK = kind_of("task_newtask"), kind_of("sched_process_fork")
_EXEC, _EXIT, _RENAME = kind_of("sched_process_exec"), kind_of("sched_process_exit"), kind_of("task_rename")
_TOLD_BY = {"FORK": (_NEWTASK, _FORK), "EXEC": (_EXEC,), "EXIT": (_EXIT,)}
_TOLD = (_NEWTASK, _FORK, _EXEC, _EXIT)


class PerfScriptReader(TracepointReader):
    """Reads one file of perf's text: events as any tool prints them, and perf's own records.

    A record of a fork, exec or exit becomes the event of that name where the file, as far as it was read, has
    no tracepoint for it.
    """

    def __init__(self, _: Source, texts: Names, losses: LossLog) -> None:
        super().__init__(scanner.PERF_SCRIPT, scanner.STYLE_0X, texts, losses)
        self._kinds_seen: set[int] = set()
        self._images_open: dict[int, ImageInTheMaking] = {}  # by pid

    def _take_apart(self, text: bytes, rows: np.ndarray, args: np.ndarray) -> None:
        kind = rows[:, scanner.KIND]
        self._kinds_seen.update(np.unique(kind[np.isin(kind, _TOLD)]).tolist())
        for line in np.flatnonzero((kind == KIND_RECORD) | (kind == _EXEC)).tolist():
            if kind[line] == _EXEC:
                self._end_image(args[line])
            else:
                self._take_record(text, rows[line], args[line])

    def _take_record(self, text: bytes, row: np.ndarray, args: np.ndarray) -> None:
        """Make of a line what it says."""
        begin, end = int(row[scanner.TEXT_BEGIN]), int(row[scanner.TEXT_END])
        record = parse_record(text[begin:end])
        row[scanner.TEXT_END] = 0
        at_start = row[scanner.TS] == 0 and row[scanner.TID] == 0  # synthesised before the first event
        if at_start:
            row[scanner.TS] = NO_TIME
        if record is None:
            row[scanner.KIND], row[scanner.FAULT] = KIND_UNREADABLE, scanner.BAD_RECORD
            row[scanner.FAULT_AT] = begin - (text.rfind(b"\n", 0, begin) + 1)
        elif record.what == "LOST":
            row[scanner.KIND], args[0] = KIND_LOST, record.lost
        elif record.mapping is not None and self._take_mapping(record, at_start, row, args):
            pass
        elif record.what in ("COMM", "EXEC"):
            row[scanner.TEXT_BEGIN], row[scanner.TEXT_END] = (begin + place for place in record.comm)
            self._take_name(record, row, args)
        elif record.what in ("FORK", "EXIT") and not at_start and not self._is_told(record.what):
            self._take_task(record, row, args)
        else:
            row[scanner.KIND] = KIND_OTHER
            name = text[begin:end].split(b":", 1)[0].split(b"(", 1)[0].split(b" ", 1)[0]
            row[scanner.TEXT_END] = begin + len(name)
            args[0] = hash_word(name)

    def _take_mapping(self, record: Record, at_start: bool, row: np.ndarray, args: np.ndarray) -> bool:
        """Add a mapping to the image that it belongs to; False if it belongs to none."""
        assert record.mapping is not None
        image = self._images_open.get(record.pid)
        if at_start and image is None:
            image = ImageInTheMaking(Snapshot(record.pid, "start"))
            self._images_open[record.pid] = image
            row[scanner.KIND], args[0] = KIND_IMAGE, self._add_image(image.snapshot) - 1
        if image is None or at_start != (image.snapshot.why == "start") or not image.takes(record.mapping):
            self._images_open.pop(record.pid, None)
            return False
        image.add(record.mapping)
        return True

    def _take_name(self, record: Record, row: np.ndarray, args: np.ndarray) -> None:
        """Take in a new name; with an exec begins a new image."""
        is_exec = record.what == "EXEC"
        if is_exec:
            self._images_open[record.pid] = ImageInTheMaking(Snapshot(record.pid, "exec"))
        if is_exec and not self._is_told("EXEC"):
            row[scanner.KIND] = _EXEC
            args[:3] = record.pid, record.pid, self._add_image(self._images_open[record.pid].snapshot)
            args[MAX_ARGS] = 0b111
        else:
            row[scanner.KIND], args[0], args[MAX_ARGS] = _RENAME, record.tid, 1

    def _take_task(self, record: Record, row: np.ndarray, args: np.ndarray) -> None:
        """Make the event of a fork or exit."""
        if record.what == "FORK":
            row[scanner.KIND], row[scanner.TID] = _FORK, record.parent_tid
            args[:3] = record.parent, record.tid, record.pid == record.parent
            args[MAX_ARGS] = 0b111
        else:
            row[scanner.KIND], row[scanner.TID] = _EXIT, record.tid
            args[0], args[MAX_ARGS] = record.tid, 1

    def _end_image(self, args: np.ndarray) -> None:
        """Let an exec name the image that was told just before it."""
        image = self._images_open.pop(int(args[0]), None)
        if image is not None and image.snapshot.mappings:
            args[2] = self._add_image(image.snapshot)
            args[MAX_ARGS] |= 0b100

    def _add_image(self, snapshot: Snapshot) -> int:
        """Return the number of an image, from 1."""
        self.images.append(snapshot)
        return len(self.images)

    def _is_told(self, what: str) -> bool:
        return not self._kinds_seen.isdisjoint(_TOLD_BY[what])


FORMAT = NativeFormat("perf-script", PERF_SCRIPT_HEAD.check, PerfScriptReader)
