"""Trace files as blocks of whole lines: opened, decompressed and counted here and nowhere else.

Compression is recognised by content, never by name; several gzip members, zstd frames or xz streams in a row
read as one. Damage to the compressed data does not throw away the lines before it: they are handed out, and
the damage stands in `Source.losses`, which every parser takes into its own (`LossLog.take_in`) when the
blocks are exhausted.
"""

from __future__ import annotations

import difflib
import lzma
import os
import re
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import zstandard

from ..errors import EmptyTraceError, TraceAccessError
from .losses import LossLog

HEAD_BYTES = 64 << 10
"""How much of a source is looked at to tell its format."""

BLOCK_BYTES = 4 << 20
LONGEST_LINE = 1 << 20
"""Bytes of the longest line that is handed out: no format prints longer ones, but damaged files hold them."""

_RAW_BYTES = 1 << 20
# Compressed input is read in small pieces, because one piece can become a thousand times as large.
_COMPRESSED_BYTES = 16 << 10
# More than a few lines of any format.
_OVERLAP_BYTES = 64 << 10
_NEWLINE = ord("\n")
_UTF8_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Codec:
    """One kind of compression: how to know it, how to undo it, what its decompressor raises."""

    name: str
    magics: tuple[bytes, ...]
    decompressor: Callable[[], Any]
    errors: tuple[type[Exception], ...]


_CODECS = (
    _Codec("gzip", (b"\x1f\x8b",), lambda: zlib.decompressobj(wbits=31), (zlib.error,)),
    _Codec("xz", (b"\xfd7zXZ\x00",), lzma.LZMADecompressor, (lzma.LZMAError,)),
    _Codec(
        "zstd",
        # Any of the sixteen skippable frames may come first: pzstd writes one.
        (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + n,)) + b"\x2a\x4d\x18" for n in range(16))),
        lambda: zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(),
        (zstandard.ZstdError,),
    ),
)
_LONGEST_MAGIC = max(len(magic) for codec in _CODECS for magic in codec.magics)


