"""A survey: what a trace holds, and what of it a replay can tell, on one screen."""

from __future__ import annotations

import pyarrow as pa
import pytest

from anonvma_trace import samples
from anonvma_trace.analysis import read_trace
from anonvma_trace.events import EVENT_SCHEMA, TraceMetadata
from anonvma_trace.survey import LossPlace, TraceSurvey, survey_trace
from anonvma_trace.survey_text import SCREEN_LINES, survey_sections
from anonvma_trace.trace import Diagnostic, Loss

from .parsers.event_tables import trace_of


def batch(*rows):
    return pa.RecordBatch.from_pylist([{"ts": 5, **row} for row in rows], schema=EVENT_SCHEMA)


def survey_of(*batches, **metadata):
    return survey_trace(trace_of(batches, TraceMetadata(format="ftrace", complete=False, **metadata)))


def lines_of(survey, name):
    return next((section.lines for section in survey_sections(survey) if section.name == name), None)


def act(op, pid=1, **columns):
    return {"op": op, "pid": pid, **columns}


def test_an_exec_has_an_image_if_a_mapping_follows_even_in_the_next_batch():
    survey = survey_of(
        batch(act("exec"), act("vma", addr=0x1000, len=0x1000), act("exec"), act("write_fault", addr=0x1000)),
        batch(act("exec")),
        batch(act("vma", addr=0x1000, len=0x1000)),
    )
    assert (survey.execs, survey.execs_with_image) == (3, 2)
    assert lines_of(survey, "processes")[1] == "3 execs, 2 with the new image"
    assert "what 1 program began with" in lines_of(survey, "replay")[1]


def test_processes_are_known_by_fork_or_image():
    rows = [act("brk", 7, addr=0), act("brk", 8, addr=0), act("fork", 7, child=9), act("brk", 9, addr=0)]
    survey = survey_of(batch(*rows), known_pids=(7,))
    assert (survey.processes, survey.unknown_processes) == (3, 1)
    assert lines_of(survey, "processes") == [
        "3, of 2 it is known what they had mapped at first (image, or fork)"
    ]


def test_rows_that_act_on_no_process_count_none():
    rows = [
        act("lost", 0, len=3),
        act("scan", 44, len=9),
        act("mark", 45, len=1),
        act("swap_out", 46, frame=5),
    ]
    assert survey_of(batch(*rows, act("swap_out", 1, addr=0x1000))).processes == 1


def test_losses_are_told_with_their_places():
    rows = [
        act("lost", 0, len=870, line=3),
        *[act("lost", 0, ts=9, len=n, cpu=1, line=10 * n) for n in (5, 0, 7)],
    ]
    survey = survey_of(batch(*rows), lost_events=882)
    assert survey.loss_places == [LossPlace(870, -1, 3, 5), LossPlace(5, 1, 50, 9), LossPlace(0, 1, 0, 9)]
    assert lines_of(survey, "lost") == [
        "882 events lost by the recorder: 870 before the first event, 5 on CPU 1 at line 50, some on CPU 1 and 1 more"
    ]
    assert "what lost events did" in lines_of(survey, "replay")[1]
    assert lines_of(survey_of(batch(act("lost", 0, len=0, ts=1), act("exit"))), "lost") == [
        "events of unknown number lost by the recorder: some before the first event"
    ]


@pytest.mark.parametrize(
    ("ops", "tells", "does_not_tell"),
    [
        (["mmap"], [], ["no fault is recorded", "no reclaim is recorded"]),
        (["write_fault"], ["copies and anon_vmas"], ["no reclaim is recorded"]),
        (["write_fault", "scan"], ["its own LRU chooses"], []),
        (["write_fault", "swap_out"], ["that events name"], []),
        (["read_fault", "swap_out"], ["that events name"], ["no fault is known to be a write"]),
    ],
)
def test_what_a_replay_can_tell(ops, tells, does_not_tell):
    told, *not_told = lines_of(
        TraceSurvey("a", TraceMetadata(format="ftrace"), events=1, events_by_op=dict.fromkeys(ops, 1)),
        "replay",
    )
    assert all(text in told for text in tells)
    assert [all(text in line for text in does_not_tell) for line in not_told] == [True] * bool(does_not_tell)


def test_times_are_of_the_recorders_clock_or_of_the_day():
    survey = TraceSurvey(
        "a", TraceMetadata(format="ftrace"), events=2, first_ts=2_254_896_703_000, last_ts=3 * 10**12
    )
    assert lines_of(survey, "time") == ["745 s from 2,254.896703 s of the recorder's clock on"]
    survey.first_ts = 1_795_439_428_118_613_000
    survey.last_ts = survey.first_ts + 10**9
    assert lines_of(survey, "time") == ["1 s from 2026-11-23 13:10:28 UTC on"]
    survey.metadata = TraceMetadata(format="scenario")  # which counts events
    assert lines_of(survey, "time") is None


def test_line_numbers_are_not_told_as_times():
    survey = survey_of(batch(act("exit")))
    survey.diagnostics.append(Diagnostic("info", "no-times", "the lines have no times"))
    assert lines_of(survey, "time") == ["not recorded: the number of the line stands for it"]


def test_a_part_that_is_missing_is_not_laid_to_the_recorder_alone():
    survey = survey_of(batch(act("exit")), lost_events=3)
    assert lines_of(survey, "lost") == ["3 events lost by the recorder"]
    survey.diagnostics.append(Diagnostic("warning", "events-missing", "a part of the file is missing"))
    assert lines_of(survey, "lost") == ["3 events lost by the recorder, or in the missing part of the file"]


def test_many_notes_and_many_kinds_of_unreadable_lines_stay_on_one_screen():
    places = [(n, 1, "x" * 300) for n in range(5)]
    survey = TraceSurvey(
        path="run.trace",
        metadata=TraceMetadata(format="ftrace", complete=False),
        losses=[Loss(f"kind-{n}", "expected something else", 9, list(places)) for n in range(3)],
        diagnostics=[
            Diagnostic("info", "quiet", "word " * 40),
            *[Diagnostic("warning", "loud", "word " * 40)] * 30,
        ],
    )
    sections = survey_sections(survey)
    assert lines_of(survey, "notes")[0].startswith("warning loud: word")
    assert lines_of(survey, "notes")[-1].endswith("more; --json tells all in full")
    assert sum(len(section.lines) for section in sections) <= SCREEN_LINES
    assert sum("line 0" in line for line in lines_of(survey, "unreadable")) == 3


def test_the_share_that_was_joined_is_told_apart_from_the_notes():
    survey = survey_trace(read_trace(samples.get_sample("swapfork").path))
    named, reclaim = lines_of(survey, "pages")
    assert named.startswith("12,547 of 12,570 (99.8 %) faults")
    assert "4,118 of 4,118 (100.0 %)" in reclaim
    assert not any("named" in note for note in lines_of(survey, "notes"))
    assert survey.faults_with_frame == 12_547
