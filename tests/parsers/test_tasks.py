"""Threads, processes and names through events; a process that ends takes its threads along."""

import numpy as np
import pytest

from anonvma_trace.events import CLONE_THREAD, CLONE_VM
from anonvma_trace.parsers.native_block import BlockBuilder
from anonvma_trace.parsers.native_events import GROUP_DEAD, LEADER_LAST, Family, kind_of
from anonvma_trace.parsers.task_kernels import AFTER_EXIT, MADE_OP, N_TOLD_COLUMNS, NOTED_WHAT
from anonvma_trace.parsers.tasks import DEAD, Tasks

KIND = {what: kind_of(name) for what, name in (("new", "task_newtask"), ("exit", "sched_process_exit"))}
KIND |= {
    "act": kind_of("sys_enter_brk"),
    "exec": kind_of("sched_process_exec"),
    "rename": kind_of("task_rename"),
}
THREAD = CLONE_VM | CLONE_THREAD
SHELL, TRUE = 40, 41  # numbers of names


class Follower:
    """Follows tasks through blocks of events ``(what, tid, *numbers)``, and keeps what came out."""

    def __init__(self):
        self.tasks = Tasks()
        self.ops: list[int] = []
        self.noted: list[int] = []
        self._seq = 1

    def follow(self, *events, tgid=-1):
        """Return the processes of the events of the next block, and the numbers of their names."""
        builder, told = BlockBuilder(), []
        for at, (what, tid, *numbers) in enumerate(events):
            text = numbers.pop() if what == "rename" else -1
            builder.add(KIND[what], at + 1, tid, at, numbers, tgid=tgid, text=text)
            if what == "exec":
                told.append((at, Family.EXEC, 1, 0, TRUE, -1))
        block = builder.block()
        seq = np.arange(self._seq, self._seq + len(block))
        self._seq += len(block)
        rows = np.array(told, dtype=np.int64).reshape(-1, N_TOLD_COLUMNS)
        followed = self.tasks.follow(block, seq, rows, False)
        self.ops += followed.made[:, MADE_OP].tolist()
        self.noted += followed.noted[:, NOTED_WHAT].tolist()
        return followed.pids.tolist(), followed.names.tolist()

    def pids(self, *events, tgid=-1):
        return self.follow(*events, tgid=tgid)[0]


@pytest.fixture
def follower():
    """A process 10 with a second thread, 11."""
    made = Follower()
    made.follow(("new", 5, 10, 0), ("new", 10, 11, THREAD))
    return made


def test_a_change_holds_from_the_next_event_on():
    follower = Follower()
    _, names = follower.follow(("rename", 7, 7, SHELL), ("rename", 7, 7, TRUE), ("act", 7), ("act", 8))
    assert names == [-1, SHELL, TRUE, -1]
    _, names = follower.follow(("act", 7), ("act", 100_000))
    assert names == [TRUE, -1]  # remembered, and the table grows


def test_a_process_ends_with_its_last_thread_where_the_kernel_does_not_tell(follower):
    assert follower.pids(("exit", 10, 10), ("act", 11), ("exit", 11, 11)) == [10, 10, 10]
    assert follower.pids(("act", 10), ("act", 11)) == [DEAD, DEAD]


def test_group_dead_wins_over_counting(follower):
    assert follower.pids(("exit", 11, 11, GROUP_DEAD), ("act", 10), ("act", 11)) == [10, DEAD, DEAD]


def test_a_leader_whose_exit_is_the_last_is_told_by_its_tid(follower):
    assert follower.pids(("exit", 11, 11, LEADER_LAST), ("act", 10)) == [10, 10]
    assert follower.pids(("exit", 10, 10, LEADER_LAST), ("act", 10)) == [10, DEAD]


def test_a_leader_that_exits_first_keeps_its_tid_for_a_thread_that_calls_execve(follower):
    assert follower.pids(("exit", 10, 10, 0), ("act", 10)) == [10, 10]
    assert follower.pids(("exec", 10, 10, 11), ("act", 10), ("act", 11)) == [10, 10, DEAD]
    assert follower.pids(("exit", 10, 10), ("act", 10)) == [10, DEAD]


def test_an_exec_ends_the_other_threads_and_names_the_process_from_its_own_event_on(follower):
    follower.follow(("new", 10, 12, THREAD))
    pids, names = follower.follow(("act", 10), ("exec", 10, 10, 10), ("act", 11), ("act", 12))
    assert pids == [10, 10, DEAD, DEAD]
    assert names[:2] == [-1, TRUE]


def test_a_tid_that_is_used_again_belongs_to_its_new_process(follower):
    follower.follow(("exit", 10, 10, GROUP_DEAD))
    assert follower.pids(("new", 5, 11, 0), ("act", 11), ("act", 10)) == [5, 11, DEAD]
    assert follower.pids(("new", 5, 10, 0), ("act", 10), ("act", 11)) == [5, 10, 11]


def test_a_thread_is_not_of_a_process_that_has_taken_over_the_number_of_its_own(follower):
    """The exits of 10 and 11 were lost: 10 is used again, 11 cannot be a thread of it."""
    assert follower.pids(("new", 5, 10, 0), ("act", 10), ("act", 11)) == [5, 10, DEAD]


def test_an_unknown_thread_is_what_its_line_says_or_a_process_of_its_own():
    follower = Follower()
    assert follower.pids(("act", 5)) == [5]
    assert follower.tasks.assumed == 1
    assert follower.pids(("act", 6), ("act", 5), tgid=4) == [4, 5]
    assert follower.tasks.assumed == 1


def test_the_leader_of_an_unknown_thread_is_taken_to_live():
    follower = Follower()
    assert follower.pids(("exit", 11, 11), ("act", 11), tgid=10) == [10, DEAD]
    assert follower.pids(("act", 10), ("exit", 10, 10), ("act", 10)) == [10, 10, DEAD]


def test_a_thread_of_a_process_that_is_gone_is_gone(follower):
    follower.follow(("exit", 10, 10, GROUP_DEAD))
    assert follower.pids(("act", 12), tgid=10) == [DEAD]
    assert not follower.noted
    follower.follow(("new", 12, 13, 0), ("exit", 12, 12), ("exec", 12, 12, 12))
    assert follower.noted == [AFTER_EXIT] * 3
