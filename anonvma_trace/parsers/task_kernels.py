"""Compiled: which process and name each event has, and the rows and changes that the events about tasks make.

State is two tables with a row for each tid, zero where nothing is known. Threads are not listed: each keeps the
generation of its process at its start, and a process that ends, or whose threads an exec ends, gets the next one.
"""

from __future__ import annotations

from ..compiling import entry_point, inlined_kernel, kernel
from ..events import CLONE_THREAD, CLONE_VM
from .native_events import LEADER_LAST, Family
from .row_table import OP_CODE

UNKNOWN, DEAD = 0, -1
"""Values in place of a pid: nothing is known of the tid yet; its thread or process is gone."""

# Columns of the table of tids, of int32. Names are numbers of `Names` plus one, 0 for none.
PROCESS, BIRTH, COUNTED_IN = 0, 1, 2  # of a thread: its process, the generation of that, where it is counted
GENERATION, THREADS = 3, 4  # of a process; its live threads, as far as known, plus one, 0 for none told of
NAME, COLUMN_NAME = 5, 6  # as events tell it; as the task column does
NEW_NAME, AWAITS = 7, 8  # of the task_rename in EXEC_CALLS; whether an exec may still get its image
N_TID_COLUMNS = 9

# Columns of the table of calls of execve, of int64: numbers of events, 0 for none.
ENTERED, RENAMED = 0, 1
N_CALL_COLUMNS = 2

# What an event is to the walk: its family where that matters, of a system call if it is an exec.
_ENTER, _EXIT, _NEWTASK, _FORK = int(Family.ENTER), int(Family.EXIT), int(Family.NEWTASK), int(Family.FORK)
_EXEC, _TASK_EXIT, _RENAME = int(Family.EXEC), int(Family.TASK_EXIT), int(Family.RENAME)
_MARK, _LOST, _IMAGE = int(Family.MARK), int(Family.LOST), int(Family.IMAGE)
START = 100
"""In `told`, beside families: a process has a name from before an event on."""

# Columns of what Python tells of events: the event, what it is; then
#   FORK: flags and -1, or nothing and the tgid that the child shows (0 for none)
#   EXEC: whether the event tells the program, nothing, name of the program
#   MARK: length of the row, pid, name of the process or -1, snapshot or -1
#   START, IMAGE: nothing, pid, name of the process or -1, snapshot
TOLD_EVENT, TOLD_WHAT, TOLD_VALUE, TOLD_PID, TOLD_NAME, TOLD_SNAPSHOT = range(6)
N_TOLD_COLUMNS = 6

# Columns of rows made: the event; then as in `row_table`. COMM is OF_ITSELF for an act of the event's own thread.
MADE_EVENT, MADE_OP, MADE_PID, MADE_LEN, MADE_FLAGS, MADE_CHILD, MADE_COMM = range(7)
N_MADE_COLUMNS = 7
OF_ITSELF = -2

# Columns of what is noted for Python, in order: what, the event; then
#   EXEC: pid, the calling tid, event before its faults (-1), whether that is a task_rename, number of the name
#   START, MARK, IMAGE: snapshot, and in the last column the number of the name of the process
#   GIVE_UP: tid whose exec gets no image any more
#   AFTER_EXIT: nothing
NOTED_WHAT, NOTED_EVENT, NOTED_PID, NOTED_OLD_PID, NOTED_FROM, NOTED_RENAMED, NOTED_COMM = range(7)
N_NOTED_COLUMNS = 7
GIVE_UP, AFTER_EXIT = 101, 102
MADE, NOTED, ASSUMED = range(3)
"""Places of counts: rows made, notes, threads taken for processes of their own."""

_OP_FORK, _OP_EXEC, _OP_EXIT = OP_CODE["fork"], OP_CODE["exec"], OP_CODE["exit"]
_OP_MARK, _OP_LOST = OP_CODE["mark"], OP_CODE["lost"]


@inlined_kernel
def _process_of(of_tid, tid):
    """Return the process of a thread, `UNKNOWN` or `DEAD`."""
    process = of_tid[tid, PROCESS]
    if process > 0 and of_tid[tid, BIRTH] != of_tid[process, GENERATION]:
        return DEAD
    return process


@inlined_kernel
def _process_or_told(of_tid, tid, tgid):
    """Return the process of a thread or `DEAD`; of an unknown one what its line says, or itself."""
    process = _process_of(of_tid, tid)
    if process == UNKNOWN:
        return tgid if tgid > 0 else tid
    return process


