"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .completing import (
    complete_detail,
    complete_format,
    complete_option,
    complete_rule,
    complete_scheme,
    complete_trace,
)

TraceArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TRACE",
        help="File, - for standard input, or name of a bundled sample; several are parts of one recording.",
        show_default=False,
        autocompletion=complete_trace,
    ),
]
MapsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--maps",
        metavar="[PID=]FILE",
        help="Address-space snapshot from which the programs start (repeatable).",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format of TRACE, in place of detection.",
        show_default=False,
        autocompletion=complete_format,
    ),
]
ScenarioOption = Annotated[
    str | None,
    typer.Option("--scenario", metavar="TEXT", help="A scenario in place of TRACE.", show_default=False),
]
SchemeOption = Annotated[
    str,
    typer.Option(
        "--scheme",
        metavar="NAME",
        help="Reverse-mapping scheme: pte_chain, anonmm, anon_vma, anon_vma_chain or linux6.",
        autocompletion=complete_scheme,
    ),
]
RuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="NAME",
        help="Change to the scheme, e.g. rmap40 (repeatable).",
        show_default=False,
        autocompletion=complete_rule,
    ),
]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Option of the replay, e.g. instant_free=off (repeatable).",
        show_default=False,
        autocompletion=complete_option,
    ),
]
DetailOption = Annotated[
    str,
    typer.Option(
        "--detail",
        metavar="HOW",
        help="Rows of walks, merges and vma_spans: full, sampled (a bounded sample) or none. Totals stay exact.",
        autocompletion=complete_detail,
    ),
]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        metavar="N",
        min=0,
        help="Threads that replay process families side by side. 0: as many as help.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        dir_okay=False,
        help="Write what is found there: FILE.html, FILE.md or FILE.json.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
