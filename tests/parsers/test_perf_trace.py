"""Output of perf trace: the shapes of its lines, and the rows that they become."""

import pytest

from .printed_text import codes_of, places_of, rows_of, trace_of

CLONE = "clone(clone_flags: CHILD_CLEARTID|CHILD_SETTID|0x11, child_tidptr: 0x7f0a10)"
BRK = "     9.000 ( 0.001 ms): sh/100 brk(brk: 0x5000)   = 0x5000"


def test_each_call_has_its_row(tmp_path):
    text = """\
     0.226 ( 0.013 ms): sh/100 brk()                                                    = 0x55a0c03d4000
     0.548 ( 0.022 ms): sh/100 mmap(len: 8192, prot: READ|WRITE, flags: PRIVATE|ANONYMOUS) = 0x7f0000000000
     0.627 ( 0.018 ms): sh/100 mmap(len: 38115, flags: PRIVATE, fd: 4, off: 0x2000)     = 0x7f0000010000
     1.156 ( 0.027 ms): sh/100 mprotect(start: 0x7f0000000000, len: 4096, prot: PROT_READ) = 0
     1.256 ( 0.027 ms): sh/100 mprotect(start: 0x7f0000000000, len: 4096)               = 0
     1.260 ( 0.027 ms): sh/100 mremap(addr: 0x7f0000000000, old_len: 8192, new_len: 16384, flags: 1) = 0x7f0000020000
     1.300 ( 0.027 ms): sh/100 madvise(start: 0x7f0000020000, len_in: 4096, behavior: MADV_DONTNEED) = 0
     1.400 ( 0.027 ms): sh/100 mlock(start: 139637976858624, len: 4096)                 = 0
     1.500 ( 0.027 ms): sh/100 shmget(key: 1, size: 12288, shmflg: 896)                 = 7
     1.600 ( 0.023 ms): sh/100 shmat(shmid: 7, shmflg: RDONLY)                          = 139637976924160
     1.700 ( 0.027 ms): sh/100 shmdt(shmaddr: 0x7f0000030000)                           = 0
     1.800 ( 0.019 ms): sh/100 munmap(addr: 0x7f0000020000, len: 16384)                 = 0
     1.900 ( 0.014 ms): sh/100 mremap(addr: 0x10000, old_len: 4096, new_len: 8192)      = -1 EFAULT (Bad address)
     2.000 (         ): sh/100 exit_group(error_code: 3)                                = ?
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "addr", "len", "prot", "flags", "file", "new_addr") == [
        ("brk", 0x55A0C03D4000, None, None, None, None, None),
        ("mmap", 0x7F0000000000, 8192, 3, 0x22, None, None),
        ("mmap", 0x7F0000010000, 38115, 0, 2, "fd:4#1", None),
        ("mprotect", 0x7F0000000000, 4096, 1, None, None, None),
        ("mprotect", 0x7F0000000000, 4096, 0, None, None, None),
        ("mremap", 0x7F0000000000, 8192, None, 1, None, 0x7F0000020000),
        ("madvise", 0x7F0000020000, 4096, None, 4, None, None),
        ("mlock", 0x7F0000020000, 4096, None, None, None, None),
        ("mmap", 0x7F0000030000, 12288, 1, 1, "shmid:7", None),
        ("munmap", 0x7F0000030000, 12288, None, None, None, None),
        ("munmap", 0x7F0000020000, 16384, None, None, None, None),
        ("exit", None, None, None, None, None, None),
    ]
    assert trace.table["ts"].to_pylist()[:2] == [239_000, 570_000]  # enter and duration
    assert trace.table["pgoff"].to_pylist()[2] == 2
    assert codes_of(trace) == ["no-images", "assumed-process", "no-faults"]


@pytest.mark.parametrize(
    ("name", "comm"),
    [
        ("zoo kid (1) ->", "zoo kid (1) ->"),
        ("a-b-12/3", "a-b-12/3"),
        ("thr [x] 7", "thr [x] 7"),
        ("a/7 brk(x", "a/7 brk(x"),
        (":100", None),  # perf does not know it
    ],
)
def test_names_hold_anything(tmp_path, name, comm):
    trace = trace_of(tmp_path, f"     0.226 ( 0.013 ms): {name}/100 brk()     = 0x5000\n")
    assert rows_of(trace, "tid", "comm") == [("brk", 100, comm)]


def test_rows_stand_in_the_order_of_the_returns(tmp_path):
    text = f"""\
     1.000 ( 0.500 ms): sh/100 munmap(addr: 0x2000, len: 4096) = 0
     5.000 ( 0.100 ms): sh/102 munmap(addr: 0x7000, len: 4096) = 0
     2.000 ( 0.100 ms): sh/100 munmap(addr: 0x3000, len: 4096) = 0
         ? (         ): sh/101  ... [continued]: clone())    =
     1.800 ( 0.010 ms): sh/101 munmap(addr: 0x4000, len: 4096) = 0
     1.600 ( 0.350 ms): sh/100 {CLONE} = 101 (sh)
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "ts", "line") == [
        ("munmap", 100, 1_500_000, 1),
        ("fork", 100, 1_600_000, 6),  # at the enter: the child may be seen before the return
        ("munmap", 101, 1_810_000, 5),
        ("munmap", 100, 2_100_000, 3),
        ("munmap", 102, 5_100_000, 2),
    ]


