"""Reclaim as rows: `swap_out` where events name the pages, else `scan` where events only count them."""

from __future__ import annotations

import numpy as np

from ..trace import Diagnostic
from .native_block import NativeBlock
from .native_events import WORD_BITS, Family
from .page_join import PageCounts
from .row_table import FRAME, KEY, LEN, OP, OP_CODE, PID, event_rows, new_rows, seq_of

SCAN_HOLD_LIMIT = 1 << 18
"""Rows held back at most until it is known whether events name the pages that reclaim takes."""

_OF_ANONYMOUS_LIST = WORD_BITS["inactive_anon"] | WORD_BITS["RECLAIM_WB_ANON"]
_PFN = _NR_SCANNED = 0  # slots of the events' numbers
_LIST = 1
_LIST_FOUND = 1 << _LIST

# What is known of the recording.
_UNDECIDED, _NAMED, _COUNTED = range(3)


class ReclaimRows:
    """Makes the rows of reclaim from a stream of blocks.

    A recording with mm_vmscan_write_folio (or _writepage) names its pages: each that was joined with a fault is
    a `swap_out` row, and what was merely counted makes none. Without it each mm_vmscan_lru_isolate of the
    inactive anonymous list (or, where that was not recorded, mm_vmscan_lru_shrink_inactive) is a `scan` row.
    Which it is, the first written page tells; until then, from the first count on, the rows behind wait.

    Attributes
    ----------
    n_swap_outs, n_scans : int
        Rows made so far.
    """

    def __init__(self) -> None:
        self.n_swap_outs = 0
        self.n_scans = 0
        self._knows = _UNDECIDED
        self._named_late = 0  # line of the first page named after counting had begun
        self._scan_kind = 0
        self._waiting: list[np.ndarray] = []  # scan rows, while undecided

    @property
    def horizon(self) -> int | None:
        """Number of the first event that a row may still be made of, or None."""
        return seq_of(int(self._waiting[0][KEY, 0])) if self._waiting else None

    def rows(
        self,
        block: NativeBlock,
        seq: np.ndarray,
        family: np.ndarray,
        pids: np.ndarray,
        names: np.ndarray,
        leaving: np.ndarray,
    ) -> list[np.ndarray]:
        """Return the rows of a block.

        Parameters
        ----------
        seq, family, pids, names : ndarray of int64
            Number, family, process and command name of every event of the block.
        leaving : ndarray of int64
            Events at which a page leaves that is known by its frame (`page_join.JoinedPages`).
        """
        scans = self._scans(block, family)
        written = np.flatnonzero(family == Family.PAGE_WRITE)
        if len(written) and self._knows != _NAMED:
            if self._knows == _COUNTED:
                self._named_late = int(block.line[written[0]])
                scans = scans[scans < written[0]]
            else:
                scans = scans[:0]
            self._knows, self._waiting = _NAMED, []
        elif self._knows == _NAMED:
            scans = scans[:0]
        if self._knows != _NAMED:
            leaving = leaving[:0]
        swap_outs = event_rows(block, seq, pids, names, leaving)
        swap_outs[OP], swap_outs[FRAME] = OP_CODE["swap_out"], block.args[leaving, _PFN]
        scanned = event_rows(block, seq, pids, names, scans)
        scanned[OP], scanned[LEN] = OP_CODE["scan"], block.args[scans, _NR_SCANNED]
        for rows in (swap_outs, scanned):
            rows[PID] = np.maximum(rows[PID], 0)  # a thread that reclaims while it exits has no process
        self.n_swap_outs += len(leaving)
        if self._knows == _UNDECIDED and len(scans):
            self._waiting.append(scanned)
            return []
        self.n_scans += len(scans)
        return [swap_outs, scanned]

    def settle(self) -> np.ndarray:
        """Decide that nothing names the pages, and return the scan rows that waited."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return new_rows(0)
        self._knows = _COUNTED
        rows = np.hstack(waiting)
        self.n_scans += rows.shape[1]
        return rows

    def diagnostics(self, counts: PageCounts) -> list[Diagnostic]:
        """Return what the rows rest on.

        Parameters
        ----------
        counts : PageCounts
            Of the join, complete.
        """
        told = []
        if counts.faults_allocating:
            message = (
                f"{_share(counts.faults_named, counts.faults_allocating)} faults that took a page are joined "
                "with it (mm_page_alloc; column `frame`)"
            )
            if counts.faults_ambiguous:
                message += (
                    f"; {counts.faults_ambiguous:,} read others ahead: which page was theirs is not told"
                )
            told.append(Diagnostic("info", "pages-named", message))
        if self._knows == _NAMED:
            message = (
                f"reclaim is named: {_share(counts.written_named, counts.pages_written)} pages that it wrote "
                "(mm_vmscan_write_folio) are joined with the fault that took them: `swap_out` rows"
            )
            if counts.clean_named:
                message += f"; so are {counts.clean_named:,} freed unwritten, their copy in swap being good"
            told.append(Diagnostic("info", "reclaim-named", message))
        elif self.n_scans:
            message = (
                f"reclaim is counted: no event names a page, so that {self.n_scans:,} `scan` rows tell how many were "
                "looked at and the replay chooses them; record mm_vmscan_write_folio and mm_page_alloc to name them"
            )
            told.append(Diagnostic("info", "reclaim-counted", message))
        if self._named_late:
            message = (
                f"{self.n_scans} `scan` rows had been made before the first event that names a page: from there on "
                "reclaim is named"
            )
            told.append(Diagnostic("warning", "reclaim-named-late", message, line=self._named_late))
        return told

    def _scans(self, block: NativeBlock, family: np.ndarray) -> np.ndarray:
        """Return the events that count pages scanned of the anonymous list, of one kind only."""
        of_anonymous = (block.args[:, _LIST] & _OF_ANONYMOUS_LIST != 0) | (block.found & _LIST_FOUND == 0)
        at = np.flatnonzero((family == Family.SCAN) & of_anonymous & (block.args[:, _NR_SCANNED] > 0))
        if len(at) and not self._scan_kind:
            self._scan_kind = int(block.kind[at[0]])
        return at[block.kind[at] == self._scan_kind]


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f} %)" if whole else "0 of 0"
