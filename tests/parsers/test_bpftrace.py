"""Output of bpftrace scripts: the one that the package ships, and an older one."""

import re
from importlib.resources import files

import pytest

from anonvma_trace.errors import EmptyTraceError, UnknownFormatError
from anonvma_trace.parsers import detect_format, open_trace
from anonvma_trace.parsers.bpftrace_events import events_by_kernel_names
from anonvma_trace.parsers.source import open_source

SHIPPED = """\
#bt nsecs cpu pid tid event fields text
100 1 7 7 task_rename newcomm=sh
110 1 7 7 page_fault_kernel address=0x601000 error_code=0x2 comm=sh
120 1 7 7 sched_process_exec pid=7 old_pid=7 filename=/a comm=x/sh
130 1 7 7 tracepoint:syscalls:sys_exit_execve ret=0x0 comm=sh
140 1 7 7 sys_enter_mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 off=0x0 comm=sh
150 1 7 7 tracepoint:syscalls:sys_exit_mmap ret=0x7f0000000000 comm=sh
160 1 7 7 task_newtask pid=9 clone_flags=0x1200000 comm=sh
170 0 9 9 page_fault_user address=0x7f0000000008 error_code=0x7 comm=sh
180 0 9 9 sys_enter_mmap addr=0x0 len=0x2000 prot=0x3 flags=0x22 fd=-1 off=0x0 comm=sh
190 0 9 9 tracepoint:syscalls:sys_exit_mmap ret=0xfffffffffffffff4 comm=sh
200 0 9 9 sched_process_exit pid=9 comm=sh
"""
OLDER = """\
Attaching 18 probes...
#bt nsecs cpu pid tid comm event fields
110 1 7 7 zoo kid (1) ->  fault addr=0x7f0000000008 ip=0x1 err=0x4
120 1 7 7 zoo kid (1) ->  newtask child=9 flags=0x1200000
130 0 9 9 zoo kid (1) ->  mprotect_enter addr=0x7f0000000000 len=0x1000 prot=0x1
140 0 9 9 zoo kid (1) ->  mprotect_exit ret=0
150 0 9 9 zoo kid (1) ->  munmap_enter addr=0x7f0000000000 len=0x1000
160 0 9 9 zoo kid (1) ->  munmap_exit ret=-22
170 0 9 9 true faultk addr=0x601000 ip=0xffffffff8175336a err=0x2
180 0 9 9 true exec old_tid=9 file=/a fault addr=0x1/true
190 0 9 9 true exit

"""


def read(tmp_path, text, **options):
    path = tmp_path / "run.bpftrace.txt"
    path.write_text(text)
    return open_trace([str(path)], **options)


def rows(trace, *columns):
    table = trace.table
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def test_the_rows_of_the_shipped_script(tmp_path):
    trace = read(tmp_path, SHIPPED)
    assert trace.format == "bpftrace"
    assert rows(
        trace, "ts", "cpu", "pid", "tid", "comm", "op", "addr", "len", "prot", "flags", "child", "file"
    ) == [
        (120, 1, 7, 7, "sh", "exec", None, None, None, None, None, "/a comm=x/sh"),
        (120, 1, 7, 7, "sh", "write_fault", 0x601000, None, None, None, None, None),  # the loader's
        (150, 1, 7, 7, "sh", "mmap", 0x7F0000000000, 0x2000, 3, 0x22, None, None),
        (160, 1, 7, 7, "sh", "fork", None, None, None, 0x1200000, 9, None),
        (170, 0, 9, 9, "sh", "write_fault", 0x7F0000000008, None, None, None, None, None),
        (200, 0, 9, 9, "sh", "exit", None, None, None, None, None, None),
    ]
    assert trace.stream.line_counts == {
        "events": 7, "headers": 1, "blank": 0, "loss_marks": 0, "other": 4, "unreadable": 0,
    }  # fmt: skip


def test_the_rows_of_the_older_script(tmp_path):
    """Its names of tasks stand before the event and may hold anything; a new one shows an exec in flight."""
    trace = read(tmp_path, OLDER)
    assert rows(trace, "ts", "pid", "comm", "op", "addr", "file") == [
        (110, 7, "zoo kid (1) -> ", "read_fault", 0x7F0000000008, None),
        (120, 7, "zoo kid (1) -> ", "fork", None, None),
        (140, 9, "zoo kid (1) -> ", "mprotect", 0x7F0000000000, None),
        (180, 9, "true", "exec", None, "/a fault addr=0x1/true"),
        (180, 9, "true", "write_fault", 0x601000, None),
        (190, 9, "true", "exit", None, None),
    ]


