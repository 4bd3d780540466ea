"""What must balance at the end of a replay without checks: a contradiction stops it, saying where and what to do."""

from __future__ import annotations

import pytest

from anonvma_trace.errors import ReplayBug
from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore

from .core_state import batch_of
from .scenario_text import scenario_rows

LOSSY = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"  # D1a: page 11 is lost


def replayed(scenario, **options):
    core = ReplayCore(TraceMetadata(), path="run.trace", **options)
    core.feed(batch_of(scenario_rows(scenario)))
    return core


@pytest.mark.parametrize("field", ["mapped_ptes", "vmas_live", "n_active", "vmas_visited"])
def test_a_figure_that_contradicts_another_stops_the_replay(field):
    core = replayed("map 10 14 rw; w 10\nreferenced 10")
    core.state.glob[0][field] += 1
    with pytest.raises(ReplayBug) as caught:
        core.finish()
    error = caught.value
    assert (error.where, error.exit_status) == ("run.trace:2", 1)
    assert "after event 3" in error.expected
    assert "defect of this tool" in error.found
    assert "--check" in error.hint


def test_a_lost_page_without_a_merge_that_lost_an_anon_vma_stops_the_replay():
    core = replayed(LOSSY)
    core.finish()
    core = replayed(LOSSY)
    core.state.glob[0].lossy_merges = 0
    with pytest.raises(ReplayBug, match="I1"):
        core.finish()


def test_with_checks_the_replay_goes_on_and_counts_the_violation():
    core = replayed(LOSSY, check_every=1)
    core.state.glob[0].mapped_ptes += 1
    core.feed(batch_of([{"pid": 1, "op": "mark", "ts": 9, "len": 1, "line": 7}]))
    summary, tables = core.finish()
    assert (summary["violations"], summary["checked_events"]) == (1, 5)
    rows = [row for row in tables["diagnostics"].to_pylist() if row["severity"] == "error"]
    assert [(row["event"], row["line"], row["code"]) for row in rows] == [(5, 7, "validate-figures")]
    assert "mapped ptes: 2 by the running count, 1 by a recount" in rows[0]["message"]


def test_lost_pages_mean_nothing_where_a_rule_gives_the_layout_only():
    scenario = "map 10 12 rw; w 10; move 10 12 50; map 8 10 rw; map 12 14 rw; move 50 52 10"
    replayed(scenario, rules=("merge_pre_rmap39",)).finish()
