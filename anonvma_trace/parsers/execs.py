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
from .tasks import Tasks

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
    tasks : Tasks
        Who is in execve.
    awaits_markers : bool
        There are exec snapshots: wait for their marker lines.
    """

    def __init__(self, tasks: Tasks, awaits_markers: bool) -> None:
        self._tasks = tasks
        self._awaits_markers = awaits_markers
        self._entered: dict[int, int] = {}  # tid -> seq of the enter, at the end of the latest block
        self._awaiting: dict[int, Exec] = {}  # pid -> exec whose marker may still come
        self._finished: list[Exec] = []

    def take_finished(self) -> list[Exec]:
        """Return the execs of which nothing more will be learnt, once."""
        finished, self._finished = self._finished, []
        return finished

    def take_calls(self, tids: list[int]) -> None:
        """Take in that these threads have called execve in a block, and others may have returned from it."""
        seqs = {tid: self._tasks.exec_entered(tid) for tid in (*self._entered, *tids)}
        self._entered = {tid: seq for tid, seq in seqs.items() if seq}

    def exec(self, new: Exec) -> None:
        """Take in an exec that succeeded."""
        self.give_up_image(new.pid)
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
                self._give_up_call(tid)
        for pid, new in list(self._awaiting.items()):
            if bool(((tids == pid) & (seqs > new.seq)).any()):
                self.give_up_image(pid)

    def horizon(self) -> int | None:
        """Return the first event whose rows may still change, or None."""
        waiting = [*self._entered.values(), *(new.first_event for new in self._awaiting.values())]
        return min(waiting, default=None)

    def give_up_oldest(self) -> None:
        """Stop waiting for whatever holds the rows back."""
        horizon = self.horizon()
        for tid, seq in list(self._entered.items()):
            if seq == horizon:
                self._give_up_call(tid)
        for pid, new in list(self._awaiting.items()):
            if new.first_event == horizon:
                self.give_up_image(pid)

    def give_up_all(self) -> None:
        """Stop waiting for anything: the trace ended."""
        for tid in list(self._entered):
            self._give_up_call(tid)
        for pid in list(self._awaiting):
            self.give_up_image(pid)

    def give_up_image(self, pid: int) -> None:
        """Stop waiting for the image of the latest exec of `pid`."""
        new = self._awaiting.pop(pid, None)
        if new is not None:
            self._finished.append(new)

    def _give_up_call(self, tid: int) -> None:
        """Take a thread not to be in execve."""
        del self._entered[tid]
        self._tasks.leave_exec(tid)
