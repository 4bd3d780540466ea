"""Which processes a loss may concern."""

import pytest

from anonvma_trace.events import TraceMetadata

from .core_state import CoreReplay
from .naive import NaiveReplay

LOST = {"op": "lost", "pid": 0, "len": 3}


def fault(pid):
    return {"op": "write_fault", "pid": pid, "addr": 0x1000}


def fork(pid, child):
    return {"op": "fork", "pid": pid, "child": child}


def act(op, pid):
    return {"op": op, "pid": pid}


@pytest.mark.parametrize(
    ("rows", "tainted"),
    [
        ([fault(1), fork(1, 2)], [False, False]),
        ([fault(1), LOST], [True]),
        # Gone before the loss, or begun after it by a process that began again.
        ([fault(1), fork(1, 2), act("exit", 2), LOST], [True, False]),
        ([fault(1), LOST, act("exec", 1), fork(1, 2)], [True, False]),
        # A copy of an address space that the loss may have changed, and what comes of it.
        ([fault(1), LOST, fork(1, 2), fork(2, 3)], [True, True, True]),
        ([fault(1), LOST, fork(1, 2), act("exec", 2), fork(2, 3)], [True, True, False]),
        ([fault(1), LOST, fork(1, 2), act("exec", 2), fork(2, 3), LOST], [True, True, True]),
        # No row tells of its beginning: it may have been there.
        ([LOST, fault(1)], [True]),
        ([fault(1), fork(1, 2), act("exit", 1), LOST, fault(1)], [False, True, True]),
        # A pid that is used again is another process; an exec before that is not its own.
        ([fault(1), LOST, fork(1, 2), act("exec", 2), act("exit", 2), fork(1, 2), fork(2, 3)], [True] * 4),
        ([fault(1), fork(1, 2), fork(1, 2), LOST], [True, False, True]),
        # A process that is met by its exec begins with it.
        ([LOST, act("exec", 1), fork(1, 2)], [True, False]),
    ],
)
def test_a_loss_taints_what_it_may_concern(rows, tainted):
    rows = [{"ts": n, **row} for n, row in enumerate(rows)]
    core, model = CoreReplay(TraceMetadata(complete=False)), NaiveReplay(TraceMetadata(complete=False))
    for row in rows:
        core.feed(row)
        model.feed(row)
    assert [bool(each) for each in core.core.tainted_processes()] == tainted
    assert [row["tainted"] for row in model.process_rows()] == tainted
