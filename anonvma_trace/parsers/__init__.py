"""Trace files in, event streams out: the one list of formats, and how the content tells a file's format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..errors import EmptyTraceError, UnknownFormatError, UsageError, did_you_mean
from ..trace import EventStream, Trace
from .bpftrace_head import detect_bpftrace
from .foreign import describe_foreign
from .perf_trace_head import detect_perf_trace
from .scenario import TEXT_PATH, ScenarioStream, detect_scenario, open_scenario
from .source import Source, open_source
from .strace_head import detect_strace
from .tabular import ArrowStream, ParquetStream, detect_arrow, detect_parquet
from .text_tables import CsvStream, JsonLinesStream, detect_csv, detect_json_lines
from .time_merge import merged_by_time
from .tracepoint_heads import FTRACE_HEAD, PERF_SCRIPT_HEAD, TRACE_CMD_HEAD, detect_ftrace


@dataclass(frozen=True)
class Format:
    """One format of trace files.

    Attributes
    ----------
    name : str
        As ``--format`` takes it.
    title : str
        As a message calls it.
    detect : callable
        Tells by the first 64 KiB whether a file is of this format.
    open : callable
        Makes the stream of a recording from its parts and its snapshot files.
    takes_maps : bool
        Recordings begin with address spaces that only snapshots tell; tables and scenarios are complete.
    """

    name: str
    title: str
    detect: Callable[[bytes], bool]
    open: Callable[[list[Source], list[str]], EventStream]
    takes_maps: bool


def _native(module: str) -> Callable[[list[Source], list[str]], EventStream]:
    """Return what opens a stream of native events, as the `NativeFormat` in a module of this package says.

    The module is imported late: its scanner is compiled code that a table or scenario does not need.
    """

    def open_parts(sources: list[Source], maps: list[str]) -> EventStream:
        from .native_stream import NativeStream

        return NativeStream(import_module(f".{module}", __package__).FORMAT, sources, maps)

    return open_parts


def _table(
    open_part: Callable[[list[Source]], EventStream],
) -> Callable[[list[Source], list[str]], EventStream]:
    def open_parts(sources: list[Source], maps: list[str]) -> EventStream:
        return merged_by_time([open_part([source]) for source in sources])

    return open_parts


FORMATS: tuple[Format, ...] = (
    Format("parquet", "an event table in Parquet", detect_parquet, _table(ParquetStream), takes_maps=False),
    Format("arrow", "an event table in Arrow IPC", detect_arrow, _table(ArrowStream), takes_maps=False),
    Format("csv", "an event table in CSV", detect_csv, _table(CsvStream), takes_maps=False),
    Format(
        "jsonl", "an event table in JSON Lines", detect_json_lines, _table(JsonLinesStream), takes_maps=False
    ),
    Format(
        "scenario", "a scenario", detect_scenario, lambda sources, _: open_scenario(sources), takes_maps=False
    ),
    Format("ftrace", FTRACE_HEAD.title, detect_ftrace, _native("ftrace"), takes_maps=True),
    Format("trace-cmd", TRACE_CMD_HEAD.title, TRACE_CMD_HEAD.detect, _native("trace_cmd"), takes_maps=True),
    Format(
        "perf-script",
        PERF_SCRIPT_HEAD.title,
        PERF_SCRIPT_HEAD.detect,
        _native("perf_script"),
        takes_maps=True,
    ),
    Format("strace", "output of strace", detect_strace, _native("strace"), takes_maps=True),
    Format("perf-trace", "output of perf trace", detect_perf_trace, _native("perf_trace"), takes_maps=True),
    Format("bpftrace", "output of a bpftrace script", detect_bpftrace, _native("bpftrace"), takes_maps=True),
)
"""All formats, in the order in which they are tried."""


def open_trace(paths: list[str], *, maps: Sequence[str] = (), format: str | None = None) -> Trace:
    """Open a trace; its format is told by its content.

    Parameters
    ----------
    paths : list of str
        One file, or several that are parts of one recording; ``-`` is standard input.
    maps : sequence of str, optional
        Address-space snapshots, ``FILE`` or ``PID=FILE``.
    format : str, optional
        Name of a format, in place of detection.

    Returns
    -------
    Trace
        Its first pass reads the files that are already open; each further pass opens them again.

    Raises
    ------
    UsageError
        No path, an unknown format, parts of different formats, or `maps` with a format that is complete.
    TraceAccessError, EmptyTraceError
        A file cannot be opened, or holds nothing.
    UnknownFormatError
        The content is of no known format, or not of the one that was named.
    """
    if not paths:
        raise UsageError("", expected="the path of a trace", found="none")
    named = None if format is None else _named_format(paths[0], format)
    sources = _open_all(paths)
    try:
        chosen = _format_of_all(sources, named)
        _check_arguments(chosen, paths, maps)
    except BaseException:
        for source in sources:
            source.close()
        raise
    opened: list[list[Source]] = [sources]

    def open_stream() -> EventStream:
        return chosen.open(opened.pop() if opened else _open_all(paths), list(maps))

    once = not all(source.rewindable for source in sources)
    path = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    return Trace(path, open_stream, once=once, parts=len(paths))


def scenario_trace(text: str) -> Trace:
    """Make a trace of a scenario's text.

    Raises
    ------
    TraceSyntaxError
        A word that is not in the grammar.
    EmptyTraceError
        No statement.
    """
    stream = ScenarioStream(text, TEXT_PATH)
    return Trace(TEXT_PATH, lambda: stream)


def _open_all(paths: list[str]) -> list[Source]:
    sources: list[Source] = []
    try:
        for path in paths:
            sources.append(open_source(path))
    except BaseException:
        for source in sources:
            source.close()
        raise
    return sources


def _named_format(path: str, name: str) -> Format:
    for known in FORMATS:
        if known.name == name:
            return known
    names = [known.name for known in FORMATS]
    raise UsageError(
        path,
        expected=f"one of the formats {', '.join(names)}",
        found=repr(name),
        hint=did_you_mean(name, names) or "leave out --format: the content tells it",
    )


def _format_of_all(sources: list[Source], named: Format | None) -> Format:
    if named is not None:
        for source in sources:
            _check_named(source, named)
        return named
    formats = [detect_format(source) for source in sources]
    for source, found in zip(sources, formats, strict=True):
        if found is not formats[0]:
            raise UsageError(
                source.path,
                expected=f"{formats[0].title} like {sources[0].path}",
                found=found.title,
                hint="several traces are parts of one recording; replay others one after the other",
            )
    return formats[0]


def detect_format(source: Source) -> Format:
    """Tell the format of a source: by its content, a scenario also by its suffix.

    Raises
    ------
    EmptyTraceError
        Nothing but blanks.
    UnknownFormatError
        No known format; the message says what it looks like.
    """
    if not source.head.strip():
        raise EmptyTraceError(
            source.path,
            expected="a trace",
            found="nothing but blanks",
            hint="check that the recording worked and that its output was saved",
        )
    if ".scenario" in Path(source.path).suffixes[-2:] and _is_text(source.head):
        return next(known for known in FORMATS if known.name == "scenario")
    for known in FORMATS:
        if known.detect(source.head):
            return known
    found, hint = describe_foreign(source.head)
    names = ", ".join(known.name for known in FORMATS)
    raise UnknownFormatError(source.path, expected=f"one of the formats {names}", found=found, hint=hint)


def _check_named(source: Source, named: Format) -> None:
    """Refuse a named format where the content is clearly another; the name decides where it is none."""
    if named.detect(source.head):
        return
    try:
        found = detect_format(source)
    except UnknownFormatError as error:
        if _is_text(source.head) and named.name not in ("parquet", "arrow"):
            return  # the parser says what is wrong in which line
        raise UnknownFormatError(
            source.path, expected=named.title, found=error.found, hint=error.hint
        ) from None
    if found is not named:
        raise UnknownFormatError(
            source.path,
            expected=f"{named.title}, as --format says",
            found=found.title,
            hint=f"leave out --format, or use --format {found.name}",
        )


def _is_text(head: bytes) -> bool:
    return b"\0" not in head[:1024]


def _check_arguments(chosen: Format, paths: list[str], maps: Sequence[str]) -> None:
    if maps and not chosen.takes_maps:
        raise UsageError(
            paths[0],
            expected="no --maps: an event table or scenario is complete",
            found=f"{maps[0]} with {chosen.title}",
            hint="leave out --maps",
        )
    if len(paths) > 1 and chosen.name == "scenario":
        raise UsageError(
            paths[1],
            expected="one scenario: its events have no times by which several could be merged",
            found=f"{len(paths)}",
            hint="write them into one file",
        )
