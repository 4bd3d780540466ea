"""The command line: options in, one library call, text out.

Nothing heavy is imported before a command runs: ``--help``, ``--version`` and wrong usage answer at once.

Exit status: 0 done; 1 an error stopped it, or a check found the replay itself broken; 2 wrong usage; 3 done, but
part of the input could not be read or was lost by the recorder; 130 interrupted.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import TraceError, UsageError

if TYPE_CHECKING:
    from .analysis import Replay
    from .trace import Trace

DONE, STOPPED, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130

app = typer.Typer(
    name="anonvma-trace",
    help="Replay memory-management traces under the kernel's reverse-mapping schemes and see what they cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TraceArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TRACE",
        help="File, - for standard input, or name of a bundled sample; several are parts of one recording.",
        show_default=False,
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
        "--format", metavar="NAME", help="Format of TRACE, in place of detection.", show_default=False
    ),
]
ScenarioOption = Annotated[
    str | None,
    typer.Option("--scenario", metavar="TEXT", help="A scenario in place of TRACE.", show_default=False),
]
SchemeOption = Annotated[str, typer.Option("--scheme", metavar="NAME", help="Reverse-mapping scheme.")]
RuleOption = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME", help="Change to the scheme (repeatable).", show_default=False),
]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="Option of the replay (repeatable).", show_default=False
    ),
]
DetailOption = Annotated[
    str,
    typer.Option(
        "--detail",
        metavar="HOW",
        help="Rows of walks, merges and vma_spans: full, sampled (a bounded sample) or none. Totals stay exact.",
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object in place of text.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """Run the command line and leave with its exit status."""
    app(prog_name="anonvma-trace")


def _command(function: Callable[..., int]) -> Callable[..., None]:
    """Turn what a command returns or raises into an exit status and, for errors, a message."""

    @functools.wraps(function)
    def run(**arguments: Any) -> None:
        try:
            status = function(**arguments)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            status = INTERRUPTED
        except Exception as error:
            if arguments["debug"]:
                traceback.print_exc()
            status = _tell(error, arguments.get("scenario") or "")
        raise typer.Exit(status)

    return run


def _tell(error: Exception, text: str) -> int:
    """Print an error, with the place in `text` that it is about, and return its exit status."""
    from . import console

    if isinstance(error, TraceError):
        console.print_error(error, text)
        return error.exit_status
    first_line = str(error).partition("\n")[0]
    console.print_message(
        f"anonvma-trace: a defect of this tool: {type(error).__name__}: {first_line}\n"
        "hint: run the same command with --debug and report what it prints"
    )
    return STOPPED


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"anonvma-trace {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Replay memory-management traces under the kernel's reverse-mapping schemes and see what they cost."""


