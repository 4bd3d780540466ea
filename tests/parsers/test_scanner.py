import numpy as np
import pytest

from anonvma_trace.parsers import scanner
from anonvma_trace.parsers.native_events import (
    KIND_BLANK,
    KIND_FRAME,
    KIND_HEADER,
    KIND_LOST,
    KIND_OTHER,
    KIND_UNREADABLE,
    MAX_ARGS,
    native_tables,
)

TABLES = native_tables()
FAULT = "page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6"
HEAD = "              sh-812     [000] d....   512.004417: "


def scan(text, style=scanner.STYLE_UNKNOWN, tool=scanner.FTRACE):
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = np.flatnonzero(data == 10)
    if not text.endswith("\n"):
        ends = np.append(ends, len(data))
    rows = np.zeros((len(ends), scanner.N_COLUMNS), dtype=np.int64)
    args = np.zeros((len(ends), MAX_ARGS + 1), dtype=np.int64)
    scanner.scan_lines(data, ends, tool, style, scanner.empty_memory(), rows, args)
    return rows, args


def scan_line(text, style=scanner.STYLE_UNKNOWN, tool=scanner.FTRACE):
    rows, args = scan(text, style, tool)
    assert len(rows) == 1
    return rows[0], args[0].tolist()


def name_of(row):
    return TABLES.names[row[scanner.KIND]]


@pytest.mark.parametrize(
    ("head", "comm", "tid", "tgid", "cpu", "ts"),
    [
        # seen: with and without the process column
        ("              sh-32261   [001] d....  2149.269994:", "sh", 32261, -1, 1, 2149269994000),
        (
            "             zoo-18833   (  18833) [001] .....  1631.348333:",
            "zoo",
            18833,
            18833,
            1,
            1631348333000,
        ),
        ("              sh-812     (-------) [000] d....   512.004417:", "sh", 812, -1, 0, 512004417000),
        # names with anything in them, as the kernel pads them (zoo.ftrace)
        (
            "       thr [x] 7-4808    (   4789) [000] .....  2523.271746:",
            "thr [x] 7",
            4808,
            4789,
            0,
            2523271746000,
        ),
        (
            "        a-b-12/3-4816    (   4789) [000] d....  2523.342014:",
            "a-b-12/3",
            4816,
            4789,
            0,
            2523342014000,
        ),
        (
            " zoo kid (1) -> -4822    (   4822) [001] d....  2523.382956:",
            "zoo kid (1) -> ",
            4822,
            4822,
            1,
            2523382956000,
        ),
        ("           <...>-7       [000] .....     1.000000:", "<...>", 7, -1, 0, 1000000000),
        ("     x-1 [0] y-2-33      [000] .....     1.000000:", "x-1 [0] y-2", 33, -1, 0, 1000000000),
        # not padded: a line that was edited
        ("sh-812 [003] .... 5.000001:", "sh", 812, -1, 3, 5000001000),
        ("a-1 -> b-812 [003] .... 5.000001:", "a-1 -> b", 812, -1, 3, 5000001000),
        # four flags (before 5.18), no flags (options/irq-info off), nanoseconds, clocks that count
        ("              sh-812     [000] d...   512.004417:", "sh", 812, -1, 0, 512004417000),
        ("              sh-812     [000]   512.004417:", "sh", 812, -1, 0, 512004417000),
        ("              sh-812     [000] d....  512.004417123:", "sh", 812, -1, 0, 512004417123),
        ("              sh-812     [000] d....  10044:", "sh", 812, -1, 0, 10044),
        # options/latency-format: name of 8 characters, CPU and flags in one word, relative microseconds
        ("      sh-6723      0d.... 19938us :", "sh", 6723, -1, 0, 19938000),
        ("      sh-6723     11d.... 19938us!:", "sh", 6723, -1, 11, 19938000),
    ],
)
def test_columns_before_the_event(head, comm, tid, tgid, cpu, ts):
    text = f"{head} {FAULT}"
    row, args = scan_line(text)
    assert name_of(row) == "page_fault_user"
    assert row[[scanner.TID, scanner.TGID, scanner.CPU, scanner.TS]].tolist() == [tid, tgid, cpu, ts]
    assert text[row[scanner.COMM_BEGIN] : row[scanner.COMM_END]] == comm.lstrip()
    assert args[:2] == [0x7F10, 6]


