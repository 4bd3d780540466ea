"""Replay: events in, result tables out.

`run_replay` feeds record batches to the compiled core, grows its tables where it asks for room, and gathers
the rows it logs.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError
from ..events import TraceMetadata
from ..result_tables import ResultTables
from ..table_sinks import TableSink, TablesInMemory
from ..tables import DETAILED_TABLES
from ..trace import Diagnostic, Trace
from .balance import raise_imbalance
from .columns import EventColumns, integers, span
from .coupling import FamiliesCoupled
from .detail import DETAILS
from .layout import LOG_FIELDS, LOG_TIMELINE, State
from .schemes import RULES, load_scheme
from .taint import Taint

if TYPE_CHECKING:
    from .checking import Checker, Told
    from .marks import MarkWatcher, WatchedMarks
    from .sharded import ShardedReplay

SCHEMES = tuple(RULES)
"""Names of the schemes that can be replayed."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "instant_free": ("on", "off"),
    "brk_flags": ("rw", "rwx"),
    "invent_vmas": ("on", "off"),
    "reuse": ("2004", "modern"),
    "pte_chain_line": ("128", "64", "32"),
}
"""Options and the values each takes."""

Progress = Callable[[int, int, str], None]
Taps = Mapping[str, Callable[[np.ndarray], None]]
"""For regions of the core's log (`layout.LOG_FIELDS`): who is handed their rows, int64, in replay order."""

_SLICE = 1 << 18  # events between two calls of `progress`, and between two chances for Ctrl-C
_CHECKED_SLICE = 1 << 10  # the same where checks take most of the time
PARALLEL_EVENTS = 1 << 19
"""Events from which on a trace is replayed by more than one thread without being asked: shards have their price."""
MOST_JOBS = 8  # more threads wait for the one that reads and merges


def check_choice(what: str, name: str, known: Iterable[str]) -> None:
    """Raise UsageError, with the nearest known name, if `name` is not one of `known`."""
    known = list(known)
    if name not in known:
        nearest = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else ""
        raise UsageError(
            f"--{what}",
            expected=f"one of: {', '.join(known)}" if known else f"no {what}",
            found=repr(name),
            hint=hint,
        )


def check_settings(scheme: str, rules: Iterable[str], options: Mapping[str, str]) -> None:
    """Raise UsageError for a scheme, rule, option or value that there is not."""
    check_choice("scheme", scheme, SCHEMES)
    for rule in rules:
        check_choice("rule", rule, RULES[scheme])
    for option, value in options.items():
        check_choice("option", option, OPTIONS)
        check_choice(f"option {option}", value, OPTIONS[option])


