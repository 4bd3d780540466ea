"""What an event changed: vmas before and after, and what was counted."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from ..replay.stepping import SteppedEvent
from ..reports.numbers import counted
from ..summary_text import Section
from .frames import as_frame
from .requests import ranges_of
from .wording import table_vma

Vmas = dict[int, dict[str, Any]]  # rows of `Standing.vmas` by vma

_SHOWN = 12
_COUNTED = (
    ("vmas_created", "vma", "made"),
    ("vma_splits", "split", "of a vma"),
    ("anon_vmas_allocated", "anon_vma", "allocated"),
    ("anon_vmas_freed", "anon_vma", "freed"),
    ("pages_allocated", "anonymous page", "allocated"),
    ("pages_freed", "anonymous page", "freed"),
    ("cow_copies", "page", "copied on write"),
    ("cow_reuses", "page", "kept on write, for nobody shares it"),
    ("swapped_out", "page", "swapped out"),
    ("swapped_in", "page", "swapped in"),
    ("walks", "rmap walk", "done"),
)


def vma_sections(stepped: SteppedEvent) -> tuple[list[Section], list[Section]]:
    """Return the vmas around what the event is about before it and after it: one section each, or none.

    There is none for an event that is about no range, and none after an event that changes no vma.
    """
    ranges = ranges_of(stepped.row)
    named = {side["vma"] for step in stepped.steps for side in (step.left, step.right) if side}
    near = named.union(*(_near(stepped, standing.vmas) for standing in (stepped.before, stepped.after)))
    before, after = (_rows(standing.vmas, near) for standing in (stepped.before, stepped.after))
    if not ranges and not near:
        return [], []
    first = [Section("before", _cut([table_vma(row) for row in before.values()]) or ["no vma near"])]
    return first, [] if before == after else [Section("after", _cut(_after_lines(before, after)))]


def _after_lines(before: Vmas, after: Vmas) -> list[str]:
    lines = []
    for vma, row in after.items():
        old = before.get(vma)
        if old is None:
            told = "  (new)"
        elif (row["start"], row["end"]) != (old["start"], old["end"]):
            told = f"  (was {old['start']:#x}-{old['end']:#x})"
        else:
            told = "" if row == old else "  (changed)"
        lines.append(table_vma(row) + told)
    return lines + [f"vma {vma} is gone" for vma in before if vma not in after]


def counted_section(stepped: SteppedEvent) -> Section:
    """Return what the event added to the counters, in one sentence."""
    gained = dict(stepped.gained)
    parts = [f"{counted(gained[name], noun)} {what}" for name, noun, what in _COUNTED if gained.get(name)]
    gone = gained["vmas_created"] - gained["vmas_live"]
    if gone > 0:
        parts.insert(min(1, len(parts)), f"{counted(gone, 'vma')} removed")
    if gained["mapped_ptes"]:
        more = "more" if gained["mapped_ptes"] > 0 else "fewer"
        parts.append(f"{counted(abs(gained['mapped_ptes']), 'pte')} {more} present")
    return Section("counted", ["; ".join(parts) if parts else "nothing changed that is counted"])


def note_section(stepped: SteppedEvent) -> list[Section]:
    """Return what the replay noted of the event."""
    table = stepped.tables.get("diagnostics")
    rows = table.to_pylist() if table is not None else []
    notes = [f"{row['severity']} {row['code']}: {row['message']}" for row in rows]
    return [Section("notes", notes)] if notes else []


def _near(stepped: SteppedEvent, vmas: pa.Table) -> list[int]:
    """Return the vmas of the event's process that overlap or touch its ranges."""
    near = pl.lit(False)
    for start, end in ranges_of(stepped.row):
        near |= (pl.col("start") <= end) & (pl.col("end") >= start)
    return as_frame(vmas).filter((pl.col("pid") == stepped.space) & near)["vma"].to_list()


def _rows(vmas: pa.Table, wanted: set[int]) -> Vmas:
    rows = as_frame(vmas).filter(pl.col("vma").is_in(sorted(wanted))).sort("start")
    return {row["vma"]: _as_it_stands(row) for row in rows.to_dicts()}


def _as_it_stands(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("from_event", "to_event")}


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines if more <= 0 else [*lines[:_SHOWN], f"and {counted(more, 'vma')} more"]
