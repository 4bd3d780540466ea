r"""Recordings of the kernel's slab allocator: which anon_vmas and anon_vma_chains it made, and when.

Text of ftrace's events ``kmem:kmem_cache_alloc`` and ``kmem:kmem_cache_free``:

  sh-32261 (  32261) [001] .....  2149.271222: kmem_cache_alloc: call_site=__anon_vma_prepare+0x11f/0x1e0 ptr=0000000083c53e22 name=anon_vma …
                                  \_________/  \_____________/             \________________/                 \______________/      \______/
                                   seconds      event                       function                           object                cache

The cache of anon_vma_chain is merged with others of the same size, so the call site tells what an object is. Only objects
whose allocation the recording shows are counted: of others nobody knows how many there were.
"""  # noqa: E501  (a line of the recording as it is)

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..errors import TraceError
from .source import open_source

ANON_VMA, ANON_VMA_CHAIN = "anon_vma", "anon_vma_chain"

CALL_SITES: dict[str, tuple[str, ...]] = {
    ANON_VMA: ("__anon_vma_prepare", "anon_vma_fork"),
    ANON_VMA_CHAIN: ("__anon_vma_prepare", "anon_vma_clone", "anon_vma_fork"),
}
"""Functions that allocate objects of each kind (mm/rmap.c, Linux 6.18)."""

_EVENT = re.compile(
    rb" (?P<seconds>\d+)\.(?P<fraction>\d{1,9}): kmem_cache_(?P<what>alloc|free): "
    rb"call_site=(?P<site>[^\s+]+)\S* ptr=(?P<object>\S+) name=(?P<cache>\S+)"
)
_BEGINS = re.compile(rb": kmem_cache_(?:alloc|free): ")
_LOST = re.compile(rb"LOST \d+ EVENTS|EVENTS DROPPED")


class SlabRecording(NamedTuple):
    """What one or several files of a recording show.

    Attributes
    ----------
    times : dict of str to ndarray of int64
        For each kind of object the times at which one came or went, ns, ascending.
    live : dict of str to ndarray of int64
        How many there were right after each of these times.
    allocations : dict of str to dict of str to int
        For each kind, objects allocated by call site; sites without any have 0.
    unreadable : list of (str, int)
        Events that could not be read: path and line.
    lost : list of (str, int)
        Where the recorder says that it lost events.
    """

    times: dict[str, np.ndarray]
    live: dict[str, np.ndarray]
    allocations: dict[str, dict[str, int]]
    unreadable: list[tuple[str, int]]
    lost: list[tuple[str, int]]

    def live_at(self, kind: str, ts: int) -> int:
        """Return how many objects of a kind there were at a time, in ns: those that the recording shows made."""
        at = int(np.searchsorted(self.times[kind], ts, side="right"))
        return int(self.live[kind][at - 1]) if at else 0


def is_slab_recording(path: str) -> bool:
    """Tell whether a file is one, by content; False for standard input, which can be read only once."""
    if path == "-":
        return False
    with open_source(path) as source:
        return _BEGINS.search(source.head) is not None


def read_slab_recording(paths: Iterable[str]) -> SlabRecording:
    """Read all files of a recording.

    Raises
    ------
    TraceAccessError, EmptyTraceError
        A file cannot be read, or holds nothing.
    TraceError
        No file shows an anon_vma being allocated.
    """
    paths = list(paths)
    events: list[tuple[int, bool, str, bytes, str]] = []
    unreadable: list[tuple[str, int]] = []
    lost: list[tuple[str, int]] = []
    for path in paths:
        with open_source(path) as source:
            lines = (line for block in source.blocks() for line in block.removesuffix(b"\n").split(b"\n"))
            for number, line in enumerate(lines, start=1):
                if (found := _EVENT.search(line)) is not None:
                    events.append(_event(found))
                elif _BEGINS.search(line):
                    unreadable.append((path, number))
                elif _LOST.search(line):
                    lost.append((path, number))
    events.sort(key=lambda event: event[0])  # files of single CPUs; stable, so that a file keeps its order
    recording = _follow(events)
    if not any(recording.allocations[ANON_VMA].values()):
        raise TraceError(
            paths[0],
            expected="events kmem_cache_alloc of the cache anon_vma, with call_site= and name=",
            found=f"{len(events)} events of the slab allocator, none of them one",
            hint='record kmem:kmem_cache_alloc and kmem:kmem_cache_free with the filter name == "anon_vma" '
            '|| name == "anon_vma_chain" (Linux 6.1 and later tell the name)',
        )
    return recording._replace(unreadable=unreadable, lost=lost)


def _event(found: re.Match[bytes]) -> tuple[int, bool, str, bytes, str]:
    """Return time in ns, whether it is an allocation, cache, object and call site."""
    ts = int(found["seconds"]) * 10**9 + int(found["fraction"].ljust(9, b"0"))
    return ts, found["what"] == b"alloc", found["cache"].decode(), found["object"], found["site"].decode()


def _follow(events: list[tuple[int, bool, str, bytes, str]]) -> SlabRecording:
    """Follow the objects whose allocation is shown to their end."""
    alive: dict[bytes, str] = {}
    changes: dict[str, list[tuple[int, int]]] = {kind: [] for kind in CALL_SITES}
    allocations = {kind: Counter(dict.fromkeys(sites, 0)) for kind, sites in CALL_SITES.items()}
    for ts, is_allocation, cache, thing, site in events:
        known = alive.pop(thing, None)
        if known is not None:  # freed; or allocated anew, so that its end is not shown
            changes[known].append((ts, -1))
        if is_allocation and site in CALL_SITES.get(cache, ()):
            alive[thing] = cache
            changes[cache].append((ts, 1))
            allocations[cache][site] += 1
    times, live = {}, {}
    for kind, steps in changes.items():
        table = np.array(steps, np.int64).reshape(-1, 2)
        times[kind], live[kind] = table[:, 0], np.cumsum(table[:, 1])
    return SlabRecording(times, live, {kind: dict(counts) for kind, counts in allocations.items()}, [], [])