@app.command()
@_command
def inspect(
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Tell what a trace holds: events, processes, losses, lines that could not be read and why."""
    trace = _open(traces, maps, format, scenario)
    from . import console
    from .survey import survey_trace
    from .survey_text import survey_sections

    with console.progress_on_terminal(trace) as progress:
        survey = survey_trace(trace, progress=progress)
    if json:
        console.print_json(survey.to_dict())
    else:
        console.print_sections(survey_sections(survey))
    return _status(trace)


@app.command()
@_command
def convert(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            dir_okay=False,
            help="Event table to write: .parquet, .arrow, .csv or .jsonl.",
        ),
    ],
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    debug: DebugOption = False,
) -> int:
    """Write a trace as an event table: .parquet, .arrow, .csv or .jsonl."""
    trace = _open(traces, maps, format, scenario)
    from . import console
    from .event_files import write_events

    write_events(trace, output)
    console.print_message(f"wrote {output}")
    return _finish(trace)


@app.command()
@_command
def replay(
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    scheme: SchemeOption = "anon_vma",
    rule: RuleOption = None,
    option: OptionOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            help="Write all result tables (Parquet), summary.json, report.html and report.md there.",
            show_default=False,
        ),
    ] = None,
    validate: Annotated[
        list[str] | None,
        typer.Option(
            "--validate",
            metavar="FILE",
            help="Recorded snapshots to compare the replay with (repeatable); a sample's name: its own.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="RULE",
            help="Replay a second time under this rule and compare vma counts, e.g. merge_pre_rmap39.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check every invariant of the replay after each event.")
    ] = False,
    check_every: Annotated[
        int | None,
        typer.Option(
            "--check-every",
            metavar="N",
            min=1,
            help="Check them after every N-th event and the last.",
            show_default=False,
        ),
    ] = None,
    detail: DetailOption = "full",
    jobs: JobsOption = 0,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Replay a trace under a scheme and print the summary; with --out write results and reports too."""
    options = _parse_options(option)
    trace = _open(traces, maps, format, scenario)
    from . import console
    from .summary_text import diagnostics_section, summary_sections

    result = _replay(
        trace,
        scheme,
        rule,
        options,
        baseline=baseline,
        validate=validate or [],
        check_every=check_every or int(check),
        detail=detail,
        save=out,
        tables=("diagnostics",),  # without --out, all that is printed
        jobs=jobs,
    )
    if out is not None:
        _write_reports(result, out)
    if json:
        console.print_json(result.summary)
    else:
        console.print_sections([*summary_sections(result.summary), diagnostics_section(result)])
    if out is not None:
        console.print_message(
            f"wrote {out / 'report.html'}, {out / 'report.md'} and the result tables beside them"
        )
    status = _finish(trace)
    return STOPPED if _tell_violations(result.summary["violations"]) else status


@app.command()
@_command
def report(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", dir_okay=False, help="Report to write: FILE.html or FILE.md."
        ),
    ],
    traces: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIR|TRACE",
            help="Directory that `replay --out` wrote, or a trace as for `replay`.",
            show_default=False,
        ),
    ] = None,
    pid: Annotated[
        int | None,
        typer.Option(
            "--pid",
            metavar="PID",
            help="Process whose address space is drawn.  [default: the dearest]",
            show_default=False,
        ),
    ] = None,
    svg: Annotated[
        bool,
        typer.Option(
            "--svg", help="With FILE.md: charts as SVG files in FILE.figures instead of bars of text."
        ),
    ] = False,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    scheme: SchemeOption = "anon_vma",
    rule: RuleOption = None,
    option: OptionOption = None,
    detail: DetailOption = "full",
    jobs: JobsOption = 0,
    debug: DebugOption = False,
) -> int:
    """Write a report, HTML or Markdown, from saved results or straight from a trace."""
    _check_suffix(output, (".html", ".md"))
    options = _parse_options(option)
    if traces and len(traces) == 1 and Path(traces[0], "summary.json").is_file():
        _refuse_replay_options(maps, format, scenario, rule, option, detail != "full", jobs)
        from . import console
        from .analysis import Replay

        Replay.from_tables(Replay.load(traces[0])).report(output, pid=pid, svg=svg)
        console.print_message(f"wrote {output}")
        return DONE
    trace = _open(traces, maps, format, scenario)
    from . import console

    with TemporaryDirectory(prefix="anonvma-trace-") as directory:  # tables may be larger than memory
        _replay(trace, scheme, rule, options, detail=detail, jobs=jobs, save=directory).report(
            output, pid=pid, svg=svg
        )
    console.print_message(f"wrote {output}")
    return _finish(trace)


@app.command()
@_command
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
        ),
    ] = None,
    rule: RuleOption = None,
    option: OptionOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            dir_okay=False,
            help="Write the comparison there: FILE.html, FILE.md or FILE.json.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Replay a trace under several schemes side by side: what each costs, and where they disagree."""
    if output is not None:
        _check_suffix(output, (".html", ".md", ".json"))
    options = _parse_options(option)
    trace = _open(traces, maps, format, scenario)
    from . import console
    from .compare import compare_schemes
    from .reports import build_comparison_report

    names = schemes.split(",") if schemes is not None else []
    with console.progress_on_terminal(trace) as progress:
        result = compare_schemes(trace, names, rule or [], options, progress=progress)
    if output is not None:
        result.report(output)
    if json:
        console.print_json(result.to_dict())
    elif output is None:
        console.print_comparison(build_comparison_report(result))
    if output is not None:
        console.print_message(f"wrote {output}")
    return _finish(trace)


@app.command()
@_command
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
    """Tell what one event did and why (--event), or the history of one page (--addr, --pid).

    Examples: explain zoo --event 812; explain zoo --addr 0x7f0269688000 --pid 4789
    """
    options = _parse_options(option)
    address = _parse_subject(event, addr, pid)
    trace = _open(traces, maps, format, scenario)
    from . import console
    from .explaining import explain_event, explain_page

    if event is not None:
        sections = explain_event(trace, event, scheme, rule or [], options)
    else:
        assert address is not None and pid is not None
        sections = explain_page(trace, pid, address, scheme, rule or [], options)
    if json:
        console.print_json({"explanation": [section._asdict() for section in sections]})
    else:
        console.print_sections(sections)
    return DONE


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


