"""What the compiled core holds, told in the words of the independent model, so that both can be compared."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from anonvma_trace.events import EVENT_SCHEMA, TraceMetadata
from anonvma_trace.replay import ReplayCore
from anonvma_trace.replay.layout import (
    FILE_SHM,
    FILE_SPECIAL,
    PG_ACTIVE,
    PG_ANON,
    PG_ANON_KIND,
    PG_DIRTY,
    PG_REFERENCED,
    PT_BITS,
    PT_ENTRIES,
    PT_STRIDE,
    PTE_DIRTY,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_YOUNG,
    PTE_ZERO,
    VM_ACCESS,
)
from anonvma_trace.replay.results import render_vm_flags
from anonvma_trace.tables import MERGE_SIDES

WALK_COUNTERS = (
    *("walks", "vmas_visited", "miss_rss", "miss_none", "miss_swap", "miss_other", "hits", "early_stops"),
    *("unreachable", "list_length_sum", "activated", "unmapped", "locked_fail", "young_fail"),
)
COUNTERS = (
    *("vmas_created", "vmas_live", "vmas_peak", "vma_splits"),
    *("anon_vmas_allocated", "anon_vmas_freed", "anon_vmas_peak", "longest_list"),
    *(
        "pages_allocated",
        "pages_freed",
        "pages_peak",
        "cow_copies",
        "cow_reuses",
        "zero_copies",
        "early_copies",
    ),
    *("swapped_out", "swapped_in", "merge_attempts", "merged", "refused_new"),
    *("reclaim_pages", "miss_range", *WALK_COUNTERS),
    *("file_pages_looked_at", *("file_" + name for name in WALK_COUNTERS)),
    *("bugs", "unmapped_faults", "mremap_efault_span", "span_forced"),
    *("lossy_merges", "lossy_moves", "ptes_lost"),
)
"""The figures of the summary that the core keeps as it goes."""


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as a batch of the event table."""
    return pa.RecordBatch.from_pylist(rows, schema=EVENT_SCHEMA)


# Reading fields of NumPy records one by one is slow, and the state is looked at after every event.


@cache
def record_type(dtype: np.dtype) -> type:
    return namedtuple("Record", dtype.names)


def record(table, at: int):
    """Return one row of a table of the core, its fields as plain integers."""
    return record_type(table.array.dtype)(*table.array[at].item())


def where(table, field: str, bits: int = -1):
    """Yield the rows of a table in which one of the bits of the field is set."""
    kind = record_type(table.array.dtype)
    return (kind(*values) for values in table.array[(table.array[field] & bits) != 0].tolist())


