"""Damage to recordings: cuts and flipped bytes, and what the parser makes of the rest.

``python -m tests.parsers.damage [--times N] [--seed SEED] FOLDER…`` damages every recording there N times in
each way and prints what should not be.
"""

import argparse
import random
import re
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from anonvma_trace.errors import EmptyTraceError, UnknownFormatError, UnsupportedTraceError
from anonvma_trace.parsers import open_trace
from anonvma_trace.parsers.losses import TEXT_KEPT
from anonvma_trace.parsers.source import LONGEST_LINE, open_source

from .recordings import recordings

COLUMNS = ("line", "op", "pid", "addr", "len", "prot", "flags", "pgoff", "new_addr", "new_len", "child")
PAIRS = 2
"""Lines that may change with the damaged one: the exit of its call, and that of the call that it now seems to be; of a
fork, the other of its two lines."""


@dataclass
class Outcome:
    """What became of a text.

    Attributes
    ----------
    rows : dict of int to Counter
        Rows by line.
    unreadable : list of tuple (int, int, str)
        Line, column and text of the lines told as unreadable, as far as they are told one by one.
    unreadable_lines, lost_events : int
    refused : bool
        There is nothing in it that could be a trace.
    nameless : bool
        No line is left that tells the number of a thread whose lines have none (strace on stderr).
    """

    rows: dict = field(default_factory=dict)
    unreadable: list = field(default_factory=list)
    unreadable_lines: int = 0
    lost_events: int = 0
    refused: bool = False
    nameless: bool = False

    def has(self, op):
        """Tell whether there is a row of an operation."""
        return any(row[0] == op for rows in self.rows.values() for row in rows)

    def without(self, op):
        """Return the outcome without the rows of an operation."""
        rows = {
            line: Counter({row: n for row, n in of_line.items() if row[0] != op})
            for line, of_line in self.rows.items()
        }
        return replace(self, rows={line: of_line for line, of_line in rows.items() if of_line})


