"""Walks by an index of the list give the counts, and leave the state, of walks that visit vma by vma."""

from __future__ import annotations

import random

import numba
import pytest

from .comparison import LOGS, Lockstep
from .core_state import CoreReplay
from .generated import HEAP, fork_family, many_vmas, to_batches, walk_every_page
from .random_events import PAGE, random_rows

SEEDS = range(3) if numba.config.DISABLE_JIT else range(40)
NEVER = 1 << 40
ALL_WALKS = ["referenced", "reclaim", "try_unmap", "swap_out", "scan"]


def core_with_index(shortest=1, patience=0, **options):
    """Return a core that makes an index for lists of this length, at once if patience is 0."""
    replay = CoreReplay(**options)
    glob = replay.core.state.glob[0]
    glob.index_shortest, glob.index_patience = shortest, patience
    return replay


def rows_with_bursts(seed, n, pages=32, pids=4):
    """Return random rows, and between them bursts of walks of random pages: an index lasts as long as a burst."""
    chance = random.Random(seed)
    rows = []
    for row in random_rows(seed, n, pages=pages, pids=pids, file_reclaim=True):
        rows.append(row)
        if chance.random() < 0.15:
            ops = chance.choice(
                (["referenced"], ["try_unmap"], ["referenced", "reclaim", "try_unmap", "swap_out", "scan"])
            )
            rows += [_walk(chance, ops, pages, pids) for _ in range(chance.randint(2, 30))]
    return [row | {"ts": number} for number, row in enumerate(rows, 1)]


def _walk(chance, ops, pages, pids):
    op = chance.choice(ops)
    if op == "scan":
        return {"op": op, "pid": 1, "len": chance.randint(1, 12)}
    return {"op": op, "pid": chance.randint(1, pids), "addr": (16 + chance.randrange(pages)) * PAGE}


def assert_same(one, other):
    assert one.state() == other.state()
    assert one.counters() == other.counters()
    for name in LOGS:
        assert one.rows(name) == other.rows(name), name
    assert one.summary() == other.summary()


@pytest.mark.parametrize("options", [{}, {"instant_free": "off"}], ids=["", "slow freeing"])
@pytest.mark.parametrize("seed", SEEDS)
def test_indexed_walks_equal_plain_walks(seed, options):
    rows = rows_with_bursts(seed, 250)
    indexed, plain = core_with_index(**options), core_with_index(shortest=NEVER, **options)
    indexed.feed(*rows)
    plain.feed(*rows)
    assert indexed.core.state.glob[0].index_walks > 0 == plain.core.state.glob[0].index_walks
    assert_same(indexed, plain)


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_indexed_walks_equal_those_of_the_model(seed):
    both = Lockstep(core=core_with_index())
    both.feed(*rows_with_bursts(seed, 150))
    both.compare_state()
    both.compare_results()


@pytest.mark.parametrize("patience", [0, 1])
@pytest.mark.parametrize(
    ("before", "walks"),
    [
        (fork_family(40, 70), walk_every_page(40, 70)),
        (fork_family(40, 70, split=True), walk_every_page(40, 70)),
        (many_vmas(300, 500, 0), many_vmas(300, 0, 2000)[-2000:]),
    ],
    ids=["family", "split family", "many vmas"],
)
def test_the_index_of_a_long_list(before, walks, patience):
    indexed, plain = core_with_index(patience=patience), core_with_index(shortest=NEVER)
    for replay in (indexed, plain):
        for rows in (before, walks):
            for batch in to_batches(rows):
                replay.core.feed(batch)
    assert indexed.core.state.glob[0].index_walks > len(walks) // 2
    assert_same(indexed, plain)


def test_an_index_larger_than_its_table_is_given_room():
    replay = core_with_index()
    room = int(replay.core.state.glob[0].index_cap)
    for batch in to_batches(fork_family(40, 200)) + to_batches(walk_every_page(40, 200)):
        replay.core.feed(batch)
    assert replay.core.state.glob[0].index_cap > room
    assert replay.summary()["reclaim"]["vmas_visited"] == 200 * 41 * 42 // 2


def test_a_mapping_of_many_tib_costs_no_index():
    """Its columns would be more than there may be: the walk visits vma by vma."""
    replay = core_with_index()
    far = HEAP + (1 << 30)
    length = ((1 << 30) + 10) * PAGE
    rows = [{"op": "mmap", "pid": 1, "addr": HEAP * PAGE, "len": length, "prot": 3, "flags": 0x22}]
    rows += [{"op": "write_fault", "pid": 1, "addr": page * PAGE} for page in (HEAP, far)]
    rows += [{"op": "referenced", "pid": 1, "addr": page * PAGE} for page in (HEAP, far) * 3]
    replay.feed(*(row | {"ts": number} for number, row in enumerate(rows, 1)))
    assert replay.core.state.glob[0].index_walks == 0
    assert replay.summary()["reclaim"]["vmas_visited"] == 6
