"""What a parser assumed, left out or noticed: counted while it runs, told as diagnostics at the end."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..trace import Diagnostic

# Code of a diagnostic -> severity, and what it says of so many occurrences (and of one thing by name).
MESSAGES: dict[str, tuple[str, str]] = {
    "no-images": (
        "warning",
        "no snapshot tells what the processes had mapped when recording began and after each exec: faults "
        "there lie outside every known vma; give snapshots with --maps",
    ),
    "exec-without-image": (
        "warning",
        "{count} execs have no snapshot of the new image: faults in the program, its loader and its stack "
        "lie outside every known vma",
    ),
    "partial-image": (
        "warning",
        "{count} images of processes that perf recorded hold executable mappings only and were not used; "
        "record with `perf record -d`, or give snapshots with --maps",
    ),
    "snapshot-without-marker": (
        "warning",
        "{count} start or exec snapshots were not used: the trace has no marker line with their number (or, in "
        "a format without markers, no such time), or no exec that they could belong to",
    ),
    "marker-without-snapshot": (
        "warning",
        "{count} markers name a start or exec snapshot that --maps does not hold",
    ),
    "assumed-process": (
        "info",
        "{count} threads were there before recording began and the trace has no process column: each was "
        "taken for a process of its own; record with options/record-tgid",
    ),
    "fork-without-flags": (
        "warning",
        "{count} forks were told by sched_process_fork alone, so that it is not certain whether the child "
        "shares the address space; record task:task_newtask too",
    ),
    "event-after-exit": ("info", "{count} events of processes or threads that had exited were left out"),
    "fault-kind-unknown": (
        "warning",
        "{count} faults do not tell whether memory was read or written and were taken for reads: the pages "
        "that they made or copied are missing; record exceptions:page_fault_user",
    ),
    "kernel-address": ("info", "{count} faults at kernel addresses were left out"),
    "call-across-loss": (
        "warning",
        "{count} system calls were left out because events of their CPU were lost between enter and exit",
    ),
    "call-without-exit": (
        "info",
        "{count} system calls had not returned when the recording ended and were left out",
    ),
    "call-not-replayed": ("warning", "{count} calls of {name} changed nothing in the replay: {reason}"),
    "partial-failure": (
        "warning",
        "{count} munmap or mprotect calls failed with ENOMEM: they may have changed a part of their range, "
        "which the recording does not tell",
    ),
    "segment-size-unknown": (
        "warning",
        "{count} shmat calls attached a segment whose size nothing tells: one page was taken; record "
        "shmget too",
    ),
    "segment-not-attached": (
        "info",
        "{count} shmdt calls were left out: nothing tells what was attached there",
    ),
    "exec-given-up": (
        "warning",
        "{count} execs were waited for too long: their image or their loader's faults may be missing",
    ),
    "out-of-order": (
        "warning",
        "{count} events came too late to be put into their place by time; they stand where they were met",
    ),
}

REASONS_NOT_REPLAYED = {
    "remap_file_pages": "its file is not in the recording",
    "process_madvise": "the ranges are in the caller's memory, not in the recording",
    "mlockall": "the event table has no such operation",
    "munlockall": "the event table has no such operation",
}
"""System calls that a recording tells too little of -> why."""


class Notes:
    """Counts by code and, where a code has several, by name; remembers the first line of each."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first_line: dict[tuple[str, str], int] = {}

    def count(self, code: str, lines: np.ndarray, name: str = "") -> None:
        """Count an occurrence of `code` (a key of `MESSAGES`) in each of `lines`."""
        if len(lines):
            self._counts[code, name] += len(lines)
            self._first_line.setdefault((code, name), int(lines[0]))

    def add(self, code: str, count: int = 1) -> None:
        """Count occurrences that have no line."""
        self._counts[code, ""] += count

    def drop(self, code: str) -> None:
        """Forget a code, because another says more."""
        self._counts.pop((code, ""), None)

    def diagnostics(self) -> list[Diagnostic]:
        """Return one diagnostic for each code (and name) that occurred, in the order of `MESSAGES`."""
        order = list(MESSAGES)
        told = []
        for (code, name), count in sorted(self._counts.items(), key=lambda item: order.index(item[0][0])):
            if count:
                severity, message = MESSAGES[code]
                text = message.format(count=count, name=name, reason=REASONS_NOT_REPLAYED.get(name, ""))
                told.append(Diagnostic(severity, code, text, line=self._first_line.get((code, name), 0)))
        return told
