"""Walks of reclaim in words: which list, who was on it, what each visit came to."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..replay.stepping import SteppedEvent
from ..reports.numbers import counted
from ..summary_text import Section
from .frames import as_frame

_SHOWN_WALKS, _SHOWN_MEMBERS = 4, 16
_MISSES = (
    ("miss_rss", "of a process with no page in memory (miss_rss)"),
    ("miss_range", "do not cover the page's index (miss_range)"),
    ("miss_none", "have nothing mapped there (miss_none)"),
    ("miss_swap", "have a swap entry there (miss_swap)"),
    ("miss_other", "map another page there (miss_other)"),
)
_OUTCOMES = {
    "referenced": "it was used: reclaim keeps it for now",
    "not_referenced": "it was not used: reclaim may take it",
    "success": "every pte now names the swap slot: the page can go",
    "fail_locked": "a locked vma maps it: it stays",
    "fail_young": "it was used a moment ago: it stays",
    "again": "not every pte was found: it stays",
    "bug:empty_anon_vma": "its anon_vma was freed: nobody can be found (defect D2)",
}


def walk_sections(stepped: SteppedEvent) -> list[Section]:
    """Return each walk of an anonymous page that the event made, the first few with the list itself."""
    table = stepped.tables.get("walks")
    walks = table.to_pylist() if table is not None else []
    sections = [Section("walk", _walk_lines(stepped, walk)) for walk in walks[:_SHOWN_WALKS]]
    if len(walks) > _SHOWN_WALKS:
        visited = sum(walk["vmas_visited"] for walk in walks[_SHOWN_WALKS:])
        more = counted(len(walks) - _SHOWN_WALKS, "walk")
        sections.append(Section("walk", [f"and {more} more, which visited {counted(visited, 'vma')}"]))
    return sections


def _walk_lines(stepped: SteppedEvent, walk: dict[str, Any]) -> list[str]:
    function = "page_referenced()" if walk["purpose"] == "referenced" else "try_to_unmap()"
    length, mapcount = counted(walk["list_length"], "vma"), counted(walk["mapcount"], "pte")
    lines = [
        f"{function}: who maps the page that pid {walk['pid']} first mapped at {walk['addr']:#x}? It points to "
        f"anon_vma {walk['anon_vma']}, whose list holds {length}; {mapcount} to find"
    ]
    parts = [f"{walk['hits']:,} map it"] + [f"{walk[name]:,} {told}" for name, told in _MISSES if walk[name]]
    stopped = ". All were found, so the rest of the list was left out" if walk["early_stop"] else ""
    lines.append(f"{counted(walk['vmas_visited'], 'vma')} visited: {'; '.join(parts)}{stopped}")
    if walk["unreachable"]:
        lines.append(
            f"{counted(walk['unreachable'], 'pte')} exist that no vma of the list leads to: lost to reclaim"
        )
    return [*lines, f"outcome {walk['outcome']}: {_OUTCOMES[walk['outcome']]}", *_members(stepped, walk)]


def _members(stepped: SteppedEvent, walk: dict[str, Any]) -> list[str]:
    """Return the list as it stood, head first, the visited ones marked."""
    members = as_frame(stepped.before.lists).filter(pl.col("anon_vma") == walk["anon_vma"]).sort("position")
    if members.height != walk["list_length"]:  # the event itself changed it before the walk
        return []
    lines = [
        f"  {'visited' if row['position'] <= walk['vmas_visited'] else '       '}  vma {row['vma']}  pid {row['pid']}  "
        f"{row['start']:#x}-{row['end']:#x}, page offset {row['pgoff']:#x}"
        for row in members.head(_SHOWN_MEMBERS).to_dicts()
    ]
    more = members.height - len(lines)
    return [*lines, f"  and {counted(more, 'vma')} more"] if more else lines
