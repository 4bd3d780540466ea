"""Pages joined with faults: which pfn a fault took, and until when it means that page."""

import pytest

from anonvma_trace.parsers import page_join
from anonvma_trace.parsers.native_events import Family, native_tables

from .ftrace_text import codes_of, line, lines, rows_of, short_rows, stream_of
from .test_ftrace import in_blocks_of_one_line

READ, WRITE = 4, 6
ENTER = "sys_munmap(addr: 0x1000, len: 0x1000)"


def fault(address=0x1000, code=WRITE):
    return f"page_fault_user: address={address:#x} ip=0x401a2c error_code={code:#x}"


def alloc(pfn, flags="GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP", order=0, migratetype=1):
    number = pfn if isinstance(pfn, str) else hex(pfn)
    return (
        f"mm_page_alloc: page=000000006bf2725c pfn={number} order={order} migratetype={migratetype} "
        f"gfp_flags={flags}"
    )


def free(pfn, order=0, name="mm_page_free"):
    return f"{name}: page=0000000067448335 pfn={pfn:#x} order={order}"


def swap(size, curr=1, mm_id=7, kind="type=MM_SWAPENTS"):
    return f"rss_stat: mm_id={mm_id} curr={curr} {kind} size={size}B"


def write(pfn, flags="RECLAIM_WB_ANON|RECLAIM_WB_ASYNC", name="mm_vmscan_write_folio"):
    return f"{name}: page=000000003fb54ad8 pfn={pfn:#x} flags={flags}"


def by(tid, event):
    return event, {"tid": tid}


def frames(tmp_path, *events):
    return short_rows(stream_of(tmp_path, lines(*events)), "addr", "frame")


def named(tmp_path, *events):
    """Return what is known of the page of a fault at 0x1000."""
    return next(frame for _, address, frame in frames(tmp_path, *events) if address == 0x1000)


# -- faults ------------------------------------------------------------------------------------------------


def test_a_fault_has_the_page_that_its_thread_allocates_next(tmp_path):
    assert frames(tmp_path, fault(), alloc(0x51), fault(0x2000, READ), fault(0x3000), alloc(0x52)) == [
        ("write_fault", 0x1000, 0x51),
        ("read_fault", 0x2000, None),  # the zero page, or a page that was there
        ("write_fault", 0x3000, 0x52),
    ]


def test_threads_do_not_take_each_others_pages(tmp_path):
    events = [
        by(1, fault()),
        by(2, fault(0x2000)),
        by(2, alloc(0x52)),
        by(3, alloc(0x53)),
        by(1, alloc(0x51)),
    ]
    assert frames(tmp_path, *events) == [("write_fault", 0x1000, 0x51), ("write_fault", 0x2000, 0x52)]


def test_a_pfn_is_decimal_before_5_16(tmp_path):
    assert named(tmp_path, fault(), alloc("2333867")) == 2333867


@pytest.mark.parametrize(
    "event",
    [
        alloc(0x51, "GFP_KERNEL_ACCOUNT|__GFP_ZERO|__GFP_COMP", migratetype=0),  # a page table
        alloc(0x51, "GFP_NOFS|__GFP_HIGHMEM|__GFP_MOVABLE|__GFP_NOWARN|__GFP_NORETRY"),  # the page cache
        alloc(0x51, "GFP_HIGHUSER_MOVABLE|__GFP_NORETRY|__GFP_COMP"),  # it again
        alloc(0x51, "GFP_HIGHUSER_MOVABLE|__GFP_WRITE|__GFP_COMP"),  # write(2) to tmpfs
        alloc(0x51, order=2),
        alloc(0, order=0),  # the allocation failed
    ],
)
def test_other_allocations_are_not_of_the_fault(tmp_path, event):
    assert named(tmp_path, fault(), event) is None
    assert named(tmp_path, fault(), event, alloc(0x52)) == 0x52


