"""What `explain --addr --pid` tells of a page."""

import pytest

from anonvma_trace.errors import UsageError
from anonvma_trace.explaining import explain_page
from anonvma_trace.parsers import scenario_trace

LIFE = (
    "map 10 20 rw; w 12,15; prot 12 16 r; fork m2; m2: w 15; prot 12 16 rw; w 12; swap_out 12; w 12; "
    "move 12 14 30; m2: exit; unmap 10 40"
)


def history(scenario, page, pid=1):
    sections = explain_page(scenario_trace(scenario), pid, page << 12)
    return {section.name: section.lines for section in sections}


def test_each_event_that_names_or_changes_the_page_is_told():
    told = history(LIFE, 12)
    assert list(told)[1:] == [f"event {event}" for event in (1, 2, 4, 5, 7, 8, 9, 10, 11, 13)]
    assert told["page 0xc000"] == ["of pid 1: 10 events in its history"]


def test_what_changed_is_told():
    told = history(LIFE, 12)
    assert told["event 5"][-1] == (
        "page: anonymous page 1, mapped once, write-protected here; it points to anon_vma 1, index 0xc → anonymous "
        "page 1, mapped 2 times, write-protected here; it points to anon_vma 1, index 0xc"
    )
    assert told["event 9"][-1].endswith("→ swapped out: the pte names swap slot 1")
    assert told["event 11"][-1] == "its history goes on with --addr 0x1e000"
    assert told["event 13"][-1] == "nothing changed here: nothing is mapped"


def test_a_scan_that_takes_the_page_is_told_and_one_that_does_not_is_not():
    told = history("map 10 12 rw; w 10; scan 1; scan 1; scan 1; scan 1", 10)
    taken = [name for name, lines in told.items() if any("swapped out" in line for line in lines)]
    assert len(taken) == 1
    assert len(told) < 7


def test_a_long_history_is_cut_in_its_middle():
    told = history("map 10 12 rw; w 10;" + "touch 10;" * 200 + "unmap 10 12", 10)
    assert told["…"] == ["143 events left out"]
    assert list(told)[-1] == "event 203"


def test_a_page_that_no_event_concerns():
    with pytest.raises(UsageError, match="pid 7"):
        history(LIFE, 12, pid=7)
