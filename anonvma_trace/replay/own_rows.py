"""Which rows of a batch are those of a replay that is one of several."""

from __future__ import annotations

from .compiled import kernel


@kernel
def next_own_row(s, row, last):
    """Return the first row from `row` on, before `last`, that this replay is to do; `last` if there is none."""
    shard = s.glob[0].shard
    while row < last and s.shards[row] != shard:
        row += 1
    return row
