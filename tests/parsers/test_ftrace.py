import pytest

from anonvma_trace.errors import EmptyTraceError, UnknownFormatError, UnsupportedTraceError
from anonvma_trace.events import CLONE_VFORK, CLONE_VM, EVENT_SCHEMA, MAP_SHARED
from anonvma_trace.parsers import native_rows
from anonvma_trace.parsers.source import Source
from anonvma_trace.parsers.tracepoint_heads import detect_ftrace

from .ftrace_text import codes_of, line, lines, rows_of, short_rows, stream_of

FAULT = "page_fault_user: address=0x7f1010 ip=0x401a2c error_code=0x6"
MMAP = "sys_mmap(addr: 0, len: 0x2000, prot: 3, flags: 0x22, fd: 0xffffffff, off: 0)"
EXIT = "sched_process_exit: comm=sh pid=100 prio=120 group_dead=true"


def newtask(child, flags="1200000", comm="sh"):
    return f"task_newtask: pid={child} comm={comm} clone_flags={flags} oom_score_adj=0"


def in_blocks_of_one_line(monkeypatch):
    whole_blocks = Source.blocks

    def blocks(source, size=0):
        lines_read = 0
        for block in whole_blocks(source):
            for piece in block.splitlines(keepends=True):
                lines_read += 1
                source.lines_read = lines_read
                yield piece

    monkeypatch.setattr(Source, "blocks", blocks)


def fault(address, code=6, mode="user"):
    return f"page_fault_{mode}: address={address:#x} ip=0x401a2c error_code={code:#x}"


def file_mmap(offset=0, fd=3):
    return f"sys_mmap(addr: 0, len: 0x2000, prot: 1, flags: 2, fd: {fd}, off: {offset:#x})"


# -- one row -----------------------------------------------------------------------------------------------


def test_a_row_has_all_that_its_line_tells(tmp_path):
    text = line(FAULT, tid=101, ts="2149.269994", cpu=1, comm="zoo", tgid=100) + "\n"
    stream = stream_of(tmp_path, text)
    (batch,) = stream.batches()
    assert batch.schema == EVENT_SCHEMA
    (row,) = batch.to_pylist()
    assert {name: value for name, value in row.items() if value is not None} == {
        "ts": 2149269994000,
        "cpu": 1,
        "pid": 100,
        "tid": 101,
        "comm": "zoo",
        "op": "write_fault",
        "addr": 0x7F1010,
        "line": 1,
    }


@pytest.mark.parametrize(
    ("enter", "returned", "row"),
    [
        (MMAP, "0x7f000", {"op": "mmap", "addr": 0x7F000, "len": 0x2000, "prot": 3, "flags": 0x22}),
        (
            file_mmap(0x3000),
            "0x7f000",
            {
                "op": "mmap",
                "addr": 0x7F000,
                "len": 0x2000,
                "prot": 1,
                "flags": 2,
                "pgoff": 3,
                "file": "fd:3#1",
            },
        ),
        ("sys_munmap(addr: 0x7f000, len: 0x94e3)", "0x0", {"op": "munmap", "addr": 0x7F000, "len": 0x94E3}),
        (
            "sys_mprotect(start: 0x7f000, len: 0x4000, prot: 1)",
            "0x0",
            {"op": "mprotect", "addr": 0x7F000, "len": 0x4000, "prot": 1},
        ),
        (
            "sys_pkey_mprotect(start: 0x7f000, len: 0x4000, prot: 1, pkey: 0xffffffff)",
            "0x0",
            {"op": "mprotect", "addr": 0x7F000, "len": 0x4000, "prot": 1},
        ),
        (
            "sys_mremap(addr: 0x7f000, old_len: 0x8000, new_len: 0x18000, flags: 1, new_addr: 0)",
            "0x9f000",
            {
                "op": "mremap",
                "addr": 0x7F000,
                "len": 0x8000,
                "flags": 1,
                "new_addr": 0x9F000,
                "new_len": 0x18000,
            },
        ),
        ("sys_brk(brk: 0)", "0x5627accdf000", {"op": "brk", "addr": 0x5627ACCDF000}),  # queries too
        (
            "sys_madvise(start: 0x7f000, len_in: 0x80000, behavior: 4)",
            "0x0",
            {"op": "madvise", "addr": 0x7F000, "len": 0x80000, "flags": 4},
        ),
        ("sys_mlock(start: 0x7f000, len: 0x4000)", "0x0", {"op": "mlock", "addr": 0x7F000, "len": 0x4000}),
        (
            "sys_mlock2(start: 0x7f000, len: 0x4000, flags: 1)",
            "0x0",
            {"op": "mlock", "addr": 0x7F000, "len": 0x4000},
        ),
        (
            "sys_munlock(start: 0x7f000, len: 0x4000)",
            "0x0",
            {"op": "munlock", "addr": 0x7F000, "len": 0x4000},
        ),
    ],
)
def test_a_system_call_becomes_a_row_at_its_exit(tmp_path, enter, returned, row):
    name = enter[: enter.index("(")]
    stream = stream_of(tmp_path, lines(enter, f"{name} -> {returned}"))
    common = {"ts": 1000001000, "cpu": 0, "pid": 100, "tid": 100, "comm": "sh", "line": 2}
    assert rows_of(stream) == [common | row]
    assert stream.line_counts["events"] == 2