@inlined_kernel
def _name_of(of_tid, tid):
    """Return the number of the name that events told of a task, -1 for none."""
    return of_tid[tid, NAME] - 1 if tid < len(of_tid) else -1


@inlined_kernel
def _shown_name(of_tid, tid):
    """Return the number of the name of a thread: as events told it, else as the task column does; -1 for none."""
    return (of_tid[tid, NAME] if of_tid[tid, NAME] > 0 else of_tid[tid, COLUMN_NAME]) - 1


@kernel
def _uncount(of_tid, tid):
    """Take a thread out of the count of its process."""
    process = of_tid[tid, COUNTED_IN]
    if process > 0:
        if of_tid[tid, BIRTH] == of_tid[process, GENERATION]:
            of_tid[process, THREADS] -= 1
        of_tid[tid, COUNTED_IN] = 0


@kernel
def _count_leader(of_tid, pid):
    """Begin the count of threads of a process that is not counted yet: its leader is taken to live."""
    if of_tid[pid, THREADS] == 0:
        of_tid[pid, THREADS] = 1
        process = _process_of(of_tid, pid)
        if process <= 0 or process == pid:
            _uncount(of_tid, pid)
            of_tid[pid, BIRTH], of_tid[pid, COUNTED_IN] = of_tid[pid, GENERATION], pid
            of_tid[pid, THREADS] = 2


@kernel
def _join(of_tid, tid, pid):
    """Let `tid` be a thread of `pid`."""
    _count_leader(of_tid, pid)
    _uncount(of_tid, tid)
    of_tid[tid, PROCESS], of_tid[tid, BIRTH] = pid, of_tid[pid, GENERATION]
    of_tid[tid, COUNTED_IN] = pid
    of_tid[pid, THREADS] += 1


@kernel
def _begin_process(of_tid, pid):
    """Let `pid` be a process with one thread, itself; other threads that it had are gone."""
    _uncount(of_tid, pid)
    of_tid[pid, GENERATION] += 1
    of_tid[pid, THREADS] = 1
    _join(of_tid, pid, pid)


@kernel
def _end_thread(of_tid, tid, pid, group_dead):
    """Let `tid` of `pid` exit, and return whether the process does: `group_dead`, where -1 lets threads be counted."""
    _count_leader(of_tid, pid)
    _uncount(of_tid, tid)
    last = group_dead == 1 if group_dead >= 0 else of_tid[pid, THREADS] <= 1
    if last:
        _uncount(of_tid, pid)
        of_tid[pid, GENERATION] += 1
        of_tid[pid, THREADS] = 0
        of_tid[pid, PROCESS] = of_tid[tid, PROCESS] = DEAD
    elif tid != pid:
        # A leader that went first stays on record: a thread that calls execve will take its tid over.
        of_tid[tid, PROCESS] = DEAD
    return last


@kernel
def _make(log, event, op, pid, length, flags, child, comm):
    """Make a row."""
    made, _, n = log
    row = n[MADE]
    made[row, MADE_EVENT], made[row, MADE_OP], made[row, MADE_PID] = event, op, pid
    made[row, MADE_LEN], made[row, MADE_FLAGS] = length, flags
    made[row, MADE_CHILD], made[row, MADE_COMM] = child, comm
    n[MADE] += 1


@kernel
def _note(log, what, event, subject, comm):
    """Note something for Python."""
    _, noted, n = log
    row = n[NOTED]
    noted[row, NOTED_WHAT], noted[row, NOTED_EVENT] = what, event
    noted[row, NOTED_PID], noted[row, NOTED_COMM] = subject, comm
    n[NOTED] += 1


@kernel
def _give_up_image(of_tid, log, event, tid):
    """Note that an exec of `tid`, if there was one, gets no image any more."""
    if of_tid[tid, AWAITS]:
        of_tid[tid, AWAITS] = 0
        _note(log, GIVE_UP, event, tid, -1)


@kernel
def _forget_calls(of_tid, calls, log, event, tid):
    """Take in that a thread which may have called execve is gone."""
    calls[tid, ENTERED] = calls[tid, RENAMED] = 0
    _give_up_image(of_tid, log, event, tid)


