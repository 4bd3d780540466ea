"""Formats: told by content or named; a refusal says what the file looks like."""

import re

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.errors import EmptyTraceError, TraceAccessError, UnknownFormatError, UsageError
from anonvma_trace.event_files import SUFFIXES, write_events
from anonvma_trace.parsers import FORMATS, detect_format, open_trace, scenario_trace
from anonvma_trace.parsers.foreign import describe_foreign
from anonvma_trace.parsers.source import open_source

FTRACE = b"""\
# tracer: nop
#
   bash-812     (    812) [001] .....   512.004417: page_fault_user: address=0x7f10 ip=0x4 error_code=0x6
   bash-812     (    812) [001] .....   512.004419: sys_brk(brk: 0)
   bash-812     (    812) [001] .....   512.004420: sys_brk -> 0x55d0
"""
TRACE_CMD = b"""\
cpus=2
tc_sh:             bash-812   [001]   512.004417: page_fault_user:      address=0x7f10 ip=0x4 error_code=0x6
tc_sh:             bash-812   [001]   512.004419: sys_enter_brk:        brk: 0x00000000
tc_sh:             bash-812   [001]   512.004420: sys_exit_brk:         0x55d0
"""
PERF_SCRIPT = b"""\
            bash   812/812   [001]   512.004417:       exceptions:page_fault_user: address=0x7f10 ip=0x4 error_code=0x6
            bash   812/812   [001]   512.004419:           syscalls:sys_enter_brk: brk: 0x00000000
            bash   812/812   [001]   512.004420:            syscalls:sys_exit_brk: 0x55d0
"""
STRACE = b"""\
812   1795440035.255182 brk(NULL)       = 0x55d0
812   1795440035.263541 +++ exited with 0 +++
"""
PERF_TRACE = b"""\
     0.282 ( 0.013 ms): bash/812 brk()                                     = 0x55d0
     0.406 ( 0.000 ms): bash/812 minfault [f+0x3b] => //anon@0x7f10 (d.)
"""
CSV = b"ts,pid,op\n1,1,exit\n"
JSON_LINES = b'{"ts": 1, "pid": 1, "op": "exit"}\n'
SCENARIO = b"map 16 20 rw; w 16\n"
BPFTRACE = b"""\
Attaching 18 probes...
#bt nsecs cpu pid tid comm event fields
2149269998462 1 32261 32261 sh fault addr=0xa64dd8 ip=0x543e83 err=0x7
"""
TEXTS = {
    "ftrace": FTRACE,
    "trace-cmd": TRACE_CMD,
    "perf-script": PERF_SCRIPT,
    "bpftrace": BPFTRACE,
    "strace": STRACE,
    "perf-trace": PERF_TRACE,
    "csv": CSV,
    "jsonl": JSON_LINES,
    "scenario": SCENARIO,
}


def written(tmp_path, content, name="trace"):
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def table_in(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    write_events(scenario_trace("map 16 20 rw; w 16"), path)
    return path.read_bytes()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("compress", [bytes, zstandard.compress])
def test_texts_are_told_by_content_whatever_their_name(tmp_path, name, compress):
    trace = open_trace([written(tmp_path, compress(TEXTS[name]), "trace.parquet")])
    assert trace.format == name
    assert trace.table.num_rows >= 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_tables_are_told_by_content_whatever_their_name(tmp_path, suffix):
    content = table_in(tmp_path, suffix)
    assert open_trace([written(tmp_path, content, "trace.txt")]).format == suffix[1:]


def test_no_format_takes_what_belongs_to_another(tmp_path):
    contents = TEXTS | {suffix[1:]: table_in(tmp_path, suffix) for suffix in SUFFIXES}
    assert contents.keys() == {known.name for known in FORMATS}
    for name, content in contents.items():
        assert [known.name for known in FORMATS if known.detect(content[: 64 << 10])] == [name]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"pid,ts,op,addr\n", "csv"),
        (b"\r\n\r\nts , pid , addr\r\n", "csv"),  # no op: the refusal then names it
        (b'"addr","len","prot"\n', "csv"),
        (b'\n{"op": "exit", "pid": 1, "ts": 2}', "jsonl"),
        (b'{"ts": 1, "pid\n{"ts": 1, "pid": 1, "op": "exit"}\n', "jsonl"),  # first line damaged
        (b"exit", "scenario"),
    ],
)
def test_odd_texts_are_told(tmp_path, content, name):
    assert detect_format(open_source(written(tmp_path, content))).name == name