@pytest.mark.parametrize(
    ("event", "name", "args"),
    [
        (
            "sys_mmap(addr: 0, len: 0x2000, prot: 3, flags: 0x22, fd: 0xffffffff, off: 0)",
            "sys_enter_mmap",
            [0, 0x2000, 3, 0x22, 0xFFFFFFFF, 0],
        ),
        # before 6.x: hexadecimal without 0x
        (
            "sys_mmap(addr: 0, len: 2000, prot: 3, flags: 22, fd: ffffffff, off: 0)",
            "sys_enter_mmap",
            [0, 0x2000, 3, 0x22, 0xFFFFFFFF, 0],
        ),
        # options/verbose: the name is the last word before the colon
        (
            "sys_munmap(unsigned long addr: 0x7f000, size_t len: 0x2000)",
            "sys_enter_munmap",
            [0x7F000, 0x2000],
        ),
        ("sys_execve(const char * filename: 0x55, const char *const * argv: 0x55)", "sys_enter_execve", []),
        # options/fields
        ("sys_enter_brk: __syscall_nr=0xc (12) brk=0x5647 (22087)", "sys_enter_brk", [0x5647]),
        (
            "sys_exit_brk: __syscall_nr=0xc (12) ret=0x564739ed6000 (94863914524672)",
            "sys_exit_brk",
            [0x564739ED6000],
        ),
        (
            "page_fault_user: address=0x7fc00c63fad0 (140462818327248) ip=0x7f (127) error_code=0x14 (20)",
            "page_fault_user",
            [0x7FC00C63FAD0, 0x14],
        ),
        (
            "sched_process_exec: filename=/bin/sh pid=0x1ede (7902) old_pid=0x1ede (7902)",
            "sched_process_exec",
            [7902, 7902],
        ),
        (
            "sched_process_fork: parent_comm=a parent_pid=0x10 (16) child_comm=b child_pid=0x11 (17)",
            "sched_process_fork",
            [16, 17],
        ),
        (
            "sched_process_exit: comm=sh pid=0x1edf (7903) prio=0x78 (120) group_dead=(1)",
            "sched_process_exit",
            [7903, 1],
        ),
        # returns: an address, an error
        ("sys_mmap -> 0x7fa05b8c6000", "sys_exit_mmap", [0x7FA05B8C6000]),
        ("sys_mmap -> 0xfffffffffffffff4", "sys_exit_mmap", [-12]),
        (
            "page_fault_kernel: address=0x7ffe2d0ba149 ip=_copy_to_user error_code=0x2",
            "page_fault_kernel",
            [0x7FFE2D0BA149, 2],
        ),
        (
            "page_fault_kernel: address=__per_cpu_end+0x10/0x20 ip=memcpy error_code=0x2",
            "page_fault_kernel",
            [-1, 2],
        ),
        # clone_flags is hexadecimal without 0x
        (
            "task_newtask: pid=18237 comm=sh clone_flags=1200000 oom_score_adj=0",
            "task_newtask",
            [18237, 0x1200000],
        ),
        ("sched_process_exit: comm=sh pid=812 prio=120", "sched_process_exit", [812, 0]),
        (
            "sched_process_exit: comm=a pid=1 prio=2 pid=812 prio=120 group_dead=false",
            "sched_process_exit",
            [812, 0],
        ),
        ("sys_vfork()", "sys_enter_vfork", []),
    ],
)
def test_events(event, name, args):
    row, found = scan_line(HEAD + event)
    assert name_of(row) == name
    assert found[: len(args)] == args


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("task_newtask: pid=7 comm=zoo kid (1) ->  clone_flags=3d0f00 oom_score_adj=0", "zoo kid (1) -> "),
        ("task_newtask: pid=7 comm=a clone_flags=0 clone_flags=3d0f00 oom_score_adj=0", "a clone_flags=0"),
        ("task_rename: pid=7 oldcomm=zoo newcomm=thr [x] 7 oom_score_adj=0", "thr [x] 7"),
        ("sched_process_exec: filename=/srv/a b/pid=3 old_pid=4 pid=7 old_pid=7", "/srv/a b/pid=3 old_pid=4"),
        ("sched_process_fork: comm=x pid=9 y pid=6 child_comm=zoo kid child_pid=7", "zoo kid"),
        ("tracing_mark_write: snap n=1 why=start pid=32261", "snap n=1 why=start pid=32261"),
    ],
)
def test_text_fields_may_hold_anything(event, text):
    whole = HEAD + event
    row, _ = scan_line(whole)
    assert row[scanner.KIND] > KIND_OTHER
    assert whole[row[scanner.TEXT_BEGIN] : row[scanner.TEXT_END]] == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", KIND_BLANK),
        ("   \t"[:3], KIND_BLANK),
        ("# entries-in-buffer/entries-written: 1/1   #P:2", KIND_HEADER),
        ("##### CPU 1 buffer started ####", KIND_HEADER),
        ("CPU:1 [LOST 332 EVENTS]", KIND_LOST),
        ("CPU:1 [LOST EVENTS]", KIND_LOST),
        (" => do_syscall_64", KIND_FRAME),
        (HEAD + "<stack trace>", KIND_OTHER),
        (HEAD + "sched_switch: prev_comm=sh", KIND_OTHER),
        (
            HEAD + "handle_mm_fault <-do_user_addr_fault",
            KIND_OTHER,
        ),
        (HEAD + "tracing_mark_write: hello", KIND_OTHER),
    ],
)
def test_lines_that_are_no_event_of_ours(text, kind):
    assert scan_line(text + "\n")[0][scanner.KIND] == kind


