"""The events that change which task is which (fork, exec, exit, rename), markers, images and losses."""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

import numpy as np

from ..events import CLONE_THREAD, CLONE_VM
from .execs import Exec, ExecsInFlight, comm_of_file
from .images import argument_frame, start_rows
from .native_block import Names, NativeBlock
from .native_events import Family, native_tables
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
from .task_kernels import (
    AFTER_EXIT,
    GIVE_UP,
    MADE_CHILD,
    MADE_COMM,
    MADE_EVENT,
    MADE_FLAGS,
    MADE_LEN,
    MADE_OP,
    MADE_PID,
    N_TOLD_COLUMNS,
    NOTED_EVENT,
    NOTED_WHAT,
    OF_ITSELF,
    START,
    TOLD_EVENT,
    TOLD_NAME,
    TOLD_VALUE,
    TOLD_WHAT,
)
from .tasks import ACTS, Followed, Tasks

_MARKER = re.compile(r"snap n=(\d+) why=(\w+) pid=(\d+)")
_FAMILY = native_tables().family


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


_CHANGES = ("fork", "exec", "exit")  # what their rows are called too
_new_change = partial(tuple.__new__, Change)  # `_make` is a function of Python: twice the time


class _Told(NamedTuple):
    """What the walk must be told of an event, as `task_kernels` says; `snapshot` is -1 for none."""

    event: int
    what: int
    value: int
    pid: int
    name: int
    snapshot: int = -1