def test_lines_out_of_order_are_put_into_order_by_time(tmp_path):
    header, *lines = SHIPPED.splitlines(keepends=True)
    one_cpu_after_another = sorted(lines, key=lambda line: line.split()[1])
    mixed = read(tmp_path, header + "".join(one_cpu_after_another))
    assert rows(mixed, "ts", "op", "pid") == rows(read(tmp_path, SHIPPED), "ts", "op", "pid")


def test_a_loss_is_one_of_all_cpus_at_the_time_of_the_event_behind_it(tmp_path):
    """The call entered before it is left out: its exit may belong to another."""
    trace = read(tmp_path, SHIPPED.replace("150 1", "Lost 134 events\n150 1"))
    assert ("lost", 150, None, 134) in rows(trace, "op", "ts", "cpu", "len")
    assert "mmap" not in trace.table["op"].to_pylist()
    assert trace.metadata.lost_events == 134
    at_the_end = read(tmp_path, SHIPPED + "Lost 2 events\n")
    assert rows(at_the_end, "op", "ts", "len")[-1] == ("lost", 200, 2)


@pytest.mark.parametrize(
    ("good", "bad", "code", "column"),
    [
        ("110 1 7 7 page", "110 x 7 7 page", "bad-columns", 5),
        ("110 1 7 7 page", "110 1 7 page", "bad-columns", 9),
        ("110 1 7 7 page", "110 99999 7 7 page", "bad-cpu", 5),
        ("110 1 7 7 page", "110 1 7 9999999 page", "bad-tid", 9),
        ("page_fault_kernel", "page_fxult_kernel", "bad-event-name", 11),
        ("address=0x601000", "address=0xZZ", "bad-number", 38),
        ("address=0x601000", "addrexx=0x601000", "missing-field", 60),
        ("clone_flags=", "clone_flogs=", "missing-field", 51),
        ("pid=9 clone", "pid=9999999 clone", "bad-tid", 28),
        ("filename=", "filenome=", "bad-number", 45),
    ],
)
def test_a_line_that_cannot_be_read_is_told_and_costs_no_other(tmp_path, good, bad, code, column):
    assert SHIPPED.count(good) == 1
    damaged = SHIPPED.replace(good, bad)
    trace = read(tmp_path, damaged)
    line = next(number for number, text in enumerate(damaged.splitlines(), 1) if bad in text)
    assert trace.table.num_rows >= 4
    (loss,) = trace.losses
    assert (loss.code, loss.count, loss.places[0][:2]) == (code, 1, (line, column))
    assert trace.metadata.unreadable_lines == 1


def test_a_damaged_number_that_still_is_one_is_read_as_decimal(tmp_path):
    trace = read(tmp_path, SHIPPED.replace("pid=9 clone", "pid=09 clone"))
    assert rows(trace, "op", "child") == rows(read(tmp_path, SHIPPED), "op", "child")


@pytest.mark.parametrize("text", [SHIPPED, OLDER])
@pytest.mark.parametrize("lines_cut", [0, 1, 2, 3])
def test_it_is_told_by_its_content(tmp_path, text, lines_cut):
    path = tmp_path / "trace"
    path.write_text("".join(text.splitlines(keepends=True)[lines_cut:]))
    with open_source(str(path)) as source:
        assert detect_format(source).name == "bpftrace"


def test_another_text_under_this_name_is_refused(tmp_path):
    with pytest.raises(UnknownFormatError, match="expected output of a bpftrace script"):
        read(tmp_path, "some words\nand more\n", format="bpftrace").table  # noqa: B018


def test_the_shipped_script_prints_events_and_fields_that_are_read():
    """Every event that it prints is known, with all fields that the event needs."""
    script = files("anonvma_trace.recording").joinpath("memory.bt").read_text()
    printed = re.findall(r'printf\("%lu %d %d %d (\w+|%s)((?: \w+=[^ "]+)*) (\w+)=%s\\n"', script)
    assert len(printed) + 1 == script.count("printf(")  # and the header
    known = events_by_kernel_names()
    names = set(re.findall(r"^tracepoint:\w+:(\w+)", script, re.MULTILINE))
    assert names <= {name.decode() for name in known}
    for name, fields, text in printed:
        for event in [name] if name != "%s" else []:
            description = known[event.encode()]
            assert description.required <= {word.split("=")[0].encode() for word in fields.split()}
            assert description.text in (b"", text.encode())


def test_a_script_that_saw_nothing_is_told_as_such(tmp_path):
    with pytest.raises(EmptyTraceError, match="expected events, found only headers"):
        read(tmp_path, "Attaching 46 probes...\n\n").table  # noqa: B018
