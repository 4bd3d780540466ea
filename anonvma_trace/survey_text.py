"""What a survey found, in words: one screen that says what a trace holds and what its replay can tell."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from .reports.numbers import counted, format_duration
from .summary_text import Section, count_list, loss_lines
from .survey import LossPlace, TraceSurvey

SCREEN_LINES, SCREEN_WIDTH = 24, 80
"""What the sections are made to fit, if the trace's own texts allow it."""

UNREADABLE_SHOWN = 6
"""Lines about unreadable ones, above which each kind has one place only."""

_MARGIN = 12  # columns before the text of a section
_UNIX_TIMES = 10**18  # ns: clocks of kernels and of days stay far below
_JOIN_CODES = ("pages-named", "reclaim-named", "reclaim-counted", "reclaim-named-late")
_WALKED_BY_NAME = ("swap_out", "reclaim", "referenced", "try_unmap")
_SEVERITIES = ("error", "finding", "warning", "info")


def survey_sections(survey: TraceSurvey) -> list[Section]:
    """Return what a trace holds as sections: trace, time, events, processes, lines, losses, pages, replay, notes.

    Notes are cut to one line, and the last ones counted, where the screen would not hold them.
    """
    metadata = survey.metadata
    parts = f", {survey.parts:,} parts" if survey.parts > 1 else ""
    lines = {fate.replace("_", " "): n for fate, n in survey.line_counts.items() if n}
    read = f"{sum(lines.values()):,} read: {count_list(lines)}" if lines else "none"
    sections = [
        Section("trace", [f"{survey.path} ({metadata.format}){parts}"]),
        *_time_sections(survey),
        Section(
            "events", [f"{survey.events:,}: {count_list(survey.events_by_op)}" if survey.events else "none"]
        ),
        Section("processes", _process_lines(survey)),
        Section("lines", [read]),
        Section("lost", [_lost_line(survey)]),
        Section("unreadable", _unreadable_lines(survey)),
        *_page_sections(survey),
        Section("replay", _replay_lines(survey)),
    ]
    used = sum(_height(section) for section in sections)
    return [*sections, Section("notes", _notes(survey, SCREEN_LINES - used))]


def _time_sections(survey: TraceSurvey) -> list[Section]:
    if survey.metadata.format == "scenario" or not survey.events:  # whose clock only counts events
        return []
    if _has_note(survey, "no-times"):
        return [Section("time", ["not recorded: the number of the line stands for it"])]
    if survey.first_ts >= _UNIX_TIMES:
        start = f"{datetime.fromtimestamp(survey.first_ts / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    else:
        start = f"{survey.first_ts / 1e9:,.6f} s of the recorder's clock"
    return [Section("time", [f"{format_duration(survey.span_ns)} from {start} on"])]


def _has_note(survey: TraceSurvey, code: str) -> bool:
    return any(note.code == code for note in survey.diagnostics)


def _process_lines(survey: TraceSurvey) -> list[str]:
    known = survey.processes - survey.unknown_processes
    lines = [
        f"{survey.processes:,}, of {known:,} it is known what they had mapped at first (image, or fork)"
        if survey.unknown_processes
        else f"{survey.processes:,}, each known from the first: by its image, or by its fork"
    ]
    if survey.execs:
        lines.append(f"{counted(survey.execs, 'exec')}, {survey.execs_with_image:,} with the new image")
    return lines


def _lost_line(survey: TraceSurvey) -> str:
    lost = survey.metadata.lost_events
    if not lost and not survey.loss_marks:
        return "no event"
    places = ", ".join(_place(place, survey.first_ts) for place in survey.loss_places)
    more = survey.loss_marks - len(survey.loss_places)
    how_many = counted(lost, "event") if lost else "events of unknown number"
    or_missing = ", or in the missing part of the file" if _has_note(survey, "events-missing") else ""
    return (
        f"{how_many} lost by the recorder{or_missing}"
        + (f": {places}" if places else "")
        + (f" and {more:,} more" if more else "")
    )


def _place(place: LossPlace, first_ts: int) -> str:
    how_many = f"{place.events:,}" if place.events else "some"
    if place.cpu < 0 and place.ts == first_ts:
        return f"{how_many} before the first event"  # a header tells that they were overwritten
    cpu = f" on CPU {place.cpu}" if place.cpu >= 0 else ""
    return how_many + cpu + (f" at line {place.line:,}" if place.line else "")


def _unreadable_lines(survey: TraceSurvey) -> list[str]:
    """Return each kind of unreadable lines with its places, or with the first one where they are many."""
    kinds = [loss_lines(loss) for loss in survey.losses]
    if sum(map(len, kinds)) > UNREADABLE_SHOWN:
        kinds = [kind[:2] for kind in kinds]
    return [line for kind in kinds for line in kind] or ["no line"]


def _page_sections(survey: TraceSurvey) -> list[Section]:
    told = [note.message for note in survey.diagnostics if note.code in _JOIN_CODES]
    if not told and survey.faults_with_frame and any(op in survey.events_by_op for op in _WALKED_BY_NAME):
        told = [
            f"{survey.faults_with_frame:,} of {counted(survey.faults, 'fault')} name their page (`frame`)"
        ]
    return [Section("pages", told)] if told else []


def _replay_lines(survey: TraceSurvey) -> list[str]:
    """Say what a replay of this trace can and cannot tell."""
    by_op = survey.events_by_op
    can, cannot = ["mappings and their merges"], []
    if "write_fault" in by_op:
        can.append("pages, copies and anon_vmas")
    elif survey.faults:
        cannot.append("pages and anon_vmas (no fault is known to be a write)")
    else:
        cannot.append("pages and anon_vmas (no fault is recorded)")
    if any(op in by_op for op in _WALKED_BY_NAME):
        can.append("walks of the pages that events name")
    elif "scan" in by_op:
        can.append("walks of pages that its own LRU chooses")
    else:
        cannot.append("walks (no reclaim is recorded)")
    if survey.unknown_processes:
        cannot.append(f"what {counted(survey.unknown_processes, 'process')} had mapped at first")
    if survey.execs > survey.execs_with_image:
        without = survey.execs - survey.execs_with_image
        cannot.append(f"what {counted(without, 'program')} began with (see --maps)")
    if survey.metadata.lost_events or survey.loss_marks:
        cannot.append("what lost events did")
    return [f"tells {', '.join(can)}", *([f"does not tell {', '.join(cannot)}"] if cannot else [])]


def _notes(survey: TraceSurvey, lines_left: int) -> list[str]:
    notes = [note for note in survey.diagnostics if note.code not in _JOIN_CODES]
    notes.sort(key=lambda note: _SEVERITIES.index(note.severity))
    texts = [f"{note.severity} {note.code}: {note.message}" for note in notes]
    shown: list[str] = []
    for number, text in enumerate(texts):
        to_come = len(texts) - number - 1
        if lines_left < 2 and to_come:
            return [*shown, f"and {to_come + 1:,} more; --json tells all in full"]
        if _height(Section("", [text])) > lines_left - to_come:
            text = textwrap.shorten(text, SCREEN_WIDTH - _MARGIN, placeholder=" …")
        shown.append(text)
        lines_left -= _height(Section("", [text]))
    return shown or ["none"]


def _height(section: Section) -> int:
    """Return how many lines of the screen a section takes."""
    return sum(max(1, len(textwrap.wrap(line, SCREEN_WIDTH - _MARGIN))) for line in section.lines)
