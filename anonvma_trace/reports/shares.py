"""Shares and averages as expressions over a frame; null where the whole is 0, for then there is none."""

from __future__ import annotations

import polars as pl


def share_of_sum(column: str) -> pl.Expr:
    """Each value's share of the column's sum, a fraction of 1."""
    total = pl.col(column).sum()
    return pl.when(total > 0).then(pl.col(column) / total)


def average(total: str, rows: str) -> pl.Expr:
    """One column divided by another."""
    return pl.when(pl.col(rows) > 0).then(pl.col(total) / pl.col(rows))


def row_count() -> pl.Expr:
    """Rows of a group, as int64 like every other count."""
    return pl.len().cast(pl.Int64)


def true_count(condition: pl.Expr) -> pl.Expr:
    """Rows of a group for which a condition holds, as int64."""
    return condition.sum().cast(pl.Int64)
