"""The command `record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DebugOption
from .running import DONE, INCOMPLETE, command


def _print_bpftrace(wanted: bool) -> None:
    if wanted:
        from ..recording import bpftrace_script

        print(bpftrace_script(), end="")
        raise typer.Exit


@command
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
    from .. import console
    from ..recording import parse_size_kb, record_command
    from ..recording.report import recording_lines

    buffer_kb = None if buffer_size is None else parse_size_kb(buffer_size)
    recording = record_command(
        command, output, buffer_kb=buffer_kb, reclaim=reclaim, tell=console.print_message
    )
    for line in recording_lines(recording):
        console.print_message(line)
    return INCOMPLETE if recording.lost_events else DONE