@pytest.mark.parametrize(
    ("content", "found", "hint"),
    [
        (b"PERFILE2" + bytes(200), "a perf.data file", "perf script"),
        (b"\x17\x08\x44tracing6\0" + bytes(200), "a trace-cmd trace.dat file", "trace-cmd report"),
        (b"\x7fELF\x02\x01\x01,a\r,b\0" + bytes(200), "an ELF program or library", "name the trace"),
        (b"PK\x03\x04" + bytes(30), "a zip archive", "unpack it"),
        (b"BZh91AY", "bzip2 data", "uncompress it first"),
        (b"PARE" + bytes(30), "an encrypted Parquet file", "without encryption"),
        (b"name" + bytes(253) + b"ustar", "a tar archive", "unpack it"),
        ("ts,pid,op\n".encode("utf-16"), "UTF-16 text", "save it as UTF-8"),
        (b"<!DOCTYPE html><html>", "an HTML or XML document", "a failed download?"),
        (b'[{"ts": 1, "pid": 1, "op": "exit"}]', "a JSON array", "one JSON object on each line"),
        (b'{"a": 1}\n', "JSON without the columns of an event table", "ts, pid and op"),
        (b"{\n", "JSON without the columns of an event table", "ts, pid and op"),
        (b"ts;pid;op\n1;1;exit\n", "a table separated by semicolons", "by commas"),
        (b"ts\tpid\top\n1\t1\texit\n", "a table separated by tabs", "by commas"),
        (bytes(range(256)), "binary data (it begins 00 01 02 03 04 05 06 07)", "--format NAME"),
        (b"\xff\xff\xff\xff" + bytes(range(1, 60)), "binary data (it begins ff ff ff ff", "--format NAME"),
        (b"Dear diary,\nnothing\n", "text that begins 'Dear diary,'", "recordings are text as ftrace"),
    ],
)
def test_other_files_are_refused_with_what_they_look_like(tmp_path, content, found, hint):
    with pytest.raises(UnknownFormatError) as caught:
        open_trace([written(tmp_path, content)])
    assert caught.value.found.startswith(found)
    assert hint in caught.value.hint


@pytest.mark.parametrize("content", [b"\n", b" \n\t\r\n"])
def test_blanks_are_an_empty_trace(tmp_path, content):
    with pytest.raises(EmptyTraceError, match="found nothing but blanks"):
        open_trace([written(tmp_path, content)])


@given(st.one_of(st.binary(), st.text(), st.text(alphabet='ts,pid,op"{}:\r\n\0 ')))
@settings(deadline=None)
def test_any_bytes_are_told_or_refused(content):
    head = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    assert all(known.detect(head) in (True, False) for known in FORMATS)
    if head:
        found, hint = describe_foreign(head)
        assert found
        assert hint


# --format


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ftace", "did you mean 'ftrace'?"), ("qqq", "leave out --format: the content tells it")],
)
def test_an_unknown_format_is_wrong_usage(tmp_path, name, hint):
    with pytest.raises(UsageError) as caught:
        open_trace([written(tmp_path, CSV)], format=name)
    assert caught.value.hint == hint
    assert "parquet, arrow, csv, jsonl, scenario, ftrace" in caught.value.expected


@pytest.mark.parametrize("name", [known.name for known in FORMATS])
@pytest.mark.parametrize("content", ["csv", "scenario", "ftrace", "trace-cmd", "perf-script"])
def test_a_name_that_the_content_contradicts_is_refused(tmp_path, name, content):
    path = written(tmp_path, TEXTS[content])
    if name == content:
        assert open_trace([path], format=name).format == name
        return
    with pytest.raises(UnknownFormatError) as caught:
        open_trace([path], format=name)
    title = next(known.title for known in FORMATS if known.name == name)
    assert caught.value.expected == f"{title}, as --format says"
    assert caught.value.hint == f"leave out --format, or use --format {content}"


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv", "ftrace", "scenario"])
def test_binary_data_are_refused_under_any_name(tmp_path, name):
    with pytest.raises(UnknownFormatError, match=re.escape("a perf.data file")):
        open_trace([written(tmp_path, b"PERFILE2" + bytes(99))], format=name)


def test_text_of_no_known_form_goes_to_the_parser_that_was_named(tmp_path):
    path = written(tmp_path, b"time,process,what\n1,2,3\n")
    with pytest.raises(Exception, match="expected the columns ts, pid, op, found no column ts, pid, op"):
        open_trace([path], format="csv").table  # noqa: B018


# Arguments


@pytest.mark.parametrize("name", ["csv", "jsonl", "scenario"])
def test_maps_with_a_complete_format_are_wrong_usage(tmp_path, name):
    with pytest.raises(UsageError, match="expected no --maps"):
        open_trace([written(tmp_path, TEXTS[name])], maps=["1=maps"])


def test_parts_of_different_formats_are_wrong_usage(tmp_path):
    paths = [written(tmp_path, CSV, "a"), written(tmp_path, JSON_LINES, "b")]
    with pytest.raises(UsageError) as caught:
        open_trace(paths)
    assert caught.value.expected == f"an event table in CSV like {paths[0]}"
    assert (caught.value.path, caught.value.found) == (paths[1], "an event table in JSON Lines")


def test_no_path_is_wrong_usage():
    with pytest.raises(UsageError, match="expected the path of a trace"):
        open_trace([])


def test_a_missing_part_is_told(tmp_path):
    with pytest.raises(TraceAccessError, match="no such file"):
        open_trace([written(tmp_path, CSV), str(tmp_path / "none")])


def test_each_pass_opens_the_file_again(tmp_path):
    path = written(tmp_path, CSV)
    trace = open_trace([path])
    assert sum(batch.num_rows for batch in trace.batches()) == 1
    written(tmp_path, CSV + b"2,1,exit\n")
    assert sum(batch.num_rows for batch in trace.batches()) == 2
