"""`Report`: sections, figures and tables as data. No markup here; html.py, markdown.py and charts add it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from .numbers import NUMERIC_KINDS, Kind

ROW_LIMIT = 20  # rows of a ranking that are shown; the rest is summed in one last row


@dataclass(frozen=True)
class Column:
    """One column of a `Table`.

    Attributes
    ----------
    name : str
        Name of the column in the frame it comes from.
    label : str
        Heading; a unit, where there is one, follows in `unit`.
    kind : str
        How its values are written (`numbers.Kind`).
    unit : str
        Unit of the values, empty for plain counts.
    summed : bool
        Whether the row that stands for the rows not shown has their sum here.
    """

    name: str
    label: str
    kind: Kind = "count"
    unit: str = ""
    summed: bool = False


@dataclass(frozen=True)
class Table:
    """Numbers as rows and columns.

    Attributes
    ----------
    title : str
        What the rows are.
    columns : tuple of Column
    rows : tuple of tuple
        Values, not yet formatted; each as long as `columns`.
    hidden : int
        How many further rows there are that are not shown.
    rest : tuple or None
        Sums over the hidden rows, None in columns that cannot be summed. None without hidden rows.
    note : str
        What a reader has to know to read it, empty for nothing.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    hidden: int = 0
    rest: tuple[Any, ...] | None = None
    note: str = ""

    @classmethod
    def from_frame(
        cls,
        title: str,
        columns: Sequence[Column],
        frame: pl.DataFrame,
        *,
        limit: int | None = ROW_LIMIT,
        note: str = "",
    ) -> Table:
        """Take the first `limit` rows of a sorted `frame` and sum up what follows them.

        Parameters
        ----------
        title, note : str
            As the attributes.
        columns : sequence of Column
            Columns of `frame` to show, in this order.
        frame : polars.DataFrame
            The rows, most important first.
        limit : int or None, optional
            Rows to show; None shows all. One single row beyond it is shown too, instead of being "1 more".
        """
        shown = frame if limit is None or frame.height <= limit + 1 else frame.head(limit)
        hidden = frame.tail(frame.height - shown.height)
        rest = None
        if hidden.height:
            rest = tuple(hidden[column.name].sum() if column.summed else None for column in columns)
        rows = tuple(shown.select(column.name for column in columns).iter_rows())
        return cls(title, tuple(columns), rows, hidden.height, rest, note)

    def brief(self, limit: int = ROW_LIMIT) -> Table:
        """Return the table cut to its first rows; the others are counted, not summed."""
        if len(self.rows) <= limit + 1:
            return self
        hidden = self.hidden + len(self.rows) - limit
        return replace(self, rows=self.rows[:limit], hidden=hidden, rest=(None,) * len(self.columns))

    def values(self, name: str) -> list[Any]:
        """Return one column's values; KeyError where there is none of that name."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return [row[position] for row in self.rows]
        raise KeyError(name)


@dataclass(frozen=True)
class BarFigure:
    """One horizontal bar for each row of a table; the table's numbers are its labels.

    Attributes
    ----------
    table : Table
        First column: what the bar is; further columns: its numbers.
    series : tuple of str
        Columns whose values make up the bar, end to end.
    side_by_side : bool
        Each of them has a bar of its own beside the others instead.
    """

    table: Table
    series: tuple[str, ...]
    side_by_side: bool = False

    @property
    def has_shapes(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(self.table.values(name)) for name in self.series)

    @property
    def is_distribution(self) -> bool:
        """Whether the rows are bins of one quantity, in order of size."""
        return self.table.columns[0].name == "bin"

    @property
    def bar_position(self) -> int:
        """Number of columns that stand before the bar: all up to the last number."""
        numeric = [at for at, column in enumerate(self.table.columns) if column.kind in NUMERIC_KINDS]
        return max(numeric) + 1


@dataclass(frozen=True)
class TimeFigure:
    """Values over the course of the trace: one column for each bin of events.

    Attributes
    ----------
    table : Table
        First two columns: first and last event of the bin. Empty bins may be left out.
    series : str
        Column that is drawn.
    first_event, last_event : int
        Ends of the axis.
    is_state : bool
        True for a level that holds until it changes (drawn without gaps, empty bins keep the last value),
        False for an amount that belongs to its bin.
    beside : str
        Another column, drawn as a line over the first; empty for none.
    """

    table: Table
    series: str
    first_event: int
    last_event: int
    is_state: bool = False
    beside: str = ""

    @property
    def drawn(self) -> tuple[str, ...]:
        """The columns that are drawn."""
        return (self.series, self.beside) if self.beside else (self.series,)

    @property
    def has_shapes(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(self.table.values(name)) for name in self.drawn)


@dataclass(frozen=True)
class FamilyFigure:
    """Processes as points, each below the one that forked it, and lines where they share something.

    Attributes
    ----------
    table : Table
        One row for each process drawn: `pid`, `comm`, `parent`, then its numbers.
    links : Table
        One row for each line: `owner` and `sharer` (pids of `table`), then its numbers.
    places : tuple of (float, float)
        Where each row of `table` stands: from the left, 0 to 1, and generations from above.
    size : str
        Column of `table` that gives the size of a point.
    width : str
        Column of `links` that gives the width of a line.
    """

    table: Table
    links: Table
    places: tuple[tuple[float, float], ...]
    size: str
    width: str

    @property
    def has_shapes(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.table.rows)


@dataclass(frozen=True)
class MapFigure:
    """An address space over the course of the trace: one rectangle for each vma between two changes.

    Attributes
    ----------
    table : Table
        One row for each rectangle: `from_event`, `to_event`, `kind` (what colours it), then what else is known.
    heights : tuple of (float, float)
        Lower and upper edge of each rectangle. The unused parts of an address space have no height.
    regions : tuple of (float, str)
        Height and name of the places where unused parts were left out.
    kinds : tuple of str
        The values of `kind` in the order of their colours.
    first_event, last_event : int
        Ends of the axis.
    """

    table: Table
    heights: tuple[tuple[float, float], ...]
    regions: tuple[tuple[float, str], ...]
    kinds: tuple[str, ...]
    first_event: int
    last_event: int

    @property
    def has_shapes(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.table.rows)


Figure = BarFigure | TimeFigure | FamilyFigure | MapFigure
Block = Table | Figure


@dataclass(frozen=True)
class Part:
    """One question within a section.

    Attributes
    ----------
    heading : str
    reading : str
        One or two sentences, computed from the data: what this tells you.
    blocks : tuple of Table or figures
    explanation : str
        What is counted and how, for someone who meets it for the first time.
    """

    heading: str
    reading: str
    blocks: tuple[Block, ...] = ()
    explanation: str = ""


@dataclass(frozen=True)
class Section:
    """One subject of the report.

    Attributes
    ----------
    heading : str
    anchor : str
        Stable name to link to.
    introduction : str
        What the section is about, the same in every report.
    parts : tuple of Part
    """

    heading: str
    anchor: str
    introduction: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class KeyFigure:
    """A number that is shown large.

    Attributes
    ----------
    label : str
    value : int, float or None
    kind : str
        How the value is written (`numbers.Kind`).
    note : str
        The numbers that it must be seen beside.
    """

    label: str
    value: Any
    kind: Kind
    note: str


@dataclass(frozen=True)
class Notice:
    """Something that makes the report's numbers less than certain; stands above everything else.

    Attributes
    ----------
    what : str
        What was lost or went wrong, with its number.
    consequence : str
        What it may have changed in this report.
    """

    what: str
    consequence: str


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes
    ----------
    title : str
    facts : tuple of (str, str)
        Where the numbers come from: trace, format, events, scheme, …
    notices : tuple of Notice
    key_figures : tuple of KeyFigure
    findings : tuple of str
        What matters most, in plain words.
    sections : tuple of Section
    generated_at : datetime
        When the report was made.
    version : str
        Version of the tool, empty where it is unknown.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    notices: tuple[Notice, ...]
    key_figures: tuple[KeyFigure, ...]
    findings: tuple[str, ...]
    sections: tuple[Section, ...]
    generated_at: datetime
    version: str = ""

    def tables(self) -> list[Table]:
        """Return every table of the report in reading order, those of figures included."""
        return [block if isinstance(block, Table) else block.table for block in self._blocks()]

    def figures(self) -> list[Figure]:
        """Return every figure of the report that has anything to draw, in reading order."""
        return [block for block in self._blocks() if not isinstance(block, Table) and block.has_shapes]

    def _blocks(self) -> list[Block]:
        return [block for section in self.sections for part in section.parts for block in part.blocks]
