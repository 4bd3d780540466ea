"""Every recording in the repository: told by its content, and read without a line left over."""

import pytest
import zstandard

from anonvma_trace.errors import UnsupportedTraceError
from anonvma_trace.parsers import detect_format, open_trace
from anonvma_trace.parsers.source import open_source

from .recordings import recordings

ALL = [pytest.param(recording, id=f"{recording}") for recording in recordings()]
REFUSED = "variant-context-info.ftrace"


@pytest.mark.parametrize("recording", ALL)
def test_the_format_is_told_by_the_content(recording):
    with open_source(str(recording.path)) as source:
        assert detect_format(source).name == recording.format


@pytest.mark.parametrize("recording", ALL)
def test_the_format_is_told_without_the_first_three_lines(recording, tmp_path):
    with open_source(str(recording.path)) as source:
        text = b"".join(source.blocks())
    path = tmp_path / "trace"
    path.write_bytes(zstandard.compress(text.split(b"\n", 3)[3]))
    with open_source(str(path)) as source:
        assert detect_format(source).name == recording.format


@pytest.mark.parametrize("recording", [each for each in ALL if each.id != REFUSED])
def test_every_line_is_read(recording):
    trace = open_trace([str(recording.path)])
    assert trace.table.num_rows > 0
    assert trace.losses == []
    assert trace.stream.line_counts["unreadable"] == 0
    with open_source(str(recording.path)) as source:
        lines = sum(block.count(b"\n") for block in source.blocks())
    assert sum(trace.stream.line_counts.values()) == lines


@pytest.mark.parametrize("recording", [each for each in ALL if each.values[0].run.startswith("tiny-sh")])
def test_lines_may_end_in_crlf(recording, tmp_path):
    with open_source(str(recording.path)) as source:
        text = b"".join(source.blocks())
    path = tmp_path / "trace"
    path.write_bytes(text.replace(b"\n", b"\r\n"))
    trace = open_trace([str(path)])
    assert trace.table.equals(open_trace([str(recording.path)]).table)
    assert trace.losses == []


def test_ftrace_text_without_a_task_column_is_refused_with_the_reason():
    (recording,) = [each.values[0] for each in ALL if each.id == REFUSED]
    with pytest.raises(UnsupportedTraceError, match="nothing tells which process an event belongs to"):
        open_trace([str(recording.path)]).table  # noqa: B018
