"""What a process has mapped by descriptor or attached by id, as far as rows need it."""

from __future__ import annotations

from ..events import PAGE_SIZE
from .images import is_shared_memory
from .proc_maps import Snapshot
from .task_events import Change


class Descriptors:
    """Follows descriptors and System V segments of all processes.

    Parameters
    ----------
    sizes : dict of int to int
        Bytes of segments by shmid, as far as they are known from the start.
    """

    def __init__(self, sizes: dict[int, int]) -> None:
        self._mapped: dict[int, dict[int, int]] = {}  # pid -> descriptor -> mappings at offset 0
        self._attached: dict[int, dict[int, int]] = {}  # pid -> address -> bytes
        self._sizes = sizes

    def number_mapping(self, pid: int, descriptor: int, offset: int) -> int:
        """Return which of the descriptor's mappings at offset 0 this is, from 1: the parts of a file share it."""
        mapped = self._mapped.setdefault(pid, {})
        if offset == 0 or descriptor not in mapped:
            mapped[descriptor] = mapped.get(descriptor, 0) + 1
        return mapped[descriptor]

    def knows_segment(self, shmid: int) -> bool:
        """Tell whether the size of a segment is known."""
        return shmid in self._sizes

    def attach(self, pid: int, shmid: int, address: int) -> int:
        """Return the bytes of the segment that is attached; a page if nothing told its size."""
        size = self._sizes.get(shmid, PAGE_SIZE)
        self._attached.setdefault(pid, {})[address] = size
        return size

    def detach(self, pid: int, address: int) -> int:
        """Return the bytes that were attached at `address`; 0 if that is not known."""
        return self._attached.get(pid, {}).pop(address, 0)

    def apply(self, change: Change) -> None:
        """Follow a fork, exec or exit, a start image, or what shmget told."""
        if change.what == "fork":
            self._fork(change.subject, change.value)
        elif change.what == "exec":
            # The attached segments go with the old address space; the count of mappings goes on.
            self._attached.pop(change.subject, None)
        elif change.what == "exit":
            self._mapped.pop(change.subject, None)
            self._attached.pop(change.subject, None)
        elif change.what == "shmget":
            if change.value > 0:  # 0 asks for an existing segment of any size
                self._sizes[change.subject] = -(-change.value // PAGE_SIZE) * PAGE_SIZE
        elif change.snapshot is not None:
            self._take_over(change.snapshot)

    def _fork(self, pid: int, child: int) -> None:
        """`child` starts with what `pid` has: it inherits the mappings, so their names must stay taken."""
        for table in (self._mapped, self._attached):
            if pid in table:
                table[child] = dict(table[pid])
            else:
                table.pop(child, None)

    def _take_over(self, snapshot: Snapshot) -> None:
        for mapping in snapshot.mappings:
            if is_shared_memory(mapping):
                self._attached.setdefault(snapshot.pid, {})[mapping.start] = mapping.end - mapping.start
