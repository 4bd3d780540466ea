"""The Python entry points: `read_trace`, `replay_trace` and the `Replay` they lead to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from . import samples, summary_text
from .errors import TraceAccessError, UsageError
from .parsers import open_trace
from .parsers.slab_recording import is_slab_recording, read_slab_recording
from .replay import check_choice, run_replay
from .replay.marks import Watchers
from .reports import Report, build_report, write_report
from .reports.anon_vma_counts import counts_over_time
from .reports.notebook import Plots
from .result_tables import ResultTables
from .slab_validation import SlabValidation
from .table_sinks import TablesInMemory, TablesOnDisk, save_results
from .tables import TABLES
from .trace import Trace
from .validation import Validation

TracePath = str | Path
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Moment:
    """What stands when an event has been replayed, as Polars frames.

    Attributes
    ----------
    event : int
        Number of that event; 0: before the first.
    vmas : polars.DataFrame
        The vmas, by process and address: columns as in the result table `vma_spans`.
    anon_vma_lists : polars.DataFrame
        One row for each vma on the list of an anon_vma: ``anon_vma, position`` (1: the head), ``vma, pid, start,
        end`` (bytes), ``pgoff`` (pages).
    pages : polars.DataFrame
        One row for each pte that is not none: ``pid, addr`` (bytes), ``kind`` (anonymous, file, swapped, zero),
        ``page`` (number of the page, of the slot where it is swapped out), ``mapcount, index, anon_vma, writable,
        young, dirty``.
    """

    event: int
    vmas: pl.DataFrame
    anon_vma_lists: pl.DataFrame
    pages: pl.DataFrame


@dataclass(frozen=True)
class _Replayed:
    """What a `Replay` was made from, so that it can be made again up to an event."""

    trace: Trace
    scheme: str
    rules: tuple[str, ...]
    options: dict[str, str]


class Replay(ResultTables, Plots):
    """The result of one replay: a Polars frame for each result table, and the summary.

    Attributes
    ----------
    summary : dict
        As in ``summary.json``.
    anon_vmas, merges, walks, vma_spans, members, timeline, processes, vmas, diagnostics : polars.DataFrame
        The result tables; ``docs/result-tables.md`` lists their columns.
    """

    anon_vmas: pl.DataFrame
    merges: pl.DataFrame
    walks: pl.DataFrame
    vma_spans: pl.DataFrame
    members: pl.DataFrame
    timeline: pl.DataFrame
    processes: pl.DataFrame
    vmas: pl.DataFrame
    diagnostics: pl.DataFrame
    _replayed: _Replayed | None = None

    def at(self, event: int) -> Moment:
        """Replay the trace again up to `event` (from 1; 0: before the first) and return what stands then.

        Raises
        ------
        UsageError
            There is no such event; this replay was loaded from saved results, or its trace can be read only once.
        TraceError
            The trace cannot be read any more.
        """
        if self._replayed is None:
            raise UsageError(
                "Replay.at",
                expected="a replay made by replay_trace",
                found="one loaded from saved results (or pickled), which hold no events",
                hint="replay the trace, then ask that replay",
            )
        from .replay.stepping import stand_at

        of = self._replayed
        standing = stand_at(of.trace, event, of.scheme, of.rules, of.options)
        vmas, lists, pages = (pl.DataFrame(pl.from_arrow(table)) for table in standing)
        return Moment(event, vmas, lists, pages)

    def __getattr__(self, name: str) -> pl.DataFrame:
        if name in TABLES:
            return self.frame(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the results, not the open trace that they come from."""
        return {**self.__dict__, "_replayed": None}

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *TABLES})

    @classmethod
    def from_tables(cls, tables: ResultTables) -> Replay:
        """Return the same results as a `Replay` (nothing is copied)."""
        replay = cls.__new__(cls)
        replay.__dict__ |= tables.__dict__
        return replay

    def save(self, directory: str | Path) -> None:
        """Write every table as ``NAME.parquet`` and the summary as ``summary.json`` into `directory`.

        Each file is written under a temporary name and then renamed: none is ever half there.

        Raises
        ------
        OutputError
            The directory cannot be made or written.
        UsageError
            A table was not kept.
        """
        save_results(self, directory)

    def report(self, path: str | Path, *, pid: int | None = None, svg: bool = False) -> None:
        """Write a report, HTML or Markdown by the suffix of `path` (``.html`` or ``.md``).

        Parameters
        ----------
        path : str or Path
        pid : int, optional
            Process whose address space is drawn; by default that whose pages cost most.
        svg : bool, optional
            With Markdown: figures as SVG files beside it instead of as text.

        Raises
        ------
        UsageError
            Another suffix, `svg` with HTML, or no vma of process `pid`.
        OutputError
            The file cannot be written.
        """
        write_report(self._report(pid=pid), path, svg=svg)

    def _report(self, **how: Any) -> Report:
        return build_report(self, **how)

    def __repr__(self) -> str:
        trace = self.summary["trace"]
        return f"<Replay of {trace['path']!r} under {self.summary['scheme']}, {trace['events']:,} events>"

    def _repr_html_(self) -> str:
        """Show summary and tables in a notebook."""
        levels = counts_over_time(self) if self.keeps("timeline") else None
        return summary_text.summary_html(
            self.summary, {name: self.height(name) for name in TABLES if self.keeps(name)}, levels
        )


