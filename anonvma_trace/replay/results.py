"""From the core's logs and state to result tables."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from ..arrow_arrays import as_numpy, numbers, strings
from ..events import OPS, PAGE_SHIFT
from ..table_sinks import TableSink, TablesInMemory
from ..tables import MERGE_SIDES, TABLES, WALK_OUTCOMES
from ..trace import Diagnostic
from .columns import EventColumns
from .detail import Detail
from .layout import (
    BUG_NAMES,
    DIAG_BUG,
    DIAGNOSTICS,
    FILE_SHM,
    FILE_SPECIAL,
    LOG_FIELDS,
    N_PEAKS,
    NULL,
    PURPOSE_NAMES,
    TIMELINE_WIDTH,
    VM_ACCESS,
    VM_FLAG_NAMES,
    State,
)
from .schemes.description import HEAD_FIELDS, MEMBER_FIELDS
from .schemes.interface import scheme_of
from .waiting_rows import WaitingRows

_ADDRESS_BITS = np.uint64(PAGE_SHIFT)

LOGGED_AT = {
    "anon_vmas": "freed_event",
    "merges": "event",
    "walks": "event",
    "vma_spans": "to_event",
    "members": "event",
    "diagnostics": "event",
    "file_walks": "event",
}
"""Regions of the log that become result tables, and the field that tells at which event a row was logged."""


def render_vm_flags(flags: int) -> str:
    """Return the names of a vma's flags other than its access, joined by ``|``."""
    return "|".join(name for bit, name in VM_FLAG_NAMES if flags & bit)


def _pages(values: np.ndarray) -> pa.Array:
    """Page numbers as byte addresses or lengths."""
    return numbers(values.astype(np.uint64) << _ADDRESS_BITS)


def _named(codes: np.ndarray, names: tuple[str, ...] | list[str], null: int | None = None) -> pa.Array:
    """Codes as a dictionary column over `names`; the code `null` becomes null."""
    mask = None if null is None else codes == null
    indices = numbers(codes.astype(np.int32), mask)
    dictionary = _constant_strings(names) if isinstance(names, tuple) else strings(names)
    return pa.DictionaryArray.from_arrays(indices, dictionary)


@functools.cache
def _constant_strings(names: tuple[str, ...]) -> pa.Array:
    """Strings as an Arrow array, made once: names that every batch of rows has."""
    return strings(names)


