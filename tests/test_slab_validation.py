"""Counts of anon_vmas beside a recording of the slab allocator."""

from __future__ import annotations

import json

import pytest

import anonvma_trace
from anonvma_trace.reports import build_report
from anonvma_trace.summary_text import summary_sections

from .parsers.test_slab_recording import freed, made
from .replay.scenario_text import scenario_rows


def at(second, *rows):
    return [{**row, "ts": second * 10**9} for row in rows]


def mark(number):
    return {"op": "mark", "pid": 1, "len": number}


def stands(low, high):
    return {"op": "vma", "pid": 1, "addr": low * 4096, "len": (high - low) * 4096, "prot": 3, "flags": 0x22}


def scenario(text):
    return list(scenario_rows(text))


# One anon_vma stood before the recording, one is made by a fault at 2 s, one by a fault of the child at 4 s.
EVENTS = [
    *at(1, stands(10, 12), *scenario("w 10")),
    *at(2, *scenario("map 20 22 rw; w 20")),
    *at(3, mark(1), *scenario("fork m2; m2: map 30 32 rw")),
    *at(4, *scenario("m2: w 30"), mark(2), *scenario("m2: exit")),
    *at(6, mark(3)),
]
RECORDED = [made("2.1", "aa"), made("4.0", "bb"), freed("5.0", "bb")]


@pytest.fixture
def validate(tmp_path):
    def validate(*lines, events=EVENTS):
        trace, slabs = tmp_path / "trace.jsonl", tmp_path / "slabs.txt"
        trace.write_text("".join(json.dumps(row) + "\n" for row in events))
        slabs.write_text("# tracer: nop\n" + "".join(f"{line}\n" for line in lines))
        return anonvma_trace.replay_trace(trace, validate=[slabs])

    return validate


def told(replay):
    return [
        (row["event"], row["code"], row["message"])
        for row in replay.diagnostics.rows(named=True)
        if row["code"].startswith("validate")
    ]


def test_what_stood_before_the_recording_is_not_counted(validate):
    replay = validate(*RECORDED)
    figures = replay.summary["validation"]
    assert figures["anon_vmas_prepared"] == figures["anon_vmas_prepared_recorded"] == 2
    assert figures["anon_vmas_forked"] == figures["anon_vmas_forked_recorded"] == 0
    assert (figures["live_anon_vmas_marks"], figures["live_anon_vmas_equal"]) == (3, 3)
    assert figures["live_anon_vma_chains_marks"] is None
    assert figures["snapshots"] == 0
    assert told(replay) == []


def test_what_an_exec_brings_is_counted(validate):
    events = at(1, {"op": "exec", "pid": 1}, stands(10, 12), *scenario("w 10"))
    replay = validate(made("1.0", "aa"), events=events)
    assert replay.summary["validation"]["anon_vmas_prepared"] == 1


def test_each_difference_is_told(validate):
    replay = validate(*RECORDED[:2], made("4.5", "cc", "anon_vma_fork"))
    figures = replay.summary["validation"]
    assert (figures["live_anon_vmas_marks"], figures["live_anon_vmas_equal"]) == (3, 2)
    (live, forked) = told(replay)
    assert live[0] == len(EVENTS) and "3 objects anon_vma alive in the kernel, 1 in the replay" in live[2]
    message = "anon_vma_fork made 1 anon_vmas in the kernel, 0 in the replay"
    assert forked == (None, "validate-slab-allocations", message)


def test_summary_and_report_hold_the_counts(validate):
    replay = validate(*RECORDED)
    (lines,) = [section.lines for section in summary_sections(replay.summary) if section.name == "validation"]
    assert "anon_vmas made by __anon_vma_prepare: 2, in the kernel 2" in lines
    assert "as many anon_vmas alive as in the kernel at 3 of 3 marks" in lines
    (table,) = [table for table in build_report(replay).tables() if table.title == "Replay and snapshots"]
    assert all(table.values("meaning"))
