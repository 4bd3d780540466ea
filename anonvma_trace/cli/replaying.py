"""Commands about one replay: `replay`, `report`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .completing import complete_rule, complete_trace
from .options import (
    DebugOption,
    DetailOption,
    FormatOption,
    JobsOption,
    JsonOption,
    MapsOption,
    OptionOption,
    RuleOption,
    ScenarioOption,
    SchemeOption,
    TraceArgument,
)
from .running import (
    DONE,
    STOPPED,
    check_suffix,
    command,
    finish,
    open_trace,
    parse_options,
    replay_with_progress,
)

if TYPE_CHECKING:
    from ..analysis import Replay


@command
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
            autocompletion=complete_rule,
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
    options = parse_options(option)
    trace = open_trace(traces, maps, format, scenario)
    from .. import console
    from ..reports.anon_vma_counts import counts_over_time
    from ..summary_text import diagnostics_section, summary_sections

    result = replay_with_progress(
        trace,
        scheme,
        rule,
        options,
        baseline=baseline,
        validate=validate or [],
        check_every=check_every or int(check),
        detail=detail,
        save=out,
        tables=("diagnostics", "timeline"),  # without --out, all that is printed is made of
        jobs=jobs,
    )
    if out is not None:
        _write_reports(result, out)
    if json:
        console.print_json(result.summary)
    else:
        sections = summary_sections(result.summary, counts_over_time(result))
        console.print_sections([*sections, diagnostics_section(result)])
    if out is not None:
        console.print_message(
            f"wrote {out / 'report.html'}, {out / 'report.md'} and the result tables beside them"
        )
    status = finish(trace)
    return STOPPED if _tell_violations(result.summary["violations"]) else status


@command
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
            autocompletion=complete_trace,
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
    check_suffix(output, (".html", ".md"))
    options = parse_options(option)
    if traces and len(traces) == 1 and _names_results(traces[0]):
        _refuse_replay_options(maps, format, scenario, rule, option, detail != "full", jobs)
        from .. import console
        from ..analysis import Replay

        Replay.from_tables(Replay.load(traces[0])).report(output, pid=pid, svg=svg)
        console.print_message(f"wrote {output}")
        return DONE
    trace = open_trace(traces, maps, format, scenario)
    from .. import console

    with TemporaryDirectory(prefix="anonvma-trace-") as directory:  # tables may be larger than memory
        replay_with_progress(trace, scheme, rule, options, detail=detail, jobs=jobs, save=directory).report(
            output, pid=pid, svg=svg
        )
    console.print_message(f"wrote {output}")
    return finish(trace)


def _names_results(path: str) -> bool:
    """Tell whether saved results are meant: a directory, but for an empty-handed one with the name of a sample."""
    if Path(path, "summary.json").is_file():
        return True
    from ..samples import find_sample

    return Path(path).is_dir() and find_sample(path) is None


def _tell_violations(violations: int) -> bool:
    """Tell that the replay broke invariants, if it did, and return whether it did."""
    if violations:
        from .. import console

        console.print_message(
            f"error: the replay broke its own invariants ({violations:,} in `diagnostics`): a defect of this tool\n"
            "hint: no figure can be relied on; docs/checking.md tells how to report it"
        )
    return violations > 0


def _write_reports(result: Replay, directory: Path) -> None:
    from ..reports import build_report, write_report

    report = build_report(result)
    write_report(report, directory / "report.html")
    write_report(report, directory / "report.md")


def _refuse_replay_options(*given: object) -> None:
    """Raise if options of a replay were given beside saved results, which are what they are."""
    if any(given):
        raise UsageError(
            "anonvma-trace report",
            expected="saved results without options of a replay",
            found="--maps, --format, --scenario, --rule, --option, --detail or --jobs beside them",
            hint="replay the trace again with them, or leave them out",
        )
