from pathlib import Path

import pytest

from anonvma_trace.errors import UsageError
from anonvma_trace.recording import Recording, parse_size_kb
from anonvma_trace.recording.report import recording_lines
from anonvma_trace.recording.sizes import size_text


@pytest.mark.parametrize(
    ("text", "kb"), [("64M", 65536), ("512k", 512), ("1G", 1 << 20), ("4096", 4096), ("2MiB", 2048)]
)
def test_sizes(text, kb):
    assert parse_size_kb(text) == kb


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5M", "64Q"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="such as 512k"):
        parse_size_kb(text)


def test_size_text():
    assert [size_text(n) for n in (12, 2048, 3 << 20, 5 << 30)] == ["12 bytes", "2.0 kB", "3.0 MB", "5.0 GB"]


def test_what_was_recorded_and_what_comes_next():
    recording = Recording(Path("my run.trace"), -11, 1234, 0, 1, {"start": 1, "exit": 1}, 1024, 4096, [])
    assert recording_lines(recording) == [
        "command     killed by signal 11 (SIGSEGV)",
        "recorded    1,234 events, 0 lost; 1 process; snapshots: 1 start, 1 exit",
        "wrote       my run.trace (4.0 kB)",
        "next        anonvma-trace replay 'my run.trace' --validate 'my run.trace'",
    ]


def test_what_is_missing_is_told_with_the_cure():
    recording = Recording(
        Path("run.trace"), 0, 1000, 3000, 2, {"start": 1}, 64 << 10, 1, ["exceptions/page_fault_user"]
    )
    text = "\n".join(recording_lines(recording))
    assert "warning: this kernel has no events exceptions/page_fault_user" in text
    assert "record again with --buffer-size 512M" in text
