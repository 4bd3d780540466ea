"""Validation: replayed address spaces beside those that a live kernel showed at the same moment.

A recording tool that takes snapshots writes a marker line into the trace for each, which becomes a `mark` row.
When the replay comes to that row, its vmas and anonymous pages must be those of the snapshot: the same pages
mapped with the same permissions, the same pages anonymous. The borders between vmas need not agree: they follow
the merge rules of the scheme, the snapshot those of the kernel that was recorded.

The stack, [vdso], [vvar…] and [vsyscall] stand aside: nothing in a trace tells how many pages the kernel itself
wrote to a new stack, and the others are the kernel's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from .events import PAGE_SIZE
from .parsers.proc_maps import Mapping, Snapshot, read_snapshots
from .replay.address_space import AddressSpace
from .replay.marks import Mark
from .trace import Diagnostic

VALIDATED_WHYS = ("mark", "exit")
"""Occasions of the snapshots to compare with; the others tell how processes begin."""

RANGES_SHOWN = 4
"""Differences that a message lists; it counts the others."""

_NOT_MAPPED = -1
_SHARED = 8  # beside the PROT_* bits


@dataclass
class ValidationFigures:
    """How many snapshots there are and in how many the replay agrees; `summary["validation"]`.

    Attributes
    ----------
    snapshots : int
        Recorded snapshots of running and of exiting processes.
    compared : int
        Of them compared: the others have no place in the trace, or the trace cannot tell what they show.
    pages_equal, borders_equal, anon_pages_equal : int
        Compared snapshots in which the same pages are mapped with the same permissions, all vmas begin and end at
        the same addresses, exactly the same pages are anonymous.
    anon_pages, anon_pages_missing, anon_pages_extra : int
        Anonymous pages in the compared snapshots; of them not in the replay; in the replay only.
    """

    snapshots: int = 0
    compared: int = 0
    pages_equal: int = 0
    borders_equal: int = 0
    anon_pages_equal: int = 0
    anon_pages: int = 0
    anon_pages_missing: int = 0
    anon_pages_extra: int = 0


class Layout(NamedTuple):
    """Mappings of one address space: arrays of equal length, ascending and disjoint.

    Attributes
    ----------
    start, end : ndarray of uint64
        Bytes.
    access : ndarray of int64
        ``PROT_*`` bits, and 8 for a shared mapping.
    """

    start: np.ndarray
    end: np.ndarray
    access: np.ndarray

    def covers(self, addresses: np.ndarray) -> np.ndarray:
        """Return, for each address, whether it is mapped."""
        return self.access_at(addresses) != _NOT_MAPPED

    def access_at(self, addresses: np.ndarray) -> np.ndarray:
        """Return the access at each address, -1 where nothing is mapped."""
        if not len(self.start):
            return np.full(len(addresses), _NOT_MAPPED, np.int64)
        at = np.searchsorted(self.start, addresses, side="right") - 1
        inside = (at >= 0) & (addresses < self.end[at])
        return np.where(inside, self.access[at], _NOT_MAPPED)

    def where(self, kept: np.ndarray) -> Layout:
        """Return only the mappings for which `kept` is true."""
        return Layout(*(column[kept] for column in self))


class Validation:
    """Compares snapshots with the replay as it comes to their marks; a `replay.marks.MarkWatcher`.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        Those of running and exiting processes are compared, others left aside.

    Attributes
    ----------
    figures : ValidationFigures
        Complete when the replay is over.
    """

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        self._waiting: dict[tuple[int, int], Snapshot] = {}
        for snapshot in snapshots:
            if snapshot.why in VALIDATED_WHYS:
                self._waiting[snapshot.pid, snapshot.n] = snapshot
        self._told: list[Diagnostic] = []
        self.figures = ValidationFigures(snapshots=len(self._waiting))

    @classmethod
    def of_files(cls, arguments: list[str]) -> Validation:
        """Return the comparison with the snapshots in files.

        Raises
        ------
        TraceError
            A file cannot be read or is no file of snapshots.
        """
        validation = cls(())
        for argument in arguments:
            found = cls(read_snapshots([argument], VALIDATED_WHYS))
            if not found._waiting:
                validation._tell(
                    "validate-no-snapshot",
                    f"{argument} holds no snapshot of a running or exiting process (why=mark or why=exit)",
                )
            validation._waiting |= found._waiting
        validation.figures.snapshots = len(validation._waiting)
        return validation

    def summary(self) -> dict[str, int]:
        """Return the figures as they stand in `summary`."""
        return asdict(self.figures)

    def wants(self, pid: int, number: int) -> bool:
        """Tell whether a snapshot waits for this mark."""
        return (pid, number) in self._waiting

    def look(self, mark: Mark) -> None:
        """Compare the snapshot of a mark with what the replay holds there."""
        snapshot = self._waiting.pop((mark.pid, mark.number))
        reason = _why_not_compared(mark)
        if reason:
            self._tell("validate-not-compared", f"{_name(snapshot)} was not compared: {reason}", mark)
            return
        self.figures.compared += 1
        space = mark.space
        if space is None:
            self._tell(
                "validate-exited", f"{_name(snapshot)}: in the replay the process has exited by then", mark
            )
            space = _nothing_mapped()
        recorded, replayed, aside = _layouts(snapshot, space)
        self._compare_pages(snapshot, mark, recorded, replayed, aside)
        self._compare_borders(snapshot, mark, recorded, replayed)
        self._compare_anonymous_pages(snapshot, mark, space.anon_pages, aside)

    def end(self, standing_ts: np.ndarray) -> None:
        """Learn that the replay is over: what stood before it makes no difference here."""

    def diagnostics(self) -> list[Diagnostic]:
        """Return every difference, and the snapshots that could not be compared."""
        unplaced = [
            Diagnostic(
                "warning",
                "validate-no-marker",
                f"{_name(snapshot)} was not compared: the trace has no marker line with its number and pid",
            )
            for snapshot in self._waiting.values()
        ]
        return self._told + unplaced

    def _tell(self, code: str, message: str, mark: Mark | None = None) -> None:
        event, line = (mark.event, mark.line) if mark else (0, 0)
        self._told.append(Diagnostic("warning", code, message, line=line, event=event))

    def _compare_pages(
        self, snapshot: Snapshot, mark: Mark, recorded: Layout, replayed: Layout, aside: Layout
    ) -> None:
        starts, ends, accesses = _differences(recorded, replayed, aside)
        if not len(starts):
            self.figures.pages_equal += 1
            return
        ranges = [
            f"{_range(start, end)} {_access_text(was)}, replayed {_access_text(here)}"
            for start, end, (was, here) in zip(starts.tolist(), ends.tolist(), accesses.tolist(), strict=True)
        ]
        pages = int((ends - starts).sum()) // PAGE_SIZE
        self._tell(
            "validate-pages",
            f"{_name(snapshot)}: {_counted(pages, 'page')} mapped otherwise: {_few(ranges)}",
            mark,
        )

    def _compare_borders(self, snapshot: Snapshot, mark: Mark, recorded: Layout, replayed: Layout) -> None:
        if np.array_equal(recorded.start, replayed.start) and np.array_equal(recorded.end, replayed.end):
            self.figures.borders_equal += 1
            return
        of_recorded = np.union1d(recorded.start, recorded.end)
        of_replayed = np.union1d(replayed.start, replayed.end)
        only = [
            f"{_counted(len(addresses), 'border')} only {where} ({_few([f'{a:x}' for a in addresses.tolist()])})"
            for where, addresses in (
                ("recorded", np.setdiff1d(of_recorded, of_replayed)),
                ("replayed", np.setdiff1d(of_replayed, of_recorded)),
            )
            if len(addresses)
        ]
        self._tell(
            "validate-borders",
            f"{_name(snapshot)}: {_counted(len(recorded.start), 'vma')} recorded, {len(replayed.start)} replayed"
            + "".join(f"; {each}" for each in only),
            mark,
        )

    def _compare_anonymous_pages(
        self, snapshot: Snapshot, mark: Mark, replayed: np.ndarray, aside: Layout
    ) -> None:
        recorded = snapshot.anonymous_pages()
        recorded = recorded[~aside.covers(recorded)]
        replayed = replayed[~aside.covers(replayed)]
        missing = np.setdiff1d(recorded, replayed, assume_unique=True)
        extra = np.setdiff1d(replayed, recorded, assume_unique=True)
        figures = self.figures
        figures.anon_pages += len(recorded)
        figures.anon_pages_missing += len(missing)
        figures.anon_pages_extra += len(extra)
        if not len(missing) and not len(extra):
            figures.anon_pages_equal += 1
            return
        parts = [
            f"{len(pages)} {what}: {_few(_runs(pages))}"
            for what, pages in (("missing", missing), ("extra", extra))
            if len(pages)
        ]
        self._tell(
            "validate-anon-pages",
            f"{_name(snapshot)}: of {_counted(len(recorded), 'anonymous page')} " + "; ".join(parts),
            mark,
        )


def _why_not_compared(mark: Mark) -> str:
    """Return why the trace cannot tell what stood at a mark; empty if it can."""
    lost = f"events were lost before it (event {mark.last_loss})" if mark.last_loss else ""
    if mark.space is None:
        return lost or ("" if mark.was_seen else "the trace has no other event of this process before it")
    if not mark.space.known_since:
        return lost or "no snapshot tells what the process had mapped at first (see --maps)"
    return lost if mark.space.known_since <= mark.last_loss else ""


def _nothing_mapped() -> AddressSpace:
    addresses, flags = np.empty(0, np.uint64), np.empty(0, bool)
    return AddressSpace(0, addresses, addresses, np.empty(0, np.uint8), flags, flags, flags, addresses)


def _layouts(snapshot: Snapshot, space: AddressSpace) -> tuple[Layout, Layout, Layout]:
    """Return what is recorded and what is replayed, without what stands aside, and that."""
    stands_aside = np.array([_stands_aside(mapping) for mapping in snapshot.mappings], bool)
    shown = Layout(
        np.array([mapping.start for mapping in snapshot.mappings], np.uint64),
        np.array([mapping.end for mapping in snapshot.mappings], np.uint64),
        np.array([mapping.prot | _SHARED * mapping.shared for mapping in snapshot.mappings], np.int64),
    )
    held = Layout(space.start, space.end, space.prot.astype(np.int64) | _SHARED * space.shared)
    aside = shown.where(stands_aside)
    # The replay's stack may have grown to another page than the recorded one: they meet at its end.
    is_stack = space.growsdown & aside.covers(space.end - np.uint64(PAGE_SIZE))
    held_aside = is_stack | space.special
    return shown.where(~stands_aside), held.where(~held_aside), _union(aside, held.where(held_aside))


def _stands_aside(mapping: Mapping) -> bool:
    return mapping.name in ("[stack]", "[vdso]", "[vsyscall]") or mapping.name.startswith("[vvar")


def _union(a: Layout, b: Layout) -> Layout:
    """Return the pieces that `a` or `b` covers; the accesses mean nothing any more."""
    pieces = _pieces(a, b)
    return pieces.where(a.covers(pieces.start) | b.covers(pieces.start))


def _pieces(*layouts: Layout) -> Layout:
    """Return the pieces into which all borders cut the address space."""
    cuts = np.unique(np.concatenate([borders for layout in layouts for borders in layout[:2]]))
    return Layout(cuts[:-1], cuts[1:], np.zeros(max(len(cuts) - 1, 0), np.int64))


def _differences(
    recorded: Layout, replayed: Layout, aside: Layout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where two layouts differ: starts, ends, and the accesses there (recorded, replayed) in two columns."""
    pieces = _pieces(recorded, replayed, aside)
    accesses = np.stack([recorded.access_at(pieces.start), replayed.access_at(pieces.start)], axis=1)
    differs = (accesses[:, 0] != accesses[:, 1]) & ~aside.covers(pieces.start)
    start, end, accesses = pieces.start[differs], pieces.end[differs], accesses[differs]
    begins = np.ones(len(start), bool)
    begins[1:] = (start[1:] != end[:-1]) | (accesses[1:] != accesses[:-1]).any(axis=1)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(start)) - 1 if len(start) else first
    return start[first], end[last], accesses[first]


def _runs(pages: np.ndarray) -> list[str]:
    """Return ascending page addresses as ranges of neighbours."""
    breaks = np.flatnonzero(np.diff(pages) != PAGE_SIZE)
    first = pages[np.concatenate([[0], breaks + 1])]
    last = pages[np.append(breaks, len(pages) - 1)]
    return [_range(start, end + PAGE_SIZE) for start, end in zip(first.tolist(), last.tolist(), strict=True)]


def _name(snapshot: Snapshot) -> str:
    return f"snapshot {snapshot.n} ({snapshot.why}) of pid {snapshot.pid}, {snapshot.path}:{snapshot.line}"


def _range(start: int, end: int) -> str:
    return f"{start:x}-{end:x}"


def _access_text(access: int) -> str:
    if access == _NOT_MAPPED:
        return "none"
    letters = "".join(letter if access & bit else "-" for letter, bit in zip("rwx", (1, 2, 4), strict=True))
    return letters + ("s" if access & _SHARED else "p")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _few(texts: list[str]) -> str:
    shown = ", ".join(texts[:RANGES_SHOWN])
    return shown + (f" and {len(texts) - RANGES_SHOWN} more" if len(texts) > RANGES_SHOWN else "")
