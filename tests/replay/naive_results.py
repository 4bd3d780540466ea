"""What a `NaiveReplay` tells: comparable state, summary and the rows of the result tables."""

from __future__ import annotations

import math

from anonvma_trace.tables import empty_summary

from .naive_checks import unreachable_pages
from .naive_objects import FilePage, PresentPte, SwapPte
from .naive_rmap import MISSES


def nearest_rank(values, percent):
    """Return the percentile by nearest rank; 0 for no values."""
    return sorted(values)[max(math.ceil(percent * len(values) / 100), 1) - 1] if values else 0


class NaiveResults:
    """Figures taken at the end of each event, and everything told from them and the state."""

    def __init__(self):
        super().__init__()
        self.closed_spans = []
        self.first_ts = None

    # ---- at the end of each event

    def _finish_event(self):
        if self.first_ts is None:
            self.first_ts = self.ts
        for mm in self.changed_mms.values():
            mm.owner.vmas_peak = max(mm.owner.vmas_peak, len(mm.vmas) if mm.users else 0)
            self._cut_spans(mm)
        for anon_vma in self.changed_anon_vmas.values():
            anon_vma.peak_vmas = max(anon_vma.peak_vmas, len(anon_vma.list))
            anon_vma.peak_pages = max(anon_vma.peak_pages, anon_vma.n_pages)
            self._raise_peak("longest_list", len(anon_vma.list))
        for (_, process), anon_vma in self.changed_members.items():
            if anon_vma.freed:
                continue  # its rows are closed; pages that dangle count nowhere
            for now, peak in (
                (anon_vma.vmas_of, anon_vma.vmas_peak_of),
                (anon_vma.ptes_of, anon_vma.ptes_peak_of),
            ):
                peak[process] = max(peak.get(process, 0), now.get(process, 0))
        vmas, anon_vmas = self.counts["vmas_live"], self.counts["anon_vmas_live"]
        self._raise_peak("vmas", vmas)
        self._raise_peak("anon_vmas", anon_vmas)
        self._raise_peak("pages", len(self.pages))
        for machine, n_bytes in self.overhead_bytes().items():
            if n_bytes is not None:
                self._raise_peak(machine, n_bytes)
        self.changed_mms, self.changed_anon_vmas, self.changed_members = {}, {}, {}

    def _raise_peak(self, name, value):
        self.peaks[name] = max(self.peaks[name], value)

    def _cut_spans(self, mm):
        """Close the rows of `vma_spans` that this event ended, open those of new states."""
        now = {v.id: v.state() for v in mm.vmas} if mm.users else {}
        for vma_id, (since, state) in list(mm.spans.items()):
            if now.get(vma_id) != state:
                self.closed_spans.append(self._span_row(mm, vma_id, since, state, self.event))
                del mm.spans[vma_id]
        for vma_id, state in now.items():
            mm.spans.setdefault(vma_id, (self.event, state))

    @staticmethod
    def _span_row(mm, vma_id, since, state, until):
        start, end, flags, prot, pgoff, file, anon_vma = state
        return {
            "vma": vma_id,
            "pid": mm.owner.pid,
            "start": start << 12,
            "end": end << 12,
            "prot": prot,
            "flags": flags,
            "pgoff": pgoff % (1 << 64),
            "file": file,
            "anon_vma": anon_vma,
            "from_event": since,
            "to_event": until,
        }

    # ---- state

    def _mm_keys(self):
        """Return the name of each living mm: the lowest pid of its users."""
        return {process.mm: pid for pid, process in sorted(self.processes.items(), reverse=True)}

    def state(self):
        """Return everything that stands, as plain data; see the module docs of the tests."""
        keys = self._mm_keys()
        return {
            "mms": {
                keys[mm]: {
                    "owner": mm.owner.pid,
                    "vmas": [self._vma_state(v) for v in mm.vmas],
                    "rss": mm.rss,
                    "brk": mm.brk,
                    "ptes": {vpn: self._pte_state(pte) for vpn, pte in sorted(mm.ptes.items())},
                }
                for mm in self.mms
            },
            "processes": {pid: keys[process.mm] for pid, process in self.processes.items()},
            "anon_vmas": {
                anon_vma.id: [self.member_state(v, keys) for v in anon_vma.list]
                for anon_vma in self.anon_vmas
                if not anon_vma.freed
            },
            "pages": {page.id: self._page_state(page) for page in self.pages.values()},
            "slots": {
                slot.id: (slot.map, slot.cache.id if slot.cache else None) for slot in self.slots.values()
            },
            "active": [page.id for page in self.active],
            "inactive": [page.id for page in self.inactive],
        }

    @staticmethod
    def member_state(v, keys):
        """Return what tells a member of an anon_vma's list."""
        return (keys.get(v.mm), v.start)

    @staticmethod
    def _vma_state(v):
        start, end, flags, prot, pgoff, file, anon_vma = v.state()
        return (start, end, flags, prot, pgoff, file, anon_vma)

    @staticmethod
    def _pte_state(pte):
        if isinstance(pte, SwapPte):
            return ("swap", pte.slot.id)
        if not isinstance(pte, PresentPte):
            return ("zero", pte.young)
        if isinstance(pte.page, FilePage):
            return ("file", pte.page.file, pte.page.pgoff, pte.writable, pte.young, pte.dirty)
        return ("page", pte.page.id, pte.writable, pte.young, pte.dirty)

    @staticmethod
    def _page_state(page):
        return (
            page.mapcount,
            page.anon,
            page.mapping.id if page.mapping else None,
            bool(page.mapping and page.mapping.freed),
            page.index if page.anon else None,
            page.referenced,
            page.active,
            page.dirty,
            page.slot.id if page.slot else None,
        )

    # ---- tables

    def vma_span_rows(self):
        """Return the rows of `vma_spans`, by vma and time."""
        open_rows = [
            self._span_row(mm, vma_id, since, state, None)
            for mm in self.mms
            for vma_id, (since, state) in mm.spans.items()
        ]
        return sorted(self.closed_spans + open_rows, key=lambda row: (row["vma"], row["from_event"]))

    def vma_rows(self):
        """Return the rows of `vmas`, by pid and address."""
        rows = [row for row in self.vma_span_rows() if row["to_event"] is None]
        names = [name for name in rows[0] if name not in ("vma", "from_event", "to_event")] if rows else []
        return sorted(
            ({name: row[name] for name in names} for row in rows), key=lambda row: (row["pid"], row["start"])
        )

    def anon_vma_rows(self):
        """Return the rows of `anon_vmas`, by id."""
        return [
            {
                "anon_vma": anon_vma.id,
                "allocated_event": anon_vma.allocated_event,
                "allocated_ts": anon_vma.allocated_ts,
                "allocated_by": anon_vma.allocated_by,
                "pid": anon_vma.pid,
                "freed_event": anon_vma.freed_event,
                "freed_ts": anon_vma.freed_ts,
                "peak_vmas": anon_vma.peak_vmas,
                "peak_pages": anon_vma.peak_pages,
                "pages_ever": len(anon_vma.pages_ever),
                "walks": anon_vma.walks,
                "vmas_visited": anon_vma.vmas_visited,
            }
            for anon_vma in self.anon_vmas
        ]

    def members_rows(self):
        """Return the rows of `members`: by anon_vma, then by when the process began."""
        return [
            {
                "anon_vma": anon_vma.id,
                "pid": process.pid,
                "vmas_peak": anon_vma.vmas_peak_of[process],
                "pages_peak": anon_vma.ptes_peak_of[process],
            }
            for anon_vma in self.anon_vmas
            for process in self.lives
            if anon_vma.vmas_peak_of.get(process) or anon_vma.ptes_peak_of.get(process)
        ]

    def process_rows(self):
        """Return the rows of `processes`, in order of beginning."""
        return [
            {
                "pid": process.pid,
                "comm": process.comm,
                "parent": process.parent,
                "first_event": process.first_event,
                "last_event": process.last_event,
                "vmas_peak": process.vmas_peak,
                "anon_vmas_touched": len(process.anon_vmas),
                "faults": process.faults,
                "cow_copies": process.cow_copies,
                "merges": process.merges,
                "refusals": process.refusals,
                "walks_caused": process.walks_caused,
                "tainted": process.tainted,
            }
            for process in self.lives
        ]

    # ---- summary

    def summary(self):
        """Return the summary, `trace.path` and `trace.format` aside."""
        counts, peaks, summary = self.counts, self.peaks, empty_summary()
        summary["trace"] |= {
            "events": self.event,
            "processes": len(self.lives),
            "span_ns": self.ts - (self.first_ts or 0),
            "lost_events": self.metadata.lost_events,
            "tainted_processes": sum(process.tainted for process in self.lives),
            "unreadable_lines": self.metadata.unreadable_lines,
        }
        summary["vmas"] = {
            "created": counts["vmas"],
            "live": counts["vmas_live"],
            "peak": peaks["vmas"],
            "splits": counts["splits"],
        }
        freed = [anon_vma for anon_vma in self.anon_vmas if anon_vma.freed]
        summary["anon_vmas"] = {
            "allocated": len(self.anon_vmas),
            "freed": len(freed),
            "live": counts["anon_vmas_live"],
            "peak": peaks["anon_vmas"],
            "longest_list": peaks["longest_list"],
        }
        summary["pages"] = {
            "allocated": counts["pages"],
            "freed": counts["pages_freed"],
            "live": len(self.pages),
            "peak": peaks["pages"],
        } | {name: counts[name] for name in ("cow_copies", "cow_reuses", "swapped_out", "swapped_in")}
        self._summarise_merges(summary["merges"])
        summary["reclaim"] = self._summarise_walks(self.walks, "")
        summary["file_reclaim"] = self._summarise_walks(self.file_walks, "file_")
        # Mappings that are not linear do not occur: remap_file_pages is replayed as an mmap.
        summary["file_reclaim"] |= dict.fromkeys(("clusters", "ptes_swept", "unmapped_other"), 0)
        summary["overhead_bytes"] = {
            machine: None if n_bytes is None else peaks[machine]
            for machine, n_bytes in self.overhead_bytes().items()
        }
        dangling = [page for page in self.pages.values() if page.mapping and page.mapping.freed]
        summary["findings"] = {
            "unreachable_pages": len(unreachable_pages(self)),
            "dangling_pages": len(dangling),
            "bugs": len(self.bugs),
        }
        summary["unmapped_faults"] = counts["unmapped_faults"]
        extra = ("mremap_efault_span", "span_forced", "zero_copies", "early_copies")
        extra += ("lossy_merges", "lossy_moves", "ptes_lost")
        summary["extra"] |= {name: counts[name] for name in extra}
        summary["extra"]["anon_vmas_never_used"] = sum(not anon_vma.pages_ever for anon_vma in freed)
        return summary

    def _summarise_merges(self, figures):
        figures["attempts"] = len(self.merges)
        for row in self.merges:
            if row["case"]:
                figures["merged"] += 1
                figures["by_case"][str(row["case"])] += 1
            for side in ("left", "right"):
                if row[side] not in ("ok", "not_adjacent"):
                    figures["refused"][row[side]] += 1
                    figures["refused_new"] += row[side + "_new"]

    def _summarise_walks(self, walks, kind):
        """Return the figures of `reclaim`; `kind` is "" or "file_", the prefix of the running counts."""
        visited = [row["vmas_visited"] for row in walks]
        figures = {
            name: sum(row[name] for row in walks) for name in ("vmas_visited", *MISSES, "hits", "unreachable")
        }
        return figures | {
            "pages": self.counts[kind + "reclaimed"],
            "walks": len(walks),
            "ptes_read": sum(figures[name] for name in ("miss_none", "miss_swap", "miss_other", "hits")),
            "early_stops": sum(row["early_stop"] for row in walks),
            "list_length_sum": sum(row["list_length"] for row in walks),
            "activated": self.counts[kind + "activated"],
            "unmapped": self.counts[kind + "unmapped"],
            "locked_fail": sum(row["outcome"] == "fail_locked" for row in walks),
            "young_fail": sum(row["outcome"] == "fail_young" for row in walks),
            "visited_per_walk": {
                "mean": sum(visited) / len(visited) if visited else 0.0,
                "p50": nearest_rank(visited, 50),
                "p95": nearest_rank(visited, 95),
                "p99": nearest_rank(visited, 99),
                "max": max(visited, default=0),
            },
        }
