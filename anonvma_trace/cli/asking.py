"""Commands that ask on: `compare`, `explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..errors import UsageError
from .completing import complete_schemes
from .options import (
    DebugOption,
    FormatOption,
    JsonOption,
    MapsOption,
    OptionOption,
    OutputOption,
    RuleOption,
    ScenarioOption,
    SchemeOption,
    TraceArgument,
)
from .running import check_suffix, command, finish, open_trace, parse_options


@command
def compare(
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    schemes: Annotated[
        str | None,
        typer.Option(
            "--schemes",
            metavar="A,B,…",
            help="Schemes to compare, rules behind plus signs: anon_vma,anon_vma+rmap40. By default all.",
            show_default=False,
            autocompletion=complete_schemes,
        ),
    ] = None,
    rule: RuleOption = None,
    option: OptionOption = None,
    output: OutputOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Replay a trace under several schemes side by side: what each costs, and where they disagree."""
    if output is not None:
        check_suffix(output, (".html", ".md", ".json"))
    options = parse_options(option)
    trace = open_trace(traces, maps, format, scenario)
    from .. import console
    from ..compare import compare_schemes
    from ..reports import build_comparison_report

    names = schemes.split(",") if schemes is not None else []
    with console.progress_on_terminal(trace) as progress:
        result = compare_schemes(trace, names, rule or [], options, progress=progress)
    if output is not None:
        result.report(output)
    if json:
        console.print_json(result.to_dict())
    elif output is None:
        console.print_report(build_comparison_report(result))
    if output is not None:
        console.print_message(f"wrote {output}")
    return finish(trace)


@command
def explain(
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    scheme: SchemeOption = "anon_vma",
    rule: RuleOption = None,
    option: OptionOption = None,
    event: Annotated[
        int | None,
        typer.Option("--event", metavar="N", min=1, help="Explain this event.", show_default=False),
    ] = None,
    addr: Annotated[
        str | None,
        typer.Option(
            "--addr",
            metavar="A",
            help="Tell the history of the page at this address (0x… or decimal), with --pid.",
            show_default=False,
        ),
    ] = None,
    pid: Annotated[
        int | None,
        typer.Option("--pid", metavar="P", help="Whose page, with --addr.", show_default=False),
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Tell what one event did and why (--event), or the history of one page (--addr, --pid)."""
    options = parse_options(option)
    address = _parse_subject(event, addr, pid)
    trace = open_trace(traces, maps, format, scenario)
    from .. import console
    from ..explaining import explain_event, explain_page

    if event is not None:
        sections = explain_event(trace, event, scheme, rule or [], options)
    else:
        assert address is not None and pid is not None
        sections = explain_page(trace, pid, address, scheme, rule or [], options)
    if json:
        console.print_json({"explanation": [section._asdict() for section in sections]})
    else:
        console.print_sections(sections)
    return finish(trace)


def _parse_subject(event: int | None, addr: str | None, pid: int | None) -> int | None:
    """Return the address that --addr gives; UsageError unless it is --event, or --addr and --pid."""
    given = [
        name for name, value in (("--event", event), ("--addr", addr), ("--pid", pid)) if value is not None
    ]
    if given not in (["--event"], ["--addr", "--pid"]):
        raise UsageError(
            "explain",
            expected="either --event N, or --addr A and --pid P",
            found=" and ".join(given) or "neither",
            hint="`explain zoo --event 812`; the result tables name events, addresses and pids",
        )
    if addr is None:
        return None
    try:
        return int(addr, 0)
    except ValueError:
        raise UsageError(
            "--addr",
            expected="an address in bytes, 0x… or decimal",
            found=repr(addr),
            hint="as in /proc/PID/maps",
        ) from None