class Damaged:
    """Damages one recording.

    Parameters
    ----------
    text : bytes
        All of it.
    folder : Path
        Where to write what is damaged.
    """

    def __init__(self, text, folder):
        self.text = text
        self.path = Path(folder) / "damaged"
        self.whole = self.outcome(text)

    def outcome(self, text):
        self.path.write_bytes(text)
        trace = None
        try:
            trace = open_trace([str(self.path)])
            table = trace.table.select(COLUMNS)
        except (EmptyTraceError, UnknownFormatError, UnsupportedTraceError):
            return Outcome(refused=True)
        rows = defaultdict(Counter)
        for row in zip(*(table[column].to_pylist() for column in COLUMNS), strict=True):
            rows[row[0]][row[1:]] += 1
        places = [place for loss in trace.losses for place in loss.places]
        nameless = any(diagnostic.code == "thread-without-number" for diagnostic in trace.diagnostics)
        return Outcome(
            dict(rows),
            places,
            trace.metadata.unreadable_lines,
            trace.metadata.lost_events,
            nameless=nameless,
        )

    def cut(self, at):
        """Return what is wrong with the rows of the text up to byte `at`."""
        found = self.outcome(self.text[:at])
        complete = self.text.count(b"\n", 0, at)  # lines before the one that was cut
        if self.whole.has("swap_out") and not found.has("swap_out"):
            found = found.without("scan")  # no page was written before the cut: reclaim is counted, not named
        if found.refused:
            return [f"cut at {at}: refused"] if complete >= 3 and self.has_events(complete) else []
        wrong = self.changed(found, complete + 1, 0, found.nameless)
        wrong = {
            line for line in wrong if line <= complete and not self.is_of_a_task_made_behind(at, line, found)
        }
        problems = self.problems_of(found, {complete + 1})
        if len(wrong) > PAIRS:
            problems.append(f"lines {sorted(wrong)[:5]} have other rows")
        return [f"cut at {at}: {problem}" for problem in problems]

    def flip(self, at, byte):
        """Return what is wrong with the rows where the byte at `at` is another."""
        line = self.text.count(b"\n", 0, at) + 1
        damaged = self.text[:at] + bytes([byte]) + self.text[at + 1 :]
        found = self.outcome(damaged)
        shift = damaged.count(b"\n") - self.text.count(b"\n")
        touched = {line, line + 1} if shift else {line}
        if found.refused:
            return [f"byte {at}: refused"]
        problems = self.problems_of(found, touched)
        lines = self.text.split(b"\n")[line - 1 : max(touched)]
        of_unknown_process = any(
            word in each for each in lines for word in (b"newtask", b"clone", b"fork(", b"fork resumed")
        )
        wrong = self.changed(found, line, shift, of_unknown_process)
        if len(wrong) > PAIRS:
            problems.append(f"lines {sorted(wrong)[:5]} have other rows")
        return [f"byte {at} (line {line}) made {byte:#x}: {problem}" for problem in problems]

    def problems_of(self, found, touched):
        """Return what is wrong with how unreadable lines are told."""
        problems = []
        more = found.unreadable_lines - self.whole.unreadable_lines
        if not 0 <= more <= len(touched):
            problems.append(f"{more} lines unreadable")
        problems += [
            f"line {line} column {column} told"
            for line, column, text in found.unreadable
            if line not in touched
            or not 1 <= column <= (len(text.encode()) if len(text) < TEXT_KEPT else LONGEST_LINE) + 1
        ]
        return problems

    def is_of_a_task_made_behind(self, at, line, found):
        """Tell whether only the process of a line is another, and the line that tells it is cut off.

        perf trace prints the lines of one CPU after those of another: a thread's first lines can come before the
        return of the clone that made it.
        """
        rows = found.rows.get(line, Counter())
        return self.rows_at(self.whole.rows, line, True) == self.rows_at(found.rows, line, True) and all(
            re.search(rb"clone3?\b.*= %d\b" % pid, self.text[at:]) for _, pid, *_ in rows
        )

    @staticmethod
    def rows_at(rows_by_line, line, of_unknown_process):
        rows = rows_by_line.get(line, Counter())
        return Counter(row[:1] + row[2:] for row in rows.elements()) if of_unknown_process else rows

    def has_events(self, line):
        """Tell whether rows come from the lines up to `line`; a header alone may tell a loss."""
        return any(row[0] != "lost" for each, rows in self.whole.rows.items() if each <= line for row in rows)

    def changed(self, found, line, shift, of_unknown_process=False):
        """Return the untouched lines, as numbered in the whole text, whose rows are not those of the whole.

        Where the line that tells whether a task is a thread was damaged (or what number a thread has), the rows may
        be of another process.
        """
        moved = {}
        for number, rows in found.rows.items():
            original = number - shift if number > line else number
            moved[original] = rows
        touched = {line, line + 1} if shift else {line}
        return {
            number
            for number in self.whole.rows.keys() | moved.keys()
            if number not in touched
            and self.rows_at(self.whole.rows, number, of_unknown_process)
            != self.rows_at(moved, number, of_unknown_process)
        }


def problems_of(text, times, seed, folder):
    """Damage a text `times` times in each way; return what should not be."""
    random_numbers = random.Random(seed)
    damaged = Damaged(text, folder)
    problems = []
    for _ in range(times):
        problems += damaged.cut(random_numbers.randrange(1, len(text)))
        at = random_numbers.randrange(len(text))
        byte = random_numbers.choice([byte for byte in range(256) if byte != text[at]])
        problems += damaged.flip(at, byte)
    return problems


def text_of(recording):
    with open_source(str(recording.path)) as source:
        return b"".join(source.blocks())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("folders", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for recording in recordings(*arguments.folders):
            try:
                found = problems_of(text_of(recording), arguments.times, arguments.seed, folder)
            except (UnknownFormatError, UnsupportedTraceError) as error:
                found = [f"not read: {error}"]
            print(f"{recording}: {len(found)} problems of {2 * arguments.times} (seed {arguments.seed})")
            for problem in found[:10]:
                print(f"   {problem}")
