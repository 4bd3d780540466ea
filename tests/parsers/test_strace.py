"""Output of strace: all shapes of its lines, and the rows that they become."""

import pytest

from anonvma_trace.parsers import open_trace

from .printed_text import codes_of, places_of, rows_of, trace_of

CLONE = (
    "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f0a10)"
)
THREAD = "clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0, stack=0x7fce} => {parent_tid=[102]}, 88)"
ANON = "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)"
MMAP_ROW = ("mmap", 100, 0x7F0000000000, 8192, 3, 0x22, None)


def test_each_call_has_its_row(tmp_path):
    text = f"""\
100 1795440035.244649 execve("/bin/sh", ["/bin/sh", "-c", "a = 1) = 0"], 0x7fce /* 3 vars */) = 0
100 1795440035.255182 brk(NULL)       = 0x55a0c03d4000
100 1795440035.255756 {ANON} = 0x7f0000000000
100 1795440035.256002 mmap(NULL, 38115, PROT_READ, MAP_PRIVATE, 3</usr/lib/a b), c>, 0x2000) = 0x7f0000010000
100 1795440035.256003 mprotect(0x7f0000000000, 4096, PROT_READ) = 0
100 1795440035.256004 mremap(0x7f0000000000, 8192, 16384, MREMAP_MAYMOVE) = 0x7f0000020000
100 1795440035.256005 madvise(0x7f0000020000, 4096, MADV_DONTNEED) = 0
100 1795440035.256006 mlock(0x7f0000020000, 4096) = 0
100 1795440035.256007 munlock(0x7f0000020000, 4096) = 0
100 1795440035.256008 shmget(IPC_PRIVATE, 12288, IPC_CREAT|0600) = 7
100 1795440035.256009 shmat(7, NULL, SHM_RDONLY) = 0x7f0000030000
100 1795440035.256010 shmdt(0x7f0000030000) = 0
100 1795440035.256011 munmap(0x7f0000020000, 16384) = 0
100 1795440035.256012 exit_group(0)   = ?
100 1795440035.256013 +++ exited with 0 +++
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "addr", "len", "prot", "flags", "file", "new_addr") == [
        ("exec", None, None, None, None, "/bin/sh", None),
        ("brk", 0x55A0C03D4000, None, None, None, None, None),
        ("mmap", 0x7F0000000000, 8192, 3, 0x22, None, None),
        ("mmap", 0x7F0000010000, 38115, 1, 2, "/usr/lib/a b), c", None),
        ("mprotect", 0x7F0000000000, 4096, 1, None, None, None),
        ("mremap", 0x7F0000000000, 8192, None, 1, None, 0x7F0000020000),
        ("madvise", 0x7F0000020000, 4096, None, 4, None, None),
        ("mlock", 0x7F0000020000, 4096, None, None, None, None),
        ("munlock", 0x7F0000020000, 4096, None, None, None, None),
        ("mmap", 0x7F0000030000, 12288, 1, 1, "shmid:7", None),
        ("munmap", 0x7F0000030000, 12288, None, None, None, None),
        ("munmap", 0x7F0000020000, 16384, None, None, None, None),
        ("exit", None, None, None, None, None, None),
    ]
    assert trace.table["pgoff"].to_pylist()[3] == 2
    assert set(trace.table["comm"].to_pylist()[1:]) == {"sh"}
    assert codes_of(trace) == ["no-images", "no-faults"]


@pytest.mark.parametrize(
    ("prefixes", "times"),
    [
        (("1795440035.244649 ", "1795440036 "), (1795440035244649000, 1795440036000000000)),  # -ttt
        (("13:31:08 ", "13:31:09 "), (48668000000000, 48669000000000)),  # -t
        (("23:59:59.999999 ", "00:00:01.000000 "), (86399999999000, 86401000000000)),  # -tt, midnight
        (("     0.000001 ", "     0.000594 "), (1000, 595000)),  # -r: since the line before
        (
            ("1795440035.2 (+     0.0) ", "1795440035.3 (+     0.1) "),
            (1795440035200000000, 1795440035300000000),
        ),
        (("", ""), (1, 2)),  # none: the number of the line
    ],
)
@pytest.mark.parametrize("column", ["100 ", "100   ", "100<sh> "])
def test_times_of_all_styles(tmp_path, column, prefixes, times):
    lines = [f"{column}{prefix}brk(NULL) = 0x55a0c03d4000\n" for prefix in prefixes]
    trace = trace_of(tmp_path, "".join(lines))
    assert rows_of(trace, "ts", "pid", "addr") == [("brk", time, 100, 0x55A0C03D4000) for time in times]


@pytest.mark.parametrize(
    "call",
    [
        "mmap(NULL, 8192, 0x3, 0x22, -1, 0) = 0x7f0000000000",  # -X raw
        "mmap(NULL, 8192, 0x3 /* PROT_READ|PROT_WRITE */, 0x22 /* MAP_… */, -1, 0) = 0x7f0000000000",
        "mmap(0, 0x2000, 0x3, 0x22, 0xffffffff, 0) = 0x7f0000000000",  # -e raw=all
        f"{ANON} = 0x7f0000000000 <0.000025>",  # -T
        f"[00007f1e2d3c4b5a] {ANON} = 0x7f0000000000",  # -i
        f"[   9] {ANON}          = 0x7f0000000000",  # -n
    ],
)
def test_shapes_of_a_call(tmp_path, call):
    trace = trace_of(tmp_path, f"100 13:31:08 {call}\n")
    assert rows_of(trace, "pid", "addr", "len", "prot", "flags", "file") == [MMAP_ROW]


def test_a_row_stands_at_the_return_if_the_duration_tells_it(tmp_path):
    trace = trace_of(tmp_path, "100 5.000001 brk(NULL) = 0x5000 <0.000025>\n")
    assert rows_of(trace, "ts") == [("brk", 5000026000)]


@pytest.mark.parametrize(
    "result",
    ["-1 ENOMEM (Cannot allocate memory)", "-1 EINVAL (Invalid argument) <0.000004>", "?", "? <unavailable>",
     "? ERESTARTSYS (To be restarted if SA_RESTART is set)"],
)  # fmt: skip
def test_calls_that_failed_make_no_row(tmp_path, result):
    trace = trace_of(tmp_path, f"100 1.0 {ANON} = {result}\n100 1.1 brk(NULL) = 0x5000\n")
    assert [row[0] for row in rows_of(trace)] == ["brk"]
    assert trace.losses == []


def test_cut_calls_are_joined_by_thread_and_call(tmp_path):
    text = """\
