"""The time from ftrace text to the event table, beside a plain Python loop over a regular expression.

``python -m benchmarks.parsing [--megabytes 300] [--sample NAME]`` makes the text of a sample, repeated with later
times, and prints lines per second of each, and the peak memory of a process that does nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from anonvma_trace.events import EVENT_SCHEMA
from anonvma_trace.parsers.source import open_source
from anonvma_trace.samples import get_sample

SAMPLE = "zoo"  # many kinds of events: one line in fourteen is about tasks
LOOP_MEGABYTES = 20  # the loop's speed does not depend on the length

_TIME = re.compile(rb" (\d+)\.\d{6}: ")
_NEWTASK = re.compile(rb"task_newtask: pid=(\d+)")
_EXIT = re.compile(rb"sched_process_exit: .*pid=(\d+)")
_LINE = re.compile(
    r" *(?P<comm>.{1,16})-(?P<tid>\d+) +(?:\( *(?P<tgid>[\d-]+)\) +)?\[(?P<cpu>\d+)\] +\S+ +"
    r"(?P<seconds>\d+)\.(?P<micros>\d{6}): (?:sys_(?P<call>\w+)(?:\((?P<args>.*)\)| -> (?P<ret>\w+))"
    r"|(?P<event>\w+): (?P<fields>.*))"
)
_ARGUMENT = re.compile(r"(\w+): (\w+)")
_FIELD = re.compile(r"(\w+)=(\S+)")
_CALLS = {
    "mmap": ("mmap", "", "len", "prot", "flags"),
    "munmap": ("munmap", "addr", "len", "", ""),
    "mprotect": ("mprotect", "start", "len", "prot", ""),
    "mremap": ("mremap", "addr", "old_len", "", "flags"),
    "brk": ("brk", "", "", "", ""),
    "madvise": ("madvise", "start", "len_in", "", "behavior"),
    "mlock": ("mlock", "start", "len", "", ""),
    "munlock": ("munlock", "start", "len", "", ""),
}


def write_text(path: Path, sample: str, megabytes: float) -> int:
    """Write the sample's events again and again, each time a second later; returns how many lines.

    Who was there from the start goes on for ever: its events would be those of the dead from the second time on.
    """
    with open_source(str(get_sample(sample).path)) as source:
        lines = [line for line in b"".join(source.blocks()).split(b"\n") if line and line[:1] != b"#"]
    born = {found[1] for line in lines if (found := _NEWTASK.search(line))}
    lines = [line for line in lines if not (found := _EXIT.search(line)) or found[1] in born]
    parts = []
    for line in lines:
        found = _TIME.search(line)
        assert found is not None
        parts.append((line[: found.start(1)], int(found[1]), line[found.end(1) :] + b"\n"))
    written = repetitions = 0
    with path.open("wb") as file:
        while written < megabytes * 1e6:
            text = b"".join(
                b"%s%d%s" % (before, second + repetitions, after) for before, second, after in parts
            )
            written += file.write(text)
            repetitions += 1
    return repetitions * len(parts)


def table_by_loop(path: Path, limit: float) -> tuple[pa.Table, int]:
    """Read the beginning of ftrace text line by line: the rows of the event table, typed; and how many lines."""
    columns: dict[str, list[object]] = {name: [] for name in EVENT_SCHEMA.names}
    entered: dict[str, dict[str, int]] = {}
    process_of: dict[int, int] = {}
    read = lines = 0
    with path.open(encoding="utf-8", errors="backslashreplace") as file:
        for line in file:
            lines += 1
            read += len(line)
            if read > limit:
                break
            found = _LINE.match(line)
            row = found and _row(found, entered, process_of)
            if row:
                row["line"] = lines
                for name, values in columns.items():
                    values.append(row.get(name))
    return pa.table(columns, schema=EVENT_SCHEMA), lines


def _row(
    found: re.Match[str], entered: dict[str, dict[str, int]], process_of: dict[int, int]
) -> dict[str, object] | None:
    tid = int(found["tid"])
    row: dict[str, object] = {
        "ts": int(found["seconds"]) * 10**9 + int(found["micros"]) * 1000,
        "cpu": int(found["cpu"]),
        "pid": process_of.get(tid, tid),
        "tid": tid,
        "comm": found["comm"].strip(),
    }
    call, event = found["call"], found["event"]
    if found["args"] is not None:
        entered[found["tid"] + call] = {
            name: int(value, 16) for name, value in _ARGUMENT.findall(found["args"])
        }
        return None
    if call is not None:
        enter = entered.pop(found["tid"] + call, None)
        returned = int(found["ret"], 16)
        if enter is None or call not in _CALLS or returned >= 1 << 63:
            return None
        op, addr, length, prot, flags = _CALLS[call]
        row["op"], row["addr"] = op, enter[addr] if addr else returned
        for column, name in (("len", length), ("prot", prot), ("flags", flags)):
            if name:
                row[column] = enter[name]
        if call == "mremap":
            row["new_addr"], row["new_len"] = returned, enter["new_len"]
        elif call == "mmap" and not enter["flags"] & 0x20:
            row["file"], row["pgoff"] = f"fd:{enter['fd']}", enter["off"] >> 12
        return row
    fields = dict(_FIELD.findall(found["fields"]))
    if event.startswith("page_fault"):
        row["op"] = "write_fault" if int(fields["error_code"], 16) & 2 else "read_fault"
        row["addr"] = int(fields["address"], 16)
    elif event == "task_newtask":
        child, flags = int(fields["pid"]), int(fields["clone_flags"], 16)
        process_of[child] = process_of.get(tid, tid) if flags & 0x10000 else child
        if flags & 0x10000:
            return None
        row["op"], row["child"], row["flags"] = "fork", child, flags
    elif event == "sched_process_exec":
        row["op"], row["file"] = "exec", fields["filename"]
    elif event == "sched_process_exit" and fields.get("group_dead") == "true":
        row["op"] = "exit"
    else:
        return None
    return row


def read_here(path: str) -> None:
    """Read a file in this process; print what it took as JSON."""
    import resource

    from anonvma_trace.parsers import open_trace

    for _ in open_trace([str(get_sample(SAMPLE).path)]).batches():
        pass  # compiles, or loads, the scanner
    trace = open_trace([path])
    wall, cpu, own_cpu = time.perf_counter(), time.process_time(), time.thread_time()
    rows = sum(batch.num_rows for batch in trace.batches())
    print(
        json.dumps(
            {
                "rows": rows,
                "lines": sum(trace.stream.line_counts.values()),
                "wall": time.perf_counter() - wall,
                "cpu": time.process_time() - cpu,
                "own_cpu": time.thread_time() - own_cpu,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            }
        )
    )


def figures(sample: str, megabytes: float, folder: Path) -> Iterator[tuple[str, str]]:
    """Measure, and yield name and value of each figure."""
    path = folder / "big.ftrace"
    lines = write_text(path, sample, megabytes)
    yield "text", f"{path.stat().st_size / 1e6:,.0f} MB, {lines:,} lines"
    start = time.perf_counter()
    subprocess.run(["wc", "-l", str(path)], check=True, stdout=subprocess.DEVNULL)
    yield "wc -l", f"{lines / (time.perf_counter() - start) / 1e6:,.1f} M lines/s"
    start = time.process_time()
    table, loop_lines = table_by_loop(path, LOOP_MEGABYTES * 1e6)
    loop = loop_lines / (time.process_time() - start)
    yield "loop with `re`", f"{loop / 1e6:.3f} M lines/s ({table.num_rows:,} rows of {loop_lines:,} lines)"
    command = [sys.executable, "-c", f"from benchmarks.parsing import read_here; read_here({str(path)!r})"]
    run = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    # On a machine with two cores and nothing else to do, the clock shows little more than the busier thread.
    busier = max(run["own_cpu"], run["cpu"] - run["own_cpu"])
    for name, seconds in (
        ("by the clock", run["wall"]),
        ("by CPU seconds of the busier thread", busier),
        ("by CPU seconds of all threads", run["cpu"]),
    ):
        speed = run["lines"] / seconds
        yield f"event table, {name}", f"{speed / 1e6:.2f} M lines/s, {speed / loop:.1f} times the loop"
    yield "event table, rows", f"{run['rows']:,}"
    yield "event table, peak memory", f"{run['peak_mb']:.0f} MB"


def main(
    megabytes: Annotated[float, typer.Option(help="Length of the text.", min=1)] = 300,
    sample: Annotated[str, typer.Option(help="The recording that is repeated.")] = SAMPLE,
) -> None:
    """Measure the parser of ftrace text."""
    console = Console()
    table = Table("figure", "measured", title="ftrace text to the event table")
    with tempfile.TemporaryDirectory() as folder, console.status("measuring"):
        for row in figures(sample, megabytes, Path(folder)):
            table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
