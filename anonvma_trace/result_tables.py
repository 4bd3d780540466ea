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
_BLOCKS = {"schema", "trace", "scheme", "rules", "options", "vmas", "anon_vmas", "pages", "merges", "reclaim"}


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
            The directory holds no ``summary.json`` of a replay, or a table is missing, damaged or another one.
        """
        directory = Path(directory)
        try:
            summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
            files = table_files(directory)
            schemas = {name: _schema_of(path) for name, path in files.items()}
        except FileNotFoundError as error:
            found = "no summary.json" if directory.is_dir() else "no such directory"
            raise _not_results(directory, found) from error
        except (OSError, ValueError) as error:
            raise _not_results(directory, str(error)) from error
        if not (isinstance(summary, dict) and summary.keys() >= _BLOCKS):
            raise _not_results(directory, "a summary.json of something else")
        if missing := [name for name in TABLES if name not in files]:
            raise _not_results(directory, f"no {missing[0]}.parquet")
        for name, schema in schemas.items():
            if lacking := [column for column in TABLES[name].names if column not in schema.names]:
                raise _not_results(directory, f"no column {lacking[0]} in {name}.parquet")
        return cls(summary, files)


def _schema_of(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except ValueError as error:
        raise ValueError(f"{path.name}, which cannot be read: {error}") from error


def _not_results(directory: Path, found: str) -> TraceAccessError:
    return TraceAccessError(
        str(directory),
        expected="all results of `anonvma-trace replay --out`",
        found=found,
        hint="name a directory that a replay of this version wrote; replay the trace again if files are missing",
    )


def table_files(directory: Path) -> dict[str, Path]:
    """Return the files of the result tables that a directory holds."""
    return {name: path for name in TABLES if (path := directory / f"{name}.parquet").exists()}
