"""What a user sees in a terminal: messages, progress, the summary, and how an error looks.

Results go to standard output, messages to standard error. Colour and width come from Rich: none in a pipe or
with ``NO_COLOR``, the terminal's width otherwise.
"""

from __future__ import annotations

import json
import linecache
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .errors import TraceError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .reports import document
    from .reports.document import Part, Report, TimeFigure
    from .samples import Sample
    from .summary_text import Section
    from .trace import Trace

_LEAST_TEXT = 16  # characters to which a column of text may be folded
_SEVERITY_STYLES = {"error": "bold red", "finding": "bold magenta", "warning": "yellow", "info": "dim"}


def _out() -> Console:
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def _err() -> Console:
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


@contextmanager
def quiet_when_the_reader_left() -> Iterator[None]:
    """Let ``| head`` end the output without a message: what is left goes nowhere."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_message(text: str) -> None:
    """Print a line for the user to standard error."""
    _err().print(Text(text), soft_wrap=True)


def print_json(data: Any) -> None:
    """Print exactly one JSON object to standard output."""
    with quiet_when_the_reader_left():
        print(json.dumps(data, indent=2, allow_nan=False))


def print_sections(sections: Sequence[Section]) -> None:
    """Print sections to standard output: names on the left, their lines on the right."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for section in sections:
        text = Text("\n".join(section.lines))
        for severity, style in _SEVERITY_STYLES.items():
            text.highlight_regex(rf"(?m)^{severity}\b", style)
        grid.add_row(Text(section.name), text)
    _print_grid(grid)


