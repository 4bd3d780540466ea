"""Families replayed side by side: every table and the whole summary are those of one replay of the whole trace."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anonvma_trace
from anonvma_trace.events import EVENT_SCHEMA, TraceMetadata
from anonvma_trace.parsers import scenario_trace
from anonvma_trace.replay import ReplayCore, detail, run_replay
from anonvma_trace.replay.columns import EventColumns, span
from anonvma_trace.replay.coupling import FamiliesCoupled
from anonvma_trace.replay.families import FamilySplit
from anonvma_trace.replay.sharded import ShardedReplay
from anonvma_trace.table_sinks import TablesInMemory, TablesOnDisk
from anonvma_trace.tables import TABLES
from anonvma_trace.trace import Trace

from .core_state import batch_of
from .families import many_families
from .generated import fault_heavy, first_rows
from .random_events import RULE_SETS, SETTINGS
from .scenario_text import scenario_rows


def serial(batches, metadata=None, options=None, rules=(), how="full"):
    core = ReplayCore(metadata or TraceMetadata(), options, rules, detail=how)
    for batch in batches:
        core.feed(batch)
    return core.finish()


def side_by_side(batches, metadata=None, options=None, rules=(), how="full", threads=8):
    sink = TablesInMemory()
    core = ShardedReplay(
        "anon_vma", metadata or TraceMetadata(), options or {}, rules, "", sink, how, threads
    )
    try:
        for batch in batches:
            core.feed(batch)
        summary, _ = core.finish()
    finally:
        core.close()
    return summary, sink.tables()


def cut(rows, rows_at_once):
    return [batch_of(rows[begin : begin + rows_at_once]) for begin in range(0, len(rows), rows_at_once)]


def require_equal(found, expected):
    summary, tables = found
    assert summary == expected[0]
    for name in TABLES:
        rows, wanted = (
            result[name].to_pylist() if name in result else [] for result in (tables, expected[1])
        )
        for number, pair in enumerate(zip(rows, wanted, strict=False)):
            assert pair[0] == pair[1], (name, number)
        assert len(rows) == len(wanted), name


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("metadata", "options"), SETTINGS.values(), ids=[name.replace(" ", "-") for name in SETTINGS]
)
def test_many_families_have_the_results_of_one_replay(metadata, options, threads):
    rows = many_families(threads, 12, 150)
    batches = cut(rows, 97)
    require_equal(
        side_by_side(batches, metadata, options, threads=threads), serial(batches, metadata, options)
    )


@pytest.mark.parametrize("rules", RULE_SETS[:4], ids="+".join)
def test_rules_hold_in_every_family(rules):
    batches = cut(many_families(7, 6, 120), 200)
    require_equal(side_by_side(batches, rules=rules), serial(batches, rules=rules))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_families=st.integers(1, 9),
    n_rows=st.integers(1, 80),
    n_pids=st.integers(1, 20),
    rows_at_once=st.integers(1, 400),
)
def test_random_families_have_the_results_of_one_replay(seed, n_families, n_rows, n_pids, rows_at_once):
    batches = cut(many_families(seed, n_families, n_rows, n_pids=n_pids), rows_at_once)
    require_equal(side_by_side(batches), serial(batches))


def test_a_sample_is_the_same_however_the_trace_is_replayed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detail, "SAMPLE_ROWS", 16)
    batches = cut(many_families(5, 6, 150), 50)
    require_equal(side_by_side(batches, how="sampled"), serial(batches, how="sampled"))


@pytest.mark.parametrize("threads", [2, 3])
def test_a_long_load_has_the_results_of_one_replay(threads):
    """So long that the timeline is thinned out: between its samples pages are followed by themselves."""
    batches = list(span(first_rows(fault_heavy(1, families=4), 12_000), 5_000))
    require_equal(side_by_side(batches, threads=threads), serial(batches))


def test_rows_that_no_shard_replays_change_nothing():
    rows = many_families(3, 4, 120)
    marked = [each for row in rows for each in (row, {"pid": row["pid"], "op": "mark", "ts": row["ts"]})]
    batches = cut(marked, 60)
    require_equal(side_by_side(batches), serial(batches))


def test_pids_that_are_used_again_begin_families_of_their_own():
    split = FamilySplit(2)
    rows = scenario_rows("map 2 4 rw; w 2; exit; map 2 4 rw; w 3; m2: map 2 4 rw; fork m3; m3: w 2")
    split.split(EventColumns("").read(batch_of(rows)), 1)
    found = split.found()
    assert found.families == 3  # the second process 1, which forks 3, is not the first
    assert found.largest_share == pytest.approx(4 / len(rows))


def test_the_next_family_goes_to_the_shard_with_the_fewest_rows():
    split = FamilySplit(2)
    rows = scenario_rows("map 2 9 rw; w 2,3,4; m2: map 2 4 rw; m3: map 2 4 rw; m4: map 2 4 rw; w 5")
    shards, concerned = split.split(EventColumns("").read(batch_of(rows)), 1)
    assert shards.tolist() == [0, 0, 0, 0, 1, 1, 1, 0]
    assert concerned == [0, 1]


def test_the_split_grows_with_pids_and_families():
    n = 5000
    rows = [
        {"pid": pid, "op": "mmap", "addr": 4096, "len": 4096, "prot": 3, "flags": 0x22} for pid in range(n)
    ]
    split = FamilySplit(3)
    columns = EventColumns("").read(batch_of(rows + rows))
    shards, _ = split.split(columns, 1)
    assert split.found().families == n
    assert np.array_equal(shards[:n], shards[n:])
    assert np.bincount(shards).tolist() == [2 * (n // 3 + (n % 3 > shard)) for shard in range(3)]


class Stream:
    """One pass over given rows."""

    format, metadata, line_counts = "rows", TraceMetadata(), {}
    losses, diagnostics, bytes_read, bytes_total = [], [], 0, 0

    def __init__(self, rows):
        self.rows = rows

    def batches(self):
        return iter(cut(self.rows, 3))


COUPLED = {
    "scan 4": "scan row",
    "reclaim file f 0": "page of a file",
    "m2: fork m1": "still lives in another family",
}


@pytest.mark.parametrize("row", COUPLED)
def test_what_couples_families_is_replayed_by_one_thread_and_told(row: str, tmp_path):
    rows = scenario_rows(
        f"map 2 6 rw file f 0; r 2; w 3; m2: map 2 6 rw; m2: w 3; {row}; referenced 3; m2: w 4"
    )
    expected = run_replay(Trace("rows", lambda: Stream(rows)), jobs=1)
    with TablesOnDisk(tmp_path) as sink:
        found = run_replay(Trace("rows", lambda: Stream(rows)), jobs=2, sink=sink)
    assert found.summary == expected.summary
    told = {line["code"]: line["message"] for line in found.to_arrow("diagnostics").to_pylist()}
    assert COUPLED[row] in told["serial-replay"]
    for name in set(TABLES) - {"diagnostics"}:
        assert found.to_arrow(name).to_pylist() == expected.to_arrow(name).to_pylist()


def test_an_input_that_can_be_read_once_is_replayed_by_one_thread():
    rows = scenario_rows("map 2 6 rw; w 3; m2: map 2 6 rw; m2: w 3")
    found = run_replay(Trace("rows", lambda: Stream(rows), once=True), jobs=2)
    told = {line["code"]: line["message"] for line in found.to_arrow("diagnostics").to_pylist()}
    assert "the input can be read only once" in told["serial-replay"]


def test_a_page_named_by_its_frame_alone_couples_families():
    rows = scenario_rows("map 2 6 rw; w 2")
    rows += [{"pid": 1, "op": "referenced", "frame": 7}]
    with pytest.raises(FamiliesCoupled, match="frames go from one process to another"):
        FamilySplit(2).split(EventColumns("").read(batch_of(rows)), 1)


def test_a_parallel_replay_tells_families_and_the_limit_of_its_gain():
    text = "map 2 9 rw; w 2,3,4; m2: map 2 4 rw; w 2,3; m2: w 2; w 5"
    found = run_replay(scenario_trace(text), jobs=2)
    (line,) = [
        line for line in found.to_arrow("diagnostics").to_pylist() if line["code"] == "parallel-replay"
    ]
    assert line["message"].startswith("2 process families replayed by 2 threads; the largest has ")


@pytest.mark.parametrize("how", [{"check_every": 1}, {"baseline": "merge_pre_rmap39"}])
def test_what_looks_at_the_whole_state_is_replayed_by_one_thread(how):
    text = "map 2 9 rw; w 2; m2: map 2 4 rw; w 2"
    found = run_replay(scenario_trace(text), jobs=2, **how)
    codes = {line["code"] for line in found.to_arrow("diagnostics").to_pylist()}
    assert "serial-replay" in codes
    assert found.summary["checked_events"] == (4 if "check_every" in how else 0)


def test_a_recording_has_the_same_results_with_more_threads():
    one = anonvma_trace.replay_trace("cowfork-50", jobs=1)
    two = anonvma_trace.replay_trace("cowfork-50", jobs=2)
    assert two.summary == one.summary
    for name in set(TABLES) - {"diagnostics"}:
        assert two.to_arrow(name).equals(one.to_arrow(name)), name


def test_an_error_in_a_thread_is_raised_where_the_replay_was_asked_for(monkeypatch: pytest.MonkeyPatch):
    def broken(self, batch):
        raise ZeroDivisionError("in a thread")

    monkeypatch.setattr("anonvma_trace.replay.shard.Shard.replay", broken)
    with pytest.raises(ZeroDivisionError, match="in a thread"):
        side_by_side(cut(many_families(1, 2, 20), 10))


def test_a_trace_without_events_has_empty_results():
    empty = [pa.RecordBatch.from_pylist([], schema=EVENT_SCHEMA)]
    require_equal(side_by_side(empty), serial(empty))
