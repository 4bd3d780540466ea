"""Codes for what became of merge attempts, against rows written out."""

from __future__ import annotations

import numpy as np
import pytest

from anonvma_trace.comparing.observations import (
    NO_ATTEMPT,
    Observer,
    attempt_text,
    merges_of,
    results_of,
)
from anonvma_trace.replay.layout import DIAGNOSTICS, LOG_FIELDS
from anonvma_trace.tables import MERGE_SIDES


def rows_of(region: str, *rows: dict[str, int]) -> np.ndarray:
    return np.array([[row.get(field, 0) for field in LOG_FIELDS[region]] for row in rows], np.int64).reshape(
        len(rows), len(LOG_FIELDS[region])
    )


def attempt(event: int, case: int, left: str = "not_adjacent", right: str = "not_adjacent") -> dict[str, int]:
    return {
        "event": event,
        "case": case,
        "left": MERGE_SIDES.index(left),
        "right": MERGE_SIDES.index(right),
    }


def observe(*attempts: dict[str, int]):
    observer = Observer()
    observer.taps["merges"](rows_of("merges", *attempts))
    return observer.take()


@pytest.mark.parametrize(
    ("attempts", "text", "merges"),
    [
        ([attempt(1, 2, "ok")], "case 2", 1),
        ([attempt(1, 2, "ok", "prev_next")], "case 2; right prev_next", 1),
        ([attempt(1, 0)], "not merged", 0),
        ([attempt(1, 0, "flags", "pgoff_anon")], "not merged; left flags; right pgoff_anon", 0),
        (
            [attempt(1, 8), *[attempt(1, 7, "ok", "prev_next")] * 4],
            "4 × case 7, case 8; first refusal prev_next",
            5,
        ),
        ([attempt(1, 0, "cloned"), attempt(1, 0, "flags")], "2 × not merged; first refusal cloned", 0),
    ],
)
def test_a_code_tells_what_became_of_an_event_s_attempts(attempts, text, merges):
    seen = observe(*attempts)
    assert seen.merge_events.tolist() == [1]
    assert attempt_text(int(seen.merge_codes[0])) == text
    assert merges_of(seen.merge_codes).tolist() == [merges]


def test_an_event_without_attempt_and_one_that_was_refused_leave_the_same_vmas():
    refused = observe(attempt(1, 0, "flags"), attempt(2, 0), attempt(2, 0)).merge_codes
    assert results_of(np.append(refused, NO_ATTEMPT)).tolist() == [0, results_of(refused)[1], 0]
    assert merges_of(np.append(refused, NO_ATTEMPT)).tolist() == [0, 0, 0]
    assert results_of(refused)[1] == results_of(observe(attempt(2, 0), attempt(2, 0)).merge_codes)[0]


def test_the_reason_of_a_refusal_is_no_part_of_the_result():
    same = [(attempt(1, 0, "flags"), attempt(1, 0, "cloned")), (attempt(1, 2), attempt(1, 2, "ok", "flags"))]
    for first, second in same:
        assert results_of(observe(first).merge_codes) == results_of(observe(second).merge_codes)
    assert results_of(observe(attempt(1, 2)).merge_codes) != results_of(observe(attempt(1, 1)).merge_codes)


def test_walks_of_one_event_are_added_up():
    observer = Observer()
    walks = [
        {"event": 4, "vmas_visited": 3, "hits": 1},
        {"event": 4, "vmas_visited": 2},
        {"event": 9, "hits": 5},
    ]
    observer.taps["walks"](rows_of("walks", *walks[:1]))
    observer.taps["walks"](rows_of("walks", *walks[1:]))
    seen = observer.take()
    assert [each.tolist() for each in (seen.walk_events, seen.visited, seen.found)] == [
        [4, 9],
        [5, 0],
        [1, 5],
    ]
    assert len(observer.take().walk_events) == 0  # taken is taken


def test_only_findings_are_kept_of_diagnostics():
    observer = Observer()
    codes = {severity: at for at, (severity, _, _) in enumerate(DIAGNOSTICS)}
    told = [{"event": 3, "code": codes["warning"]}, {"event": 5, "code": codes["finding"]}]
    observer.taps["diagnostics"](rows_of("diagnostics", *told))
    seen = observer.take()
    assert seen.finding_events.tolist() == [5] and seen.finding_codes.tolist() == [codes["finding"]]
