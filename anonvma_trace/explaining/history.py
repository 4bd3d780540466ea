"""The history of one page in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import UsageError
from ..events import PAGE_SIZE
from ..replay.page_history import PageEvent, page_history
from ..reports.numbers import counted
from ..summary_text import Section
from ..trace import Trace
from .requests import place_text, request_text
from .wording import pte_text, step_vma

SHOWN = 60
"""Events shown: so many from the first on, the last one always."""


def explain_page(
    trace: Trace,
    pid: int,
    addr: int,
    scheme: str = "anon_vma",
    rules: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
) -> list[Section]:
    """Replay a trace and tell what became of one page of one process.

    Parameters
    ----------
    trace : Trace
    pid : int
    addr : int
        Any address of the page, in bytes.
    scheme, rules, options
        As for `replay_trace`.

    Returns
    -------
    list of Section
        The page; then each event that names it or changed it, with what it changed.

    Raises
    ------
    UsageError
        No event of the trace concerns that page; there is no such scheme, rule or option.
    TraceError
        The trace cannot be read.
    """
    page = addr & ~(PAGE_SIZE - 1)
    found = list(page_history(trace, pid, page, scheme, rules, options or {}))
    if not found:
        raise UsageError(
            "--addr",
            expected=f"an address that an event of pid {pid} names or covers",
            found=f"{addr:#x}",
            hint="the tables `vma_spans` and `walks` of `replay --out` hold addresses and pids",
        )
    has_clock = trace.format != "scenario"
    head = Section(f"page {page:#x}", [f"of pid {pid}: {counted(len(found), 'event')} in its history"])
    shown = found if len(found) <= SHOWN else [*found[: SHOWN - 1], found[-1]]
    sections = [Section(f"event {each.event:,}", _lines(each, page, has_clock)) for each in shown]
    if len(found) > SHOWN:
        sections.insert(-1, Section("…", [f"{counted(len(found) - SHOWN, 'event')} left out"]))
    return [head, *sections]


def _lines(each: PageEvent, page: int, has_clock: bool) -> list[str]:
    lines = [request_text(each.row), place_text(each.row, has_clock)]
    before, after = each.before, each.after
    if before.vma != after.vma:
        lines.append(f"vma:  {_vma_text(before.vma)} → {_vma_text(after.vma)}")
    if before.pte != after.pte:
        lines.append(f"page: {pte_text(before.pte)} → {pte_text(after.pte)}")
    if each.row["op"] == "mremap" and before.pte is not None and after.pte is None:
        moved = each.row["new_addr"] + (page - each.row["addr"])
        lines.append(f"its history goes on with --addr {moved:#x}")
    if before == after:
        lines.append(f"nothing changed here: {pte_text(after.pte)}")
    return lines


def _vma_text(vma: dict[str, Any] | None) -> str:
    return "none" if vma is None else step_vma(vma)
