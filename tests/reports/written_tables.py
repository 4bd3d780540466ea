"""Reads the tables back out of a written report, as a reader of the page would see them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

from anonvma_trace.reports.document import Report, Table
from anonvma_trace.reports.numbers import format_value

BAR_CHARACTERS = set("█▉▊▋▌▍▎▏░ ")


class _TableReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append("".join(self._cell).strip())
            self._cell = None


def tables_of_html(html: str) -> list[list[list[str]]]:
    """Return the cells of every table, row by row, headings first, empty cells and bars left out."""
    reader = _TableReader()
    reader.feed(html)
    return [[_without_bars(row) for row in table] for table in reader.tables]


def tables_of_markdown(markdown: str) -> list[list[list[str]]]:
    """Return the same of Markdown, after an independent Markdown parser has made HTML of it."""
    return tables_of_html(MarkdownIt("commonmark").enable("table").render(markdown))


def expected_tables(report: Report, longest: int | None = None) -> list[list[list[str]]]:
    """Return the cells that a written report must have, tables cut to `longest` rows if they have more."""
    tables = report.tables()
    return [_expected(table if longest is None else table.brief(longest)) for table in tables]


def _expected(table: Table) -> list[list[str]]:
    headings = [f"{column.label}, {column.unit}" if column.unit else column.label for column in table.columns]
    kinds = [column.kind for column in table.columns]
    # Blanks at the end of a comm are not seen.
    rows = [
        [format_value(value, kind).strip() for value, kind in zip(row, kinds, strict=True)]
        for row in table.rows
    ]
    if table.rest is not None:
        sums = [
            format_value(value, kind)
            for value, kind in zip(table.rest, kinds, strict=True)
            if value is not None
        ]
        rows.append([f"{table.hidden:,} more", *sums])
    return [_without_bars(row) for row in [headings, *rows]]


def _without_bars(row: list[str]) -> list[str]:
    return [cell for cell in row if cell and not set(cell) <= BAR_CHARACTERS]


def without_vega(html: str) -> str:
    """Return a page without the script that is not ours, which names schemas and standards by their addresses."""
    before, rest = html.split('<script id="vega">', 1) if '<script id="vega">' in html else (html, "")
    return before + rest.split("</script>", 1)[-1]


def charts_of_html(html: str) -> dict[str, dict[str, Any]]:
    """Return the specifications of all charts of a page, by the id of their place."""
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(data)["charts"]


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.scripts: list[str | None] = []
        self.texts: list[str] = []
        self._skip = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "script":
            self.scripts.append(dict(attrs).get("id"))
        self._skip = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._skip = False

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.texts.append(data)


def tags_and_text(html: str) -> tuple[set[str], str]:
    """Return the names of all elements of a page and its visible text."""
    reader = _TextReader()
    reader.feed(html)
    return reader.tags, "".join(reader.texts)


def script_ids(html: str) -> list[str | None]:
    """Return the ids of all script elements of a page, None for one without."""
    reader = _TextReader()
    reader.feed(html)
    return reader.scripts
