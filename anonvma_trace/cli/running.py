"""How every command runs: its errors become messages, its end an exit status; what several commands do alike."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import TraceError, UsageError

if TYPE_CHECKING:
    from ..analysis import Replay
    from ..trace import Trace

DONE, STOPPED, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130


def command(function: Callable[..., int]) -> Callable[..., None]:
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
    from .. import console

    if isinstance(error, TraceError):
        console.print_error(error, text)
        return error.exit_status
    first_line = str(error).partition("\n")[0]
    console.print_message(
        f"anonvma-trace: a defect of this tool: {type(error).__name__}: {first_line}\n"
        "hint: run the same command with --debug and report what it prints"
    )
    return STOPPED


def open_trace(
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
        from ..analysis import read_trace

        return read_trace(traces or [], maps=maps or [], format=format)
    if maps or format:
        raise UsageError(
            "--scenario",
            expected="no --maps and no --format beside it",
            found="--maps" if maps else "--format",
            hint="a scenario is complete: write the mappings into it",
        )
    from ..parsers import scenario_trace

    return scenario_trace(scenario)


def replay_with_progress(
    trace: Trace,
    scheme: str,
    rules: list[str] | None,
    options: dict[str, str],
    **how: Any,
) -> Replay:
    """Replay with progress on a terminal; `how` goes to `replay_trace`."""
    from .. import console
    from ..analysis import replay_trace

    with console.progress_on_terminal(trace) as progress:
        return replay_trace(trace, scheme, rules or [], options, progress=progress, **how)


def finish(trace: Trace) -> int:
    """Tell what of the input is missing from the result, and return the exit status."""
    from .. import console
    from ..summary_text import loss_warnings

    for warning in loss_warnings(trace):
        console.print_message(warning)
    return status_of(trace)


def status_of(trace: Trace) -> int:
    """Return the exit status that the losses of a trace make."""
    metadata = trace.metadata
    return INCOMPLETE if metadata.lost_events or metadata.unreadable_lines else DONE


def parse_options(texts: list[str] | None) -> dict[str, str]:
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


def check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise UsageError unless a report is named by one of these suffixes."""
    if path.suffix not in suffixes:
        *others, last = (f"FILE{suffix}" for suffix in suffixes)
        raise UsageError(
            str(path),
            expected=f"a report named {', '.join(others)} or {last}",
            found=f"the suffix '{path.suffix}'" if path.suffix else "no suffix",
            hint="name the file that -o writes accordingly",
        )
