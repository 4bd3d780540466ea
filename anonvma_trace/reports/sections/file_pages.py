"""The section on file pages: the other side of rmap.c, apart from the anonymous figures."""

from __future__ import annotations

import polars as pl

from ...result_tables import ResultTables
from .. import file_walks
from ..coverage import coverage, covered_part, of_sample
from ..document import BarFigure, Column, Part, Section, Table
from ..numbers import counted, format_value, share_text
from ..reclaim_cost import visited_distribution, walk_outcomes

_INTRODUCTION = (
    "The pages of files are found by another way, which rmap 39 touches too: the vmas of the file that cover "
    "the page's place in it. A copy that a private vma made is an anonymous page and not here. No figure of "
    "this section is part of any other."
)

_TOTALS = (
    ("pages", "times that reclaim looked at a file page"),
    ("walks", "rmap walks of file pages, of both purposes (referenced, unmap)"),
    ("vmas_visited", "vmas visited in them"),
    ("hits", "visits that found the page"),
    ("ptes_read", "visits that got as far as reading a pte (hit, miss_none, miss_swap, miss_other)"),
    ("list_length_sum", "vmas that covered the walked pages: the visits if no walk stopped early"),
    ("early_stops", "walks that stopped with some of these vmas unvisited"),
    ("unreachable", "mappings that walks should have found and did not"),
    ("activated", "pages sent to the active list instead of being freed"),
    ("unmapped", "pages whose last pte was taken away"),
    ("locked_fail", "unmap walks that ended at a vma that is locked or reserved"),
    ("young_fail", "unmap walks that ended at a pte that had just been used"),
    ("clusters", "clusters of 32 pages swept in nonlinear vmas (remap_file_pages)"),
    ("ptes_swept", "ptes looked at in these clusters"),
    ("unmapped_other", "pages unmapped there that were not the page sought"),
)


_PER_WALK = "Vmas visited per walk of a file page"


def file_pages_section(results: ResultTables) -> Section:
    """Return the section on walks of file pages."""
    if results.summary["file_reclaim"]["walks"]:
        parts: tuple[Part, ...] = (
            _visits(results),
            _per_walk(results),
            covered_part(results, "file_walks", _outcomes),
            covered_part(results, "file_walks", _files),
        )
    else:
        parts = (_nothing_walked(results),)
    return Section("File pages", "file-pages", _INTRODUCTION, parts)


def _nothing_walked(results: ResultTables) -> Part:
    reading = "No file page was walked."
    if not results.summary["file_reclaim"]["pages"]:
        reading += (
            " No event names a mapped page of a file: such an event is a reclaim row with file and pgoff."
        )
    return Part("No walks of file pages", reading)


def _visits(results: ResultTables) -> Part:
    reclaim = results.summary["file_reclaim"]
    visited, hits = reclaim["vmas_visited"], reclaim["hits"]
    reading = (
        f"{counted(reclaim['walks'], 'walk')} in {counted(reclaim['pages'], 'look')} at file pages made "
        f"{counted(visited, 'visit')} to vmas; {share_text(hits, visited)} of the visits were hits."
    )
    columns = (
        Column("result", "visit", "code"),
        Column("visits", "visits", summed=True),
        Column("share", "share", "share", summed=True),
        Column("meaning", "what it means", "text"),
    )
    figure = Table.from_frame(
        "Visits of file pages by result", columns, file_walks.file_visit_results(results)
    )
    totals = Table(
        "Totals of the walks of file pages",
        (
            Column("figure", "figure", "code"),
            Column("value", "number", "figure"),
            Column("meaning", "what it counts", "text"),
        ),
        tuple((name, reclaim[name], meaning) for name, meaning in _TOTALS),
    )
    return Part(
        "What the visits to file pages came to",
        reading,
        (BarFigure(figure, ("visits",)), totals),
        "The tree of the file's vmas gives only those that cover the page, so there is no range miss. An event "
        "table has no nonlinear mappings, so their counts are 0.",
    )


def _per_walk(results: ResultTables) -> Part:
    per_walk = results.summary["file_reclaim"]["visited_per_walk"]
    reading = (
        f"Half of the walks of file pages visited at most {counted(per_walk['p50'], 'vma')}, 95 of 100 at most "
        f"{per_walk['p95']:,}, 99 of 100 at most {per_walk['p99']:,}; the mean is "
        f"{format_value(per_walk['mean'], 'mean')}, the most {per_walk['max']:,}."
    )
    columns = (
        Column("bin", "vmas visited", "text"),
        Column("walks", "walks", summed=True),
        Column("walks_share", "share of walks", "share", summed=True),
        Column("vmas_visited", "visits in all", summed=True),
        Column("visited_share", "share of visits", "share", summed=True),
    )
    found = coverage(results, "file_walks")
    if found.is_left_out:
        return Part(_PER_WALK, f"{reading} {found.describe()}")
    if not found.is_full:
        reading += f" {found.describe()}"
    frame = visited_distribution(results, "file_walks")
    table = Table.from_frame("Walks of file pages by vmas visited", columns, frame, limit=None)
    return Part(_PER_WALK, reading, (of_sample(BarFigure(table, ("walks",)), found),))


def _outcomes(results: ResultTables) -> Part:
    reclaim = results.summary["file_reclaim"]
    columns = (
        Column("purpose", "purpose", "code"),
        Column("outcome", "outcome", "code"),
        Column("walks", "walks", summed=True),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("hits", "hits", summed=True),
        Column("early_stops", "early stops", summed=True),
        Column("unreachable", "unreachable", summed=True),
    )
    reading = (
        f"{counted(reclaim['unmapped'], 'file page')} lost the last pte, {reclaim['activated']:,} went to the "
        f"active list; {counted(reclaim['early_stops'], 'walk')} stopped early."
    )
    frame = walk_outcomes(results, "file_walks")
    table = Table.from_frame("Walks of file pages by purpose and outcome", columns, frame)
    return Part("Outcomes of walks of file pages", reading, (table,))


def _files(results: ResultTables) -> Part:
    frame = file_walks.dearest_files(results)
    columns = (
        Column("file", "file", "text"),
        Column("pages", "pages walked", summed=True),
        Column("walks", "walks", summed=True),
        Column("visited_per_walk", "vmas per walk", "mean"),
        Column("longest", "most vmas over one page"),
        Column("vmas_visited", "vmas visited", summed=True),
        Column("share", "share", "share", summed=True),
    )
    table = Table.from_frame("Files by vmas visited", columns, frame)
    return Part("The dearest files", _dearest(frame), (BarFigure(table, ("vmas_visited",)),))


def _dearest(frame: pl.DataFrame) -> str:
    if frame.is_empty() or not frame["vmas_visited"].sum():
        return "No vma was visited."
    first = frame.row(0, named=True)
    share = format_value(first["share"], "share")
    return (
        f"Walks for pages of {first['file'] or 'an unnamed file'} made {share} of all visits for file pages."
    )