@kernel
def _meet(of_tid, tid, tgid):
    """Take in a thread that nothing told of: one of `tgid`; if that is not told (True) a process of its own."""
    pid = tgid if tgid > 0 else tid
    if _process_of(of_tid, pid) == DEAD:
        of_tid[tid, PROCESS] = DEAD
        return False
    _join(of_tid, tid, pid)
    return tgid <= 0


@kernel
def _start_task(of_tid, calls, log, event, tid, tgid, child, flags, name):
    """Let a thread make a thread or a process; `name` is -1 where it is not told: that of its maker."""
    pid = _process_or_told(of_tid, tid, tgid)
    _forget_calls(of_tid, calls, log, event, child)
    of_tid[child, NAME] = name + 1 if name >= 0 else of_tid[tid, NAME]
    if flags & CLONE_THREAD and pid != DEAD:
        _join(of_tid, child, pid)
        return
    _begin_process(of_tid, child)
    if pid == DEAD:
        _note(log, AFTER_EXIT, event, 0, -1)
    else:
        _make(log, event, _OP_FORK, pid, 0, flags & 0xFFFFFFFF, child, OF_ITSELF)


@kernel
def _rename_before(of_tid, calls, pid, old_pid, program_name):
    """Return the number of the task_rename that belongs to the exec now being logged; 0 for none."""
    rename = calls[pid, RENAMED]
    enter = calls[old_pid, ENTERED]
    if enter == 0:  # execve itself was not recorded: another rename has another name
        return rename if of_tid[pid, NEW_NAME] == program_name + 1 else 0
    return rename if rename > enter else 0


@kernel
def _flags_of_fork(of_tid, told, row, tid, tgid):
    """Return the flags of a new task that sched_process_fork alone tells of."""
    if told[row, TOLD_PID] < 0:
        return told[row, TOLD_VALUE]
    return CLONE_VM | CLONE_THREAD if told[row, TOLD_PID] == _process_or_told(of_tid, tid, tgid) else 0


@kernel
def _exec(of_tid, calls, log, event, args, tgid, told, row, awaits_images):
    """Let a thread have executed a program: its process has that thread alone from here on."""
    pid, old_pid, program_name = args[event, 0], args[event, 1], told[row, TOLD_NAME]
    if _process_or_told(of_tid, old_pid, tgid) == DEAD:
        _note(log, AFTER_EXIT, event, 0, -1)
        return
    rename = _rename_before(of_tid, calls, pid, old_pid, program_name)
    if told[row, TOLD_VALUE] and rename == 0:
        of_tid[pid, NAME] = program_name + 1
    if old_pid != pid:
        _uncount(of_tid, old_pid)
        of_tid[old_pid, PROCESS] = DEAD
    _begin_process(of_tid, pid)
    _, noted, n = log
    note, before = n[NOTED], rename if rename > 0 else calls[old_pid, ENTERED]
    noted[note, NOTED_OLD_PID], noted[note, NOTED_RENAMED] = old_pid, rename > 0
    noted[note, NOTED_FROM] = before if before > 0 else -1
    _note(log, _EXEC, event, pid, _name_of(of_tid, pid))
    calls[old_pid, ENTERED] = calls[pid, RENAMED] = 0
    of_tid[pid, AWAITS] = awaits_images
    _make(log, event, _OP_EXEC, pid, 0, 0, 0, OF_ITSELF)


@kernel
def _task_exit(of_tid, calls, log, event, tid, tgid, group_dead):
    """Let a thread exit; `group_dead` is what the event tells of its process, -1 for nothing."""
    pid = _process_or_told(of_tid, tid, tgid)
    _forget_calls(of_tid, calls, log, event, tid)
    if pid == DEAD:
        _note(log, AFTER_EXIT, event, 0, -1)
        return
    if group_dead == LEADER_LAST:
        group_dead = 1 if tid == pid else -1
    elif group_dead > 0:
        group_dead = 1
    if _end_thread(of_tid, tid, pid, group_dead):
        _make(log, event, _OP_EXIT, pid, 0, 0, 0, OF_ITSELF)


@kernel
def _take_told(of_tid, told, row, log, event):
    """Give a process the name that a snapshot tells; a mark makes a row."""
    what, pid, name = told[row, TOLD_WHAT], told[row, TOLD_PID], told[row, TOLD_NAME]
    if name >= 0 and pid < len(of_tid):
        of_tid[pid, NAME] = name + 1
    comm = _name_of(of_tid, pid)
    if what == _MARK:
        _make(log, event, _OP_MARK, pid, told[row, TOLD_VALUE], 0, 0, comm)
    if told[row, TOLD_SNAPSHOT] >= 0:
        _note(log, what, event, told[row, TOLD_SNAPSHOT], comm)


