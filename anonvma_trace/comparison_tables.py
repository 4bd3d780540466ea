"""`ComparisonTables`: what came of replaying the same events under several schemes, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class ComparisonTables:
    """The result of a comparison.

    Attributes
    ----------
    summaries : dict of str to dict
        The `summary` of each replay, by its name (scheme, and rules behind plus signs), in the order asked for.
    reference : str
        The replay that the others are measured against.
    against : dict of str to dict of str to int
        For each replay the number of events at which it did otherwise than the reference: ``merged_more``,
        ``merged_fewer``, ``merged_otherwise`` (the same number, by another case), ``visited_more``,
        ``visited_fewer``, ``found_otherwise``.
    overhead_at_end : dict of str to dict of str to int
        Bytes that the scheme itself takes at the end of the trace, on ``i386`` and ``x86_64``; None where not defined.
    memory_bytes : dict of str to int
        Bytes that the state of each replay took at its end, tables not yet filled included.
    merge_outcomes : polars.DataFrame
        Kinds of disagreement on merges: ``events`` (how many), ``first_events``, and a column for each replay.
    walk_differences : polars.DataFrame
        Events whose walks differ most: ``event``, and for each replay what was visited.
    findings : polars.DataFrame
        ``scheme``, ``code``, ``times``, ``first_events``.
    """

    summaries: dict[str, dict[str, Any]]
    reference: str
    against: dict[str, dict[str, int]]
    overhead_at_end: dict[str, dict[str, int | None]]
    memory_bytes: dict[str, int]
    merge_outcomes: pl.DataFrame
    walk_differences: pl.DataFrame
    findings: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """The replays, in the order asked for."""
        return list(self.summaries)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: what ``compare --json`` prints."""
        return {
            "schemes": self.summaries,
            "reference": self.reference,
            "against": self.against,
            "overhead_at_end": self.overhead_at_end,
            "memory_bytes": self.memory_bytes,
            "merge_outcomes": self.merge_outcomes.to_dicts(),
            "walk_differences": self.walk_differences.to_dicts(),
            "findings": self.findings.to_dicts(),
        }
