import pytest

from anonvma_trace.errors import UnknownFormatError, UnsupportedTraceError
from anonvma_trace.events import CLONE_THREAD, CLONE_VM
from anonvma_trace.parsers import perf_script
from anonvma_trace.parsers.native_stream import NativeStream
from anonvma_trace.parsers.proc_maps import read_snapshots
from anonvma_trace.parsers.source import open_source

from .ftrace_text import codes_of, rows_of, short_rows, stream_of
from .recordings import ROOT

# Lines as perf 6.1 prints them (zoo, tiny-sh, variant-default, variant-callgraph, variant-sw-page-faults).
FAULT = "exceptions:page_fault_user: address=0x7f1010 ip=0x401a2c error_code=0x6"


def stream(tmp_path, text, maps=()):
    return stream_of(tmp_path, text, maps=maps, form=perf_script.FORMAT)


def line(event, tid=9, pid=None, ts="5.000001000", comm="sh", cpu=1):
    return f"{comm:>16} {tid if pid is None else pid:5}/{tid:<5} [{cpu:03}] {ts:>15}: {event}\n"


def lines(*events):
    """Return lines of (event, keyword arguments) or plain events, one microsecond apart."""
    return "".join(
        line(what, **{"ts": f"5.{number:06}000", **where})
        for number, (what, where) in enumerate(
            event if isinstance(event, tuple) else (event, {}) for event in events
        )
    )


def started(event):
    """Return a line that perf made up before the first event."""
    return f"         python3     0/0     [000]     0.000000000: {event}\n"


@pytest.mark.parametrize(
    ("head", "comm", "pid", "tid", "cpu", "ts"),
    [
        ("         zoo 18833/18834 [001]  1631.348357708:", "zoo", 18833, 18834, 1, 1631348357708),
        ("              sh  7865 [000]  2781.661491:", "sh", 7865, 7865, 0, 2781661491000),
        ("             zoo   599/599   [001]  1631.348357:", "zoo", 599, 599, 1, 1631348357000),
        ("sh  7871 [000]  2784.027316:", "sh", 7871, 7871, 0, 2784027316000),  # call chains: no padding
        ("zoo kid (1) ->  7871 [000]  2784.027316:", "zoo kid (1) ->", 7871, 7871, 0, 2784027316000),
        ("  zoo kid (1) ->    18901/18901 [001]  1.5:", "zoo kid (1) ->", 18901, 18901, 1, 1500000000),
        ("       thr [x] 7   748/768   [001]  1.5:", "thr [x] 7", 748, 768, 1, 1500000000),
        ("              sh  7877/7877   2786.414901:", "sh", 7877, 7877, None, 2786414901000),
        (
            "              sh  7877 [000]  2786.414901:          1",
            "sh",
            7877,
            7877,
            0,
            2786414901000,
        ),  # period
    ],
)
def test_the_columns_of_a_line(tmp_path, head, comm, pid, tid, cpu, ts):
    (row,) = rows_of(stream(tmp_path, f"{head}  {FAULT}\n"))
    assert (row["comm"], row["pid"], row["tid"], row.get("cpu"), row["ts"]) == (comm, pid, tid, cpu, ts)
    assert (row["op"], row["addr"]) == ("write_fault", 0x7F1010)


def test_a_system_call_is_named_like_its_tracepoint(tmp_path):
    enter = (
        "syscalls:sys_enter_mremap: addr: 0x7fa05bb2d000, old_len: 0x00008000, new_len: 0x00018000, "
        "flags: 0x00000001, new_addr: 0x00000000"
    )
    (row,) = rows_of(stream(tmp_path, lines(enter, "syscalls:sys_exit_mremap: 0x7fa05bb00000")))
    assert {name: row[name] for name in ("op", "addr", "len", "flags", "new_addr", "new_len", "line")} == {
        "op": "mremap", "addr": 0x7FA05BB2D000, "len": 0x8000, "flags": 1, "new_addr": 0x7FA05BB00000,
        "new_len": 0x18000, "line": 2,
    }  # fmt: skip


def test_call_chains_belong_to_the_event_above_them(tmp_path):
    text = (
        f"sh  7871 [000]  2784.027316:  {FAULT}\n"
        "\tffffffff821f32a1 exc_page_fault+0x3d1 ([kernel.kallsyms])\n"
        "\t    7f79322f2ad7 [unknown] ([unknown])\n\n"
    )
    read = stream(tmp_path, text * 2)
    assert len(rows_of(read)) == 2
    assert read.line_counts == {
        "events": 2, "headers": 0, "blank": 2, "loss_marks": 0, "other": 4, "unreadable": 0,
    }  # fmt: skip


