"""The bundled samples: complete, small, found by name, and their stated figures true."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import anonvma_trace
from anonvma_trace import samples
from anonvma_trace.errors import TraceAccessError, UsageError

EXPECTATION = re.compile(r"^# expect (?P<key>\S+) = (?P<value>\d+)$", re.MULTILINE)
FIGURE = re.compile(r"`(?P<key>[a-z_0-9.]+)` = (?P<value>\d[\d,]*)")
RECORDINGS = [sample for sample in samples.list_samples() if sample.kind == "recording"]
SCENARIOS = [sample for sample in samples.list_samples() if sample.kind == "scenario"]


def _names(found: list[samples.Sample]) -> list[str]:
    return [sample.name for sample in found]


def _figure(summary: dict, key: str) -> int:
    value = summary
    for part in key.split("."):
        value = value[part]
    return value


@functools.cache
def replay_of(name: str) -> anonvma_trace.Replay:
    return anonvma_trace.replay_trace(name)


def test_there_are_five_or_more_recordings_and_the_worked_examples():
    assert len(RECORDINGS) >= 5
    assert {"split-order", "hole-filling", "alternating-protections", "boundary-shift-loses-page"} <= set(
        _names(SCENARIOS)
    )


def test_names_are_unique():
    names = _names(samples.list_samples())
    assert len(names) == len(set(names))


def test_all_samples_together_stay_small():
    files = [path for path in samples.samples_directory().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000


@pytest.mark.parametrize("sample", RECORDINGS, ids=_names(RECORDINGS))
def test_a_recording_says_how_it_was_made_and_what_it_shows(sample):
    readme = (sample.path.parent / "README.md").read_text(encoding="utf-8")
    assert sample.description.endswith(".")
    assert "## How it was made" in readme
    assert "## What it shows" in readme


@pytest.mark.parametrize("sample", SCENARIOS, ids=_names(SCENARIOS))
def test_a_scenario_has_the_figures_it_states(sample):
    expected = {match["key"]: int(match["value"]) for match in EXPECTATION.finditer(sample.path.read_text())}
    assert expected, "a scenario states at least one figure of its summary"
    assert sample.description.endswith(".")
    summary = anonvma_trace.replay_trace(sample.name).summary
    assert {key: _figure(summary, key) for key in expected} == expected


@pytest.mark.compiled
@pytest.mark.parametrize("sample", RECORDINGS, ids=_names(RECORDINGS))
def test_a_recording_replays_from_its_own_snapshots(sample):
    replay = replay_of(sample.name)
    summary = replay.summary
    faults = replay.processes["faults"].sum()
    assert summary["trace"]["events"] > 500
    assert summary["trace"]["unreadable_lines"] == 0
    assert (summary["trace"]["lost_events"] > 0) == (sample.name == "zoo-overwrite")
    assert summary["unmapped_faults"] < 0.01 * faults or sample.name == "zoo-overwrite"
    assert summary["anon_vmas"]["allocated"] > 0
    lost = {name: summary["extra"][name] for name in ("lossy_merges", "lossy_moves", "ptes_lost")}
    assert set(lost.values()) == {0}, "docs/exactness.md says that the defects D1 and D2 lose nothing here"


@pytest.mark.compiled
@pytest.mark.parametrize("sample", RECORDINGS, ids=_names(RECORDINGS))
def test_figures_in_a_recordings_readme_are_true(sample):
    """Figures stand in the README as `KEY` = N, KEY a path in the summary."""
    readme = (sample.path.parent / "README.md").read_text(encoding="utf-8")
    stated = {match["key"]: int(match["value"].replace(",", "")) for match in FIGURE.finditer(readme)}
    assert len(stated) >= 2
    summary = replay_of(sample.name).summary
    assert {key: _figure(summary, key) for key in stated} == stated


def test_find_sample_takes_names_only():
    assert samples.find_sample("zoo") is not None
    assert samples.find_sample("") is None
    assert samples.find_sample("..") is None
    assert samples.find_sample("scenarios") is None
    assert samples.find_sample("zoo/zoo") is None


def test_an_unknown_sample_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'hole-filling'"):
        samples.get_sample("hole-fillin")
    with pytest.raises(UsageError, match="lists them"):
        samples.get_sample("qqqqqq")


def test_read_trace_suggests_the_nearest_sample_for_a_missing_file():
    with pytest.raises(TraceAccessError, match="did you mean 'swapfork'"):
        anonvma_trace.read_trace("swap-fork")


def test_a_file_in_the_current_directory_wins_over_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split-order").write_text("map 1 2 rw; w 1\n")
    assert anonvma_trace.read_trace("split-order", format="scenario").table.num_rows == 2


def test_a_directory_does_not_hide_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split-order").mkdir()
    assert anonvma_trace.read_trace("split-order").table.num_rows > 2
