"""Event tables written: they read back the same, and a target is whole or not there."""

import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.errors import OutputError, TraceAccessError, UsageError
from anonvma_trace.event_files import SUFFIXES, write_events
from anonvma_trace.events import EVENT_SCHEMA, OPS, TraceMetadata, batch_from_columns
from anonvma_trace.parsers import open_trace, scenario_trace

from .parsers.event_tables import rows_of, trace_of

HEADER = ",".join(EVENT_SCHEMA.names)


def column_values(column):
    if column.name == "op":
        return st.sampled_from(OPS)
    if pa.types.is_dictionary(column.type):
        values = st.text(max_size=12) | st.sampled_from(
            ["", "null", "NA", '"', "a,b", " x ", "0x10", "\r\n", "#"]
        )
    else:
        bits, signed = column.type.bit_width, pa.types.is_signed_integer(column.type)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        values = st.integers(low, high)
    return st.none() | values if column.nullable else values


events_rows = st.lists(st.tuples(*map(column_values, EVENT_SCHEMA)), min_size=1, max_size=12)
metadatas = st.builds(
    TraceMetadata,
    format=st.sampled_from(["ftrace", "scenario"]),
    source=st.text(min_size=1, max_size=9),
    complete=st.booleans(),
    known_pids=st.lists(st.integers(0, 1 << 22), max_size=3).map(tuple),
    brk_flags=st.sampled_from(["rw", "rwx"]),
    lost_events=st.integers(0, 1 << 40),
    unreadable_lines=st.integers(0, 1 << 40),
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(parts=st.lists(events_rows, min_size=1, max_size=3), metadata=metadatas)
@settings(max_examples=60, deadline=None)
def test_a_table_reads_back_as_it_was_written(tmp_path_factory, suffix, parts, metadata):
    batches = [
        batch_from_columns(dict(zip(EVENT_SCHEMA.names, zip(*rows, strict=True), strict=True)), len(rows))
        for rows in parts
    ]
    path = tmp_path_factory.mktemp("table") / f"events{suffix}"
    written = trace_of(batches, metadata)
    assert write_events(written, path) == sum(map(len, parts))
    read = open_trace([str(path)])
    assert rows_of(read) == [row for rows in parts for row in rows]
    assert read.table.schema.equals(written.table.schema, check_metadata=True)
    assert read.metadata == metadata
    assert (read.format, read.losses, read.diagnostics) == (suffix[1:], [], [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_of_many_batches_with_growing_dictionaries_reads_back(tmp_path, suffix):
    batches = [
        batch_from_columns(
            {
                "ts": range(start, start + 40_000),
                "pid": [start] * 40_000,
                "op": ["write_fault"] * 40_000,
                "comm": [f"task {start}", None] * 20_000,
                "addr": [(1 << 64) - 4096 - n for n in range(40_000)],
            },
            40_000,
        )
        for start in range(0, 160_000, 40_000)
    ]
    path = tmp_path / f"events{suffix}"
    counts = []
    assert write_events(trace_of(batches), path, counts.append) == 160_000
    assert counts[-1] == 160_000
    trace = open_trace([str(path)])
    assert sum(batch.num_rows for batch in trace.batches()) == 160_000
    assert max(batch.num_rows for batch in trace.batches()) <= 1 << 17  # read in batches
    assert trace.table.column("comm").to_pylist() == [
        row for b in batches for row in b.column("comm").to_pylist()
    ]
    assert trace.table.column("addr").to_pylist()[-1] == (1 << 64) - 4096 - 39_999
    assert trace.stream.bytes_read == trace.stream.bytes_total == path.stat().st_size


def test_parquet_and_arrow_carry_the_metadata_where_other_tools_look(tmp_path):
    trace = scenario_trace("map 16 20 rw; w 16")
    for suffix in (".parquet", ".arrow"):
        write_events(trace, tmp_path / f"t{suffix}")
    strings = {key.encode(): value.encode() for key, value in trace.metadata.to_strings().items()}
    assert pq.read_schema(tmp_path / "t.parquet").metadata == strings
    with pa.ipc.open_file(tmp_path / "t.arrow") as file:
        assert file.schema.metadata == strings
    assert pl.read_parquet(tmp_path / "t.parquet")["op"].to_list() == ["mmap", "write_fault"]
    assert pl.read_ipc(tmp_path / "t.arrow")["op"].to_list() == ["mmap", "write_fault"]


@pytest.mark.parametrize("name", ["t.txt", "t", "t.csv.gz", "-"])
def test_an_unknown_suffix_is_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.parquet, \.arrow, \.csv, \.jsonl"):
        write_events(scenario_trace("w 1"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_trace_that_breaks_off_leaves_no_file(tmp_path, suffix):
    def batches():
        yield batch_from_columns({"ts": [1], "pid": [1], "op": ["exit"]}, 1)
        raise TraceAccessError("a.ftrace", expected="a readable file", found="an error of the disk")

    target = tmp_path / f"t{suffix}"
    target.write_text("what was here before")
    with pytest.raises(TraceAccessError):
        write_events(trace_of(batches()), target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.read_text() == "what was here before"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_targets_that_cannot_be_written_are_told(tmp_path, suffix):
    trace = scenario_trace("w 1")
    (tmp_path / "file").touch()
    (tmp_path / f"folder{suffix}").mkdir()
    for target, found in [
        (tmp_path / "none" / f"t{suffix}", "No such file or directory"),
        (tmp_path / "file" / f"t{suffix}", "Not a directory"),
        (tmp_path / f"folder{suffix}", "a directory"),
    ]:
        with pytest.raises(OutputError) as caught:
            write_events(trace, target)
        assert caught.value.found == found
        assert caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", f"folder{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_told(tmp_path, monkeypatch, suffix):
    really_open = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: really_open(Path("/dev/full"), "wb"))
    with pytest.raises(OutputError) as caught:
        write_events(scenario_trace("w 1"), tmp_path / f"t{suffix}")
    assert "No space left on device" in caught.value.found
    assert list(tmp_path.iterdir()) == []


def test_writing_keeps_a_link_and_the_usual_permissions(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "t.arrow").symlink_to(tmp_path / "data" / "real.arrow")
    old_mask = os.umask(0o027)
    try:
        write_events(scenario_trace("w 1"), tmp_path / "t.arrow")
    finally:
        os.umask(old_mask)
    assert (tmp_path / "t.arrow").is_symlink()
    assert (tmp_path / "data" / "real.arrow").stat().st_mode & 0o777 == 0o640


def test_a_table_may_be_converted_onto_itself(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("op,pid,ts\nexit,1,0x10\n")
    write_events(open_trace([str(path)]), path)
    assert path.read_text() == HEADER + "\n16,,1,,,exit,,,,,,,,,,,2\n"
