"""Pages that are used together lie together in their table, however long a replay goes on."""

import numpy as np
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore

from .generated import fault_heavy


def neighbours(core: ReplayCore, n_pages: int) -> float:
    """Return the share of the pages used last whose row is next to that of the page used before."""
    pages, row, rows = core.state.page.array, int(core.state.glob[0].active_head), []
    while row and len(rows) < n_pages:
        rows.append(row)
        row = int(pages["lru_next"][row])
    return float((np.abs(np.diff(rows)) == 1).mean())


@pytest.mark.compiled
def test_rows_of_pages_stay_in_order():
    core = ReplayCore(TraceMetadata())
    for batch in fault_heavy(4_000_000):
        core.feed(batch)
    glob = core.state.glob[0]
    assert glob.pages_freed > 6 * glob.page_cap  # each row was given out several times
    assert neighbours(core, 60_000) > 0.6
