"""Snapshots of address spaces: ``/proc/PID/maps`` text, and files of many snapshots with their pages.

A file of snapshots is a sequence of blocks::

    # SNAP n=2 why=exec t_mono=2523.210651 pid=4789 comm=zoo
    # MAPS
    55d5b2000000-55d5b2001000 r--p 00000000 fe:00 1687556                    /srv/demo/bin/zoo
    # PAGES …
    A 55d5b2005000 1ed7bb:1 …       present pages, one pfn:mapcount each (either is 0: the zero page)
    S 7f0000000000 1:1a4 …          swapped pages, one type:offset each
    # END n=2

``why`` is start (tracing was switched on), exec (just after an execve), mark or exit. Other lines that begin
with ``#`` and the lines of other sections are passed over. In a recording that holds its own snapshots every
line of them stands behind a ``#`` (`embedded`), and what comes after the blocks is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from ..errors import TraceSyntaxError, UsageError
from ..events import PAGE_SHIFT, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE
from .source import Source, open_source

_MAPPING = re.compile(
    r"(?P<start>[0-9a-f]{1,16})-(?P<end>[0-9a-f]{1,16})"
    r" (?P<read>[r-])(?P<write>[w-])(?P<execute>[x-])(?P<shared>[psS])"
    r" (?P<offset>[0-9a-f]{1,16}) [0-9a-f]+:[0-9a-f]+ (?P<inode>[0-9]+)(?: +(?P<name>.*))?"
)
_HEADER = re.compile(
    r"# SNAP n=(?P<n>\d+) why=(?P<why>\w+) t_mono=(?P<seconds>\d+)\.(?P<fraction>\d{1,9}) pid=(?P<pid>\d+)"
    r"(?: comm=(?P<comm>.*))?"
)
_PID_OF_FILE = re.compile(r"\d+")

WHYS = ("start", "exec", "mark", "exit")
"""Occasions of a snapshot."""

_EVENTS_BEGIN = "# tracer:"
"""Begins the events of a recording that holds its own snapshots."""

IMAGE_WHYS = ("start", "exec")
"""Those that ``--maps`` uses; the others are for ``--validate``."""


class Mapping(NamedTuple):
    """One line of ``/proc/PID/maps``: addresses in bytes, `pgoff` in pages, `name` empty if there is none."""

    start: int
    end: int
    prot: int
    shared: bool
    pgoff: int
    inode: int
    name: str


@dataclass
class Snapshot:
    """The address space of one process at one moment.

    Attributes
    ----------
    pid : int
        The process.
    why : str
        ``"start"``, ``"exec"``, ``"mark"`` or ``"exit"``; plain maps text is a start.
    n : int
        Number that the marker line in the trace repeats; 0 for plain maps text, which has none: it tells the
        state before the first event.
    t_mono_ns : int
        Monotonic time in ns; -1 where it is not known.
    comm : str
        Command name; empty where it is not known.
    mappings : list of Mapping
        In address order.
    page_lines : list of str
        Lines of the ``# PAGES`` section, undigested.
    path, line : str, int
        Where the snapshot stands, for messages.
    lines_used : int
        Lines of the trace itself that it was put together from; 0 for one of ``--maps``.
    """

    pid: int
    why: str = "start"
    n: int = 0
    t_mono_ns: int = -1
    comm: str = ""
    mappings: list[Mapping] = field(default_factory=list)
    page_lines: list[str] = field(default_factory=list)
    path: str = ""
    line: int = 0
    lines_used: int = 0

    @property
    def has_data(self) -> bool:
        """Whether there is a mapping that is not executable: if not, most of the image is not told."""
        return any(not mapping.prot & PROT_EXEC for mapping in self.mappings)

    def anonymous_pages(self) -> np.ndarray:
        """Return the addresses of all anonymous pages, present and swapped, ascending.

        Returns
        -------
        ndarray of uint64
            Bytes. Entries of the shared zero page are left out: it is no anonymous page.
        """
        return self.anonymous_frames()[0]

    def anonymous_frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the addresses of all anonymous pages, as `anonymous_pages`, and their page frame numbers.

        Returns
        -------
        addresses : ndarray of uint64
            Bytes.
        frames : ndarray of int64
            -1 for a page in swap and for one that is mapped more than once: another process's may be the same.
        """
        addresses, frames = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for line in self.page_lines:
            kind, start, *entries = line.split()
            run = np.uint64(int(start, 16)) + PAGE_SIZE * np.arange(len(entries), dtype=np.uint64)
            pages = np.full((len(entries), 2), -1, dtype=np.int64)  # pfn and mapcount
            if kind == "A":
                pages[:] = [[int(part, 16) for part in entry.split(":")] for entry in entries]
            is_page = ~_is_zero_page(pages)
            addresses.append(run[is_page])
            frames.append(np.where(pages[is_page, 1] == 1, pages[is_page, 0], -1))
        order = np.argsort(np.concatenate(addresses), kind="stable")
        return np.concatenate(addresses)[order], np.concatenate(frames)[order]