def _described(values: np.ndarray, describe: Callable[[int], str | None]) -> pa.Array:
    """Few distinct values as a dictionary column of what `describe` says of each (None: null)."""
    encoded = numbers(values).dictionary_encode()
    texts = [describe(value) for value in encoded.dictionary.to_pylist()]
    place = {text: at for at, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    table = np.array([place[text] if text is not None else -1 for text in texts], np.int64)
    codes = as_numpy(encoded.indices)
    return _named(table[codes] if len(table) else codes, list(place), null=-1)


def _or_null(values: np.ndarray, null: int = 0) -> pa.Array:
    return numbers(values, values == null)


def heads_of(state: State) -> np.ndarray:
    """Return the records of the scheme's list heads, with a field ``id``; of a scheme without any, NULL's alone."""
    heads = scheme_of(state).heads
    return getattr(state.rmap, heads).array if heads else np.zeros(1, [("id", np.int64)])


def give_pids(name: str, rows: np.ndarray, state: State) -> np.ndarray:
    """Write pids into rows of a region of the log where they name processes by row; return the rows."""
    if "proc" in LOG_FIELDS[name]:
        at = LOG_FIELDS[name].index("proc")
        rows[:, at] = state.proc.array.view(np.ndarray)["pid"][rows[:, at]]
    return rows


def _fields(name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return rows that have been through `give_pids` as columns by name, `pid` among them: views."""
    columns = {field: rows[:, at] for at, field in enumerate(LOG_FIELDS[name])}
    if "proc" in columns:
        columns["pid"] = columns.pop("proc")
    return columns


def _rows(name: str, columns: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Return columns as rows of a region of the log; a column that is not given is 0."""
    rows = np.zeros((n, len(LOG_FIELDS[name])), np.int64)
    for at, field in enumerate(LOG_FIELDS[name]):
        if field in columns:
            rows[:, at] = columns[field]
    return rows


def standing_spans(state: State) -> np.ndarray:
    """Return the live vmas as rows of the log's `vma_spans`: by age of the mm's owner, then by address."""
    v = state.vma.array[np.flatnonzero(state.vma.array["mm"] != NULL)]
    owner = state.mm.array["owner"][v["mm"]]
    order = np.lexsort((v["id"], v["start"], owner))
    v, owner = v[order], owner[order]
    columns = {name: v[name] for name in ("start", "end", "pgoff", "file")}
    columns |= {"vma": v["id"], "proc": owner, "flags": v["vm_flags"], "from_event": v["span_from"]}
    columns["anon_vma"] = np.where(v["anon_vma"] != NULL, heads_of(state)["id"][v["anon_vma"]], 0)
    return _rows("vma_spans", columns, len(v))


def standing_members(state: State) -> np.ndarray:
    """Return the live members that ever counted anything as rows of the log's `members`, by anon_vma, then process."""
    members = scheme_of(state).members
    if not members:
        return _rows("members", {}, 0)
    m = getattr(state.rmap, members).array
    m = m[(m["anon_vma"] != NULL) & ((m["vmas_peak"] > 0) | (m["pages_peak"] > 0))]
    of = heads_of(state)["id"][m["anon_vma"]]
    order = np.lexsort((m["proc"], of))
    return _rows(
        "members", {name: m[name][order] for name in MEMBER_FIELDS} | {"anon_vma": of[order]}, len(m)
    )


def standing_anon_vmas(state: State) -> np.ndarray:
    """Return the scheme's live list heads as rows of the log's `anon_vmas`, by id."""
    if not scheme_of(state).heads:
        return _rows("anon_vmas", {}, 0)
    a = heads_of(state)
    a = a[a["id"] != 0]
    a = a[np.argsort(a["id"])]
    return _rows("anon_vmas", {name: a[name] for name in HEAD_FIELDS} | {"anon_vma": a["id"]}, len(a))


class ResultBuilder:
    """Makes the rows of all result tables of one replay and hands them on.

    Parameters
    ----------
    columns : EventColumns
        Knows the names behind the codes of comms and files.
    sink : TableSink, optional
        Takes the rows; those of one table in the order in which they came, or every k-th of them. By default they are
        kept, for `tables`.
    detail : str, optional
        Which rows of the longest tables to make: one of `DETAILS`.
    """

    def __init__(self, columns: EventColumns, sink: TableSink | None = None, detail: str = "full") -> None:
        self._columns = columns
        self._kept = TablesInMemory()
        self._sink = sink or self._kept
        self._waiting: dict[str, WaitingRows] = {}
        self.detail = Detail(detail)

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables that have rows so far, unless a `sink` took them."""
        self.add_waiting()
        return self._kept.tables()

    def add(self, name: str, columns: list[pa.Array]) -> None:
        """Add rows to a table, its columns in the order of the schema."""
        if len(columns[0]) and self._sink.wants(name):
            arrays = [
                array if array.type == field.type else array.cast(field.type)
                for array, field in zip(columns, TABLES[name], strict=True)
            ]
            self._sink.add(name, pa.RecordBatch.from_arrays(arrays, schema=TABLES[name]))

    def add_log(
        self,
        name: str,
        streams: Mapping[int, np.ndarray],
        lines: np.ndarray | None = None,
        first_event: int = 0,
    ) -> None:
        """Add rows of one region of the log, as `give_pids` returns them.

        Parameters
        ----------
        streams : mapping of int to ndarray of int64, shape (n, fields of the region), contiguous
            By the number of each of several replays, in order; theirs are put in the order of the events at which
            they were logged. They are kept until they are needed, not copied.
        lines : ndarray of int64 or None
            Source lines of the batch being replayed, 0 where unknown.
        first_event : int
            Number of that batch's first event.
        """
        if not (self._sink.wants(name) and self.detail.keeps(name)):
            for rows in streams.values():
                self.detail.now(name, rows)
            return
        if name not in self._waiting:
            fields = LOG_FIELDS[name]
            self._waiting[name] = WaitingRows(len(fields), fields.index(LOGGED_AT[name]))
        waiting = self._waiting[name]
        enough = waiting.add(streams)
        if name == "diagnostics":  # what they tell of is at hand now
            self._add_core_diagnostics(_fields(name, waiting.take()), lines, first_event)
        elif enough:
            self._make_now(name, waiting.take())

    def add_waiting(self) -> None:
        """Add the rows that wait until there are more of them."""
        for name, waiting in self._waiting.items():
            self._make_now(name, waiting.take())

    def add_rest(self) -> None:
        """Add what waits, and what the samples hold, when the last row has come."""
        self.add_waiting()
        for name, rows in self.detail.later().items():
            if self._sink.wants(name):
                self._make(name, rows)

    def _make_now(self, name: str, rows: np.ndarray) -> None:
        rows = self.detail.now(name, rows)
        if len(rows):
            self._make(name, rows)

    def _make(self, name: str, rows: np.ndarray) -> None:
        self.add(name, getattr(self, f"_{name}")(_fields(name, rows)))

    def file_name(self, code: int) -> str | None:
        """Return the name behind the code of a file as the core has it, None for no file."""
        if code == 0:
            return None
        if code & FILE_SHM:
            return f"shm:{code - FILE_SHM}"
        return self._columns.files.names[(code & (FILE_SPECIAL - 1)) - 1]

    def _anon_vmas(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        alive = f["freed_event"] == 0
        return [
            numbers(f["anon_vma"]),
            numbers(f["allocated_event"]),
            numbers(f["allocated_ts"]),
            _named(f["allocated_by"], OPS),
            numbers(f["pid"]),
            numbers(f["freed_event"], alive),
            numbers(f["freed_ts"], alive),
            *(
                numbers(f[name])
                for name in ("peak_vmas", "peak_pages", "pages_ever", "walks", "vmas_visited")
            ),
        ]

    def _merges(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        return [
            numbers(f["event"]),
            numbers(f["ts"]),
            numbers(f["pid"]),
            _named(f["op"], OPS),
            _pages(f["addr"]),
            _pages(f["len"]),
            numbers(f["case"]),
            _named(f["left"], MERGE_SIDES),
            _named(f["right"], MERGE_SIDES),
            numbers(f["left_new"] != 0),
            numbers(f["right_new"] != 0),
            _named(f["pgoff_anon_vma"], ("", "same", "null"), null=0),
            numbers(f["self"] != 0),
        ]

    def _walks(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        return [
            numbers(f["event"]),
            numbers(f["ts"]),
            numbers(f["pid"]),
            _pages(f["addr"]),
            _or_null(f["anon_vma"]),
            _named(f["purpose"], PURPOSE_NAMES),
            *(
                numbers(f[name])
                for name in (
                    "mapcount",
                    "list_length",
                    "vmas_visited",
                    "miss_rss",
                    "miss_range",
                    "miss_none",
                    "miss_swap",
                    "miss_other",
                    "hits",
                    "unreachable",
                )
            ),
            numbers(f["early_stop"] != 0),
            _named(f["outcome"], WALK_OUTCOMES),
        ]

    def _file_walks(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        place = [_described(f["file"], self.file_name), numbers(f["pgoff"].astype(np.uint64))]
        columns = self._walks(f | {"anon_vma": f["file"]})
        return [*columns[:4], *place, *columns[5:]]

    def _vma_spans(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        return [
            numbers(f["vma"]),
            numbers(f["pid"]),
            *self._vma_columns(f),
            numbers(f["from_event"]),
            _or_null(f["to_event"]),
        ]

    def _vma_columns(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        """Return start, end, prot, flags, pgoff, file, anon_vma."""
        return [
            _pages(f["start"]),
            _pages(f["end"]),
            numbers((f["flags"] & VM_ACCESS).astype(np.uint8)),
            _described(f["flags"] & ~np.int64(VM_ACCESS), render_vm_flags),
            numbers(f["pgoff"].astype(np.uint64)),
            _described(f["file"], self.file_name),
            _or_null(f["anon_vma"]),
        ]

    def _members(self, f: dict[str, np.ndarray]) -> list[pa.Array]:
        return [numbers(f[name]) for name in ("anon_vma", "pid", "vmas_peak", "pages_peak")]

    def _add_core_diagnostics(
        self, f: dict[str, np.ndarray], lines: np.ndarray | None, first_event: int
    ) -> None:
        messages = [
            DIAGNOSTICS[code][2].format(
                pid=pid, addr=addr << PAGE_SHIFT, a=a, b=b, bug=BUG_NAMES[a] if code == DIAG_BUG else ""
            )
            for code, pid, addr, a, b in zip(
                f["code"].tolist(),
                f["pid"].tolist(),
                f["addr"].tolist(),
                f["a"].tolist(),
                f["b"].tolist(),
                strict=True,
            )
        ]
        at = f["event"] - first_event
        line = lines[np.clip(at, 0, len(lines) - 1)] if lines is not None else np.zeros(len(at), np.int64)
        self.add(
            "diagnostics",
            [
                _named(f["code"], [severity for severity, _, _ in DIAGNOSTICS])
                .dictionary_decode()
                .dictionary_encode(),
                _or_null(f["event"]),
                _or_null(np.where(at >= 0, line, 0)),
                _named(f["code"], [code for _, code, _ in DIAGNOSTICS]),
                strings(messages),
            ],
        )

    def tell(self, diagnostic: Diagnostic) -> None:
        """Add one row to `diagnostics`; event and line 0 become null."""
        severity, code = (
            strings([text]).dictionary_encode() for text in (diagnostic.severity, diagnostic.code)
        )
        places = [
            numbers(np.array([value or 0]), np.array([not value]))
            for value in (diagnostic.event, diagnostic.line)
        ]
        self.add("diagnostics", [severity, *places, code, strings([diagnostic.message])])

    def add_what_stands(self, state: State, tainted: np.ndarray) -> None:
        """Add what only the end tells: live vmas and their spans, live anon_vmas and members, processes.

        Parameters
        ----------
        state : State
        tainted : ndarray of bool
            Of each process, whether a loss may concern it.
        """
        self.add_standing(
            give_pids("vma_spans", standing_spans(state), state),
            give_pids("members", standing_members(state), state),
            give_pids("anon_vmas", standing_anon_vmas(state), state),
        )
        self.add_processes(state.proc[1 : state.glob[0].proc_top], tainted)

    def add_standing(self, spans: np.ndarray, members: np.ndarray, anon_vmas: np.ndarray) -> None:
        """Add what stands at the end, as `give_pids` returns rows of `standing_spans` and its like."""
        self.add_waiting()  # these have no event by which they could be put in order
        self.add_log("vma_spans", {0: spans})
        f = _fields("vma_spans", spans)
        self.add("vmas", [numbers(f["pid"]), *self._vma_columns(f)])
        self.add_log("members", {0: members})
        self.add_log("anon_vmas", {0: anon_vmas})

    def add_processes(self, p: np.ndarray, tainted: np.ndarray) -> None:
        """Add the processes: records of `PROC`, and of each whether a loss may concern it."""
        comm = _named(p["comm"], self._columns.comms.names, null=-1)
        columns = [numbers(p["pid"]), comm, _or_null(p["parent"], -1)]
        columns += [numbers(p[name]) for name in TABLES["processes"].names[3:-1]]
        self.add("processes", [*columns, numbers(tainted)])

    def add_timeline(self, state: State, samples: np.ndarray) -> None:
        """Add the timeline: samples, the events that raised a peak to its final value, and the last event."""
        g = state.glob[0]
        live_pages = g.pages_allocated - g.pages_freed
        live_anon_vmas = g.anon_vmas_allocated - g.anon_vmas_freed
        last = np.array(
            [
                [
                    g.event,
                    g.ts,
                    g.vmas_live,
                    live_anon_vmas,
                    live_pages,
                    g.mapped_ptes,
                    g.longest_now,
                    g.overhead_x86_64,
                ]
            ]
        )
        base = g.peaks_base
        peaks = state.ints[base : base + N_PEAKS * TIMELINE_WIDTH].reshape(N_PEAKS, TIMELINE_WIDTH)
        rows = np.concatenate([samples, peaks, last])
        rows = rows[rows[:, 0] > 0]
        _, first = np.unique(rows[:, 0], return_index=True)
        rows = rows[first]
        self.add("timeline", [numbers(column) for column in rows.T])
