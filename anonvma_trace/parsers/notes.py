"""What a parser assumed, left out or noticed: counted while it runs, told as diagnostics at the end."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from ..trace import Diagnostic

# Code of a diagnostic -> severity, and what it says of so many occurrences (and of one thing by name); of
# [one|several] the first stands for a count of one.
MESSAGES: dict[str, tuple[str, str]] = {
    "no-images": (
        "warning",
        "no snapshot tells what the processes had mapped when recording began and after each exec: faults "
        "there lie outside every known vma; give snapshots with --maps",
    ),
    "exec-without-image": (
        "warning",
        "{count} [exec has|execs have] no snapshot of the new image: faults in the program, its loader and "
        "its stack lie outside every known vma",
    ),
    "partial-image": (
        "warning",
        "{count} [image|images] of processes that perf recorded [holds|hold] executable mappings only and "
        "[was|were] not used; record with `perf record -d`, or give snapshots with --maps",
    ),
    "snapshot-without-marker": (
        "warning",
        "{count} start or exec [snapshot was|snapshots were] not used: the trace has no marker line with "
        "[its|their] number (or, in a format without markers, no such time), or no exec that [it|they] "
        "could belong to",
    ),
    "marker-without-snapshot": (
        "warning",
        "{count} [marker names|markers name] a start or exec snapshot that --maps does not hold",
    ),
    "assumed-process": (
        "info",
        "{count} [thread was|threads were] there before recording began and the trace has no process "
        "column: each was taken for a process of its own; ftrace tells it with options/record-tgid",
    ),
    "fork-without-flags": (
        "warning",
        "{count} [fork was|forks were] told by sched_process_fork alone, so that it is not certain whether "
        "the child shares the address space; record task:task_newtask too",
    ),
    "event-after-exit": (
        "info",
        "{count} [event|events] of processes or threads that had exited [was|were] left out",
    ),
    "fault-kind-unknown": (
        "warning",
        "{count} [fault does|faults do] not tell whether memory was read or written and [was taken for a "
        "read|were taken for reads]: the pages made or copied so are missing; record "
        "exceptions:page_fault_user",
    ),
    "kernel-address": (
        "info",
        "{count} [fault at a kernel address was|faults at kernel addresses were] left out",
    ),
    "call-across-loss": (
        "warning",
        "{count} system [call was|calls were] left out because events of [its|their] CPU were lost between "
        "enter and exit",
    ),
    "call-without-exit": (
        "info",
        "{count} system [call|calls] had not returned when the recording ended and [was|were] left out",
    ),
    "call-not-replayed": (
        "warning",
        "{count} [call|calls] of {name} changed nothing in the replay: {reason}",
    ),
    "partial-failure": (
        "warning",
        "{count} munmap or mprotect [call|calls] failed with ENOMEM: [it|they] may have changed a part of "
        "[its|their] range, which the recording does not tell",
    ),
    "segment-size-unknown": (
        "warning",
        "{count} shmat [call|calls] attached a segment whose size nothing tells: one page was taken; record "
        "shmget too",
    ),
    "segment-not-attached": (
        "info",
        "{count} shmdt [call was|calls were] left out: nothing tells what was attached there",
    ),
    "exec-given-up": (
        "warning",
        "{count} [exec was|execs were] waited for too long: [its|their] image or [its|their] loader's "
        "faults may be missing",
    ),
    "no-faults": (
        "warning",
        "the recording has no page faults, so that no page is ever touched: what is replayed are the "
        "mappings (vmas, their splits and merges) and the processes; record with ftrace or perf for the "
        "pages",
    ),
    "no-times": (
        "info",
        "the lines have no times: ts is the number of the line; record with strace -ttt",
    ),
    "clock-set-back": (
        "info",
        "the clock that the lines show was set back {count} [time|times]: what follows is moved up, because "
        "lines stand in the order in which things happened",
    ),
    "thread-without-number": (
        "warning",
        "nothing tells the number of the thread whose lines have none: it is called 1; record with -f -o "
        "FILE",
    ),
    "threads-not-shown": (
        "warning",
        "the lines name no thread (perf trace -p): all are taken for one process, which is called 1; record "
        "with perf trace -o FILE -- COMMAND",
    ),
    "fault-in-file": (
        "info",
        "{count} page [fault in a mapping of a file was|faults in mappings of files were] left out: perf "
        "trace tells [its|their] place in the file, not in the address space",
    ),
    "result-lost": (
        "warning",
        "{count} [call has|calls have] no result though [its|their] thread went on: the recorder lost lines "
        "without saying so; record with a larger buffer (perf trace -m 8M)",
    ),
    "task-without-parent": (
        "warning",
        "{count} [task begins|tasks begin] in the recording, and no line tells which process made "
        "[it|them]: the recorder lost lines; each was taken for a process of its own",
    ),
    "unmapped-but-not-mapped": (
        "warning",
        "{count} [call|calls] of munmap or mremap [names|name] memory that the process had never mapped: "
        "the recorder lost lines, perhaps without saying so; record with a larger buffer (perf trace -m 8M)",
    ),
    "flag-unknown": (
        "warning",
        "{count} [call has|calls have] a flag whose name is not known and that was left out: {name}",
    ),
    "call-not-understood": (
        "warning",
        "{count} [call of {name} was|calls of {name} were] left out: [its|their] arguments are printed as "
        "pointers or not at all",
    ),
    "task-flags-unknown": (
        "warning",
        "{count} [call of {name} shows its|calls of {name} show their] flags only as a pointer: each new "
        "task was taken for a thread of its caller",
    ),
    "exit-not-shown": (
        "warning",
        "{count} [thread|threads] called exit or exit_group, and no line tells when [it was|they were] gone "
        "(strace -qq leaves such lines out): [it stays|they stay] to the end of the replay",
    ),
    "out-of-order": (
        "warning",
        "{count} [event|events] came too late to be put into [its|their] place by time; [it stands|they "
        "stand] where [it was|they were] met",
    ),
}

_ONE_OR_SEVERAL = re.compile(r"\[([^|\]]*)\|([^\]]*)\]")

REASONS_NOT_REPLAYED = {
    "remap_file_pages": "nothing tells which file is mapped at its address",
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

    def take_in(self, other: Notes) -> None:
        """Add the counts of `other`."""
        self._counts.update(other._counts)
        for key, line in other._first_line.items():
            self._first_line.setdefault(key, line)

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
                message = _ONE_OR_SEVERAL.sub(r"\1" if count == 1 else r"\2", message)
                text = message.format(count=count, name=name, reason=REASONS_NOT_REPLAYED.get(name, ""))
                told.append(Diagnostic(severity, code, text, line=self._first_line.get((code, name), 0)))
        return told