@pytest.mark.parametrize(
    "events",
    [
        (MMAP, "sys_mmap -> 0xfffffffffffffff4"),  # -ENOMEM
        (MMAP,),  # never returned
        ("sys_mmap -> 0x7f000",),  # the recording began inside the call
        ("sys_mlockall(flags: 1)", "sys_mlockall -> 0x0"),
        (
            "sys_remap_file_pages(start: 0x7f000, size: 0x4000, prot: 0, pgoff: 4, flags: 0)",
            "sys_remap_file_pages -> 0x0",
        ),
        (
            "sys_process_madvise(pidfd: 4, vec: 0x7f, vlen: 1, behavior: 0x15, flags: 0)",
            "sys_process_madvise -> 0x4000",
        ),
        ("page_fault_kernel: address=__per_cpu_end ip=memcpy error_code=0x2",),
        ("page_fault_user: address=0xffffffffff600000 ip=0x4 error_code=0x15",),
        ("sys_shmdt(shmaddr: 0x7f000)", "sys_shmdt -> 0x0"),  # nothing tells what was attached
        ("rss_stat: mm_id=2446127378 curr=1 type=MM_FILEPAGES size=3706880B",),
        ("sched_switch: prev_comm=sh prev_pid=1",),
    ],
)
def test_events_that_make_no_row_are_counted_as_other(tmp_path, events):
    stream = stream_of(tmp_path, lines(*events))
    assert rows_of(stream) == []
    assert stream.line_counts == {
        "events": 0,
        "headers": 0,
        "blank": 0,
        "loss_marks": 0,
        "other": len(events),
        "unreadable": 0,
    }


@pytest.mark.parametrize(
    ("mode", "code", "op"),
    [
        ("user", 4, "read_fault"),
        ("user", 0x14, "read_fault"),
        ("user", 6, "write_fault"),
        ("user", 7, "write_fault"),
        ("kernel", 0, "read_fault"),
        ("kernel", 2, "write_fault"),
        ("kernel", 3, "write_fault"),
    ],
)
def test_bit_1_of_the_error_code_is_the_write(tmp_path, mode, code, op):
    assert short_rows(stream_of(tmp_path, lines(fault(0x7F1010, code, mode))), "addr") == [(op, 0x7F1010)]


def test_old_kernels_print_arguments_without_0x(tmp_path):
    text = lines("sys_munmap(addr: 7f88752a6000, len: 2000)", "sys_munmap -> 0x0")
    assert short_rows(stream_of(tmp_path, text), "addr", "len") == [("munmap", 0x7F88752A6000, 0x2000)]


# -- names of files, segments ------------------------------------------------------------------------------


