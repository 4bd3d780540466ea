"""System calls that returned successfully, as rows."""

from __future__ import annotations

from operator import attrgetter

import numpy as np

from ..events import MAP_ANONYMOUS, MAP_SHARED, PAGE_SHIFT, PROT_EXEC, PROT_READ, PROT_WRITE
from .descriptors import Descriptors
from .native_block import Names, NativeBlock
from .native_events import RETURNED, SYSCALLS, native_tables
from .notes import REASONS_NOT_REPLAYED, Notes
from .pairing import Pairing
from .row_table import (
    ADDR,
    FILE,
    FLAGS,
    KEY,
    LEN,
    LINE,
    NEW_ADDR,
    NEW_LEN,
    OP,
    OP_CODE,
    PGOFF,
    PID,
    PROT,
    event_rows,
    seq_of,
)
from .shared_layouts import FILE_AT_ADDRESS
from .task_events import Change

CALL = {call.name: number for number, call in enumerate(SYSCALLS)}
"""Number of each system call in `SYSCALLS`."""

_HAS_ROW = np.array([call.row is not None for call in SYSCALLS])
_COLUMN = {"addr": ADDR, "len": LEN, "prot": PROT, "flags": FLAGS, "new_addr": NEW_ADDR, "new_len": NEW_LEN}
_MAX_ERRNO, _ENOMEM = 4095, 12
_SHM_RDONLY, _SHM_EXEC = 0o10000, 0o100000
_NEVER_RETURN = ("sys_enter_exit", "sys_enter_exit_group", "sys_enter_execve", "sys_enter_execveat")
_MMAP, _REMAP = CALL["mmap"], CALL["remap_file_pages"]
_FD, _OFF = SYSCALLS[_MMAP].arguments.index("fd"), SYSCALLS[_MMAP].arguments.index("off")
_NEW_PGOFF = SYSCALLS[_REMAP].arguments.index("pgoff")


