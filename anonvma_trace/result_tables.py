"""`ResultTables`: the result of one replay as frames and a summary, in memory or in a directory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import OutputError, TraceAccessError
from .tables import TABLES
from .trace import Diagnostic

if TYPE_CHECKING:
    import pandas as pd


class ResultTables:
    """All result tables of a replay and its summary.

    Parameters
    ----------
    summary : dict
        As in ``summary.json``.
    tables : dict of str to pyarrow.Table
        One table for each name of `anonvma_trace.tables.TABLES`; a missing one is empty.
    """

    def __init__(self, summary: dict[str, Any], tables: dict[str, pa.Table]) -> None:
        self.summary = summary
        self._tables = {
            name: tables.get(name, pa.Table.from_batches([], schema)) for name, schema in TABLES.items()
        }
        self._frames: dict[str, pl.DataFrame] = {}

    def to_arrow(self, name: str) -> pa.Table:
        """Return one result table as an Arrow table; KeyError for a name that is not in `TABLES`."""
        return self._tables[name]

    def frame(self, name: str) -> pl.DataFrame:
        """Return one result table as a Polars frame; KeyError for a name that is not in `TABLES`."""
        if name not in self._frames:
            frame = pl.from_arrow(self._tables[name])
            assert isinstance(frame, pl.DataFrame)
            self._frames[name] = frame
        return self._frames[name]

    def to_pandas(self, name: str) -> pd.DataFrame:
        """Return one result table as a pandas frame; KeyError for a name that is not in `TABLES`."""
        return self._tables[name].to_pandas()

    def add_diagnostics(self, told: Iterable[Diagnostic]) -> None:
        """Add rows to the table `diagnostics`; event and line 0 become null."""
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
            [self._tables["diagnostics"], added]
        ).unify_dictionaries()
        self._frames.pop("diagnostics", None)

    def save(self, directory: str | Path) -> None:
        """Write every table as ``NAME.parquet`` and the summary as ``summary.json`` into `directory`.

        Each file is written under a temporary name and then renamed: none is ever half there.

        Raises
        ------
        OutputError
            The directory cannot be made or written.
        """
        directory = Path(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for name, table in self._tables.items():
                temporary = directory / f".{name}.parquet.tmp"
                pq.write_table(table, temporary, compression="zstd")
                temporary.replace(directory / f"{name}.parquet")
            temporary = directory / ".summary.json.tmp"
            temporary.write_text(json.dumps(self.summary, indent=2) + "\n", encoding="utf-8")
            temporary.replace(directory / "summary.json")
        except OSError as error:
            raise OutputError(
                str(directory),
                expected="a directory that can be written",
                found=error.strerror or str(error),
                hint="choose another --out directory, or mend its permissions",
            ) from error

    @classmethod
    def load(cls, directory: str | Path) -> ResultTables:
        """Read what `save` wrote.

        Raises
        ------
        TraceAccessError
            The directory holds no ``summary.json``, or a table in it cannot be read.
        """
        directory = Path(directory)
        path = directory / "summary.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            tables = {
                name: pq.read_table(directory / f"{name}.parquet")
                for name in TABLES
                if (directory / f"{name}.parquet").exists()
            }
        except (OSError, ValueError) as error:
            raise TraceAccessError(
                str(directory),
                expected="the results of `anonvma-trace replay --out`",
                found=str(error),
                hint="name the directory that a replay wrote, or a trace",
            ) from error
        return cls(summary, tables)
