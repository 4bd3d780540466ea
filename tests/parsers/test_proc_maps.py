import pytest

from anonvma_trace.errors import TraceAccessError, TraceSyntaxError, UsageError
from anonvma_trace.parsers.proc_maps import Mapping, parse_mapping, read_snapshots

BLOCKS = """\
# SNAP n=2 why=exec t_mono=2523.210651 pid=4789 comm=zoo kid
# PPid:\t4780
# MAPS
55d5b2000000-55d5b2001000 r--p 00003000 fe:00 1687556                    /srv/demo/bin/zoo
# SMAPS start-end rss_kb anonymous_kb swap_kb anonhuge_kb
55d5b2004000-55d5b2006000 4 4 0 0
# PAGES A vaddr pfn:mapcount ... (consecutive pages) / S vaddr swaptype:offset ...
A 55d5b2000000 1ed7bb:1 0:0 1ed7bc:2 3b34:0
S 7f0269000000 1:0 1:1a4
# END n=2
# SNAP n=3 why=mark t_mono=2523.5 pid=4789 comm=zoo
# MAPS
# END n=3
"""


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("00400000-0041f000 r-xp 0001f000 fe:00 260811                             /usr/bin/python3.11",
         Mapping(0x400000, 0x41F000, 5, False, 0x1F, 260811, "/usr/bin/python3.11")),
        ("00a85000-00aca000 rw-p 00000000 00:00 0 ", Mapping(0xA85000, 0xACA000, 3, False, 0, 0, "")),
        ("7f00000000-7f00001000 rw-s 00000000 00:01 98 /SYSV0017600e (deleted)",
         Mapping(0x7F00000000, 0x7F00001000, 3, True, 0, 98, "/SYSV0017600e (deleted)")),
        ("7f00000000-7f00001000 ---p 00000000 00:00 0    [anon: a  b]",
         Mapping(0x7F00000000, 0x7F00001000, 0, False, 0, 0, "[anon: a  b]")),
        ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
         Mapping(0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, 4, False, 0, 0, "[vsyscall]")),
    ],
)  # fmt: skip
def test_lines_of_proc_pid_maps(text, mapping):
    assert parse_mapping(text) == mapping


def test_snapshot_blocks(tmp_path):
    path = tmp_path / "run.snapshots.txt"
    path.write_text(BLOCKS)
    new, mark = read_snapshots([str(path)])
    assert (new.n, new.why, new.pid, new.t_mono_ns, new.comm) == (2, "exec", 4789, 2523210651000, "zoo kid")
    assert [mapping.name for mapping in new.mappings] == ["/srv/demo/bin/zoo"]
    assert (mark.n, mark.why, mark.mappings, mark.line) == (3, "mark", [], 11)
    assert [snapshot.n for snapshot in read_snapshots([str(path)], ("mark",))] == [3]


def test_the_zero_page_is_no_anonymous_page_and_a_swapped_one_is(tmp_path):
    path = tmp_path / "run.snapshots.txt"
    path.write_text(BLOCKS)
    pages = read_snapshots([str(path)])[0].anonymous_pages()
    assert [hex(page) for page in pages] == [
        "0x55d5b2000000",
        "0x55d5b2002000",
        "0x7f0269000000",
        "0x7f0269001000",
    ]


def test_plain_maps_are_the_start_of_the_process_in_the_file_name(tmp_path):
    path = tmp_path / "812.maps"
    path.write_text(
        "00400000-0041f000 r-xp 0001f000 fe:00 260811 /a\n00a85000-00aca000 rw-p 00000000 00:00 0 "
    )
    (snapshot,) = read_snapshots([str(path)])
    assert (snapshot.pid, snapshot.why, snapshot.n, len(snapshot.mappings)) == (812, "start", 0, 2)
    (snapshot,) = read_snapshots([f"99={path}"])
    assert snapshot.pid == 99


def test_plain_maps_without_a_pid_are_refused(tmp_path):
    path = tmp_path / "maps.txt"
    path.write_text("00400000-0041f000 r-xp 0001f000 fe:00 260811 /a\n")
    with pytest.raises(UsageError, match=r"no numbers in 'maps.txt'[^$]*--maps PID="):
        read_snapshots([str(path)])


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("00400000-0041f000 r-xp 0001f000 fe:00 260811 /a\n0040z000 r-xp\n", 2, "0040z000 r-xp"),
        ("# SNAP n=x why=exec\n", 1, "n=x"),
        (BLOCKS.replace("A 55d5b2000000", "A 55d5bXX00000"), 8, "55d5bXX00000"),
        (BLOCKS[: BLOCKS.rindex("# END")], 12, "the end of the file"),
        ("# tracer: nop\nsh-1 [000] d.... 1.0: x\n", 2, "sh-1"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path, text, line, found):
    path = tmp_path / "1.maps"
    path.write_text(text)
    with pytest.raises(TraceSyntaxError) as caught:
        read_snapshots([str(path)])
    assert caught.value.line == line
    assert found in caught.value.found


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(TraceAccessError):
        read_snapshots([str(tmp_path / "7.maps")])
