"""Parts of one recording: merged by time, each in its own order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.events import batch_from_columns
from anonvma_trace.parsers import open_trace
from anonvma_trace.parsers.time_merge import merged_by_time

from .event_tables import rows_of, trace_of


def test_parts_are_merged_by_time_and_keep_their_own_order(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("ts,pid,op\n1,1,exit\n5,1,exit\n4,1,exit\n9,1,exit\n")
    b.write_text("ts,pid,op\n0,2,exit\n5,2,exit\n7,2,exit\n20,2,exit\n21,2,nonsense\n")
    trace = open_trace([str(a), str(b)])
    assert [row[0::2][:2] for row in rows_of(trace)] == [
        (0, 2), (1, 1), (5, 1), (4, 1), (5, 2), (7, 2), (9, 1), (20, 2)
    ]  # fmt: skip
    assert trace.metadata.unreadable_lines == 1
    assert trace.stream.line_counts["events"] == 8
    assert trace.stream.bytes_read == trace.stream.bytes_total


@given(st.lists(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4), min_size=2, max_size=4))
@settings(deadline=None)
def test_merging_in_pieces_equals_merging_as_a_whole(parts):
    def stream(number, pieces):
        batches = [
            batch_from_columns(
                {"ts": sorted(piece), "pid": [number] * len(piece), "op": ["exit"] * len(piece)}, len(piece)
            )
            for piece in pieces
        ]
        return trace_of(batches).stream

    merged = merged_by_time([stream(number, pieces) for number, pieces in enumerate(parts)])
    rows = [(row["ts"], row["pid"]) for batch in merged.batches() for row in batch.to_pylist()]
    latest_first = []
    for number, pieces in enumerate(parts):
        latest = 0
        for ts in (ts for piece in pieces for ts in sorted(piece)):
            latest = max(latest, ts)
            latest_first.append((latest, number, ts))
    latest_first.sort(key=lambda row: row[:2])
    assert rows == [(ts, number) for _, number, ts in latest_first]
