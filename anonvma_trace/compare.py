"""Comparing from Python: `compare_schemes` and the `Comparison` it leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from .analysis import Progress, TracePath, read_trace
from .comparing import chosen_schemes, run_comparison
from .comparison_tables import ComparisonTables
from .named_frames import NamedFrames
from .reports import Report, build_comparison_report, write_report_or_json
from .reports.notebook import Plots, tables_html
from .reports.scheme_comparison import figures_by_scheme
from .trace import Trace


class Comparison(ComparisonTables, NamedFrames, Plots):
    """The same events under several schemes.

    Attributes
    ----------
    summaries : dict of str to dict
        The summary of each replay by its name.
    merge_outcomes, walk_differences, findings : polars.DataFrame
        Where the schemes disagree; `ComparisonTables` tells their columns, `against` and `memory_bytes` the rest.
    """

    @property
    def figures(self) -> pl.DataFrame:
        """All figures side by side: ``subject``, ``figure``, ``scheme``, ``value``, ``ratio`` (to the reference's)."""
        return figures_by_scheme(self)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return ``figures``, ``merge_outcomes``, ``walk_differences`` and ``findings``."""
        names = ("figures", "merge_outcomes", "walk_differences", "findings")
        return {name: getattr(self, name) for name in names}

    def _report(self, **how: Any) -> Report:
        return build_comparison_report(self, **how)

    def report(self, path: str | Path) -> None:
        """Write the comparison as HTML, Markdown or JSON, by the suffix of `path` (``.html``, ``.md``, ``.json``).

        Raises
        ------
        UsageError
            Another suffix.
        OutputError
            The file cannot be written.
        """
        write_report_or_json(path, self._report, self.to_dict)

    def __repr__(self) -> str:
        trace = self.summaries[self.reference]["trace"]
        return f"<Comparison of {', '.join(self.names)} on {trace['path']!r}, {trace['events']:,} events>"

    def _repr_html_(self) -> str:
        """Show findings and tables in a notebook."""
        return tables_html(self._report())


def compare_schemes(
    trace: Trace | TracePath | Sequence[TracePath],
    schemes: Sequence[str] = (),
    rules: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    maps: Sequence[TracePath] = (),
    *,
    progress: Progress | None = None,
) -> Comparison:
    """Replay all events of a trace under several schemes, in one pass, and compare.

    Parameters
    ----------
    trace : Trace, or whatever `read_trace` takes
        The events.
    schemes : sequence of str, optional
        Schemes, with rules behind plus signs: ``["anon_vma", "anon_vma+rmap40"]``. By default all there are.
    rules : sequence of str, optional
        Rules for those of the schemes that have them.
    options : mapping of str to str, optional
        As for `replay_trace`, the same for all schemes.
    maps : sequence of str or Path, optional
        As for `read_trace`, where `trace` is a path.
    progress : callable, optional
        Called with (events done, events in all or 0, message) now and then.

    Returns
    -------
    Comparison
        It keeps no table of single walks or merges: memory does not grow with the trace.

    Raises
    ------
    UsageError
        No such scheme, rule or option; the message names the nearest.
    TraceError
        The input cannot be read.
    ReplayBug
        Figures of a result contradict each other, through a defect of this tool.
    """
    choices = chosen_schemes(schemes, rules)
    if not isinstance(trace, Trace):
        trace = read_trace(trace, maps=maps)
    return Comparison(**vars(run_comparison(trace, choices, options=options, progress=progress)))