class ReplayCore:
    """The state of one replay and the loop around the compiled core.

    Parameters
    ----------
    metadata : TraceMetadata
        Of the trace: completeness, flags of the heap.
    options : mapping, optional
        As in `OPTIONS`.
    rules : iterable of str, optional
        As in `RULES`.
    path : str, optional
        For messages.
    keep_tables : bool, optional
        Make the result tables; without them `finish` has only the summary.
    check_every : int, optional
        Check every invariant after each event whose number this divides, and after the last one; 0: not at all.
    taps : mapping, optional
        As `Taps`: for callers that look at rows as they come and keep none, or little, of them.
    scheme : str, optional
        One of `SCHEMES`.
    sink : TableSink, optional
        Takes the rows of the result tables; by default they are kept in memory, for `finish`.
    detail : str, optional
        One of `DETAILS`.

    Attributes
    ----------
    keep_tables : bool
        As the parameter; may be changed between batches.
    """

    def __init__(
        self,
        metadata: TraceMetadata,
        options: Mapping[str, str] | None = None,
        rules: Iterable[str] = (),
        path: str = "",
        keep_tables: bool = True,
        check_every: int = 0,
        taps: Taps | None = None,
        scheme: str = "anon_vma",
        sink: TableSink | None = None,
        detail: str = "full",
    ) -> None:
        # Compiling (or loading the cached machine code) starts with this import, not with the package's.
        from .event_loop import replay_events
        from .processes import mark_known
        from .results import ResultBuilder
        from .state import configured_state

        rules = set(rules)
        self._replay_events = replay_events
        self.columns = EventColumns(path)
        self.results = ResultBuilder(self.columns, sink, detail)
        self.state: State = configured_state(scheme, metadata, options or {}, rules)
        self.keep_tables = keep_tables
        self._taps = dict(taps or {})
        self._taint = Taint()
        self._watched: WatchedMarks | None = None
        self._path = path
        self._last_line = 0
        self._checker: Checker | None = None
        if check_every:
            from . import checking  # compiled only where it is used

            self._checker = checking.Checker(check_every, layout_only=bool(self.state.glob[0].layout_only))
        for pid in metadata.known_pids:
            mark_known(self.state, pid)

    @property
    def events(self) -> int:
        """Events replayed so far."""
        return int(self.state.glob[0].event)

    def tell_steps(self, event: int) -> None:
        """Log what happens inside the event with this number, for a tap on ``steps``."""
        self.state.glob[0].told_event = event

    def watch(self, watcher: MarkWatcher) -> None:
        """Let `watcher` look at the processes at the `mark` rows that it wants."""
        from .marks import WatchedMarks

        self._watched = WatchedMarks(watcher)

    def end_of_events(self) -> None:
        """Tell the watcher, if there is one, that all events have been fed."""
        if self._watched is not None:
            self._watched.end()

    def feed(self, batch: pa.RecordBatch) -> None:
        """Replay one batch of the event table.

        Raises
        ------
        TraceError
            An operation that the event table does not have.
        """
        columns = self.columns.read(batch)
        lines = integers(batch["line"], 0)
        self._last_line = int(lines[-1]) if len(lines) else self._last_line
        first_event = self.events + 1
        self._taint.note(columns, first_event)
        row = 0
        watched = self._watched
        if watched is not None:
            for mark in watched.find(columns, first_event):
                row = self._replay_to(mark + 1, row, columns, lines, first_event)
                watched.show(self.state, columns, mark, int(lines[mark]))
        self._replay_to(batch.num_rows, row, columns, lines, first_event)
        self._flush(lines, first_event)

    def _replay_to(
        self, end: int, row: int, columns: tuple[np.ndarray, ...], lines: np.ndarray, first_event: int
    ) -> int:
        """Replay rows [row, end) of a batch and return `end`; the log keeps what fits."""
        while True:
            if self._checker is None:
                row = self._replay_events(self.state, row, end, *columns)
            else:
                row = self._replay_checked(self._checker, row, end, columns, lines, first_event)
            if row == end:
                return end
            self._flush(lines, first_event)
            self._make_room()

    def _replay_checked(
        self,
        checker: Checker,
        row: int,
        end: int,
        columns: tuple[np.ndarray, ...],
        lines: np.ndarray,
        first_event: int,
    ) -> int:
        """Replay rows [row, end) as far as there is room, checking in between; return the row to go on with."""
        from .compiled import machine_code

        replay_events = machine_code(self._replay_events, self.state, row, row, *columns)
        while True:
            stop = checker.next_row(self.events, row, end)
            done = replay_events(self.state, row, stop, *columns)
            checker.note_rows(columns, row, done)
            row = done
            if row == stop and checker.is_due(self.events):
                self._tell(checker.check(self.state), lines, first_event)
            if row < stop or row == end:
                return row

    def _tell(self, told: list[Told], lines: np.ndarray, first_event: int) -> None:
        """Add what a check found to the diagnostics, behind what the core has logged so far."""
        if told:
            self._flush(lines, first_event)
        line = int(lines[self.events - first_event]) if len(lines) else self._last_line
        for each in told:
            self.results.tell(Diagnostic(each.severity, each.code, each.message, line, self.events))

    def _flush(self, lines: np.ndarray, first_event: int) -> None:
        from .results import LOGGED_AT, give_pids
        from .state import log_rows, logged

        for name, tap in self._taps.items():
            tap(log_rows(self.state, list(LOG_FIELDS).index(name)).copy())
        for name, rows in logged(self.state).items():
            if name in LOGGED_AT and self.keep_tables:
                rows = give_pids(name, rows.copy(), self.state)
                self.results.add_log(name, {0: rows}, lines, first_event)
        self._empty_log()

    def _empty_log(self) -> None:
        from .state import empty_log

        self.state = empty_log(self.state)

    def _make_room(self) -> None:
        from .state import grow

        if self.state.glob[0].log_need == 0:
            self.state = grow(self.state)
        # else a region of the log was full: it has been emptied, and grown if need be

    def tainted_processes(self) -> np.ndarray:
        """Tell of each process (row of the table `processes`) whether a loss so far may concern it."""
        proc = self.state.proc[1 : self.state.glob[0].proc_top]
        return self._taint.tainted(proc["pid"], proc["parent"], proc["first_event"])

    def finish(self) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        """Return the summary (`trace`, `scheme`, `options` aside) and the result tables, if any, that no `sink` took.

        Raises
        ------
        ReplayBug
            Without checks: a figure of the result contradicts another, through a defect of this tool.
        """
        from .findings import mark_lost_pages
        from .state import log_rows
        from .summary import build_summary

        marks = np.zeros(len(self.state.page), np.uint8)
        mark_lost_pages(self.state, marks)
        if self._checker is None:
            raise_imbalance(self.state, marks, self._path, self._last_line)
        elif not self._checker.is_checked(self.events):
            self._tell(self._checker.check(self.state), np.zeros(0, np.int64), self.events)
        if self.keep_tables:
            self.results.add_what_stands(self.state, self.tainted_processes())
            self.results.add_timeline(self.state, log_rows(self.state, LOG_TIMELINE))
            self.results.add_rest()
        summary = build_summary(self.state, marks)
        if self.keep_tables:
            summary["detail"] = self.results.detail.summary()
        else:
            del summary["detail"]  # it tells of tables, and none was made
        if self._checker is not None:
            summary["violations"] = self._checker.violations
            summary["checked_events"] = self._checker.checked_events
        return summary, self.results.tables()


