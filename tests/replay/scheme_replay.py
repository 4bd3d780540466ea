"""A replay of a scenario under any scheme, for tests that look at tables and at chains."""

from __future__ import annotations

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore

from .core_state import CoreReplay, batch_of
from .scenario_text import scenario_rows


class SchemeReplay:
    """Rows or a scenario, replayed under a scheme; every invariant is checked after the last event at least.

    Parameters
    ----------
    scheme : str
    events : str or list of dict
        A scenario, or rows of the event table.
    rules : tuple of str
    """

    def __init__(self, scheme, events, rules=(), check_every=1 << 20):
        rows = scenario_rows(events) if isinstance(events, str) else events
        self.core = ReplayCore(TraceMetadata(), {}, rules, check_every=check_every, scheme=scheme)
        self.core.feed(batch_of(rows))
        self.summary, self.tables = self.core.finish()

    def rows(self, name):
        return self.tables[name].to_pylist() if name in self.tables else []

    @property
    def vmas(self):
        """(pid, first page, end) of every vma that stands, in order."""
        return sorted((row["pid"], row["start"] >> 12, row["end"] >> 12) for row in self.rows("vmas"))

    @property
    def last_merge(self):
        row = self.rows("merges")[-1]
        return row["case"], row["left"], row["right"]

    @property
    def chains(self):
        """The number of chains of every vma, by pid and first page."""
        state = self.core.state
        live = state.vma.array[state.vma.array["mm"] != 0]
        pids = state.proc.array["pid"][state.mm.array["owner"][live["mm"]]]
        return {(int(pid), int(v["start"])): int(v["n_chains"]) for pid, v in zip(pids, live, strict=True)}

    @property
    def walks(self):
        return [(row["anon_vma"], row["vmas_visited"], row["list_length"]) for row in self.rows("walks")]


def page_tables(core):
    """Return the ptes of every mm, by the lowest pid that uses it and page number, in the words of `CoreReplay`."""
    shown = CoreReplay()
    shown.core = core
    tables = {}
    for pid, row in shown._mms().items():
        mm = core.state.mm[row]
        ptes = dict(shown._ptes(int(mm.pgd), int(mm.pt_height), 0)) if mm.pt_height else {}
        tables[pid] = {vpn: _without_shm_index(pte) for vpn, pte in ptes.items()}
    return tables


def _without_shm_index(pte):
    """Leave out where a page lies in the file of a shared anonymous mapping: today's kernel begins each at 0."""
    return (*pte[:2], *pte[3:]) if pte[0] == "file" and str(pte[1]).startswith("shm:") else pte
