"""What the processes of a replay were called."""

from __future__ import annotations

import polars as pl

NAMES_SHOWN = 3


def process_names(processes: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Return one name for each pid, for tables that know a process by its pid alone.

    Parameters
    ----------
    processes : polars.DataFrame or LazyFrame
        The result table `processes`: one row for each life of a pid.

    Returns
    -------
    polars.DataFrame
        ``pid`` (int64), ``comm`` (String): the names of all its lives in order of time, joined by ``, ``;
        after three of them an ellipsis; null where none is known.
    """
    named = (
        processes.lazy()
        .select("pid", "first_event", pl.col("comm").cast(pl.String))
        .drop_nulls("comm")
        .sort("first_event", maintain_order=True)
        .group_by("pid", maintain_order=True)
        .agg(pl.col("comm").unique(maintain_order=True))
    )
    joined = pl.col("comm").list.head(NAMES_SHOWN).list.join(", ")
    more = pl.when(pl.col("comm").list.len() > NAMES_SHOWN).then(pl.lit(", …")).otherwise(pl.lit(""))
    return named.with_columns(joined + more).collect()


def process_text(pid: int | None, comm: str | None) -> str:
    """Return a process as it stands in running text: ``pid 100 “server”``."""
    if pid is None:
        return "an unknown process"
    return f"pid {pid} “{comm}”" if comm else f"pid {pid}"