def run_replay(
    trace: Trace,
    *,
    scheme: str = "anon_vma",
    rules: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
    baseline: str | None = None,
    check_every: int = 0,
    progress: Progress | None = None,
    watcher: MarkWatcher | None = None,
    detail: str = "full",
    sink: TableSink | None = None,
    jobs: int = 0,
    amend: Callable[[], dict[str, Any]] | None = None,
) -> ResultTables:
    """Replay a trace and return its results.

    Parameters
    ----------
    trace : Trace
    scheme : str
        One of `SCHEMES`.
    rules : iterable of str
        Rules of that scheme.
    options : mapping of str to str
        As in `OPTIONS`.
    baseline : str, optional
        A rule under which the same events are replayed a second time, alongside, for `summary["baseline"]`.
    check_every : int, optional
        As for `ReplayCore`.
    progress : callable, optional
        Called with events done, events in all (0: unknown) and what is going on.
    watcher : MarkWatcher, optional
        Is shown address spaces at `mark` rows; its `diagnostics` are added to the others.
    detail : str, optional
        One of `DETAILS`: whether the longest tables have all rows, a sample of them or none.
    sink : TableSink, optional
        Where the result tables go; by default into memory.
    jobs : int, optional
        Threads that replay process families side by side; 0: as many as there are processors, at most `MOST_JOBS`,
        for traces from `PARALLEL_EVENTS` on. Where families cannot be replayed apart one thread does it.
    amend : callable, optional
        Called when all events have been replayed; returns further entries of the summary.

    Raises
    ------
    UsageError
        An unknown scheme, rule, option or value.
    TraceError
        The trace cannot be read, or holds an operation that there is not.
    ReplayBug
        As `ReplayCore.finish`.
    """
    rules = list(rules)
    options = dict(options or {})
    check_settings(scheme, rules, options)
    check_choice("detail", detail, DETAILS)
    if baseline is not None:
        check_choice("baseline", baseline, RULES[scheme])
    sink = sink or TablesInMemory()
    report = progress or _no_progress
    report(0, 0, "preparing the replay core")
    threads, told = _threads(jobs, trace, scheme, baseline, check_every, watcher)
    rows = _CHECKED_SLICE if check_every else _SLICE
    # A table tells what decides its replay once reading has begun; its first events, whether threads are worth it.
    pieces = _begun(span(trace.batches(), rows), PARALLEL_EVENTS if threads > 1 and not jobs else 1)
    core: ReplayCore | ShardedReplay | None = None
    if threads > 1 and (jobs or pieces.is_long):
        try:
            core = _replay_in_parallel(trace, scheme, rules, options, detail, sink, threads, pieces, report)
            told.append(core.diagnostic())
        except FamiliesCoupled as coupling:
            told.append(_serial(f"{coupling.reason} (event {coupling.event:,})"))
            sink.restart()
            pieces = _begun(span(trace.batches(), rows), 1)
    second = None
    if core is None:
        core = ReplayCore(
            trace.metadata,
            options,
            rules,
            trace.path,
            check_every=check_every,
            scheme=scheme,
            sink=sink,
            detail=detail,
        )
        if watcher is not None:
            core.watch(watcher)
        if baseline is not None:
            second = ReplayCore(
                trace.metadata, options, [baseline], trace.path, keep_tables=False, scheme=scheme
            )
        _feed([core, second] if second is not None else [core], pieces, report)
        core.end_of_events()
    for diagnostic in [*trace.diagnostics, *(watcher.diagnostics() if watcher else ()), *told]:
        core.results.tell(diagnostic)
    report(core.events, core.events, "gathering results")
    summary, _ = core.finish()
    for diagnostic in detail_diagnostics(summary["detail"]):
        core.results.tell(diagnostic)
    tell_origin(summary, core, trace, scheme, rules, options)
    if second is not None:
        from .summary import compare_vma_counts

        summary["baseline"] = compare_vma_counts(core.state, second.state) | {"rule": baseline}
    return sink.finish(summary | (amend() if amend is not None else {}))


