"""How much of a result table there is (``--detail``), and what a report must say where it is not all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..result_tables import ResultTables
from .document import Block, Part, Table

_NOUNS = {"merges": "attempts", "walks": "walks", "file_walks": "walks of file pages", "vma_spans": "spans"}


@dataclass(frozen=True)
class Coverage:
    """How many of the rows that a table would have it holds.

    Attributes
    ----------
    table : str
    rows, kept : int
        Rows there were, rows kept.
    every : int or None
        Every how many-th is kept; None: none.
    """

    table: str
    rows: int
    kept: int
    every: int | None

    @property
    def is_full(self) -> bool:
        """Whether the table holds all rows."""
        return self.kept == self.rows

    @property
    def is_left_out(self) -> bool:
        """Whether the table holds none of its rows."""
        return self.every is None and self.rows > 0

    def describe(self) -> str:
        """Return what a reader has to know of a table that is not full, as one sentence."""
        noun = _NOUNS[self.table]
        if self.is_left_out:
            return f"The table {self.table} was left out (--detail none): its {self.rows:,} {noun} were only counted."
        return (
            f"From a sample: {self.kept:,} of {self.rows:,} {noun}, one in {self.every:,} (--detail sampled). Counts "
            "are those of the sample, shares hold as far as it is typical."
        )


def coverage(results: ResultTables, table: str) -> Coverage:
    """Return how much of a result table there is; without ``summary.detail``, as older results are, all of it."""
    found = results.summary.get("detail", {}).get(table, {"rows": 0, "kept": 0, "every": 1})
    return Coverage(table, found["rows"], found["kept"], found["every"])


def covered_part(results: ResultTables, table: str, make: Callable[[ResultTables], Part]) -> Part:
    """Return a part that reads its figures from `table`, saying so where they are of a sample or there are none.

    Parameters
    ----------
    results : ResultTables
    table : str
    make : callable
        Makes the part as if the table held all.
    """
    found = coverage(results, table)
    part = make(results)
    if found.is_full:
        return part
    if found.is_left_out:
        return Part(part.heading, found.describe())
    blocks = tuple(of_sample(block, found) for block in part.blocks)
    return replace(part, reading=f"{found.describe()} {part.reading}", blocks=blocks)


def of_sample(block: Block, found: Coverage) -> Block:
    """Return a block whose title says that it is of a sample, if it is."""
    if found.is_full:
        return block
    if isinstance(block, Table):
        return replace(block, title=f"{block.title} (sample of 1 in {found.every:,})")
    table = of_sample(block.table, found)
    assert isinstance(table, Table)
    return replace(block, table=table)
