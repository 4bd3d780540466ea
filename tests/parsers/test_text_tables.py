"""CSV and JSON Lines: damage costs its row and is told by line, column, expected and found."""

import json

import pytest

from anonvma_trace.errors import TraceSyntaxError
from anonvma_trace.parsers import open_trace

from .event_tables import places, rows_read

INT32 = f"an integer from {-(2**31)} to {2**31 - 1}"
INT64 = f"an integer from {-(2**63)} to {2**63 - 1}"
UINT64 = f"an integer from 0 to {2**64 - 1}"


def test_csv_integers_are_decimal_or_hexadecimal_and_missing_columns_are_null(tmp_path):
    trace, rows = rows_read(
        tmp_path, "t.csv", "ts,pid,op,addr,prot\n0x10, 7 ,mmap,0x7FfF00001000,0x003\n17,7,exit,,\n"
    )
    assert rows == [
        {"ts": 16, "pid": 7, "op": "mmap", "addr": 0x7FFF00001000, "prot": 3, "line": 2},
        {"ts": 17, "pid": 7, "op": "exit", "line": 3},
    ]
    assert trace.losses == []


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("ts,pid,op\n1,1,exit", [2]),  # no final newline
        ("ts,pid,op\r\n1,1,exit\r\n\r\n2,1,exit\r\n", [2, 4]),  # CRLF, a blank line
        ("\ufeffts,pid,op\n1,1,exit\n", [2]),  # byte order mark
        ("\n\nts,pid,op\n\n1,1,exit\n\n", [5]),  # blank lines around the header
        ('"ts", pid ,op\n1,1,exit\n', [2]),  # quotes and blanks in the header
        ('ts,pid,op,comm\n1,1,exit,"a\nb"\n2,1,exit,c\n', [2, 4]),  # a line end in a name
        ('ts,pid,op,comm\n1,1,exit,a"b\n2,1,exit,c\n', [2, 3]),  # a quote inside a plain value
    ],
)
def test_csv_lines_keep_their_numbers(tmp_path, content, lines):
    trace, rows = rows_read(tmp_path, "t.csv", content)
    assert [row["line"] for row in rows] == lines
    assert trace.losses == []
    text = content.encode().decode("utf-8-sig")
    assert sum(trace.stream.line_counts.values()) == len(text.splitlines())


def test_csv_keeps_the_line_column_that_it_has(tmp_path):
    _, rows = rows_read(tmp_path, "t.csv", "ts,pid,op,line\n1,1,exit,77\n2,1,exit,\n")
    assert [row.get("line") for row in rows] == [77, None]


def test_csv_empty_text_and_null_are_two_things(tmp_path):
    _, rows = rows_read(tmp_path, "t.csv", 'ts,pid,op,comm\n1,1,exit,""\n2,1,exit,\n3,1,exit,null\n')
    assert [row.get("comm") for row in rows] == ["", None, "null"]


