"""Memory that is unmapped and was never mapped shows that a recording is not complete."""

from hypothesis import given
from hypothesis import strategies as st

from anonvma_trace.parsers import scenario_trace
from anonvma_trace.parsers.silent_loss import Ranges, UnmapCheck

PAGES = st.integers(0, 30)


@given(st.lists(st.tuples(st.booleans(), PAGES, PAGES)), PAGES, PAGES)
def test_ranges_are_a_set_of_addresses(steps, begin, end):
    ranges, model = Ranges(), set()
    for adds, low, high in steps:
        if low < high and adds:
            ranges.add(low, high)
            model |= set(range(low, high))
        elif low < high:
            ranges.remove(low, high)
            model -= set(range(low, high))
    if begin < end:
        assert ranges.covers(begin, end) == bool(model & set(range(begin, end)))


def found_in(text):
    check = UnmapCheck()
    for batch in scenario_trace(text).batches():
        check.take_in(batch)
    return [(diagnostic.code, diagnostic.message.split()[0]) for diagnostic in check.diagnostics()]


def test_what_was_mapped_can_be_unmapped():
    assert found_in("exec; map 16 20 rw; unmap 17 18; fork m2; m2: unmap 16 20; unmap 16 20; exit") == []
    assert found_in("exec; map 16 20 rw; move 16 20 40; unmap 40 44") == []


def test_what_was_not_mapped_is_told():
    assert found_in("exec; map 16 20 rw; unmap 17 18; unmap 17 18; unmap 30 31") == [
        ("unmapped-but-not-mapped", "2")
    ]
    assert found_in("exec; fork m2 vm; m2: map 16 20 rw; unmap 16 20; m2: unmap 16 20") == [
        ("unmapped-but-not-mapped", "1")
    ]


def test_processes_from_before_the_recording_are_not_looked_at():
    assert found_in("unmap 30 31; fork m2; m2: unmap 30 31") == []
