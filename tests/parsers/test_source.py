"""Sources: blocks of whole lines, whatever the compression, and one clear message where there are none."""

import gzip
import io
import lzma
import os
import sys
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.errors import EmptyTraceError, TraceAccessError
from anonvma_trace.parsers.source import HEAD_BYTES, LONGEST_LINE, open_source

TEXT = b"".join(b"line %d of a trace\n" % n for n in range(20_000))

COMPRESS = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "": bytes,
}


def source_of(tmp_path, content, name="trace"):
    path = tmp_path / name
    path.write_bytes(content)
    return open_source(str(path))


def losses_of(source):
    return [(loss.code, loss.count) for loss in source.losses.losses]


@pytest.mark.parametrize("compression", COMPRESS)
def test_content_tells_the_compression_not_the_name(tmp_path, compression):
    content = COMPRESS[compression](TEXT)
    with source_of(tmp_path, content, "trace.bz2") as source:
        assert source.compression == compression
        assert source.head == TEXT[:HEAD_BYTES]
        assert source.bytes_total == len(content)
        assert b"".join(source.blocks(10_000)) == TEXT
        assert source.bytes_read == len(content)
        assert source.rewindable
        assert losses_of(source) == []


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_several_frames_read_as_one(tmp_path, compression):
    compress = COMPRESS[compression]
    padding = b"" if compression == "zstd" else b"\0" * 512
    source = source_of(tmp_path, compress(TEXT) + padding + compress(b"") + compress(TEXT) + padding)
    assert b"".join(source.blocks()) == TEXT + TEXT
    assert losses_of(source) == []


def test_a_skippable_frame_may_come_first(tmp_path):
    skippable = b"\x5a\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"pzst"
    assert b"".join(source_of(tmp_path, skippable + zstandard.compress(TEXT)).blocks()) == TEXT


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), min_size=1),
    final_newline=st.booleans(),
    size=st.integers(1, 50),
)
@settings(max_examples=60, deadline=None)
def test_blocks_end_at_line_ends_and_join_to_the_content(tmp_path_factory, lines, final_newline, size):
    content = b"\n".join(lines) + b"\n" * final_newline
    if not content:
        content = b"x"
    source = source_of(tmp_path_factory.mktemp("source"), b"#\n" + content)
    blocks = list(source.blocks(size))
    assert b"".join(blocks) == b"#\n" + content
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert all(blocks)


@pytest.mark.parametrize("content", [b"one\r\ntwo\r\n", b"one", b"\n", b"\xef\xbb\xbfone\n"])
def test_odd_files_are_handed_out_as_they_are_but_for_the_byte_order_mark(tmp_path, content):
    source = source_of(tmp_path, content)
    expected = content.removeprefix(b"\xef\xbb\xbf")
    assert source.head == expected
    assert b"".join(source.blocks()) == expected


@pytest.mark.parametrize("size", [1000, LONGEST_LINE // 2, 4 << 20])
@pytest.mark.parametrize("ends", [b"\nlast\n", b"\n", b""])
def test_a_line_without_an_end_becomes_an_empty_one_and_a_loss(tmp_path, size, ends):
    """Power failures leave megabytes of zero bytes in files."""
    content = b"one\ntwo\n" + b"\0" * (3 * LONGEST_LINE) + ends
    source = source_of(tmp_path, content)
    expected = b"one\ntwo\n" + (ends or b"\n")
    assert b"".join(source.blocks(size)) == expected
    assert losses_of(source) == [("line-too-long", 1)]
    assert source.losses.losses[0].places[0][0] == 3


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1])
@pytest.mark.parametrize("size", [1000, 4 << 20])
def test_the_longest_line_does_not_depend_on_where_blocks_end(tmp_path, length, size):
    source = source_of(tmp_path, b"a\n" + b"x" * length + b"\nb\n")
    kept = b"x" * length if length <= LONGEST_LINE else b""
    assert b"".join(source.blocks(size)) == b"a\n" + kept + b"\nb\n"
    assert losses_of(source) == ([] if kept else [("line-too-long", 1)])


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_truncated_compression_keeps_the_lines_before_and_is_a_loss(tmp_path, compression):
    # Incompressible lines, so that the frame has several blocks.
    text = b"".join(b"%d %s\n" % (n, os.urandom(8).hex().encode()) for n in range(40_000))
    content = COMPRESS[compression](text)
    source = source_of(tmp_path, content[: len(content) * 2 // 3])
    read = b"".join(source.blocks())
    assert 100_000 < len(read) < len(text)
    assert text.startswith(read)
    assert losses_of(source) == [("truncated-compression", 1)]


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_broken_compression_keeps_the_lines_before_and_is_a_loss(tmp_path, compression):
    second = bytearray(COMPRESS[compression](TEXT))
    middle = len(second) // 2
    second[middle : middle + 200] = bytes(200)
    source = source_of(tmp_path, COMPRESS[compression](TEXT) + bytes(second))
    assert b"".join(source.blocks()).startswith(TEXT)
    assert losses_of(source) == [("broken-compression", 1)]


def test_other_bytes_after_the_compressed_data_are_a_loss(tmp_path):
    source = source_of(tmp_path, gzip.compress(TEXT) + b"not compressed")
    assert b"".join(source.blocks()) == TEXT
    assert "6e 6f 74 20" in source.losses.losses[0].places[0][2]


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
@pytest.mark.parametrize("damage", [lambda c: c[:8], lambda c: c[:6] + b"\xff" * 40])
def test_compression_damaged_from_its_beginning_is_refused(tmp_path, compression, damage):
    with pytest.raises(TraceAccessError, match=f"expected {compression} data that can be decompressed"):
        source_of(tmp_path, damage(COMPRESS[compression](b"a line\n")))


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"", mtime=0), zstandard.compress(b""), b"\xef\xbb\xbf"]
)
def test_an_empty_file_is_refused(tmp_path, content):
    with pytest.raises(EmptyTraceError, match="found nothing: the input is empty"):
        source_of(tmp_path, content)