@pytest.mark.parametrize(
    ("row", "loss"),
    [
        ("x,1,exit,,,,", ("bad-value", 3, 1, f"ts: expected {INT64}, found 'x'")),
        ("2,1,mmap,a,0x7fZZ,3,", ("bad-value", 3, 12, f"addr: expected {UINT64}, found '0x7fZZ'")),
        ("2,1,mmap,,1,300,", ("bad-value", 3, 13, "prot: expected an integer from 0 to 255, found '300'")),
        ("2,1,mmap,,1,-1,", ("bad-value", 3, 13, "prot: expected an integer from 0 to 255, found '-1'")),
        ("2,1,mmap,,4096.0,3,", ("bad-value", 3, 11, f"addr: expected {UINT64}, found '4096.0'")),
        ("2,0xffffffff,exit,,,,", ("bad-value", 3, 3, f"pid: expected {INT32}, found '0xffffffff'")),
        ("2,,exit,,,,", ("missing-value", 3, 3, "pid: found None")),
        ("2,1,mmapp,,1,3,", ("unknown-op", 3, 5, "op: found 'mmapp'; did you mean 'mmap'?")),
        ("2,1,exit", ("bad-row", 3, 1, "expected 7 values, found 3")),
        ("2,1,exit,,,,,", ("bad-row", 3, 1, "expected 7 values, found 8")),
        ('2,1,exit,"sh,,,', ("bad-row", 3, 10, "expected a closing quote, found none on this line")),
        (
            "2,1,exit,\xff,,,".encode("latin-1"),
            ("bad-row", 3, 10, "expected UTF-8 text, found the byte 0xff"),
        ),
    ],
)
def test_csv_bad_rows_are_told_and_the_others_kept(tmp_path, row, loss):
    row = row if isinstance(row, bytes) else row.encode()
    content = b"ts,pid,op,comm,addr,prot,file\n1,1,exit,,,,\n" + row + b"\n3,1,exit,,,,\n"
    trace, rows = rows_read(tmp_path, "t.csv", content)
    assert [row["ts"] for row in rows] == [1, 3]
    assert places(trace) == [loss]
    assert trace.metadata.unreadable_lines == trace.stream.line_counts["unreadable"] == 1
    assert sum(trace.stream.line_counts.values()) == 4


def test_a_bad_value_that_decides_nothing_reads_as_null(tmp_path):
    trace, rows = rows_read(tmp_path, "t.csv", "ts,pid,op,cpu,line\n1,1,exit,two,9\n2,1,exit,70000,\n")
    assert [(row["ts"], row.get("cpu"), row.get("line")) for row in rows] == [(1, None, 9), (2, None, None)]
    assert [loss.count for loss in trace.losses] == [2]
    assert places(trace)[0] == (
        "bad-value",
        2,
        10,
        "cpu: expected an integer from -32768 to 32767, found 'two'",
    )


def test_a_stray_quote_costs_one_row(tmp_path):
    lines = [f"{n},1,exit,c{n}" for n in range(2000)]
    lines[900] = '900,1,exit,"c900'
    trace, rows = rows_read(tmp_path, "t.csv", "ts,pid,op,comm\n" + "\n".join(lines) + "\n")
    assert [row["ts"] for row in rows] == [n for n in range(2000) if n != 900]
    assert places(trace) == [("bad-row", 902, 12, "expected a closing quote, found none on this line")]
    assert all(row["line"] == row["ts"] + 2 for row in rows)


def test_many_bad_rows_are_counted_and_the_first_five_placed(tmp_path):
    lines = [f"{n},1,{'exit' if n % 3 else 'bad'}" for n in range(3000)]
    trace, rows = rows_read(tmp_path, "t.csv", "ts,pid,op\n" + "\n".join(lines) + "\n")
    assert len(rows) == 2000
    assert trace.losses[0].count == 1000
    assert [line for _, line, _, _ in places(trace)] == [2, 5, 8, 11, 14]


@pytest.mark.parametrize(
    ("header", "found", "hint"),
    [
        ("ts,op,addr", "no column pid among 'ts', 'op', 'addr'", "an event table cannot do without them"),
        ("ts,pod,op", "no column pid among 'ts', 'pod', 'op'", "did you mean 'pid'?"),
        ("ts,pid,op,addr,addr", "the column 'addr' twice", "rename or remove one of them"),
    ],
)
def test_csv_header_without_the_required_columns_is_refused(tmp_path, header, found, hint):
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n1,2,3,4,5\n")
    with pytest.raises(TraceSyntaxError) as caught:
        open_trace([str(path)]).table  # noqa: B018
    assert (caught.value.line, caught.value.found, caught.value.hint) == (1, found, hint)


