import numpy as np

from anonvma_trace.events import MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_PRIVATE, MAP_SHARED, OPS
from anonvma_trace.parsers.images import covered_by, exec_rows, shared_memory_sizes, start_rows
from anonvma_trace.parsers.native_block import Names
from anonvma_trace.parsers.proc_maps import Snapshot, parse_mapping
from anonvma_trace.parsers.row_table import ADDR, FILE, FLAGS, LEN, OP, PGOFF, PROT

ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS


def snapshot(*lines, pages=()):
    return Snapshot(1, mappings=[parse_mapping(line) for line in lines], page_lines=list(pages))


def described(rows, files):
    """Return each row as (op, addr, len, prot, flags, pgoff, file)."""
    return [
        (OPS[row[OP]], *(int(row[column]) for column in (ADDR, LEN, PROT, FLAGS, PGOFF)),
         None if row[FILE] < 0 else files.values[row[FILE]])
        for row in rows.T
    ]  # fmt: skip


def start_of(*lines, pages=()):
    files = Names()
    return described(start_rows(snapshot(*lines, pages=pages), files), files)


def test_file_anonymous_shared_stack_and_special_mappings():
    assert start_of(
        "00001000-00003000 r-xp 00004000 fe:00 9 /bin/a (deleted)",
        "00003000-00004000 rw-p 00000000 00:00 0 ",
        "00005000-00006000 rw-s 00000000 00:01 4 /dev/zero (deleted)",
        "00007000-00008000 rw-p 00000000 00:00 0 [anon: glibc: malloc]",
        "00009000-0000a000 r--p 00000000 00:00 0 [vvar]",
        "0000b000-0000d000 rw-p 00000000 00:00 0 [stack]",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",  # no process owns it
    ) == [
        ("vma", 0x1000, 0x2000, 5, MAP_PRIVATE, 4, "/bin/a (deleted)"),
        ("vma", 0x3000, 0x1000, 3, ANONYMOUS, -1, None),
        ("vma", 0x5000, 0x1000, 3, MAP_SHARED, 0, "/dev/zero (deleted)"),
        ("vma", 0x7000, 0x1000, 3, ANONYMOUS, -1, None),
        ("vma", 0x9000, 0x1000, 1, MAP_PRIVATE, 0, "[vvar]"),
        ("vma", 0xB000, 0x2000, 3, ANONYMOUS | MAP_GROWSDOWN, -1, None),
    ]


def test_a_plain_heap_is_two_breaks():
    assert start_of("00001000-00003000 rw-p 00000000 00:00 0 [heap]") == [
        ("brk", 0x1000, 0, 0, 0, -1, None),
        ("brk", 0x3000, 0, 0, 0, -1, None),
    ]


def test_a_heap_of_several_lines_has_vmas_over_its_breaks():
    ops = [
        row[:4]
        for row in start_of(
            "00001000-00002000 rw-p 00000000 00:00 0 [heap]", "00002000-00003000 r--p 00000000 00:00 0 [heap]"
        )
    ]
    assert ops == [
        ("brk", 0x1000, 0, 0), ("brk", 0x3000, 0, 0), ("vma", 0x1000, 0x1000, 3), ("vma", 0x2000, 0x1000, 1)
    ]  # fmt: skip


def test_relocated_read_only_data_is_written_while_writable():
    rows = start_of(
        "00001000-00003000 r--p 00000000 fe:00 9 /bin/a",
        "00003000-00004000 rw-p 00002000 fe:00 9 /bin/a",
        pages=["A 2000 1f:1 20:2", "A 3000 0:0"],
    )
    assert [row[:4] for row in rows] == [
        ("vma", 0x1000, 0x2000, 3),
        ("vma", 0x3000, 0x1000, 3),
        ("write_fault", 0x2000, 0, 0),
        ("write_fault", 0x3000, 0, 0),
        ("mprotect", 0x1000, 0x2000, 1),
    ]


def test_an_exec_image_writes_the_argument_page_and_no_other():
    files = Names()
    image = snapshot(
        "00001000-00002000 rw-p 00000000 fe:00 9 /bin/a",
        "0000b000-0000d000 rw-p 00000000 00:00 0 [stack]",
        pages=["A 1000 1f:1"],
    )
    assert [row[:2] for row in described(exec_rows(image, files), files)] == [
        ("vma", 0x1000), ("vma", 0xB000), ("write_fault", 0xC000)
    ]  # fmt: skip


def test_what_an_image_covers():
    image = snapshot("00001000-00002000 rw-p 00000000 00:00 0 ", "00003000-00004000 rw-p 00000000 00:00 0 ")
    addresses = np.array([0xFFF, 0x1000, 0x1FFF, 0x2000, 0x3000, 0x4000])
    assert covered_by(image, addresses).tolist() == [False, True, True, False, True, False]
    assert covered_by(snapshot(), addresses).tolist() == [False] * 6


def test_segments_tell_their_size_by_the_inode_number():
    shown = snapshot("00001000-00009000 rw-s 00000000 00:01 32800 /SYSV0017600e (deleted)")
    assert shared_memory_sizes([shown]) == {32800: 0x8000}