def _is_zero_page(pages: np.ndarray) -> np.ndarray:
    """Tell for each pfn and mapcount of a present page whether it is that of the shared zero page.

    Its pfn is 0 where the tool put that; /proc/PID/pagemap gives its true one. Its mapcount stays 0 however many
    map it, that of a page that is mapped here cannot.
    Source: Linux mm/memory.c, ``do_anonymous_page``: no rmap call for the zero page.
    """
    return (pages == 0).any(axis=1)


def parse_mapping(text: str, path: str = "-", line: int = 0) -> Mapping:
    """Read one line of ``/proc/PID/maps``.

    Raises
    ------
    TraceSyntaxError
        It is none.
    """
    found = _MAPPING.fullmatch(text.rstrip("\n"))
    if found is None:
        raise TraceSyntaxError(
            path,
            line,
            1,
            expected="a line of /proc/PID/maps ('START-END rwxp OFFSET DEVICE INODE PATH')",
            found=repr(text[:100]),
            hint="save the maps again (cat /proc/PID/maps), or leave the file out",
        )
    start, end = int(found["start"], 16), int(found["end"], 16)
    prot = (
        (PROT_READ if found["read"] == "r" else 0)
        | (PROT_WRITE if found["write"] == "w" else 0)
        | (PROT_EXEC if found["execute"] == "x" else 0)
    )
    offset = int(found["offset"], 16) >> PAGE_SHIFT
    name = (found["name"] or "").rstrip()
    return Mapping(start, end, prot, found["shared"] in "sS", offset, int(found["inode"]), name)


def read_snapshots(arguments: list[str], whys: Collection[str] = WHYS) -> list[Snapshot]:
    """Read what ``--maps`` or ``--validate`` names.

    Parameters
    ----------
    arguments : list of str
        ``FILE`` or ``PID=FILE``. A file of snapshots tells its pids itself; for plain maps text the pid comes
        from ``PID=`` or from the only number in the file's name (``1234.maps``).
    whys : collection of str, optional
        Which snapshots to keep.

    Raises
    ------
    TraceAccessError, EmptyTraceError
        A file cannot be read, or holds nothing.
    TraceSyntaxError
        A line is no mapping.
    UsageError
        The pid of plain maps text is not told.
    """
    snapshots: list[Snapshot] = []
    for argument in arguments:
        pid_text, equals, path = argument.partition("=")
        if not (equals and pid_text.isdecimal()):
            pid_text, path = "", argument
        with open_source(path) as source:
            if source.head.startswith(b"#"):
                found = parse_snapshot_blocks(_lines(source), path)
            elif "start" not in whys:
                continue
            else:
                found = iter([parse_plain_maps(_lines(source), path, _pid_of(pid_text, path))])
            snapshots.extend(snapshot for snapshot in found if snapshot.why in whys)
    return snapshots


def _lines(source: Source) -> Iterator[str]:
    for block in source.blocks():
        yield from block.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")


def parse_plain_maps(lines: Iterator[str], path: str, pid: int) -> Snapshot:
    """Read the text of ``/proc/PID/maps``: the state of that process at the start of the trace."""
    snapshot = Snapshot(pid, path=path, line=1)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            snapshot.mappings.append(parse_mapping(line, path, number))
    return snapshot


def parse_snapshot_blocks(
    lines: Iterator[str], path: str, on_damage: Callable[[TraceSyntaxError], None] | None = None
) -> Iterator[Snapshot]:
    """Yield the blocks of a file of snapshots in file order.

    Parameters
    ----------
    lines : iterator of str
        Without their line ends.
    path : str
        Where they come from, for messages.
    on_damage : callable, optional
        Takes the error of a line that cannot be read, which is then left out, in place of it being raised; a
        block that was cut off is handed out as far as it goes.

    Raises
    ------
    TraceSyntaxError
        A line cannot be read, or a block has no ``# END``.
    """
    return _BlockParser(path, on_damage or _raise).parse(lines)


