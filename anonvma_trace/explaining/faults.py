"""A page fault in words: what the pte was, which path the kernel takes, what the pte is."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..events import PAGE_SIZE
from ..replay.stepping import SteppedEvent
from ..summary_text import Section
from .frames import as_frame
from .wording import pte_text

_PATHS = (
    ("bugs", "the kernel would stop in a BUG_ON() of page_add_anon_rmap(); the replay undid the event"),
    ("segv", "the vma does not permit it: the program gets a signal"),
    (
        "cow_copies",
        "do_wp_page(): others share the page, so the writer gets a copy of its own (copy on write)",
    ),
    ("cow_reuses", "do_wp_page(): nobody else maps the page, so it is made writable as it is"),
    ("zero_copies", "do_wp_page(): the zero page is replaced by a page of the vma's own"),
    (
        "early_copies",
        "do_no_page(): a write to a private mapping of a file; the page of the file is copied at once",
    ),
    ("swapped_in", "do_swap_page(): the page is read from swap"),
    ("pages_allocated", "do_anonymous_page(): first touch; a new page, filled with zeros"),
)


def fault_sections(stepped: SteppedEvent) -> list[Section]:
    """Return what the fault did to the page, and to the vma's anon_vma."""
    page = stepped.row["addr"] & ~(PAGE_SIZE - 1)
    before, after = (
        _pte(standing.pages, stepped.space, page) for standing in (stepped.before, stepped.after)
    )
    path = [*_stack_growth(stepped, page), _path(stepped, before, after)]
    lines = [f"before: {pte_text(before)}", *path, f"after:  {pte_text(after)}"]
    sections = [Section("page", lines)]
    allocated = stepped.gained["anon_vmas_allocated"]
    if allocated:
        sections.append(Section("anon_vma", [_prepared(stepped, page)]))
    return sections


def _stack_growth(stepped: SteppedEvent, page: int) -> list[str]:
    """Tell of a vma that covers the page only since the event, although it stood before."""
    over_page = (pl.col("pid") == stepped.space) & (pl.col("start") <= page) & (pl.col("end") > page)
    after = as_frame(stepped.after.vmas).filter(over_page)
    was = as_frame(stepped.before.vmas).join(after.select("vma"), on="vma").filter(pl.col("start") > page)
    if not was.height:
        return []
    return [
        f"expand_stack(): the stack, vma {was['vma'][0]}, grows down from {was['start'][0]:#x} to {page:#x}"
    ]


def _path(stepped: SteppedEvent, before: Any, after: Any) -> str:
    gained = stepped.gained
    if gained["unmapped_faults"] and not gained["invented_vmas"]:
        return "no known vma covers the address: the replay leaves the fault out"
    for counter, told in _PATHS:
        if gained[counter]:
            invented = (
                "a vma of one page is invented, for the image of this process is not known; "
                if gained["invented_vmas"]
                else ""
            )
            return invented + told
    if before is None and after is not None:
        if after["kind"] == "zero":
            return "do_anonymous_page(): first touch, a read: the zero page is mapped, no page is allocated"
        return "do_no_page(): the page of the file is mapped"
    if before is not None and before["kind"] == "swapped":
        return "do_swap_page(): the page is still in the swap cache and is mapped again"
    return "handle_pte_fault(): the page is there already; its pte is marked as used"


def _prepared(stepped: SteppedEvent, page: int) -> str:
    here = (pl.col("pid") == stepped.space) & (pl.col("start") <= page) & (pl.col("end") > page)
    vma = as_frame(stepped.after.vmas).filter(here).row(0, named=True)
    return (
        f"anon_vma_prepare(): vma {vma['vma']} gets its first anonymous page, so it needs an anon_vma for the page to "
        f"point to: anon_vma {vma['anon_vma']}, whose list holds this vma only"
    )


def _pte(pages: Any, space: int, page: int) -> dict[str, Any] | None:
    found = as_frame(pages).filter((pl.col("pid") == space) & (pl.col("addr") == page))
    return found.row(0, named=True) if found.height else None
