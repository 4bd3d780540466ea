"""What the line scanner found, line by line, to the columns of a `NativeBlock`."""

from __future__ import annotations

import numpy as np

from ..compiling import entry_point
from . import scanner
from .native_events import MAX_ARGS

LOWEST_KIND = -4
"""The least value of the scanner's column `KIND`."""

# Columns of the result.
KIND, LINE, TID, TGID, CPU, TS, FOUND, TEXT, COMM = range(9)
N_COLUMNS = 9

# The scanner's columns: compiled code knows numbers, not modules.
_TID, _TGID, _CPU, _TS, _KIND = scanner.TID, scanner.TGID, scanner.CPU, scanner.TS, scanner.KIND
_TEXT_END, _COMM_BEGIN = scanner.TEXT_END, scanner.COMM_BEGIN
_HAS_TEXT, _HAS_COMM = 1, 2


@entry_point
def _take(rows, args, lines, first_line, columns, kept_args, texts):
    for event in range(len(lines)):
        line = lines[event]
        columns[KIND, event] = rows[line, _KIND]
        columns[LINE, event] = first_line + line
        columns[TID, event] = rows[line, _TID]
        columns[TGID, event] = rows[line, _TGID]
        columns[CPU, event] = rows[line, _CPU]
        columns[TS, event] = rows[line, _TS]
        columns[FOUND, event] = args[line, MAX_ARGS]
        columns[TEXT, event] = -1
        columns[COMM, event] = -1
        for slot in range(MAX_ARGS):
            kept_args[event, slot] = args[line, slot]
        texts[event] = (rows[line, _TEXT_END] > 0) * _HAS_TEXT + (rows[line, _COMM_BEGIN] >= 0) * _HAS_COMM


def kinds_of(rows: np.ndarray) -> np.ndarray:
    """Return the kind of each line, counted from `LOWEST_KIND`: in one piece, which is searched in no time.

    Parameters
    ----------
    rows : ndarray of int64, shape (n_lines, scanner.N_COLUMNS)
        As `scanner.scan_lines` fills it.
    """
    return (rows[:, _KIND] - LOWEST_KIND).astype(np.uint16)


def take_events(
    rows: np.ndarray, args: np.ndarray, lines: np.ndarray, first_line: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns of some lines.

    Parameters
    ----------
    rows, args : ndarray of int64
        As `scanner.scan_lines` fills them.
    lines : ndarray of int64
    first_line : int
        Number of the text's first line.

    Returns
    -------
    columns : ndarray of int64, shape (N_COLUMNS, n)
        `KIND` … `COMM`; the last two, which are numbers of names, are -1 everywhere.
    args : ndarray of int64, shape (n, MAX_ARGS)
    with_text, with_comm : ndarray of int64
        Which of `lines` (indices) have a text, and a new name in the task column.
    """
    columns = np.empty((N_COLUMNS, len(lines)), dtype=np.int64)
    kept_args = np.empty((len(lines), MAX_ARGS), dtype=np.int64)
    texts = np.empty(len(lines), dtype=np.uint8)
    _take(rows, args, lines, first_line, columns, kept_args, texts)
    return columns, kept_args, np.flatnonzero(texts & _HAS_TEXT), np.flatnonzero(texts & _HAS_COMM)