def test_calls_in_two_pieces_are_joined(tmp_path):
    text = """\
     1.000 (         ): sh/100 mmap(len: 8192, flags: PRIVATE|ANONYMOUS)   ...
     1.500 ( 0.100 ms): sh/102 brk() = 0x5000
LOST 5 events!
     1.000 ( 1.500 ms): sh/100  ... [continued]: mmap())   = 0x7f0000000000
         ? (         ): sh/102  ... [continued]: mmap())   = 0x7f0000010000
     2.000 (         ): sh/102 mmap(len: 4096, flags: PRIVATE|ANONYMOUS)   ...
     9.000 (18446744073702.551 ms): sh/102  ... [continued]: munmap())   = 0
     3.000 (         ): sh/100 munmap(addr: 0x7f0000000000, len: 8192)   ...
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "len", "ts") == [
        ("brk", 102, None, 1_600_000),
        ("mmap", 102, 4096, 2_000_000),  # the result came first, without a time
        ("lost", 0, 5, 2_500_000),
        ("mmap", 100, 8192, 2_500_000),
    ]
    assert codes_of(trace) == ["no-images", "assumed-process", "call-without-exit", "no-faults"]


def test_tasks_and_execs(tmp_path):
    text = """\
         ? (         ): sh/100  ... [continued]: execve())                  = 0
     1.000 ( 0.062 ms): sh/100 clone3(uargs: 0x7ffe634e8940, size: 88)       = 101
         ? (         ): sh/101  ... [continued]: clone3())                  = 0
     1.100 ( 0.001 ms): sh/101 brk()                                        = 0x5000
     1.200 (         ): sh/101 exit()                                       = ?
         ? (         ): sh/102  ... [continued]: vfork())                   = 0
     2.000 (         ): sh/100 vfork()                                   ...
     2.100 ( 0.015 ms): sh/102 execve(filename: 0xda417051, argv: 0x7f, envp: 0x7f) = -1 ENOENT (No such file)
     2.200 ( 0.015 ms): env/102 execve(filename: "/bin/env", argv: 0x7f, envp: 0x7f) = 0
     2.000 ( 0.400 ms): sh/100  ... [continued]: vfork())                   = 102
     3.000 (         ): env/102 exit_group()                                = ?
     3.100 (         ): sh/100 exit_group()                                 = ?
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "tid", "child", "flags", "file") == [
        ("exec", 100, 100, None, None, None),
        ("brk", 100, 101, None, None, None),
        ("fork", 100, 100, 102, 0x4100, None),
        ("exec", 102, 102, None, None, "/bin/env"),
        ("exit", 102, 102, None, None, None),
        ("exit", 100, 100, None, None, None),
    ]
    assert "task-flags-unknown" in codes_of(trace)
    assert "task-without-parent" not in codes_of(trace)


def test_faults(tmp_path):
    text = """\
     0.100 ( 0.000 ms): sh/100 minfault [wr+0x11] => //anon@0x7f0000001010 (d.)
     0.200 ( 0.000 ms): sh/100 majfault [operator[]+0x5] => [heap]@0x5000 (d.)
     0.300 ( 0.000 ms): sh/100 minfault [elf_load+0x28a] => 0x5564fb443240 (?k)
     0.400 ( 0.000 ms): sh/100 minfault [memcpy@@GLIBC_2.14+0x0] => /srv/zoo data.bin@0x1ab70 (d.)
     0.500 ( 0.000 ms): sh/100 minfault [0x33] => [stack]@0x7ffdddbaeed0 (d.)
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "addr", "line") == [
        ("read_fault", 0x7F0000001010, 1),
        ("read_fault", 0x5000, 2),
        ("read_fault", 0x5564FB443240, 3),
        ("read_fault", 0x7FFDDDBAEED0, 5),
    ]
    assert codes_of(trace) == ["no-images", "assumed-process", "fault-kind-unknown", "fault-in-file"]


def test_an_attached_trace_names_no_threads(tmp_path):
    text = f"""\
