"""The fork family: who forked whom, which anon_vmas they share, and what the walks of their lists cost.

An anon_vma belongs to the process that allocated it, its owner. Every other process that ever had a vma on its list
shares it. Processes are told apart by pid: the lives of a pid that was used again are one process here.
"""

from __future__ import annotations

import polars as pl

from ..result_tables import ResultTables
from .process_names import process_names
from .shares import row_count

DRAWN = 60  # processes of the picture
LINKS_DRAWN = 200


def family(results: ResultTables) -> pl.DataFrame:
    """Return the processes with what they share and what it costs.

    Returns
    -------
    polars.DataFrame
        ``pid``, ``comm``, ``parent`` (that forked it; of several lives the first), ``walks``, ``vmas_visited`` (in
        walks for pages that it was the first to map), ``owned`` (anon_vmas that it allocated), ``shared`` (anon_vmas
        of others on whose list it had a vma), ``vmas_peak``; dearest first, then by shared, owned and pid.
    """
    processes = results.lazy("processes")
    names = process_names(results.frame("processes")).lazy()
    lives = (
        processes.sort("first_event", maintain_order=True)
        .group_by("pid", maintain_order=True)
        .agg(pl.col("parent").drop_nulls().first(), pl.col("vmas_peak").max())
    )
    walks = results.lazy("walks").group_by("pid").agg(row_count().alias("walks"), _visits())
    owned = results.lazy("anon_vmas").group_by("pid").agg(row_count().alias("owned"))
    shared = _sharing(results).group_by("sharer").agg(row_count().alias("shared")).rename({"sharer": "pid"})
    counts = ("walks", "vmas_visited", "owned", "shared", "vmas_peak")
    return (
        lives.join(names, on="pid", how="left")
        .join(walks, on="pid", how="left")
        .join(owned, on="pid", how="left")
        .join(shared, on="pid", how="left")
        .with_columns(pl.col(counts).fill_null(0))
        .select("pid", "comm", "parent", *counts)
        .sort(
            ["vmas_visited", "shared", "owned", "pid"], descending=[True, True, True, False], nulls_last=True
        )
        .collect()
    )


def sharing(results: ResultTables) -> pl.DataFrame:
    """Return which processes share anon_vmas.

    Returns
    -------
    polars.DataFrame
        ``owner``, ``sharer`` (pids), ``anon_vmas`` (of the owner, on whose list the sharer had a vma),
        ``vmas_visited`` (in all walks of the lists of these anon_vmas); most visits first.
    """
    return (
        _sharing(results)
        .group_by("owner", "sharer")
        .agg(row_count().alias("anon_vmas"), _visits())
        .sort(["vmas_visited", "anon_vmas", "owner", "sharer"], descending=[True, True, False, False])
        .collect()
    )


def _sharing(results: ResultTables) -> pl.LazyFrame:
    owners = results.lazy("anon_vmas").select("anon_vma", pl.col("pid").alias("owner"), "vmas_visited")
    members = results.lazy("members").select("anon_vma", pl.col("pid").alias("sharer"))
    return members.join(owners, on="anon_vma").filter(pl.col("owner") != pl.col("sharer"))


def _visits() -> pl.Expr:
    return pl.col("vmas_visited").sum()


def with_ancestors(frame: pl.DataFrame, limit: int = DRAWN) -> pl.DataFrame:
    """Return the first rows of `family` and the ancestors that join them, at most about `limit` processes."""
    parents = dict(frame.select("pid", "parent").iter_rows())
    chosen: dict[int, None] = {}
    for pid in frame["pid"]:
        line = []
        at = pid
        while at is not None and at in parents and at not in chosen and at not in line:
            line.append(at)
            at = parents[at]
        if len(chosen) + len(line) > limit and chosen:
            break
        chosen.update(dict.fromkeys(line))
    return frame.filter(pl.col("pid").is_in(list(chosen)))


def tree_places(parents: dict[int, int | None]) -> dict[int, tuple[float, float]]:
    """Place each process below the one that forked it.

    Parameters
    ----------
    parents : dict of int to int or None
        Parent of each pid. One that is not among the pids counts as none, and so does one that would close a circle
        (a pid used again by a descendant).

    Returns
    -------
    dict of int to (float, float)
        Share of the width from the left, generations from above.
    """
    children: dict[int | None, list[int]] = {}
    for pid in parents:
        children.setdefault(_parent(parents, pid), []).append(pid)
    places: dict[int, tuple[float, float]] = {}
    leaves = 0
    stack = [(pid, 0, False) for pid in reversed(children.get(None, []))]
    while stack:  # not recursive: a family can be deeper than Python's stack
        pid, depth, is_placed_below = stack.pop()
        below = children.get(pid, [])
        if below and not is_placed_below:
            stack.append((pid, depth, True))
            stack.extend((child, depth + 1, False) for child in reversed(below))
        elif below:
            places[pid] = ((places[below[0]][0] + places[below[-1]][0]) / 2, depth)
        else:
            places[pid] = (leaves + 0.5, depth)
            leaves += 1
    return {pid: (x / max(leaves, 1), depth) for pid, (x, depth) in places.items()}


def _parent(parents: dict[int, int | None], pid: int) -> int | None:
    parent = parents[pid]
    met, at = {pid}, parent
    while at is not None and at in parents:
        if at in met:
            return None if at == pid else parent
        met.add(at)
        at = parents[at]
    return parent if parent in parents else None
