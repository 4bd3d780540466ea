"""Scenarios: each statement becomes the rows it stands for, each mistake is told with its column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonvma_trace.errors import EmptyTraceError, TraceSyntaxError, UsageError
from anonvma_trace.events import EVENT_SCHEMA
from anonvma_trace.parsers import open_trace, scenario_trace
from anonvma_trace.parsers.scenario import VERBS, detect_scenario

PAGE = 4096
SHARED, PRIVATE, ANONYMOUS = 0x01, 0x02, 0x20


def rows(text):
    """Return the rows of a scenario without nulls, `ts` and `line`."""
    table = scenario_trace(text).table
    return [
        {name: value for name, value in row.items() if value is not None and name not in ("ts", "line")}
        for row in table.to_pylist()
    ]


def row(op, pid=1, **columns):
    return {"pid": pid, "op": op, **columns}


def span(low, high):
    return {"addr": low * PAGE, "len": (high - low) * PAGE}


def mmap(low, high, prot, flags, **columns):
    return row("mmap", **span(low, high), prot=prot, flags=flags, **columns)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("map 16 20 rw", [mmap(16, 20, 3, PRIVATE | ANONYMOUS)]),
        ("map 16 20 none", [mmap(16, 20, 0, PRIVATE | ANONYMOUS)]),
        ("map 0x10 0X14 xwr", [mmap(16, 20, 7, PRIVATE | ANONYMOUS)]),
        ("map 1 2 r shared", [mmap(1, 2, 1, SHARED | ANONYMOUS, pgoff=0)]),
        ("map 1 2 r file a.so 3", [mmap(1, 2, 1, PRIVATE, file="a.so", pgoff=3)]),
        ("map 1 2 r shared file m2:x,y 0", [mmap(1, 2, 1, SHARED, file="m2:x,y", pgoff=0)]),
        ("map 1 2 r fixed", [mmap(1, 2, 1, PRIVATE | ANONYMOUS | 0x10)]),
        ("map 1 2 rw growsdown", [mmap(1, 2, 3, PRIVATE | ANONYMOUS | 0x100)]),
        ("map 1 2 rw noreserve locked", [mmap(1, 2, 3, PRIVATE | ANONYMOUS | 0x2000 | 0x4000)]),
        ("unmap 5 9", [row("munmap", **span(5, 9))]),
        ("prot 5 9 rx", [row("mprotect", **span(5, 9), prot=5)]),
        ("move 5 9 50", [row("mremap", **span(5, 9), new_addr=50 * PAGE, new_len=4 * PAGE, flags=3)]),
        ("resize 5 9 11", [row("mremap", **span(5, 9), new_addr=5 * PAGE, new_len=6 * PAGE, flags=0)]),
        ("resize 5 9 6", [row("mremap", **span(5, 9), new_addr=5 * PAGE, new_len=PAGE, flags=0)]),
        ("brk 7", [row("brk", addr=7 * PAGE)]),
        ("w 10,11 , 0x0c", [row("write_fault", addr=page * PAGE) for page in (10, 11, 12)]),
        ("r 0", [row("read_fault", addr=0)]),
        ("touch 3,2", [row("touch", addr=page * PAGE, len=PAGE) for page in (3, 2)]),
        ("reclaim 4", [row("reclaim", addr=4 * PAGE)]),
        ("referenced 4", [row("referenced", addr=4 * PAGE)]),
        ("try_unmap 4", [row("try_unmap", addr=4 * PAGE)]),
        ("swap_out 4", [row("swap_out", addr=4 * PAGE)]),
        ("scan 32", [row("scan", len=32)]),
        ("dontneed 5 9", [row("madvise", **span(5, 9), flags=4)]),
        ("advise 5 9 dontfork", [row("madvise", **span(5, 9), flags=10)]),
        ("advise 5 9 21", [row("madvise", **span(5, 9), flags=21)]),
        ("mlock 5 9", [row("mlock", **span(5, 9))]),
        ("munlock 5 9", [row("munlock", **span(5, 9))]),
        ("fork m2", [row("fork", child=2, flags=0)]),
        ("fork m12 vm", [row("fork", child=12, flags=0x100)]),
        ("exec", [row("exec")]),
        ("exit", [row("exit")]),
        ("m2: exit", [row("exit", pid=2)]),
        ("m3 :w 1", [row("write_fault", pid=3, addr=PAGE)]),
        (f"w {2**52 - 1}", [row("write_fault", addr=2**64 - PAGE)]),
    ],
)  # fmt: skip
def test_statements_become_rows(statement, expected):
    assert rows(statement) == expected


def test_every_verb_is_tested_above():
    marks = test_statements_become_rows.pytestmark[0]
    words = {word for statement, _ in marks.args[1] for word in statement.replace(":", " ").split()}
    assert words >= VERBS.keys()


@pytest.mark.parametrize(
    ("name", "number"),
    [("normal", 0), ("random", 1), ("sequential", 2), ("willneed", 3), ("dontneed", 4), ("dofork", 11)],
)
def test_advice_has_the_kernels_numbers(name, number):
    assert rows(f"advise 1 2 {name}")[0]["flags"] == number


def test_events_are_numbered_and_carry_their_line():
    trace = scenario_trace("# two pages\n\nmap 16 20 rw; w 16,17;\r\n  m2: exit # gone\n;;\n")
    table = trace.table
    assert table.column("ts").to_pylist() == [1, 2, 3, 4]
    assert table.column("line").to_pylist() == [3, 3, 3, 4]
    assert all(table.column(name).null_count == 4 for name in ("cpu", "tid", "comm", "frame"))
    assert trace.stream.line_counts == {
        "events": 2, "headers": 0, "blank": 2, "loss_marks": 0, "other": 1, "unreadable": 0
    }  # fmt: skip


def test_a_scenario_is_complete_with_rwx():
    trace = scenario_trace("w 1")
    assert (trace.format, trace.metadata.complete, trace.metadata.brk_flags) == ("scenario", True, "rwx")
    assert trace.table.schema.equals(EVENT_SCHEMA)
    assert (trace.losses, trace.diagnostics) == ([], [])


@pytest.mark.parametrize(
    ("text", "line", "column", "expected", "found", "hint"),
    [
        ("w 1; ww 2", 1, 6, "a verb", "'ww'", "did you mean 'w'?"),
        ("w 1\nmpa 1 2 rw", 2, 1, "a verb", "'mpa'", "did you mean 'map'?"),
        ("zzz", 1, 1, "a verb", "'zzz'", "the verbs are map,"),
        ("m2:", 1, 4, "a verb", "the end of the statement", ""),
        ("map 16", 1, 7, "the end of the range, a page above 16", "the end of the statement", ""),
        ("map 16 16 rw", 1, 8, "the end of the range, a page above 16", "'16'", ""),
        ("map 16 0xZ rw", 1, 8, "the end of the range, a page above 16", "'0xZ'", ""),
        ("map -1 16 rw", 1, 5, "the first page of a range", "'-1'", ""),
        ("map 1 2 rq", 1, 9, "a protection: none, or letters of rwx", "'rq'", ""),
        ("map 1 2 rr", 1, 9, "a protection: none, or letters of rwx", "'rr'", ""),
        ("map 1 2 rw shraed", 1, 12, "one of shared, fixed,", "'shraed'", "did you mean 'shared'?"),
        ("map 1 2 rw file", 1, 16, "the name of a file", "the end of the statement", ""),
        ("map 1 2 rw file a b", 1, 19, "the offset in the file, in pages", "'b'", ""),
        ("w", 1, 2, "a page number", "the end of the statement", ""),
        ("w 1,,2", 1, 5, "a page number", "','", ""),
        ("w 1,", 1, 5, "a page number", "the end of the statement", ""),
        ("w 1 2", 1, 5, "a comma between pages, or the end of the statement", "'2'", ""),
        ("w 1-3", 1, 3, "a page number", "'1-3'", ""),
        (f"w {2**52}", 1, 3, f"a page number, at most {2**52 - 1}", f"'{2**52}'", ""),
        ("w " + "9" * 5000, 1, 3, f"a page number, at most {2**52 - 1}", f"'{'9' * 5000}'", ""),
        (
            "scan 18446744073709551616",
            1,
            6,
            "the number of pages to scan, at most",
            "'18446744073709551616'",
            "",
        ),
        ("resize 5 9 5", 1, 12, "the end of the range, a page above 5", "'5'", ""),
        ("fork 2", 1, 6, "a process: m and its number", "'2'", ""),
        ("fork mx", 1, 7, "a process: m and its number", "'x'", ""),
        ("fork m2147483648", 1, 7, "a process: m and its number, at most 2147483647", "'2147483648'", ""),
        ("m2147483648: exit", 1, 2, "a process number, at most 2147483647", "'2147483648'", ""),
        ("fork m2 vn", 1, 9, "the end of the statement", "'vn'", ""),
        ("exit 3", 1, 6, "the end of the statement", "'3'", ""),
        ("advise 1 2 dontfrok", 1, 12, "an advice: normal,", "'dontfrok'", "did you mean 'dontfork'?"),
        ("w 1; \u00fc", 1, 6, "a verb", "'\u00fc'", ""),
    ],
)
def test_words_outside_the_grammar_are_told_with_their_column(text, line, column, expected, found, hint):
    with pytest.raises(TraceSyntaxError) as caught:
        scenario_trace(text)
    error = caught.value
    assert (error.path, error.line, error.column, error.found) == ("<scenario>", line, column, found)
    assert error.expected.startswith(expected)
    assert hint in error.hint
    assert error.hint


def test_the_word_is_underlined():
    with pytest.raises(TraceSyntaxError) as caught:
        scenario_trace("w 1\n\tw 1; mapp 1 2 rw # comment")
    assert caught.value.__notes__ == ["     w 1; mapp 1 2 rw # comment\n          ~~~~"]


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", " ; ;\n"])
def test_a_scenario_without_statements_is_refused(text):
    with pytest.raises(EmptyTraceError, match="expected at least one statement, found none"):
        scenario_trace(text)


def test_large_scenarios_come_in_batches():
    n_pages = 70_000
    trace = scenario_trace("w " + ",".join(map(str, range(n_pages))))
    assert [batch.num_rows for batch in trace.batches()] == [1 << 16, n_pages - (1 << 16)]
    assert trace.table.column("ts").to_pylist() == list(range(1, n_pages + 1))
    assert trace.table.column("addr").to_pylist() == [page * PAGE for page in range(n_pages)]


@given(
    st.lists(
        st.builds(
            lambda pid, verb, low, size: (pid, verb, low, low + size),
            st.integers(0, 2**31 - 1),
            st.sampled_from(["unmap", "mlock", "munlock", "dontneed"]),
            st.integers(0, 2**51),
            st.integers(1, 2**51 - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_printed_reads_back(statements):
    ops = {"unmap": "munmap", "mlock": "mlock", "munlock": "munlock", "dontneed": "madvise"}
    text = "; ".join(f"m{pid}: {verb} {low} {high}" for pid, verb, low, high in statements)
    read = [(each["pid"], each["op"], each["addr"], each["len"]) for each in rows(text)]
    assert read == [(p, ops[v], low * PAGE, (high - low) * PAGE) for p, v, low, high in statements]


@given(st.text(alphabet="mapw rfokexit0123456789:;,#\n\txfile", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_in_it(text):
    try:
        table = scenario_trace(text).table
    except EmptyTraceError:
        return
    except TraceSyntaxError as error:
        line = text.split("\n")[error.line - 1]
        assert 1 <= error.column <= len(line) + 1
    else:
        assert table.num_rows > 0


# Files


def test_a_scenario_file_is_read_like_its_text(tmp_path):
    path = tmp_path / "a.scenario"
    path.write_bytes(b"\xef\xbb\xbfmap 1 9 rw\r\nw 1,2")
    trace = open_trace([str(path)])
    assert trace.table == scenario_trace("map 1 9 rw\nw 1,2").table
    assert trace.metadata.source == str(path)


def test_the_suffix_makes_a_scenario_whose_mistake_is_told(tmp_path):
    path = tmp_path / "a.scenario"
    path.write_text("mapp 1 9 rw\n")
    with pytest.raises(TraceSyntaxError, match=r"a\.scenario:1:1: expected a verb, found 'mapp'"):
        open_trace([str(path)]).table  # noqa: B018


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path):
    path = tmp_path / "a.scenario"
    path.write_bytes(b"w 1\nw 2 # \xff\n")
    with pytest.raises(TraceSyntaxError, match=r"a\.scenario:2:7: expected UTF-8 text, found the byte 0xff"):
        open_trace([str(path)]).table  # noqa: B018


def test_several_scenarios_are_wrong_usage(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.scenario").write_text("w 1\n")
    with pytest.raises(UsageError, match="expected one scenario"):
        open_trace([str(tmp_path / "a.scenario"), str(tmp_path / "b.scenario")])


@pytest.mark.parametrize(
    ("head", "is_scenario"),
    [
        (b"map 16 20 rw; w 16", True),
        (b"# comment\n\n m2: exit\n", True),
        (b"# comment only\n", False),
        (b"w 1; watch 2", False),
        (b"word", False),
        (b"\xffw 1", False),
        (b"w 1\n" * 16383 + b"w 12; wa", True),  # cut in the middle of a word
        (b"watch\n" + b"w 1\n" * 16384, False),
    ],
)
def test_a_scenario_is_told_by_its_verbs(head, is_scenario):
    assert detect_scenario(head[: 64 << 10]) is is_scenario