def _print_bpftrace(wanted: bool) -> None:
    if wanted:
        from .recording import bpftrace_script

        print(bpftrace_script(), end="")
        raise typer.Exit


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_command
def record(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            dir_okay=False,
            help="Recording to write; compressed if it is named .zst, .gz or .xz.",
        ),
    ],
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="What to run and record.", show_default=False),
    ],
    buffer_size: Annotated[
        str | None,
        typer.Option(
            "--buffer-size",
            metavar="SIZE",
            help="Buffer of each CPU, e.g. 256M; 64M unless memory is short. Events that do not fit are lost.",
            show_default=False,
        ),
    ] = None,
    reclaim: Annotated[
        bool, typer.Option("--reclaim", help="Record page reclaim too (many more events).")
    ] = False,
    print_bpftrace: Annotated[
        bool,
        typer.Option(
            "--print-bpftrace",
            help="Record nothing: print a bpftrace script whose output can be replayed, and leave.",
            callback=_print_bpftrace,
            is_eager=True,
        ),
    ] = False,
    debug: DebugOption = False,
) -> int:
    """Record a command and its children with the kernel's tracing (as root), ready to be replayed."""
    from . import console
    from .recording import parse_size_kb, record_command
    from .recording.report import recording_lines

    buffer_kb = None if buffer_size is None else parse_size_kb(buffer_size)
    recording = record_command(
        command, output, buffer_kb=buffer_kb, reclaim=reclaim, tell=console.print_message
    )
    for line in recording_lines(recording):
        console.print_message(line)
    return INCOMPLETE if recording.lost_events else DONE


@app.command()
@_command
def samples(json: JsonOption = False, debug: DebugOption = False) -> int:
    """List the bundled sample traces and where they are."""
    from . import console
    from .samples import list_samples, samples_directory

    found = list_samples()
    if json:
        console.print_json(
            {
                "directory": str(samples_directory()),
                "samples": [
                    {
                        "name": sample.name,
                        "kind": sample.kind,
                        "path": str(sample.path),
                        "maps": [str(path) for path in sample.maps],
                        "description": sample.description,
                    }
                    for sample in found
                ],
            }
        )
    else:
        console.print_samples(found, str(samples_directory()))
    return DONE


def _open(
    traces: list[str] | None, maps: list[str] | None, format: str | None, scenario: str | None
) -> Trace:
    """Open TRACE or --scenario, whichever was given."""
    if (not traces) == (scenario is None):
        raise UsageError(
            "anonvma-trace",
            expected="either TRACE or --scenario TEXT",
            found="both" if traces else "neither",
            hint="name a file, - for standard input, or a sample (`anonvma-trace samples` lists them)",
        )
    if scenario is None:
        from .analysis import read_trace

        return read_trace(traces or [], maps=maps or [], format=format)
    if maps or format:
        raise UsageError(
            "--scenario",
            expected="no --maps and no --format beside it",
            found="--maps" if maps else "--format",
            hint="a scenario is complete: write the mappings into it",
        )
    from .parsers import scenario_trace

    return scenario_trace(scenario)


def _replay(
    trace: Trace,
    scheme: str,
    rules: list[str] | None,
    options: dict[str, str],
    **how: Any,
) -> Replay:
    """Replay with progress on a terminal; `how` goes to `replay_trace`."""
    from . import console
    from .analysis import replay_trace

    with console.progress_on_terminal(trace) as progress:
        return replay_trace(trace, scheme, rules or [], options, progress=progress, **how)


def _tell_violations(violations: int) -> bool:
    """Tell that the replay broke invariants, if it did, and return whether it did."""
    if violations:
        from . import console

        console.print_message(
            f"error: the replay broke its own invariants ({violations:,} in `diagnostics`): a defect of this tool\n"
            "hint: no figure can be relied on; docs/checking.md tells how to report it"
        )
    return violations > 0


def _write_reports(result: Replay, directory: Path) -> None:
    from .reports import build_report, write_report

    report = build_report(result)
    write_report(report, directory / "report.html")
    write_report(report, directory / "report.md")


def _finish(trace: Trace) -> int:
    """Tell what of the input is missing from the result, and return the exit status."""
    from . import console
    from .summary_text import loss_warnings

    for warning in loss_warnings(trace):
        console.print_message(warning)
    return _status(trace)


def _status(trace: Trace) -> int:
    metadata = trace.metadata
    return INCOMPLETE if metadata.lost_events or metadata.unreadable_lines else DONE


def _parse_options(texts: list[str] | None) -> dict[str, str]:
    """Split NAME=VALUE texts; whether the replay knows them is its own affair."""
    options = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(
                "--option",
                expected="NAME=VALUE",
                found=f"'{text}'",
                hint="for example --option instant_free=off",
            )
        options[name] = value
    return options


def _check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix not in suffixes:
        *others, last = (f"FILE{suffix}" for suffix in suffixes)
        raise UsageError(
            str(path),
            expected=f"a report named {', '.join(others)} or {last}",
            found=f"the suffix '{path.suffix}'" if path.suffix else "no suffix",
            hint="name the file that -o writes accordingly",
        )


def _refuse_replay_options(*given: object) -> None:
    """Raise if options of a replay were given beside saved results, which are what they are."""
    if any(given):
        raise UsageError(
            "anonvma-trace report",
            expected="saved results without options of a replay",
            found="--maps, --format, --scenario, --rule, --option, --detail or --jobs beside them",
            hint="replay the trace again with them, or leave them out",
        )