def test_lost_mark_tells_cpu_and_number():
    row, args = scan_line("CPU:3 [LOST 332 EVENTS]")
    assert (row[scanner.CPU], args[0]) == (3, 332)


@pytest.mark.parametrize(
    ("text", "code", "place"),  # the text at the place; none: behind the line
    [
        (HEAD + "page_fault_user: address=0x7fZZ10 ip=0x4 error_code=0x6", "bad-number", "0x7fZZ10"),
        (HEAD + "page_fault_user: address=0x7f ip=0x4", "missing-field", ""),
        (HEAD + "sys_mmap(addr: 0, len: 0x20", "unfinished-call", ""),
        (HEAD + "sys_brk ->", "missing-field", "->"),
        (HEAD + "sys_brk -> -1", "bad-number", "-1"),
        ("              sh-812     [000] d....   512.00x417: sys_brk -> 0x0", "bad-time", "x417"),
        ("              sh-812     [0a0] d....   512.004417: sys_brk -> 0x0", "bad-cpu", "0a0]"),
        ("              sh-8125555 [000] d....   512.004417: sys_brk -> 0x0", "bad-tid", "8125555"),
        (HEAD + "\x01", "bad-event-name", "\x01"),
        ("CPU:3 [LOST 332 EVE", "bad-loss-mark", ""),
        ("no trace at all", "bad-task-column", "no trace"),
    ],
)
def test_damaged_lines_are_told_with_their_place(text, code, place):
    row, _ = scan_line(text)
    assert row[scanner.KIND] == KIND_UNREADABLE
    at = text.index(place) if place else len(text)
    assert (scanner.FAULTS[row[scanner.FAULT]][0], row[scanner.FAULT_AT]) == (code, at)


@pytest.mark.parametrize("tail", ["", "\n", "\n\n", "\n" + " " * 9 + "\n"])
@pytest.mark.parametrize("length", range(1, 17))
def test_numbers_of_all_lengths_are_read_to_the_end_of_the_text(length, tail):
    digits = "123456789abcdef0"[:length]
    value = int(digits, 16)
    row, found = scan(f"{HEAD}sys_brk -> 0x{digits}{tail}")
    assert name_of(row[0]) == "sys_exit_brk"
    assert found[0, 0] == value - (1 << 64 if value >> 63 else 0)
    row, found = scan(f"{HEAD}sched_process_exit: comm=sh pid={digits[: length % 8 or 1]} prio=120{tail}")
    expected = digits[: length % 8 or 1]
    assert found[0, 0] == int(expected)


