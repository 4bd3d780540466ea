"""Making the state of a replay, and making it larger between calls of the core."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ..events import TraceMetadata
from ..tables import MERGE_SIDES
from .headroom import FAULTS_AT_ONCE, FEW
from .layout import (
    CHANGE_WIDTH,
    FILE_SHM,
    GLOB,
    LOG_FIELDS,
    LOG_TIMELINE,
    MM,
    N_PEAKS,
    PAGE,
    PAGE_CHANGE,
    PROC,
    PT_STRIDE,
    REGION_BASE,
    REGION_CAP,
    REGION_ROWS,
    REGION_WIDTH,
    SHARD_NUMBER,
    SLOT,
    TIMELINE_SAMPLES,
    TIMELINE_WIDTH,
    VM_EXEC,
    VM_READ,
    VM_WRITE,
    VMA,
    State,
    extended,
)
from .locks import LOCK_WORDS, OPERATIONS
from .room import small_pages
from .schemes import load_scheme, rule_bits
from .schemes.description import Scheme
from .schemes.interface import scheme_of
from .schemes.walk_index import PATIENCE, SHORTEST
from .table import Table

_FIRST_ROWS = {
    "vma": 1 << 12,
    "page": 1 << 14,
    "mm": 1 << 8,
    "proc": 1 << 10,
    "slot": 1 << 10,
    "block": 1 << 9,
}
_FIRST_LOG_ROWS = 1 << 15
_FIRST_INDEX_WORDS = 1 << 12
# Parts of `ints` behind the region marks: words for each entry, and entries to begin with.
_INT_PARTS = {
    "pid": (3, 1 << 12),
    "frame": (3, 1 << 14),
    "file": (1, 1 << 14),
    "visited": (1, 1 << 12),
    "file_visited": (1, 1 << 12),
    "lengths": (1, 1 << 12),
    "locks": (LOCK_WORDS, len(OPERATIONS)),
    "by_case": (1, 9),
    "refused": (1, len(MERGE_SIDES)),
    "peaks": (TIMELINE_WIDTH, N_PEAKS),
    "change": (CHANGE_WIDTH, 1),
}
_HASHES = ("pid", "frame", "file")
_FIRST_HASH = (1, 1 << 12)  # of a scheme's own


_BRK_FLAGS = {"rw": VM_READ | VM_WRITE, "rwx": VM_READ | VM_WRITE | VM_EXEC}


# Options that one scheme only looks at, all of them numbers, and their defaults; 0: the usual line of each machine.
_SCHEME_OPTIONS = {"pte_chain_line": "0"}


def configured_state(
    scheme: str,
    metadata: TraceMetadata,
    options: Mapping[str, str],
    rules: Collection[str],
    is_shard: bool = False,
) -> State:
    """Return the state before the first event, as a trace, scheme, options and rules want it."""
    description = load_scheme(scheme)
    return new_state(
        description,
        complete=metadata.complete,
        invent_vmas=options.get("invent_vmas", "on") == "on",
        brk_flags=_BRK_FLAGS[options.get("brk_flags", metadata.brk_flags)],
        instant_free=options.get("instant_free", "on") == "on",
        reuse_modern=options.get("reuse", "2004") == "modern",
        rules=rule_bits(scheme, set(rules)),
        layout_only=description.layout_rule in rules,
        settings={
            name: int(value)
            for name, value in (_SCHEME_OPTIONS | dict(options)).items()
            if name in _SCHEME_OPTIONS
        },
        is_shard=is_shard,
    )


def new_state(
    scheme: Scheme,
    *,
    complete: bool,
    invent_vmas: bool,
    brk_flags: int,
    instant_free: bool,
    reuse_modern: bool = False,
    rules: int = 0,
    layout_only: bool = False,
    settings: Mapping[str, int] | None = None,
    is_shard: bool = False,
) -> State:
    """Return the state before the first event.

    Parameters
    ----------
    scheme : Scheme
    complete : bool
        Every process starts from a known image.
    invent_vmas : bool
        Make a vma for a fault of an unknown process outside every known one.
    brk_flags : int
        VM_* bits of a new heap vma.
    instant_free : bool
        A page that reclaim wrote is freed at once, not at its second visit.
    reuse_modern : bool, optional
        A write keeps a page by its exclusive mark, as today, before its references are counted.
    rules : int, optional
        Bits, as the scheme numbers its rules.
    layout_only : bool, optional
        Under these rules only the layout means something: vmas, and what merging makes of them.
    settings : mapping of str to int, optional
        Options of schemes by name; those that are fields of this one's `glob` are set.
    is_shard : bool, optional
        Others replay the events of other families: log changes of figures, not peaks and timeline.
    """
    rows = _FIRST_ROWS
    state = State(
        vma=Table.zeros(rows["vma"], extended(VMA, scheme.vma_fields)),
        page=Table.zeros(rows["page"], extended(PAGE, (), scheme.page_fields)),
        mm=Table.zeros(rows["mm"], extended(MM, scheme.mm_fields)),
        proc=Table.zeros(rows["proc"], PROC),
        slot=Table.zeros(rows["slot"], SLOT),
        pt=Table.zeros(rows["block"] * PT_STRIDE, np.int64),
        ints=Table.zeros(0, np.int64),
        glob=Table.zeros(1, extended(GLOB, scheme.marks())),
        log=Table.zeros(0, np.int64),
        page_changes=Table(np.zeros(0, PAGE_CHANGE)),
        shards=Table(np.zeros(0, SHARD_NUMBER)),
        index=Table.zeros(_FIRST_INDEX_WORDS, np.int64),
        rmap=scheme.tables(*(Table.zeros(pool.rows, pool.dtype) for pool in scheme.pools.values())),
    )
    glob = state.glob[0]
    for pool, capacity in (rows | {name: pool.rows for name, pool in scheme.pools.items()}).items():
        glob[f"{pool}_top"] = 1
        glob[f"{pool}_cap"] = capacity
    glob.complete, glob.invent_vmas = complete, invent_vmas
    glob.brk_flags, glob.instant_free, glob.reuse_modern = brk_flags, instant_free, reuse_modern
    glob.rules, glob.layout_only, glob.is_shard = rules, layout_only, is_shard
    for option, value in (settings or {}).items():
        if option in scheme.glob_fields:
            glob[option] = value
    glob.runs = 1
    glob.shm_id = FILE_SHM
    glob.stride = 1
    glob.index_cap, glob.index_shortest, glob.index_patience = _FIRST_INDEX_WORDS, SHORTEST, PATIENCE
    state = _with_ints(state, {part: entries for part, (_, entries) in _int_parts(state).items()})
    return _with_log(state, dict.fromkeys(range(len(LOG_FIELDS)), _FIRST_LOG_ROWS))


def _int_parts(state: State) -> dict[str, tuple[int, int]]:
    """Return the parts of `ints`, with the hashes of the scheme."""
    return _INT_PARTS | dict.fromkeys(scheme_of(state).hashes, _FIRST_HASH)


def _hashes(state: State) -> tuple[str, ...]:
    return (*_HASHES, *scheme_of(state).hashes)


def _with_ints(state: State, entries: dict[str, int]) -> State:
    """Return the state with `ints` laid out for so many entries of each part; hash tables come out empty."""
    glob, old = state.glob[0], state.ints.array
    marks = 4 * len(LOG_FIELDS)
    base = marks
    parts, hashes = _int_parts(state), _hashes(state)
    ints = np.zeros(marks + sum(parts[part][0] * n for part, n in entries.items()), np.int64)
    ints[: min(marks, len(old))] = old[:marks]
    for part, n in entries.items():
        words = parts[part][0] * n
        if len(old) and part not in hashes:
            kept = min(words, _part_size(state, part))
            begin = glob[f"{part}_base"]
            ints[base : base + kept] = old[begin : begin + kept]
        glob[f"{part}_base"] = base
        if part in hashes:
            glob[f"{part}_mask"] = n - 1
        base += words
    glob.visited_cap = entries["visited"]
    return state._replace(ints=Table(ints))


def _part_size(state: State, part: str) -> int:
    """Words of a part of `ints` that is not a hash table, as it is laid out now."""
    if part in ("visited", "file_visited", "lengths"):
        return int(state.glob[0].visited_cap)
    words, entries = _INT_PARTS[part]
    return words * entries


def _with_log(state: State, capacities: dict[int, int]) -> State:
    """Return the state with a log of so many rows for each region; only the timeline's rows are kept."""
    widths = [len(fields) for fields in LOG_FIELDS.values()]
    capacities[LOG_TIMELINE] = TIMELINE_SAMPLES
    log = small_pages(sum(width * capacities[region] for region, width in enumerate(widths)))
    base = 0
    for region, width in enumerate(widths):
        mark = state.ints[4 * region : 4 * region + 4]
        if region == LOG_TIMELINE and len(state.log):
            begin, words = mark[REGION_BASE], mark[REGION_ROWS] * width
            log[base : base + words] = state.log[begin : begin + words]
        else:
            mark[REGION_ROWS] = 0
        mark[REGION_BASE], mark[REGION_CAP], mark[REGION_WIDTH] = base, capacities[region], width
        base += width * capacities[region]
    return state._replace(log=Table(log))


