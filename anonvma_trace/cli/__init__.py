"""The command line: options in, one library call, text out.

Nothing heavy is imported before a command runs: ``--help``, ``--version`` and wrong usage answer at once.

Exit status: 0 done; 1 an error stopped it, or a check found the replay itself broken; 2 wrong usage; 3 done, but
part of the input could not be read or was lost by the recorder; 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from .. import __version__
from .asking import compare, explain
from .differing import diff
from .help_texts import SHORT, START, examples_of
from .reading import convert, inspect, samples
from .recording import record
from .replaying import replay, report

app = typer.Typer(
    name="anonvma-trace",
    help="Replay memory-management traces under the kernel's reverse-mapping schemes and see what they cost.",
    epilog=START,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help and wrong usage as plain text: half the time, and lines that can be copied
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(function: Callable[..., None], context_settings: dict[str, bool] | None = None) -> None:
    name = function.__name__
    app.command(short_help=SHORT[name], epilog=examples_of(name), context_settings=context_settings)(function)


# In the order in which --help lists them.
for _function in (inspect, convert, replay, report, compare, diff, explain):
    _add(_function)
_add(record, {"ignore_unknown_options": True, "allow_interspersed_args": False})
_add(samples)


def main() -> None:
    """Run the command line and leave with its exit status."""
    app(prog_name="anonvma-trace")


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