def read_trace(
    path: TracePath | Sequence[TracePath], maps: Sequence[TracePath] = (), format: str | None = None
) -> Trace:
    """Open a recording, an event table, a scenario or a bundled sample.

    Parameters
    ----------
    path : str, Path or a sequence of them
        File, ``-`` for standard input, or the name of a sample. Several are parts of one recording and are
        merged by time.
    maps : sequence of str or Path, optional
        Address-space snapshots (``FILE`` or ``PID=FILE``) from which the programs start. A sample brings
        its own.
    format : str, optional
        Name of the format; by default it is detected by content.

    Returns
    -------
    Trace
        Its events are read when they are used: `Trace.batches`, `Trace.table`.

    Raises
    ------
    TraceError
        The input cannot be opened or is of no known format.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    resolved = [_resolve(each) for each in paths]
    own_maps = [str(snapshot) for each in resolved for snapshot in each.maps]
    trace = open_trace(
        [each.path for each in resolved], maps=[str(each) for each in maps] or own_maps, format=format
    )
    if len(paths) == 1:
        trace.path = str(paths[0])  # as it was given: a sample's name, not where this installation keeps it
    return trace


def replay_trace(
    trace: Trace | TracePath | Sequence[TracePath],
    scheme: str = "anon_vma",
    rules: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
    maps: Sequence[TracePath] = (),
    *,
    validate: Sequence[TracePath] = (),
    baseline: str | None = None,
    check_every: int = 0,
    detail: str = "full",
    save: str | Path | None = None,
    tables: Collection[str] = tuple(TABLES),
    jobs: int = 0,
    progress: Progress | None = None,
) -> Replay:
    """Replay all events of a trace under a reverse-mapping scheme.

    Parameters
    ----------
    trace : Trace, or whatever `read_trace` takes
        The events.
    scheme : str, optional
        ``"anon_vma"``: rmap 39 exactly as posted.
    rules : sequence of str, optional
        Changes to the scheme.
    options : mapping of str to str, optional
        For example ``{"instant_free": "off"}``.
    maps : sequence of str or Path, optional
        As for `read_trace`, where `trace` is a path.
    validate : sequence of str or Path, optional
        Files of snapshots, and recordings of the slab allocator, to compare with, for ``summary["validation"]``; each
        difference becomes a row of `diagnostics`. The name of a sample stands for its own snapshots.
    baseline : str, optional
        A rule under which the events are replayed a second time, for ``summary["baseline"]``.
    check_every : int, optional
        Check every invariant of the replay after each event (1), or after every n-th and the last; 0: not at
        all. ``summary["violations"]`` counts those found broken, `diagnostics` names them.
    detail : str, optional
        ``"sampled"``: of the tables `merges`, `walks`, `file_walks` and `vma_spans` only a sample of bounded size,
        every k-th row; ``"none"``: none of their rows. ``summary["detail"]`` tells; all totals stay exact.
    save : str or Path, optional
        Directory for the results, as `Replay.save` writes them. The tables go there while the replay runs, so that
        they take no memory, and are read from there when they are used.
    tables : collection of str, optional
        Tables to keep in memory (without `save`); by default all.
    jobs : int, optional
        Threads that replay process families side by side, with the results that one has; 0: as many as there are
        processors, at most 8, for traces of more than half a million events. A diagnostic tells what became of it.
    progress : callable, optional
        Called with (events done, events in all or 0, message) now and then.

    Returns
    -------
    Replay

    Raises
    ------
    UsageError
        No such scheme, rule, option, detail or table; the message names the nearest.
    OutputError
        The directory `save` cannot be made or written.
    TraceError
        The input cannot be read.
    ReplayBug
        Figures of the result contradict each other, through a defect of this tool (without checks only).
    """
    files = [str(file) for each in validate for file in _snapshot_files(each)]
    slabs = [path for path in files if is_slab_recording(path)]
    snapshots = [path for path in files if path not in slabs]
    validation = Validation.of_files(snapshots) if files else None
    counts = SlabValidation(read_slab_recording(slabs)) if slabs else None
    watchers = [watcher for watcher in (validation, counts) if watcher is not None]
    if not isinstance(trace, Trace):
        trace = read_trace(trace, maps=maps)
    for name in tables:
        check_choice("table", name, TABLES)
    into_files = save is not None and counts is None  # else the tables are looked at once more
    kept = TABLES if save is not None else {*tables, "anon_vmas"} if counts is not None else tables
    with TablesOnDisk(save) if save is not None and into_files else nullcontext(TablesInMemory(kept)) as sink:
        results = run_replay(
            trace,
            scheme=scheme,
            rules=tuple(rules),
            options=dict(options or {}),
            baseline=baseline,
            watcher=Watchers(watchers) if watchers else None,
            check_every=check_every,
            detail=detail,
            sink=sink,
            jobs=jobs,
            amend=None if validation is None else lambda: {"validation": validation.summary()},
            progress=progress,
        )
    if counts is not None:
        counts.add_to(results)
        if save is not None:
            save_results(results, save)
    replay = Replay.from_tables(results)
    replay._replayed = _Replayed(trace, scheme, tuple(rules), dict(options or {}))
    return replay


def _snapshot_files(path: TracePath) -> Sequence[TracePath]:
    """Turn the name of a sample into the snapshot files that it brings; leave every path as it is."""
    return _resolve(path).maps or (path,)


@dataclass(frozen=True)
class _Input:
    path: str
    maps: tuple[Path, ...] = ()


def _resolve(path: TracePath) -> _Input:
    """Turn the name of a sample into its files; leave every path as it is.

    A file of that name in the current directory wins; a directory does not, so that ``--out zoo`` does not
    hide the sample ``zoo``.
    """
    name = str(path)
    if isinstance(path, Path) or name == "-" or Path(name).is_file():
        return _Input(name)
    sample = samples.find_sample(name)
    if sample is not None:
        return _Input(str(sample.path), sample.maps)
    suggestion = samples.suggest_sample(name)
    if suggestion and not Path(name).exists():
        raise TraceAccessError(
            name, expected="a file or the name of a sample", found="neither", hint=suggestion
        )
    return _Input(name)