def test_the_mappings_of_a_descriptor_at_offset_0_are_counted_in_its_process(tmp_path):
    events = []
    for tid, fd, offset in (
        (100, 3, 0),
        (100, 3, 0x1000),
        (100, 4, 0),
        (100, 3, 0),
        (100, 3, 0x1000),
        (200, 3, 0),
    ):
        events += [(file_mmap(offset, fd), {"tid": tid}), ("sys_mmap -> 0x7f000", {"tid": tid})]
    rows = short_rows(stream_of(tmp_path, lines(*events)), "pid", "file")
    assert [row[1:] for row in rows] == [
        (100, "fd:3#1"),
        (100, "fd:3#1"),
        (100, "fd:4#1"),
        (100, "fd:3#2"),
        (100, "fd:3#2"),
        (200, "fd:3#1"),
    ]


def test_names_of_files_are_right_though_few_are_kept(tmp_path, monkeypatch):
    events = ["sys_execve(filename: 0x55, argv: 0x55)", file_mmap(), "sys_mmap -> 0x7f000"]
    events += [(event, {"tid": 200}) for _ in range(5) for event in (file_mmap(), "sys_mmap -> 0x7f000")]
    events += [FAULT, (file_mmap(), {"tid": 200}), ("sys_mmap -> 0x7f000", {"tid": 200})]
    whole = rows_of(stream_of(tmp_path, lines(*events)))
    assert len({row["file"] for row in whole if "file" in row}) == 6
    monkeypatch.setattr(native_rows, "FILE_NAMES_KEPT", 1)
    in_blocks_of_one_line(monkeypatch)
    stream = stream_of(tmp_path, lines(*events))
    assert rows_of(stream) == whole


def test_a_child_inherits_mappings_so_it_goes_on_counting(tmp_path):
    events = [
        file_mmap(),
        "sys_mmap -> 0x7f000",
        newtask(101),
        (file_mmap(), {"tid": 101}),
        ("sys_mmap -> 0x8f000", {"tid": 101}),
    ]
    assert [row[-1] for row in short_rows(stream_of(tmp_path, lines(*events)), "file")] == [
        "fd:3#1",
        None,
        "fd:3#2",
    ]


def test_shmget_tells_the_size_that_shmat_maps_and_shmdt_unmaps(tmp_path):
    text = lines(
        "sys_shmget(key: 0, size: 0x4001, shmflg: 0x3b6)",
        "sys_shmget -> 0x8020",
        "sys_shmat(shmid: 0x8020, shmaddr: 0, shmflg: 0)",
        "sys_shmat -> 0x7fa08c316000",
        newtask(101),
        ("sys_shmdt(shmaddr: 0x7fa08c316000)", {"tid": 101}),
        ("sys_shmdt -> 0x0", {"tid": 101}),
    )
    rows = short_rows(stream_of(tmp_path, text), "pid", "addr", "len", "prot", "flags", "pgoff", "file")
    assert rows == [
        ("mmap", 100, 0x7FA08C316000, 0x5000, 3, MAP_SHARED, 0, "shmid:32800"),
        ("fork", 100, None, None, None, 0x1200000, None, None),
        ("munmap", 101, 0x7FA08C316000, 0x5000, None, None, None, None),
    ]


def test_a_segment_of_unknown_size_is_one_page_and_told(tmp_path):
    text = lines("sys_shmat(shmid: 0x8020, shmaddr: 0, shmflg: 0x1000)", "sys_shmat -> 0x7fa08c316000")
    stream = stream_of(tmp_path, text)
    assert short_rows(stream, "len", "prot") == [("mmap", 0x1000, 1)]
    assert "segment-size-unknown" in codes_of(stream)


# -- tasks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "rows"),
    [
        ("1200000", [("fork", 100, 101, 0x1200000), ("write_fault", 101, None, None)]),
        ("4100", [("fork", 100, 101, CLONE_VM | CLONE_VFORK), ("write_fault", 101, None, None)]),
        ("3d0f00", [("write_fault", 100, None, None)]),  # a thread: no row, and its faults are the process's
    ],
)
def test_clone_flags_tell_child_vfork_child_and_thread(tmp_path, flags, rows):
    text = lines(
        newtask(101, flags),
        "sched_process_fork: comm=sh pid=100 child_comm=sh child_pid=101",
        (FAULT, {"tid": 101}),
    )
    assert short_rows(stream_of(tmp_path, text), "pid", "child", "flags") == rows