def test_line_ends_are_found_wherever_they_stand():
    rng = np.random.default_rng(3)
    for length in (0, 1, 7, 8, 9, 200):
        data = rng.choice(np.array([10, 11, 138, 65], dtype=np.uint8), length)
        ends = np.full(length + 1, -1, dtype=np.int64)
        n_ends = scanner.find_line_ends(data, ends)
        assert ends[:n_ends].tolist() == np.flatnonzero(data == 10).tolist()


def test_numbers_without_0x_are_damage_where_the_file_has_0x():
    text = HEAD + "sys_munmap(addr: 7f88, len: 0x94e3)"
    assert scan_line(text, scanner.STYLE_UNKNOWN)[1][:2] == [0x7F88, 0x94E3]
    assert scan_line(text, scanner.STYLE_0X)[0][scanner.KIND] == KIND_UNREADABLE


def test_a_name_is_told_once_until_it_changes():
    one = f"              sh-812     [000] d....   512.004417: {FAULT}\n"
    other = f"             cat-812     [000] d....   512.004417: {FAULT}\n"
    rows, _ = scan(one + one + other + one)
    assert (rows[:, scanner.COMM_BEGIN] >= 0).tolist() == [True, False, True, True]


def test_carriage_returns_and_a_missing_last_newline_do_no_harm():
    rows, args = scan(f"              sh-812     [000] d....   512.004417: {FAULT}\r\n" * 2 + "\n"
                      f"              sh-812     [000] d....   512.004417: {FAULT}")  # fmt: skip
    assert [TABLES.names[kind] if kind > 0 else kind for kind in rows[:, scanner.KIND]] == [
        "page_fault_user", "page_fault_user", KIND_BLANK, "page_fault_user"
    ]  # fmt: skip
    assert args[3, :2].tolist() == [0x7F10, 6]


@pytest.mark.parametrize(
    ("event", "args"),
    [
        # as every kernel prints it, which is matched at once
        ("page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6", [0x7F10, 6]),
        ("page_fault_kernel: address=0x7f10 ip=__clear_user error_code=0x2", [0x7F10, 2]),
        ("page_fault_user: address=0xffffffffff600000 ip=0x1 error_code=0x15", [-0xA00000, 0x15]),
        # anything else in it is read field by field
        ("page_fault_user:  address=0x7f10 ip=0x401a2c error_code=0x6", [0x7F10, 6]),
        ("page_fault_user: address=0x7f10 ip=0x401a2c  error_code=0x6", [0x7F10, 6]),
        ("page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6 more=1", [0x7F10, 6]),
        ("page_fault_user: address=0x7f10 ip=0x401a2c more=1 error_code=0x6", [0x7F10, 6]),
        ("page_fault_user: error_code=0x6 address=0x7f10 ip=0x401a2c", [0x7F10, 6]),
        ("page_fault_user: address=0x7f10 error_code=0x6", [0x7F10, 6]),
        ("page_fault_kernel: address=init_task ip=0x1 error_code=0x0", [-1, 0]),
    ],
)
def test_page_faults_are_read_in_whatever_form(event, args):
    row, read = scan_line(HEAD + event)
    assert name_of(row) == event.split(":")[0]
    assert (read[:2], read[MAX_ARGS]) == (args, 0b11)


@pytest.mark.parametrize(
    ("event", "code", "place"),
    [
        ("page_fault_user: address=0x ip=0x401a2c error_code=0x6", "bad-number", "0x ip"),
        ("page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x", "bad-number", "0x"),
        ("page_fault_user: address=0x7f10 ip=0x401a2c error_code=0x6g", "bad-number", "0x6g"),
        ("page_fault_user: address=0x11111111111111111 ip=0x1 error_code=0x6", "bad-number", "0x1111"),
        ("page_fault_user: address=0x7f10 ip=0x401a2c", "missing-field", ""),
        ("page_fault_user: address=0x7f10 ip=0x401a2cerror_code=0x6", "missing-field", ""),
    ],
)
def test_damaged_page_faults_are_told_where_they_are_damaged(event, code, place):
    text = HEAD + event
    row, _ = scan_line(text)
    assert scanner.FAULTS[row[scanner.FAULT]][0] == code
    assert text[row[scanner.FAULT_AT] :].startswith(place) if place else row[scanner.FAULT_AT] == len(text)
