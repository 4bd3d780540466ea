"""Result tables that go to disk while a replay runs: the same rows, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import anonvma_trace
from anonvma_trace import table_sinks
from anonvma_trace.analysis import Replay
from anonvma_trace.errors import OutputError, UsageError
from anonvma_trace.reports import build_report, render_markdown
from anonvma_trace.result_tables import ResultTables
from anonvma_trace.table_sinks import TablesInMemory, TablesOnDisk
from anonvma_trace.tables import TABLES, empty_summary

NAMES = {f"{name}.parquet" for name in TABLES} | {"summary.json"}


def members(begin: int, end: int) -> pa.RecordBatch:
    column = pa.array(np.arange(begin, end))
    return pa.RecordBatch.from_arrays([column] * 4, schema=TABLES["members"])


def files_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("sample", ["zoo", "tiny-sh", "split-order"])
def test_a_replay_that_saves_has_the_tables_of_one_in_memory(sample: str, tmp_path: Path):
    in_memory = anonvma_trace.replay_trace(sample)
    saved = anonvma_trace.replay_trace(sample, save=tmp_path / "results")
    assert files_in(tmp_path / "results") == NAMES
    assert saved.summary == in_memory.summary
    assert json.loads((tmp_path / "results" / "summary.json").read_text()) == saved.summary
    for name in TABLES:
        assert saved.frame(name).equals(in_memory.frame(name)), name
        assert saved.lazy(name).collect().equals(in_memory.frame(name)), name
        assert saved.height(name) == in_memory.height(name) == saved.to_arrow(name).num_rows
        assert saved.to_arrow(name).schema.equals(TABLES[name])


def test_a_report_from_files_equals_one_from_memory(tmp_path: Path):
    when = {"generated_at": build_report(ResultTables(empty_summary(), {})).generated_at}
    in_memory, saved = anonvma_trace.replay_trace("zoo"), anonvma_trace.replay_trace("zoo", save=tmp_path)
    assert render_markdown(build_report(saved, **when)) == render_markdown(build_report(in_memory, **when))


def test_rows_go_to_the_file_when_enough_have_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table_sinks, "ROWS_AT_ONCE", 100)
    with TablesOnDisk(tmp_path) as files:
        for begin in range(0, 1000, 30):
            files.add("members", members(begin, min(begin + 30, 1000)))
            assert sum(batch.num_rows for batch in files._waiting["members"]) < 100
        results = files.finish(empty_summary())
    assert results.to_arrow("members")["anon_vma"].to_pylist() == list(range(1000))
    assert pq.read_metadata(tmp_path / "members.parquet").num_row_groups == 9


def test_results_that_are_already_there_stand_until_new_ones_are_complete(tmp_path: Path):
    anonvma_trace.replay_trace("split-order", save=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ZeroDivisionError), TablesOnDisk(tmp_path) as files:
        files.add("members", members(0, 10))
        raise ZeroDivisionError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupted_replay_leaves_no_file(tmp_path: Path):
    def interrupt(done: int, total: int, message: str) -> None:
        if message == "gathering results":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anonvma_trace.replay_trace("split-order", save=tmp_path / "results", progress=interrupt)
    assert files_in(tmp_path / "results") == set()


def test_a_directory_that_cannot_be_made_is_told_before_the_replay(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a directory that can be written"):
        anonvma_trace.replay_trace("split-order", save=tmp_path / "file" / "results")


def test_saved_results_can_be_saved_elsewhere_and_over_themselves(tmp_path: Path):
    saved = anonvma_trace.replay_trace("zoo", save=tmp_path / "a")
    saved.save(tmp_path / "b")
    saved.save(tmp_path / "a")
    for directory in ("a", "b"):
        loaded = Replay.from_tables(Replay.load(tmp_path / directory))
        assert files_in(tmp_path / directory) == NAMES
        assert all(loaded.frame(name).equals(saved.frame(name)) for name in TABLES)


def test_a_table_that_was_not_kept_is_no_empty_table():
    replay = anonvma_trace.replay_trace("split-order", tables=["diagnostics"])
    assert replay.diagnostics.columns == TABLES["diagnostics"].names
    assert not replay.keeps("walks")
    with pytest.raises(UsageError, match="it kept diagnostics"):
        replay.walks  # noqa: B018
    assert "diagnostics" in replay._repr_html_()


def test_a_table_that_there_is_not_cannot_be_kept():
    with pytest.raises(UsageError, match="did you mean 'walks'"):
        anonvma_trace.replay_trace("split-order", tables=["walk"])


def test_tables_in_memory_drop_what_is_not_wanted():
    tables = TablesInMemory(["walks"])
    tables.add("members", members(0, 3))
    assert not tables.wants("members")
    assert tables.tables() == {}
