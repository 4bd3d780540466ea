"""How many rows of the longest result tables are kept: all, a sample of bounded size, or none.

Totals do not depend on it: the summary's counters are the core's own.

The sample of a table is every k-th of its rows, beginning with the first. k is the smallest power of two by which at
most `SAMPLE_ROWS` rows remain, so the sample depends on the rows alone and not on how they came.
"""

from __future__ import annotations

import numpy as np

from ..tables import DETAILED_TABLES

DETAILS = ("full", "sampled", "none")
"""The choices of ``--detail``."""

SAMPLE_ROWS = 1 << 16
"""Rows of a table that a sample holds at most."""


class Sample:
    """Every k-th row of a table that grows; when there are too many, every second of them goes and k doubles.

    Parameters
    ----------
    bound : int
        Rows to keep at most.

    Attributes
    ----------
    seen : int
        Rows that came.
    every : int
        The k so far.
    """

    def __init__(self, bound: int) -> None:
        self.seen = 0
        self.every = 1
        self._bound = bound
        self._kept: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Take the next rows (the first axis); what is kept is copied."""
        first = -self.seen % self.every
        self.seen += len(rows)
        self._kept.append(rows[first :: self.every].copy())
        while len(self) > self._bound:
            self._kept = [np.concatenate(self._kept)[::2].copy()]
            self.every *= 2

    def __len__(self) -> int:
        return sum(map(len, self._kept))

    def take(self) -> np.ndarray | None:
        """Return the rows kept and let them go; None if none ever came."""
        rows = np.concatenate(self._kept) if self._kept else None
        self._kept = []
        return rows


class Detail:
    """Decides which rows of the tables `DETAILED_TABLES` are kept, and counts all.

    Parameters
    ----------
    setting : str
        One of `DETAILS`.
    """

    def __init__(self, setting: str = "full") -> None:
        self.setting = setting
        self._rows = dict.fromkeys(DETAILED_TABLES, 0)
        self._samples = {name: Sample(SAMPLE_ROWS) for name in DETAILED_TABLES if setting == "sampled"}
        self._kept = dict.fromkeys(DETAILED_TABLES, 0)

    def keeps(self, name: str) -> bool:
        """Tell whether any rows of a table are kept."""
        return self.setting != "none" or name not in self._rows

    def now(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Count rows of a table and return those to make now; what a sample holds is made at the end (`later`)."""
        if name not in self._rows:
            return rows
        self._rows[name] += len(rows)
        if self.setting == "full":
            self._kept[name] += len(rows)
            return rows
        if self.setting == "sampled":
            self._samples[name].add(rows)
            self._kept[name] = len(self._samples[name])
        return rows[:0]

    def later(self) -> dict[str, np.ndarray]:
        """Return the rows of all samples, by table, when the last row has come."""
        taken = {name: sample.take() for name, sample in self._samples.items()}
        return {name: rows for name, rows in taken.items() if rows is not None}

    def summary(self) -> dict[str, object]:
        """Return ``summary.detail``: of each table the rows there were, those kept, and every how many-th that is."""
        every = {"full": 1, "none": None}
        return {"setting": self.setting} | {
            name: {
                "rows": self._rows[name],
                "kept": self._kept[name],
                "every": self._samples[name].every if name in self._samples else every[self.setting],
            }
            for name in DETAILED_TABLES
        }
