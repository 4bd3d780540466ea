"""What every format of native events shares: order, losses, and the account of every line."""

import pytest

from anonvma_trace.errors import EmptyTraceError, ParserBug
from anonvma_trace.parsers.native_block import NO_TIME, BlockBuilder
from anonvma_trace.parsers.native_events import KIND_LOST, kind_of
from anonvma_trace.parsers.native_stream import NativeFormat, NativeReader, NativeStream
from anonvma_trace.parsers.source import open_source

from .ftrace_text import rows_of, short_rows

MMAP, MMAP_EXIT = kind_of("sys_enter_mmap"), kind_of("sys_exit_mmap")


class MmapReader(NativeReader):
    """A format of its own: ``TIME ADDRESS`` is an mmap that returned ADDRESS, ``lost N`` a loss mark."""

    def __init__(self, source, texts, losses):
        super().__init__()
        self.losses = losses

    def read(self, text, first_line):
        events = BlockBuilder()
        for number, line in enumerate(text.splitlines(), start=first_line):
            first, _, second = line.partition(b" ")
            if first == b"lost":
                self.counts["loss_marks"] += 1
                events.add(KIND_LOST, number, -1, NO_TIME, [int(second)])
            elif first == b"#":
                self.counts["headers"] += 1
            elif first == b"forgotten":
                pass
            elif not second:
                self.counts["unreadable"] += 1
                self.losses.add("bad-line", "expected two numbers", number, 1, line.decode())
            else:
                self.counts["known"] += 1
                events.add(MMAP, number, 7, int(first), [0, 0x1000, 3, 0x22, None, 0])
                events.add(MMAP_EXIT, number, 7, int(first), [int(second)])
        return events.block()


def stream_of(tmp_path, text):
    path = tmp_path / "trace"
    path.write_text(text)
    return NativeStream(NativeFormat("mmaps", lambda _: None, MmapReader), [open_source(str(path))])


def test_a_call_on_one_line_is_one_line(tmp_path):
    stream = stream_of(tmp_path, "# mmaps\n5 4096\n6 8192\nx")
    assert short_rows(stream, "ts", "addr", "line") == [("mmap", 5, 4096, 2), ("mmap", 6, 8192, 3)]
    assert stream.line_counts == {
        "events": 2, "headers": 1, "blank": 0, "loss_marks": 0, "other": 0, "unreadable": 1,
    }  # fmt: skip
    assert (stream.metadata.format, stream.metadata.unreadable_lines) == ("mmaps", 1)


def test_late_lines_are_put_into_their_place(tmp_path):
    assert short_rows(stream_of(tmp_path, "5 4096\n7 8192\n6 12288\n"), "ts") == [
        ("mmap", 5), ("mmap", 6), ("mmap", 7),
    ]  # fmt: skip


def test_a_loss_mark_has_the_time_of_the_event_behind_it_and_the_last_that_of_the_one_before(tmp_path):
    stream = stream_of(tmp_path, "lost 1\n5 4096\nlost 2\n7 8192\nlost 3\n")
    assert short_rows(stream, "ts", "len") == [
        ("lost", 5, 1), ("mmap", 5, 4096), ("lost", 7, 2), ("mmap", 7, 4096), ("lost", 7, 3),
    ]  # fmt: skip
    assert stream.metadata.lost_events == 6


def test_a_line_that_a_reader_forgets_is_a_defect_that_is_told(tmp_path):
    with pytest.raises(ParserBug, match="expected 2 lines, 0 of them unreadable, to be accounted for"):
        rows_of(stream_of(tmp_path, "5 4096\nforgotten\n"))


def test_headers_alone_are_an_empty_trace(tmp_path):
    with pytest.raises(EmptyTraceError, match="expected events, found only headers"):
        rows_of(stream_of(tmp_path, "# mmaps\n"))
