"""The section on the address space of one process."""

from __future__ import annotations

import polars as pl

from ...errors import UsageError
from ...result_tables import ResultTables
from ..address_space import KINDS, SPANS_DRAWN, chosen_process, folded_heights, vmas_over_time
from ..bins import event_count
from ..coverage import coverage, covered_part
from ..document import Column, MapFigure, Part, Section, Table
from ..numbers import counted, share_text
from ..process_names import process_names, process_text

_INTRODUCTION = (
    "Each vma of one process, from the event that made it so to the event that changed it. Where two rectangles lie "
    "one above the other without a gap, two vmas stand side by side that did not merge."
)
_EXPLANATION = (
    "Unused parts of the address space are left out, and a vma is as high as the logarithm of its pages: heights can "
    "be compared, not added. A horizontal line marks where an unused part ends, with the address there."
)


def address_space_section(results: ResultTables, pid: int | None = None) -> Section:
    """Return the section on one address space.

    Parameters
    ----------
    results : ResultTables
    pid : int, optional
        Process to show; by default the dearest, or the one with most vmas over time.

    Raises
    ------
    UsageError
        The trace has no vma of that process.
    """
    shown = chosen_process(results) if pid is None else pid
    frame = None if shown is None else vmas_over_time(results, shown)
    is_kept = not coverage(results, "vma_spans").is_left_out
    if is_kept and pid is not None and (frame is None or frame.is_empty()):
        raise UsageError(
            f"process {pid}",
            expected="a process that has a vma in the table vma_spans",
            found=f"no vma of pid {pid}",
            hint="the table processes lists the pids of the trace",
        )
    if shown is None or frame is None or frame.is_empty():
        part = Part("No vma", "The table of vmas over time is empty.")
    else:
        part = _map(results, shown, frame)
    part = covered_part(results, "vma_spans", lambda _: part)
    return Section("Address space", "address-space", _INTRODUCTION, (part,))


def _map(results: ResultTables, pid: int, frame: pl.DataFrame) -> Part:
    total = results.lazy("vma_spans").filter(pl.col("pid") == pid).select(pl.len()).collect().item()
    heights, regions = folded_heights(frame["start"].to_list(), frame["end"].to_list())
    columns = (
        Column("start", "from", "address"),
        Column("end", "to", "address"),
        Column("pages", "pages"),
        Column("protection", "protection", "code"),
        Column("file", "file", "text"),
        Column("anon_vma", "anon_vma"),
        Column("kind", "kind", "text"),
        Column("from_event", "from event"),
        Column("to_event", "to event"),
    )
    hidden = total - frame.height
    table = Table.from_frame(
        "Vmas over the trace, by address",
        columns,
        frame,
        limit=None,
        note="The end of a range (to) is the first byte after it.",
    )
    if hidden:
        table = Table(table.title, columns, table.rows, hidden, (None,) * len(columns), table.note)
    figure = MapFigure(
        table,
        tuple(heights),
        tuple(regions),
        KINDS,
        int(frame["from_event"].min()),  # type: ignore[arg-type]
        max(int(frame["to_event"].max()), 1),  # type: ignore[arg-type]
    )
    names = dict(process_names(results.frame("processes")).iter_rows())
    who = process_text(pid, names.get(pid))
    return Part(
        f"Vmas of {who} over the trace",
        _reading(frame, hidden, event_count(results)),
        (figure,),
        _EXPLANATION,
    )


def _reading(frame: pl.DataFrame, hidden: int, events: int) -> str:
    with_anon_vma = int(frame["anon_vma"].is_not_null().sum())
    reading = (
        f"{counted(frame.height, 'rectangle')}, {with_anon_vma:,} ({share_text(with_anon_vma, frame.height)}) with an "
        f"anon_vma, of {counted(frame['anon_vma'].drop_nulls().n_unique(), 'anon_vma')}"
    )
    lasting = int((frame["to_event"] - frame["from_event"] >= events // 2).sum())
    reading += f"; {counted(lasting, 'vma')} stood unchanged for half of the trace or longer."
    if hidden:
        reading += (
            f" The {SPANS_DRAWN:,} that stood longest, weighed by size, are drawn; {hidden:,} more are in the table "
            "vma_spans."
        )
    return reading