def log_rows(state: State, region: int) -> np.ndarray:
    """Return the rows that wait in a region of the log: int64, shape (rows, fields), a view."""
    base, rows, _, width = state.ints[4 * region : 4 * region + 4]
    return state.log[base : base + rows * width].reshape(rows, width)


def logged(state: State) -> dict[str, np.ndarray]:
    """Return the rows that wait in the log, by region, of those that have any: views, as `log_rows` returns them."""
    marks, log = _region_marks(state).tolist(), state.log.array
    return {
        name: log[base : base + rows * width].reshape(rows, width)
        for name, (base, rows, _, width) in zip(LOG_FIELDS, marks, strict=True)
        if rows
    }


def _region_marks(state: State) -> np.ndarray:
    return state.ints.array[: 4 * len(LOG_FIELDS)].reshape(-1, 4)


def empty_log(state: State) -> State:
    """Return the state with an empty log, larger where the last event found too little room; the timeline stays."""
    glob = state.glob[0]
    marks = _region_marks(state)
    region = int(glob.log_need) - 1
    if region >= 0 and marks[region, REGION_CAP] < glob.log_need_rows:
        capacities = dict(enumerate(marks[:, REGION_CAP].tolist()))
        capacities[region] = _doubled(capacities[region], int(glob.log_need_rows))
        return _with_log(state, capacities)
    marks[:LOG_TIMELINE, REGION_ROWS] = 0
    marks[LOG_TIMELINE + 1 :, REGION_ROWS] = 0
    return state


