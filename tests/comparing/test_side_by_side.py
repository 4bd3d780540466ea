"""Several replays in one pass: each is what it would be alone, and what one raises is raised."""

from __future__ import annotations

import threading

import pytest

from anonvma_trace import comparing, read_trace, replay_trace
from anonvma_trace.comparing import chosen_schemes, run_comparison
from anonvma_trace.errors import TraceError
from anonvma_trace.parsers import scenario_trace
from anonvma_trace.replay import ReplayCore

SAMPLES = (
    "fork-family",
    "boundary-shift-bug",
    "alternating-protections",
    "lru-scan",
    "private-file",
    "tiny-sh",
)


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_replay_is_what_it_would_be_alone(sample, monkeypatch):
    monkeypatch.setattr(comparing, "_STRETCH", 7)  # many stretches, so that threads run ahead of each other
    choices = chosen_schemes(["anon_vma", "anon_vma+rmap40", "anon_vma+fix_propagate"])
    comparison = run_comparison(read_trace(sample), choices)
    for choice in choices:
        alone = replay_trace(sample, choice.scheme, choice.rules)
        expected = {
            name: alone.summary[name] for name in alone.summary if name != "detail"
        }  # it tells of tables
        assert comparison.summaries[choice.name] == expected
        assert comparison.memory_bytes[choice.name] > 0


def test_kinds_of_disagreement_add_up_to_the_tables_of_single_replays():
    comparison = run_comparison(
        read_trace("alternating-protections"), chosen_schemes(["anon_vma", "anon_vma+merge_pre_rmap39"])
    )
    (row,) = comparison.merge_outcomes.to_dicts()
    assert row == {
        "events": 1,
        "first_events": "12",
        "anon_vma": "4 × case 7, case 8; first refusal prev_next",
        "anon_vma+merge_pre_rmap39": "4 × case 6, case 8",
    }


def test_an_error_in_one_replay_ends_the_comparison(monkeypatch):
    fed = threading.Event()

    def feed(self, batch):
        if batch.num_rows:
            fed.set()
            raise TraceError("a.trace", expected="nothing", found="an event")

    monkeypatch.setattr(ReplayCore, "feed", feed)
    trace = scenario_trace("; ".join(["map 10 12 rw"] * 50))
    monkeypatch.setattr(comparing, "_STRETCH", 2)
    with pytest.raises(TraceError, match="an event"):
        run_comparison(trace, chosen_schemes(["anon_vma", "anon_vma+rmap40"]))
    assert fed.is_set()


def test_an_error_of_reading_ends_the_comparison(monkeypatch):
    trace = read_trace("tiny-sh")
    batches = trace.batches

    def broken():
        yield next(iter(batches()))
        raise TraceError("tiny-sh", expected="more", found="an end")

    monkeypatch.setattr(trace, "batches", broken)
    monkeypatch.setattr(comparing, "_STRETCH", 100)
    with pytest.raises(TraceError, match="an end"):
        run_comparison(trace, chosen_schemes(["anon_vma", "anon_vma+rmap40"]))
    assert threading.active_count() < 10
