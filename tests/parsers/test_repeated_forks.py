"""Of a new task that two events tell of, only the first one counts; flags are those of the call before."""

import pytest

from anonvma_trace.events import CLONE_VFORK, CLONE_VM
from anonvma_trace.parsers.native_block import BlockBuilder
from anonvma_trace.parsers.native_events import kind_of
from anonvma_trace.parsers.repeated_forks import RepeatedForks

NEWTASK, FORK = kind_of("task_newtask"), kind_of("sched_process_fork")
PARENT = 5


def block(*events):
    """Make a block: ``("new", child)``, ``("fork", child)``, or a call with its first number."""
    builder = BlockBuilder()
    for number, (what, value) in enumerate(events):
        if what == "new":
            builder.add(NEWTASK, number + 1, PARENT, number, [value, 0])
        elif what == "fork":
            builder.add(FORK, number + 1, PARENT, number, [PARENT, value])
        else:
            builder.add(kind_of(f"sys_enter_{what}"), number + 1, PARENT, number, [value])
    return builder.block()


@pytest.mark.parametrize(
    ("blocks", "new"),
    [
        ([[("new", 7), ("fork", 7)]], [[]]),
        ([[("fork", 7)]], [[0]]),
        ([[("new", 7), ("fork", 8), ("fork", 7)]], [[1]]),
        ([[("new", 7)], [("fork", 7), ("fork", 7)]], [[], [1]]),  # pending from block to block, but once only
        ([[("new", 7), ("fork", 7), ("fork", 7)]], [[2]]),
        ([[("fork", 7), ("new", 7)], [("fork", 7)]], [[0], []]),  # the tid was used again
        ([[("new", 7), ("new", 7), ("fork", 7)], [("fork", 7)]], [[], [0]]),
        ([[]], [[]]),
    ],
)
def test_a_fork_is_new_unless_the_latest_event_about_the_child_is_its_task_newtask(blocks, new):
    forks = RepeatedForks()
    assert [forks.new_ones(block(*events)).tolist() for events in blocks] == new


def test_the_flags_of_a_new_task_are_those_of_the_call_before():
    forks = RepeatedForks()
    events = [
        ("clone", 0x11),
        ("fork", 7),
        ("vfork", 0),
        ("fork", 8),
        ("clone3", 0),
        ("fork", 9),
        ("clone", 0x100),
    ]
    assert forks.new_ones(block(*events)).tolist() == [1, 3, 5]
    assert [forks.flags_before(event, PARENT) for event in (1, 3, 5)] == [0x11, CLONE_VM | CLONE_VFORK, None]
    assert forks.flags_before(5, PARENT + 1) is None  # another task's calls
    assert forks.new_ones(block(("fork", 10))).tolist() == [0]
    assert forks.flags_before(0, PARENT) == 0x100  # of the block before
