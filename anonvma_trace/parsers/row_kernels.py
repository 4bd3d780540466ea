"""Compiled: rows of the event table made, merged and turned into the columns of a batch.

`row_table` and `row_batches` say what the numbers mean.
"""

from __future__ import annotations

from ..compiling import entry_point
from .native_events import Family

# Columns of rows; `row_table` says what they hold.
KEY, TS, CPU, PID, TID, COMM, OP, ADDR, LEN, PROT, FLAGS, PGOFF, FILE = range(13)
NEW_ADDR, NEW_LEN, CHILD, LINE, KERNEL, FRAME = range(13, 19)
N_ROW_COLUMNS = 19
SUB_BITS = 24

USER_END = 1 << 47
_FAULT_USER, _FAULT_KERNEL = int(Family.FAULT_USER), int(Family.FAULT_KERNEL)
_WRITE_BIT = 2  # of error_code: X86_PF_WRITE


@entry_point
def fill_event_rows(rows, at, seq, ts, line, cpu, tid, pids, names):
    """Fill `rows`, shape (n_columns, len(at)), with when, where and by whom of the events `at`."""
    n_rows = len(at)
    for column in range(len(rows)):
        absent = column in (PGOFF, FILE, FRAME)
        rows[column, :] = -1 if absent else 0
    for row in range(n_rows):
        rows[KEY, row] = seq[at[row]] << SUB_BITS
    for row in range(n_rows):
        rows[TS, row], rows[LINE, row] = ts[at[row]], line[at[row]]
    for row in range(n_rows):
        rows[CPU, row], rows[TID, row] = cpu[at[row]], tid[at[row]]
    for row in range(n_rows):
        rows[PID, row], rows[COMM, row] = pids[at[row]], names[at[row]]


@entry_point
def add_places(keys, others, equal_first, places):
    """Add to `places` how many of `others` come before each of `keys`, both ascending.

    With `equal_first` (1 or 0), others of equal key do.
    """
    n_before = 0
    for row in range(len(keys)):
        limit = keys[row] + equal_first
        while n_before < len(others) and others[n_before] < limit:
            n_before += 1
        places[row] += n_before


@entry_point
def put(rows, places, merged):
    """Copy each of `rows` to its place in `merged`."""
    for column in range(len(rows)):
        for row in range(len(places)):
            merged[column, places[row]] = rows[column, row]


@entry_point
def number_anew(numbers, places, batch, in_use, out):
    """Give the names of a batch numbers from 0 on, in order of appearance; -1 stays.

    Parameters
    ----------
    numbers : ndarray of int64
        Of names; -1 for none.
    places : ndarray of int64, shape (n_names, 2)
        Scratch, kept from batch to batch: in which batch a name was last met, and its number there.
    batch : int64
        Number of this batch.
    in_use, out : ndarray
        Filled: the names by new number, and the new number of each row.

    Returns
    -------
    int
        How many names are in use.
    """
    n_used = 0
    for row in range(len(numbers)):
        number = numbers[row]
        if number < 0:
            out[row] = -1
            continue
        if places[number, 0] != batch:
            places[number, 0], places[number, 1] = batch, n_used
            in_use[n_used] = number
            n_used += 1
        out[row] = places[number, 1]
    return n_used


@entry_point
def find_faults(family, args, found, pids, at, left_out, unknown):
    """Find the faults that become rows.

    Parameters
    ----------
    family, args, found, pids : ndarray of int64
        As in `NativeBlock`, and the events' families and processes.
    at : ndarray of int64
        Filled: faults at addresses of users, of processes that live.
    left_out : ndarray of int64, shape (2, n_events)
        Filled: those at kernel addresses, and those of processes that are gone.
    unknown : ndarray of int64
        Filled: those of `at` that do not tell reads from writes.

    Returns
    -------
    n_at, n_kernel_addresses, n_gone, n_unknown
    """
    n_at = n_kernel = n_gone = n_unknown = 0
    for event in range(len(family)):
        if family[event] != _FAULT_USER and family[event] != _FAULT_KERNEL:
            continue
        if not 0 <= args[event, 0] < USER_END:
            left_out[0, n_kernel] = event
            n_kernel += 1
        elif pids[event] <= 0:
            left_out[1, n_gone] = event
            n_gone += 1
        else:
            at[n_at] = event
            n_at += 1
            if found[event] & 2 == 0:
                unknown[n_unknown] = event
                n_unknown += 1
    return n_at, n_kernel, n_gone, n_unknown


@entry_point
def fill_faults(rows, at, family, args, op_of_read, op_of_write):
    """Fill operation, address and mode of the faults `at`."""
    for row in range(len(at)):
        writes = args[at[row], 1] & _WRITE_BIT != 0
        rows[OP, row] = op_of_write if writes else op_of_read
        rows[ADDR, row] = args[at[row], 0]
        rows[KERNEL, row] = family[at[row]] == _FAULT_KERNEL
