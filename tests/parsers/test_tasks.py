import numpy as np

from anonvma_trace.parsers.tasks import DEAD, Tasks, TidTable


def test_a_change_holds_from_the_next_event_on():
    table = TidTable(0)
    table.change(1, 7, 70)
    table.change(2, 7, 71)
    assert (table.now(7), table.now(8)) == (71, 0)
    assert table.follow(np.array([7, 7, 7, 7, 8])).tolist() == [0, 0, 70, 71, 0]
    assert table.follow(np.array([7, 100_000])).tolist() == [71, 0]  # remembered, and the table grows


def test_a_process_ends_with_its_last_thread_where_the_kernel_does_not_tell():
    tasks = Tasks()
    tasks.start_thread(0, 10, 10)
    tasks.start_thread(1, 11, 10)
    assert not tasks.end_thread(2, 10, 10, None)
    assert tasks.pid(11) == 10
    assert tasks.end_thread(3, 11, 10, None)
    assert (tasks.pid(10), tasks.pid(11)) == (DEAD, DEAD)


def test_group_dead_wins_over_counting():
    tasks = Tasks()
    tasks.start_thread(0, 10, 10)
    tasks.start_thread(1, 11, 10)
    assert tasks.end_thread(2, 11, 10, True)
    assert tasks.pid(10) == DEAD


def test_a_leader_that_exits_first_keeps_its_tid_for_a_thread_that_calls_execve():
    tasks = Tasks()
    tasks.start_thread(0, 10, 10)
    tasks.start_thread(1, 11, 10)
    tasks.end_thread(2, 10, 10, False)
    assert tasks.pid(10) == 10
    tasks.become_leader(3, 10, 11)
    assert (tasks.pid(10), tasks.pid(11)) == (10, DEAD)
    assert tasks.end_thread(4, 10, 10, None)


def test_an_unknown_thread_is_what_its_line_says_or_a_process_of_its_own():
    tasks = Tasks()
    assert (tasks.pid(5), tasks.pid(5, 4)) == (5, 4)


def test_the_leader_of_an_unknown_thread_is_taken_to_live():
    tasks = Tasks()
    assert not tasks.end_thread(0, 11, 10, None)
    assert tasks.pid(10) == 10
