"""Execs in flight: which kernel-mode faults belong to the loader, and which snapshot shows the new image.

The kernel clears the bss tail of the new image, in the new mm already, before it logs sched_process_exec; and
a snapshot tool writes its marker after that. So rows are held back from the enter of an execve until its
image is known or is known not to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from .proc_maps import Snapshot

TASK_COMM_LEN = 16


@dataclass
class Exec:
    """One successful exec.

    Attributes
    ----------
    seq, ts, line, cpu, comm : int
        Of its sched_process_exec event.
    pid, old_pid : int
        The process, and the tid that called execve.
    faults_from : int
        Kernel-mode faults after this event may be the loader's; -1 for none.
    renamed : bool
        `faults_from` is the task_rename, which follows the change of mm: they all are. Otherwise it is the
        enter of the call, and those that the new image covers are.
    snapshot : Snapshot or None
        The new image.
    """

    seq: int
    ts: int
    line: int
    cpu: int
    comm: int
    pid: int
    old_pid: int
    faults_from: int = -1
    renamed: bool = False
    snapshot: Snapshot | None = None

    @property
    def first_event(self) -> int:
        """Number of the first event whose row may have to move behind this exec."""
        return self.faults_from if self.faults_from >= 0 else self.seq


def comm_of_file(filename: str) -> str:
    """Return the command name that a process has after executing `filename`."""
    name = PurePosixPath(filename).name.encode("utf-8", "surrogateescape")[: TASK_COMM_LEN - 1]
    return name.decode("utf-8", "replace")


class ExecsInFlight:
    """Follows each execve from its enter to its image.

    Parameters
    ----------
    awaits_markers : bool
        There are exec snapshots: wait for their marker lines.
    """

    def __init__(self, awaits_markers: bool) -> None:
        self._awaits_markers = awaits_markers
        self._entered: dict[int, int] = {}  # tid -> seq of the enter
        self._renamed: dict[int, tuple[int, str]] = {}  # tid -> seq and new name
        self._awaiting: dict[int, Exec] = {}  # pid -> exec whose marker may still come
        self._finished: list[Exec] = []

    def take_finished(self) -> list[Exec]:
        """Return the execs of which nothing more will be learnt, once."""
        finished, self._finished = self._finished, []
        return finished

    def enter(self, tid: int, seq: int) -> None:
        """Note that a thread calls execve."""
        self._entered[tid] = seq

    def leave(self, tid: int) -> None:
        """Note that the call returned, so that no marker will follow."""
        self._entered.pop(tid, None)
        if tid in self._awaiting:
            self._give_up_marker(tid)

    def forget(self, tid: int) -> None:
        """Note that the thread is gone."""
        self._entered.pop(tid, None)
        self._renamed.pop(tid, None)
        if tid in self._awaiting:
            self._give_up_marker(tid)

    def rename(self, tid: int, seq: int, name: str) -> None:
        """Note that a task got a new name: by exec, or by itself."""
        self._renamed[tid] = (seq, name)

    def rename_of(self, pid: int, old_pid: int, filename: str) -> int:
        """Return the number of the task_rename that belongs to the exec now being logged; -1 for none."""
        rename, name = self._renamed.get(pid, (-1, ""))
        enter = self._entered.get(old_pid)
        if enter is None:  # execve itself was not recorded: another rename has another name
            return rename if name == comm_of_file(filename) else -1
        return rename if rename > enter else -1

    def exec(self, new: Exec, filename: str) -> None:
        """Take in an exec that succeeded; fills in its `faults_from` and `renamed`."""
        rename = self.rename_of(new.pid, new.old_pid, filename)
        enter = self._entered.pop(new.old_pid, -1)
        self._renamed.pop(new.pid, None)
        new.renamed = rename >= 0
        new.faults_from = rename if new.renamed else enter
        self._give_up_marker(new.pid)
        if self._awaits_markers:
            self._awaiting[new.pid] = new
        else:
            self._finished.append(new)

    def show_image(self, pid: int, snapshot: Snapshot) -> bool:
        """Give the latest exec of `pid` its image; False if none waits for one."""
        new = self._awaiting.pop(pid, None)
        if new is None:
            return False
        new.snapshot = snapshot
        self._finished.append(new)
        return True

    def end_block(self, tids: np.ndarray, seqs: np.ndarray, in_user_mode: np.ndarray) -> None:
        """Drop what the events of a block contradict.

        Parameters
        ----------
        tids, seqs : ndarray of int64
            Of the events of the block.
        in_user_mode : ndarray of bool
            The event shows that its thread is in no system call, or enters or leaves one.
        """
        for tid, seq in list(self._entered.items()):
            if bool(((tids == tid) & (seqs > seq) & in_user_mode).any()):
                del self._entered[tid]
        for pid, new in list(self._awaiting.items()):
            if bool(((tids == pid) & (seqs > new.seq)).any()):
                self._give_up_marker(pid)

    def horizon(self) -> int | None:
        """Return the first event whose rows may still change, or None."""
        waiting = [*self._entered.values(), *(new.first_event for new in self._awaiting.values())]
        return min(waiting, default=None)

    def give_up_oldest(self) -> None:
        """Stop waiting for whatever holds the rows back."""
        horizon = self.horizon()
        for tid, seq in list(self._entered.items()):
            if seq == horizon:
                del self._entered[tid]
        for pid, new in list(self._awaiting.items()):
            if new.first_event == horizon:
                self._give_up_marker(pid)

    def give_up_all(self) -> None:
        """Stop waiting for anything: the trace ended."""
        self._entered.clear()
        for pid in list(self._awaiting):
            self._give_up_marker(pid)

    def _give_up_marker(self, pid: int) -> None:
        new = self._awaiting.pop(pid, None)
        if new is not None:
            self._finished.append(new)