def test_what_comes_after_a_system_call_is_not_of_the_fault(tmp_path):
    assert named(tmp_path, fault(), ENTER, alloc(0x51)) is None


def test_of_a_swap_in_and_a_copy_the_copy_is_mapped(tmp_path):
    before = swap(8192, curr=0)
    assert named(tmp_path, before, fault(), alloc(0x51), swap(4096), alloc(0x52)) == 0x52
    assert named(tmp_path, before, fault(), alloc(0x51), swap(4096)) == 0x51
    assert named(tmp_path, before, fault(), swap(4096), alloc(0x52)) == 0x52  # it was in the swap cache


def test_of_pages_read_ahead_none_is_taken(tmp_path):
    before = swap(8192, curr=0)
    ahead = [before, fault(), alloc(0x51), alloc(0x52), swap(4096)]
    assert named(tmp_path, *ahead) is None
    assert named(tmp_path, *ahead, alloc(0x53)) == 0x53  # the copy is certain again
    assert named(tmp_path, fault(code=READ), alloc(0x51), alloc(0x52)) is None  # without rss_stat
    stream = stream_of(tmp_path, lines(*ahead))
    rows_of(stream)
    told = {found.code: found.message for found in stream.diagnostics}
    assert "0 of 1 (0.0 %)" in told["pages-named"]
    assert "1 read others ahead" in told["pages-named"]


def test_without_rss_stat_the_last_page_of_a_write_is_the_copy(tmp_path):
    assert named(tmp_path, fault(), alloc(0x51), alloc(0x52)) == 0x52


def test_old_kernels_print_the_number_of_the_counter(tmp_path):
    before = swap(8192, curr=0, kind="member=2")
    assert named(tmp_path, before, fault(), alloc(0x51), alloc(0x52), swap(4096, kind="member=2")) is None
    assert named(tmp_path, before, fault(), alloc(0x51), alloc(0x52), swap(4096, kind="member=1")) == 0x52


def test_a_page_given_back_at_once_is_not_of_the_fault(tmp_path):
    assert named(tmp_path, fault(), alloc(0x51), free(0x51)) is None


def test_a_loss_between_fault_and_page_parts_them(tmp_path):
    events = [fault(), ("CPU:0 [LOST 9 EVENTS]", None), alloc(0x51)]
    assert frames(tmp_path, *events)[0] == ("write_fault", 0x1000, None)


# -- pages that leave --------------------------------------------------------------------------------------


def left(tmp_path, *events):
    return [
        frame for op, frame in short_rows(stream_of(tmp_path, lines(*events)), "frame") if op == "swap_out"
    ]


def test_a_page_of_a_fault_that_reclaim_writes_is_a_swap_out(tmp_path):
    events = [by(1, fault()), by(1, alloc(0x51)), by(2, write(0x51))]
    rows = rows_of(stream_of(tmp_path, lines(*events)))
    assert [row["op"] for row in rows] == ["write_fault", "swap_out"]
    assert {name: rows[1][name] for name in ("frame", "tid", "pid", "line", "ts")} == {
        "frame": 0x51, "tid": 2, "pid": 2, "line": 3, "ts": 1000002000,
    }  # fmt: skip
    assert "addr" not in rows[1]


def test_the_older_name_of_the_event_is_known(tmp_path):
    assert left(tmp_path, fault(), alloc(0x51), write(0x51, name="mm_vmscan_writepage")) == [0x51]


@pytest.mark.parametrize(
    "between",
    [
        [free(0x51)],
        [free(0x51, name="mm_page_free_batched")],
        [free(0x50, order=1)],  # the block it is in
        [by(2, alloc(0x51))],  # it was freed unseen
        [by(2, alloc(0x50, order=2))],
        [write(0x51)],  # it has left already
        [("CPU:1 [LOST 0 EVENTS]", None)],  # it may have been freed and taken again
    ],
)
def test_a_pfn_means_the_page_of_a_fault_until_something_else_happens_to_it(tmp_path, between):
    already = [0x51] if between == [write(0x51)] else []
    assert left(tmp_path, fault(), alloc(0x51), *between, write(0x51)) == already