class CallRows:
    """Pairs enters and exits, and makes the row at the exit, where the result is known.

    Parameters
    ----------
    texts : Names
        What the numbers in a block's `text` stand for: of an mmap's enter, the path behind the descriptor.
    files : Names
        Names of mapped objects.
    segment_sizes : dict of int to int
        Bytes of System V segments by shmid, as far as snapshots tell them.
    notes : Notes
        Where to count what is left out.

    Attributes
    ----------
    used_lines : int
        Lines of the calls that became a row: two for each, one in formats that print a call on one line.
    """

    def __init__(self, texts: Names, files: Names, segment_sizes: dict[int, int], notes: Notes) -> None:
        self.used_lines = 0
        self._texts = texts
        self._files = files
        self._notes = notes
        self._descriptors = Descriptors(segment_sizes)
        self._pairing = Pairing()
        self._syscall = native_tables().syscall

    def rows(
        self, block: NativeBlock, seq: np.ndarray, pids: np.ndarray, names: np.ndarray, changes: list[Change]
    ) -> np.ndarray:
        """Return the rows of the calls that return in `block`.

        Parameters
        ----------
        seq, pids, names : ndarray of int64
            Number, process and command name of each event.
        changes : list of Change
            Forks, execs, exits and start images of the block, in order.
        """
        events, at, enter_of = self._pairing.pair(block, seq)
        exits = np.flatnonzero(enter_of >= 0)
        at = at[exits]
        returned = events.args[exits, 0]
        enters = events.args[enter_of[exits]]
        call = self._syscall[events.kind[exits]]
        failed = (returned < 0) & (returned >= -_MAX_ERRNO)
        alive = pids[at] > 0
        changes = changes + self._segments_got(seq[at], call, enters, returned, ~failed & alive)
        self._note(block.line[at], call, returned, failed, alive)
        made = np.flatnonzero(~failed & alive & _HAS_ROW[call])
        call, enters, returned = call[made], enters[made], returned[made]
        rows = event_rows(block, seq, pids, names, at[made])
        for number in np.unique(call).tolist():
            _fill_call(rows, np.flatnonzero(call == number), number, enters, returned)
        on_two_lines = rows[LINE] != events.line[enter_of[exits[made]]]
        paths = events.text[enter_of[exits[made]]]
        left_out = self._name_objects(rows, call, enters, paths, changes)
        n_lines = 1 + on_two_lines
        remapped = np.flatnonzero(call == _REMAP)
        rows[PGOFF, remapped] = enters[remapped, _NEW_PGOFF]
        rows[FLAGS, remapped], rows[NEW_LEN, remapped] = FILE_AT_ADDRESS, n_lines[remapped]
        n_lines[remapped] = 0  # counted when their file is found
        self.used_lines += int(n_lines.sum()) - int(n_lines[left_out].sum())
        return np.delete(rows, left_out, axis=1) if left_out else rows

    def finish(self) -> None:
        """Note what never returned."""
        self._notes.add("call-across-loss", self._pairing.dropped)
        open_calls = [name for name in self._pairing.open_calls() if name not in _NEVER_RETURN]
        self._notes.add("call-without-exit", len(open_calls))

    @staticmethod
    def _segments_got(
        seq: np.ndarray, call: np.ndarray, enters: np.ndarray, returned: np.ndarray, usable: np.ndarray
    ) -> list[Change]:
        """Return what shmget told: size and id of segments."""
        at = np.flatnonzero(usable & (call == CALL["shmget"]))
        return [Change(int(seq[i]), "shmget", int(returned[i]), int(enters[i, 0])) for i in at.tolist()]

    def _note(
        self, lines: np.ndarray, call: np.ndarray, returned: np.ndarray, failed: np.ndarray, alive: np.ndarray
    ) -> None:
        changing = (call == CALL["munmap"]) | (call == CALL["mprotect"]) | (call == CALL["pkey_mprotect"])
        self._notes.count("partial-failure", lines[alive & changing & (returned == -_ENOMEM)])
        self._notes.count("event-after-exit", lines[~failed & ~alive])
        for name in REASONS_NOT_REPLAYED:
            if _HAS_ROW[CALL[name]]:
                continue  # those left out are counted where its row is completed
            self._notes.count("call-not-replayed", lines[alive & ~failed & (call == CALL[name])], name)

    def _name_objects(
        self,
        rows: np.ndarray,
        call: np.ndarray,
        enters: np.ndarray,
        paths: np.ndarray,
        changes: list[Change],
    ) -> list[int]:
        """Fill in names of files and sizes of segments, as earlier calls of the process (or `paths`) tell them.

        Returns
        -------
        list of int
            Rows that are to be left out.
        """
        of_file = (call == CALL["mmap"]) & ((rows[FLAGS] & MAP_ANONYMOUS) == 0)
        rows[PGOFF, of_file] = enters[of_file, _OFF] >> PAGE_SHIFT
        for row in np.flatnonzero(of_file & (paths >= 0)).tolist():
            rows[FILE, row] = self._files.number(self._texts.values[paths[row]])
        of_file &= paths < 0
        looked_at = np.flatnonzero(of_file | (call == CALL["shmat"]) | (call == CALL["shmdt"]))
        columns = (
            *(seq_of(rows[KEY, looked_at]), looked_at, call[looked_at], rows[PID, looked_at]),
            *(enters[looked_at, _FD] & 0xFFFFFFFF, enters[looked_at, _OFF]),
        )
        coming = iter(sorted(changes, key=attrgetter("seq")))
        change = next(coming, None)
        descriptors = self._descriptors
        left_out: list[int] = []
        mapped: list[tuple[int, int, int]] = []  # row of an mmap, its descriptor, number of the mapping
        for seq, row, call_number, pid, descriptor, offset in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            while change is not None and change.seq <= seq:
                descriptors.apply(change)
                change = next(coming, None)
            if call_number == _MMAP:
                mapped.append((row, descriptor, descriptors.number_mapping(pid, descriptor, offset)))
            elif not self._name_segment(rows, row, call_number, pid, enters[row]):
                left_out.append(row)
        if change is not None:
            descriptors.apply(change)
        for change in coming:
            descriptors.apply(change)
        self._enter_names(rows, mapped)
        if left_out:
            self._notes.count("segment-not-attached", rows[LINE, left_out])
        return left_out

    def _enter_names(self, rows: np.ndarray, mapped: list[tuple[int, int, int]]) -> None:
        """Name the files of mappings ``fd:N#K``: given are row, descriptor N and number K."""
        places, descriptors, numbers = np.array(mapped, dtype=np.int64).reshape(-1, 3).T
        distinct, name_of = np.unique(descriptors << 32 | numbers, return_inverse=True)
        names = [
            self._files.number(f"fd:{name >> 32 & 0xFFFFFFFF}#{name & 0xFFFFFFFF}")
            for name in distinct.tolist()
        ]
        rows[FILE, places] = np.array(names, dtype=np.int64)[name_of]

    def _name_segment(self, rows: np.ndarray, row: int, call: int, pid: int, enter: np.ndarray) -> bool:
        """Complete the row of a shmat or shmdt with the numbers `enter`; False if it is to be left out."""
        address = int(rows[ADDR, row])
        if call == CALL["shmat"]:
            shmid, flags = enter[:2].tolist()
            if not self._descriptors.knows_segment(shmid):
                self._notes.count("segment-size-unknown", rows[LINE, [row]])
            rows[LEN, row] = self._descriptors.attach(pid, shmid, address)
            writable = 0 if flags & _SHM_RDONLY else PROT_WRITE
            rows[PROT, row] = PROT_READ | writable | (PROT_EXEC if flags & _SHM_EXEC else 0)
            rows[FLAGS, row], rows[PGOFF, row] = MAP_SHARED, 0
            rows[FILE, row] = self._files.number(f"shmid:{shmid}")
        else:
            rows[LEN, row] = self._descriptors.detach(pid, address)
            return bool(rows[LEN, row])
        return True


def _fill_call(
    rows: np.ndarray, at: np.ndarray, number: int, enters: np.ndarray, returned: np.ndarray
) -> None:
    """Fill in the columns of the system call `number` at the rows `at`."""
    call = SYSCALLS[number]
    assert call.row is not None
    rows[OP, at] = OP_CODE[call.row.op]
    for column, argument in call.row.columns.items():
        if argument == RETURNED:
            rows[_COLUMN[column], at] = returned[at]
        else:
            rows[_COLUMN[column], at] = enters[at, call.arguments.index(argument)]
