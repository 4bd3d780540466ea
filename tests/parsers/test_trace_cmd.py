import pytest

from anonvma_trace.errors import UnknownFormatError, UnsupportedTraceError
from anonvma_trace.parsers import trace_cmd

from .ftrace_text import rows_of, short_rows, stream_of

# Lines as trace-cmd 3.1.6 prints them (zoo-overwrite, make, variant-l, variant-R).
HEADER = "cpus=2\n"
HEAD = "              sh-9     [001]     1.000001: "
FAULT = "page_fault_user:      address=0x7f1010 ip=0x401a2c error_code=0x6"


def stream(tmp_path, text, maps=()):
    return stream_of(tmp_path, text, maps=maps, form=trace_cmd.FORMAT)


@pytest.mark.parametrize(
    ("line", "comm", "cpu", "ts"),
    [
        (f"tc_zoo:              zoo-4789  [001]  2523.207576: {FAULT}", "zoo", 1, 2523207576000),
        (f"             zoo-4789  [001]  2523.207576: {FAULT}", "zoo", 1, 2523207576000),
        (f"tc_make:             make-338   [001]  2213.085830669: {FAULT}", "make", 1, 2213085830669),
        (f"var:       sh-7914    1d....  2787.939918: {FAULT}", "sh", 1, 2787939918000),
        (f"tc_zoo:  zoo kid (1) -> -4790  [000]  2523.207576: {FAULT}", "zoo kid (1) -> ", 0, 2523207576000),
        (f"tc_zoo:       thr [x] 7-4808  [000]  2523.271746: {FAULT}", "thr [x] 7", 0, 2523271746000),
        (f"tc_zoo:            a: b-4808  [000]  2523.271746: {FAULT}", "a: b", 0, 2523271746000),
        (f"              a: b-4808  [000]  2523.271746: {FAULT}", "a: b", 0, 2523271746000),
        # newer versions print the flags always
        (f"             zoo-4789  [001] d..2.  2523.207576: {FAULT}", "zoo", 1, 2523207576000),
    ],
)
def test_the_columns_of_a_line(tmp_path, line, comm, cpu, ts):
    (row,) = rows_of(stream(tmp_path, HEADER + line + "\n"))
    assert (row["comm"], row["cpu"], row["ts"], row["line"]) == (comm, cpu, ts, 2)
    assert (row["op"], row["addr"]) == ("write_fault", 0x7F1010)


@pytest.mark.parametrize(
    ("enter", "leave"),
    [
        (
            "sys_enter_mmap:       addr: 0x00000000, len: 0x00002000, prot: 0x00000003, flags: 0x00000022, "
            "fd: 0xffffffff, off: 0x00000000",
            "sys_exit_mmap:        0x7f2d60f47000",
        ),
        (  # report -R
            "sys_enter_mmap:        __syscall_nr=9 addr=0x00000000 len=0x00002000 prot=0x00000003 "
            "flags=0x00000022 fd=0xffffffff off=0x00000000",
            "sys_exit_mmap:         __syscall_nr=9 ret=0x7f2d60f47000",
        ),
    ],
)
def test_a_system_call_is_named_like_its_tracepoint(tmp_path, enter, leave):
    lines = [
        f"tc:               sh-9     [000]     1.00000{n}: {text}\n" for n, text in enumerate((enter, leave))
    ]
    (row,) = rows_of(stream(tmp_path, HEADER + "".join(lines)))
    assert row == {
        "ts": 1000001000, "cpu": 0, "pid": 9, "tid": 9, "comm": "sh", "op": "mmap", "addr": 0x7F2D60F47000,
        "len": 0x2000, "prot": 3, "flags": 0x22, "line": 3,
    }  # fmt: skip


@pytest.mark.parametrize("call", ["sys_enter_vfork:      ", "sys_enter_vfork:", "sys_exit_vfork:       0x0"])
def test_calls_without_arguments_are_no_loss(tmp_path, call):
    read = stream(tmp_path, f"{HEADER}tc:              gcc-353   [000]  2213.111615993: {call}\n")
    assert rows_of(read) == []
    assert read.line_counts["other"] == 1


