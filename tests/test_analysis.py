"""The Python entry points."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import anonvma_trace
import anonvma_trace.samples
from anonvma_trace.analysis import Replay
from anonvma_trace.errors import UsageError
from anonvma_trace.event_files import write_events
from anonvma_trace.parsers import scenario_trace
from anonvma_trace.tables import TABLES, empty_summary

SCENARIO = "map 10 20 rw; w 12,15; prot 13 16 r; referenced 12,15"


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    path = tmp_path / "some.scenario"
    path.write_text(SCENARIO)
    return anonvma_trace.replay_trace(path)


def test_the_package_offers_its_entry_points_lazily():
    assert {"read_trace", "replay_trace", "Replay", "__version__"} <= set(dir(anonvma_trace))
    assert anonvma_trace.Replay is Replay
    with pytest.raises(AttributeError, match="no attribute 'compare_worlds'"):
        anonvma_trace.compare_worlds  # noqa: B018


@pytest.mark.parametrize("name", TABLES)
def test_each_result_table_is_an_attribute_in_three_forms(replay: Replay, name: str):
    frame = getattr(replay, name)
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == TABLES[name].names
    assert isinstance(replay.to_pandas(name), pd.DataFrame)
    assert isinstance(replay.to_arrow(name), pa.Table)
    assert len(replay.to_pandas(name)) == replay.to_arrow(name).num_rows == frame.height
    assert name in dir(replay)


def test_walks_hold_what_the_scenario_did(replay: Replay):
    assert replay.walks["vmas_visited"].to_list() == [2, 3]
    assert replay.summary["reclaim"]["vmas_visited"] == 5


def test_an_unknown_attribute_is_an_attribute_error(replay: Replay):
    with pytest.raises(AttributeError, match="'wlaks'"):
        replay.wlaks  # noqa: B018


def test_a_replay_can_be_copied_and_pickled(replay: Replay):
    assert copy.copy(replay).walks.equals(replay.walks)
    assert pickle.loads(pickle.dumps(replay)).summary == replay.summary


def test_a_scheme_that_does_not_exist_is_wrong_usage_with_the_nearest_name():
    with pytest.raises(UsageError, match="anon_vma") as caught:
        anonvma_trace.replay_trace("split-order", scheme="anonvma")
    assert caught.value.exit_status == 2


def test_save_and_load_give_the_same_results(replay: Replay, tmp_path: Path):
    replay.save(tmp_path / "results")
    loaded = Replay.from_tables(Replay.load(tmp_path / "results"))
    assert loaded.summary == replay.summary
    assert all(loaded.frame(name).equals(replay.frame(name)) for name in TABLES)
    assert json.loads((tmp_path / "results" / "summary.json").read_text()) == replay.summary


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_a_replay_writes_reports(replay: Replay, tmp_path: Path, suffix: str):
    replay.report(tmp_path / f"report.{suffix}")
    text = (tmp_path / f"report.{suffix}").read_text(encoding="utf-8")
    assert "anon_vma" in text


def test_a_notebook_shows_figures_as_text_and_nothing_as_markup():
    summary = empty_summary()
    summary["trace"] |= {"path": "<script>alert(1)</script>", "events": 4512, "format": "ftrace"}
    html = Replay(summary, {})._repr_html_()
    assert "4,512 events" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_replay_names_its_trace_in_its_repr(replay: Replay):
    assert "some.scenario" in repr(replay)
    assert "anon_vma" in repr(replay)


def test_several_parts_are_read_as_one_recording(tmp_path: Path):
    sample = anonvma_trace.samples.get_sample("tiny-sh")
    lines = sample.path.read_text(encoding="utf-8").splitlines(keepends=True)
    middle = len(lines) // 2
    (tmp_path / "part1.txt").write_text("".join(lines[:middle]))
    (tmp_path / "part2.txt").write_text("".join(lines[middle:]))
    whole = anonvma_trace.read_trace("tiny-sh").table
    parts = anonvma_trace.read_trace([tmp_path / "part1.txt", tmp_path / "part2.txt"], maps=sample.maps).table
    columns = ["ts", "pid", "op", "addr", "len"]
    assert parts.select(columns).to_pylist() == whole.select(columns).to_pylist()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".jsonl"])
def test_a_converted_table_replays_with_the_settings_of_its_recording(tmp_path: Path, suffix: str):
    # Without snapshots the processes are unknown and their heaps rw: both stand in the table's metadata.
    recording = Path(__file__).parent.parent / "sample_traces" / "tiny-sh" / "tiny-sh.ftrace.txt"
    write_events(anonvma_trace.read_trace(recording), tmp_path / f"t{suffix}")
    converted = anonvma_trace.replay_trace(tmp_path / f"t{suffix}").summary
    direct = anonvma_trace.replay_trace(recording).summary
    assert direct["extra"]["invented_vmas"] > 0
    assert {k: v for k, v in converted.items() if k != "trace"} == {
        k: v for k, v in direct.items() if k != "trace"
    }


def test_what_stood_after_an_event():
    replay = anonvma_trace.replay_trace(scenario_trace("map 10 14 rw; w 12; fork m2; m2: exit"))
    moment = replay.at(3)
    assert moment.anon_vma_lists.select("position", "pid").rows() == [(1, 2), (2, 1)]
    assert moment.vmas["pid"].to_list() == [1, 2]
    page = moment.pages.filter(pl.col("pid") == 2).row(0, named=True)
    assert (page["addr"], page["kind"], page["mapcount"], page["writable"]) == (0xC000, "anonymous", 2, False)
    assert replay.at(0).pages.is_empty()
    with pytest.raises(UsageError, match="from 1 to 4"):
        replay.at(5)


def test_saved_results_cannot_be_replayed_again(tmp_path):
    replay = anonvma_trace.replay_trace(scenario_trace("map 10 14 rw"))
    replay.save(tmp_path)
    with pytest.raises(UsageError, match="saved results"):
        Replay.from_tables(Replay.load(tmp_path)).at(1)