def test_missing_files_get_the_nearest_name(tmp_path):
    (tmp_path / "make.ftrace").touch()
    with pytest.raises(TraceAccessError) as caught:
        open_source(str(tmp_path / "mkae.ftrace"))
    assert caught.value.found == "no such file"
    assert caught.value.hint == f"did you mean {tmp_path / 'make.ftrace'}?"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", "a directory"),
        ("none/trace", "no such file"),
        ("file/trace", "Not a directory"),
        ("a\0b", "embedded null byte"),
        ("n" * 300, "File name too long"),
    ],
)
def test_paths_that_cannot_be_opened_are_told(tmp_path, name, found):
    (tmp_path / "file").touch()
    with pytest.raises(TraceAccessError) as caught:
        open_source(str(tmp_path / name))
    assert caught.value.found == found
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_told(tmp_path):
    path = tmp_path / "trace"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(TraceAccessError, match="no permission to read it"):
        open_source(str(path))


def test_permission_errors_are_told(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(TraceAccessError, match="no permission to read it"):
        open_source("trace")


class BrokenDisk(io.BytesIO):
    def read1(self, size=-1):
        if self.tell() > 100_000:
            raise OSError(5, "Input/output error")
        return super().read1(size)


def test_a_read_error_is_told_with_its_place(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(BrokenDisk(TEXT[:200_000] * 20)))
    source = open_source("-")
    with pytest.raises(TraceAccessError, match=r"Input/output error after [0-9]+ bytes"):
        list(source.blocks())


def test_standard_input_is_read_once_and_its_size_unknown(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(zstandard.compress(TEXT))))
    source = open_source("-")
    assert (source.bytes_total, source.rewindable) == (0, False)
    assert b"".join(source.blocks()) == TEXT
    assert not sys.stdin.buffer.closed


def test_a_closed_standard_input_is_told(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(TraceAccessError, match="a closed standard input"):
        open_source("-")


def test_a_named_pipe_is_read(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(TEXT,))
    writer.start()
    source = open_source(str(path))
    assert (source.bytes_total, source.rewindable) == (0, False)
    assert b"".join(source.blocks()) == TEXT
    writer.join()


def test_local_file_is_the_file_itself_or_an_uncompressed_copy(tmp_path):
    plain = source_of(tmp_path, TEXT)
    assert plain.local_file() == Path(plain.path)
    plain.close()
    packed = source_of(tmp_path, gzip.compress(TEXT))
    copy = packed.local_file()
    assert copy.read_bytes() == TEXT
    assert list(tmp_path.iterdir()) == [Path(packed.path)]
    packed.close()
    assert not copy.exists()


def test_no_room_for_the_copy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: io.FileIO("/dev/full", "w"))
    source = source_of(tmp_path, gzip.compress(TEXT))
    with pytest.raises(TraceAccessError, match="room for an uncompressed copy"):
        source.local_file()


@pytest.mark.parametrize(
    ("text", "lines"), [(b"a\nb\n", 2), (b"a\nb", 2), (b"a", 1), (b"a\n" + b"x" * (2 << 20) + b"\nb\n", 3)]
)
def test_lines_are_counted_once_for_everyone(tmp_path, text, lines):
    source = source_of(tmp_path, text)
    list(source.blocks(1000))
    assert source.lines_read == lines