100 1795440035.000001 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>
101 1795440035.000002 brk(NULL <unfinished ...>
100 1795440035.000003 <... mmap resumed>) = 0x7f0000000000 <0.000002>
101 1795440035.000004 <... brk resumed> )       = 0x5000
100 1795440035.000005 munmap(0x7f0000000000, 8192 <unfinished ...>
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "ts", "line") == [
        ("mmap", 100, 1795440035000003000, 3),
        ("brk", 101, 1795440035000004000, 4),
    ]
    assert codes_of(trace) == ["no-images", "assumed-process", "call-without-exit", "no-faults"]
    assert trace.stream.line_counts["events"] == 4
    assert trace.stream.line_counts["other"] == 1


def test_tasks_of_all_kinds(tmp_path):
    text = f"""\
100 1.000001 {CLONE} = 101
100 1.000002 {THREAD} = 102
100 1.000003 vfork( <unfinished ...>
103 1.000004 execve("/nonexistent", ["a"], 0x7f /* 1 var */) = -1 ENOENT (No such file or directory)
103 1.000005 execve("/bin/true", ["a"], 0x7f /* 1 var */ <unfinished ...>
100 1.000006 <... vfork resumed>) = 103
103 1.000007 <... execve resumed>) = 0
102 1.000008 brk(NULL) = 0x5000
102 1.000009 +++ exited with 0 +++
103 1.000010 +++ killed by SIGSEGV (core dumped) +++
101 1.000011 +++ exited with 3 +++
100 1.000012 +++ exited with 0 +++
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "tid", "child", "flags", "line") == [
        ("fork", 100, 100, 101, 0x1200000, 1),
        ("fork", 100, 100, 103, 0x4100, 6),
        ("exec", 103, 103, None, None, 7),
        ("brk", 100, 102, None, None, 8),
        ("exit", 103, 103, None, None, 10),
        ("exit", 101, 101, None, None, 11),
        ("exit", 100, 100, None, None, 12),
    ]


def test_a_fork_stands_before_the_first_line_of_its_child(tmp_path):
    # A number of the second half of the range, then one of the first: pids wrap.
    text = f"""\
32767 13:31:08 brk(NULL) = 0x5000
400   13:31:08 brk(NULL) = 0x5000
400   13:31:08 +++ exited with 0 +++
32767 13:31:08 {CLONE} = 400
32767 13:31:08 {CLONE} = 400
400   13:31:08 brk(NULL) = 0x6000
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "line") == [
        ("brk", 32767, 1),
        ("fork", 32767, 4),
        ("brk", 400, 2),
        ("exit", 400, 3),
        ("fork", 32767, 5),
        ("brk", 400, 6),
    ]


