"""The events that change which task is which, one by one: fork, exec, exit, rename, markers, losses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from ..events import CLONE_THREAD, CLONE_VM
from .execs import Exec, ExecsInFlight, comm_of_file
from .images import argument_frame, start_rows
from .native_block import Names, NativeBlock
from .native_events import LEADER_LAST, PAGE_FAMILIES, SYSCALLS, Family, native_tables
from .notes import Notes
from .proc_maps import Snapshot
from .repeated_forks import RepeatedForks
from .row_table import (
    CHILD,
    COMM,
    FILE,
    FLAGS,
    KEY,
    LEN,
    LINE,
    OP,
    OP_CODE,
    PID,
    TID,
    TS,
    event_rows,
    key,
)
from .snapshots_given import NumberedSnapshots
from .tasks import DEAD, UNKNOWN, Tasks

_MARKER = re.compile(r"snap n=(\d+) why=(\w+) pid=(\d+)")
_EXEC_CALLS = ("execve", "execveat")


class Change(NamedTuple):
    """Something that the naming of mappings has to know in order.

    Attributes
    ----------
    seq : int
        Number of the native event.
    what : str
        ``"fork"`` (`subject` the parent, `value` the child), ``"exec"``, ``"exit"``, ``"image"``
        (`snapshot`) or ``"shmget"`` (`subject` the id, `value` the bytes).
    """

    seq: int
    what: str
    subject: int
    value: int = 0
    snapshot: Snapshot | None = None


def _kinds_looked_at() -> np.ndarray:
    tables = native_tables()
    about_tasks = (Family.NEWTASK, Family.EXEC, Family.TASK_EXIT, Family.RENAME)
    alone = (*about_tasks, Family.MARK, Family.LOST, Family.IMAGE)
    execs = [number for number, call in enumerate(SYSCALLS) if call.name in _EXEC_CALLS]
    of_exec = np.isin(tables.family, (Family.ENTER, Family.EXIT)) & np.isin(tables.syscall, execs)
    return np.isin(tables.family, alone) | of_exec


_LOOKED_AT = _kinds_looked_at()

_NOT_ACTS = (Family.MARK, Family.LOST, Family.IMAGE, *PAGE_FAMILIES)
"""Events that may stand in the recording though their thread is not recorded."""

_ACTS = ~np.isin(native_tables().family, _NOT_ACTS)


class TaskEvent(NamedTuple):
    """One event of a block as plain numbers: taking them from the columns one by one costs more than the walk.

    Attributes
    ----------
    at : int
        Its index in the block.
    seq : int
        Its number in the stream.
    kind, tid, tgid, text, found : int
        As in `NativeBlock`.
    args : list of int
        The first three numbers: no task event has more.
    """

    at: int
    seq: int
    kind: int
    tid: int
    tgid: int
    text: int
    found: int
    args: list[int]


_new_task_event = partial(tuple.__new__, TaskEvent)  # `_make` is a function of Python: twice the time


def _task_events(block: NativeBlock, seq: np.ndarray, at: np.ndarray) -> Iterator[TaskEvent]:
    """Return the events `at` (indices) of a block, one after another."""
    columns = (at, seq[at], block.kind[at], block.tid[at], block.tgid[at], block.text[at], block.found[at])
    numbers = zip(*(column.tolist() for column in (*columns, block.args[at, :3])), strict=True)
    return map(_new_task_event, numbers)


class TaskWalk:
    """The task events of one block: the rows they make, and what others have to know of them.

    Attributes
    ----------
    changes : list of Change
        In order.
    shown_pages : list of tuple (event, frame)
        Pages whose frame number a snapshot tells, at the event (index in the block) where it was taken.
    used_lines : int
        Lines that became a row; loss marks, which are counted by themselves, aside.
    """

    def __init__(self, block: NativeBlock, seq: np.ndarray) -> None:
        self.block = block
        self.seq = seq
        self.changes: list[Change] = []
        self.shown_pages: list[tuple[int, int]] = []
        self.used_lines = 0
        self._images: list[tuple[int, Snapshot, int]] = []  # event, image, number of its command name
        self._added: list[tuple[int, ...]] = []
        self._events: list[int] = []

    def change(self, event: TaskEvent, what: str, pid: int, value: int = 0) -> None:
        """Note a change of process `pid`."""
        self.changes.append(Change(event.seq, what, pid, value))

    def show_start(self, event: int, snapshot: Snapshot, comm: int) -> None:
        """Note that a running process is what `snapshot` shows, behind `event`; -1 is before the block."""
        self.changes.append(Change(self._seq_of(event), "image", snapshot.pid, snapshot=snapshot))
        self._images.append((event, snapshot, comm))
        _, frames = snapshot.anonymous_frames()
        self.shown_pages += [(event, frame) for frame in frames.tolist() if frame >= 0]

    def _seq_of(self, event: int) -> int:
        return int(self.seq[event]) if event >= 0 else int(self.seq[0]) - 1

    def add(
        self,
        op: str,
        event: TaskEvent,
        pid: int,
        *,
        length: int = 0,
        flags: int = 0,
        child: int = 0,
        file: int = -1,
        comm: int | None = None,
    ) -> None:
        """Add a row at `event`; one with a `comm` is about `pid`, not an act of the thread that logged it."""
        about_another = comm is not None
        self._added.append((OP_CODE[op], pid, length, flags, child, file, about_another, comm or 0))
        self._events.append(event.at)
        self.used_lines += op != "lost"

    def rows(self, pids: np.ndarray, names: np.ndarray, files: Names) -> list[np.ndarray]:
        """Return the rows added, and those of the start images behind their markers.

        Parameters
        ----------
        pids, names : ndarray of int64
            Process and command name of each event of the block.
        """
        rows = event_rows(self.block, self.seq, pids, names, np.array(self._events, dtype=np.int64))
        added = np.array(self._added, dtype=np.int64).reshape(-1, 8).T
        rows[[OP, PID, LEN, FLAGS, CHILD, FILE]] = added[:6]
        about_another, comms = added[6] != 0, added[7]
        rows[TID, about_another], rows[COMM, about_another] = -1, comms[about_another]
        parts = [rows]
        for event, snapshot, comm in self._images:
            image = start_rows(snapshot, files)
            image[KEY] = key(self._seq_of(event), 1 + np.arange(image.shape[1]))
            image[TS], image[LINE] = self.block.ts[max(event, 0)], self.block.line[max(event, 0)]
            image[PID], image[COMM] = snapshot.pid, comm
            parts.append(image)
        return parts


class TaskEvents:
    """Follows tasks and execs through the blocks of a recording.

    Parameters
    ----------
    texts, files : Names
        Command names and other texts of the events; names of mapped objects.
    snapshots : NumberedSnapshots
        Start and exec snapshots that have their place somewhere in the trace.
    notes : Notes
        Where to count what is assumed.
    images : list of Snapshot
        Images that the recording itself holds; events name its elements.

    Attributes
    ----------
    tasks : Tasks
    execs : ExecsInFlight
    lost_events : int
        What the loss marks say; one for each that does not say how many.
    started : set of int
        Processes whose start image was placed.
    """

    def __init__(
        self,
        texts: Names,
        files: Names,
        snapshots: NumberedSnapshots,
        notes: Notes,
        images: list[Snapshot],
    ) -> None:
        self.tasks = Tasks()
        self.execs = ExecsInFlight(snapshots.awaits_markers)
        self.lost_events = 0
        self.started: set[int] = set()
        self._texts, self._files, self._notes = texts, files, notes
        self._snapshots = snapshots
        self._images = images
        self._used_images: list[Snapshot] = []
        self._forks = RepeatedForks()
        self._family_of: list[int] = native_tables().family.tolist()

    @property
    def unused_snapshots(self) -> int:
        """Snapshots of ``--maps`` that have no place so far."""
        return self._snapshots.unused

    @property
    def image_lines(self) -> int:
        """Lines of the trace that became images so far."""
        return sum(image.lines_used for image in self._used_images)

    def usable_image(self, image: Snapshot | None) -> Snapshot | None:
        """Return `image` unless it is only a part, which then is counted."""
        if image is None or (image.lines_used and not image.has_data):
            self._notes.add("partial-image", image is not None)
            return None
        if image.lines_used:
            self._used_images.append(image)
        return image

    def walk(self, block: NativeBlock, seq: np.ndarray) -> TaskWalk:
        """Look at the task events of a block in order."""
        steps: dict[int, Callable[[TaskWalk, TaskEvent], None]] = {
            Family.NEWTASK: self._newtask,
            Family.FORK: self._sched_fork,
            Family.EXEC: self._exec,
            Family.TASK_EXIT: self._task_exit,
            Family.RENAME: self._rename,
            Family.MARK: self._mark,
            Family.IMAGE: self._image,
            Family.LOST: self._lost,
            Family.ENTER: self._enter,
            Family.EXIT: self._leave,
        }
        family_of = self._family_of
        acts = _ACTS[block.kind]
        strangers = self.tasks.strangers(block, acts)
        walk = TaskWalk(block, seq)
        self._place_starts_by_time(walk, acts)
        met = 0
        looked_at = _LOOKED_AT[block.kind]
        looked_at[self._forks.new_ones(block)] = True
        for event in _task_events(block, seq, np.flatnonzero(looked_at)):
            while met < len(strangers) and strangers[met][0] <= event.at:
                self.tasks.meet(*strangers[met])
                met += 1
            steps[family_of[event.kind]](walk, event)
        for stranger in strangers[met:]:
            self.tasks.meet(*stranger)
        return walk

    def _note(self, code: str, walk: TaskWalk, event: TaskEvent) -> None:
        self._notes.count(code, walk.block.line[event.at : event.at + 1])

    def _newtask(self, walk: TaskWalk, event: TaskEvent) -> None:
        self._start_task(walk, event, event.args[0], event.args[1])

    def _sched_fork(self, walk: TaskWalk, event: TaskEvent) -> None:
        """Fall back on sched_process_fork where task_newtask was not recorded (or lost): it has no flags."""
        child, tid = event.args[1], event.tid
        flags = self._forks.flags_before(event.at, tid)
        if flags is None:
            tgids = walk.block.tgid[walk.block.tid == child]
            is_thread = len(tgids) > 0 and tgids[0] == self.tasks.pid(tid, event.tgid)
            if event.found & 4:  # slot 2: perf tells
                is_thread = bool(event.args[2])
            flags = CLONE_VM | CLONE_THREAD if is_thread else 0
            self._note("fork-without-flags", walk, event)
        self._start_task(walk, event, child, flags)

    def _start_task(self, walk: TaskWalk, event: TaskEvent, child: int, flags: int) -> None:
        pid = self.tasks.pid(event.tid, event.tgid)
        self.execs.forget(child)
        name = event.text
        if name < 0:  # not told by every format: a child begins with its parent's
            name = self.tasks.names.now(event.tid)
        self.tasks.names.change(event.at, child, name)
        if flags & CLONE_THREAD and pid != DEAD:
            self.tasks.start_thread(event.at, child, pid)
            return
        self.tasks.start_thread(event.at, child, child)
        if pid == DEAD:
            self._note("event-after-exit", walk, event)
            return
        walk.add("fork", event, pid, child=child, flags=flags & 0xFFFFFFFF)
        walk.change(event, "fork", pid, child)

    def _exec(self, walk: TaskWalk, event: TaskEvent) -> None:
        block = walk.block
        pid, old_pid = event.args[0], event.args[1]
        if self.tasks.pid(old_pid, event.tgid) == DEAD:
            self._note("event-after-exit", walk, event)
            return
        told = event.text >= 0  # not by every format
        filename = self._texts.values[event.text] if told else ""
        if told and self.execs.rename_of(pid, old_pid, filename) < 0:
            self.tasks.names.change(event.at - 1, pid, self._texts.number(comm_of_file(filename)))
        self.tasks.become_leader(event.at, pid, old_pid)
        new = Exec(
            seq=event.seq,
            ts=int(block.ts[event.at]),
            line=int(block.line[event.at]),
            cpu=int(block.cpu[event.at]),
            comm=self.tasks.names.now(pid),
            pid=pid,
            old_pid=old_pid,
            snapshot=self._snapshots.take_exec_at(pid, int(block.ts[event.at]))
            or self._image_of(walk, event),
        )
        self.execs.exec(new, filename)
        walk.add("exec", event, pid, file=self._files.number(filename) if told else -1)
        walk.change(event, "exec", pid)

    def _task_exit(self, walk: TaskWalk, event: TaskEvent) -> None:
        tid = event.args[0]
        pid = self.tasks.pid(tid, event.tgid)
        self.execs.forget(tid)
        if pid == DEAD:
            self._note("event-after-exit", walk, event)
            return
        group_dead = bool(event.args[1]) if event.found & 2 else None
        if group_dead and event.args[1] == LEADER_LAST:
            group_dead = True if tid == pid else None
        if self.tasks.end_thread(event.at, tid, pid, group_dead):
            walk.add("exit", event, pid)
            walk.change(event, "exit", pid)

    def _rename(self, walk: TaskWalk, event: TaskEvent) -> None:
        own_tid = event.tid
        tid = event.args[0] if event.found & 1 else own_tid
        name = event.text
        self.tasks.names.change(event.at, tid, name)
        if tid == own_tid:  # not another's, through /proc/PID/comm
            self.execs.rename(tid, event.seq, self._texts.values[name])

    def _mark(self, walk: TaskWalk, event: TaskEvent) -> None:
        found = _MARKER.match(self._texts.values[event.text])
        if found is None:
            return
        n, why, pid = int(found[1]), found[2], int(found[3])
        snapshot = self._snapshots.named(n, why, pid)
        comm = self.tasks.names.now(pid)
        if why == "start" and snapshot is not None:
            comm = self._start(walk, event.at, snapshot)
            self._snapshots.use(snapshot)
        elif snapshot is not None and self.execs.show_image(pid, snapshot):
            self._snapshots.use(snapshot)
            frame = argument_frame(snapshot)
            if frame >= 0:
                walk.shown_pages.append((event.at, frame))
        elif snapshot is None and why in ("start", "exec") and self._snapshots:
            self._note("marker-without-snapshot", walk, event)
        walk.add("mark", event, pid, length=n, comm=comm)

    def _start(self, walk: TaskWalk, event: int, snapshot: Snapshot) -> int:
        """Let a running process be what `snapshot` shows; returns the number of its command name."""
        comm = self.tasks.names.now(snapshot.pid)
        if snapshot.comm:
            comm = self._texts.number(snapshot.comm)
            self.tasks.names.change(event, snapshot.pid, comm)
        self.started.add(snapshot.pid)
        walk.show_start(event, snapshot, comm)
        return comm

    def _image(self, walk: TaskWalk, event: TaskEvent) -> None:
        """Take in the image of a process that ran when recording began; one that ``--maps`` gave has pages too."""
        image = self._images[event.args[0]]
        if not self._snapshots.has_start(image.pid) and self.usable_image(image) is not None:
            self._start(walk, event.at, image)

    def _image_of(self, walk: TaskWalk, event: TaskEvent) -> Snapshot | None:
        """Return the image that an exec event itself names: its slot 2 counts from 1."""
        number = event.args[2] if event.found & 4 else 0
        return self._images[number - 1] if number else None

    def _place_starts_by_time(self, walk: TaskWalk, acts: np.ndarray) -> None:
        """Place start snapshots before the first event that is not earlier, in formats without markers."""
        block = walk.block
        for snapshot in self._snapshots.starts_between(int(block.ts[0]), int(block.ts[-1])):
            event = int(np.searchsorted(block.ts, snapshot.t_mono_ns))
            of_pid = acts & (block.tid == snapshot.pid)
            if of_pid[:event].any() or self.tasks.pids.now(snapshot.pid) != UNKNOWN:
                continue  # it ran before: the clocks differ
            self._snapshots.use(snapshot)
            self._start(walk, event - 1, snapshot)

    def _lost(self, walk: TaskWalk, event: TaskEvent) -> None:
        events = event.args[0]
        self.lost_events += max(events, 1)  # where the number is not known, at least one
        walk.add("lost", event, 0, length=events, comm=-1)

    def _enter(self, walk: TaskWalk, event: TaskEvent) -> None:
        self.execs.enter(event.tid, event.seq)

    def _leave(self, walk: TaskWalk, event: TaskEvent) -> None:
        self.execs.leave(event.tid)
