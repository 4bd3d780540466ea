"""Lines that cannot be read: what a reader of single lines raises, and how they are counted."""

from __future__ import annotations

from collections.abc import Mapping

from .losses import LossLog


class LineError(Exception):
    """A line, or the part of it that matters, cannot be read.

    Attributes
    ----------
    code : str
        Key of the reasons of the format.
    column : int
        Byte of the line where it was noticed, from 1.
    earlier : tuple of (int, bytes) or None
        Number and text of the line, if it is not the one that was being read but the beginning of it.
    """

    def __init__(self, code: str, column: int, earlier: tuple[int, bytes] | None = None) -> None:
        super().__init__(code, column, earlier)
        self.code, self.column, self.earlier = code, column, earlier


def count_unreadable(
    losses: LossLog, reasons: Mapping[str, str], error: LineError, line_number: int, line: bytes
) -> None:
    """Count a line that cannot be read, with its place; `reasons` tell in words what was expected."""
    line_number, line = error.earlier or (line_number, line)
    text = line.decode("utf-8", "backslashreplace")
    losses.add(error.code, reasons[error.code], line_number, error.column, text)
