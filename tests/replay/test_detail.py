"""Tables of which a sample is kept, or nothing: which rows, and that no total depends on it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anonvma_trace
from anonvma_trace.errors import UsageError
from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore, detail
from anonvma_trace.replay.detail import Detail, Sample
from anonvma_trace.tables import DETAILED_TABLES, TABLES

from .core_state import batch_of
from .random_events import random_rows

BOUND = 16


def results(rows, setting, cuts=()):
    """Replay rows, cut into batches, and return summary and tables as lists of dicts."""
    core = ReplayCore(TraceMetadata(), detail=setting)
    for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        core.feed(batch_of(rows[begin:end]))
    summary, tables = core.finish()
    return summary, {name: tables[name].to_pylist() if name in tables else [] for name in TABLES}


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "SAMPLE_ROWS", BOUND)


@settings(deadline=None)
@given(n=st.integers(0, 300), cuts=st.lists(st.integers(0, 300), max_size=6), bound=st.integers(1, 20))
def test_a_sample_is_every_kth_row_however_the_rows_came(n, cuts, bound):
    rows = np.arange(n)
    sample = Sample(bound)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), n], strict=True):
        sample.add(rows[begin:end])
    every = 1
    while len(range(0, n, every)) > bound:
        every *= 2
    assert (sample.seen, sample.every) == (n, every)
    assert sample.take().tolist() == list(range(0, n, every))


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sampled_replay_keeps_every_kth_row_and_all_totals(seed):
    rows = random_rows(seed, 400, file_reclaim=True)
    whole, full = results(rows, "full")
    sampled, kept = results(rows, "sampled", cuts=(7, 130, 131))
    for name in DETAILED_TABLES:
        told = sampled["detail"][name]
        assert told == {"rows": len(full[name]), "kept": len(kept[name]), "every": told["every"]}
        assert kept[name] == full[name][:: told["every"]]
        assert len(kept[name]) <= BOUND
    assert sampled["detail"]["merges"]["every"] > 1  # the bound was reached
    assert {**sampled, "detail": 0} == {**whole, "detail": 0}
    for name in set(TABLES) - set(DETAILED_TABLES):
        assert kept[name] == full[name]


def test_without_detail_the_tables_are_empty_and_all_totals_stay():
    rows = random_rows(3, 400, file_reclaim=True)
    whole, full = results(rows, "full")
    summary, kept = results(rows, "none")
    for name in DETAILED_TABLES:
        assert kept[name] == []
        assert summary["detail"][name] == {"rows": len(full[name]), "kept": 0, "every": None}
    assert {**summary, "detail": 0} == {**whole, "detail": 0}
    for name in set(TABLES) - set(DETAILED_TABLES):
        assert kept[name] == full[name]


def test_full_detail_counts_its_rows_too():
    summary, tables = results(random_rows(4, 200), "full")
    assert summary["detail"] == {"setting": "full"} | {
        name: {"rows": len(tables[name]), "kept": len(tables[name]), "every": 1} for name in DETAILED_TABLES
    }
    assert summary["detail"]["walks"]["rows"] == summary["reclaim"]["walks"]
    assert summary["detail"]["merges"]["rows"] == summary["merges"]["attempts"]


@pytest.mark.usefixtures("few_rows")
def test_diagnostics_tell_which_tables_are_no_longer_whole(tmp_path):
    path = tmp_path / "t.scenario"
    path.write_text("map 10 20 rw; w 12; " + "; ".join(["referenced 12"] * (BOUND + 1)))
    sampled = anonvma_trace.replay_trace(path, detail="sampled")
    told = sampled.diagnostics.filter(sampled.diagnostics["code"] == "table-sampled")
    assert told["message"].to_list() == [f"the table walks holds a sample: 9 of {BOUND + 1} rows, one in 2"]
    none = anonvma_trace.replay_trace(path, detail="none")
    left_out = none.diagnostics.filter(none.diagnostics["code"] == "table-left-out")["message"].to_list()
    assert f"the {BOUND + 1} rows of the table walks were left out" in left_out
    assert json.loads(json.dumps(none.summary))["detail"]["walks"]["every"] is None


def test_an_unknown_detail_is_wrong_usage_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'sampled'"):
        anonvma_trace.replay_trace("split-order", detail="sample")


def test_rows_that_a_detail_does_not_concern_pass_as_they_are():
    rows = np.arange(6).reshape(2, 3)
    assert Detail("none").now("anon_vmas", rows) is rows
