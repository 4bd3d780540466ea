"""Reclaim as rows: `scan` where nothing names the pages, `swap_out` where something does, never both."""

import pytest

from anonvma_trace.parsers import native_rows
from anonvma_trace.parsers.reclaim_rows import SCAN_HOLD_LIMIT

from .ftrace_text import codes_of, lines, short_rows, stream_of
from .test_ftrace import in_blocks_of_one_line
from .test_page_join import alloc, by, fault, write


def isolate(scanned, lru="inactive_anon"):
    return (
        f"mm_vmscan_lru_isolate: classzone=4 order=0 nr_requested=32 nr_scanned={scanned} nr_skipped=0 "
        f"nr_taken={scanned} lru={lru}"
    )


def shrink(scanned, flags="RECLAIM_WB_ANON|RECLAIM_WB_ASYNC"):
    return (
        f"mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned={scanned} nr_reclaimed=0 nr_dirty=0 nr_writeback=0 "
        f"nr_congested=0 nr_immediate=0 nr_activate_anon=0 nr_activate_file=0 nr_ref_keep=0 nr_unmap_fail=0 "
        f"priority=5 flags={flags}"
    )


def rows(tmp_path, *events):
    stream = stream_of(tmp_path, lines(*events))
    return short_rows(stream, "len", "frame"), codes_of(stream)


def test_counts_alone_are_scans(tmp_path):
    found, codes = rows(tmp_path, fault(), isolate(32), fault(0x2000), isolate(21))
    assert found == [
        ("write_fault", None, None),
        ("scan", 32, None),
        ("write_fault", None, None),
        ("scan", 21, None),
    ]
    assert "reclaim-counted" in codes


def test_where_pages_are_named_counts_make_no_row(tmp_path):
    events = [fault(), alloc(0x51), isolate(32), write(0x51), isolate(21)]
    found, codes = rows(tmp_path, *events)
    assert found == [("write_fault", None, 0x51), ("swap_out", None, 0x51)]
    assert "reclaim-named" in codes
    assert "reclaim-counted" not in codes


def test_a_page_that_no_fault_took_is_named_all_the_same(tmp_path):
    found, codes = rows(tmp_path, isolate(32), write(0x99))
    assert found == []
    assert "reclaim-named" in codes


@pytest.mark.parametrize(
    "event",
    [
        isolate(32, "inactive_file"),
        isolate(32, "active_anon"),  # the replay refills its inactive list itself
        isolate(0),
        shrink(32, "RECLAIM_WB_FILE|RECLAIM_WB_ASYNC"),
        "mm_vmscan_lru_shrink_active: nid=0 nr_taken=32 nr_active=0 nr_deactivated=32 nr_referenced=0",
    ],
)
def test_other_counts_make_no_row(tmp_path, event):
    assert rows(tmp_path, fault(), event)[0] == [("write_fault", None, None)]


def test_one_scan_is_counted_once(tmp_path):
    both = [isolate(32), shrink(32), isolate(21), shrink(21)]
    assert rows(tmp_path, *both)[0] == [("scan", 32, None), ("scan", 21, None)]
    assert rows(tmp_path, shrink(32), shrink(21))[0] == [("scan", 32, None), ("scan", 21, None)]


def test_blocks_make_no_difference(tmp_path, monkeypatch):
    counted = [
        by(9, alloc(0x50)),
        by(1, fault()),
        by(2, isolate(32)),
        by(1, fault(0x2000)),
        by(2, isolate(5)),
    ]
    named = [*counted, by(1, alloc(0x51)), by(2, write(0x51))]
    whole = [rows(tmp_path, *counted), rows(tmp_path, *named)]
    in_blocks_of_one_line(monkeypatch)
    assert [rows(tmp_path, *counted), rows(tmp_path, *named)] == whole


def test_the_rows_behind_the_first_count_do_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(native_rows, "SCAN_HOLD_LIMIT", 3)
    in_blocks_of_one_line(monkeypatch)
    events = [
        alloc(0x50),
        isolate(32),
        *(fault(0x1000 * n) for n in range(1, 6)),
        isolate(7),
        alloc(0x51),
        write(0x51),
        isolate(8),
    ]
    found, codes = rows(tmp_path, *events)
    assert found == [
        ("scan", 32, None),
        *[("write_fault", None, None)] * 4,
        ("write_fault", None, 0x51),
        ("scan", 7, None),
        ("swap_out", None, 0x51),
    ]
    assert "reclaim-named-late" in codes
    assert SCAN_HOLD_LIMIT > 100_000


def test_a_reclaimer_that_has_exited_is_no_process(tmp_path):
    ended = "sched_process_exit: comm=sh pid=2 prio=120 group_dead=true"
    stream = stream_of(tmp_path, lines(by(2, fault()), by(2, ended), by(2, isolate(3))))
    assert short_rows(stream, "pid", "tid")[-1] == ("scan", 0, 2)
