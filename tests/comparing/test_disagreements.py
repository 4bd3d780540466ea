"""Joining what several replays observed, against a plain join of dictionaries."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np

from anonvma_trace.comparing.disagreements import EVENTS_KEPT, WALKS_KEPT, Disagreements
from anonvma_trace.comparing.observations import NO_ATTEMPT, Observations, attempt_text
from anonvma_trace.replay.layout import DIAGNOSTICS

NAMES = ("a", "b", "c")
CASES = [case << 8 | left << 4 | 1 for case in range(4) for left in (0, 4)]  # codes of single attempts
FINDING = [severity for severity, _, _ in DIAGNOSTICS].index("finding")


def random_events(rng: random.Random, first: int) -> list[dict[str, dict[int, int]]]:
    """Return, for each replay, codes by event, visited by event, found by event."""
    events = range(first, first + 40)
    return [
        {
            "codes": {event: rng.choice(CASES) for event in events if rng.random() < 0.6},
            "visited": {event: rng.randrange(30) for event in events if rng.random() < 0.7},
            "findings": dict.fromkeys([event for event in events if rng.random() < 0.1], FINDING),
        }
        for _ in NAMES
    ]


def observations(replay: dict[str, dict[int, int]]) -> Observations:
    def arrays(of: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(list(of), np.int64), np.array(list(of.values()), np.int64)

    events, visited = arrays(replay["visited"])
    return Observations(*arrays(replay["codes"]), events, visited, visited // 7, *arrays(replay["findings"]))


def case(code: int) -> int:
    return 0 if code == NO_ATTEMPT else code >> 8


def test_disagreements_are_those_of_a_plain_join():
    rng = random.Random(5)
    joined = Disagreements(NAMES, "b")
    kinds: Counter[tuple[int, ...]] = Counter()
    first_events: dict[tuple[int, ...], list[int]] = {}
    against = {name: Counter() for name in NAMES}
    spreads, found = [], Counter()
    for first in (1, 41, 81, 121):
        replays = random_events(rng, first)
        joined.add([observations(replay) for replay in replays])
        for event in range(first, first + 40):
            codes = tuple(replay["codes"].get(event, NO_ATTEMPT) for replay in replays)
            visited = [replay["visited"].get(event, 0) for replay in replays]
            if len(set(map(case, codes))) > 1:
                kinds[codes] += 1
                first_events.setdefault(codes, []).append(event)
            for at, name in enumerate(NAMES):
                ours, theirs = case(codes[at]), case(codes[1])
                against[name]["merged_more"] += bool(ours) > bool(theirs)
                against[name]["merged_fewer"] += bool(ours) < bool(theirs)
                against[name]["merged_otherwise"] += ours != theirs and bool(ours) == bool(theirs)
                against[name]["visited_more"] += visited[at] > visited[1]
                against[name]["visited_fewer"] += visited[at] < visited[1]
                against[name]["found_otherwise"] += visited[at] // 7 != visited[1] // 7
                if event in replays[at]["findings"]:
                    found[name] += 1
            if max(visited) > min(visited):
                spreads.append((min(visited) - max(visited), event, *visited))
    assert {name: dict(counts) for name, counts in against.items()} == joined.against

    outcomes = joined.merge_outcomes()
    assert outcomes["events"].to_list() == sorted(kinds.values(), reverse=True)
    told = {row[2:]: (row[0], row[1]) for row in outcomes.rows()}
    assert told == {
        tuple(map(attempt_text, codes)): (n, ", ".join(map(str, first_events[codes][:EVENTS_KEPT])))
        for codes, n in kinds.items()
    }
    assert joined.walk_differences().rows() == [row[1:] for row in sorted(spreads)[:WALKS_KEPT]]
    assert {row["scheme"]: row["times"] for row in joined.findings().to_dicts()} == dict(found)


def test_where_all_agree_there_is_nothing_to_tell():
    joined = Disagreements(NAMES, "a")
    replay = random_events(random.Random(1), 1)[0] | {"findings": {}}
    joined.add([observations(replay)] * 3)
    assert joined.merge_outcomes().is_empty() and joined.walk_differences().is_empty()
    assert joined.findings().is_empty()
    assert not any(count for counts in joined.against.values() for count in counts.values())
