"""The columns of the event table as Python lists, with addresses in pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anonvma_trace.events import PAGE_SHIFT, PAGE_SIZE

from .state import NotInTheLoad

_ABSENT = ("comm", "pgoff", "file", "new_addr", "new_len", "frame")  # the load has nothing in these
_NO_ADDRESS = ("fork", "exit")


class Columns(NamedTuple):
    """A list for each column that the load uses, all of one length; null is None, in `page` and `end` 0."""

    ts: list[int]
    pid: list[int]
    op: list[str]
    page: list[int]  # of `addr`
    end: list[int]  # page behind `addr + len`
    prot: list[int | None]
    flags: list[int | None]
    child: list[int | None]


def columns_of(events: Iterable[pa.RecordBatch]) -> Columns:
    """Return batches as lists.

    Raises
    ------
    NotInTheLoad
        A column has values that the fault-heavy load does not have.
    """
    table = pa.Table.from_batches(events).unify_dictionaries().combine_chunks()
    for name in _ABSENT:
        if table[name].null_count != len(table):
            raise NotInTheLoad(f"column {name}: expected nothing but null, found values")
    addresses = table["addr"]
    needless = pc.is_in(table["op"].cast(pa.string()), pa.array(_NO_ADDRESS))
    if pc.any(pc.and_not(pc.is_null(addresses), needless)).as_py():
        raise NotInTheLoad(f"column addr: expected an address in all rows but {_NO_ADDRESS}, found null")
    addr, length = (table[name].fill_null(0).to_numpy().astype(np.int64) for name in ("addr", "len"))
    return Columns(
        ts=table["ts"].to_pylist(),
        pid=table["pid"].to_pylist(),
        op=_names(table["op"]),
        page=(addr >> PAGE_SHIFT).tolist(),
        end=((addr + length + PAGE_SIZE - 1) >> PAGE_SHIFT).tolist(),
        prot=table["prot"].to_pylist(),
        flags=table["flags"].to_pylist(),
        child=table["child"].to_pylist(),
    )


def _names(column: pa.ChunkedArray) -> list[str]:
    """Return names, one object for all rows of a name: comparing them is then comparing identities."""
    names: list[str] = []
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        names += [words[code] for code in chunk.indices.to_pylist()]
    return names
