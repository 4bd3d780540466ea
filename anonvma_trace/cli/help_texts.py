"""What --help shows beside docstrings and options: a line of each command, and examples, which the tests run."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "anonvma-trace inspect zoo",
        "anonvma-trace inspect run.trace.zst --json",
        "zcat run.trace.gz | anonvma-trace inspect -",
    ),
    "convert": (
        "anonvma-trace convert run.trace.zst -o run.parquet",
        "anonvma-trace convert --scenario 'map 10 14 rw; w 12' -o small.csv",
    ),
    "replay": (
        "anonvma-trace replay swapfork --out results",
        "anonvma-trace replay run.trace.zst --scheme linux6 --validate run.trace.zst",
        "anonvma-trace replay zoo --rule rmap40 --baseline merge_pre_rmap39 --json",
        "anonvma-trace replay --scenario 'map 10 14 rw; w 12; referenced 12' --check",
    ),
    "report": (
        "anonvma-trace report results -o report.html",
        "anonvma-trace report swapfork -o report.md --svg",
        "anonvma-trace report swapfork -o report.html --pid 792",
    ),
    "compare": (
        "anonvma-trace compare swapfork",
        "anonvma-trace compare pycow --schemes anon_vma,anon_vma+rmap40,linux6",
        "anonvma-trace compare run.trace.zst -o schemes.html",
    ),
    "diff": (
        "anonvma-trace diff pycow --schemes anon_vma,anon_vma+rmap40",
        "anonvma-trace diff tiny-sh threxec --exit-code --json",
        "anonvma-trace diff before after -o changes.html",
    ),
    "explain": (
        "anonvma-trace explain swapfork --event 8025",
        "anonvma-trace explain zoo --addr 0x7f0269688000 --pid 4789",
        "anonvma-trace explain --scenario 'map 10 12 rw; map 12 14 r' --event 2",
    ),
    "record": (
        "sudo anonvma-trace record -o run.trace.zst -- make -j2",
        "sudo anonvma-trace record -o run.trace.zst --reclaim -- ./server",
        "anonvma-trace record --print-bpftrace > memory.bt",
    ),
    "samples": ("anonvma-trace samples",),
}
"""Command lines by command. ``run.trace.zst`` stands for a recording, ``results``, ``before``, ``after`` for what
`replay --out` wrote."""

SHORT = {
    "inspect": "What a trace holds: events, processes, losses.",
    "convert": "Write a trace as an event table: Parquet, Arrow, CSV, JSON.",
    "replay": "Replay a trace under a scheme and print the summary.",
    "report": "Write a report of results or of a trace, HTML or Markdown.",
    "compare": "Replay under several schemes side by side.",
    "diff": "What differs between two results, and at which events.",
    "explain": "What one event did and why, or the history of one page.",
    "record": "Record a command with the kernel's tracing (as root).",
    "samples": "List the bundled sample traces.",
}
"""What `anonvma-trace --help` says of each command, in one line of 80 columns."""

START = "\b\n" + "\n".join(
    [
        "To begin with:",
        *(
            f"  anonvma-trace {line}"
            for line in ("samples", "replay swapfork --out results", "replay --help")
        ),
    ]
)
"""The end of `anonvma-trace --help`."""


def examples_of(command: str) -> str:
    """Return the end of a command's help: its examples, each on a line of its own."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {example}" for example in EXAMPLES[command])])
