"""`Trace`: the events of one recording, where they came from and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from .errors import UsageError
from .events import TraceMetadata, schema_with_metadata

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True)
class Diagnostic:
    """One thing worth telling, as it will stand in the `diagnostics` table.

    Attributes
    ----------
    severity : str
        ``"info"``, ``"warning"``, ``"finding"`` or ``"error"``.
    code : str
        Stable kebab-case name.
    message : str
        One sentence for a reader.
    line : int
        Line of the source from 1; 0 where there is none.
    event : int
        Event number from 1; 0 where there is none.
    """

    severity: str
    code: str
    message: str
    line: int = 0
    event: int = 0


@dataclass
class Loss:
    """One kind of input that could not be used: how often, and where it was met first.

    Attributes
    ----------
    code : str
        Stable kebab-case name of the kind.
    reason : str
        What was expected, for a reader.
    count : int
        Lines (or records) of this kind.
    places : list of tuple (line, column, text)
        The first few, for messages.
    """

    code: str
    reason: str
    count: int = 0
    places: list[tuple[int, int, str]] = field(default_factory=list)


class EventStream(Protocol):
    """One pass over the events of an input: what every parser hands out.

    Attributes
    ----------
    format : str
        Name of the format.
    metadata : TraceMetadata
        Final once `batches` is exhausted.
    losses : list of Loss
        Kinds of lines that could not be read. Final once `batches` is exhausted.
    diagnostics : list of Diagnostic
        What the parser had to assume or noticed. Final once `batches` is exhausted.
    line_counts : dict of str to int
        Lines by what became of them: ``events``, ``headers``, ``blank``, ``loss_marks``, ``other``
        (known lines that make no row), ``unreadable``. Their sum is the number of lines read.
    bytes_read, bytes_total : int
        Progress through the source, in bytes as stored; total 0 where it is unknown.
    """

    @property
    def format(self) -> str:
        """Name of the format."""
        ...

    @property
    def metadata(self) -> TraceMetadata:
        """What decides the result beside the rows."""
        ...

    @property
    def losses(self) -> list[Loss]:
        """Kinds of lines that could not be read."""
        ...

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What the parser had to assume or noticed."""
        ...

    @property
    def line_counts(self) -> dict[str, int]:
        """Lines by what became of them."""
        ...

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, as stored."""
        ...

    @property
    def bytes_total(self) -> int:
        """Bytes to read, 0 if unknown."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the events, in replay order, as batches of `EVENT_SCHEMA`."""
        ...


class Trace:
    """The events of one recording.

    Parameters
    ----------
    path : str
        Where they come from, for messages.
    open_stream : callable
        Opens a new pass over the input; called once for each pass.
    once : bool, optional
        The input can be read only once (a pipe). `table` keeps the events and lifts that limit.
    parts : int, optional
        Files that hold it: those of single CPUs, rotated pipes.
    """

    def __init__(
        self, path: str, open_stream: Callable[[], EventStream], once: bool = False, parts: int = 1
    ) -> None:
        self.path = path
        self.parts = parts
        self._open_stream = open_stream
        self._once = once
        self._stream: EventStream | None = None
        self._table: pa.Table | None = None
        self._spent = False

    @property
    def stream(self) -> EventStream:
        """The latest pass over the input (opened on first use): format, metadata, losses, diagnostics."""
        if self._stream is None:
            self._stream = self._open_stream()
        return self._stream

    @property
    def format(self) -> str:
        """Name of the input's format."""
        return self.stream.format

    @property
    def metadata(self) -> TraceMetadata:
        """What decides the result beside the rows; loss counts are final once a pass is complete."""
        return self.stream.metadata

    @property
    def losses(self) -> list[Loss]:
        """Kinds of lines that could not be read; final once a pass is complete."""
        return self.stream.losses

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What the parser assumed or noticed; final once a pass is complete."""
        return self.stream.diagnostics

    @property
    def reads_once(self) -> bool:
        """Whether `batches` can be gone through only once."""
        return self._once and self._table is None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all events as record batches of `EVENT_SCHEMA`, in replay order.

        Raises
        ------
        UsageError
            A second pass over an input that can be read only once.
        """
        if self._table is not None:
            yield from self._table.to_batches(max_chunksize=1 << 20)
            return
        if self._spent:
            if self._once:
                raise UsageError(
                    self.path,
                    expected="one pass over an input that cannot be read twice",
                    found="a second one",
                    hint="read `Trace.table` first, or save the input to a file",
                )
            self._stream = None
        self._spent = True
        yield from self.stream.batches()

    @property
    def table(self) -> pa.Table:
        """All events as one Arrow table (kept in memory), its metadata in the schema."""
        if self._table is None:
            batches = list(self.batches())
            schema = schema_with_metadata(self.metadata)
            self._table = (
                pa.Table.from_batches(batches, schema=schema_with_metadata(self.metadata))
                if batches
                else schema.empty_table()
            )
        return self._table

    def to_arrow(self) -> pa.Table:
        """Return all events as an Arrow table: `table`."""
        return self.table

    def to_polars(self) -> pl.DataFrame:
        """Return all events as a Polars frame (kept in memory, as `table` is)."""
        import polars as pl  # not needed to read and replay

        return pl.DataFrame(pl.from_arrow(self.table))

    def to_pandas(self) -> pd.DataFrame:
        """Return all events as a pandas frame."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        return f"<Trace {self.path!r}, {self.format}>"

    def _repr_html_(self) -> str:
        """Show in a notebook what is known without reading the events, and of events that were read the number."""
        rows = [("trace", self.path), ("format", self.format)]
        if self.parts > 1:
            rows.append(("parts", f"{self.parts:,}"))
        if self._table is not None:
            rows.append(("events", f"{self._table.num_rows:,}"))
            rows += [("lost events", f"{self.metadata.lost_events:,}")] * bool(self.metadata.lost_events)
            rows += [("unreadable", f"{loss.count:,}: {loss.reason}") for loss in self.losses]
        else:
            rows.append(
                ("events", "not read yet: .to_polars(), .to_pandas() or .to_arrow() keep them in memory")
            )
        cells = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in rows
        )
        return f"<table>{cells}</table>"
