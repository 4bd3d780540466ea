"""The same run recorded by several tools: which rows of one recording another lacks.

``python -m tests.parsers.same_run FOLDER…`` prints the comparison of all recordings there.
"""

import sys
from collections import Counter, defaultdict
from difflib import SequenceMatcher

from anonvma_trace.parsers import open_trace

from .recordings import recordings

CALLS = ("mmap", "munmap", "mprotect", "mremap", "brk", "fork", "exec", "exit")
FAULTS = ("read_fault", "write_fault")
WITHOUT_FAULTS = ("strace", "perf-trace")
COLUMNS = ("op", "tid", "addr", "len", "prot", "flags", "pgoff", "new_addr", "new_len", "child")


class Rows:
    """What a recording tells, process by process; ``ts``, ``cpu``, ``comm``, ``line`` and ``file`` aside.

    Rows of images, which perf has and others do not, are left out: they stand on the line of a ``vma`` row.

    Attributes
    ----------
    calls : dict of int to list of tuple
        `COLUMNS` of the rows of `CALLS`, in order, by pid.
    faults : Counter
        Of (pid, op, addr).
    lost_events : int
    """

    def __init__(self, trace):
        self.calls = defaultdict(list)
        self.faults = Counter()
        rows = trace.table.select(["pid", "line", *COLUMNS]).to_pylist()
        of_image = {row["line"] for row in rows if row["op"] == "vma"}
        for row in rows:
            if row["op"] != "exec" and row["line"] in of_image:
                continue
            if row["op"] in CALLS:
                self.calls[row["pid"]].append(tuple(row[column] for column in COLUMNS))
            elif row["op"] in FAULTS:
                self.faults[row["pid"], row["op"], row["addr"]] += 1
        self.lost_events = trace.metadata.lost_events


def differences(one, other):
    """Compare two recordings of a run.

    Returns
    -------
    dict of str to tuple (int, int, int)
        By op: rows in both, only in `one`, only in `other`. All ops of `CALLS` and of `FAULTS` are there.
    """
    both, missing, extra = Counter(), Counter(), Counter()
    for pid in one.calls.keys() | other.calls.keys():
        first, second = one.calls[pid], other.calls[pid]
        matcher = SequenceMatcher(None, first, second, autojunk=False)
        for what, begin, end, other_begin, other_end in matcher.get_opcodes():
            if what == "equal":
                both.update(row[0] for row in first[begin:end])
            else:
                missing.update(row[0] for row in first[begin:end])
                extra.update(row[0] for row in second[other_begin:other_end])
    for (_, op, _), count in (one.faults & other.faults).items():
        both[op] += count
    for counts, total in ((one.faults - other.faults, missing), (other.faults - one.faults, extra)):
        for (_, op, _), count in counts.items():
            total[op] += count
    return {op: (both[op], missing[op], extra[op]) for op in (*CALLS, *FAULTS)}


def rows_of(recording):
    return Rows(open_trace([str(recording.path)]))


def runs_of_several(found):
    """Return (reference, others) of each run that several tools recorded; the reference is ftrace's file."""
    groups = defaultdict(list)
    for recording in found:
        if recording.tool != "ftrace-pipe":
            groups[recording.run].append(recording)
    for group in groups.values():
        reference = next((recording for recording in group if recording.tool == "ftrace"), None)
        others = [recording for recording in group if recording is not reference]
        if reference is not None and others:
            yield reference, others


def describe(compared):
    """Return the differences by op as one line of text."""
    told = [
        f"{op} -{missing} +{extra} (of {both + missing})"
        for op, (both, missing, extra) in compared.items()
        if missing or extra
    ]
    calls = sum(compared[op][0] for op in CALLS)
    faults = sum(compared[op][0] for op in FAULTS)
    return f"{calls} calls and {faults} faults equal" + (f"; {', '.join(told)}" if told else "")


if __name__ == "__main__":
    for reference, others in runs_of_several(recordings(*sys.argv[1:])):
        rows = rows_of(reference)
        for other in others:
            try:
                other_rows = rows_of(other)
            except Exception as error:
                print(f"{other}: {error}")
                continue
            lost = f" [lost: {rows.lost_events}, {other_rows.lost_events}]"
            print(
                f"{other}: {describe(differences(rows, other_rows))}{lost if lost != ' [lost: 0, 0]' else ''}"
            )
