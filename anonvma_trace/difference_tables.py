"""`DifferenceTables`: the results of two replays beside each other, and where they part, as data."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from .result_tables import ResultTables


@dataclass(frozen=True)
class EventDifferences:
    """Where two replays of the same events differ.

    Attributes
    ----------
    first : polars.DataFrame
        For each subject that differs anywhere (``merges``, ``walks``, ``anon_vmas allocated``, ``anon_vmas freed``,
        ``findings``) the first event at which it does: ``subject``, ``event``, ``a``, ``b`` (what each did); by event.
    merges : polars.DataFrame
        Events whose attempts to merge came to another end: ``event``, ``pid``, ``op``, ``addr`` (bytes; of the first
        attempt), ``a``, ``b`` (what became of it).
    merge_outcomes : polars.DataFrame
        The same by how they ended: ``events`` (how many), ``first_events``, ``a``, ``b``.
    other_reasons : int
        Further events at which the same merged, or nothing, and only the refusals differ.
    walks : polars.DataFrame
        The events whose walks visited most more vmas in one than in the other: ``event``, ``a``, ``b``.
    counts : dict of str to int
        Events at which B did otherwise than A: ``merged_more``, ``merged_fewer``, ``merged_otherwise`` (as many, by
        another case), ``visited_more``, ``visited_fewer``, ``found_otherwise``.
    """

    first: pl.DataFrame
    merges: pl.DataFrame
    merge_outcomes: pl.DataFrame
    other_reasons: int
    walks: pl.DataFrame
    counts: dict[str, int]


@dataclass(frozen=True)
class DifferenceTables:
    """Two results and where they part.

    Attributes
    ----------
    a, b : ResultTables
    names : tuple of (str, str)
        Where they come from: a directory, or what was replayed.
    why_other_trace : str
        What shows that they are of different traces; empty if they are of the same.
    events : EventDifferences or None
        Where they differ; None for different traces.
    """

    a: ResultTables
    b: ResultTables
    names: tuple[str, str]
    why_other_trace: str
    events: EventDifferences | None

    @property
    def same_trace(self) -> bool:
        """Whether both replayed the same events."""
        return not self.why_other_trace