class TaskWalk:
    """The task events of one block: the rows they make, and what others have to know of them.

    Attributes
    ----------
    pids, names : ndarray of int64
        Process (`tasks.DEAD` if it is gone) and number of the command name of each event of the block.
    shown_pages : list of tuple (event, frame)
        Pages whose frame number a snapshot tells, at the event (index in the block) where it was taken.
    used_lines : int
        Lines that became a row; loss marks, which are counted by themselves, aside.
    """

    def __init__(self, block: NativeBlock, seq: np.ndarray, followed: Followed) -> None:
        self.pids, self.names, self._made, _ = followed
        self.block = block
        self.seq = seq
        self.shown_pages: list[tuple[int, int]] = []
        ops = self._made[:, MADE_OP]
        self.used_lines = int(np.count_nonzero(ops != OP_CODE["lost"]))
        self._images: list[tuple[int, Snapshot, int]] = []  # event, image, number of its command name

    @property
    def changes(self) -> list[Change]:
        """What changed: start images first, then the others in order."""
        changes = [
            Change(self._seq_of(event), "image", snapshot.pid, snapshot=snapshot)
            for event, snapshot, _ in self._images
        ]
        of_tasks = self._made[np.isin(self._made[:, MADE_OP], [OP_CODE[what] for what in _CHANGES])]
        what = {OP_CODE[what]: what for what in _CHANGES}
        columns = (
            self.seq[of_tasks[:, MADE_EVENT]],
            of_tasks[:, MADE_OP],
            of_tasks[:, MADE_PID],
            of_tasks[:, MADE_CHILD],
        )
        changes += [
            _new_change((seq, what[op], pid, child, None))
            for seq, op, pid, child in zip(*(column.tolist() for column in columns), strict=True)
        ]
        return changes

    def show_start(self, event: int, snapshot: Snapshot, comm: int) -> None:
        """Note that a running process is what `snapshot` shows, behind `event`; -1 is before the block."""
        self._images.append((event, snapshot, comm))
        _, frames = snapshot.anonymous_frames()
        self.shown_pages += [(event, frame) for frame in frames.tolist() if frame >= 0]

    def _seq_of(self, event: int) -> int:
        return int(self.seq[event]) if event >= 0 else int(self.seq[0]) - 1

    def rows(self, texts: Names, files: Names) -> list[np.ndarray]:
        """Return the rows that the events make, and those of the start images behind their markers.

        Parameters
        ----------
        texts, files : Names
            Texts of the events; names of mapped objects, which the programs executed are added to.
        """
        made = self._made
        rows = event_rows(self.block, self.seq, self.pids, self.names, made[:, MADE_EVENT])
        rows[[OP, PID, LEN, FLAGS, CHILD]] = made[:, [MADE_OP, MADE_PID, MADE_LEN, MADE_FLAGS, MADE_CHILD]].T
        about_another = made[:, MADE_COMM] != OF_ITSELF
        rows[TID, about_another], rows[COMM, about_another] = -1, made[about_another, MADE_COMM]
        programs = self.block.text[made[:, MADE_EVENT]]
        for row in np.flatnonzero((rows[OP] == OP_CODE["exec"]) & (programs >= 0)).tolist():
            rows[FILE, row] = files.number(texts.values[programs[row]])
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
    texts : Names
        Command names and other texts of the events.
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
        self, texts: Names, snapshots: NumberedSnapshots, notes: Notes, images: list[Snapshot]
    ) -> None:
        self.tasks = Tasks()
        self.execs = ExecsInFlight(self.tasks, snapshots.awaits_markers)
        self.lost_events = 0
        self.started: set[int] = set()
        self._texts, self._notes = texts, notes
        self._snapshots = snapshots
        self._images = images
        self._used_images: list[Snapshot] = []
        self._forks = RepeatedForks()
        self._program_names: dict[int, int] = {}  # number of a path -> of the name of who executes it

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
        """Follow the task events of a block in order."""
        shown: list[Snapshot] = []
        few = [
            *self._starts_by_time(block, shown),
            *self._forks_told_once(block),
            *self._images_of_starts(block, shown),
        ]
        told = np.concatenate(
            [
                np.array(few, dtype=np.int64).reshape(-1, N_TOLD_COLUMNS),
                self._programs(block),
                self._marks(block, shown),
            ]
        )
        # Stable: a start is told before what else its event is.
        told = told[np.argsort(told[:, TOLD_EVENT], kind="stable")]
        followed = self.tasks.follow(block, seq, told, self._snapshots.awaits_markers)
        self.execs.take_calls(self.tasks.exec_callers(block))
        losses = block.args[_FAMILY[block.kind] == Family.LOST, 0]
        self.lost_events += int(np.maximum(losses, 1).sum())  # where the number is not known, at least one
        walk = TaskWalk(block, seq, followed)
        self._finish(walk, followed.noted, shown)
        return walk

    def _finish(self, walk: TaskWalk, noted: np.ndarray, shown: list[Snapshot]) -> None:
        """Do what is left to do of the events that were noted; `shown` are the snapshots they name."""
        after_exit = noted[:, NOTED_WHAT] == AFTER_EXIT
        self._notes.count("event-after-exit", walk.block.line[noted[after_exit, NOTED_EVENT]])
        for what, event, subject, old_pid, faults_from, renamed, comm in noted[~after_exit].tolist():
            if what == Family.EXEC:
                self._exec(walk, event, subject, old_pid, faults_from, bool(renamed), comm)
            elif what == GIVE_UP:
                self.execs.give_up_image(subject)
            elif what == Family.MARK and shown[subject].why != "start":
                self._show_exec(walk, event, shown[subject])
            else:
                self.started.add(shown[subject].pid)
                walk.show_start(event - (what == START), shown[subject], comm)
                if what != Family.IMAGE:
                    self._snapshots.use(shown[subject])

    def _forks_told_once(self, block: NativeBlock) -> list[_Told]:
        """Fall back on sched_process_fork where task_newtask was not recorded (or lost): it has no flags."""
        told = []
        for event in self._forks.new_ones(block).tolist():
            flags, tgid = self._forks.flags_before(event, int(block.tid[event])), -1
            if flags is None:
                self._notes.count("fork-without-flags", block.line[event : event + 1])
                if block.found[event] & 4:  # slot 2: perf tells
                    flags = CLONE_VM | CLONE_THREAD if block.args[event, 2] else 0
                else:
                    tgids = block.tgid[block.tid == block.args[event, 1]]
                    tgid = max(int(tgids[0]), 0) if len(tgids) else 0
            told.append(_Told(event, Family.FORK, flags or 0, tgid, -1))
        return told

    def _programs(self, block: NativeBlock) -> np.ndarray:
        """Tell the name that each exec gives its process; not every format tells the program."""
        events = np.flatnonzero(_FAMILY[block.kind] == Family.EXEC)
        texts = block.text[events]
        names = [self._program_name(text) for text in texts.tolist()]
        told = np.full((len(events), N_TOLD_COLUMNS), -1)
        told[:, TOLD_EVENT], told[:, TOLD_WHAT] = events, Family.EXEC
        told[:, TOLD_VALUE], told[:, TOLD_NAME] = texts >= 0, names
        return told

    def _program_name(self, text: int) -> int:
        """Return the number of the name that who executes the path of number `text` has; -1 is an empty path."""
        name = self._program_names.get(text)
        if name is None:
            path = self._texts.values[text] if text >= 0 else ""
            name = self._program_names[text] = self._texts.number(comm_of_file(path))
        return name

    def _marks(self, block: NativeBlock, shown: list[Snapshot]) -> np.ndarray:
        """Tell what markers say; snapshots that they name are added to `shown`."""
        events = np.flatnonzero(_FAMILY[block.kind] == Family.MARK)
        texts, text_of = np.unique(block.text[events], return_inverse=True)
        found = [self._marker(text, shown) for text in texts.tolist()]
        markers = np.array(found, dtype=np.int64).reshape(-1, 6)[text_of]
        is_marker, misses_snapshot = markers[:, 4] > 0, markers[:, 5] > 0
        self._notes.count("marker-without-snapshot", block.line[events[misses_snapshot]])
        told = np.column_stack([events, np.full(len(events), Family.MARK), markers[:, :4]])
        return told[is_marker]

    def _marker(self, text: int, shown: list[Snapshot]) -> tuple[int, int, int, int, bool, bool]:
        """Return what a text says: as in `_Told`, then whether it is a marker, and one whose snapshot is not there."""
        found = _MARKER.match(self._texts.values[text])
        if found is None:
            return 0, 0, -1, -1, False, False
        n, why, pid = int(found[1]), found[2], int(found[3])
        snapshot = self._snapshots.named(n, why, pid)
        if snapshot is None:
            return n, pid, -1, -1, True, why in ("start", "exec") and bool(self._snapshots)
        shown.append(snapshot)
        return n, pid, self._name_in(snapshot) if why == "start" else -1, len(shown) - 1, True, False

    def _name_in(self, snapshot: Snapshot) -> int:
        """Return the number of the command name that a snapshot tells, -1 for none."""
        return self._texts.number(snapshot.comm) if snapshot.comm else -1

    def _images_of_starts(self, block: NativeBlock, shown: list[Snapshot]) -> list[_Told]:
        """Tell of processes that ran when recording began; one whose image ``--maps`` gave has pages too there."""
        told = []
        events = np.flatnonzero(_FAMILY[block.kind] == Family.IMAGE)
        for event, number in zip(events.tolist(), block.args[events, 0].tolist(), strict=True):
            image = self._images[number]
            if not self._snapshots.has_start(image.pid) and self.usable_image(image) is not None:
                told.append(_Told(event, Family.IMAGE, 0, image.pid, self._name_in(image), len(shown)))
                shown.append(image)
        return told

    def _starts_by_time(self, block: NativeBlock, shown: list[Snapshot]) -> list[_Told]:
        """Place start snapshots before the first event that is not earlier, in formats without markers."""
        starts = self._snapshots.starts_between(int(block.ts[0]), int(block.ts[-1]))
        told = []
        for snapshot in starts:
            event = int(np.searchsorted(block.ts, snapshot.t_mono_ns))
            of_pid = ACTS[block.kind] & (block.tid == snapshot.pid)
            if of_pid[:event].any() or not self.tasks.is_unknown(snapshot.pid):
                continue  # it ran before: the clocks differ
            told.append(_Told(event, START, 0, snapshot.pid, self._name_in(snapshot), len(shown)))
            shown.append(snapshot)
        return told

    def _exec(
        self, walk: TaskWalk, event: int, pid: int, old_pid: int, faults_from: int, renamed: bool, comm: int
    ) -> None:
        """Take in that `pid` executes a program."""
        ts = int(walk.block.ts[event])
        image = self._snapshots.take_exec_at(pid, ts)
        if image is None and walk.block.found[event] & 4 and walk.block.args[event, 2]:
            image = self._images[walk.block.args[event, 2] - 1]  # the event itself names it, counting from 1
        new = Exec(
            seq=int(walk.seq[event]),
            ts=ts,
            line=int(walk.block.line[event]),
            cpu=int(walk.block.cpu[event]),
            comm=comm,
            pid=pid,
            old_pid=old_pid,
            faults_from=faults_from,
            renamed=renamed,
            snapshot=image,
        )
        self.execs.exec(new)

    def _show_exec(self, walk: TaskWalk, event: int, snapshot: Snapshot) -> None:
        """Let the latest exec of a process have the image that a marker names."""
        if self.execs.show_image(snapshot.pid, snapshot):
            self._snapshots.use(snapshot)
            frame = argument_frame(snapshot)
            if frame >= 0:
                walk.shown_pages.append((event, frame))
