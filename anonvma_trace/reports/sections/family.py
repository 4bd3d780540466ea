"""The section on the fork family."""

from __future__ import annotations

import polars as pl

from ...result_tables import ResultTables
from ..coverage import Coverage, coverage, of_sample
from ..document import Block, Column, FamilyFigure, Part, Section, Table
from ..family import LINKS_DRAWN, family, sharing, tree_places, with_ancestors
from ..numbers import counted, share_text
from ..process_names import process_text

_INTRODUCTION = (
    "A fork gives the child a copy of each vma and puts it on the list of the same anon_vma. From then on walks for "
    "pages of the one go over the vmas of the other too."
)
_EXPLANATION = (
    "Points are processes, each below the one that forked it (thin lines); coloured lines join the process that "
    "allocated an anon_vma with those that ever had a vma on its list."
)


def family_section(results: ResultTables) -> Section:
    """Return the section on the fork family."""
    everyone = family(results)
    if everyone.is_empty():
        part = Part("No processes", "The table of processes is empty.")
    else:
        part = _family(everyone, sharing(results), coverage(results, "walks"))
    return Section("Fork family", "family", _INTRODUCTION, (part,))


def _family(everyone: pl.DataFrame, links: pl.DataFrame, walks: Coverage) -> Part:
    drawn = with_ancestors(everyone)
    pids = drawn["pid"].to_list()
    places = tree_places(dict(drawn.select("pid", "parent").iter_rows()))
    by_cost = bool(everyone["vmas_visited"].sum())
    both_drawn = pl.col("owner").is_in(pids) & pl.col("sharer").is_in(pids)
    shown_links = links.filter(both_drawn).head(LINKS_DRAWN)
    link_table = _link_table(links, shown_links)
    figure = FamilyFigure(
        _process_table(everyone, drawn),
        link_table,
        tuple(places[pid] for pid in pids),
        "vmas_visited" if by_cost else "vmas_peak",
        "vmas_visited" if shown_links["vmas_visited"].sum() else "anon_vmas",
    )
    no_visits = "Visits of processes were not kept" if walks.is_left_out else "No vma was visited"
    sizes = (
        "Size and width: vmas visited."
        if by_cost
        else f"{no_visits}: size is the most vmas of a process, width the anon_vmas shared."
    )
    blocks: tuple[Block, ...] = (of_sample(figure, walks) if by_cost else figure,)
    reading = _reading(everyone, links, drawn.height)
    return Part(
        "Who shares anon_vmas with whom",
        reading if walks.is_full else f"{walks.describe()} {reading}",
        (*blocks, link_table) if links.height else blocks,
        f"{_EXPLANATION} {sizes}",
    )


def _process_table(everyone: pl.DataFrame, drawn: pl.DataFrame) -> Table:
    columns = (
        Column("pid", "pid", "text"),
        Column("comm", "process", "text"),
        Column("parent", "forked by", "text"),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("walks", "walks", summed=True),
        Column("owned", "anon_vmas allocated", summed=True),
        Column("shared", "anon_vmas of others"),
        Column("vmas_peak", "most vmas"),
    )
    others = everyone.filter(~pl.col("pid").is_in(drawn["pid"].to_list()))
    return _split(
        "Processes of the family",
        columns,
        drawn,
        others,
        "vmas visited: in walks for pages that the process was the first to map. anon_vmas of others: on whose list it "
        "ever had a vma.",
    )


def _link_table(links: pl.DataFrame, shown: pl.DataFrame) -> Table:
    columns = (
        Column("owner", "allocated by", "text"),
        Column("sharer", "shared by", "text"),
        Column("anon_vmas", "anon_vmas shared", summed=True),
        Column("vmas_visited", "vmas visited on their lists"),
    )
    others = links.join(shown.select("owner", "sharer"), on=["owner", "sharer"], how="anti")
    note = "The visits of a list count for each process that shares it, so that the column has no sum."
    return _split("Shared anon_vmas", columns, shown, others, note)


def _split(
    title: str, columns: tuple[Column, ...], shown: pl.DataFrame, others: pl.DataFrame, note: str
) -> Table:
    """Return a table of the rows that are drawn, the others summed up in its last row."""
    table = Table.from_frame(title, columns, shown, limit=None, note=note)
    if others.is_empty():
        return table
    rest = tuple(others[column.name].sum() if column.summed else None for column in columns)
    return Table(title, table.columns, table.rows, others.height, rest, note)


def _reading(everyone: pl.DataFrame, links: pl.DataFrame, drawn: int) -> str:
    forked = int(everyone["parent"].is_in(everyone["pid"].to_list()).sum())
    reading = f"{counted(everyone.height, 'process')}, {forked:,} of them forked by another one of the trace"
    sharing_ones = int((everyone["shared"] > 0).sum())
    if not links.height:
        return f"{reading}; no anon_vma was shared by two of them."
    reading += f"; {counted(sharing_ones, 'process')} had a vma on the list of another's anon_vma."
    names = dict(everyone.select("pid", "comm").iter_rows())
    first = links.row(0, named=True)
    owner, sharer = (process_text(first[role], names.get(first[role])) for role in ("owner", "sharer"))
    shared = counted(first["anon_vmas"], "anon_vma")
    if first["vmas_visited"]:
        reading += (
            f" The dearest to share: {sharer} has vmas on the lists of {shared} of {owner}, and walks of these lists "
            f"visited {counted(first['vmas_visited'], 'vma')}."
        )
    else:
        reading += f" Most are shared by {sharer}: {shared} of {owner}."
    if drawn < everyone.height:
        reading += f" The picture has {drawn:,} of them ({share_text(drawn, everyone.height)})."
    return reading
