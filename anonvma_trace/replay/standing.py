"""What stands at one moment of a replay, as Arrow tables: vmas, lists of anon_vmas, pages mapped."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..arrow_arrays import numbers, strings
from ..events import PAGE_SHIFT
from ..tables import TABLES
from .address_space import mm_of, pte_of, ptes_of
from .columns import EventColumns
from .layout import (
    NULL,
    PG_ANON_KIND,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    PTE_WRITE,
    PTE_YOUNG,
    PTE_ZERO,
    State,
)
from .results import ResultBuilder, heads_of
from .schemes.interface import scheme_of

PAGE_KINDS = ("anonymous", "file", "swapped", "zero")
"""What a pte refers to: a page, a page of a file, a swap slot, the zero page."""

_KINDS = pa.dictionary(pa.int32(), pa.string())
LISTS = pa.schema(
    [
        ("anon_vma", pa.int64()),
        ("position", pa.int64()),
        ("vma", pa.int64()),
        ("pid", pa.int64()),
        ("start", pa.uint64()),
        ("end", pa.uint64()),
        ("pgoff", pa.uint64()),
    ]
)
"""Schema of `Standing.lists`."""

PAGES = pa.schema(
    [
        ("pid", pa.int64()),
        ("addr", pa.uint64()),
        ("kind", _KINDS),
        ("page", pa.int64()),
        ("mapcount", pa.int64()),
        ("index", pa.uint64()),
        ("anon_vma", pa.int64()),
        ("writable", pa.bool_()),
        ("young", pa.bool_()),
        ("dirty", pa.bool_()),
    ]
)
"""Schema of `Standing.pages`."""


class Standing(NamedTuple):
    """All vmas, lists and pages of one moment.

    Attributes
    ----------
    vmas : pyarrow.Table
        As the result table `vma_spans`, of the vmas that stand: by process and address.
    lists : pyarrow.Table
        One row for each vma on the list of an anon_vma: position from 1 at the head, addresses in bytes, `pgoff` in
        pages.
    pages : pyarrow.Table
        One row for each pte that is not none: address in bytes, kind (one of `PAGE_KINDS`), number of the page (of the
        slot where it is swapped out), mapcount, page->index, the anon_vma that it points to, bits of the pte.
    """

    vmas: pa.Table
    lists: pa.Table
    pages: pa.Table


def what_stands(state: State, columns: EventColumns) -> Standing:
    """Return what stands now.

    Parameters
    ----------
    state : State
    columns : EventColumns
        Knows the names behind the codes of files.
    """
    builder = ResultBuilder(columns)
    builder.add_what_stands(state, np.zeros(state.glob[0].proc_top - 1, np.bool_))
    tables = builder.tables()
    vmas = tables.get("vma_spans", pa.Table.from_batches([], TABLES["vma_spans"]))
    return Standing(vmas, _lists(state), _pages(state))


class PagePlace(NamedTuple):
    """What one page number of one process holds.

    Attributes
    ----------
    vma : dict or None
        The vma over it: ``vma, start, end, flags, file, pgoff, anon_vma`` as in `Step`.
    pte : dict or None
        A row of `Standing.pages`; None if nothing is mapped.
    """

    vma: dict[str, Any] | None
    pte: dict[str, Any] | None


def page_place(state: State, columns: EventColumns, pid: int, vpn: int) -> PagePlace:
    """Return what stands at page number `vpn` of the live process with this pid, if there is one."""
    mm = mm_of(state, pid)
    if mm == NULL:
        return PagePlace(None, None)
    vmas = state.vma.array
    found = np.flatnonzero((vmas["mm"] == mm) & (vmas["start"] <= vpn) & (vmas["end"] > vpn))
    pte = pte_of(state, mm, vpn)
    page = _page_table(state, mm, np.array([vpn]), np.array([pte])).to_pylist()[0] if pte else None
    return PagePlace(_vma(state, columns, vmas[found[0]]) if len(found) else None, page)


def _vma(state: State, columns: EventColumns, v: np.record) -> dict[str, Any]:
    return {
        "vma": int(v["id"]),
        "start": int(v["start"]),
        "end": int(v["end"]),
        "flags": int(v["vm_flags"]),
        "file": ResultBuilder(columns).file_name(int(v["file"])),
        "pgoff": int(v["pgoff"]),
        "anon_vma": int(heads_of(state)["id"][v["anon_vma"]]),
    }


def _lists(state: State) -> pa.Table:
    """Return the list of every live anon_vma."""
    list_members = scheme_of(state).list_members
    if list_members is None:
        return LISTS.empty_table()
    heads, rows, position_of = list_members(state)
    ids = heads_of(state)["id"][heads]
    order = np.lexsort((position_of, ids))
    v = state.vma.array[rows[order]]
    columns = [
        numbers(ids[order]),
        numbers(position_of[order]),
        numbers(v["id"]),
        numbers(_pids(state, v["mm"])),
        numbers(_bytes(v["start"])),
        numbers(_bytes(v["end"])),
        numbers(v["pgoff"].astype(np.uint64)),
    ]
    return pa.Table.from_arrays(columns, schema=LISTS)


def _pages(state: State) -> pa.Table:
    """Return the ptes of every mm, by process and address."""
    parts = [_pages_of(state, mm) for mm in np.flatnonzero(state.mm.array["users"] > 0).tolist()]
    return pa.concat_tables([PAGES.empty_table(), *parts])


def _pages_of(state: State, mm: int) -> pa.Table:
    return _page_table(state, mm, *ptes_of(state, mm))


def _page_table(state: State, mm: int, vpns: np.ndarray, ptes: np.ndarray) -> pa.Table:
    row = ptes >> PTE_SHIFT
    present, swapped = ptes & PTE_PRESENT != 0, ptes & PTE_SWAP != 0
    page = state.page.array[np.where(present, row, NULL)]
    slot = state.slot.array[np.where(swapped, row, NULL)]
    anonymous = present & (page["pg_flags"] & PG_ANON_KIND != 0)
    kind = np.select([anonymous, present, swapped], [0, 1, 2], 3).astype(np.int32)
    number = np.where(swapped, slot["id"], np.abs(page["serial"].astype(np.int64)))
    nothing = ptes & PTE_ZERO != 0
    unmapped = ~anonymous | (page["mapping_id"] == 0)
    columns = [
        numbers(np.full(len(vpns), _pids(state, np.array([mm]))[0], np.int64)),
        numbers(_bytes(vpns)),
        pa.DictionaryArray.from_arrays(numbers(kind), strings(PAGE_KINDS)),
        numbers(number, nothing),
        numbers(page["mapcount"].astype(np.int64), ~present),
        numbers(page["index"].astype(np.uint64), ~present),
        numbers(page["mapping_id"].astype(np.int64), unmapped),
        *(numbers(ptes & bit != 0) for bit in (PTE_WRITE, PTE_YOUNG, PTE_DIRTY)),
    ]
    return pa.Table.from_arrays(columns, schema=PAGES)


def _pids(state: State, mms: np.ndarray) -> np.ndarray:
    return state.proc.array["pid"][state.mm.array["owner"][mms]]


def _bytes(vpns: np.ndarray) -> np.ndarray:
    return vpns.astype(np.uint64) << np.uint64(PAGE_SHIFT)
