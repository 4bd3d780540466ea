"""From native events to rows of the event table, for every format that prints the kernel's tracepoints.

The bulk (faults, system calls) is done in columns; Python looks one by one only at the events that change
which task is which. Rows leave in order; those that an exec in flight may still change wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from ..trace import Diagnostic
from .call_rows import CallRows
from .execs import Exec
from .images import exec_rows, shared_memory_sizes, start_rows
from .kernel_faults import KernelFaults
from .native_block import Names, NativeBlock
from .native_events import PAGE_FAMILIES, Family, native_tables
from .notes import Notes
from .page_join import JoinedPages, PageJoin
from .proc_maps import Snapshot
from .reclaim_rows import SCAN_HOLD_LIMIT, ReclaimRows
from .row_batches import BatchMaker
from .row_kernels import fill_faults, find_faults
from .row_table import (
    COMM,
    CPU,
    FILE,
    FRAME,
    KEY,
    LINE,
    OP_CODE,
    PID,
    TID,
    TS,
    event_rows,
    key,
    merge_rows,
    new_rows,
)
from .shared_mappings import SharedMappings
from .snapshots_given import NumberedSnapshots
from .task_events import Change, TaskEvents

HOLD_LIMIT = 1 << 20
"""Rows held back at most while an exec is in flight."""

FILE_NAMES_KEPT = 1 << 16
"""Names of files kept: each mapping may have a new one (``fd:3#4711``), and batches carry the names they use."""

_FAMILY = native_tables().family
_IS_OF_PAGES = np.isin(_FAMILY, PAGE_FAMILIES)
_IN_USER_MODE = np.isin(_FAMILY, (Family.FAULT_USER, Family.ENTER, Family.EXIT))


class NativeRows:
    """Turns a stream of native events into batches of the event table.

    Parameters
    ----------
    texts : Names
        What the numbers in a block's `text` and `comm` stand for.
    snapshots : list of Snapshot
        What ``--maps`` gave; start and exec snapshots become images.
    images : list of Snapshot, optional
        Images that the recording itself holds. The list may still grow: events name its elements.
    snapshots_by_time : bool, optional
        The snapshots have their place where their times are; else where marker lines name them.

    Attributes
    ----------
    diagnostics : list of Diagnostic
        Empty until `finish`.
    """

    def __init__(
        self,
        texts: Names,
        snapshots: list[Snapshot],
        images: list[Snapshot] | None = None,
        snapshots_by_time: bool = False,
    ) -> None:
        given = [snapshot for snapshot in snapshots if snapshot.why in ("start", "exec")]
        numbered = NumberedSnapshots([snapshot for snapshot in given if snapshot.n], snapshots_by_time)
        self.diagnostics: list[Diagnostic] = []
        self._has_images = bool(given)
        self._first_images = [snapshot for snapshot in given if not snapshot.n]
        self._files = Names()
        self._notes = Notes()
        self._texts = texts
        self._task_events = TaskEvents(texts, numbered, self._notes, [] if images is None else images)
        self._call_rows = CallRows(texts, self._files, shared_memory_sizes(given), self._notes)
        self._pages = PageJoin()
        self._reclaim = ReclaimRows()
        self._shared = SharedMappings(self._notes)
        self._maker = BatchMaker(texts, self._files)
        self._held = new_rows(0)
        self._next_seq = 1
        self._latest_ts = 0
        self._used_lines = 0

    @property
    def lost_events(self) -> int:
        """Events that the loss marks so far speak of."""
        return self._task_events.lost_events

    @property
    def used_lines(self) -> int:
        """Lines that a row came from so far; enter and exit of a system call are two, a fault and its page too."""
        of_reclaim = self._reclaim.n_swap_outs + self._reclaim.n_scans
        of_others = self._call_rows.used_lines + self._shared.used_lines + self._task_events.image_lines
        return self._used_lines + of_others + of_reclaim

    @property
    def known_pids(self) -> tuple[int, ...]:
        """Processes whose image at the start is known."""
        return tuple(sorted(self._task_events.started | {image.pid for image in self._first_images}))

    def feed(self, block: NativeBlock) -> Iterator[pa.RecordBatch]:
        """Take the next events and yield the rows that are certain now."""
        if not len(block):
            return
        seq = np.arange(self._next_seq, self._next_seq + len(block), dtype=np.int64)
        family = _FAMILY[block.kind]
        parts = [self._held]
        changes: list[Change] = []
        if self._next_seq == 1:
            parts += self._images_at_start(int(block.ts[0]))
            changes = [Change(0, "image", image.pid, snapshot=image) for image in self._first_images]
        self._next_seq += len(block)
        self._note_late(block)
        walk = self._task_events.walk(block, seq)
        pids, names = walk.pids, walk.names
        parts += walk.rows(self._texts, self._files)
        parts.append(self._fault_rows(block, seq, family, pids, names))
        parts.append(self._call_rows.rows(block, seq, pids, names, changes + walk.changes))
        shown = np.array(sorted(walk.shown_pages), dtype=np.int64).reshape(-1, 2)
        pages = self._pages.follow(block, seq, shown)
        parts += self._reclaim.rows(block, seq, family, pids, names, pages.leaving)
        self._used_lines += walk.used_lines
        self._end_execs(block, seq)
        self._used_lines += sum(_name_frames(part, pages) for part in parts)
        yield from self._release(parts)

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Yield the rest, and complete `diagnostics`."""
        self._task_events.execs.give_up_all()
        self._used_lines += _name_frames(self._held, self._pages.finish())
        yield from self._release([self._held, self._reclaim.settle()])
        self._call_rows.finish()
        self._notes.add("assumed-process", self._task_events.tasks.assumed)
        self._notes.add("snapshot-without-marker", self._task_events.unused_snapshots)
        if not self._has_images and not self._task_events.image_lines:
            self._notes.drop("exec-without-image")
            self._notes.add("no-images")
        self.diagnostics = self._notes.diagnostics() + self._reclaim.diagnostics(self._pages.counts)

    def _end_execs(self, block: NativeBlock, seq: np.ndarray) -> None:
        """Let no exec wait for what the events of a block contradict."""
        execs = self._task_events.execs
        if execs.horizon() is not None:
            acts = ~_IS_OF_PAGES[block.kind]
            execs.end_block(block.tid[acts], seq[acts], _IN_USER_MODE[block.kind[acts]])

    def _images_at_start(self, ts: int) -> list[np.ndarray]:
        """Return the rows of the plain maps files, before the first event."""
        images = []
        for snapshot in self._first_images:
            rows = start_rows(snapshot, self._files)
            rows[PID], rows[TS] = snapshot.pid, ts
            rows[KEY] = key(0, np.arange(rows.shape[1]))
            images.append(rows)
        return images

    def _note_late(self, block: NativeBlock) -> None:
        self._notes.count("out-of-order", block.line[block.ts < self._latest_ts])
        self._latest_ts = max(self._latest_ts, int(block.ts[-1]))

    def _fault_rows(
        self, block: NativeBlock, seq: np.ndarray, family: np.ndarray, pids: np.ndarray, names: np.ndarray
    ) -> np.ndarray:
        at, unknown = np.empty((2, len(block)), dtype=np.int64)
        left_out = np.empty((2, len(block)), dtype=np.int64)
        n_at, n_kernel, n_gone, n_unknown = find_faults(
            family, block.args, block.found, pids, at, left_out, unknown
        )
        self._notes.count("kernel-address", block.line[left_out[0, :n_kernel]])
        self._notes.count("event-after-exit", block.line[left_out[1, :n_gone]])
        self._notes.count("fault-kind-unknown", block.line[unknown[:n_unknown]])
        at = at[:n_at]
        rows = event_rows(block, seq, pids, names, at)
        fill_faults(rows, at, family, block.args, OP_CODE["read_fault"], OP_CODE["write_fault"])
        self._used_lines += n_at
        return rows

    def _release(self, parts: list[np.ndarray]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that nothing to come can change, and hold back the others."""
        execs = self._task_events.execs
        rows = merge_rows(self._place_execs(parts))
        while True:
            horizons = (execs.horizon(), self._pages.horizon, self._reclaim.horizon)
            horizon = min((seq for seq in horizons if seq is not None), default=None)
            certain = rows.shape[1] if horizon is None else int(np.searchsorted(rows[KEY], key(horizon)))
            n_held = rows.shape[1] - certain
            parts = [rows]
            if n_held > SCAN_HOLD_LIMIT and self._reclaim.horizon is not None:
                parts.append(self._reclaim.settle())
            elif n_held > HOLD_LIMIT and execs.horizon() is not None:
                self._notes.add("exec-given-up")
                execs.give_up_oldest()
            else:
                break
            rows = merge_rows(self._place_execs(parts))
        self._held = rows[:, certain:].copy()
        yield from self._maker.batches(self._shared.complete(rows, certain))
        if len(self._files.values) > FILE_NAMES_KEPT:
            in_use = self._files.keep_only(np.concatenate([self._held[FILE], self._shared.files]))
            self._held[FILE], self._shared.files[:] = np.split(in_use, [self._held.shape[1]])

    def _place_execs(self, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Add the image of each finished exec, to be behind its row, and move the loader's faults behind that.

        A moved fault takes the time of the exec, so that times never fall; `line` still tells where it was.
        """
        finished = self._task_events.execs.take_finished()
        if not finished:
            return parts
        faults = KernelFaults(parts)
        images, without_image = [], []
        for new in finished:
            snapshot = self._task_events.usable_image(new.snapshot)
            n_rows = 0
            if snapshot is None:
                without_image.append(new.line)
            else:
                image = self._image_rows(new, snapshot)
                images.append(image)
                n_rows = image.shape[1]
            faults.move(faults.of_loader(new), new, 1 + n_rows)
        faults.apply()
        self._notes.count("exec-without-image", np.array(without_image))
        return parts + images

    def _image_rows(self, new: Exec, snapshot: Snapshot) -> np.ndarray:
        """Return the rows of the image of an exec, which stand behind its own."""
        image = exec_rows(snapshot, self._files)
        image[KEY] = key(new.seq, 1 + np.arange(image.shape[1]))
        image[TS], image[LINE], image[CPU] = new.ts, new.line, new.cpu
        image[PID], image[TID], image[COMM] = new.pid, new.pid, new.comm
        return image


def _name_frames(rows: np.ndarray, pages: JoinedPages) -> int:
    """Enter the page of each fault that is certain now in its row; return how many rows have got one."""
    if not len(pages.faults):
        return 0
    keys = np.asarray(key(pages.faults))
    at = np.minimum(np.searchsorted(keys, rows[KEY]), len(keys) - 1)
    named = np.flatnonzero(keys[at] == rows[KEY])
    rows[FRAME, named] = pages.frames[at[named]]
    return len(named)
