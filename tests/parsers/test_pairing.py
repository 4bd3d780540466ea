import numpy as np
import pytest

from anonvma_trace.parsers.native_block import NativeBlock
from anonvma_trace.parsers.native_events import native_tables
from anonvma_trace.parsers.pairing import Pairing

TABLES = native_tables()


def block(*events):
    """Make a block of (name, tid, cpu, args...) tuples."""
    n = len(events)
    kinds = [TABLES.names.index(event[0]) for event in events]
    args = np.zeros((n, 6), np.int64)
    for row, event in enumerate(events):
        args[row, : len(event) - 3] = event[3:]
    zero = np.zeros(n, np.int64)
    tid, cpu = (np.array([event[column] for event in events], np.int64) for column in (1, 2))
    return NativeBlock(
        np.array(kinds, np.int64), zero, tid, zero - 1, cpu, zero, args, zero, zero - 1, zero - 1
    )


def pairs_of(*blocks):
    """Return (seq of exit, seq of enter) of all pairs, and what was dropped."""
    pairing, found, seq = Pairing(), [], 0
    numbers = {}
    for part in blocks:
        seqs = np.arange(seq, seq + len(part))
        waiting = dict(numbers)
        events, at, enter_of = pairing.pair(part, seqs)
        n_waiting = np.count_nonzero(at < 0)
        all_seqs = [*sorted(waiting.values()), *seqs[at[n_waiting:]].tolist()]
        found += [(all_seqs[i], all_seqs[enter_of[i]]) for i in np.flatnonzero(enter_of >= 0).tolist()]
        open_at = pairing._waiting_seq.tolist()
        numbers = dict(enumerate(open_at))
        assert n_waiting == len(waiting)
        assert len(events) == len(all_seqs)
        seq += len(part)
    return found, pairing


MMAP, MUNMAP = "sys_enter_mmap", "sys_enter_munmap"
MMAP_EXIT, MUNMAP_EXIT = "sys_exit_mmap", "sys_exit_munmap"


def test_calls_of_two_threads_may_overlap():
    found, _ = pairs_of(block((MMAP, 1, 0), (MUNMAP, 2, 0), (MMAP_EXIT, 1, 0), (MUNMAP_EXIT, 2, 0)))
    assert found == [(2, 0), (3, 1)]


def test_an_enter_waits_for_its_exit_in_a_later_block():
    found, _ = pairs_of(block((MMAP, 1, 0), (MMAP, 7, 0)), block((MUNMAP, 2, 0)), block((MMAP_EXIT, 1, 0)))
    assert found == [(3, 0)]


@pytest.mark.parametrize(
    "events",
    [
        ((MMAP, 1, 0), (MUNMAP_EXIT, 1, 0)),  # another call's exit
        ((MMAP_EXIT, 1, 0), (MMAP, 1, 0)),  # the recording began inside the call
        ((MMAP, 1, 0), (MUNMAP, 1, 0), (MMAP_EXIT, 1, 0)),  # an exit is missing between
        ((MMAP, 9, 0), ("sched_process_exit", 9, 0, 9), (MMAP_EXIT, 9, 0)),  # killed; the tid is used again
        ((MMAP, 9, 0), ("task_newtask", 1, 0, 9, 0), (MMAP_EXIT, 9, 0)),
        ((MMAP, 5, 0), ("sched_process_exec", 1, 0, 1, 5), (MMAP_EXIT, 5, 0)),  # 5 became the leader 1
    ],
)
def test_what_is_no_pair(events):
    found, pairing = pairs_of(block(*events))
    assert (found, pairing.dropped) == ([], 0)


@pytest.mark.parametrize(
    ("enter_cpu", "lost_cpu", "exit_cpu", "dropped"),
    [
        (0, 0, 0, True),
        (0, 1, 0, False),  # another CPU's loss
        (
            0,
            1,
            1,
            True,
        ),  # the thread went to a CPU that lost events: an exit and an enter may be among them
        (1, -1, 0, True),  # a loss of unknown CPU
    ],
)
@pytest.mark.parametrize("in_blocks", [False, True])
def test_a_loss_between_enter_and_exit_breaks_the_pair(enter_cpu, lost_cpu, exit_cpu, dropped, in_blocks):
    events = [(MMAP, 1, enter_cpu), ("lost", 0, lost_cpu, 3), (MMAP_EXIT, 1, exit_cpu)]
    found, pairing = pairs_of(*(block(event) for event in events)) if in_blocks else pairs_of(block(*events))
    assert (found == [], pairing.dropped) == (dropped, int(dropped))


def test_what_never_returned_is_told():
    _, pairing = pairs_of(block((MMAP, 1, 0), (MUNMAP, 70000, 300), (MUNMAP_EXIT, 70000, 300)))
    assert pairing.open_calls() == [MMAP]
