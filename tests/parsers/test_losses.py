"""Losses: counted by kind, the first places remembered."""

from anonvma_trace.parsers.losses import PLACES_KEPT, TEXT_KEPT, LossLog
from anonvma_trace.trace import Loss


def test_losses_are_counted_by_code_and_the_first_places_kept():
    log = LossLog()
    for line in range(1, 10):
        log.add("bad-number", "expected a number", line, column=3, text=f"x{line}")
    log.add("lost", "expected all events", count=40)
    assert log.losses == [
        Loss(
            "bad-number",
            "expected a number",
            9,
            [(line, 3, f"x{line}") for line in range(1, PLACES_KEPT + 1)],
        ),
        Loss("lost", "expected all events", 40, []),
    ]
    assert log.total == 49


def test_the_first_reason_of_a_code_stays():
    log = LossLog()
    log.add("a", "first", 1)
    log.add("a", "second", 2)
    assert [loss.reason for loss in log.losses] == ["first"]


def test_nothing_lost_leaves_no_trace():
    log = LossLog()
    log.add("a", "reason", 1, count=0)
    assert (log.losses, log.total) == ([], 0)


def test_long_texts_are_cut():
    log = LossLog()
    log.add("a", "reason", 1, text="x" * 10_000)
    assert len(log.losses[0].places[0][2]) == TEXT_KEPT


def test_logs_add_up():
    one, other = LossLog(), LossLog()
    for line in range(3):
        one.add("a", "reason", line + 1)
        other.add("a", "reason", line + 11)
    other.add("b", "other reason", 1)
    one.take_in(other.losses)
    assert [(loss.code, loss.count) for loss in one.losses] == [("a", 6), ("b", 1)]
    assert [line for line, _, _ in one.losses[0].places] == [1, 2, 3, 11, 12]
    assert [loss.count for loss in other.losses] == [3, 1]  # unchanged
