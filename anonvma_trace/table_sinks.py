"""Where a replay's result tables go while it runs: into memory, or batch by batch into Parquet files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import OutputError
from .result_tables import ResultTables, table_files
from .tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_AT_ONCE = 1 << 16
"""Rows of a table that wait before they are written: one row group of its Parquet file."""


class TableSink(Protocol):
    """Takes the rows of result tables as they come."""

    def wants(self, name: str) -> bool:
        """Tell whether rows of this table are kept; those of another need not be made."""
        ...

    def add(self, name: str, batch: pa.RecordBatch) -> None:
        """Take the next rows of a table."""
        ...

    def restart(self) -> None:
        """Forget all rows: the replay begins anew."""
        ...

    def finish(self, summary: dict[str, Any]) -> ResultTables:
        """Return the results when the last row has been added; nothing can be added any more."""
        ...


class TablesInMemory:
    """Keeps result tables as Arrow tables.

    Parameters
    ----------
    names : collection of str, optional
        Tables to keep; by default all.
    """

    def __init__(self, names: Collection[str] = tuple(TABLES)) -> None:
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES if name in names}

    def wants(self, name: str) -> bool:
        """Tell whether rows of this table are kept."""
        return name in self._batches

    def add(self, name: str, batch: pa.RecordBatch) -> None:
        """Keep the next rows of a table, if it is one of those to keep."""
        if name in self._batches:
            self._batches[name].append(batch)

    def restart(self) -> None:
        """Forget all rows: the replay begins anew."""
        self._batches = {name: [] for name in self._batches}

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables that have rows so far."""
        return {name: _one_table(name, batches) for name, batches in self._batches.items() if batches}

    def finish(self, summary: dict[str, Any]) -> ResultTables:
        """Return the results; a table that was not kept cannot be asked for."""
        return ResultTables(
            summary, self.tables(), left_out=[name for name in TABLES if not self.wants(name)]
        )


class TablesOnDisk:
    """Writes result tables as ``NAME.parquet`` into a directory while they grow.

    Every file has a temporary name until `finish`, which renames them all and adds ``summary.json``: what a replay
    that failed or was interrupted leaves behind is what was there before. Use it as a context manager.

    Parameters
    ----------
    directory : str or Path
        Made if need be.

    Raises
    ------
    OutputError
        The directory cannot be made or written; also from `add` and `finish`.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._begin()

    def _begin(self) -> None:
        self._waiting: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES}
        self._n_waiting = dict.fromkeys(TABLES, 0)
        with self._telling():
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                for name, schema in TABLES.items():
                    self._writers[name] = pq.ParquetWriter(self._temporary(name), schema, compression="zstd")
            except BaseException:
                self._discard()
                raise

    def __enter__(self) -> TablesOnDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._discard()  # nothing is left to discard after `finish`

    def wants(self, name: str) -> bool:
        """Return True: all tables are written."""
        return True

    def add(self, name: str, batch: pa.RecordBatch) -> None:
        """Take the next rows of a table; they are written when enough have come."""
        self._waiting[name].append(batch)
        self._n_waiting[name] += batch.num_rows
        if self._n_waiting[name] >= ROWS_AT_ONCE:
            with self._telling():
                self._write(name)

    def restart(self) -> None:
        """Forget all rows: the replay begins anew."""
        self._discard()
        self._begin()

    def finish(self, summary: dict[str, Any]) -> ResultTables:
        """Write what waits, give all files their names, and return the results, which are read when they are used."""
        with self._telling():
            for name, writer in self._writers.items():
                self._write(name)
                writer.close()
            (self.directory / "summary.json").unlink(missing_ok=True)  # it stands for complete results
            for name in self._writers:
                self._temporary(name).replace(self.directory / f"{name}.parquet")
            write_summary(summary, self.directory)
        self._writers.clear()
        return ResultTables(summary, table_files(self.directory))

    def _write(self, name: str) -> None:
        batches = self._waiting[name]
        if batches:
            self._writers[name].write_table(_one_table(name, batches), row_group_size=2 * ROWS_AT_ONCE)
            self._waiting[name], self._n_waiting[name] = [], 0

    def _discard(self) -> None:
        """Close and remove what is not finished."""
        for name, writer in self._writers.items():
            with suppress(OSError):
                writer.close()
            with suppress(OSError):
                self._temporary(name).unlink(missing_ok=True)
        self._writers.clear()

    def _temporary(self, name: str) -> Path:
        return self.directory / f".{name}.parquet.tmp"

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn an error of the file system into one that says what to do."""
        try:
            yield
        except OSError as error:
            raise OutputError(
                str(self.directory),
                expected="a directory that can be written",
                found=error.strerror or str(error),
                hint="choose another --out directory, or mend its permissions",
            ) from error


def _one_table(name: str, batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches, TABLES[name]).unify_dictionaries()


def write_summary(summary: Mapping[str, Any], directory: Path) -> None:
    """Write ``summary.json`` under a temporary name, then rename it."""
    temporary = directory / ".summary.json.tmp"
    try:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        temporary.replace(directory / "summary.json")
    finally:
        temporary.unlink(missing_ok=True)


def save_results(results: ResultTables, directory: str | Path) -> None:
    """Write results that a program has into a directory, like those of a replay that wrote there.

    Raises
    ------
    OutputError
        The directory cannot be made or written.
    """
    with TablesOnDisk(directory) as files:
        for name in TABLES:
            for batch in results.batches(name):
                files.add(name, batch)
        files.finish(results.summary)
