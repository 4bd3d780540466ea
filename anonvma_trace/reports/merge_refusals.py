"""Merge refusals: which attempts to merge vmas succeeded, which sides were refused, and why.

An attempt looks at two sides, the vma before the range (left) and the one after it (right). A side is `ok`,
`not_adjacent` (there is no neighbour to merge with: not a refusal) or refused for one reason. An attempt
that merged can still hold a refusal: that of its other side.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ..events import PAGE_SIZE
from ..result_tables import ResultTables
from ..tables import MERGE_REASONS, MERGE_SIDES
from .process_names import process_names
from .shares import row_count, share_of_sum, true_count

MERGE_CASES = {
    1: ("both sides, around a hole", "PPPP rrrr NNNN → PPPPPPPPPPPP"),
    2: ("left side, into a hole", "PPPP rrrr .... → PPPPPPPP ...."),
    3: ("right side, into a hole", ".... rrrr NNNN → .... NNNNNNNN"),
    4: ("right side; the range is the tail of P", "PPPPrrrr NNNN → PPPP NNNNNNNN"),
    5: ("left side; the range is the head of X", "PPPP rrrrXXXX → PPPPPPPP XXXX"),
    6: ("both sides; the range is all of its vma", "PPPP rrrr NNNN → PPPPPPPPPPPP"),
    7: ("left side; the range is all of its vma", "PPPP rrrr NNNN → PPPPPPPP NNNN"),
    8: ("right side; the range is all of its vma", "PPPP rrrr NNNN → PPPP rrrrrrrr"),
}
"""The eight cases of the comment above `vma_merge`: what merges, and a picture (r is the range)."""

REASON_MEANINGS = {
    "special": "the request has VM_IO, VM_DONTCOPY, VM_DONTEXPAND or VM_RESERVED; counted for both sides",
    "policy": "the memory policies differ",
    "flags": "vm_flags differ (protection, accounting, locking, …)",
    "file": "they do not map the same file",
    "close_op": "vm_ops has a close function",
    "anon_diff": "both have an anon_vma, and not the same one",
    "pgoff_anon": "anonymous, and vm_pgoff does not go on where the neighbour's ends",
    "pgoff_file": "the file offset does not go on where the neighbour's ends",
    "prev_next": "each side fits, but the two neighbours have different anon_vmas; the right side is refused",
    "cloned": "one has an anon_vma, the other none, and a fork shares it",
}
"""What each reason of `MERGE_REASONS` means, in the order of the tests."""


@dataclass(frozen=True)
class MissingNeighbours:
    """Sides with nothing to merge with; none of them is a refusal.

    Attributes
    ----------
    left, right : int
        Attempts whose left (right) side was `not_adjacent`.
    both : int
        Attempts without a neighbour on either side.
    """

    left: int
    right: int
    both: int


def refused_sides(results: ResultTables) -> pl.DataFrame:
    """Return every refusal: one row for each refused side of each attempt.

    Returns
    -------
    polars.DataFrame
        ``event``, ``pid``, ``op``, ``addr``, ``len`` (bytes), ``side`` (`left` or `right`), ``reason``,
        ``new`` (bool: the rules before rmap 39 would have accepted this side in the same state),
        ``pgoff_anon_vma`` (`same` or `null`, on the side it tells of, else null), ``self`` (bool: a
        neighbour of this attempt is the vma that is being moved; the table does not tell which side).
    """
    return (
        refusals_of(results)
        .with_columns(pl.col("op", "side", "reason", "pgoff_anon_vma").cast(pl.String))
        .sort("event", "side")
        .collect()
    )


def refusals_of(results: ResultTables) -> pl.LazyFrame:
    """Return the rows of `refused_sides` unordered, names still categorical: quicker to group."""
    merges = results.lazy("merges")
    # pgoff_anon_vma tells of the left side if that was refused for pgoff_anon, else of the right one.
    tells_of_left = (pl.col("left") == "pgoff_anon").fill_null(False)
    return pl.concat([_one_side(merges, "left", tells_of_left), _one_side(merges, "right", ~tells_of_left)])


def _one_side(merges: pl.LazyFrame, side: str, mark_tells_of_it: pl.Expr) -> pl.LazyFrame:
    return merges.filter(_is_refused(side)).select(
        "event",
        "pid",
        "op",
        "addr",
        "len",
        pl.lit(side, dtype=pl.Enum(["left", "right"])).alias("side"),
        pl.col(side).cast(pl.Enum(MERGE_SIDES)).alias("reason"),
        pl.col(f"{side}_new").fill_null(False).alias("new"),
        pl.when(mark_tells_of_it).then(pl.col("pgoff_anon_vma")).alias("pgoff_anon_vma"),
        pl.col("self").fill_null(False),
    )


def _is_refused(side: str) -> pl.Expr:
    return (pl.col(side) != "ok") & (pl.col(side) != "not_adjacent")


def merge_cases(results: ResultTables) -> pl.DataFrame:
    """Count the attempts by the case that `vma_merge` took, from the summary.

    Returns
    -------
    polars.DataFrame
        ``case`` (1-8, or `none`), ``name``, ``picture``, ``attempts``, ``share`` (of all attempts; null if
        there are none).
    """
    merges = results.summary["merges"]
    rows = [
        (str(case), name, picture, merges["by_case"][str(case)])
        for case, (name, picture) in MERGE_CASES.items()
    ]
    rows.append(("none", "nothing merged", "", merges["attempts"] - merges["merged"]))
    schema = {"case": pl.String, "name": pl.String, "picture": pl.String, "attempts": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(share=share_of_sum("attempts"))


def refusals_by_reason(results: ResultTables) -> pl.DataFrame:
    """Count the refusals by reason.

    Returns
    -------
    polars.DataFrame
        ``reason``, ``meaning``, ``refusals`` (of the summary), ``left``, ``right``, ``new`` (with rmap 39),
        ``not_new`` (of the table `merges`), ``share`` (of all refusals); reasons that refused nothing are
        left out; in the order of the tests.
    """
    refused = results.summary["merges"]["refused"]
    totals = pl.DataFrame(
        [(reason, REASON_MEANINGS[reason], refused[reason]) for reason in MERGE_REASONS if refused[reason]],
        schema={"reason": pl.String, "meaning": pl.String, "refusals": pl.Int64},
        orient="row",
    )
    sides = refusals_of(results).group_by("reason").agg(*_refusal_counts()).drop("refusals").collect()
    sides = sides.with_columns(pl.col("reason").cast(pl.String))
    return (
        totals.join(sides, on="reason", how="left", maintain_order="left")
        .with_columns(pl.col("left", "right", "new").fill_null(0))
        .with_columns(
            share=share_of_sum("refusals"), not_new=pl.col("left") + pl.col("right") - pl.col("new")
        )
        .select("reason", "meaning", "refusals", "left", "right", "new", "not_new", "share")
    )


def attempts_by_operation(results: ResultTables) -> pl.DataFrame:
    """Count attempts and refusals by the operation that asked for the merge.

    Returns
    -------
    polars.DataFrame
        ``operation``, ``attempts``, ``merged``, ``no_neighbour`` (attempts with both sides `not_adjacent`),
        ``refused`` (attempts in which nothing merged and at least one side was refused), ``refusals``
        (sides), ``left``, ``right``, ``new``; most attempts first.
    """
    counts = _attempts_by(results, "op").rename({"op": "operation"})
    return counts.with_columns(pl.col("operation").cast(pl.String)).sort(
        ["attempts", "operation"], descending=[True, False]
    )


def attempts_by_process(results: ResultTables) -> pl.DataFrame:
    """Count attempts and refusals by process.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, then the columns of `attempts_by_operation`; most refusals first.
    """
    counts = _attempts_by(results, "pid").join(process_names(results.lazy("processes")), on="pid", how="left")
    return counts.select("pid", "comm", pl.exclude("pid", "comm")).sort(
        ["refusals", "attempts", "pid"], descending=[True, True, False], nulls_last=True
    )


def _attempts_by(results: ResultTables, key: str) -> pl.DataFrame:
    left, right = _is_refused("left").fill_null(False), _is_refused("right").fill_null(False)
    alone = (pl.col("left") == "not_adjacent") & (pl.col("right") == "not_adjacent")
    new = true_count(left & pl.col("left_new")) + true_count(right & pl.col("right_new"))
    return (
        results.lazy("merges")
        .group_by(key)
        .agg(
            row_count().alias("attempts"),
            true_count(pl.col("case") > 0).alias("merged"),
            true_count(alone).alias("no_neighbour"),
            true_count((pl.col("case") == 0) & (left | right)).alias("refused"),
            (true_count(left) + true_count(right)).alias("refusals"),
            true_count(left).alias("left"),
            true_count(right).alias("right"),
            new.alias("new"),
        )
        .collect()
    )


def most_refused_ranges(results: ResultTables) -> pl.DataFrame:
    """Rank the address ranges by how often they were refused for the same reason.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, ``start``, ``end`` (bytes, end excluded), ``pages``, ``operation``, ``reason``,
        ``refusals`` (sides), ``left``, ``right``, ``new``, ``first_event``, ``last_event``; most refusals
        first, among equals those with most new ones.
    """
    names = process_names(results.lazy("processes")).lazy()
    return (
        refusals_of(results)
        .group_by("pid", "addr", "len", "op", "reason")
        .agg(
            *_refusal_counts(),
            pl.col("event").min().alias("first_event"),
            pl.col("event").max().alias("last_event"),
        )
        .sort(
            ["refusals", "new", "first_event", "left", "reason", "last_event", "addr"],
            descending=[True, True, False, True, False, False, False],
        )
        .join(names, on="pid", how="left", maintain_order="left")
        .select(
            "pid",
            "comm",
            pl.col("addr").alias("start"),
            (pl.col("addr") + pl.col("len")).alias("end"),
            (pl.col("len") // PAGE_SIZE).cast(pl.Int64).alias("pages"),
            pl.col("op").cast(pl.String).alias("operation"),
            pl.col("reason").cast(pl.String),
            "refusals",
            "left",
            "right",
            "new",
            "first_event",
            "last_event",
        )
        .collect()
    )


def pgoff_anon_marks(results: ResultTables) -> pl.DataFrame:
    """Tell whose anon_vmas met where anonymous vmas were refused for their vm_pgoff.

    Returns
    -------
    polars.DataFrame
        ``mark`` (`same`: range and neighbour hold one and the same anon_vma; `null`: one of them has none),
        ``refusals``.
    """
    return (
        refusals_of(results)
        .filter((pl.col("reason") == "pgoff_anon") & pl.col("pgoff_anon_vma").is_not_null())
        .group_by(pl.col("pgoff_anon_vma").cast(pl.String).alias("mark"))
        .agg(row_count().alias("refusals"))
        .sort("mark", descending=True)
        .collect()
    )


def missing_neighbours(results: ResultTables) -> MissingNeighbours:
    """Count the sides that had no neighbour to merge with."""
    left, right = (pl.col(side) == "not_adjacent" for side in ("left", "right"))
    sums = [
        true_count(left).alias("left"),
        true_count(right).alias("right"),
        true_count(left & right).alias("both"),
    ]
    return MissingNeighbours(**results.lazy("merges").select(sums).collect().row(0, named=True))


def own_source_attempts(results: ResultTables) -> int:
    """Count the attempts that had the vma being moved as a neighbour of its own destination (mark `self`)."""
    return int(results.lazy("merges").select(pl.col("self").sum()).collect().item())


def _refusal_counts() -> tuple[pl.Expr, ...]:
    return (
        row_count().alias("refusals"),
        true_count(pl.col("side") == "left").alias("left"),
        true_count(pl.col("side") == "right").alias("right"),
        true_count(pl.col("new")).alias("new"),
    )