def test_json_integers_are_numbers_or_text(tmp_path):
    content = (
        '{"ts": 1, "pid": 7, "op": "mmap", "addr": "0x7fff00001000", "prot": 3, "comm": "0x10"}\n'
        '{"op": "mmap", "ts": "0x2", "pid": 7, "addr": 18446744073709551615, "prot": "3", "comm": null}\r\n'
        "\n"
        '{"ts": 3, "pid": 7, "op": "exit"}'
    )
    trace, rows = rows_read(tmp_path, "t.jsonl", content)
    assert rows == [
        {"ts": 1, "pid": 7, "op": "mmap", "addr": 0x7FFF00001000, "prot": 3, "comm": "0x10", "line": 1},
        {"ts": 2, "pid": 7, "op": "mmap", "addr": 2**64 - 1, "prot": 3, "line": 2},
        {"ts": 3, "pid": 7, "op": "exit", "line": 4},
    ]
    assert trace.losses == []
    assert trace.stream.line_counts["blank"] == 1


def test_json_with_hexadecimal_addresses_is_read_in_blocks(tmp_path):
    """Arrow's parser takes a column as numbers or as texts; a whole file of texts must not go row by row."""
    lines = [json.dumps({"ts": n, "pid": 1, "op": "r", "addr": hex(n << 12)}) for n in range(5000)]
    content = "\n".join(lines).replace('"r"', '"read_fault"') + "\n"
    (tmp_path / "t.jsonl").write_text(content)
    trace = open_trace([str(tmp_path / "t.jsonl")])
    stream = trace.stream
    stream._gather_one_by_one = None  # not to be called
    assert trace.table.column("addr").to_pylist() == [n << 12 for n in range(5000)]


@pytest.mark.parametrize(
    ("row", "loss"),
    [
        ('{"ts": 1.5, "pid": 1, "op": "exit"}', ("bad-value", 2, 8, f"ts: expected {INT64}, found '1.5'")),
        ('{"ts": true, "pid": 1, "op": "exit"}', ("bad-value", 2, 8, f"ts: expected {INT64}, found 'true'")),
        (
            '{"ts": 1, "pid": 1, "op": "exit", "file": 7}',
            ("bad-value", 2, 43, "file: expected UTF-8 text, found '7'"),
        ),
        (
            '{"ts": 1, "pid": 1, "op": "exit", "file": "\\ud800"}',
            ("bad-value", 2, 43, "file: expected UTF-8 text, found '\\ud800'"),
        ),
        ('{"ts": 1, "pid": 1, "op": 5}', ("bad-value", 2, 27, "op: expected UTF-8 text, found '5'")),
        ('{"ts": 1, "pid": 1}', ("missing-value", 2, 0, "op: found None")),
        ('{"ts": 1, "pid": null, "op": "exit"}', ("missing-value", 2, 18, "pid: found None")),
        (
            '{"ts": 1, "pid": 1, "op": "exitt"}',
            ("unknown-op", 2, 27, "op: found 'exitt'; did you mean 'exit'?"),
        ),
        ("[1]", ("bad-row", 2, 1, "expected a JSON object, found a JSON list")),
        (
            '{"ts": 1, "pid',
            ("bad-row", 2, 11, "expected a JSON object, found unterminated string starting at"),
        ),
        (
            '{"ts": 1, "pid": 1, "op": "exit"} {}',
            ("bad-row", 2, 35, "expected a JSON object, found extra data"),
        ),
        (
            b'{"ts": 1, "pid": 1, "op": "\xff"}',
            ("bad-row", 2, 28, "expected UTF-8 text, found the byte 0xff"),
        ),
        ('{"ts": ' + "9" * 5000 + ', "pid": 1, "op": "exit"}', None),
        ("[" * 100_000, None),
    ],
)
def test_json_bad_rows_are_told_and_the_others_kept(tmp_path, row, loss):
    row = row if isinstance(row, bytes) else row.encode()
    good = b'{"ts": %d, "pid": 1, "op": "exit"}\n'
    trace, rows = rows_read(tmp_path, "t.jsonl", good % 1 + row + b"\n" + good % 3)
    assert [row["ts"] for row in rows] == [1, 3]
    assert trace.metadata.unreadable_lines == 1
    if loss is not None:
        assert places(trace) == [loss]
