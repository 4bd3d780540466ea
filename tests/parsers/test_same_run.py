"""One run, recorded by several tools: the same rows, whatever the format."""

import pytest

from .recordings import recordings
from .same_run import CALLS, FAULTS, WITHOUT_FAULTS, describe, differences, rows_of, runs_of_several

NOTHING_TO_COMPARE = (
    "tiny-sh-strace.perf-trace",
)  # perf trace -p: one process of several, without its number
PAIRS = [
    pytest.param(reference, other, id=str(other))
    for reference, others in runs_of_several(recordings())
    for other in others
    if str(other) not in NOTHING_TO_COMPARE
]

# Rows missing and extra by op, as docs/formats.md, "The same run by several tools", explains them.
# Where events were lost, each tool lost others of its own.
EXPLAINED = {
    "pycow.bpftrace": {
        "mmap": (17, 0), "munmap": (4, 0), "brk": (17, 0), "fork": (2, 0), "exec": (1, 0),
        "read_fault": (147, 0), "write_fault": (2457, 0),
    },
    "cowfork-50-perflost.perf-script": {"write_fault": (293, 0)},
    "zoo-overwrite.trace-cmd": {
        "mmap": (1, 0), "brk": (1, 0), "read_fault": (7, 0), "write_fault": (14, 0),
    },
    # Calls of two threads that overlap, and which thread is the last one to exit.
    "node-strace.strace": {"mprotect": (1, 1), "exit": (1, 1)},
    "threxec-strace.strace": {"exit": (1, 1)},
    "zoo-strace.strace": {"mmap": (1, 1), "munmap": (2, 2)},
}  # fmt: skip

# What the script of these recordings did not record: threads after their leader's exit, shmat, shmdt and
# remap_file_pages (each an mmap or munmap).
NOT_RECORDED = {
    "threxec.bpftrace": {
        "mmap": (10, 0), "munmap": (1, 0), "mprotect": (5, 0), "brk": (1, 0), "exec": (1, 0), "exit": (2, 0),
        "read_fault": (31, 0), "write_fault": (42, 0),
    },
    "zoo.bpftrace": {"mmap": (10, 0), "munmap": (5, 0)},
}  # fmt: skip


@pytest.mark.parametrize(("reference", "other"), PAIRS)
def test_two_recordings_of_a_run_have_the_same_rows(reference, other):
    one, another = rows_of(reference), rows_of(other)
    compared = differences(one, another)
    print(f"{other}: {describe(compared)}")
    faults = () if other.tool in WITHOUT_FAULTS else FAULTS
    found = {
        op: (missing, extra)
        for op, (_, missing, extra) in compared.items()
        if (missing or extra) and op in (*CALLS, *faults)
    }
    assert found == (EXPLAINED | NOT_RECORDED).get(str(other), {})
    # Tools without faults see calls from outside: in another order, or not all of them.
    if str(other) not in NOT_RECORDED and other.tool not in WITHOUT_FAULTS:
        assert bool(found) <= bool(one.lost_events or another.lost_events)
    assert sum(compared[op][0] for op in CALLS) > 0


def test_the_differences_explained_are_those_of_recordings_that_are_there():
    assert EXPLAINED.keys() | NOT_RECORDED.keys() <= {pair.id for pair in PAIRS}