def _raise(error: TraceSyntaxError) -> None:
    raise error


class _BlockParser:
    """Reads blocks line by line."""

    def __init__(self, path: str, on_damage: Callable[[TraceSyntaxError], None]) -> None:
        self._path = path
        self._on_damage = on_damage
        self._snapshot: Snapshot | None = None
        self._section = ""

    def parse(self, lines: Iterator[str]) -> Iterator[Snapshot]:
        number = n_blocks = 0
        for number, line in enumerate(lines, start=1):
            if n_blocks and line.startswith(_EVENTS_BEGIN) and self._snapshot is None:
                return
            finished = self._take(line, number)
            if finished is not None:
                n_blocks += 1
                yield finished
        if self._snapshot is None:
            return
        self._miss_end(number, "the end of the file")
        yield self._snapshot

    def _take(self, line: str, number: int) -> Snapshot | None:
        """Take in a line; return the snapshot that it ends."""
        try:
            word = line[2:].split(" ", 1)[0] if line.startswith("#") else ""
            if word == "SNAP":
                if self._snapshot is not None:
                    self._miss_end(number, "the next snapshot")
                cut_off, self._snapshot, self._section = self._snapshot, None, ""
                self._snapshot = _parse_header(line, self._path, number)
                return cut_off
            if word == "END" and self._snapshot is not None:
                finished, self._snapshot, self._section = self._snapshot, None, ""
                return finished
            elif word in ("MAPS", "SMAPS", "PAGES"):
                self._section = word
            elif self._snapshot is not None:
                self._take_content(self._snapshot, line, number)
            elif line.strip() and not line.startswith("#"):
                raise TraceSyntaxError(
                    self._path,
                    number,
                    1,
                    expected="a line '# SNAP n=… why=… t_mono=… pid=…' before the mappings",
                    found=repr(line[:100]),
                    hint="plain /proc/PID/maps text must not begin with '#'",
                )
        except TraceSyntaxError as error:
            self._on_damage(error)
        return None

    def _miss_end(self, number: int, found: str) -> None:
        assert self._snapshot is not None
        self._on_damage(
            TraceSyntaxError(
                self._path,
                number,
                expected=f"'# END' of the snapshot that begins in line {self._snapshot.line}",
                found=found,
                hint="the file was cut off: copy it again, or delete the incomplete snapshot",
            )
        )

    def _take_content(self, snapshot: Snapshot, line: str, number: int) -> None:
        content = line.removeprefix("# ")
        if self._section == "MAPS":
            snapshot.mappings.append(parse_mapping(content, self._path, number))
        elif self._section == "PAGES" and content:
            _check_page_line(content, self._path, number)
            snapshot.page_lines.append(content)


def _parse_header(line: str, path: str, number: int) -> Snapshot:
    found = _HEADER.match(line)
    if found is None:
        raise TraceSyntaxError(
            path,
            number,
            1,
            expected="'# SNAP n=NUMBER why=WORD t_mono=SECONDS pid=PID'",
            found=repr(line[:100]),
            hint="the file looks damaged there: record or copy it again",
        )
    t_mono_ns = int(found["seconds"]) * 10**9 + int(found["fraction"].ljust(9, "0"))
    pid, n, comm = int(found["pid"]), int(found["n"]), found["comm"] or ""
    return Snapshot(pid, found["why"], n, t_mono_ns, comm, path=path, line=number)


_PAGE_LINE = re.compile(r"[AS] [0-9a-f]{1,16}(?: [0-9a-f]{1,15}:[0-9a-f]{1,15})*\s*")


def _check_page_line(line: str, path: str, number: int) -> None:
    if not _PAGE_LINE.fullmatch(line):
        raise TraceSyntaxError(
            path,
            number,
            1,
            expected="'A ADDRESS PFN:MAPCOUNT …' or 'S ADDRESS TYPE:OFFSET …', hexadecimal",
            found=repr(line[:100]),
            hint="the file looks damaged there: record or copy it again",
        )


def _pid_of(pid_text: str, path: str) -> int:
    numbers = [pid_text] if pid_text else _PID_OF_FILE.findall(PurePath(path).name)
    if len(numbers) != 1:
        raise UsageError(
            path,
            expected="the pid of these mappings: one number in the file's name, or --maps PID=FILE",
            found=f"{len(numbers) or 'no'} numbers in {PurePath(path).name!r}",
            hint=f"say --maps PID={path}",
        )
    return int(numbers[0])
