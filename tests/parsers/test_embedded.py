"""Recordings that hold their own snapshots, as comments before the events."""

import pytest
import zstandard

from anonvma_trace import read_trace
from anonvma_trace.parsers import detect_format
from anonvma_trace.parsers.embedded import embedded_snapshots, holds_snapshots
from anonvma_trace.parsers.proc_maps import read_snapshots
from anonvma_trace.parsers.source import open_source
from anonvma_trace.recording.recorder import FIRST_LINE

SNAPSHOTS = """\
# anonvma-trace recording: snapshots of address spaces as comments, then ftrace text
# command: sh -c 'true'
# SNAP n=1 why=start t_mono=10.000001 pid=7 comm=sh
# MAPS
# 00400000-00402000 r-xp 00000000 fe:00 12                         /bin/sh
# 00600000-00602000 rw-p 00000000 00:00 0
# PAGES A address pfn:mapcount ... / S address swaptype:offset ...
# A 600000 1f:1
# END n=1
# SNAP n=2 why=exit t_mono=10.000004 pid=7 comm=sh
# MAPS
# 00400000-00402000 r-xp 00000000 fe:00 12                         /bin/sh
# 00600000-00602000 rw-p 00000000 00:00 0
# PAGES A address pfn:mapcount ... / S address swaptype:offset ...
# A 600000 1f:1 20:1
# END n=2
"""
EVENTS = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 4/4   #P:2
#
          python-6     (      6) [000] .....    10.000002: tracing_mark_write: snap n=1 why=start pid=7
              sh-7     (      7) [000] d....    10.000003: page_fault_user: address=0x601008 ip=0x400010 error_code=0x6
          python-6     (      6) [000] .....    10.000004: tracing_mark_write: snap n=2 why=exit pid=7
              sh-7     (      7) [000] .....    10.000005: sched_process_exit: comm=sh pid=7 prio=120 group_dead=true
"""
ROWS = [
    ("mark", None, 1),
    ("vma", 0x400000, 0x2000),
    ("vma", 0x600000, 0x2000),
    ("write_fault", 0x600000, None),
    ("write_fault", 0x601008, None),
    ("mark", None, 2),
    ("exit", None, None),
]


def rows(trace):
    table = trace.table
    return list(zip(*(table[column].to_pylist() for column in ("op", "addr", "len")), strict=True))


def written(tmp_path, text):
    path = tmp_path / "run.trace"
    path.write_text(text)
    return str(path)


def test_a_recording_starts_from_its_own_snapshots(tmp_path):
    trace = read_trace([written(tmp_path, SNAPSHOTS + EVENTS)])
    assert rows(trace) == ROWS
    assert trace.format == "ftrace"
    assert trace.metadata.known_pids == (7,)
    assert trace.diagnostics == []
    counts = trace.stream.line_counts
    assert sum(counts.values()) == (SNAPSHOTS + EVENTS).count("\n")
    assert (counts["headers"], counts["unreadable"]) == (SNAPSHOTS.count("\n") + 4, 0)


def test_snapshots_longer_than_what_detection_looks_at(tmp_path):
    """Detection and the reader see nothing but comments in the first 64 KiB."""
    more = SNAPSHOTS[SNAPSHOTS.index("# SNAP n=2") :].replace("pid=7", "pid=8") * 300
    path = tmp_path / "run.trace.zst"
    path.write_bytes(zstandard.compress((SNAPSHOTS + more + EVENTS).encode()))
    assert len(more) > 1 << 16
    assert rows(read_trace([str(path)])) == ROWS


@pytest.mark.parametrize("lines_cut", range(1, 17))
def test_a_recording_without_its_first_lines_is_still_one(tmp_path, lines_cut):
    text = "".join((SNAPSHOTS + EVENTS).splitlines(keepends=True)[lines_cut:])
    trace = read_trace([written(tmp_path, text)])
    assert trace.format == "ftrace"
    assert rows(trace)[-1] == ("exit", None, None)


def test_the_same_file_serves_as_snapshots(tmp_path):
    """`--validate` and `--maps` read the blocks and leave the events alone."""
    path = written(tmp_path, SNAPSHOTS + EVENTS)
    start, leaving = read_snapshots([path])
    assert (start.n, start.why, len(start.mappings), start.line) == (1, "start", 2, 3)
    assert [hex(page) for page in leaving.anonymous_pages()] == ["0x600000", "0x601000"]


@pytest.mark.parametrize(
    ("damaged", "lines", "kept_mappings", "kept_pages"),
    [
        (SNAPSHOTS.replace("# 00600000-", "# 006X0000-", 1), [6], 1, 1),
        (SNAPSHOTS.replace("# A 600000", "# A 60Z000", 1), [8], 2, 0),
        (SNAPSHOTS.replace("# END n=1", "# EMD n=1", 1), [9, 10], 2, 1),
        (SNAPSHOTS.replace("# SNAP n=2", "# SNAP n=Q", 1), [10], 2, 1),
    ],
)
def test_a_damaged_line_is_a_loss_and_the_rest_stays(tmp_path, damaged, lines, kept_mappings, kept_pages):
    path = written(tmp_path, damaged + EVENTS)
    with open_source(path) as source:
        (start,) = embedded_snapshots(source)
        (loss,) = source.losses.losses
    assert (loss.code, loss.count) == ("snapshot-damaged", len(lines))
    assert [place[0] for place in loss.places] == lines
    assert len(start.mappings) == kept_mappings
    assert len(start.anonymous_pages()) == kept_pages
    assert read_trace([path]).table.num_rows >= 5


def test_a_comment_that_lost_its_sign_does_not_end_the_snapshots(tmp_path):
    path = written(
        tmp_path,
        SNAPSHOTS.replace("# 00400000-", "#\x0b00400000-", 1).replace("# MAPS", "X MAPS", 1) + EVENTS,
    )
    trace = read_trace([path])
    assert ("mark", None, 2) in rows(trace)
    assert trace.metadata.unreadable_lines >= 1


def test_only_comments_with_blocks_are_taken_for_a_recording():
    assert holds_snapshots(FIRST_LINE.encode())
    assert holds_snapshots(SNAPSHOTS.partition("# MAPS")[2].encode())
    assert not holds_snapshots(SNAPSHOTS.replace("# 0", "0").partition("\n# SNAP")[2].encode())
    assert not holds_snapshots(EVENTS.encode())


def test_a_file_of_snapshots_alone_is_no_trace(tmp_path):
    path = written(
        tmp_path, SNAPSHOTS.replace("# 0", "0").replace("# A", "A").partition("command: sh -c 'true'\n")[2]
    )
    with open_source(path) as source, pytest.raises(Exception, match="expected one of the formats"):
        detect_format(source)
