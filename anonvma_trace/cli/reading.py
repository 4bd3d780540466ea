"""Commands about traces as such: `inspect`, `convert`, `samples`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DebugOption, FormatOption, JsonOption, MapsOption, ScenarioOption, TraceArgument
from .running import DONE, command, finish, open_trace, status_of


@command
def inspect(
    traces: TraceArgument = None,
    maps: MapsOption = None,
    format: FormatOption = None,
    scenario: ScenarioOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Tell what a trace holds: events, processes, losses, lines that could not be read and why."""
    trace = open_trace(traces, maps, format, scenario)
    from .. import console
    from ..survey import survey_trace
    from ..survey_text import survey_sections

    with console.progress_on_terminal(trace) as progress:
        survey = survey_trace(trace, progress=progress)
    if json:
        console.print_json(survey.to_dict())
    else:
        console.print_sections(survey_sections(survey))
    return status_of(trace)


@command
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
    trace = open_trace(traces, maps, format, scenario)
    from .. import console
    from ..event_files import write_events

    write_events(trace, output)
    console.print_message(f"wrote {output}")
    return finish(trace)


@command
def samples(json: JsonOption = False, debug: DebugOption = False) -> int:
    """List the bundled sample traces and where they are."""
    from .. import console
    from ..samples import list_samples, samples_directory

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