def test_software_page_faults_have_an_address_and_nothing_else(tmp_path):
    read = stream(tmp_path, lines("page-faults:     7f3b043e9020", "1  major-faults: 7f3b043ea020"))
    assert short_rows(read, "addr") == [("read_fault", 0x7F3B043E9020), ("read_fault", 0x7F3B043EA020)]
    assert "fault-kind-unknown" in codes_of(read)


def test_a_loss_stands_where_it_is_with_its_number(tmp_path):
    read = stream(tmp_path, lines(FAULT, "PERF_RECORD_LOST lost 8", FAULT))
    assert short_rows(read, "ts", "len") == [
        ("write_fault", 5000000000, None),
        ("lost", 5000001000, 8),
        ("write_fault", 5000002000, None),
    ]
    assert (read.line_counts["loss_marks"], read.metadata.lost_events) == (1, 8)


def test_records_of_tasks_count_only_where_no_tracepoint_tells(tmp_path):
    events = [
        "PERF_RECORD_FORK(10:10):(9:9)",
        "task:task_newtask: pid=10 comm=sh clone_flags=1200000 oom_score_adj=0",
        "sched:sched_process_fork: comm=sh pid=9 child_comm=sh child_pid=10",
        ("sched:sched_process_exit: comm=sh pid=10 prio=120 group_dead=true", {"tid": 10}),
        ("PERF_RECORD_EXIT(10:10):(9:9)", {"tid": 10}),
    ]
    expected = [("fork", 9, 10), ("exit", 10, None)]
    with_tracepoints = stream(tmp_path, lines(*events))
    assert short_rows(with_tracepoints, "pid", "child") == expected
    assert codes_of(with_tracepoints)[-1] == "events-not-used"
    alone = stream(tmp_path, lines(events[0], events[4]))
    assert short_rows(alone, "pid", "child") == expected
    assert "fork-without-flags" in codes_of(alone)


def test_a_record_of_a_thread_makes_no_process(tmp_path):
    read = stream(tmp_path, lines("PERF_RECORD_FORK(9:10):(9:9)", (FAULT, {"tid": 10, "pid": 9})))
    assert short_rows(read, "pid", "tid") == [("write_fault", 9, 10)]
    assert CLONE_VM | CLONE_THREAD == 0x10100


# Images

IMAGE = (
    "PERF_RECORD_MMAP2 9/9: [0x7ffe2d09b000(0x21000) @ 0x7ffffffde000 00:00 0 0]: rw-p [stack]",
    "PERF_RECORD_MMAP2 9/9: [0x56279aa03000(0x4000) @ 0 fe:00 260180 0]: r--p /usr/bin/dash",
    "PERF_RECORD_MMAP2 9/9: [0x56279aa04000(0x1000) @ 0x1000 fe:00 260180 0]: r-xp /usr/bin/dash",
)
EXEC = "sched:sched_process_exec: filename=/usr/bin/dash pid=9 old_pid=9"
LATER = "PERF_RECORD_MMAP2 9/9: [0x7f8875261000(0xa000) @ 0 fe:00 1196035 2484923202]: r--p /etc/ld.so.cache"
VMAS = [
    ("vma", 0x56279AA03000, 0x1000, 1, 0, "/usr/bin/dash"),
    ("vma", 0x56279AA04000, 0x1000, 5, 1, "/usr/bin/dash"),
    ("vma", 0x56279AA05000, 0x2000, 1, 2, "/usr/bin/dash"),
    ("vma", 0x7FFE2D09B000, 0x21000, 3, None, None),
]


def test_what_an_exec_maps_is_its_image_and_what_follows_is_not(tmp_path):
    read = stream(tmp_path, lines("PERF_RECORD_COMM exec: dash:9/9", *IMAGE, EXEC, LATER, FAULT))
    assert short_rows(read, "addr", "len", "prot", "pgoff", "file") == [
        ("exec", None, None, None, None, "/usr/bin/dash"),
        *VMAS,
        ("write_fault", 0x7FFE2D0BB000, None, None, None, None),  # the arguments
        ("write_fault", 0x7F1010, None, None, None, None),
    ]
    assert read.line_counts["events"] == 5  # exec, fault and three mappings
    assert "no-images" not in codes_of(read)


def test_without_a_tracepoint_the_record_is_the_exec_and_the_vdso_ends_its_image(tmp_path):
    vdso = "PERF_RECORD_MMAP2 9/9: [0x7f8875273000(0x2000) @ 0 00:00 0 0]: r-xp [vdso]"
    read = stream(tmp_path, lines("PERF_RECORD_COMM exec: dash:9/9", *IMAGE, vdso, LATER))
    rows = short_rows(read, "addr", "len", "prot", "pgoff", "file")
    assert rows[0] == ("exec", None, None, None, None, "dash")
    assert rows[1:4] == VMAS[:3]
    assert [row[0] for row in rows[4:]] == ["vma", "vma", "write_fault"]
    assert not any(row[1] == 0x7F8875261000 for row in rows)


