import threading

import pytest

from anonvma_trace.parsers.read_ahead import read_ahead


def test_blocks_come_in_order_from_another_thread():
    threads = set()

    def blocks():
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(read_ahead(blocks())) == list(range(20))
    assert threading.get_ident() not in threads


def test_an_error_is_raised_behind_what_came_before_it():
    def blocks():
        yield 1
        raise ValueError("damaged")

    ahead = read_ahead(blocks())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)


def test_the_thread_ends_when_nobody_reads_on():
    made = []

    def blocks():
        for number in range(1000):
            made.append(number)
            yield number

    before = threading.active_count()
    ahead = read_ahead(blocks())
    assert next(ahead) == 0
    ahead.close()
    assert threading.active_count() == before
    assert len(made) < 10
