"""Recordings of strace and perf trace: read whole, told by content, equal to ftrace of the same run, robust."""

import random
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import zstandard

from anonvma_trace.errors import TraceError, UnknownFormatError
from anonvma_trace.parsers import FORMATS, open_trace

RECORDINGS = Path(__file__).parents[1] / "recordings"
STRACE = sorted(RECORDINGS.glob("**/*.strace.txt*"))
PERF_TRACE = sorted(RECORDINGS.glob("**/*.perf-trace.txt*"))
PATHS = [pytest.param(path, id=path.name.partition(".txt")[0]) for path in (*STRACE, *PERF_TRACE)]

COMPARED = ("mmap", "munmap", "mprotect", "mremap", "brk", "fork", "exec", "exit")
COLUMNS = ("pid", "tid", "op", "addr", "len", "prot", "flags", "pgoff", "new_addr", "new_len", "child")

# strace hears of the leader's exit last, whichever thread the kernel tells as the last one.
LAST_THREAD_DIFFERS = {
    "node-strace": [((817, 817, "exit"), (817, 826, "exit"))],
    "threxec-strace": [((784, 784, "exit"), (784, 788, "exit"))],
}

SEED = 20240718
DAMAGES = 15


def content_of(path):
    data = path.read_bytes()
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if path.suffix == ".zst" else data


def format_of(path):
    return "strace" if path in STRACE else "perf-trace"


@pytest.mark.parametrize("path", PATHS)
def test_every_line_is_read_and_times_do_not_fall(path):
    trace = open_trace([str(path)])
    table = trace.table
    assert trace.format == format_of(path)
    assert trace.losses == []
    counts = trace.stream.line_counts
    assert sum(counts.values()) == len(content_of(path).splitlines())
    assert counts["events"] > 0.3 * sum(counts.values())
    times = table["ts"].to_pylist()
    assert times == sorted(times)


@pytest.mark.parametrize("path", PATHS)
def test_the_format_is_told_also_without_the_first_lines(path, tmp_path):
    lines = content_of(path).splitlines(keepends=True)
    for cut in (0, 1, 3):
        head = b"".join(lines[cut:])[: 64 << 10]
        assert [known.name for known in FORMATS if known.detect(head)] == [format_of(path)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("format", ["ftrace", "strace", "perf-trace"])
def test_a_wrong_format_is_refused(path, format):
    if format == format_of(path):
        assert open_trace([str(path)], format=format).table.num_rows
        return
    with pytest.raises(UnknownFormatError) as caught:
        _ = open_trace([str(path)], format=format).table
    assert str(path) in str(caught.value)


def rows_by_thread(path):
    """Return the rows to compare of each thread, and the files of its execs."""
    table = pl.from_arrow(open_trace([str(path)]).table)
    table = table.with_columns(pl.col("op").cast(pl.String), pl.col("file").cast(pl.String))
    table = table.filter(pl.col("op").is_in(COMPARED))
    rows = {tid: part.select(COLUMNS).rows() for (tid,), part in table.group_by("tid", maintain_order=True)}
    return rows, Counter(table.filter(pl.col("op") == "exec").select("pid", "file").rows())


@pytest.mark.parametrize(
    "name", ["tiny-sh-strace", "shell-strace", "zoo-strace", "threxec-strace", "node-strace", "pycow-strace"]
)
def test_ftrace_of_the_same_run_has_the_same_rows(name):
    [strace], [ftrace] = (list(RECORDINGS.glob(f"{name}.{tool}.txt*")) for tool in ("strace", "ftrace"))
    rows, files = rows_by_thread(strace)
    expected, expected_files = rows_by_thread(ftrace)
    assert files == expected_files
    for ours, theirs in LAST_THREAD_DIFFERS.get(name, []):
        assert rows[ours[1]].pop()[:3] == ours
        assert expected[theirs[1]].pop()[:3] == theirs
    rows = {tid: of for tid, of in rows.items() if of}
    differing = Counter(
        op
        for tid in rows.keys() | expected.keys()
        if rows.get(tid) != expected.get(tid)
        for (_, _, op, *_), _ in (
            (Counter(rows.get(tid, [])) - Counter(expected.get(tid, [])))
            + (Counter(expected.get(tid, [])) - Counter(rows.get(tid, [])))
        ).items()
    )
    print(f"{name}: rows that differ, by op: {dict(differing)}")
    assert rows == {tid: of for tid, of in expected.items() if of}


def test_perf_trace_sees_the_calls_that_strace_sees():
    """Two runs of one program with the same arguments: the same calls, at other addresses."""

    def counts(name):
        [path] = RECORDINGS.glob(name)
        ops = open_trace([str(path)]).table["op"].to_pylist()
        return {op: count for op, count in Counter(ops).items() if op != "read_fault"}

    assert counts("zoo-perftrace.perf-trace.txt*") == counts("zoo-strace.strace.txt*")


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("zoo-perftrace-silentloss", {"task-without-parent"}),
        ("zoo-perftrace-lost", {"task-without-parent", "result-lost", "unmapped-but-not-mapped"}),
        ("zoo-perftrace", set()),
        ("shell-perftrace", set()),
    ],
)
def test_losses_without_a_mark_are_told(name, codes):
    [path] = RECORDINGS.glob(f"{name}.perf-trace.txt*")
    trace = open_trace([str(path)])
    _ = trace.table
    signs = {"task-without-parent", "result-lost", "unmapped-but-not-mapped"}
    assert signs & {diagnostic.code for diagnostic in trace.diagnostics} == codes