def test_a_process_that_perf_attached_to_begins_with_its_image(tmp_path):
    kernel = "PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x1209988) @ 0xffffffff81000000]: x [kernel.kallsyms]_text"
    vsyscall = "PERF_RECORD_MMAP2 9/9: [0xffffffffff600000(0x1000) @ 0 00:00 0 0]: --xp [vsyscall]"
    at_start = [kernel, "PERF_RECORD_COMM: dash:9/9", *IMAGE, vsyscall]
    read = stream(tmp_path, "".join(map(started, at_start)) + lines(FAULT, LATER))
    rows = rows_of(read)
    assert [(row["op"], row["ts"], row["comm"]) for row in rows] == [
        *[("vma", 5000000000, "dash")] * 4,
        ("write_fault", 5000000000, "dash"),
    ]
    assert read.metadata.known_pids == (9,)


def test_executable_mappings_alone_are_no_image_and_that_is_told(tmp_path):
    read = stream(tmp_path, lines("PERF_RECORD_COMM exec: dash:9/9", IMAGE[2], EXEC, FAULT))
    assert [row["op"] for row in rows_of(read)] == ["exec", "write_fault"]
    assert {"partial-image", "no-images"} <= set(codes_of(read))


def test_loader_faults_are_those_behind_the_record_of_the_new_name(tmp_path):
    kernel_fault = "exceptions:page_fault_kernel: address=0x56279aa06240 ip=elf_load error_code=0x2"
    read = stream(
        tmp_path,
        lines(
            "syscalls:sys_enter_execve: filename: 0x1", "PERF_RECORD_COMM exec: dash:9/9", kernel_fault, EXEC
        ),
    )
    assert short_rows(read, "addr") == [("exec", None), ("write_fault", 0x56279AA06240)]


@pytest.mark.parametrize("run", ["tiny-sh", "zoo"])
def test_the_images_are_those_that_snapshots_show(run):
    """perf record -d: MMAP2 gives exactly what /proc/PID/maps showed at the start and after each exec."""
    (path,) = (ROOT / "sample_traces" / run).glob("*.perf-script.txt*")
    (maps,) = (ROOT / "sample_traces" / run).glob("*.snapshots.txt*")
    read = NativeStream(perf_script.FORMAT, [open_source(str(path))])
    vmas = {}
    for row in rows_of(read):
        if row["op"] == "vma":
            images = vmas.setdefault((row["line"], row["pid"]), [])
            images.append((row["addr"], row["addr"] + row["len"], row["prot"], row.get("file", "")))
    shown = {}
    for snapshot in read_snapshots([str(maps)], ("start", "exec")):
        mappings = [
            (mapping.start, mapping.end, mapping.prot, "" if mapping.name == "[stack]" else mapping.name)
            for mapping in snapshot.mappings
            if mapping.end < 1 << 47 and mapping.name != "[heap]"
        ]
        shown.setdefault(snapshot.pid, []).append(mappings)
    told = {}
    for (_, pid), mappings in sorted(vmas.items()):
        told.setdefault(pid, []).append(sorted(mappings))
    assert len(told) > 1
    assert told == shown


# What cannot be read


@pytest.mark.parametrize(
    ("event", "code", "place"),
    [
        ("PERF_RECORD_FORK(10:10):(9", "bad-perf-record", "PERF"),
        ("PERF_RECORD_MMAP2 9/9: [0x7ffe2d09b000(0x", "bad-perf-record", "PERF"),
        ("PERF_RECORD_EXIT(4194305:10):(9:9)", "bad-perf-record", "PERF"),
        ("PERF_RECORD_LOST lost x", "bad-perf-record", "PERF"),
        ("exceptions:page_fault_user: address=0x7fZZ10 ip=0x1 error_code=0x6", "bad-number", "0x7fZZ10"),
        ("syscalls:sys_enter_brk: brk: 12", "bad-number", "12"),
    ],
)
def test_damage_is_told_with_its_column(tmp_path, event, code, place):
    read = stream(tmp_path, lines(FAULT, event, FAULT))
    assert len(rows_of(read)) == 2
    ((found, [(at, column, text)]),) = [(loss.code, loss.places) for loss in read.losses]
    assert (found, at, column) == (code, 2, text.index(place) + 1)


def test_other_text_is_refused(tmp_path):
    with pytest.raises(UnknownFormatError, match="expected output of perf script"):
        stream(tmp_path, "              sh-9     [001]     1.000001: page_fault_user:      address=0x1\n")
    with pytest.raises(UnsupportedTraceError, match="perf script -F comm,pid,tid,cpu,time,event,trace"):
        stream(tmp_path, f"sh  9  {FAULT}\n" * 2)
