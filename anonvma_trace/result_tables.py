"""`ResultTables`: the result of one replay as frames and a summary, in memory or in a directory."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import TraceAccessError, UsageError
from .tables import TABLES
from .trace import Diagnostic

if TYPE_CHECKING:
    import pandas as pd

_ROWS_AT_ONCE = 1 << 16


class ResultTables:
    """All result tables of a replay and its summary.

    Parameters
    ----------
    summary : dict
        As in ``summary.json``.
    tables : dict of str to pyarrow.Table or Path
        One for each name of `anonvma_trace.tables.TABLES`; a missing one is empty. A Parquet file is read when
        its table is asked for.
    left_out : collection of str, optional
        Tables that were not kept; to ask for one of them is an error, not an empty table.
    """

    def __init__(
        self,
        summary: dict[str, Any],
        tables: Mapping[str, pa.Table | Path],
        left_out: Collection[str] = (),
    ) -> None:
        self.summary = summary
        self._tables: dict[str, pa.Table | Path] = {
            name: tables.get(name, pa.Table.from_batches([], schema))
            for name, schema in TABLES.items()
            if name not in left_out
        }
        self._frames: dict[str, pl.DataFrame] = {}

    def keeps(self, name: str) -> bool:
        """Tell whether there is a table of this name: False if the replay did not keep it."""
        return name in self._tables

    def to_arrow(self, name: str) -> pa.Table:
        """Return one result table as an Arrow table; KeyError for a name that is not in `TABLES`."""
        table = self._table(name)
        # `pq.read_table` would import pandas, through pyarrow.dataset.
        return pq.ParquetFile(table).read() if isinstance(table, Path) else table

    def frame(self, name: str) -> pl.DataFrame:
        """Return one result table as a Polars frame; KeyError for a name that is not in `TABLES`."""
        if name not in self._frames:
            frame = pl.from_arrow(self.to_arrow(name))
            assert isinstance(frame, pl.DataFrame)
            self._frames[name] = frame
        return self._frames[name]

    def lazy(self, name: str) -> pl.LazyFrame:
        """Return one result table as a lazy Polars frame: of a saved one, only what a query needs is read."""
        table = self._table(name)
        return pl.scan_parquet(table) if isinstance(table, Path) else self.frame(name).lazy()

    def height(self, name: str) -> int:
        """Return the number of rows of one result table, without reading them."""
        table = self._table(name)
        return pq.read_metadata(table).num_rows if isinstance(table, Path) else table.num_rows

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one result table, few enough at a time for any memory."""
        table = self._table(name)
        if isinstance(table, Path):
            for batch in pq.ParquetFile(table).iter_batches(_ROWS_AT_ONCE):
                yield batch.cast(TABLES[name])
        else:
            yield from table.to_batches(_ROWS_AT_ONCE)

    def to_pandas(self, name: str) -> pd.DataFrame:
        """Return one result table as a pandas frame; KeyError for a name that is not in `TABLES`."""
        return self.to_arrow(name).to_pandas()

    def add_diagnostics(self, told: Iterable[Diagnostic]) -> None:
        """Add rows to the table `diagnostics`; event and line 0 become null. A saved table stays as it is on disk."""
        rows = [
            {
                "severity": each.severity,
                "event": each.event or None,
                "line": each.line or None,
                "code": each.code,
                "message": each.message,
            }
            for each in told
        ]
        added = pa.Table.from_pylist(rows, schema=TABLES["diagnostics"])
        self._tables["diagnostics"] = pa.concat_tables(
            [self.to_arrow("diagnostics"), added]
        ).unify_dictionaries()
        self._frames.pop("diagnostics", None)

    def _table(self, name: str) -> pa.Table | Path:
        if name in TABLES and name not in self._tables:
            raise UsageError(
                f"table {name}",
                expected="a table that this replay kept",
                found=f"it kept {', '.join(self._tables) or 'none'}",
                hint="replay without `tables=`, or name this table there",
            )
        return self._tables[name]

    @classmethod
    def load(cls, directory: str | Path) -> ResultTables:
        """Open the results that a directory holds; tables are read when they are used.

        Raises
        ------
        TraceAccessError
            The directory holds no ``summary.json``, or a table in it cannot be read.
        """
        directory = Path(directory)
        try:
            summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
            files = table_files(directory)
            for path in files.values():
                pq.read_metadata(path)
        except (OSError, ValueError) as error:
            raise TraceAccessError(
                str(directory),
                expected="the results of `anonvma-trace replay --out`",
                found=str(error),
                hint="name the directory that a replay wrote, or a trace",
            ) from error
        return cls(summary, files)


def table_files(directory: Path) -> dict[str, Path]:
    """Return the files of the result tables that a directory holds."""
    return {name: path for name in TABLES if (path := directory / f"{name}.parquet").exists()}
