"""The file that a recording becomes: written beside its place, and put there when it is complete."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from ..errors import OutputError, UsageError


@contextmanager
def output_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing, compressed as its name says (``.zst``, ``.gz``, ``.xz``).

    It appears under its name when the block is left without an exception; otherwise nothing appears, and what
    had that name before stays.

    Raises
    ------
    UsageError
        It is ``-``.
    OutputError
        It cannot be written.
    """
    if str(path) == "-":
        raise UsageError(
            "-",
            expected="the name of a file: what COMMAND prints goes to standard output",
            found="-",
            hint="name a file",
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.exists() and not path.is_file():  # which a rename would replace, /dev/null too
        raise OutputError(
            str(path),
            expected="a regular file, or a name that is free",
            found="a directory" if path.is_dir() else "a device or a pipe",
            hint="name another file",
        )
    try:
        raw = part.open("xb")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with raw, _compressing(raw, path.suffix) as output:
            yield output
        part.replace(path)
    except OSError as error:
        if error.filename not in (None, str(part), str(path)):
            raise
        raise _cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _compressing(raw: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".zst":
        return cast(BinaryIO, zstandard.ZstdCompressor(level=6).stream_writer(raw, closefd=False))
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.LZMAFile(raw, "wb", preset=1))
    return raw


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        str(path),
        expected="a file that can be written",
        found=error.strerror or str(error),
        hint="check the directory and the space on the disk, or name another file",
    )