def test_the_latest_fault_that_took_a_page_names_it(tmp_path):
    events = [fault(), alloc(0x51), ENTER, free(0x51), fault(0x2000), alloc(0x51), write(0x51)]
    assert frames(tmp_path, *events) == [
        ("write_fault", 0x1000, 0x51),
        ("write_fault", 0x2000, 0x51),
        ("swap_out", None, 0x51),
    ]


def test_a_page_of_a_file_is_no_swap_out(tmp_path):
    assert left(tmp_path, fault(), alloc(0x51), write(0x51, "RECLAIM_WB_FILE|RECLAIM_WB_ASYNC")) == []


def test_a_page_freed_by_reclaim_without_writing_leaves_too(tmp_path):
    """Its copy in swap was still good: entries of the page table became swap entries, and the page was freed."""
    events = [
        by(1, fault()),
        by(1, alloc(0x51)),
        by(1, fault(0x2000)),
        by(1, alloc(0x52)),
        by(2, write(0x52)),
    ]
    assert left(tmp_path, *events, by(3, swap(4096, curr=0)), by(3, free(0x51))) == [0x52, 0x51]
    assert left(tmp_path, *events, by(3, free(0x51))) == [0x52]  # an exit, a munmap


def test_the_share_joined_is_told(tmp_path):
    stream = stream_of(tmp_path, lines(fault(), alloc(0x51), write(0x51), write(0x99)))
    rows_of(stream)
    told = {found.code: found.message for found in stream.diagnostics}
    assert "1 of 1 (100.0 %) faults" in told["pages-named"]
    assert "1 of 2 (50.0 %) pages" in told["reclaim-named"]
    assert stream.line_counts["events"] == 3  # the second write made no row
    assert stream.line_counts["other"] == 1


# -- the stream --------------------------------------------------------------------------------------------

EVENTS = [
    by(9, alloc(0x50)),  # before the first block with an allocation nothing is held back
    *(by(1, event) for event in (fault(), alloc(0x51), fault(0x2000, READ), fault(0x3000), alloc(0x53))),
    *(by(2, event) for event in (fault(0x8000), swap(8192, curr=0), write(0x51), alloc(0x58), write(0x53))),
    *(
        by(2, event)
        for event in (swap(4096), alloc(0x59), free(0x51), "sched_process_exit: comm=sh pid=2 prio=1")
    ),
    *(by(1, event) for event in (write(0x59), fault(0x4000), alloc(0x54))),
]


def test_blocks_make_no_difference(tmp_path, monkeypatch):
    whole = rows_of(stream_of(tmp_path, lines(*EVENTS)))
    in_blocks_of_one_line(monkeypatch)
    assert rows_of(stream_of(tmp_path, lines(*EVENTS))) == whole
    assert [(row["op"], row.get("frame")) for row in whole] == [
        ("write_fault", 0x51),
        ("read_fault", None),
        ("write_fault", 0x53),
        ("write_fault", 0x59),
        ("swap_out", 0x51),
        ("swap_out", 0x53),
        ("exit", None),
        ("swap_out", 0x59),
        ("write_fault", 0x54),
    ]


def test_a_silent_thread_does_not_hold_the_rows_back_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(page_join, "OPEN_LIMIT", 3)
    in_blocks_of_one_line(monkeypatch)
    events = [
        by(9, alloc(0x50)),
        by(1, fault()),
        by(1, alloc(0x51)),
        *(by(2, fault(0x2000 + 0x1000 * n)) for n in range(6)),
    ]
    batches = []
    stream = stream_of(tmp_path, lines(*events))
    for batch in stream.batches():
        batches.append(batch)
        if batch.num_rows and len(batches) == 1:
            first_after = stream.line_counts["events"]
    assert batches[0].to_pylist()[0]["frame"] == 0x51
    assert first_after < len(events)  # not only at the end


