"""Reports: result tables in, documents out.

`build_report` turns the result of a replay into a `Report` (data, no markup), `build_comparison_report` that of
several schemes, `build_difference_report` what differs between two results. `render_html` and `render_markdown`
turn that into text, `write_report` writes either. The statistics behind each section are functions of their own, for
notebooks: `reclaim_cost`, `anon_vma_counts`, `merge_refusals`, `file_walks`, `lock_counts`, `run_differences`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..comparison_tables import ComparisonTables
from ..difference_tables import DifferenceTables
from ..errors import OutputError, UsageError
from ..result_tables import ResultTables
from .document import Report
from .html import render_html
from .markdown import render_markdown
from .sections import overview
from .sections.address_space import address_space_section
from .sections.anon_vma_counts import anon_vma_counts_section
from .sections.diagnostics import diagnostics_section
from .sections.difference_overview import (
    difference_facts,
    difference_findings,
    difference_key_figures,
    difference_notices,
    difference_title,
)
from .sections.family import family_section
from .sections.file_pages import file_pages_section
from .sections.locks import locks_section
from .sections.merge_refusals import merge_refusals_section
from .sections.reclaim_cost import reclaim_cost_section
from .sections.run_differences import difference_sections
from .sections.scheme_comparison import (
    comparison_facts,
    comparison_findings,
    comparison_key_figures,
    comparison_notices,
    comparison_sections,
    comparison_title,
)
from .sections.validation import validation_sections

__all__ = [
    "Report",
    "build_comparison_report",
    "build_difference_report",
    "build_report",
    "render_html",
    "render_markdown",
    "write_report",
    "write_report_or_json",
]


def build_report(
    results: ResultTables,
    *,
    title: str | None = None,
    generated_at: datetime | None = None,
    tool_version: str | None = None,
    pid: int | None = None,
) -> Report:
    """Return the report of one replay.

    Parameters
    ----------
    results : ResultTables
        All tables and the summary; empty tables are fine.
    title : str, optional
        Title; by default it names the trace.
    generated_at : datetime, optional
        Time that the report gives for itself; by default now, in UTC.
    tool_version : str, optional
        Version that the report names; by default that of this package.
    pid : int, optional
        Process whose address space is drawn; by default that whose pages cost most.

    Raises
    ------
    UsageError
        The results hold no vma of process `pid`.
    """
    return Report(
        title=title or overview.default_title(results),
        facts=overview.facts(results),
        notices=overview.notices(results),
        key_figures=overview.key_figures(results),
        findings=overview.findings(results),
        sections=(
            reclaim_cost_section(results),
            anon_vma_counts_section(results),
            merge_refusals_section(results),
            family_section(results),
            address_space_section(results, pid),
            file_pages_section(results),
            locks_section(results),
            *validation_sections(results),
            diagnostics_section(results),
        ),
        generated_at=generated_at or datetime.now(UTC),
        version=__version__ if tool_version is None else tool_version,
    )


def build_comparison_report(
    comparison: ComparisonTables,
    *,
    title: str | None = None,
    generated_at: datetime | None = None,
    tool_version: str | None = None,
) -> Report:
    """Return the report of a comparison of schemes; the parameters are as for `build_report`."""
    return Report(
        title=title or comparison_title(comparison),
        facts=comparison_facts(comparison),
        notices=comparison_notices(comparison),
        key_figures=comparison_key_figures(comparison),
        findings=comparison_findings(comparison)
        or ("The schemes came to the same at every event of this trace.",),
        sections=comparison_sections(comparison),
        generated_at=generated_at or datetime.now(UTC),
        version=__version__ if tool_version is None else tool_version,
    )


def build_difference_report(
    difference: DifferenceTables,
    *,
    title: str | None = None,
    generated_at: datetime | None = None,
    tool_version: str | None = None,
) -> Report:
    """Return the report of what differs between two results; the parameters are as for `build_report`."""
    return Report(
        title=title or difference_title(difference),
        facts=difference_facts(difference),
        notices=difference_notices(difference),
        key_figures=difference_key_figures(difference),
        findings=difference_findings(difference),
        sections=difference_sections(difference),
        generated_at=generated_at or datetime.now(UTC),
        version=__version__ if tool_version is None else tool_version,
    )


def write_report(report: Report | ResultTables, path: str | Path, *, svg: bool = False) -> None:
    """Write a report as HTML or Markdown, as the suffix of `path` says (``.html`` or ``.md``).

    Each file is written under a temporary name and then renamed, so that it is never half there.

    Parameters
    ----------
    report : Report or ResultTables
        A report, or the results of which to build one with all defaults.
    path : str or Path
        File to write; one that exists is replaced.
    svg : bool, optional
        With Markdown: draw the figures as SVG files into the folder ``NAME.figures`` beside it, instead of as text.

    Raises
    ------
    UsageError
        The suffix is another one, or `svg` with HTML.
    OutputError
        The file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".html", ".md"):
        raise UsageError(
            str(path),
            expected="a file name that ends in .html or .md",
            found=f"the suffix '{path.suffix}'" if path.suffix else "no suffix",
            hint="the suffix chooses the form of the report",
        )
    if svg and suffix != ".md":
        raise UsageError(
            str(path),
            expected="a report named FILE.md beside which SVG files can stand",
            found="an HTML report, which holds its charts",
            hint="leave out --svg, or write FILE.md",
        )
    whole = report if isinstance(report, Report) else build_report(report)
    if suffix == ".html":
        write_text(path, render_html(whole))
    else:
        pictures = _write_pictures(whole, path) if svg else {}
        write_text(path, render_markdown(whole, pictures=pictures))


def write_report_or_json(
    path: str | Path, build: Callable[[], Report], data: Callable[[], dict[str, Any]]
) -> None:
    """Write a report as HTML or Markdown, or its data as JSON, as the suffix of `path` says.

    Parameters
    ----------
    path : str or Path
    build, data : callable
        Make the report and the data; only what is written is made.

    Raises
    ------
    UsageError, OutputError
        As `write_report`.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        write_text(path, json.dumps(data(), indent=2, allow_nan=False) + "\n")
    else:
        write_report(build(), path)


def _write_pictures(report: Report, path: Path) -> dict[int, str]:
    """Write the figures beside a Markdown report; return where each is, by its identity."""
    from .charts.svg import svg_of  # altair and vl-convert take a second to import

    directory = path.with_name(f"{path.stem}.figures")
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise _not_writable(directory, error) from error
    pictures = {}
    for number, figure in enumerate(report.figures(), start=1):
        name = f"{number:02}.svg"
        write_text(directory / name, svg_of(figure))
        pictures[id(figure)] = f"{quote(directory.name)}/{name}"
    return pictures


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name and rename it; `OutputError` if it cannot be written."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        str(path),
        expected="a file that can be written",
        found=error.strerror or str(error),
        hint="choose another place, or make its directory first",
    )
