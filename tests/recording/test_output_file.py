import resource
from pathlib import Path

import pytest

from anonvma_trace.errors import OutputError, UsageError
from anonvma_trace.parsers.source import open_source
from anonvma_trace.recording.output_file import output_file


@pytest.mark.parametrize("suffix", ["trace", "zst", "gz", "xz"])
def test_the_name_says_how_it_is_compressed(tmp_path, suffix):
    path = tmp_path / f"run.{suffix}"
    with output_file(path) as file:
        file.write(b"# tracer: nop\n")
        assert not path.exists()
    with open_source(str(path)) as source:
        assert source.compression == {"trace": "", "zst": "zstd", "gz": "gzip", "xz": "xz"}[suffix]
        assert b"".join(source.blocks()) == b"# tracer: nop\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_what_was_there_stays_when_the_recording_fails(tmp_path, failure):
    path = tmp_path / "run.trace.zst"
    path.write_bytes(b"before")
    with pytest.raises(failure), output_file(path) as file:
        file.write(b"half")
        raise failure
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "run.trace"):
        with pytest.raises(OutputError, match=str(path)), output_file(path):
            raise AssertionError


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(OutputError, match="a device or a pipe"), output_file(Path("/dev/null")):
        raise AssertionError
    assert Path("/dev/null").is_char_device()


def test_standard_output_is_refused_since_the_command_writes_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(UsageError, match="what COMMAND prints goes to standard output"),
        output_file(Path("-")),
    ):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files_only():
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_holds_no_more_is_told(tmp_path, small_files_only):
    path = tmp_path / "run.trace"
    told = r"run\.trace: expected a file that can be written, found File too large"
    with pytest.raises(OutputError, match=told), output_file(path) as file:
        for _ in range(100):
            file.write(bytes(1 << 16))
    assert list(tmp_path.iterdir()) == []