@pytest.mark.parametrize(
    ("call", "tgid", "rows"),
    [
        (
            "sys_clone(clone_flags: 0x1200011, newsp: 0)",
            None,
            [("fork", 100, 0x1200011), ("write_fault", 101, None)],
        ),
        ("sys_vfork()", None, [("fork", 100, CLONE_VM | CLONE_VFORK), ("write_fault", 101, None)]),
        ("sys_clone(clone_flags: 0x3d0f00, newsp: 0)", None, [("write_fault", 100, None)]),
        # clone3's flags are in the caller's memory: the process column of the child's event tells a thread
        ("sys_clone3(uargs: 0x7fff, size: 0x58)", 100, [("write_fault", 100, None)]),
        ("sys_clone3(uargs: 0x7fff, size: 0x58)", 101, [("fork", 100, 0), ("write_fault", 101, None)]),
    ],
)
def test_sched_process_fork_alone_takes_the_flags_from_the_call(tmp_path, call, tgid, rows):
    text = lines(
        call,
        "sched_process_fork: comm=sh pid=100 child_comm=sh child_pid=101",
        (FAULT, {"tid": 101, "tgid": tgid}),
    )
    stream = stream_of(tmp_path, text)
    assert short_rows(stream, "pid", "flags") == rows
    assert ("fork-without-flags" in codes_of(stream)) == ("clone3" in call)


def test_a_process_exits_with_its_last_thread_and_has_no_events_after(tmp_path):
    text = lines(
        newtask(101, "3d0f00"),
        "sched_process_exit: comm=sh pid=100 prio=120 group_dead=false",
        (FAULT, {"tid": 101}),
        ("sched_process_exit: comm=sh pid=101 prio=120 group_dead=true", {"tid": 101}),
        (FAULT, {"tid": 101}),
        FAULT,
        (newtask(100), {"tid": 7}),
        FAULT,
    )
    stream = stream_of(tmp_path, text)
    assert short_rows(stream, "pid", "line") == [
        ("write_fault", 100, 3),
        ("exit", 100, 4),
        ("fork", 7, 7),
        ("write_fault", 100, 8),
    ]
    (told,) = [found for found in stream.diagnostics if found.code == "event-after-exit"]
    assert (told.message[0], told.line) == ("2", 5)


def test_threads_are_counted_where_the_kernel_does_not_tell_the_last(tmp_path):
    text = lines(
        newtask(101, "3d0f00"),
        "sched_process_exit: comm=sh pid=100 prio=120",
        ("sched_process_exit: comm=sh pid=101 prio=120", {"tid": 101}),
    )
    assert short_rows(stream_of(tmp_path, text), "pid", "tid") == [("exit", 100, 101)]


def test_a_thread_whose_beginning_was_lost_outlives_an_exec_before_its_first_event(tmp_path):
    text = lines(
        (EXEC, {"tgid": 100}),
        ("CPU:1 [LOST 9 EVENTS]", None),
        (FAULT, {"tid": 102, "tgid": 100}),
        (FAULT, {"tgid": 100}),
    )
    rows = short_rows(stream_of(tmp_path, text), "pid", "tid")
    assert rows[2:] == [("write_fault", 100, 102), ("write_fault", 100, 100)]


def test_threads_from_before_the_recording_are_known_by_the_process_column(tmp_path):
    text = lines(
        (FAULT, {"tid": 102, "tgid": 100}),
        ("sched_process_exit: comm=sh pid=102 prio=120", {"tid": 102, "tgid": 100}),
        (FAULT, {"tgid": 100}),
        ("sched_process_exit: comm=sh pid=100 prio=120", {"tgid": 100}),
    )
    assert short_rows(stream_of(tmp_path, text), "pid") == [
        ("write_fault", 100),
        ("write_fault", 100),
        ("exit", 100),
    ]