18446744073709.551 ( 0.000 ms): minfault [f+0x23] => 0xa64dd8 (?.)
2154664.806 ( 1.380 ms): execve(filename: 0x89909820, argv: 0x7f, envp: 0x7f) = 0
18446744073709.551 ( 0.000 ms): minfault [f+0x23] => 0x7f0000001010 (?.)
2154683.004 ( 0.302 ms): {CLONE} = 32303 (sh)
2154687.283 (         ): exit_group()                                      = ?
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "child", "ts") == [
        ("read_fault", 1, None, 2154664806000),
        ("exec", 1, None, 2154666186000),
        ("read_fault", 1, None, 2154683004000),
        ("fork", 1, 32303, 2154683004000),
        ("exit", 1, None, 2154687283000),
    ]
    assert "threads-not-shown" in codes_of(trace)


def test_losses_without_a_mark_are_told(tmp_path):
    text = f"""\
         ? (         ): sh/100  ... [continued]: execve())                  = 0
     1.000 (         ): sh/100 mmap(len: 8192, flags: PRIVATE|ANONYMOUS)   ...
     2.000 ( 0.001 ms): sh/100 munmap(addr: 0x7f0000000000, len: 8192)     = 0
         ? (         ): :101/101  ... [continued]: clone())                  =
     3.000 ( 0.001 ms): sh/100 madvise(start: 0x7f0000000000, len_in: 4096, behavior: ) = -1 EINVAL (Invalid argument)
         ? (         ): sh/100  ... [continued]: clone())                  = 103 (sh)
     4.000 ( 0.001 ms): sh/103 brk()                                       = 0x5000
{BRK}
"""
    trace = trace_of(tmp_path, text)
    assert rows_of(trace, "pid", "child") == [
        ("exec", 100, None),
        ("munmap", 100, None),
        ("fork", 100, 103),
        ("brk", 103, None),
        ("brk", 100, None),
    ]
    assert codes_of(trace) == [
        "no-images", "assumed-process", "fork-without-flags", "no-faults", "result-lost", "task-without-parent",
        "flag-unknown", "unmapped-but-not-mapped",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        ("     1.000 ( 0.001 ms): sh/100 brk(brk: 0x50z0) = 0x5000", "bad-arguments", 36),
        ("     1.000 ( 0.001 ms): sh/100 munmap(addr: 0x5000, lem: 5) = 0", "bad-arguments", 39),
        (
            "     1.000 ( 0.001 ms): sh/100 mprotect(start: 0x5000, len: 5, prot: RE@D) = 0",
            "bad-arguments",
            41,
        ),
        ("     1.000 ( 0.001 ms): sh/100 brk(brk: 0x5000", "bad-return", 36),
        ("     1.000 ( 0.001 ms): sh/100 brk(brk: 0x5000) = 5000z", "bad-return", 51),
        ("     1.000 ( 0.001 ms): sh/9999999 brk() = 0x5000", "bad-task", 28),
        ("     1.000 ( 0.001 ms): brk() = 0x5000", "bad-task", 29),
        (f"     1.000 ( 0.001 ms): sh/100 {CLONE} = 99999999 (sh)", "bad-task", 111),
        ("     1.000 ( 0.001 ms): sh/100 minfault [f] => //anon@0x7fz0 (d.)", "bad-arguments", 42),
        ("     1.000 ( 0.001 ms: sh/100 brk() = 0x5000", "not-a-call", 1),
        ("LOST events!", "not-a-call", 1),
    ],
)
def test_a_line_that_cannot_be_read_costs_no_other(tmp_path, line, code, column):
    trace = trace_of(tmp_path, f"     0.100 ( 0.001 ms): sh/100 brk()   = 0x4000\n{line}\n{BRK}\n")
    assert rows_of(trace, "addr") == [("brk", 0x4000), ("brk", 0x5000)]
    assert places_of(trace) == [(code, 2, column)]


def test_other_lines_are_passed_over_and_counted(tmp_path):
    text = f"""\
     0.100 ( 0.001 ms): sh/100 openat(dfd: CWD, filename: "/etc/ld.so.cache", flags: RDONLY) = 3
     0.200 (         ): sh/100 wait4(upid: 5)             ...
     0.200 ( 0.001 ms): sh/100  ... [continued]: wait4()) = 5
{BRK}
LOST 18446744073709551615 events!
{BRK}

 Summary of events:

 sh (100), 7 events, 100.0%
"""
    trace = trace_of(tmp_path, text)
    assert [row[0] for row in rows_of(trace)] == ["brk", "lost", "brk"]
    assert trace.stream.line_counts == {
        "events": 2, "headers": 2, "blank": 2, "loss_marks": 1, "other": 3, "unreadable": 0,
    }  # fmt: skip