class _Pieces:
    """Batches of which the first have been read already; `is_long`: there are at least as many events as asked for."""

    def __init__(self, read: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch], is_long: bool) -> None:
        self._read = read
        self._rest = rest
        self.is_long = is_long

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while self._read:
            yield self._read.pop(0)
        yield from self._rest


def _begun(batches: Iterable[pa.RecordBatch], events: int) -> _Pieces:
    """Read batches until they hold so many events."""
    rest = iter(batches)
    read, rows = [], 0
    while rows < events and (batch := next(rest, None)) is not None:
        read.append(batch)
        rows += batch.num_rows
    return _Pieces(read, rest, rows >= events)


def _feed(
    cores: Sequence[ReplayCore | ShardedReplay], pieces: Iterable[pa.RecordBatch], report: Progress
) -> None:
    for piece in pieces:
        for core in cores:
            core.feed(piece)
        report(cores[0].events, 0, "replaying")


def _threads(
    jobs: int,
    trace: Trace,
    scheme: str,
    baseline: str | None,
    check_every: int,
    watcher: MarkWatcher | None,
) -> tuple[int, list[Diagnostic]]:
    """Return how many threads to try, and what to tell where more were asked for than can be had."""
    threads = jobs or min(len(os.sched_getaffinity(0)), MOST_JOBS)
    why = {
        "the input can be read only once": trace.reads_once,
        "a baseline is replayed beside it": baseline is not None,
        "checks look at the whole state": check_every > 0,
        f"figures of {scheme} cannot be added up over families": not load_scheme(scheme).families_add_up,
        "snapshots are compared with the whole state": watcher is not None,
    }
    reasons = [reason for reason, applies in why.items() if applies]
    if threads == 1 or not reasons:
        return threads, []
    return 1, [_serial(reasons[0])] if jobs else []


def _serial(reason: str) -> Diagnostic:
    return Diagnostic("info", "serial-replay", f"replayed by one thread: {reason}")


def _replay_in_parallel(
    trace: Trace,
    scheme: str,
    rules: list[str],
    options: dict[str, str],
    detail: str,
    sink: TableSink,
    threads: int,
    pieces: _Pieces,
    report: Progress,
) -> ShardedReplay:
    """Replay the families of a trace side by side; FamiliesCoupled where that cannot be."""
    from .sharded import ShardedReplay

    core = ShardedReplay(scheme, trace.metadata, options, rules, trace.path, sink, detail, threads)
    try:
        _feed([core], pieces, report)
        core.drain()
    finally:
        core.close()
    return core


def tell_origin(
    summary: dict[str, Any],
    core: ReplayCore | ShardedReplay,
    trace: Trace,
    scheme: str,
    rules: list[str],
    options: dict[str, str],
) -> None:
    """Write into the summary of a finished replay what it is of: the trace, the scheme, rules and options."""
    glob = core.state.glob[0]
    metadata = trace.metadata
    summary["trace"] = {
        "path": trace.path,
        "format": trace.format,
        "events": core.events,
        "processes": int(glob.n_processes),
        "span_ns": int(glob.last_ts - glob.first_ts),
        "lost_events": metadata.lost_events,
        "tainted_processes": int(np.count_nonzero(core.tainted_processes())),
        "unreadable_lines": metadata.unreadable_lines,
    }
    summary["scheme"], summary["rules"], summary["options"] = scheme, rules, options
    if glob.layout_only:  # a rule that defines the layout only: lists of joined heads mean nothing
        summary["findings"] |= {"unreachable_pages": None, "dangling_pages": None}


def detail_diagnostics(detail: Mapping[str, Any]) -> list[Diagnostic]:
    """Return what to tell of tables that do not hold all rows, from ``summary.detail``."""
    told = []
    for name in DETAILED_TABLES:
        rows, kept, every = (detail[name][key] for key in ("rows", "kept", "every"))
        if kept < rows and every:
            message = f"the table {name} holds a sample: {kept:,} of {rows:,} rows, one in {every:,}"
            told.append(Diagnostic("info", "table-sampled", message))
        elif kept < rows:
            told.append(
                Diagnostic("info", "table-left-out", f"the {rows:,} rows of the table {name} were left out")
            )
    return told


def _no_progress(done: int, total: int, message: str) -> None:
    pass
