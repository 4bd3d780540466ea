"""Long traces made by formula, as record batches of the event table: for closed forms and for benchmarks.

Everything is vectorised, so that millions of events cost less to make than to replay. Addresses and lengths are
given in pages. A trace is an array of `EVENT`, which NumPy cuts, joins and interleaves, until `to_batch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from anonvma_trace.events import (
    EVENT_SCHEMA,
    MADV_SEQUENTIAL,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OPS,
    PAGE_SHIFT,
    PROT_READ,
    PROT_WRITE,
    batch_from_columns,
)

NONE = -1  # stands for null
_PAGE_COLUMNS = {"page": "addr", "pages": "len", "new_page": "new_addr"}
EVENT = np.dtype(
    [(name, np.int64) for name in ("op", "pid", "page", "pages", "new_page", "prot", "flags", "child")]
)
READ_WRITE = PROT_READ | PROT_WRITE
HEAP = 0x10000  # page at which the generated mappings begin
TICK_NS = 1000  # between two events


def events(op: str, pid, page=NONE, pages=NONE, *, new_page=NONE, prot=NONE, flags=NONE, child=NONE):
    """Return rows of one operation, shape (n,): the arguments broadcast against each other."""
    given = {"pid": pid, "page": page, "pages": pages, "new_page": new_page}
    given |= {"prot": prot, "flags": flags, "child": child}
    rows = np.empty(np.broadcast_shapes(*(np.shape(values) for values in given.values())), EVENT)
    rows["op"] = OPS.index(op)
    for name, values in given.items():
        rows[name] = values
    return rows.reshape(-1)


def map_anonymous(pid, page, pages, prot=READ_WRITE):
    """Return rows that map private anonymous memory at fixed places."""
    return events("mmap", pid, page, pages, prot=prot, flags=MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)


def to_batch(rows: np.ndarray, first_event: int = 1) -> pa.RecordBatch:
    """Return rows as a batch of the event table; `first_event` numbers the first, for its time stamp."""
    columns = {
        "ts": (first_event + np.arange(len(rows))) * TICK_NS,
        "pid": rows["pid"],
        "op": pa.DictionaryArray.from_arrays(rows["op"].astype(np.int32), list(OPS)),
    }
    for name in ("page", "pages", "new_page"):
        columns[_PAGE_COLUMNS[name]] = (rows[name].astype(np.uint64) << np.uint64(PAGE_SHIFT), rows[name])
    for name in ("prot", "flags", "child"):
        columns[name] = (rows[name], rows[name])
    arrays = {
        name: _with_nulls(name, *values) if isinstance(values, tuple) else values
        for name, values in columns.items()
    }
    return batch_from_columns(arrays, len(rows))


def _with_nulls(name: str, values: np.ndarray, given: np.ndarray) -> pa.Array:
    """Return a column of the event table, null where `given` is NONE."""
    kind = EVENT_SCHEMA.field(name).type
    return pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=given == NONE)


def to_batches(rows: np.ndarray, rows_per_batch: int = 1 << 18) -> list[pa.RecordBatch]:
    """Return rows as batches of at most `rows_per_batch` rows."""
    begins = range(0, len(rows), rows_per_batch)
    return [to_batch(rows[begin : begin + rows_per_batch], begin + 1) for begin in begins]


def first_rows(batches: Iterable[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Return the first rows of batches, as batches."""
    return pa.Table.from_batches(batches).slice(0, rows).to_batches()


# ---- one parent and its children


def fork_family(n_children: int, n_pages: int, *, copied: bool = True, split: bool = False) -> np.ndarray:
    """Return a parent (pid 1) that writes its pages and forks children (pids 2, 3, …), which write them all.

    Parameters
    ----------
    n_children, n_pages : int
    copied : bool
        Whether the children write, each all pages, one child after the other.
    split : bool
        Whether the parent's vma is split in three before the forks.
    """
    pages = HEAP + np.arange(n_pages)
    children = family_pids(n_children)[1:]
    pieces = [map_anonymous(1, HEAP, n_pages), events("write_fault", 1, pages)]
    if split:
        third = n_pages // 3
        pieces.append(events("madvise", 1, HEAP + third, third, flags=MADV_SEQUENTIAL))
    pieces.append(events("fork", 1, child=children, flags=0))
    if copied:
        pieces.append(events("write_fault", children[:, None], pages))
    return np.concatenate(pieces)


def family_pids(n_children: int) -> np.ndarray:
    """Return the pids of a family: the parent, then its children by age."""
    return np.arange(1, n_children + 2)


def walk_every_page(n_children: int, n_pages: int) -> np.ndarray:
    """Return rows that walk each page of each member of a family once, member by member."""
    return events("referenced", family_pids(n_children)[:, None], HEAP + np.arange(n_pages))


def move(pid: int, page: int, pages: int, new_page: int) -> np.ndarray:
    """Return the row that moves a mapping."""
    return events("mremap", pid, page, pages, new_page=new_page, flags=MREMAP_MAYMOVE | MREMAP_FIXED)


# ---- many vmas in one mm


