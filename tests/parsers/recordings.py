"""The recordings in the repository, and those of any folder: ``NAME.FORMAT.txt``, perhaps compressed."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "sample_traces", ROOT / "tests" / "recordings")
_FILE = re.compile(
    r"(?P<run>.+)\.(?P<tool>ftrace|ftrace-pipe|trace-cmd|perf-script|strace|perf-trace|bpftrace)\.txt"
)


@dataclass(frozen=True)
class Recording:
    """One file.

    Attributes
    ----------
    path : Path
    run : str
        What was recorded; several tools recorded the same run where they share that.
    tool : str
        As in the file's name; the format is the same, but for ``ftrace-pipe``.
    """

    path: Path
    run: str
    tool: str

    @property
    def format(self):
        return "ftrace" if self.tool == "ftrace-pipe" else self.tool

    def __str__(self):
        return f"{self.run}.{self.tool}"


def recordings(*folders):
    """Return all recordings below `folders`; without any, those in the repository."""
    found = []
    for folder in folders or FOLDERS:
        for path in sorted(Path(folder).rglob("*.txt*")):
            name = _FILE.match(path.name)
            if name:
                found.append(Recording(path, name["run"], name["tool"]))
    return found