class CoreReplay:
    """A replay by the compiled core, with the observations of `NaiveReplay`."""

    def __init__(
        self,
        metadata: TraceMetadata | None = None,
        rules: tuple[str, ...] = (),
        scheme: str = "anon_vma",
        **options: str,
    ) -> None:
        self.scheme = scheme
        self.core = ReplayCore(metadata or TraceMetadata(), options, rules, scheme=scheme)
        self._finished = None

    def feed(self, *rows: dict[str, Any]) -> None:
        self.core.feed(batch_of(list(rows)))

    # ---- result tables

    def _results(self):
        if self._finished is None:
            self._finished = self.core.finish()
        return self._finished

    def summary(self) -> dict[str, Any]:
        return self._results()[0]

    def rows(self, name: str) -> list[dict[str, Any]]:
        tables = self._results()[1]
        return tables[name].to_pylist() if name in tables else []

    @property
    def merges(self):
        return self.rows("merges")

    @property
    def walks(self):
        return self.rows("walks")

    @property
    def file_walks(self):
        return self.rows("file_walks")

    def vma_span_rows(self):
        return sorted(self.rows("vma_spans"), key=lambda row: (row["vma"], row["from_event"]))

    # ---- state

    def counters(self) -> dict[str, Any]:
        """Return the figures so far, those that are 0 left out of `by_case` and `refused`."""
        s = self.core.state
        figures = record(s.glob, 0)
        by_case = s.ints.array[figures.by_case_base :][:9].tolist()
        refused = s.ints.array[figures.refused_base :][: len(MERGE_SIDES)].tolist()
        return {name: getattr(figures, name) for name in COUNTERS} | {
            "by_case": {case: n for case, n in enumerate(by_case) if case and n},
            "refused": {side: n for side, n in zip(MERGE_SIDES[2:], refused[2:], strict=True) if n},
        }

    def state(self) -> dict[str, Any]:
        s = self.core.state
        mms = self._mms()
        mm_rows = {row: key for key, row in mms.items()}
        return {
            "mms": {key: self._mm(row) for key, row in mms.items()},
            "processes": {int(p.pid): mm_rows[int(p.mm)] for p in where(s.proc, "mm")},
            "anon_vmas": self._anon_vmas(mm_rows),
            "pages": {int(p.serial): self._page(p) for p in where(s.page, "pg_flags", PG_ANON_KIND)},
            "slots": {
                int(slot.id): (int(slot.map), int(record(s.page, slot.page).serial) if slot.page else None)
                for slot in where(s.slot, "map")
            },
            "active": self._lru(int(record(s.glob, 0).active_head)),
            "inactive": self._lru(int(record(s.glob, 0).inactive_head)),
        }

    def _mms(self) -> dict[int, int]:
        """Return the rows of the live mms by the lowest pid of their users."""
        users = [(int(p.pid), int(p.mm)) for p in where(self.core.state.proc, "mm")]
        names = {row: pid for pid, row in sorted(users, reverse=True)}
        return {pid: row for row, pid in names.items()}

    def _mm(self, row: int) -> dict[str, Any]:
        s = self.core.state
        mm = record(s.mm, row)
        vmas = []
        vma = int(mm.first)
        while vma:
            v = record(s.vma, vma)
            anon_vma = int(record(s.rmap.anon_vma, v.anon_vma).id) if v.anon_vma else None
            flags = int(v.vm_flags)
            vmas.append(
                (
                    int(v.start),
                    int(v.end),
                    render_vm_flags(flags),
                    flags & VM_ACCESS,
                    int(v.pgoff),
                    self._file(int(v.file)),
                    anon_vma,
                )
            )
            vma = int(v.next)
        ptes = dict(self._ptes(int(mm.pgd), int(mm.pt_height), 0)) if mm.pt_height else {}
        return {
            "owner": int(record(s.proc, mm.owner).pid),
            "vmas": vmas,
            "rss": int(mm.rss),
            "brk": int(mm.brk) if mm.brk >= 0 else None,
            "ptes": ptes,
        }

    def _file(self, code: int) -> str | None:
        if code == 0:
            return None
        if code & FILE_SHM:
            return f"shm:{code - FILE_SHM}"
        return self.core.columns.files.names[(code & (FILE_SPECIAL - 1)) - 1]

    def _ptes(self, block: int, level: int, base: int):
        words = self.core.state.pt.array[block * PT_STRIDE : block * PT_STRIDE + PT_ENTRIES]
        used = np.flatnonzero(words)
        assert len(used) == self.core.state.pt[block * PT_STRIDE + PT_ENTRIES] > 0
        for at in used:
            if level == 1:
                yield base + int(at), self._pte(int(words[at]))
            else:
                span = 1 << (PT_BITS * (level - 1))
                yield from self._ptes(int(words[at]), level - 1, base + int(at) * span)

    def _pte(self, pte: int):
        s = self.core.state
        young = bool(pte & PTE_YOUNG)
        row = pte >> PTE_SHIFT
        if pte & PTE_SWAP:
            return ("swap", int(record(s.slot, row).id))
        if pte & PTE_ZERO:
            return ("zero", young)
        writable, dirty = bool(pte & PTE_WRITE), bool(pte & PTE_DIRTY)
        page = record(s.page, row)
        if page.pg_flags & PG_ANON_KIND:
            return ("page", int(page.serial), writable, young, dirty)
        return ("file", self._file(int(page.slot)), int(page.index), writable, young, dirty)

    def _page(self, p):
        s = self.core.state
        anon = bool(p.pg_flags & PG_ANON)
        counted = (
            "anon_vma" not in s.rmap._fields
        )  # what pages point to is counted, or nothing: it does not go away
        dangling = anon and not counted and record(s.rmap.anon_vma, p.mapping).id != p.mapping_id
        placed = anon and self.scheme != "pte_chain"
        return (
            int(p.mapcount),
            anon,
            int(p.mapping_id) if placed else None,
            bool(dangling),
            int(p.index) if placed else None,
            bool(p.pg_flags & PG_REFERENCED),
            bool(p.pg_flags & PG_ACTIVE),
            bool(p.pg_flags & PG_DIRTY),
            int(record(s.slot, p.slot).id) if p.slot else None,
        )

    def _anon_vmas(self, mm_rows: dict[int, Any]):
        """Return the lists of the living anon_vmas; of the other schemes, whose lists walks must tell, the ids."""
        if "anon_vma" not in self.core.state.rmap._fields:
            return {}
        living = where(self.core.state.rmap.anon_vma, "id")
        if self.scheme != "anon_vma":
            return dict.fromkeys(sorted(int(a.id) for a in living))
        return {int(a.id): self._list(int(a.head), mm_rows) for a in living}

    def _list(self, vma: int, mm_rows: dict[int, Any]):
        s = self.core.state
        members = []
        while vma:
            members.append((mm_rows[int(record(s.vma, vma).mm)], int(record(s.vma, vma).start)))
            vma = int(record(s.vma, vma).anon_next)
        return members

    def _lru(self, page: int):
        s = self.core.state
        pages = []
        while page:
            pages.append(int(record(s.page, page).serial))
            page = int(record(s.page, page).lru_next)
        return pages