def test_page_events_do_not_make_their_thread_a_process(tmp_path):
    text = lines(by(1, fault()), by(1, alloc(0x51)), by(44, write(0x51)), by(45, free(0x51)))
    stream = stream_of(tmp_path, text)
    rows_of(stream)
    assumed = next(found for found in stream.diagnostics if found.code == "assumed-process")
    assert assumed.message.startswith("1 thread was")


def test_a_recording_without_allocations_is_not_held_back(tmp_path, monkeypatch):
    in_blocks_of_one_line(monkeypatch)
    stream = stream_of(tmp_path, lines(fault(), fault(0x2000)))
    first = next(iter(stream.batches()))
    assert first.num_rows == 1
    assert "pages-named" not in codes_of(stream)


def test_a_line_without_its_pfn_is_unreadable(tmp_path):
    stream = stream_of(tmp_path, lines(fault(), "mm_page_free: page=0000000067448335 order=0"))
    rows_of(stream)
    (loss,) = stream.losses
    assert (loss.code, loss.places[0][0]) == ("missing-field", 2)


@pytest.mark.parametrize("pfn", ["0xffffffffffffffff", "0x7fffffffffffffff", "999999999999999999"])
def test_an_impossible_pfn_is_no_page(tmp_path, pfn):
    assert named(tmp_path, fault(), alloc(pfn)) is None


def test_every_page_event_is_one_of_the_known_families():
    tables = native_tables()
    families = {name: Family(int(family)) for name, family in zip(tables.names, tables.family, strict=True)}
    assert families["mm_page_free"] == families["mm_page_free_batched"] == Family.PAGE_FREE
    assert families["mm_vmscan_write_folio"] == families["mm_vmscan_writepage"] == Family.PAGE_WRITE


# -- snapshots ---------------------------------------------------------------------------------------------

SNAPSHOTS = """\
# SNAP n=1 why=start t_mono=1.0 pid=100 comm=sh
# MAPS
00001000-00004000 rw-p 00000000 00:00 0
# PAGES
A 1000 51:1 52:2 0:0
# END n=1
# SNAP n=2 why=exec t_mono=1.1 pid=100 comm=true
# MAPS
00008000-0000a000 rw-p 00000000 00:00 0    [stack]
# PAGES
A 8000 58:1 59:1
# END n=2
"""
MARK = "tracing_mark_write: snap n={} why={} pid=100"


def test_pages_of_a_snapshot_are_known_by_their_frame_where_one_process_maps_them(tmp_path):
    maps = tmp_path / "snapshots"
    maps.write_text(SNAPSHOTS)
    text = lines(
        (MARK.format(1, "start"), {"tid": 9}),
        fault(0x3000),
        alloc(0x53),
        write(0x51),
        write(0x52),
        "sched_process_exec: filename=/bin/true pid=100 old_pid=100",
        (MARK.format(2, "exec"), {"tid": 9}),
        write(0x59),
        write(0x58),
    )
    rows = short_rows(stream_of(tmp_path, text, maps=[maps]), "addr", "frame")
    assert [row for row in rows if row[0] in ("write_fault", "swap_out")] == [
        ("write_fault", 0x1000, 0x51),
        ("write_fault", 0x2000, None),  # mapped by another process too
        ("write_fault", 0x3000, 0x53),
        ("swap_out", None, 0x51),
        ("write_fault", 0x9000, 0x59),  # the argument page
        ("swap_out", None, 0x59),
    ]


def test_the_text_of_one_line_is_as_the_kernel_prints_it():
    assert line(alloc(0x239CAB), tid=792, comm="swapfork", ts="2254.911442") == (
        "        swapfork-792     [000] .....  2254.911442: mm_page_alloc: page=000000006bf2725c "
        "pfn=0x239cab order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP"
    )