def many_vmas(n_vmas: int, n_calls: int, n_walks: int, seed: int = 1) -> np.ndarray:
    """Return one process whose written pages alternate in protection, changed at random and then walked.

    Parameters
    ----------
    n_vmas : int
        Vmas that the mm has before the changes: one for each page, all on one anon_vma.
    n_calls : int
        Calls of mprotect, each on one page, that merge and split.
    n_walks : int
        Walks of pages chosen at random.
    """
    rng = np.random.default_rng(seed)
    pages = HEAP + np.arange(n_vmas)
    inner = rng.integers(1, n_vmas - 1, n_calls // 2)
    # A page becomes like its neighbours (three vmas merge), then is set apart again.
    kinds = np.where(inner[:, None] % 2 == 1, [READ_WRITE, PROT_READ], [PROT_READ, READ_WRITE])
    return np.concatenate(
        [
            map_anonymous(1, HEAP, n_vmas),
            events("write_fault", 1, pages),
            events("mprotect", 1, pages[1::2], 1, prot=PROT_READ),
            events("mprotect", 1, HEAP + inner[:, None], 1, prot=kinds),
            events("referenced", 1, HEAP + rng.integers(0, n_vmas, n_walks)),
        ]
    )


# ---- fork families under load

FAMILIES = 10
ROUND_PAGES = 2000  # written by the parent and then copied by the child in one round
KEPT_CHILDREN = 16
BASE_PAGES = 64  # inherited by all children of a family: their walks are long
CALL_PAIRS = 63
ROUND_WALKS = 80
BURST = 64  # events of one family before another one runs
_PIDS = 100_000  # pids of a family
_BASE, _SCRATCH, _ARENA = HEAP, HEAP + 0x1000, HEAP + 0x10000
_ARENA_PLACES = 32


def fault_heavy(n_events: int, seed: int = 1, families: int = FAMILIES) -> Iterator[pa.RecordBatch]:
    """Yield batches of a load of servers that fork: 95 % faults, half first touches, half copies; 3 % vma calls.

    In each round of a family the parent maps an arena, writes it, and forks a child, which writes (copies) it all,
    changes mappings and is walked now and then; then the parent unmaps the arena, and the oldest of
    `KEPT_CHILDREN` children exits. Families take turns every `BURST` events. What is alive does not grow with
    `n_events`.

    Parameters
    ----------
    n_events : int
        At least so many: rounds are completed.
    seed : int, optional
    families : int, optional
        How many there are.
    """
    rng = np.random.default_rng(seed)
    started = np.concatenate([_family_start(family) for family in range(families)])
    yield to_batch(started)
    done, number = len(started), 0
    while done < n_events:
        rounds = [_family_round(rng, family, number + at) for at in range(8) for family in range(families)]
        number += 8
        rows = _take_turns([np.concatenate(rounds[family::families]) for family in range(families)])
        yield to_batch(rows, done + 1)
        done += len(rows)


def _family_start(family: int) -> np.ndarray:
    parent = family * _PIDS + 1
    return np.concatenate(
        [
            map_anonymous(parent, _BASE, BASE_PAGES),
            events("write_fault", parent, _BASE + np.arange(BASE_PAGES)),
        ]
    )


def _family_round(rng: np.random.Generator, family: int, number: int) -> np.ndarray:
    parent = family * _PIDS + 1
    child = parent + 1 + number % (_PIDS - 2)
    arena = _ARENA + number % _ARENA_PLACES * 2 * ROUND_PAGES
    pages = arena + _nearly_in_order(rng, ROUND_PAGES)
    pieces = [
        map_anonymous(parent, arena, ROUND_PAGES),
        events("write_fault", parent, pages),
        events("fork", parent, child=child, flags=0),
        _child_at_work(rng, child, arena),
        events("munmap", parent, arena, ROUND_PAGES),
    ]
    if number >= KEPT_CHILDREN:
        pieces.append(events("exit", child - KEPT_CHILDREN))
    return np.concatenate(pieces)


def _child_at_work(rng: np.random.Generator, child: int, arena: int) -> np.ndarray:
    """Return the child's writes, with calls and walks strewn in; a pair of calls stays together."""
    writes = events("write_fault", child, arena + _nearly_in_order(rng, ROUND_PAGES))
    at = rng.integers(0, ROUND_PAGES - 4, CALL_PAIRS)
    churn = rng.integers(0, 2, CALL_PAIRS) == 0
    first = map_anonymous(child, _SCRATCH + at, 4)
    second = events("munmap", child, _SCRATCH + at, 4)
    protect = events("mprotect", child, arena + at, 4, prot=PROT_READ)
    first[churn] = protect[churn]
    protect["prot"] = READ_WRITE
    second[churn] = protect[churn]
    calls = np.stack([first, second], 1).reshape(-1)
    walked = np.where(
        np.arange(ROUND_WALKS) % 2 == 0,
        _BASE + rng.integers(0, BASE_PAGES, ROUND_WALKS),
        arena + rng.integers(0, ROUND_PAGES, ROUND_WALKS),
    )
    walks = events("referenced", child, walked)
    rows = np.concatenate([writes, calls, walks])
    # Each row's place among the writes; rows of one place keep their order, so pairs stay together.
    place = np.concatenate(
        [
            np.arange(ROUND_PAGES),
            np.repeat(rng.integers(0, ROUND_PAGES, CALL_PAIRS), 2),
            rng.integers(0, ROUND_PAGES, ROUND_WALKS),
        ]
    )
    return rows[np.argsort(place, kind="stable")]


def _nearly_in_order(rng: np.random.Generator, n: int, run: int = 8) -> np.ndarray:
    """Return 0 … n-1 in short runs of neighbours, the runs in random order (`n` is a multiple of `run`)."""
    begins = rng.permutation(n // run) * run
    return (begins[:, None] + np.arange(run)).reshape(-1)


def two_families(rows: np.ndarray) -> np.ndarray:
    """Return the rows of a family, and the same ones under other pids, in turn."""
    others = rows.copy()
    for field in ("pid", "child"):
        others[field] += np.where(rows[field] > 0, _PIDS, 0)
    return _take_turns([rows, others])


def _take_turns(families: list[np.ndarray]) -> np.ndarray:
    """Return the rows of all families, `BURST` of each in turn."""
    rows = np.concatenate(families)
    turn = np.concatenate([np.arange(len(family)) // BURST for family in families])
    return rows[np.argsort(turn, kind="stable")]
