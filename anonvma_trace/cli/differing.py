"""The command `diff`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import UsageError
from .completing import complete_schemes, complete_trace
from .options import DebugOption, JsonOption, MapsOption, OptionOption, OutputOption
from .running import DONE, check_suffix, command, finish, open_trace, parse_options, replay_with_progress

if TYPE_CHECKING:
    from ..result_tables import ResultTables

DIFFERENT = 1


@command
def diff(
    sides: Annotated[
        list[str],
        typer.Argument(
            metavar="A [B]",
            help="Directories that `replay --out` wrote, or traces, which are replayed first. B is A where --schemes "
            "names two.",
            show_default=False,
            autocompletion=complete_trace,
        ),
    ],
    schemes: Annotated[
        str | None,
        typer.Option(
            "--schemes",
            metavar="A[,B]",
            help="Schemes under which traces are replayed, rules behind plus signs: anon_vma,anon_vma+rmap40. One name "
            "is for both.  [default: anon_vma]",
            show_default=False,
            autocompletion=complete_schemes,
        ),
    ] = None,
    option: OptionOption = None,
    maps: MapsOption = None,
    output: OutputOption = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with status 1 if A and B differ, as diff does.")
    ] = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Put two results side by side: what changed, by what, and at which events of one trace they part."""
    if output is not None:
        check_suffix(output, (".html", ".md", ".json"))
    options = parse_options(option)
    asked = _sides(sides, schemes, bool(option or maps))
    from .. import console
    from ..difference import difference_of
    from ..reports import build_difference_report

    with ExitStack() as stack:
        replayed = [_results(side, options, maps, stack) for side in asked]
        (a, first), (b, second) = replayed
        result = difference_of(a, b, (asked[0].directory, asked[1].directory))
        if output is not None:
            result.report(output)
        if json:
            console.print_json(result.to_dict())
        elif output is None:
            console.print_report(build_difference_report(result), in_full=True)
        differs = exit_code and result.differs
    if output is not None:
        console.print_message(f"wrote {output}")
    return DIFFERENT if differs else max(first, second)


class _Side(NamedTuple):
    """What one side of the difference is.

    Attributes
    ----------
    of : str
        Directory of results, or a trace.
    scheme : str or None
        Scheme and rules under which it is replayed; None for saved results.
    """

    of: str
    scheme: str | None

    @property
    def directory(self) -> str:
        """Where its results are; empty if they are still to be made."""
        return self.of if self.scheme is None else ""


def _sides(given: list[str], schemes: str | None, replays: bool) -> list[_Side]:
    """Return both sides; UsageError where they are not two, or options of a replay stand beside saved results."""
    names = schemes.split(",") if schemes is not None else ["anon_vma"]
    if len(given) > 2 or len(names) > 2 or len(given) == len(names) == 1:
        raise UsageError(
            "anonvma-trace diff",
            expected="A and B, or one trace and two schemes",
            found=f"{len(given)} beside {len(names)} of --schemes"
            if schemes
            else f"{len(given)} without --schemes",
            hint="`diff results-a results-b`, or `diff zoo --schemes anon_vma,anon_vma+rmap40`",
        )
    both = given * 2 if len(given) == 1 else given
    sides = [
        _Side(of, None if Path(of).is_dir() else name)
        for of, name in zip(both, names * 2 if len(names) == 1 else names, strict=True)
    ]
    if (schemes is not None or replays) and all(side.scheme is None for side in sides):
        raise UsageError(
            "anonvma-trace diff",
            expected="saved results without options of a replay",
            found="--schemes, --option or --maps beside them",
            hint="replay the traces again with them, or leave them out",
        )
    return sides


def _results(
    side: _Side, options: dict[str, str], maps: list[str] | None, stack: ExitStack
) -> tuple[ResultTables, int]:
    """Open or make the results of one side; return them with the exit status that its losses make."""
    if side.scheme is None:
        from ..result_tables import ResultTables

        return ResultTables.load(side.of), DONE
    from ..comparing.choices import chosen_schemes

    (choice,) = chosen_schemes([side.scheme])
    trace = open_trace([side.of], maps, None, None)
    directory = stack.enter_context(TemporaryDirectory(prefix="anonvma-trace-"))  # may be larger than memory
    results = replay_with_progress(trace, choice.scheme, list(choice.rules), options, save=directory)
    return results, finish(trace)
