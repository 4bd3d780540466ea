"""Explaining a replay: what one event did and why, what became of one page.

All figures come from replaying the trace up to the event and over it; the words are here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..replay.stepping import SteppedEvent, step_over
from ..reports.numbers import counted
from ..summary_text import Section
from ..trace import Trace
from .changes import counted_section, note_section, vma_sections
from .faults import fault_sections
from .history import explain_page
from .merges import step_section
from .requests import functions_text, place_text, request_text
from .walks import walk_sections

__all__ = ["explain_event", "explain_page"]

_FAULTS = ("read_fault", "write_fault")


def explain_event(
    trace: Trace,
    event: int,
    scheme: str = "anon_vma",
    rules: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
) -> list[Section]:
    """Replay a trace up to an event and over it, and tell what it did and why.

    Parameters
    ----------
    trace : Trace
    event : int
        Number of the event, from 1.
    scheme, rules, options
        As for `replay_trace`.

    Returns
    -------
    list of Section
        The event, the vmas before it, each merge attempt and split, what happened to the page of a fault, each walk,
        the vmas after it, what was counted, what the replay noted.

    Raises
    ------
    UsageError
        There is no such event, scheme, rule or option.
    TraceError
        The trace cannot be read.
    """
    stepped = step_over(trace, event, scheme, rules, options or {})
    row = stepped.row
    lines = [request_text(row), place_text(row, has_clock=trace.format != "scenario")]
    if functions := functions_text(row):
        lines.append(f"in the kernel: {functions}")
    before, after = vma_sections(stepped)
    sections = [Section(f"event {stepped.event:,}", lines), *before]
    sections += [step_section(step) for step in stepped.steps]
    if row["op"] in _FAULTS:
        sections += fault_sections(stepped)
    if row["op"] == "fork":
        sections += _fork_section(stepped)
    sections += walk_sections(stepped)
    return [*sections, *after, counted_section(stepped), *note_section(stepped)]


def _fork_section(stepped: SteppedEvent) -> list[Section]:
    """Tell what a fork copied."""
    gained: dict[str, Any] = stepped.gained
    if not gained["vmas_created"]:
        return []
    longer = stepped.after.lists.num_rows - stepped.before.lists.num_rows
    return [
        Section(
            "copied",
            [
                f"dup_mmap(): {counted(gained['vmas_created'], 'vma')} copied in the order of their addresses; those "
                f"with an anon_vma ({longer:,}) go to the head of its list, in front of the parent's",
                f"copy_page_range(): {counted(gained['mapped_ptes'], 'pte')} copied; both processes share the pages, "
                "write-protected where the mapping is private",
            ],
        )
    ]