def test_a_thread_without_process_column_is_taken_for_a_process_and_told(tmp_path):
    stream = stream_of(tmp_path, lines((FAULT, {"tid": 102}), (FAULT, {"tid": 102})))
    assert short_rows(stream, "pid") == [("write_fault", 102)] * 2
    (told,) = [found for found in stream.diagnostics if found.code == "assumed-process"]
    assert told.message.startswith("1 thread was")


def test_names_come_from_events_because_the_column_is_looked_up_when_the_file_is_read(tmp_path):
    column = {"comm": "late"}
    text = lines(
        (FAULT, column),
        (newtask(101, comm="zoo kid (1) -> "), column),
        (FAULT, {"tid": 101, **column}),
        ("task_rename: pid=101 oldcomm=zoo newcomm=a b oom_score_adj=0", {"tid": 101, **column}),
        (FAULT, {"tid": 101, **column}),
        (
            "sched_process_exec: filename=/usr/bin/a-name-longer-than-15 pid=101 old_pid=101",
            {"tid": 101, **column},
        ),
        (FAULT, {"tid": 101, **column}),
        (FAULT, {"tid": 9, "comm": "<...>"}),
    )
    assert [row[1] for row in short_rows(stream_of(tmp_path, text), "comm")] == [
        "late",
        "late",
        "zoo kid (1) -> ",
        "a b",
        "a-name-longer-t",
        "a-name-longer-t",
        None,
    ]


# -- exec and images ---------------------------------------------------------------------------------------

IMAGE = """\
# SNAP n=2 why=exec t_mono=1.5 pid=100 comm=sh
# MAPS
00400000-00402000 rw-p 00000000 fe:00 9 /bin/sh
7ffd0000-7ffd4000 rw-p 00000000 00:00 0 [stack]
# PAGES
A 401000 1f:1
# END n=2
"""
EXECVE = "sys_execve(filename: 0x7fce, argv: 0x7fce, envp: 0x7fce)"
RENAME = "task_rename: pid=100 oldcomm=python3 newcomm=sh oom_score_adj=0"
EXEC = "sched_process_exec: filename=/bin/sh pid=100 old_pid=100"
MARKER = ("tracing_mark_write: snap n=2 why=exec pid=100 t_mono=1.5", {"tid": 900, "comm": "ptsnap"})
ELF_LOAD = fault(0x401240, 2, "kernel")


def with_image(tmp_path, image=IMAGE):
    path = tmp_path / "run.snapshots.txt"
    path.write_text(image)
    return [path]


def test_image_and_loader_faults_come_directly_behind_the_exec(tmp_path):
    text = lines(
        EXECVE,
        fault(0x7F5000, 0, "kernel"),  # reading the arguments: still the old image
        RENAME,
        ELF_LOAD,
        EXEC,
        (FAULT, {"tid": 300}),
        MARKER,
        "sys_execve -> 0x0",
        FAULT,
    )
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path))
    assert short_rows(stream, "pid", "addr", "line") == [
        ("read_fault", 100, 0x7F5000, 2),
        ("exec", 100, None, 5),
        ("vma", 100, 0x400000, 5),
        ("vma", 100, 0x7FFD0000, 5),
        ("write_fault", 100, 0x7FFD3000, 5),  # the argument page
        ("write_fault", 100, 0x401240, 4),
        ("write_fault", 300, 0x7F1010, 6),
        ("mark", 100, None, 7),
        ("write_fault", 100, 0x7F1010, 9),
    ]


def test_without_an_image_the_loaders_faults_still_follow_the_exec(tmp_path):
    stream = stream_of(tmp_path, lines(EXECVE, RENAME, ELF_LOAD, EXEC, "sys_execve -> 0x0"))
    assert short_rows(stream, "line") == [("exec", 4), ("write_fault", 3)]
    times = [row["ts"] for row in rows_of(stream_of(tmp_path, lines(EXECVE, RENAME, ELF_LOAD, EXEC)))]
    assert times == [1000003000, 1000003000]  # times never fall