def test_a_thread_that_calls_execve_becomes_the_leader(tmp_path):
    text = f"""\
100 1.000001 {THREAD} = 102
102 1.000002 execve("/usr/bin/true", ["true"], 0x7f /* 3 vars */ <pid changed to 100 ...>
100 1.000003 +++ superseded by execve in pid 102 +++
100 1.000004 <... execve resumed>) = 0 <0.000470>
100 1.000005 brk(NULL) = 0x5000
100 1.000006 +++ exited with 0 +++
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "tid", "file", "line") == [
        ("exec", 100, 100, "/usr/bin/true", 4),
        ("brk", 100, 100, None, 5),
        ("exit", 100, 100, None, 6),
    ]


@pytest.mark.parametrize(
    ("call", "file"),
    [
        ('execveat(3</bin>, "sh", ["sh"], NULL, 0)', "/dev/fd/3/sh"),
        ('execveat(3</bin/sh>, "", ["sh"], NULL, AT_EMPTY_PATH)', "/dev/fd/3"),
        ('execveat(AT_FDCWD, "sh", ["sh"], NULL, 0)', "sh"),
        (r'execve("/tmp/a\"b\303\274\n\x7f", ["a"], 0x7f /* 1 var */)', '/tmp/a"bü\n\x7f'),
        ("execve(0x7ffe0010, 0x7ffe0020, 0x7ffe0030)", None),  # -e raw=execve
    ],
)
def test_the_path_of_an_exec(tmp_path, call, file):
    trace = trace_of(tmp_path, f"100 1.0 {call} = 0\n")
    assert rows_of(trace, "file") == [("exec", file)]


STDERR = """\
execve("/bin/sh", ["/bin/sh"], 0x7f /* 5 vars */) = 0
clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLDstrace: Process 7887 attached
, child_tidptr=0x7f0a10) = 7887
[pid  7886] clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLDstrace: Process 7888 attached
 <unfinished ...>
[pid  7888] brk(NULL) = 0x5000
[pid  7886] <... clone resumed>, child_tidptr=0x7f0a10) = 7888
[pid  7887] +++ exited with 0 +++
[pid  7888] +++ exited with 0 +++
brk(NULL) = 0x6000
+++ exited with 0 +++
"""


def test_lines_on_stderr(tmp_path):
    trace = trace_of(tmp_path, STDERR)
    assert rows_of(trace, "pid", "child", "line") == [
        ("exec", 7886, None, 1),
        ("fork", 7886, 7887, 3),
        ("fork", 7886, 7888, 7),
        ("brk", 7888, None, 6),
        ("exit", 7887, None, 8),
        ("exit", 7888, None, 9),
        ("brk", 7886, None, 10),
        ("exit", 7886, None, 11),
    ]
    assert trace.losses == []


def test_without_any_number_the_thread_is_called_1(tmp_path):
    trace = trace_of(tmp_path, "brk(NULL) = 0x5000\n+++ exited with 0 +++\n")
    assert rows_of(trace, "pid") == [("brk", 1), ("exit", 1)]
    assert "thread-without-number" in codes_of(trace)


def test_files_of_single_threads_are_merged(tmp_path):
    (tmp_path / "out.100").write_text(
        f"""\
1795440035.000001 brk(NULL) = 0x5000
1795440035.000002 {CLONE} = 101
1795440035.000005 +++ exited with 0 +++
"""
    )
    (tmp_path / "out.101").write_text(
        """\
1795440035.000003 brk(NULL) = 0x5000
1795440035.000004 +++ exited with 0 +++
"""
    )
    trace = open_trace([str(tmp_path / "out.100"), str(tmp_path / "out.101")])
    assert rows_of(trace, "pid", "child") == [
        ("brk", 100, None),
        ("fork", 100, 101),
        ("brk", 101, None),
        ("exit", 101, None),
        ("exit", 100, None),
    ]


def test_strace_attached_to_a_process_names_it_first(tmp_path):
    text = "strace: Process 812 attached\nbrk(NULL) = 0x5000\nstrace: Process 812 detached\n"
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid") == [("brk", 812)]
    assert trace.stream.line_counts["other"] == 2


def test_other_lines_are_passed_over_and_counted(tmp_path):
    text = """\
100 1.0 openat(AT_FDCWD, "mmap(NULL) = 0x5", O_RDONLY|O_CLOEXEC) = 3
100 1.1 read(3, "\\177ELF"..., 832 <unfinished ...>
100 1.2 <... read resumed>"x", 3) = 832
100 1.3 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---
100 1.4 [ Process PID=100 runs in 32 bit mode. ]
 > /usr/lib/libc.so.6(brk+0xb) [0xf8a3b]