def test_dropped_events_are_lost_rows_at_the_next_event(tmp_path):
    text = (
        f"{HEADER}tc_z: CPU:1 [EVENTS DROPPED]\n"
        f"              sh-973   [001]  2264.151181: {FAULT}\n"
        f"tc_z: CPU:0 [439 EVENTS DROPPED]\n"
        f"             zoo-962   [000]  2264.155167: {FAULT}\n"
    )
    read = stream(tmp_path, text)
    assert short_rows(read, "ts", "cpu", "len") == [
        ("lost", 2264151181000, 1, 0),
        ("write_fault", 2264151181000, 1, None),
        ("lost", 2264155167000, 0, 439),
        ("write_fault", 2264155167000, 0, None),
    ]
    assert (read.line_counts["loss_marks"], read.metadata.lost_events) == (2, 440)


def test_headers_and_frames_are_accounted_for(tmp_path):
    text = f"version = 7\nCPU 0 is empty\ncpus=2\n{HEAD}{FAULT}\n=> do_syscall_64 (f)\n\n"
    read = stream(tmp_path, text)
    assert len(rows_of(read)) == 1
    assert (read.line_counts["headers"], read.line_counts["other"], read.line_counts["blank"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("line", "code", "place"),
    [
        ("tc: no task here", "bad-task-column", ""),
        ("tc:               sh-9     [001]     1.x00001: sys_exit_brk: 0x1", "bad-time", "x00001"),
        (f"tc: {HEAD}page_fault_user:      address=0x7f ip=0x1", "missing-field", ""),
        (f"tc: {HEAD}sys_enter_brk:        brk: 12", "bad-number", "12"),
        ("tc: CPU:1 [9 EVENTS", "bad-loss-mark", ""),
    ],
)
def test_damage_is_told_with_its_column(tmp_path, line, code, place):
    read = stream(tmp_path, f"{HEADER}{line}\n{HEAD}{FAULT}\n")
    assert len(rows_of(read)) == 1
    ((found, [(at, column, text)]),) = [(loss.code, loss.places) for loss in read.losses]
    assert (found, at, text) == (code, 2, line)
    if code != "bad-task-column":
        assert column == (text.index(place) if place else len(text)) + 1


def test_other_text_is_refused(tmp_path):
    with pytest.raises(UnknownFormatError, match="expected output of trace-cmd report"):
        stream(
            tmp_path,
            "              sh   9/9     [001]     1.000001: exceptions:page_fault_user: address=0x1\n",
        )
    with pytest.raises(UnsupportedTraceError, match="trace-cmd report"):
        stream(tmp_path, f"{FAULT}\n{FAULT}\n")


# Snapshots, in a format without marker lines

MAPS = """\
# SNAP n=1 why=start t_mono={start} pid=9 comm=sh
# MAPS
00400000-00401000 r-xp 00000000 fe:00 1                    /bin/sh
# END n=1
# SNAP n=2 why=exec t_mono={exec} pid=9 comm=true
# MAPS
00500000-00501000 r-xp 00000000 fe:00 1                    /bin/true
# END n=2
"""
EXEC = (
    HEADER
    + f"              sh-9     [001]     5.000001: {FAULT}\n"
    + "            true-9     [001]     5.000002: sched_process_exec:   filename=/bin/true pid=9 old_pid=9\n"
    + f"            true-9     [001]     5.000005: {FAULT}\n"
)


def maps_file(tmp_path, start, exec):
    path = tmp_path / "snapshots.txt"
    path.write_text(MAPS.format(start=start, exec=exec))
    return path


def test_snapshots_have_their_place_by_time(tmp_path):
    read = stream(tmp_path, EXEC, maps=[maps_file(tmp_path, "4.9", "5.000004")])
    assert short_rows(read, "addr", "comm") == [
        ("vma", 0x400000, "sh"),
        ("write_fault", 0x7F1010, "sh"),
        ("exec", None, "true"),
        ("vma", 0x500000, "true"),
        ("write_fault", 0x7F1010, "true"),
    ]
    assert read.metadata.known_pids == (9,)
    assert [diagnostic.code for diagnostic in read.diagnostics] == ["assumed-process"]


@pytest.mark.parametrize(
    ("start", "exec"),
    [
        ("1790000000.0", "1790000000.1"),  # another clock
        ("5.000003", "4.0"),  # the process ran before its start; no exec there
    ],
)
def test_snapshots_of_another_clock_have_no_place_and_are_told(tmp_path, start, exec):
    read = stream(tmp_path, EXEC, maps=[maps_file(tmp_path, start, exec)])
    assert [row["op"] for row in rows_of(read)] == ["write_fault", "exec", "write_fault"]
    told = {diagnostic.code: diagnostic.message for diagnostic in read.diagnostics}
    assert told["snapshot-without-marker"].startswith("2 start or exec snapshots were not used")