def print_samples(samples: Sequence[Sample], directory: str) -> None:
    """Print the bundled samples, recordings first, and where they are."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    kind = ""
    for sample in samples:
        if sample.kind != kind:
            kind = sample.kind
            table.add_row(Text(f"{kind}s", style="underline"), "")
        table.add_row(Text(sample.name), Text(sample.description))
    _print_grid(table)
    with quiet_when_the_reader_left():
        print(f"in {directory}")


def print_report(report: Report, *, in_full: bool = False) -> None:
    """Print the notices, findings and tables of a report to standard output.

    Of figures, levels over time become sparklines; the rows of others are printed where their part has no table.

    Parameters
    ----------
    report : Report
    in_full : bool, optional
        Print what the report is of and the reading of each part too.
    """
    grid = Table.grid(padding=(0, 0, 0, 0))
    grid.add_column(overflow="fold")
    if in_full:
        for label, text in report.facts:
            grid.add_row(Text.assemble((label, "bold"), f"  {text}"))
        grid.add_row("")
    for notice in report.notices:
        grid.add_row(Text(f"{notice.what} {notice.consequence}", style=_SEVERITY_STYLES["warning"]))
    for finding in report.findings:
        grid.add_row(Text(finding))
    was_folded, width = False, _out().width
    for section in report.sections:
        for part in section.parts:
            is_folded = in_full and not part.blocks
            if not (is_folded and was_folded):
                grid.add_row("")
            for row in _part_rows(part, in_full, width):
                grid.add_row(row)
            was_folded = is_folded
    _print_grid(grid)


def _part_rows(part: Part, in_full: bool, width: int) -> list[RenderableType]:
    from .reports import document

    tables = [block for block in part.blocks if isinstance(block, document.Table)]
    levels = [block for block in part.blocks if isinstance(block, document.TimeFigure)]
    if not tables:
        tables = [block.table for block in part.blocks if isinstance(block, document.BarFigure)]
    rows: list[RenderableType] = []
    if in_full:
        rows = [Text.assemble((f"{part.heading}: ", "bold"), part.reading)]
    elif not (tables or levels):
        rows = [Text(part.heading, style="bold"), Text(part.reading)]
    for figure in levels:
        lines = map(Text, sparklines(figure, width))
        rows += [Text(figure.table.title, style="bold"), *lines]
    for table in tables:
        rows += [Text(table.title, style="bold"), *map(_table_of, side_ways(table, width))]
    if in_full and part.blocks and part.explanation:
        rows.append(Text(part.explanation))
    return rows


def sparklines(figure: TimeFigure, width: int) -> list[str]:
    """Return the columns of a figure as a sparkline each, with the lowest and the highest value, a line each.

    Parameters
    ----------
    figure : TimeFigure
    width : int
        Characters of a line; neighbouring values become one, the higher, where they do not fit.
    """
    from .reports.numbers import sparkline

    columns = [column for column in figure.table.columns if column.name in figure.drawn]
    values = [figure.table.values(column.name) for column in columns]
    texts = [f"{min(each, default=0):,} to {max(each, default=0):,}" for each in values]
    left = max(len(column.label) for column in columns)
    room = width - left - max(map(len, texts)) - 2
    top = max(max(each, default=0) for each in values)
    return [
        f"{column.label:<{left}} {sparkline(each, top, room)} {text}"
        for column, each, text in zip(columns, values, texts, strict=True)
    ]


def side_ways(table: document.Table, width: int) -> list[document.Table]:
    """Return a table whose numbers do not fit a line as several below each other, each with its first columns.

    Parameters
    ----------
    table : document.Table
    width : int
        Characters of a line. Text may be folded; a number stays whole.
    """
    from .reports.numbers import NUMERIC_KINDS, format_value

    needed = []
    for at, column in enumerate(table.columns):
        cells = [format_value(row[at], column.kind) for row in table.rows]
        words = column.label.split()
        if column.kind not in NUMERIC_KINDS:  # folded, but to no less than this
            words, cells = [], [text[:_LEAST_TEXT] for text in (*cells, column.label)]
        needed.append(max(map(len, (*words, *cells)), default=0) + 1)
    own = next((at for at, column in enumerate(table.columns) if column.kind in NUMERIC_KINDS), 0)
    own = max(own, 1)
    if sum(needed) <= width + 1 or own >= len(needed):
        return [table]
    groups: list[list[int]] = [[]]
    room = width + 1 - sum(needed[:own])
    for at in range(own, len(needed)):
        if groups[-1] and sum(needed[each] for each in (*groups[-1], at)) > room:
            groups.append([])
        groups[-1].append(at)
    return [_some_columns(table, [*range(own), *group]) for group in groups]


def _some_columns(table: document.Table, places: list[int]) -> document.Table:
    return replace(
        table,
        columns=tuple(table.columns[at] for at in places),
        rows=tuple(tuple(row[at] for at in places) for row in table.rows),
        rest=None if table.rest is None else tuple(table.rest[at] for at in places),
    )


def _table_of(table: document.Table) -> Table:
    from .reports.numbers import NUMERIC_KINDS, format_value

    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for column in table.columns:
        is_number = column.kind in NUMERIC_KINDS
        drawn.add_column(
            Text(column.label), justify="right" if is_number else "left", overflow="fold", no_wrap=False
        )
    for row in table.rows:
        drawn.add_row(
            *(
                Text(format_value(value, column.kind))
                for value, column in zip(row, table.columns, strict=True)
            )
        )
    if table.rest is not None:
        sums = zip(table.rest[1:], table.columns[1:], strict=True)
        rest = (Text("" if value is None else format_value(value, column.kind)) for value, column in sums)
        drawn.add_row(Text(f"{table.hidden:,} more"), *rest, style="dim")
    return drawn


@contextmanager
def progress_on_terminal(trace: Trace) -> Iterator[Callable[[int, int, str], None] | None]:
    """Show progress on standard error while the block runs.

    Yields the function to call with (events done, events in all or 0, message); None without a terminal.
    """
    err = _err()
    if not err.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        compiling = " (once, some 40 seconds)"

        def show(events_done: int, events_total: int, message: str) -> None:
            done, total = events_done, events_total
            if not total:  # an input read while it is replayed: its bytes are known, not its events
                done, total = trace.stream.bytes_read, trace.stream.bytes_total
            hint = compiling if message.startswith("preparing") else ""
            bar.update(
                task,
                description=f"{message}: {events_done:,} events" if events_done else message + hint,
                completed=min(done, total) if total else None,
                total=total or None,
            )

        yield show


def print_error(error: TraceError, text: str = "") -> None:
    """Draw an error: where, what was expected, what was found, the line itself with a marker, what to do.

    Parameters
    ----------
    error : TraceError
        The error.
    text : str, optional
        The input itself, where it is no file.
    """
    err = _err()
    head, _, hint = str(error).partition("\nhint: ")
    err.print(Text(head, style="bold red" if err.is_terminal else ""), soft_wrap=True)
    source = (
        text.splitlines()[error.line - 1 : error.line]
        if text
        else [linecache.getline(error.path, error.line)]
    )
    for line in marked_line(error, "".join(source), err.width):
        err.print(Text(line), soft_wrap=True)
    if hint:
        err.print(Text(f"hint: {hint}"), soft_wrap=True)


def marked_line(error: TraceError, text: str, width: int) -> list[str]:
    """Return the line that an error is about and a marker under the place; nothing where there is no column.

    Parameters
    ----------
    error : TraceError
        With its `column`.
    text : str
        The line, empty if it is not to be had.
    width : int
        Columns of the terminal: a longer line is cut around the place.
    """
    text = text.rstrip("\n").expandtabs(1)
    if not (text and error.column):
        return []
    start = min(error.column - 1, len(text))
    length = min(_marker_length(text, start, error.found), width // 2)
    cut = max(0, start + length - width + 4)
    return ["  " + text[cut : cut + width - 2], "  " + " " * (start - cut) + "~" * length]


def _marker_length(text: str, start: int, found: str) -> int:
    """Return how many columns to mark: the thing found if it stands there, else the word."""
    quoted = found.strip("'\"`")
    if quoted and text.startswith(quoted, start):
        return len(quoted)
    return max(1, len(text[start:].split(" ", 1)[0]))


def _print_grid(grid: Table) -> None:
    """Print a grid without the blanks with which Rich fills its last column."""
    out = _out()
    with out.capture() as capture:
        out.print(grid)
    with quiet_when_the_reader_left():
        print("\n".join(line.rstrip() for line in capture.get().splitlines()))