def damaged(content, chance):
    """Return the content cut off, or with one bit of a line flipped, and the number of that line."""
    while True:
        place = chance.randrange(1, len(content))
        flipped = content[place] ^ 1 << chance.randrange(8)
        if b"\n"[0] not in (flipped, content[place]):  # two lines for one: every number behind would differ
            break
    line = content.count(b"\n", 0, place) + 1
    if chance.random() < 0.5:
        return content[:place], line
    return content[:place] + bytes((flipped,)) + content[place + 1 :], line


def rows_by_line(trace):
    rows = trace.table.select(
        ["line", "tid", "pid", "op", "addr", "len", "prot", "flags", "child", "new_addr"]
    )
    return Counter(tuple(row.values()) for row in rows.to_pylist())


@pytest.mark.parametrize("path", PATHS)
def test_damage_costs_the_damaged_line_only(path, tmp_path):
    content = content_of(path)
    lines = [b"", *content.split(b"\n")]
    whole = rows_by_line(open_trace([str(path)]))
    chance = random.Random(f"{SEED} {path.name}")
    for number in range(DAMAGES):
        text, line = damaged(content, chance)
        part = tmp_path / f"{number}.txt"
        part.write_bytes(text)
        trace = open_trace([str(part)], format=format_of(path))
        try:
            rows = rows_by_line(trace)
        except TraceError as error:
            assert line == 1, error  # cut within the first line
            continue
        if "thread-without-number" in {diagnostic.code for diagnostic in trace.diagnostics}:
            rows = Counter(
                (line, 7886, 7886, *rest) for line, _, _, *rest in rows
            )  # cut before anything tells it
        last = text.count(b"\n") + (not text.endswith(b"\n"))
        assert sum(trace.stream.line_counts.values()) == last
        lost = {row for row in whole - rows if row[0] <= last}
        unmade = tasks_made(lines[last:]) if len(text) < len(content) else set()
        others = [
            row
            for row in lost | set(rows - whole)
            if not touched(row, line, lines) and unmade.isdisjoint(row[1:3])
        ]
        assert others == [], f"seed {SEED}, damage {number} in line {line}"
        assert all(place[0] >= line for loss in trace.losses for place in loss.places)


def touched(row, line, lines):
    """Tell whether a row may differ because `line` is damaged.

    It is the row of that line, or of the other half of its call, or of a task that the line tells of.
    """
    if row[0] == line:
        return True
    words = lines[line].replace(b"/", b" ").replace(b"]", b" ").split()
    if not {b"%d" % task for task in row[1:3] if task is not None} & set(words):
        return False
    if any(word in lines[line] for word in (b"clone", b"fork", b"exec", b"exit", b"+++", b"attached")):
        return True
    halves = (b" resumed>", b"[continued]", b" ...")
    return any(half in lines[row[0]] for half in halves) and any(half in lines[line] for half in halves)


def tasks_made(lines):
    """Return the tasks that calls in `lines` made: their first lines may stand before those."""
    made = (re.search(rb"(?:clone3?|fork)\b.* = (\d+)", line) for line in lines)
    return {int(match[1]) for match in made if match}
