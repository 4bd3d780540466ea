"""Event tables of every form: complete, converted where another tool wrote them, refused where damaged."""

import io
import json
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from anonvma_trace.errors import EmptyTraceError, TraceAccessError, TraceSyntaxError, UsageError
from anonvma_trace.event_files import SUFFIXES, write_events
from anonvma_trace.events import TraceMetadata, batch_from_columns
from anonvma_trace.parsers import open_trace, scenario_trace
from anonvma_trace.parsers.tabular import metadata_path

from .event_tables import places, rows_of, rows_read, trace_of


def test_parquet_of_another_tool_is_converted(tmp_path):
    frame = pl.DataFrame(
        {
            "op": ["mmap", "exit", "exit"],
            "ts": [1.0, 2.0, 3.0],
            "pid": ["7", "0x8", None],
            "addr": [4096, None, None],
            "comm": pl.Series(["sh", None, None], dtype=pl.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ipc(tmp_path / "t.arrow")
    frame.write_ipc_stream(tmp_path / "s.arrow")
    for name in ("t.parquet", "t.arrow", "s.arrow"):
        trace = open_trace([str(tmp_path / name)])
        assert [row[:6] for row in rows_of(trace)] == [
            (1, None, 7, None, "sh", "mmap"),
            (2, None, 8, None, None, "exit"),
        ]
        assert trace.table.column("line").to_pylist() == [1, 2]
        assert places(trace) == [("missing-value", 3, 0, "pid: found None")]
        assert trace.metadata == TraceMetadata(name[2:], str(tmp_path / name), unreadable_lines=1)


def test_binary_values_that_do_not_fit_are_told_by_row(tmp_path):
    n = 5000
    columns = {"ts": list(range(n)), "pid": [1] * n, "op": ["exit"] * n, "prot": [7] * n, "cpu": [0] * n}
    columns["prot"][1234], columns["cpu"][77], columns["op"][4999] = 256, 1 << 20, None
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    trace = open_trace([str(tmp_path / "t.parquet")])
    assert trace.table.num_rows == n - 2
    assert trace.table.column("cpu").null_count == 1
    assert sorted(places(trace)) == [
        ("bad-value", 78, 0, "cpu: expected an integer from -32768 to 32767, found 1048576"),
        ("bad-value", 1235, 0, "prot: expected an integer from 0 to 255, found 256"),
        ("missing-value", 5000, 0, "op: found None"),
    ]
    assert trace.metadata.unreadable_lines == 2


def test_a_time_column_is_taken_in_nanoseconds(tmp_path):
    table = pa.table({"ts": pa.array([1, 2], pa.timestamp("us")), "pid": [1, 1], "op": ["exit", "exit"]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert open_trace([str(tmp_path / "t.parquet")]).table.column("ts").to_pylist() == [1000, 2000]


@pytest.mark.parametrize("values", [[[1], [2]], [True, False]])
def test_a_column_of_a_type_that_cannot_be_converted_is_refused(tmp_path, values):
    pq.write_table(
        pa.table({"ts": [1, 2], "pid": [1, 1], "op": ["exit"] * 2, "addr": values}), tmp_path / "t.parquet"
    )
    with pytest.raises(TraceSyntaxError, match="in column 'addr', found values of type"):
        open_trace([str(tmp_path / "t.parquet")]).table  # noqa: B018


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.97])
def test_a_binary_table_that_was_cut_off_is_refused(tmp_path, suffix, keep):
    path = tmp_path / f"t{suffix}"
    write_events(scenario_trace("map 16 20 rw; w 16,17"), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(TraceAccessError) as caught:
        open_trace([str(path)]).table  # noqa: B018
    assert caught.value.expected.startswith("a complete")
    assert "\n" not in caught.value.found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_compressed_tables_and_standard_input_are_read(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    trace = scenario_trace("map 16 20 rw; w 16,17; fork m2")
    write_events(trace, path)
    packed = tmp_path / f"t{suffix}.zst"
    packed.write_bytes(zstandard.compress(path.read_bytes()))
    read = open_trace([str(packed)])
    assert rows_of(read) == rows_of(trace)
    assert read.metadata == trace.metadata  # CSV, JSON Lines: from the file beside the uncompressed name
    script = "from anonvma_trace.parsers import open_trace; print(open_trace(['-']).table.num_rows)"
    with path.open("rb") as file:
        piped = subprocess.run(
            [sys.executable, "-c", script],
            stdin=file,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    assert piped.stdout == "4\n"


def test_a_pipe_is_read_once(monkeypatch):
    content = b"ts,pid,op\n1,1,exit\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    trace = open_trace(["-"])
    assert sum(batch.num_rows for batch in trace.batches()) == 1
    with pytest.raises(UsageError, match="read twice"):
        list(trace.batches())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_a_readable_row_is_refused(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    rows = {"ts": [1], "pid": [1], "op": ["nonsense"]}
    write_events(trace_of([batch_from_columns(rows, 1)]), path)
    with pytest.raises(EmptyTraceError, match="found 1 rows, none of which could be read") as caught:
        open_trace([str(path)]).table  # noqa: B018
    assert "op: found 'nonsense'" in caught.value.hint


def test_a_table_without_rows_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    write_events(trace_of([]), path)
    with pytest.raises(EmptyTraceError, match="found a table without rows"):
        open_trace([str(path)]).table  # noqa: B018


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_unknown_columns_are_told(tmp_path, name):
    path = tmp_path / name
    frame = pl.DataFrame(
        {"ts": [1, 2], "pid": [1, 1], "op": ["exit"] * 2, "adress": [1, None], "note": [None, "x"]}
    )
    write = {"t.csv": frame.write_csv, "t.jsonl": frame.write_ndjson, "t.parquet": frame.write_parquet}[name]
    write(path)
    trace = open_trace([str(path)])
    assert trace.table.num_rows == 2
    assert sorted(diagnostic.message for diagnostic in trace.diagnostics) == [
        "column 'adress' is not one of an event table and was not read; did you mean 'addr'?",
        "column 'note' is not one of an event table and was not read",
    ]


def test_events_lost_are_counted_where_no_metadata_tell_them(tmp_path):
    trace, _ = rows_read(tmp_path, "t.csv", "ts,pid,op,len\n1,1,exit,\n2,0,lost,30\n3,0,lost,\n4,0,lost,12\n")
    assert trace.metadata.lost_events == 42


def write_with_metadata(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text("ts,pid,op\n1,1,exit\n2,1,nonsense\n")
    if text is not None:
        metadata_path(path).write_text(text)
    return str(path)


def test_a_table_without_metadata_is_complete_with_rwx(tmp_path):
    path = write_with_metadata(tmp_path, None)
    trace = open_trace([path])
    assert trace.table.num_rows == 1
    assert trace.metadata == TraceMetadata("csv", path, complete=True, brk_flags="rwx", unreadable_lines=1)


def test_metadata_beside_the_table_are_read_and_own_losses_added(tmp_path):
    stored = TraceMetadata("ftrace", "a.ftrace", False, (3, 4), "rw", 5, 6)
    trace = open_trace([write_with_metadata(tmp_path, json.dumps(stored.to_strings()))])
    assert trace.table.num_rows == 1
    assert trace.metadata == stored.with_changes(unreadable_lines=7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "t.csv.meta.json:1:2: expected a JSON object, found expecting property name"),
        ("[1]", "t.csv.meta.json:1:1: expected a JSON object, found a list"),
        ('{"anonvma_trace.complete": "yes"}', "expected '0' or '1' in anonvma_trace.complete, found 'yes'"),
        (
            '{"anonvma_trace.known_pids": [1]}',
            "expected a text or number for 'anonvma_trace.known_pids', found [1]",
        ),
        ('{"anonvma_trace.schema": 2}', "expected anonvma_trace.schema up to 1, found '2'"),
    ],
)
def test_broken_metadata_are_refused_because_they_decide_the_result(tmp_path, text, message):
    with pytest.raises(TraceSyntaxError) as caught:
        open_trace([write_with_metadata(tmp_path, text)]).table  # noqa: B018
    assert message in str(caught.value)