def test_without_task_rename_the_new_image_tells_the_loaders_faults(tmp_path):
    text = lines(EXECVE, fault(0x7F5000, 0, "kernel"), ELF_LOAD, EXEC, MARKER, "sys_execve -> 0x0")
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path))
    assert [row for row in short_rows(stream, "line") if "fault" in row[0]] == [
        ("read_fault", 2),
        ("write_fault", 4),
        ("write_fault", 3),
    ]


def test_a_failed_execve_moves_nothing(tmp_path):
    text = lines(EXECVE, ELF_LOAD, "sys_execve -> 0xfffffffffffffffe", FAULT)
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path))
    assert short_rows(stream, "line") == [("write_fault", 2), ("write_fault", 4)]
    assert "snapshot-without-marker" in codes_of(stream)


def test_an_exec_by_a_thread_goes_on_under_the_leaders_id(tmp_path):
    # As recorded in threxec: 104 calls execve, the leader exits first, then 104 has the leader's id.
    text = lines(
        newtask(104, "3d0f00"),
        (EXECVE, {"tid": 104}),
        (fault(0x7F5000, 0, "kernel"), {"tid": 104}),
        "sched_process_exit: comm=sh pid=100 prio=120 group_dead=false",
        RENAME,
        ELF_LOAD,
        "sched_process_exec: filename=/bin/sh pid=100 old_pid=104",
        MARKER,
        "sys_execve -> 0x0",
        FAULT,
        (FAULT, {"tid": 104}),
        EXIT,
    )
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path))
    assert short_rows(stream, "pid", "line") == [
        ("read_fault", 100, 3),
        ("exec", 100, 7),
        ("vma", 100, 7),
        ("vma", 100, 7),
        ("write_fault", 100, 7),
        ("write_fault", 100, 6),
        ("mark", 100, 8),
        ("write_fault", 100, 10),
        ("exit", 100, 12),
    ]


def test_an_image_goes_to_the_exec_that_its_marker_follows(tmp_path):
    text = lines(EXECVE, EXEC, "sys_execve -> 0x0", EXECVE, EXEC, MARKER, "sys_execve -> 0x0")
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path))
    assert [row[0] for row in short_rows(stream)] == ["exec", "exec", "vma", "vma", "write_fault", "mark"]
    assert "exec-without-image" in codes_of(stream)


def test_rows_do_not_wait_for_ever_for_an_execve_whose_end_was_lost(tmp_path, monkeypatch):
    in_blocks_of_one_line(monkeypatch)
    text = lines(EXECVE, (FAULT, {"tid": 300}), FAULT, (FAULT, {"tid": 300}))
    batches = [batch.num_rows for batch in stream_of(tmp_path, text, maps=with_image(tmp_path)).batches()]
    assert batches == [2, 1]  # the second user-mode fault shows that 100 is in no execve any more


def test_a_start_image_stands_behind_its_marker_and_makes_its_process_known(tmp_path):
    image = IMAGE.replace("n=2 why=exec", "n=1 why=start").replace("END n=2", "END n=1")
    text = lines(("tracing_mark_write: snap n=1 why=start pid=100 t_mono=1.0", {"tid": 900}), FAULT)
    stream = stream_of(tmp_path, text, maps=with_image(tmp_path, image))
    rows = short_rows(stream, "pid", "tid", "comm", "len")
    assert rows == [
        ("mark", 100, None, "sh", 1),
        ("vma", 100, None, "sh", 0x2000),
        ("vma", 100, None, "sh", 0x4000),
        ("write_fault", 100, None, "sh", None),
        ("write_fault", 100, 100, "sh", None),
    ]
    assert (stream.metadata.known_pids, stream.metadata.complete, stream.metadata.brk_flags) == (
        (100,),
        False,
        "rw",
    )