def grow(state: State) -> State:
    """Return the state with every pool and hash table grown that is too small for what `has_room` asked."""
    glob = state.glob[0]
    arrays = {"vma": "vma", "page": "page", "mm": "mm", "proc": "proc", "slot": "slot"}
    for pool, field in arrays.items():
        capacity = _wanted(glob, pool)
        if capacity:
            state = state._replace(**{field: getattr(state, field).grown(capacity)})
    capacity = _wanted(glob, "block")
    if capacity:
        state = state._replace(pt=state.pt.grown(capacity * PT_STRIDE))
    if glob.index_need > glob.index_cap:
        glob.index_cap = _doubled(int(glob.index_cap), int(glob.index_need))
        state = state._replace(index=state.index.grown(int(glob.index_cap)))
    for pool in scheme_of(state).pools:
        capacity = _wanted(glob, pool)
        if capacity:
            table = getattr(state.rmap, pool).grown(capacity)
            state = state._replace(rmap=state.rmap._replace(**{pool: table}))
    return _grow_ints(state)


def _wanted(glob: np.record, pool: str) -> int:
    """Return the capacity that a pool needs and mark it as given, or 0 if there is room."""
    missing = glob[f"{pool}_need"] - (glob[f"{pool}_cap"] - glob[f"{pool}_top"] + glob[f"{pool}_n_free"])
    if missing <= 0:
        return 0
    capacity = _doubled(int(glob[f"{pool}_cap"]), int(glob[f"{pool}_cap"] + missing))
    glob[f"{pool}_cap"] = capacity
    return capacity


def _doubled(capacity: int, needed: int) -> int:
    while capacity < needed:
        capacity *= 2
    return capacity


def _grow_ints(state: State) -> State:
    """Grow the hash tables that are too full and the histograms that are too short."""
    glob = state.glob[0]
    entries = {part: n for part, (_, n) in _int_parts(state).items()}
    hashes, own = _hashes(state), scheme_of(state).hashes
    for part in hashes:
        entries[part] = int(glob[f"{part}_mask"]) + 1
    used = {
        "pid": 2 * int(glob.pid_used) + 2 * FEW * FAULTS_AT_ONCE,
        "frame": 2 * int(glob.frame_used) + 2 * FEW * FAULTS_AT_ONCE,
        "file": int(glob.n_file_pages) // 2 + 2,
    } | {part: int(glob[f"n_{part}s"]) // 2 + 2 for part in own}
    visits = int(glob.visited_need)
    if all(entries[part] >= used[part] for part in hashes) and visits <= glob.visited_cap:
        return state
    for part in hashes:
        if entries[part] < used[part]:
            entries[part] = _doubled(entries[part], 2 * used[part])
    entries |= dict.fromkeys(("visited", "file_visited", "lengths"), _doubled(int(glob.visited_cap), visits))
    pids = _hash_words(state, "pid")
    frames = _hash_words(state, "frame")
    state = _with_ints(state, entries)
    from .rehash import fill_hashes  # compiled only where a table had to grow

    fill_hashes(state, pids, frames)
    return state


def _hash_words(state: State, part: str) -> np.ndarray:
    """Return a copy of a hash table of three words for each entry."""
    begin = state.glob[0][f"{part}_base"]
    return state.ints.array[begin : begin + 3 * (state.glob[0][f"{part}_mask"] + 1)].copy()