class Source:
    """One input, read once from beginning to end. Made by `open_source`.

    Attributes
    ----------
    path : str
        As the user gave it; ``-`` is standard input.
    head : bytes
        The first 64 KiB (decompressed), more after `read_ahead`; `blocks` still hands them out.
    bytes_read, bytes_total : int
        Progress in bytes as stored; total 0 where it is unknown (a pipe).
    lines_read : int
        Lines in the blocks that `blocks` has handed out so far, the one that is yielded now among them.
    losses : LossLog
        What the source itself could not read (``truncated-compression``, ``broken-compression``,
        ``line-too-long``). Final once `blocks` is exhausted.
    rewindable : bool
        Opening the same path again gives the same bytes.
    """

    def __init__(self, path: str, file: IO[bytes], bytes_total: int, rewindable: bool) -> None:
        self.path = path
        self.bytes_read = 0
        self.bytes_total = bytes_total
        self.lines_read = 0
        self.losses = LossLog()
        self.rewindable = rewindable
        self._file = file
        # read1 hands out what a pipe holds now instead of waiting for the whole amount.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self._spool: IO[bytes] | None = None
        start = self._read_start()
        self._codec = next((codec for codec in _CODECS if start.startswith(codec.magics)), None)
        self._chunks = self._plain(start) if self._codec is None else self._decompressed(self._codec, start)
        self.head = self._read_head()

    @property
    def compression(self) -> str:
        """``"gzip"``, ``"xz"``, ``"zstd"``, or ``""`` for none."""
        return "" if self._codec is None else self._codec.name

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they come, without regard to lines.

        Raises
        ------
        TraceAccessError
            The input cannot be read on.
        """
        try:
            yield from self._chunks
        finally:
            self.close()

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the decompressed bytes in blocks of whole lines.

        Parameters
        ----------
        size : int, optional
            Bytes of a block: it is a little more, and less only at the end.

        Yields
        ------
        bytes
            Whole lines, each with its line end; only the last of the input may lack it. A line longer than
            `LONGEST_LINE` is replaced by an empty one, so that lines keep their numbers, and is a loss.

        Raises
        ------
        TraceAccessError
            The input cannot be read on.
        """
        rest = b""
        too_long = False  # inside a line that was given up
        for pieces in self._gathered(size):
            if too_long:
                gathered = b"".join(pieces)
                end = gathered.find(b"\n")
                if end < 0:
                    continue
                pieces, too_long = [gathered[end:]], False
            cut = pieces[-1].rfind(b"\n") + 1
            if not cut:  # no line ends in the last piece: look at all of them
                pieces = [b"".join(pieces)]
                cut = pieces[0].rfind(b"\n") + 1
            if not cut:
                rest += pieces[0]
            else:
                last = pieces.pop()
                block = self._without_long_lines(b"".join((rest, *pieces, memoryview(last)[:cut])))
                rest = last[cut:]
                self.lines_read += count_newlines(block)
                yield block
            if len(rest) > LONGEST_LINE:
                self._lose_line(self.lines_read + 1, rest)
                rest, too_long = b"", True
        if rest or too_long:
            self.lines_read += 1
            yield rest or b"\n"

    def read_ahead(self, end: re.Pattern[bytes]) -> bytes:
        """Read the input up to a place; `blocks` still hands all of it out.

        Parameters
        ----------
        end : re.Pattern
            What stands at the place, at most a few short lines; only its first match counts.

        Returns
        -------
        bytes
            What is before the place; the whole input if there is none.

        Raises
        ------
        TraceAccessError
            The input cannot be read on.
        """
        read = next(self._chunks, b"")
        found = end.search(read)
        while found is None and (more := next(self._chunks, b"")):
            searched = max(0, len(read) - _OVERLAP_BYTES)
            read += more
            found = end.search(read, searched)
        self.head = read
        self._put_back(read)
        return read if found is None else read[: found.start()]

    def local_file(self) -> Path:
        """Return an uncompressed regular file with the input's bytes, for formats that need random access.

        A pipe or a compressed file is written to an anonymous temporary file, which lives as long as this
        source is not closed.

        Raises
        ------
        TraceAccessError
            The input cannot be read, or there is no room for the copy.
        """
        if self.rewindable and self._codec is None:
            return Path(self.path)
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
            for chunk in self._chunks:
                self._spool.write(chunk)
            self._spool.flush()
        except OSError as error:
            raise TraceAccessError(
                self.path,
                expected=f"room for an uncompressed copy in {tempfile.gettempdir()}",
                found=error.strerror or str(error),
                hint="set TMPDIR to a directory on a larger disk, or uncompress the file yourself",
            ) from error
        return Path(f"/dev/fd/{self._spool.fileno()}")

    def close(self) -> None:
        """Release the file; what `head` holds stays."""
        if self._file is not getattr(sys.stdin, "buffer", None):
            self._file.close()
        if self._spool is not None:
            self._spool.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read_raw(self, size: int) -> bytes:
        try:
            data = self._read(size)
        except OSError as error:
            raise TraceAccessError(
                self.path,
                expected="a readable file",
                found=f"{error.strerror or error} after {self.bytes_read} bytes",
                hint="check the disk or the connection that the file comes from",
            ) from error
        self.bytes_read += len(data)
        return data

    def _read_start(self) -> bytes:
        start = b""
        while len(start) < _LONGEST_MAGIC and (data := self._read_raw(_COMPRESSED_BYTES)):
            start += data
        return start

    def _read_head(self) -> bytes:
        """Read the first `HEAD_BYTES` and put them back before what follows."""
        pieces: list[bytes] = []
        while sum(map(len, pieces)) < HEAD_BYTES and (piece := next(self._chunks, b"")):
            pieces.append(piece)
        start = b"".join(pieces).removeprefix(_UTF8_BOM)
        if not start:
            self._refuse_nothing()
        self._put_back(start)
        return start[:HEAD_BYTES]

    def _put_back(self, start: bytes) -> None:
        following = self._chunks

        def chunks() -> Iterator[bytes]:
            yield start
            yield from following

        self._chunks = chunks()

    def _refuse_nothing(self) -> None:
        for loss in self.losses.losses:
            raise TraceAccessError(
                self.path,
                expected=f"{self.compression} data that can be decompressed",
                found=loss.places[0][2],
                hint="the file is damaged from its beginning: copy or record it again",
            )
        raise EmptyTraceError(
            self.path,
            expected="a trace",
            found="nothing: the input is empty",
            hint="check that the recording worked and that its output was saved",
        )

    def _plain(self, start: bytes) -> Iterator[bytes]:
        while start:
            yield start
            start = self._read_raw(_RAW_BYTES)

    def _decompressed(self, codec: _Codec, data: bytes) -> Iterator[bytes]:
        """Decompress one frame after another; damage ends the input and becomes a loss."""
        decompressor = codec.decompressor()
        while data:
            try:
                plain = decompressor.decompress(data)
            except codec.errors as error:
                reason = f"expected intact {codec.name} data; what follows the damage is not read"
                found = f"{error} after {self.bytes_read} bytes of the file"
                self.losses.add("broken-compression", reason, text=found)
                return
            if plain:
                yield plain
            if decompressor.eof:
                # gzip and xz allow zero bytes as padding between frames.
                data = decompressor.unused_data.lstrip(b"\0")
                while len(data) < _LONGEST_MAGIC and (more := self._read_raw(_COMPRESSED_BYTES)):
                    data = (data + more).lstrip(b"\0")
                if not data:
                    return
                if not data.startswith(codec.magics):
                    reason = f"expected the end of the file or more {codec.name} data"
                    found = f"other bytes ({data[:8].hex(' ')} …) after the end of the compressed data"
                    self.losses.add("broken-compression", reason, text=found)
                    return
                decompressor = codec.decompressor()
            else:
                data = self._read_raw(_COMPRESSED_BYTES)
        reason = f"expected the end of the {codec.name} data; the file was cut off, the lines before are kept"
        self.losses.add("truncated-compression", reason, text=f"the end after {self.bytes_read} bytes")

    def _gathered(self, size: int) -> Iterator[list[bytes]]:
        pieces: list[bytes] = []
        n_bytes = 0
        for chunk in self.chunks():
            pieces.append(chunk)
            n_bytes += len(chunk)
            if n_bytes >= size:
                yield pieces
                pieces, n_bytes = [], 0
        if pieces:
            yield pieces

    def _without_long_lines(self, block: bytes) -> bytes:
        """Replace each line of `block` that is longer than `LONGEST_LINE` by an empty one."""
        start = 0
        while start < len(block):
            last_end = block.rfind(b"\n", start, start + LONGEST_LINE + 1)
            if last_end < 0:
                line = self.lines_read + block.count(b"\n", 0, start) + 1
                self._lose_line(line, block[start : start + 100])
                block = block[:start] + block[block.index(b"\n", start) :]
                last_end = start
            start = last_end + 1
        return block

    def _lose_line(self, line: int, beginning: bytes) -> None:
        reason = f"expected lines of at most {LONGEST_LINE} bytes; the file looks damaged there"
        text = beginning[:80].decode("utf-8", "backslashreplace")
        self.losses.add("line-too-long", reason, line=line, text=text)