def test_plain_maps_stand_before_the_first_event(tmp_path):
    path = tmp_path / "100.maps"
    path.write_text(
        "00400000-00402000 rw-p 00000000 fe:00 9 /bin/sh\n00402000-00403000 rw-p 00000000 00:00 0 [heap]\n"
    )
    stream = stream_of(tmp_path, lines((FAULT, {"tid": 7}), FAULT), maps=[path])
    assert short_rows(stream, "pid", "ts", "line") == [
        ("vma", 100, 1000000000, None),
        ("brk", 100, 1000000000, None),
        ("brk", 100, 1000000000, None),
        ("write_fault", 7, 1000000000, 1),
        ("write_fault", 100, 1000001000, 2),
    ]
    assert stream.metadata.known_pids == (100,)


def test_an_image_whose_marker_was_lost_is_used_nowhere_and_told(tmp_path):
    image = IMAGE.replace("why=exec", "why=start")
    stream = stream_of(tmp_path, lines(FAULT), maps=with_image(tmp_path, image))
    assert short_rows(stream) == [("write_fault",)]
    assert stream.metadata.known_pids == ()
    assert "snapshot-without-marker" in codes_of(stream)


# -- losses ------------------------------------------------------------------------------------------------


def test_a_lost_mark_is_a_row_and_breaks_the_calls_of_its_cpu(tmp_path):
    text = lines(MMAP, ("CPU:0 [LOST 332 EVENTS]", None), "sys_mmap -> 0x7f000", FAULT)
    stream = stream_of(tmp_path, text)
    assert rows_of(stream)[0] == {"ts": 1000002000, "cpu": 0, "pid": 0, "op": "lost", "len": 332, "line": 2}
    assert stream.metadata.lost_events == 332
    assert stream.line_counts == {
        "events": 1,
        "headers": 0,
        "blank": 0,
        "loss_marks": 1,
        "other": 2,
        "unreadable": 0,
    }
    assert "call-across-loss" in codes_of(stream)


def test_overwritten_events_are_a_loss_at_the_start(tmp_path):
    text = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 1/987   #P:2\n" + lines(FAULT)
    stream = stream_of(tmp_path, text)
    assert rows_of(stream)[0] == {"ts": 1000000000, "pid": 0, "op": "lost", "len": 986, "line": 3}
    assert (stream.metadata.lost_events, stream.line_counts["headers"]) == (986, 3)


def test_unreadable_lines_are_losses_with_their_place_and_stop_nothing(tmp_path):
    bad = line("page_fault_user: address=0x7fZZ10 ip=0x4 error_code=0x6")
    text = lines(FAULT, (bad, None), ("", None), FAULT) + "garbage \xff\n"
    stream = stream_of(tmp_path, text.encode("latin-1"))
    assert short_rows(stream, "line") == [("write_fault", 1), ("write_fault", 4)]
    assert [(loss.code, loss.count, loss.places) for loss in stream.losses] == [
        ("bad-task-column", 1, [(5, 1, "garbage \\xff")]),
        ("bad-number", 1, [(2, bad.index("0x7fZZ10") + 1, bad)]),
    ]
    assert (stream.line_counts["unreadable"], stream.line_counts["blank"]) == (2, 1)
    assert stream.metadata.unreadable_lines == 2


def test_a_task_that_cannot_exist_makes_its_line_unreadable(tmp_path):
    stream = stream_of(tmp_path, lines(newtask(99_999_999_999), FAULT))
    assert [row[0] for row in short_rows(stream)] == ["write_fault"]
    assert [loss.code for loss in stream.losses] == ["bad-tid"]


def test_many_unreadable_lines_are_counted_and_a_few_kept(tmp_path):
    stream = stream_of(tmp_path, lines(FAULT) + "x\n" * 1000)
    rows_of(stream)
    assert [(loss.count, len(loss.places)) for loss in stream.losses] == [(1000, 5)]


# -- the whole ---------------------------------------------------------------------------------------------


