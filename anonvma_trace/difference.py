"""Two results beside each other, from Python: `diff` and the `Difference` it leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from .comparing.saved import find_event_differences
from .difference_tables import DifferenceTables
from .errors import UsageError
from .named_frames import NamedFrames
from .reports import Report, build_difference_report, run_differences, write_report_or_json
from .reports.notebook import Plots, tables_html
from .reports.run_differences import BREAKDOWNS, changed
from .reports.sections.difference_overview import differs, processes, replay_text
from .result_tables import ResultTables
from .tables import TABLES

EVENTS_IN_JSON = 1_000
"""Events whose merges ended differently that `Difference.to_dict` lists; there may be more."""


class Difference(DifferenceTables, NamedFrames, Plots):
    """What differs between two results, A and B.

    Attributes
    ----------
    a, b : ResultTables
    same_trace : bool
        Whether both replayed the same events; `why_other_trace` tells what shows that they did not.
    events : EventDifferences or None
        Where they differ, joined by event: ``events.first``, ``events.merges``, …; None for different traces.
    """

    @property
    def figures(self) -> pl.DataFrame:
        """Every figure of both summaries: ``figure``, ``a``, ``b``, ``change``, ``relative``; equal ones last."""
        return run_differences.summary_figures(self.a, self.b)

    @property
    def processes(self) -> pl.DataFrame:
        """Counts of each process, or of all of one name where the traces differ, with ``a``, ``b``, ``change``."""
        return processes(self)

    @property
    def differs(self) -> bool:
        """Whether anything differs: a figure, a row of a breakdown, a process, an event."""
        return differs(self)

    def breakdown(self, name: str) -> pl.DataFrame:
        """Return one breakdown for both: its keys, ``a``, ``b``, ``change``, ``relative``; largest change first.

        Parameters
        ----------
        name : str
            ``refusals``, ``attempts``, ``visits``, ``outcomes``, ``origins`` or ``remarks``.

        Raises
        ------
        UsageError
            Another name, or its table is not whole on both sides.
        """
        if name not in BREAKDOWNS:
            raise UsageError(
                f"breakdown {name!r}",
                expected=f"one of {', '.join(BREAKDOWNS)}",
                found="another name",
                hint="`figures` and `processes` have the rest",
            )
        if not run_differences.is_whole(self.a, self.b, BREAKDOWNS[name].table):
            raise UsageError(
                f"breakdown {name!r}",
                expected=f"the whole table {BREAKDOWNS[name].table} on both sides",
                found="a part of it (--detail)",
                hint="replay with --detail full",
            )
        return run_differences.breakdown(self.a, self.b, name)

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return every frame by name: ``figures``, ``processes``, ``list_lengths``, breakdowns, frames of `events`.

        Those of `events` have its name before theirs: ``events.merges``.
        """
        found = {"figures": self.figures, "processes": self.processes}
        found["list_lengths"] = run_differences.list_lengths(self.a, self.b)
        found |= self._breakdowns()
        if self.events is not None:
            names = ("first", "merges", "merge_outcomes", "walks")
            found |= {f"events.{name}": getattr(self.events, name) for name in names}
        return found

    def _breakdowns(self) -> dict[str, pl.DataFrame]:
        """Return the breakdowns whose tables are whole on both sides."""
        return {
            name: run_differences.breakdown(self.a, self.b, name)
            for name, of in BREAKDOWNS.items()
            if run_differences.is_whole(self.a, self.b, of.table)
        }

    def _report(self, **how: Any) -> Report:
        return build_difference_report(self, **how)

    def to_dict(self) -> dict[str, Any]:
        """Return all changes as plain data: what ``diff --json`` prints."""
        report = self._report()
        figures = self.figures
        return {
            "a": _origin(self.a, self.names[0]),
            "b": _origin(self.b, self.names[1]),
            "same_trace": self.same_trace,
            "differs": self.differs,
            "notices": [f"{notice.what} {notice.consequence}" for notice in report.notices],
            "figures": changed(figures).to_dicts(),
            "equal_figures": figures.height - changed(figures).height,
            "breakdowns": {name: changed(frame).to_dicts() for name, frame in self._breakdowns().items()},
            "list_lengths": run_differences.list_lengths(self.a, self.b).to_dicts(),
            "processes": changed(self.processes).to_dicts(),
            "events": self._events(),
        }

    def _events(self) -> dict[str, Any] | None:
        if self.events is None:
            return None
        return {
            "first": self.events.first.to_dicts(),
            "counts": self.events.counts,
            "merges_differ": self.events.merges.height,
            "merges": self.events.merges.head(EVENTS_IN_JSON).to_dicts(),
            "merge_outcomes": self.events.merge_outcomes.to_dicts(),
            "other_reasons": self.events.other_reasons,
            "walks": self.events.walks.to_dicts(),
        }

    def report(self, path: str | Path) -> None:
        """Write the difference as HTML, Markdown or JSON, by the suffix of `path` (``.html``, ``.md``, ``.json``).

        Raises
        ------
        UsageError
            Another suffix.
        OutputError
            The file cannot be written.
        """
        write_report_or_json(path, self._report, self.to_dict)

    def __repr__(self) -> str:
        return f"<Difference from {self.names[0]!r} to {self.names[1]!r}>"

    def _repr_html_(self) -> str:
        """Show findings and tables in a notebook."""
        return tables_html(self._report())


def diff(a: ResultTables | str | Path, b: ResultTables | str | Path) -> Difference:
    """Put two results beside each other: figures, breakdowns, and, of one trace, where they part.

    Parameters
    ----------
    a, b : Replay, or str or Path
        Results, or the directory in which ``replay --out`` or `Replay.save` left them.

    Returns
    -------
    Difference

    Raises
    ------
    TraceAccessError
        A directory does not hold all results of a replay.
    UsageError
        A table that is needed was not kept (``tables=``).
    """
    results = tuple(each if isinstance(each, ResultTables) else ResultTables.load(each) for each in (a, b))
    for each in results:
        for name in TABLES:
            each.height(name)  # raises if the replay did not keep it
    first, second = ("" if isinstance(each, ResultTables) else str(each) for each in (a, b))
    return difference_of(results[0], results[1], (first, second))


def difference_of(a: ResultTables, b: ResultTables, names: tuple[str, str]) -> Difference:
    """Return the difference between two results that hold all tables.

    Parameters
    ----------
    a, b : ResultTables
    names : tuple of (str, str)
        Directories from which they come; an empty name becomes what was replayed, and how.
    """
    first, second = (name or replay_text(each.summary) for name, each in zip(names, (a, b), strict=True))
    why = run_differences.why_other_trace(a, b)
    events = None
    if not why:
        merges, walks = (run_differences.is_whole(a, b, table) for table in ("merges", "walks"))
        events = find_event_differences(a, b, merges=merges, walks=walks)
    return Difference(a, b, (first, second), why, events)


def _origin(results: ResultTables, name: str) -> dict[str, Any]:
    summary = results.summary
    return {"name": name, **{key: summary[key] for key in ("trace", "scheme", "rules", "options")}}
