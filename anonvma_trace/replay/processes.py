"""Processes by pid, and what fork, exec and exit do to them."""

from __future__ import annotations

from .compiled import kernel
from .fork import dup_mmap, mmput
from .layout import DIAG_CHILD_ALIVE, DIAG_EXIT_UNKNOWN, NULL
from .log import log_diagnostic
from .pools import alloc_mm
from .schemes.interface import exec_rmap

CLONE_VM = 0x100


@kernel
def pid_place(s, pid):
    """Return where in `ints` the entry of a pid is, or would be."""
    glob = s.glob[0]
    at = ((pid * 0x9E3779B1) >> 5) & glob.pid_mask
    while True:
        key = s.ints[glob.pid_base + 3 * at]
        if key == 0 or key == pid + 1:
            return glob.pid_base + 3 * at
        at = (at + 1) & glob.pid_mask


def mark_known(s, pid):
    """Let a process begin with a known image; called from outside the core."""
    at = getattr(pid_place, "py_func", pid_place)(s, pid)
    glob = s.glob[0]
    if s.ints[at] == 0:
        glob.pid_used += 1
    s.ints[at] = pid + 1
    s.ints[at + 2] = 1


@kernel
def find_process(s, pid):
    """Return the row of the live process with this pid, or NULL."""
    proc = s.ints[pid_place(s, pid) + 1]
    return proc if proc != NULL and s.proc[proc].mm != NULL else NULL


@kernel
def new_process(s, pid, parent, mm):
    """Begin the life of a process; with `mm` NULL it gets a fresh empty one."""
    glob = s.glob[0]
    proc = glob.proc_top
    glob.proc_top += 1
    glob.n_processes += 1
    p = s.proc[proc]
    p.pid = pid
    p.comm = -1
    p.parent = parent
    p.first_event = glob.event
    p.last_event = glob.event
    at = pid_place(s, pid)
    if s.ints[at] == 0:
        glob.pid_used += 1
    s.ints[at] = pid + 1
    s.ints[at + 1] = proc
    if mm == NULL:
        mm = alloc_mm(s, proc)
        exec_rmap(s, mm)
        s.mm[mm].known = glob.complete or s.ints[at + 2]
    p.mm = mm
    return proc


@kernel
def process_of(s, pid):
    """Return the live process with this pid; an unknown one begins here, with a fresh empty mm."""
    proc = find_process(s, pid)
    return new_process(s, pid, -1, NULL) if proc == NULL else proc


@kernel
def end_process(s, proc):
    """End the life of a process: it drops its mm."""
    mm = s.proc[proc].mm
    s.proc[proc].mm = NULL
    mmput(s, mm)


@kernel
def do_fork(s, proc, child_pid, flags):
    """Fork: copy the mm, or share it with CLONE_VM. A live process with the child's pid ends first.

    Source: kernel/fork.c, ``copy_mm``.
    """
    parent_pid = s.proc[proc].pid
    old = find_process(s, child_pid)
    if old != NULL:
        log_diagnostic(s, DIAG_CHILD_ALIVE, proc, 0, child_pid, 0)
        end_process(s, old)
    parent_mm = s.proc[proc].mm
    if flags & CLONE_VM:
        child = new_process(s, child_pid, parent_pid, parent_mm)
        s.mm[parent_mm].users += 1
    else:
        # The row comes first, since the copy's vmas are booked on it.
        child = new_process(s, child_pid, parent_pid, parent_mm)
        s.proc[child].mm = dup_mmap(s, parent_mm, child)
    s.proc[child].comm = s.proc[proc].comm
    if flags & CLONE_VM == 0:
        s.proc[child].vmas_peak = s.mm[s.proc[child].mm].n_vmas


@kernel
def do_exec(s, proc):
    """Exec: a new empty mm, then the old one is dropped. Source: fs/exec.c, ``exec_mmap``, ``flush_old_exec``."""
    old = s.proc[proc].mm
    mm = alloc_mm(s, proc)
    exec_rmap(s, mm)
    s.mm[mm].known = s.glob[0].event if s.glob[0].complete else 0
    s.proc[proc].mm = mm
    mmput(s, old)


@kernel
def do_exit(s, pid):
    """Exit of a whole process."""
    proc = find_process(s, pid)
    if proc == NULL:
        log_diagnostic(s, DIAG_EXIT_UNKNOWN, NULL, 0, pid, 0)
    else:
        end_process(s, proc)
