"""A `Report` as Markdown: the same numbers, figures as text that fits a mail, or as pictures beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .document import BarFigure, Block, Column, Report, Table, TimeFigure
from .numbers import NUMERIC_KINDS, format_value

BAR_WIDTH = 20  # characters of the longest bar
LONGEST = 40  # rows of a table: the page has all that its figure draws, a mail has not
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SERIES = "█░"  # the first series of a bar, the second
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&#!]|(?<![^\W_])_|_(?![^\W_])")


def render_markdown(
    report: Report, *, bar_width: int = BAR_WIDTH, pictures: Mapping[int, str] | None = None
) -> str:
    """Return the report as Markdown (GitHub's tables), readable as plain text too.

    Parameters
    ----------
    report : Report
    bar_width : int, optional
        Characters of the longest bar of a figure.
    pictures : mapping of int to str, optional
        Where the picture of a figure is, seen from the document, by the identity of the figure; a figure that has one
        has no bars of text.
    """
    pictures = pictures or {}
    lines = [f"# {escape_text(report.title)}", ""]
    lines += [f"- {escape_text(label)}: {escape_text(text)}" for label, text in report.facts]
    if report.notices:
        lines += ["", "> **Read with care**", ">"]
        lines += [
            f"> - **{escape_text(notice.what)}** {escape_text(notice.consequence)}"
            for notice in report.notices
        ]
    lines += ["", "## In short", ""]
    lines += [
        f"- **{format_value(figure.value, figure.kind)}** {escape_text(figure.label)} "
        f"({escape_text(figure.note)})"
        for figure in report.key_figures
    ]
    lines += ["", *(f"- {escape_text(finding)}" for finding in report.findings)]
    for section in report.sections:
        lines += ["", f"## {escape_text(section.heading)}", "", escape_text(section.introduction)]
        for part in section.parts:
            lines += ["", f"### {escape_text(part.heading)}", "", escape_text(part.reading)]
            for block in part.blocks:
                lines += ["", *_block_lines(block, bar_width, pictures.get(id(block)))]
            if part.explanation:
                lines += ["", escape_text(part.explanation)]
    made = f"Made {report.generated_at:%Y-%m-%d %H:%M %Z}".strip()
    by = f"anonvma-trace {report.version}".strip()
    lines += [
        "",
        "---",
        "",
        f"Every number comes from replaying the events of the trace. {made} by {by}.",
        "",
    ]
    return "\n".join(lines)


def escape_text(text: str) -> str:
    r"""Return `text` so that Markdown shows it as it is, inside a table cell too.

    Control characters, which would break a line or a table, become their escapes (``\n``).
    """
    visible = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _SPECIAL.sub(r"\\\g<0>", visible)


def _block_lines(block: Block, bar_width: int, picture: str | None) -> list[str]:
    table = (block if isinstance(block, Table) else block.table).brief(LONGEST)
    bars = None
    if picture is None and isinstance(block, BarFigure | TimeFigure):
        bars = _text_bars(block, bar_width)
    position = block.bar_position if isinstance(block, BarFigure) else len(table.columns)
    lines = [f"**{escape_text(table.title)}**", ""]
    if picture is not None:
        lines += [f"![{escape_text(table.title)}]({picture})", ""]
    lines += _table_lines(table, bars, position)
    if isinstance(block, BarFigure | TimeFigure) and len(_drawn(block)) > 1 and bars is not None:
        labels = {column.name: column.label for column in table.columns}
        keys = ", ".join(f"{char} {labels[name]}" for char, name in zip(_SERIES, _drawn(block), strict=True))
        lines += ["", escape_text(f"Bars: {keys}.")]
    if table.note:
        lines += ["", escape_text(table.note)]
    return lines


def _drawn(figure: BarFigure | TimeFigure) -> tuple[str, ...]:
    return figure.series if isinstance(figure, BarFigure) else figure.drawn


def _text_bars(figure: BarFigure | TimeFigure, width: int) -> list[str]:
    rows = list(zip(*(figure.table.values(name) for name in _drawn(figure)), strict=True))
    if isinstance(figure, TimeFigure) or figure.side_by_side:  # a bar for each value, not their sum
        longest = max((max(row) for row in rows), default=0)
        share = width // len(_drawn(figure))
        return [_bars_beside(row, longest, share) for row in rows]
    longest = max((sum(row) for row in rows), default=0)
    return [text_bar(row, longest, width) for row in rows]


def text_bar(values: tuple[float, ...], longest: float, width: int) -> str:
    """Return a bar of block characters (one series: to an eighth of one); what is not zero is seen."""
    if not longest:
        return ""
    if len(values) == 1:
        eighths = max(round(8 * width * values[0] / longest), 1 if values[0] else 0)
        return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    parts = (
        char * max(round(width * value / longest), 1 if value else 0)
        for char, value in zip(_SERIES, values, strict=True)
    )
    return "".join(parts)


def _bars_beside(values: tuple[float, ...], longest: float, width: int) -> str:
    """Return a bar for each value, one behind the other, all but the last filled up to their width."""
    if len(values) == 1:
        return text_bar(values, longest, width)
    bars = [
        char * max(round(width * value / longest), 1 if value else 0) if longest else ""
        for char, value in zip(_SERIES, values, strict=True)
    ]
    return " ".join([*(bar.ljust(width) for bar in bars[:-1]), bars[-1]])


def _table_lines(table: Table, bars: list[str] | None, position: int) -> list[str]:
    """Lay the table out with cells padded to equal width, so that it reads as plain text."""
    header = [_heading(column) for column in table.columns]
    body = [_cells(table.columns, row) for row in table.rows]
    if table.rest is not None:
        sums = [
            "" if value is None else cell
            for value, cell in zip(table.rest, _cells(table.columns, table.rest), strict=True)
        ]
        body.append([f"{table.hidden:,} more", *sums[1:]])
    numeric = [column.kind in NUMERIC_KINDS or column.kind == "address" for column in table.columns]
    if bars is not None:
        header.insert(position, "")
        numeric.insert(position, False)
        for cells, bar in zip(body, [*bars, *([""] * (len(body) - len(bars)))], strict=True):
            cells.insert(position, bar)
    widths = [max(3, *(len(cells[at]) for cells in [header, *body])) for at in range(len(header))]
    rule = [
        f"{'-' * (width - 1)}:" if right else "-" * width
        for width, right in zip(widths, numeric, strict=True)
    ]
    return [_line(cells, widths, numeric) for cells in [header, rule, *body]]


def _heading(column: Column) -> str:
    return escape_text(f"{column.label}, {column.unit}" if column.unit else column.label)


def _cells(columns: tuple[Column, ...], row: tuple[object, ...]) -> list[str]:
    return [escape_text(format_value(value, column.kind)) for value, column in zip(row, columns, strict=True)]


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    padded = (
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"| {' | '.join(padded)} |"
