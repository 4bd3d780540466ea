"""The processes being recorded: started, followed from fork to exit, and ended if the recording is."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Protocol

from . import ptrace
from .held_signals import release_signals, wait_for_signal

_GROUP_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_GRACE_SECONDS = 2.0
_NOT_STARTED = 127


class Observer(Protocol):
    """Who wants to see a process at the moments when its address space changes as a whole."""

    def executed(self, pid: int) -> None:
        """Look at a process that became another program; it stands before its first instruction."""

    def exiting(self, pid: int, tid: int) -> None:
        """Look at a process whose last thread, `tid`, is about to leave it."""

    def left_behind(self, pids: list[int]) -> None:
        """Hear, once, of processes that live on after the command itself has ended."""


class CommandNotStarted(Exception):
    """The command could not be executed; its only argument is the OSError."""


class Tracees:
    """Processes that this thread traces.

    Parameters
    ----------
    observer : Observer
        Is shown each exec and each exit while the process stands still.

    Attributes
    ----------
    root : int
        The command's own process.
    root_status : int or None
        What waitpid said when that ended.
    n_processes : int
        Processes so far.
    """

    def __init__(self, observer: Observer) -> None:
        self.root = 0
        self.root_status: int | None = None
        self.n_processes = 0
        self._observer: Observer | None = observer
        self._process_of: dict[int, int] = {}  # tid -> pid
        self._exiting: set[int] = set()  # tids
        self._pipe_ends: list[int] = []

    def start(self, command: list[str]) -> None:
        """Fork a process that executes `command` once `release` lets it.

        Raises
        ------
        OSError
            The kernel lets no process be forked, or this one not be traced.
        """
        go_read, self._go = os.pipe()
        self._error, error_write = os.pipe()
        self._pipe_ends = [self._go, self._error]
        self.root = os.fork()
        if self.root == 0:
            _become(command, go_read, error_write, self._pipe_ends)
        os.close(go_read)
        os.close(error_write)
        self._meet(self.root, self.root)
        ptrace.seize(self.root)

    def release(self) -> None:
        """Let the forked process execute the command."""
        os.write(self._go, b"!")

    def follow(self) -> None:
        """Follow the processes until the last one is gone.

        Raises
        ------
        KeyboardInterrupt
            This process was asked to end; the others live on.
        CommandNotStarted
            There is no such program.
        """
        told = False
        while self._handle_all():
            something_happened = wait_for_signal(timeout=1.0)
            if self.root_status is not None and not something_happened and not told and self._observer:
                self._observer.left_behind(sorted(set(self._process_of.values())))
                told = True
        number = os.read(self._error, 16)
        if number:
            error = int(number)
            raise CommandNotStarted(OSError(error, os.strerror(error)))

    def end(self) -> None:
        """Ask the processes that are left to end, and kill those that do not."""
        self._observer = None
        while self._pipe_ends:  # a process that still waits for the word ends with its pipe
            os.close(self._pipe_ends.pop())
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._handle_all():
            try:
                wait_for_signal(timeout=0.1)
            except KeyboardInterrupt:
                deadline = 0.0
            if time.monotonic() >= deadline:
                self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        for pid in set(self._process_of.values()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _handle_all(self) -> bool:
        """Handle what happened; False once no process is left."""
        while self._process_of:
            try:
                tid, status = os.waitpid(-1, ptrace.WAIT_ALL | os.WNOHANG)
            except ChildProcessError:
                self._process_of.clear()
                break
            if tid == 0:
                return True
            if os.WIFSTOPPED(status):
                self._handle_stop(tid, os.WSTOPSIG(status), status >> 16)
            else:
                self._forget(tid, status)
        return False

    def _handle_stop(self, tid: int, stop_signal: int, event: int) -> None:
        if event == ptrace.EVENT_STOP and stop_signal in _GROUP_STOPS:
            self._meet(tid)
            ptrace.leave_stopped(tid)
        elif event == 0:
            ptrace.resume(tid, stop_signal)
        else:
            # Also if the observer fails: a process that exits cannot even be killed in this stop.
            try:
                self._handle_event(tid, event)
            finally:
                ptrace.resume(tid)

    def _handle_event(self, tid: int, event: int) -> None:
        if event == ptrace.EVENT_STOP:
            self._meet(tid)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._meet(ptrace.event_message(tid))
        elif event == ptrace.EVENT_EXEC:
            self._take_over(tid, former_tid=ptrace.event_message(tid))
        elif event == ptrace.EVENT_EXIT:
            self._leave(tid)

    def _meet(self, tid: int, pid: int | None = None) -> None:
        if tid in self._process_of:
            return
        pid = pid or _process_of_thread(tid)
        if pid is None:  # all its own stops were handled before its parent's
            return
        self.n_processes += tid == pid
        self._process_of[tid] = pid

    def _take_over(self, pid: int, former_tid: int) -> None:
        """Note that a thread executed a program: it has the tid of its process now, its siblings are gone."""
        if former_tid != pid:
            self._process_of.pop(former_tid, None)
        self._exiting.discard(pid)
        self._process_of[pid] = pid
        if self._observer:
            self._observer.executed(pid)

    def _leave(self, tid: int) -> None:
        self._exiting.add(tid)
        pid = self._process_of.get(tid, tid)
        siblings = {other for other, process in self._process_of.items() if process == pid}
        if self._observer and siblings <= self._exiting:
            self._observer.exiting(pid, tid)

    def _forget(self, tid: int, status: int) -> None:
        self._process_of.pop(tid, None)
        self._exiting.discard(tid)
        if tid == self.root:
            self.root_status = status


def _become(command: list[str], go: int, error: int, parents_ends: list[int]) -> None:
    """Wait until the parent lets this process go, then execute the command; never returns."""
    try:
        for end in parents_ends:  # so that a parent that dies leaves the pipe at its end
            os.close(end)
        if os.read(go, 1):
            release_signals()
            os.execvp(command[0], command)
    except OSError as failure:
        os.write(error, str(failure.errno).encode())
    finally:
        os._exit(_NOT_STARTED)


def _process_of_thread(tid: int) -> int | None:
    """Return the process that a traced thread belongs to; None if it is gone, or a zombie that was waited for."""
    try:
        status = Path(f"/proc/{tid}/status").read_bytes()
    except OSError:
        return None
    fields = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
    return int(fields[b"Tgid"]) if int(fields[b"TracerPid"]) else None