def count_newlines(text: bytes) -> int:
    """Return how many newlines there are in `text`: `bytes.count` takes ten times as long.

    All of `text` at once: NumPy lets go of the interpreter each time, which another thread may then keep for
    milliseconds.
    """
    return int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == _NEWLINE))


def open_source(path: str) -> Source:
    """Open an input and look at its beginning.

    Parameters
    ----------
    path : str
        A file, a named pipe, or ``-`` for standard input; plain, gzip, zstd or xz, told apart by content.

    Raises
    ------
    TraceAccessError
        Missing, a directory, no permission, unreadable, or compressed data damaged from its beginning.
    EmptyTraceError
        It holds nothing.
    """
    file = _standard_input() if path == "-" else _open_file(path)
    try:
        status = os.fstat(file.fileno())
        regular = stat.S_ISREG(status.st_mode)
        bytes_total = status.st_size if regular else 0
    except (OSError, ValueError):  # a stand-in without a descriptor
        regular, bytes_total = False, 0
    try:
        return Source(path, file, bytes_total, rewindable=regular and path != "-")
    except BaseException:
        if path != "-":
            file.close()
        raise


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise TraceAccessError(
            "-", expected="a trace on standard input", found="a closed standard input", hint="name a file"
        )
    return sys.stdin.buffer


def _open_file(path: str) -> IO[bytes]:
    try:
        if Path(path).is_dir():
            raise IsADirectoryError
        return open(path, "rb", buffering=0)  # noqa: PTH123  owned and closed by Source
    except FileNotFoundError:
        found, hint = "no such file", _nearest_file(path)
    except IsADirectoryError:
        found, hint = "a directory", "name one of the files in it"
    except PermissionError:
        found, hint = "no permission to read it", "change its mode, or run as a user who may read it"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        found, hint = getattr(error, "strerror", None) or str(error), "check the path"
    raise TraceAccessError(path, expected="a trace file", found=found, hint=hint)


def _nearest_file(path: str) -> str:
    """Advise on a missing file: the nearest name in its folder, if the folder can be listed."""
    wanted = Path(path)
    try:
        names = [entry.name for entry in wanted.parent.iterdir()]
    except OSError:
        return f"there is no readable folder {wanted.parent} either; check the path"
    near = difflib.get_close_matches(wanted.name, names, n=1)
    return f"did you mean {wanted.parent / near[0]}?" if near else "check the path"


def lines_of(text: bytes) -> list[bytes]:
    """Return the lines of a block, or of a head, without their ends: LF, or CR LF where most lines have that."""
    lines = text.removesuffix(b"\n").split(b"\n")
    # Counted, since a damaged byte can make one such end in a file that has no others.
    if 2 * text.count(b"\r\n") > text.count(b"\n"):
        return [line.removesuffix(b"\r") for line in lines]
    return lines