def test_small_blocks_give_the_same_rows(tmp_path, monkeypatch):
    text = lines(
        newtask(104),
        (EXECVE, {"tid": 104}),
        MMAP,
        (ELF_LOAD, {"tid": 104}),
        ("sched_process_exec: filename=/bin/sh pid=104 old_pid=104", {"tid": 104}),
        "sys_mmap -> 0x7f000",
        ("tracing_mark_write: snap n=2 why=exec pid=104 t_mono=1.5", {"tid": 900}),
        ("sys_execve -> 0x0", {"tid": 104}),
        ("CPU:0 [LOST 2 EVENTS]", None),
        FAULT,
    )
    maps = with_image(tmp_path, IMAGE.replace("pid=100", "pid=104"))
    whole = rows_of(stream_of(tmp_path, text, maps=maps))
    in_blocks_of_one_line(monkeypatch)
    pieces = stream_of(tmp_path, text, maps=maps)
    assert rows_of(pieces) == whole
    assert len(whole) == 10


def test_parts_of_a_recording_are_merged_by_time(tmp_path):
    cpu0 = lines((MMAP, {"ts": "1.000001"}), (FAULT, {"ts": "1.000005"}))
    cpu1 = lines(("sys_mmap -> 0x7f000", {"ts": "1.000003", "cpu": 1}), (FAULT, {"ts": "1.000005", "cpu": 1}))
    stream = stream_of(tmp_path, cpu0, cpu1)
    assert short_rows(stream, "cpu", "line") == [("mmap", 1, 1), ("write_fault", 0, 2), ("write_fault", 1, 2)]
    assert stream.bytes_read == stream.bytes_total == len(cpu0) + len(cpu1)


def test_late_events_are_put_in_their_place(tmp_path):
    text = lines((FAULT, {"ts": "1.000009"}), (FAULT, {"ts": "1.000004"}))
    assert short_rows(stream_of(tmp_path, text), "line") == [("write_fault", 2), ("write_fault", 1)]


def test_a_trace_without_context_is_refused_with_the_reason(tmp_path):
    text = "# tracer: nop\n#\nsys_brk(brk: 0)\nsys_brk -> 0x56097ab21000\n"
    with pytest.raises(UnsupportedTraceError, match="options/context-info"):
        stream_of(tmp_path, text)


def test_another_format_is_refused(tmp_path):
    with pytest.raises(UnknownFormatError, match="ftrace text"):
        stream_of(tmp_path, "18232 1795439428.118613 brk(NULL) = 0x55\n")


def test_a_trace_of_headers_is_empty(tmp_path):
    with pytest.raises(EmptyTraceError, match="only headers"):
        rows_of(stream_of(tmp_path, "# tracer: nop\n#\n\n"))


@pytest.mark.parametrize(
    ("head", "is_ftrace"),
    [
        ("# tracer: nop\n", True),
        (lines(FAULT), True),
        (lines((FAULT, {"tgid": 100})), True),
        ("CPU:1 [LOST 332 EVENTS]\n" + lines(FAULT), True),
        (f"      sh-6723      0d.... 19938us : {FAULT}\n", True),
        ("sys_brk(brk: 0)\nsys_brk -> 0x56097ab21000\n", True),
        # trace-cmd report, perf script, strace, our bpftrace script, an event table
        ("            make-18515 [000]  1604.939008691: sys_enter_mmap:       addr: 0x00000000\n", False),
        (
            "         zoo 18833/18833 [001]  1631.348357708:           syscalls:sys_enter_brk: brk: 0x7f\n",
            False,
        ),
        ("18232 1795439428.118613 brk(NULL) = 0x55\n", False),
        ("1631351445163 1 18901 18901 zoo kid (1) ->  fault addr=0x7fa05b89c000 ip=0x55 err=0x7\n", False),
        ("ts,pid,op\n1,2,exit\n", False),
        ("", False),
    ],
)
def test_detection_by_content(head, is_ftrace):
    assert detect_ftrace(head.encode()) == is_ftrace


def test_a_file_that_holds_fewer_events_than_its_header_announces_is_told(tmp_path):
    text = (
        "# tracer: nop\n# entries-in-buffer/entries-written: 3/3   #P:2\n"
        "              sh-7     [000] .....     1.000001: sys_brk -> 0x1000\n"
    )
    stream = stream_of(tmp_path, text)
    list(stream.batches())
    assert stream.metadata.lost_events == 2
    [told] = [each for each in stream.diagnostics if each.code == "events-missing"]
    assert "expected the 3 events that its header announces, found 1" in told.message