100 1.5 brk(NULL) = 0x5000
100 1.6 +++ exited with 0 +++
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
100.00    0.000010           5         2           brk
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace) == [("brk",), ("exit",)]
    assert trace.stream.line_counts == {
        "events": 2, "headers": 3, "blank": 1, "loss_marks": 0, "other": 6, "unreadable": 0,
    }  # fmt: skip
    [unused] = [diagnostic for diagnostic in trace.diagnostics if diagnostic.code == "events-not-used"]
    assert unused.message == "events that make no row: openat (1), read (1)"


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("100 1.1 mmap(NULL, 8192, PROT_RE@D, MAP_PRIVATE, 3, 0) = 0x7f00", "bad-arguments", 14),
        ("100 1.1 munmap(0x7f00, ) = 0", "bad-arguments", 16),
        ("100 1.1 brk(99999999999999999999999) = 0x5000", "bad-arguments", 13),
        ("100 1.1 brk(NULL) = 0x55zz", "bad-return", 27),
        ("100 1.1 brk(NULL) = 0xa0c0x", "bad-return", 21),
        ("100 1.1 brk(NULL", "bad-return", 17),
        ("100 1.1 <... brk resumed", "not-a-call", 1),
        ("100 1.1 <... brk resumed>", "bad-return", 26),
        ("100 1.1 +++ exited wi", "bad-mark", 13),
        ("100 1.1 --- SIGCHLD {si_si", "bad-mark", 13),
        ("100 11:22:33 brk(NULL) = 0x5000", "bad-time", 5),
        ("100 brk(NULL) = 0x5000", "bad-time", 4),
        ("1.1 brk(NULL) = 0x5000", "bad-task", 1),
        ("9999999 1.1 brk(NULL) = 0x5000", "bad-task", 1),
        (f"100 1.1 {CLONE} = 99999999", "bad-task", 113),
        ("hello, world", "not-a-call", 1),
    ],
)
def test_a_line_that_cannot_be_read_costs_no_other(tmp_path, line, code, column):
    text = f"100 1.0 brk(NULL) = 0x4000\n{line}\n100 1.2 brk(NULL) = 0x6000\n"
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "addr") == [("brk", 0x4000), ("brk", 0x6000)]
    assert places_of(trace) == [(code, 2, column)]


def test_missing_halves_are_told(tmp_path):
    text = """\
100 1.0 <... clone resumed>, child_tidptr=0x7f0a10) = 101
100 1.1 <... mmap resumed>) = 0x7f0000000000
100 1.2 <... execve resumed>) = 0
100 1.3 clone3(0x7ffe0010, 88) = 102
102 1.4 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_NOVEL, 3, 0) = 0x7f0000000000
102 1.5 exit(0) = ?
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "child", "flags", "file") == [
        ("fork", 100, 101, 0, None),
        ("exec", 100, None, None, None),
        ("mmap", 100, None, 2, "fd:3#1"),
    ]
    assert codes_of(trace) == [
        "no-images", "assumed-process", "fork-without-flags", "no-faults", "flag-unknown", "task-flags-unknown",
        "exit-not-shown",
    ]  # fmt: skip


def test_snapshots_have_no_place_by_the_wall_clock(tmp_path):
    maps = tmp_path / "snapshots.txt"
    maps.write_text(
        "# SNAP n=1 why=exec t_mono=1.500000000 pid=100 comm=sh\n# MAPS\n"
        "55a0c0000000-55a0c0001000 r-xp 00000000 08:01 7 /bin/sh\n# END\n"
    )
    start = tmp_path / "100.maps"
    start.write_text("55b000000000-55b000001000 rw-p 00000000 00:00 0 \n")
    text = '100 1.0 brk(NULL) = 0x4000\n100 1.4 execve("/bin/sh", ["sh"], 0x7f) = 0\n'
    trace = trace_of(tmp_path, text, maps=[str(maps), f"100={start}"])
    assert rows_of(trace, "addr") == [("vma", 0x55B000000000), ("brk", 0x4000), ("exec", None)]
    assert "snapshot-without-marker" in codes_of(trace)


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (("flags=CLONE_CHILD_SETTID|SIGCHLDs", "flags=CLONE_CHILD_SET?ID|SIGCHLDs"), ("bad-arguments", 2, 7)),
        ((", child_tidptr=0x7f0a10) = 7887", ", child_tidptr=0x7f0a10) = 7x87"), ("bad-return", 3, 28)),
    ],
)
def test_a_broken_line_is_told_where_it_is_damaged(tmp_path, damage, place):
    trace = trace_of(tmp_path, STDERR.replace(*damage, 1))
    assert "brk" in dict(rows_of(trace, "pid"))
    assert places_of(trace) == [place]
