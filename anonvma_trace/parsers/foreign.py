"""What files of no known format look like, so that the refusal can say what to do about them."""

from __future__ import annotations

from ..errors import UnknownFormatError

_PERF_SCRIPT = (
    "run `perf script -i FILE --ns --show-mmap-events --show-task-events --show-lost-events` first and read what "
    "it prints"
)
_MAGICS: tuple[tuple[bytes, str, str], ...] = (
    (b"PERFILE2", "a perf.data file", _PERF_SCRIPT),
    (b"2ELIFREP", "a perf.data file of the other byte order", "run `perf script` on the machine it is from"),
    (b"\x17\x08\x44tracing", "a trace-cmd trace.dat file", "run `trace-cmd report -i FILE` first"),
    (b"\x7fELF", "an ELF program or library", "name the trace, not the program that was traced"),
    (b"\xc1\x1f\xfc\xc1", "a CTF stream", "run `babeltrace2` first and read what it prints"),
    (b"\xc1\xfc\x1f\xc1", "a CTF stream", "run `babeltrace2` first and read what it prints"),
    (b"PARE", "an encrypted Parquet file", "write the table without encryption"),
    (b"FEA1", "a Feather version 1 file", "write the table as Arrow IPC (Feather version 2)"),
    (b"PK\x03\x04", "a zip archive", "unpack it and name the trace in it"),
    (b"BZh", "bzip2 data", "uncompress it first; gzip, zstd and xz are read as they are"),
    (b"\x04\x22\x4d\x18", "lz4 data", "uncompress it first; gzip, zstd and xz are read as they are"),
    (b"SQLite format 3\0", "an SQLite database", "export the events as CSV or JSON Lines"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"%PDF", "a PDF document", "name the trace"),
    (b"\x89PNG", "a picture", "name the trace"),
)

_FORMATS_HINT = (
    "the content tells the format: recordings are text as ftrace, trace-cmd report, perf script, strace -f, perf "
    "trace or a bpftrace script (record --print-bpftrace) print it, tables have the columns ts, pid and op; --format "
    "NAME overrides detection"
)


def describe_foreign(head: bytes) -> tuple[str, str]:
    """Say what an unrecognised file looks like.

    Parameters
    ----------
    head : bytes
        Its beginning.

    Returns
    -------
    tuple of (str, str)
        What it looks like, and what the user can do.
    """
    for magic, found, hint in _MAGICS:
        if head.startswith(magic):
            return found, hint
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it and name the trace in it"
    text = head.lstrip()
    if text[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "an HTML or XML document", "a failed download? name the trace"
    if text.startswith(b"["):
        return "a JSON array", "write one JSON object on each line (JSON Lines)"
    if text.startswith(b"{"):
        return "JSON without the columns of an event table", "each line must be an object with ts, pid and op"
    first_line = text.partition(b"\n")[0]
    for separator, name in ((b";", "semicolons"), (b"\t", "tabs")):
        if first_line.count(separator) >= 2 and {b"ts", b"pid", b"op"} & set(first_line.split(separator)):
            return f"a table separated by {name}", "separate the values by commas"
    if b"\0" in head or _share_of_controls(head) > 0.1:
        return f"binary data (it begins {head[:8].hex(' ')})", _FORMATS_HINT
    return f"text that begins {beginning_of(first_line)}", _FORMATS_HINT


def unlike(path: str, expected: str, line: bytes) -> UnknownFormatError:
    """Return the error of a text that is not of the format that ``--format`` names, with its first `line`."""
    hint = "leave --format out: the format is told by the content"
    return UnknownFormatError(path, expected=expected, found=beginning_of(line), hint=hint)


def beginning_of(line: bytes) -> str:
    """Return the first 60 bytes of a line for a message, in quotes."""
    return repr(line[:60].decode("utf-8", "backslashreplace"))


def _share_of_controls(head: bytes) -> float:
    sample = head[:4096]
    return sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in sample) / len(sample)
