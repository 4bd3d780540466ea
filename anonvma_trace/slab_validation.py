"""Validation of counts: anon_vmas and anon_vma_chains of the replay beside those that the kernel's allocator made.

A recording of the slab allocator, made together with the trace on the same clock, tells each object that came or went.
Only objects whose allocation it shows are counted: on its side those, on the replay's side those that no row for
a process already running made.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .parsers.slab_recording import ANON_VMA, ANON_VMA_CHAIN, CALL_SITES, SlabRecording
from .replay.marks import Mark
from .result_tables import ResultTables
from .trace import Diagnostic

_PREPARE, _FORK = CALL_SITES[ANON_VMA]


class LiveCount(NamedTuple):
    """Objects alive at one mark: in the kernel, and in the replay (None: the scheme has no such objects).

    Attributes
    ----------
    event, line, pid, number : int
        The `mark` row and what it names.
    kind : str
        ``anon_vma`` or ``anon_vma_chain``.
    recorded, replayed : int
    """

    event: int
    line: int
    pid: int
    number: int
    kind: str
    recorded: int
    replayed: int


class SlabValidation:
    """Compares counts as the replay comes to `mark` rows; a `replay.marks.MarkWatcher` of every one.

    Parameters
    ----------
    recording : SlabRecording

    Attributes
    ----------
    live : list of LiveCount
        One for each mark and kind of object, when the replay is over.
    """

    def __init__(self, recording: SlabRecording) -> None:
        self._recording = recording
        self._seen: list[tuple[Mark, dict[str, np.ndarray | None]]] = []
        self._standing_ts = np.empty(0, np.int64)
        self._told: list[Diagnostic] = []
        self.live: list[LiveCount] = []

    def wants(self, pid: int, number: int) -> bool:
        """Look at every mark."""
        return True

    def look(self, mark: Mark) -> None:
        """Keep what is alive at a mark; what stood before the recording is known only at the end."""
        objects = mark.objects
        self._seen.append((mark, {ANON_VMA: objects.anon_vma_ts, ANON_VMA_CHAIN: objects.chain_ts}))

    def end(self, standing_ts: np.ndarray) -> None:
        """Compare what was alive at the marks."""
        self._standing_ts = standing_ts
        for mark, made_at in self._seen:
            for kind, ts in made_at.items():
                if ts is not None:
                    replayed = int(np.count_nonzero(~np.isin(ts, standing_ts)))
                    recorded = self._recording.live_at(kind, mark.ts)
                    self.live.append(
                        LiveCount(mark.event, mark.line, mark.pid, mark.number, kind, recorded, replayed)
                    )
        self._seen.clear()

    def diagnostics(self) -> list[Diagnostic]:
        """Return each difference of what was alive, and what of the recording is missing."""
        return [
            *self._damage(),
            *(_of_live(count) for count in self.live if count.recorded != count.replayed),
        ]

    def add_to(self, tables: ResultTables) -> None:
        """Add the figures to ``summary["validation"]``, and differences of what was made to the diagnostics.

        Allocations are told by call site: a fork row stands for ``anon_vma_fork``, all others for
        ``__anon_vma_prepare``.
        """
        made = tables.to_arrow("anon_vmas").select(["allocated_ts", "allocated_by"])
        standing = pc.is_in(made["allocated_ts"], value_set=pa.array(self._standing_ts, pa.int64()))
        made = made.filter(pc.invert(standing))
        forked = pc.sum(pc.equal(pc.cast(made["allocated_by"], "string"), "fork")).as_py() or 0
        replayed = {_PREPARE: made.num_rows - forked, _FORK: forked}
        figures = tables.summary["validation"]
        for site, name in ((_PREPARE, "anon_vmas_prepared"), (_FORK, "anon_vmas_forked")):
            figures[f"{name}_recorded"] = self._recording.allocations[ANON_VMA][site]
            figures[name] = replayed[site]
        for kind, name in ((ANON_VMA, "live_anon_vmas"), (ANON_VMA_CHAIN, "live_anon_vma_chains")):
            counts = [count for count in self.live if count.kind == kind]
            figures[f"{name}_marks"] = len(counts) or None  # the scheme has none of these
            equal = sum(count.recorded == count.replayed for count in counts)
            figures[f"{name}_equal"] = equal if counts else None
        tables.add_diagnostics(
            Diagnostic(
                "warning", "validate-slab-allocations", _allocation_text(site, recorded, replayed[site])
            )
            for site, recorded in self._recording.allocations[ANON_VMA].items()
            if recorded != replayed[site]
        )

    def _damage(self) -> list[Diagnostic]:
        unreadable = "an event of the slab allocator could not be read"
        lost = "the recorder of the slab allocator lost events: counts are too low"
        kinds = (
            ("validate-slab-unreadable", unreadable, self._recording.unreadable),
            ("validate-slab-lost", lost, self._recording.lost),
        )
        return [
            Diagnostic("warning", code, f"{path}:{line}: {text}")
            for code, text, places in kinds
            for path, line in places
        ]


def _of_live(count: LiveCount) -> Diagnostic:
    return Diagnostic(
        "warning",
        "validate-slab-live",
        f"mark {count.number} of pid {count.pid}: {count.recorded:,} objects {count.kind} alive in the kernel, "
        f"{count.replayed:,} in the replay",
        line=count.line,
        event=count.event,
    )


def _allocation_text(site: str, recorded: int, replayed: int) -> str:
    return f"{site} made {recorded:,} anon_vmas in the kernel, {replayed:,} in the replay"