@kernel
def _rename(of_tid, calls, tid, own_tid, name, seq):
    """Give a task its new name: by exec, by itself, or through another's /proc/PID/comm."""
    of_tid[tid, NAME] = name + 1
    if tid == own_tid:
        calls[tid, RENAMED] = seq
        of_tid[tid, NEW_NAME] = name + 1


@entry_point
def follow_tasks(
    kind, numbers, args, step_of_kind, told, of_tid, calls, awaits_images, pids, names, made, noted, n
):
    """Follow tasks through the events of a block.

    Parameters
    ----------
    kind : ndarray of int64
        Of each event.
    numbers : tuple of ndarray of int64
        Of each event: `tid`, `tgid`, `text`, `comm` and `found` as in `NativeBlock`, and its number in the stream.
    args : ndarray of int64, shape (n_events, MAX_ARGS)
    step_of_kind : ndarray of int64, shape (n_kinds, 2)
        What events of a kind are to the walk (a family; 0: nothing), and whether they are acts of their thread.
    told : ndarray of int64, shape (n, N_TOLD_COLUMNS)
        What only Python can tell, in order of events; forks, marks and images that it leaves out mean nothing.
    of_tid : ndarray of int32, shape (n_tids + 1, N_TID_COLUMNS)
    calls : ndarray of int64, shape (n_tids + 1, N_CALL_COLUMNS)
        State, changed. The last row stands for the tid -1.
    awaits_images : bool
        Execs wait for a mark that names their image.
    pids, names : ndarray of int64, shape (n_events,)
        Filled: process (`DEAD` if it is gone) and number of the name (-1 for none) of each event's thread.
    made, noted : ndarray of int64
        Filled, as said above.
    n : ndarray of int64
        How many rows of `made` and `noted` are filled, and how many threads were taken for processes.
    """
    tids, tgids, texts, comms, found, seq = numbers
    log = (made, noted, n)
    row = 0
    for event in range(len(kind)):
        tid, tgid, step = tids[event], tgids[event], step_of_kind[kind[event], 0]
        while row < len(told) and told[row, TOLD_EVENT] == event and told[row, TOLD_WHAT] == START:
            _take_told(of_tid, told, row, log, event)
            row += 1
        if step_of_kind[kind[event], 1] and tid > 0 and of_tid[tid, PROCESS] == UNKNOWN:
            n[ASSUMED] += _meet(of_tid, tid, tgid)
        if comms[event] >= 0:
            of_tid[tid, COLUMN_NAME] = comms[event] + 1
        pids[event] = _process_or_told(of_tid, tid, tgid)
        names[event] = _shown_name(of_tid, tid)
        if step == 0:
            continue
        is_told = row < len(told) and told[row, TOLD_EVENT] == event
        if step == _NEWTASK:
            child, flags = args[event, 0], args[event, 1]
            _start_task(of_tid, calls, log, event, tid, tgid, child, flags, texts[event])
        elif step == _TASK_EXIT:
            group_dead = args[event, 1] if found[event] & 2 else -1
            _task_exit(of_tid, calls, log, event, args[event, 0], tgid, group_dead)
        elif step == _RENAME:
            _rename(of_tid, calls, args[event, 0] if found[event] & 1 else tid, tid, texts[event], seq[event])
        elif step == _ENTER:
            calls[tid, ENTERED] = seq[event]
        elif step == _EXIT:
            calls[tid, ENTERED] = 0
            _give_up_image(of_tid, log, event, tid)
        elif step == _LOST:
            _make(log, event, _OP_LOST, 0, args[event, 0], 0, 0, -1)
        elif is_told and step == _EXEC:
            _exec(of_tid, calls, log, event, args, tgid, told, row, awaits_images)
            names[event] = _shown_name(of_tid, tid)  # its own row has the name of the new program
        elif is_told and step == _FORK:
            flags = _flags_of_fork(of_tid, told, row, tid, tgid)
            _start_task(of_tid, calls, log, event, tid, tgid, args[event, 1], flags, texts[event])
        elif is_told:
            _take_told(of_tid, told, row, log, event)
        row += is_told
