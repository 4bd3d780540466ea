"""The worked examples hold in every implementation of the replay."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from .core_state import CoreReplay
from .naive import NaiveReplay
from .scenario_text import scenario_rows
from .worked_examples import EXAMPLES, Example

FLAG_LETTERS = {"ACCOUNT": "A", "SHARED": "S", "GROWSDOWN": "G", "LOCKED": "L"}
MISSES = ("rss", "range", "none", "swap", "other")


class Observed(Protocol):
    """What an implementation shows after a replay; shapes as in `NaiveReplay`."""

    merges: list[dict[str, Any]]
    walks: list[dict[str, Any]]
    file_walks: list[dict[str, Any]]

    def state(self) -> dict[str, Any]: ...
    def summary(self) -> dict[str, Any]: ...
    def vma_span_rows(self) -> list[dict[str, Any]]: ...


def replay_naively(rows, rules) -> Observed:
    replay = NaiveReplay(rules=rules)
    for row in rows:
        replay.feed(row)
        assert replay.violations() == []
    return replay


def replay_compiled(rows, rules) -> Observed:
    replay = CoreReplay(rules=rules)
    replay.feed(*rows)
    return replay


IMPLEMENTATIONS = {"naive": replay_naively, "core": replay_compiled}
"""Name -> function that replays rows (dicts) under some rules and returns something `Observed`."""


@pytest.fixture(params=IMPLEMENTATIONS)
def replay(request):
    return IMPLEMENTATIONS[request.param]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_worked_example(replay, example: Example):
    observed = replay(scenario_rows(example.scenario), example.rules)
    state = observed.state()
    vma_names = {
        (row["pid"], row["start"] >> 12): f"v{row['vma']}"
        for row in observed.vma_span_rows()
        if row["to_event"] is None
    }
    for pid, layout in example.layout.items():
        vmas = state["mms"][pid]["vmas"]
        render = render_vma_before_rmap39 if "merge_pre_rmap39" in example.rules else render_vma
        assert "; ".join(render(vma_names[pid, vma[0]], vma) for vma in vmas) == layout
    if example.lists is not None:
        lists = {
            a: " ".join(vma_names[member] for member in members) for a, members in state["anon_vmas"].items()
        }
        assert lists == example.lists
    for pid, ptes in example.ptes.items():
        assert ", ".join(render_pte(*item) for item in state["mms"][pid]["ptes"].items()) == ptes
    for pid, young in example.young.items():
        assert render_young(state["mms"][pid]["ptes"]) == young
    for pid, rss in example.rss.items():
        assert (pid, state["mms"][pid]["rss"]) == (pid, rss)
    for page, text in example.pages.items():
        assert (page, render_page(state["pages"][page])) == (page, text)
    if example.slots is not None:
        assert {slot: render_slot(*value) for slot, value in state["slots"].items()} == example.slots
    for name in ("active", "inactive"):
        if getattr(example, name) is not None:
            assert " ".join(f"p{page}" for page in state[name]) == getattr(example, name)
    compare_last(example.merges, [render_merge(row) for row in observed.merges])
    compare_last(example.walks, [render_walk(row) for row in observed.walks])
    compare_last(example.file_walks, [render_walk(row) for row in observed.file_walks])
    summary = observed.summary()
    assert {path: look_up(summary, path) for path in example.figures} == example.figures


def compare_last(expected, rendered):
    """Compare as many of the last rows as the example states."""
    if expected:
        lines = [line.strip() for line in expected.split(";")]
        assert rendered[-len(lines) :] == lines


def look_up(summary, path):
    for key in path.split("."):
        summary = summary[key]
    return summary


def render_vma(name, vma):
    *_, pgoff, file, anon_vma = vma
    text = f"{render_range(name, vma)} {pgoff} {f'a{anon_vma}' if anon_vma else '-'}"
    return f"{text} {file}" if file else text


def render_vma_before_rmap39(name, vma):
    """Leave out what is not defined."""
    *_, pgoff, file, _ = vma
    return f"{render_range(name, vma)} {pgoff} {file}" if file else render_range(name, vma)


def render_range(name, vma):
    start, end, flags, prot, *_ = vma
    access = "".join(letter for bit, letter in ((1, "r"), (2, "w"), (4, "x")) if prot & bit)
    letters = "".join(FLAG_LETTERS[flag] for flag in reversed(flags.split("|")) if flag)
    return f"{name} {start}-{end} {access + letters or '-'}"


def render_pte(vpn, pte):
    kind, *rest = pte
    if kind == "page":
        return f"{vpn} p{rest[0]}{'w' if rest[1] else ''}"
    if kind == "file":
        return f"{vpn} {rest[0]}+{rest[1]}{'w' if rest[2] else ''}"
    return f"{vpn} s{rest[0]}" if kind == "swap" else f"{vpn} zero"


def render_young(ptes):
    position = {"page": 3, "file": 4, "zero": 1}  # of the young bit
    return " ".join(str(vpn) for vpn, pte in ptes.items() if pte[0] in position and pte[position[pte[0]]])


def render_page(page):
    mapcount, _, mapping, dangling, index, *_ = page
    return f"{mapcount} a{mapping}{'!' if dangling else ''} {index}" if mapcount else "0"


def render_slot(uses, cached):
    return f"{uses} {f'p{cached}' if cached else '-'}"


def render_merge(row):
    start = row["addr"] >> 12
    text = f"{start}-{start + (row['len'] >> 12)} case {row['case']}"
    told = False
    for side in ("left", "right"):
        reason = row[side]
        text += f" {'-' if reason == 'not_adjacent' else reason}"
        if reason == "pgoff_anon" and not told:
            text += f"({row['pgoff_anon_vma']})"
            told = True
        text += "!" if row[side + "_new"] else ""
    return text + (" self" if row["self"] else "")


def render_walk(row):
    parts = [f"{miss} {row['miss_' + miss]}" for miss in MISSES if row["miss_" + miss]]
    parts += [f"{name} {row[name]}" for name in ("hits", "unreachable") if row[name]]
    parts += ["early"] if row["early_stop"] else []
    return f"{row['vmas_visited']}: {', '.join([*parts, row['outcome']])}"
