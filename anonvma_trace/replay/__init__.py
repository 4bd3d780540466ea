"""Replay: events in, result tables out.

`run_replay` feeds record batches to the compiled core, grows its tables where it asks for room, and gathers
the rows it logs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError
from ..events import TraceMetadata
from ..result_tables import ResultTables
from ..trace import Trace
from .balance import raise_imbalance
from .columns import EventColumns, integers, span
from .layout import LOG_FIELDS, LOG_STEPS, LOG_TIMELINE, VM_EXEC, VM_READ, VM_WRITE, State
from .schemes import RULES, load_scheme, rule_bits
from .taint import Taint

if TYPE_CHECKING:
    from .checking import Checker, Told
    from .marks import MarkWatcher, WatchedMarks

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

_SCHEME_OPTIONS = {"pte_chain_line": "0"}  # 0: the usual line of each machine
"""Options that one scheme only looks at, all of them numbers, and their defaults."""

Progress = Callable[[int, int, str], None]
Taps = Mapping[str, Callable[[np.ndarray], None]]
"""For regions of the core's log (`layout.LOG_FIELDS`): who is handed their rows, int64, in replay order."""

_SLICE = 1 << 18  # events between two calls of `progress`, and between two chances for Ctrl-C
_CHECKED_SLICE = 1 << 10  # the same where checks take most of the time
_BRK_FLAGS = {"rw": VM_READ | VM_WRITE, "rwx": VM_READ | VM_WRITE | VM_EXEC}


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
        Collect the result tables; without them `finish` has only the summary.
    check_every : int, optional
        Check every invariant after each event whose number this divides, and after the last one; 0: not at all.
    taps : mapping, optional
        As `Taps`: for callers that look at rows as they come and keep none, or little, of them.
    scheme : str, optional
        One of `SCHEMES`.

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
    ) -> None:
        # Compiling (or loading the cached machine code) starts with this import, not with the package's.
        from .event_loop import replay_events
        from .results import ResultBuilder
        from .state import new_state

        options, rules = dict(options or {}), set(rules)
        description = load_scheme(scheme)
        self._replay_events = replay_events
        self.columns = EventColumns(path)
        self.results = ResultBuilder(self.columns)
        self.state: State = new_state(
            description,
            complete=metadata.complete,
            invent_vmas=options.get("invent_vmas", "on") == "on",
            brk_flags=_BRK_FLAGS[options.get("brk_flags", metadata.brk_flags)],
            instant_free=options.get("instant_free", "on") == "on",
            reuse_modern=options.get("reuse", "2004") == "modern",
            rules=rule_bits(scheme, rules),
            layout_only=description.layout_rule in rules,
            settings={
                name: int(value)
                for name, value in (_SCHEME_OPTIONS | options).items()
                if name in _SCHEME_OPTIONS
            },
        )
        self.keep_tables = keep_tables
        self._taps = dict(taps or {})
        self._taint = Taint()
        self._watched: WatchedMarks | None = None
        self._path = path
        self._last_line = 0
        self._checker: Checker | None = None
        if check_every:
            from . import checking  # compiled only where it is used

            self._checker = checking.Checker(check_every, layout_only=description.layout_rule in rules)
        for pid in metadata.known_pids:
            self._mark_known(pid)

    def _mark_known(self, pid: int) -> None:
        """Let a process begin with a known image."""
        from .processes import pid_place

        at = getattr(pid_place, "py_func", pid_place)(self.state, pid)
        glob = self.state.glob[0]
        if self.state.ints[at] == 0:
            glob.pid_used += 1
        self.state.ints[at] = pid + 1
        self.state.ints[at + 2] = 1

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
            self.results.add_diagnostic(each.severity, self.events, line, each.code, each.message)

    def _flush(self, lines: np.ndarray, first_event: int) -> None:
        from .state import log_rows

        for region, name in enumerate(LOG_FIELDS):
            if region not in (LOG_TIMELINE, LOG_STEPS) and self.keep_tables:
                self.results.add_log(name, log_rows(self.state, region), self.state, lines, first_event)
            if name in self._taps:
                self._taps[name](log_rows(self.state, region).copy())
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
        """Return the summary (`trace`, `scheme`, `options` aside) and all result tables, if they are kept.

        Raises
        ------
        ReplayBug
            Without checks: a figure of the result contradicts another, through a defect of this tool.
        """
        from .findings import mark_lost_pages
        from .results import build_summary
        from .state import log_rows

        marks = np.zeros(len(self.state.page), np.uint8)
        mark_lost_pages(self.state, marks)
        if self._checker is None:
            raise_imbalance(self.state, marks, self._path, self._last_line)
        elif not self._checker.is_checked(self.events):
            self._tell(self._checker.check(self.state), np.zeros(0, np.int64), self.events)
        if self.keep_tables:
            self.results.add_what_stands(self.state, self.tainted_processes())
            self.results.add_timeline(self.state, log_rows(self.state, LOG_TIMELINE))
        summary = build_summary(self.state, marks)
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
    if baseline is not None:
        check_choice("baseline", baseline, RULES[scheme])
    report = progress or _no_progress
    report(0, 0, "preparing the replay core")
    pieces = iter(span(trace.batches(), _CHECKED_SLICE if check_every else _SLICE))
    begun = list(islice(pieces, 1))  # a table tells what decides its replay once reading has begun
    core = ReplayCore(trace.metadata, options, rules, trace.path, check_every=check_every, scheme=scheme)
    second = (
        ReplayCore(trace.metadata, options, [baseline], trace.path, keep_tables=False, scheme=scheme)
        if baseline
        else None
    )
    if watcher is not None:
        core.watch(watcher)
    for piece in chain(begun, pieces):
        core.feed(piece)
        if second is not None:
            second.feed(piece)
        report(core.events, 0, "replaying")
    core.end_of_events()
    for diagnostic in [*trace.diagnostics, *(watcher.diagnostics() if watcher else ())]:
        core.results.add_diagnostic(
            diagnostic.severity, diagnostic.event, diagnostic.line, diagnostic.code, diagnostic.message
        )
    report(core.events, core.events, "gathering results")
    from .results import compare_vma_counts

    summary, tables = core.finish()
    tell_origin(summary, core, trace, scheme, rules, options)
    if second is not None:
        summary["baseline"] = compare_vma_counts(core.state, second.state) | {"rule": baseline}
    return ResultTables(summary, tables)


def tell_origin(
    summary: dict[str, Any],
    core: ReplayCore,
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


def _no_progress(done: int, total: int, message: str) -> None:
    pass
