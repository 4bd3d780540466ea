"""What became of one page of one process: the events that concern it, with what each found and left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..events import OPS, PAGE_SHIFT
from ..trace import Trace
from . import ReplayCore, check_settings
from .columns import span
from .standing import PagePlace, page_place

_SLICE = 1 << 18
_OF_PROCESSES = tuple(OPS.index(op) for op in ("fork", "exec", "exit"))
_OF_ANY_PAGE = OPS.index("scan")
_ONE_PAGE = tuple(
    OPS.index(op) for op in ("read_fault", "write_fault", "reclaim", "referenced", "try_unmap", "swap_out")
)


class PageEvent(NamedTuple):
    """One event in the life of a page.

    Attributes
    ----------
    event : int
    row : dict
        The row of the event table.
    before, after : PagePlace
        What stood at the page number.
    """

    event: int
    row: dict[str, Any]
    before: PagePlace
    after: PagePlace


def page_history(
    trace: Trace, pid: int, addr: int, scheme: str, rules: Iterable[str], options: Mapping[str, str]
) -> Iterator[PageEvent]:
    """Yield the events of a process that name the page at `addr` (bytes), and whatever else changed its pte or vma.

    An event of another process shows only where it changes the pte or the vma: reclaim does, a child's copy on write
    does not (it changes how often the page is mapped).

    Raises
    ------
    UsageError
        No such scheme, rule or option.
    TraceError
        The trace cannot be read.
    """
    rules = tuple(rules)
    check_settings(scheme, rules, options)
    core = None
    for batch in span(trace.batches(), _SLICE):
        if core is None:  # a table tells what decides its replay once reading has begun
            core = ReplayCore(trace.metadata, options, rules, trace.path, keep_tables=False, scheme=scheme)
        yield from _in_batch(core, batch, pid, addr >> PAGE_SHIFT)


def _in_batch(core: ReplayCore, batch: pa.RecordBatch, pid: int, vpn: int) -> Iterator[PageEvent]:
    named, perhaps = _candidates(core.columns.read(batch), pid, vpn)
    done = 0
    for row in np.flatnonzero(named | perhaps).tolist():
        core.feed(batch.slice(done, row - done))
        before = page_place(core.state, core.columns, pid, vpn)
        core.feed(batch.slice(row, 1))
        after = page_place(core.state, core.columns, pid, vpn)
        if named[row] or before != after:
            yield PageEvent(core.events, batch.slice(row, 1).to_pylist()[0], before, after)
        done = row + 1
    core.feed(batch.slice(done))


def _candidates(columns: tuple[np.ndarray, ...], pid: int, vpn: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows name the page, and which may concern it (of reclaim, or of the process as a whole)."""
    _, of, _, op, addr, length, _, _, _, _, new_addr, new_len, child, frame = columns
    own = of == pid
    first = addr >> PAGE_SHIFT
    last = np.where(np.isin(op, _ONE_PAGE), first, (addr + length - 1) >> PAGE_SHIFT)
    covers = (addr >= 0) & (first <= vpn) & (vpn <= last)
    moved_to = (
        (new_addr >= 0) & (new_addr >> PAGE_SHIFT <= vpn) & (vpn <= (new_addr + new_len - 1) >> PAGE_SHIFT)
    )
    named = own & (covers | moved_to)
    of_process = np.isin(op, _OF_PROCESSES) & (own | (child == pid))
    by_frame = (frame >= 0) & (addr < 0)
    other = (op == OPS.index("brk")) & own
    return named, of_process | by_frame | other | (op == _OF_ANY_PAGE)
