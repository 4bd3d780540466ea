"""Errors that reach a user: each says where, what was expected, what was found and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TraceError(Exception):
    """Something that stops a trace from being read or replayed.

    Parameters
    ----------
    path : str
        File (or ``-`` for standard input) the error is about.
    line, column : int
        Position, counted from 1; 0 where there is none.
    expected, found, hint : str
        What should have stood there, what did, and what the user can do about it.

    Attributes
    ----------
    code : str
        Stable kebab-case name, shown in `diagnostics` and searchable in the docs.
    exit_status : int
        Exit status of the command line when this error stops it.
    """

    code = "trace-error"
    exit_status = 1

    def __init__(
        self, path: str, line: int = 0, column: int = 0, expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        super().__init__(
            path, line, column, expected, found, hint
        )  # all arguments: so that it survives pickling
        self.path, self.line, self.column = path, line, column
        self.expected, self.found, self.hint = expected, found, hint

    @property
    def where(self) -> str:
        """``path``, ``path:line`` or ``path:line:column``, as far as they are known."""
        place = self.path
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return place

    def __str__(self) -> str:
        text = f"{self.where}: expected {self.expected}, found {self.found}"
        return f"{text}\nhint: {self.hint}" if self.hint else text


class TraceSyntaxError(TraceError):
    """A line does not have the form that its format promises."""

    code = "trace-syntax"


class TraceAccessError(TraceError):
    """The input cannot be opened or read: missing, a directory, no permission, broken compression."""

    code = "trace-access"


class EmptyTraceError(TraceError):
    """The input holds nothing at all, or no event."""

    code = "trace-empty"


class UnknownFormatError(TraceError):
    """The content is not of any format that the tool reads."""

    code = "trace-format"


class UnsupportedTraceError(TraceError):
    """The format is known, but this trace cannot be replayed (no task column, another page size, …)."""

    code = "trace-unsupported"


class OutputError(TraceError):
    """A result cannot be written."""

    code = "output"


class RecordingError(TraceError):
    """A command cannot be recorded: no permission, no tracing in this kernel, no such command."""

    code = "recording"


class UsageError(TraceError):
    """The call itself is wrong: an unknown scheme, rule, option or sample, arguments that exclude each other."""

    code = "usage"
    exit_status = 2

    def __init__(
        self, path: str, line: int = 0, column: int = 0, expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        super().__init__(path, line, column, expected, found, hint)


class ReplayBug(TraceError):
    """A broken invariant of the replay itself: a defect of this tool, never of the trace."""

    code = "replay-bug"


class ParserBug(TraceError):
    """A broken invariant of a parser (a line counted twice or not at all): a defect of this tool."""

    code = "parser-bug"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'NEAREST'?"`` for an unknown word, or ``""`` if no known one is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else ""
