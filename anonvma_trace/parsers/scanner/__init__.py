"""Scanner of the formats that print tracepoints: blocks of text to columns of numbers.

ftrace, trace-cmd and perf print the same events behind different task columns: the columns are read by
`task_columns` or `perf_columns`, the event behind them by `events`; `lines` goes through the lines of a block. All of
it is compiled. What an event looks like comes from `native_events.native_tables`. Numbers are int64 throughout;
64-bit values keep their bits (an error is printed as 0xfffffffffffffff4 and reads -12).
"""

from __future__ import annotations

import numpy as np

from .byte_words import find_line_ends
from .columns import (
    BAD_RECORD,
    BAD_TID,
    COMM_BEGIN,
    COMM_END,
    COMM_MEMORY,
    CPU,
    FAULT,
    FAULT_AT,
    FAULTS,
    FTRACE,
    KIND,
    N_COLUMNS,
    PERF_SCRIPT,
    STYLE_0X,
    STYLE_UNKNOWN,
    TEXT_BEGIN,
    TEXT_END,
    TGID,
    TID,
    TRACE_CMD,
    TS,
)
from .lines import read_events, read_perf_columns, read_task_columns

__all__ = [
    "BAD_RECORD",
    "BAD_TID",
    "COMM_BEGIN",
    "COMM_END",
    "COMM_MEMORY",
    "CPU",
    "FAULT",
    "FAULTS",
    "FAULT_AT",
    "FTRACE",
    "KIND",
    "N_COLUMNS",
    "PERF_SCRIPT",
    "STYLE_0X",
    "STYLE_UNKNOWN",
    "TEXT_BEGIN",
    "TEXT_END",
    "TGID",
    "TID",
    "TRACE_CMD",
    "TS",
    "empty_memory",
    "find_line_ends",
    "scan_lines",
]


def scan_lines(
    data: np.ndarray,
    line_ends: np.ndarray,
    tool: int,
    style: int,
    remembered: np.ndarray,
    rows: np.ndarray,
    args: np.ndarray,
) -> None:
    """Read every line of a block of text.

    Parameters
    ----------
    data : ndarray of uint8
        Whole lines.
    line_ends : ndarray of int64, shape (n_lines,)
        Where each line ends (its newline, or the end of `data`).
    tool : int
        `FTRACE`, `TRACE_CMD` or `PERF_SCRIPT`.
    style : int
        One of the ``STYLE_`` constants.
    remembered : ndarray of int64, shape (COMM_MEMORY, 2)
        Tid and hash of the task name last seen at that place; kept from block to block.
    rows : ndarray of int64, shape (n_lines, N_COLUMNS)
        Filled: the columns named by `TID` … `FAULT_AT`. COMM_BEGIN is -1 where the task's name is the one
        last seen for its tid. FAULT_AT counts bytes from the line's beginning.
    args : ndarray of int64, shape (n_lines, MAX_ARGS + 1)
        Filled: numbers of the event by slot; the last column is the bit mask of the slots found. Of an event
        that the tables do not name, the hash of its name.
    """
    if tool == PERF_SCRIPT:
        read_perf_columns(data, line_ends, rows, args)
    else:
        read_task_columns(data, line_ends, tool, rows, args)
    read_events(data, line_ends, style, remembered, rows, args)


def empty_memory() -> np.ndarray:
    """Return the `remembered` array for the first block."""
    return np.full((COMM_MEMORY, 2), -1, dtype=np.int64)
