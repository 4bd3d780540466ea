"""A process's address space as arrays: what an observer of the replay sees at a `mark` row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..events import PAGE_SHIFT, PROT_EXEC, PROT_READ, PROT_WRITE
from .layout import (
    FILE_SHM,
    FILE_SPECIAL,
    NULL,
    PG_ANON_KIND,
    PT_BITS,
    PT_ENTRIES,
    PT_STRIDE,
    PTE_PRESENT,
    PTE_SHIFT,
    PTE_SWAP,
    VM_EXEC,
    VM_GROWSDOWN,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    State,
)

_PROT_OF_VM = ((VM_READ, PROT_READ), (VM_WRITE, PROT_WRITE), (VM_EXEC, PROT_EXEC))


class AddressSpace(NamedTuple):
    """The vmas and anonymous pages of one mm; addresses in bytes, uint64, ascending.

    Attributes
    ----------
    known_since : int
        Event from which on the replay has known all of it: 1 for a process that the trace itself begins with;
        0 where its image is not known, so that vmas may be missing or invented.
    start, end : ndarray of uint64, shape (vmas,)
        First byte of each vma, and the first one behind it.
    prot : ndarray of uint8, shape (vmas,)
        ``PROT_*`` bits.
    shared, growsdown, special : ndarray of bool, shape (vmas,)
        Shared mapping; stack; mapping of the kernel's own such as [vdso].
    anon_pages : ndarray of uint64, shape (pages,)
        Addresses of the anonymous pages, present and swapped out.
    """

    known_since: int
    start: np.ndarray
    end: np.ndarray
    prot: np.ndarray
    shared: np.ndarray
    growsdown: np.ndarray
    special: np.ndarray
    anon_pages: np.ndarray


def address_space_of(state: State, pid: int) -> AddressSpace | None:
    """Return the address space of the live process with this pid as it stands now; None if there is none."""
    mm = mm_of(state, pid)
    if mm == NULL:
        return None
    v = state.vma.array[state.vma.array["mm"] == mm]
    v = v[np.argsort(v["start"])]
    prot = np.zeros(len(v), np.uint8)
    for vm_flag, bit in _PROT_OF_VM:
        prot[v["vm_flags"] & vm_flag != 0] |= bit
    return AddressSpace(
        known_since=int(state.mm[mm].known),
        start=_addresses(v["start"]),
        end=_addresses(v["end"]),
        prot=prot,
        shared=v["vm_flags"] & VM_SHARED != 0,
        growsdown=v["vm_flags"] & VM_GROWSDOWN != 0,
        special=v["file"] & (FILE_SPECIAL | FILE_SHM) == FILE_SPECIAL,
        anon_pages=_addresses(_anonymous_pages(state, mm)),
    )


def mm_of(state: State, pid: int) -> int:
    """Return the row of the mm of the live process with this pid, NULL if there is none."""
    return int(state.proc[_process_row(state, pid)].mm)


def was_seen(state: State, pid: int) -> bool:
    """Tell whether a process with this pid is alive or has been."""
    return _process_row(state, pid) != NULL


def _process_row(state: State, pid: int) -> int:
    """Return the row of the latest process with this pid, NULL if there was none."""
    from .processes import pid_place  # compiled code: not before a replay needs it

    at = getattr(pid_place, "py_func", pid_place)(state, pid)
    return int(state.ints[at + 1])


def _addresses(vpns: np.ndarray) -> np.ndarray:
    return vpns.astype(np.uint64) << np.uint64(PAGE_SHIFT)


def _anonymous_pages(state: State, mm: int) -> np.ndarray:
    """Return the page numbers, ascending, whose pte holds an anonymous page or names a swap slot."""
    vpns, ptes = ptes_of(state, mm)
    page = np.where(ptes & PTE_PRESENT != 0, ptes >> PTE_SHIFT, NULL)
    is_anonymous = state.page.array["pg_flags"][page] & PG_ANON_KIND != 0  # row NULL has no flags
    return vpns[is_anonymous | (ptes & PTE_SWAP != 0)]


def ptes_of(state: State, mm: int) -> tuple[np.ndarray, np.ndarray]:
    """Return page number and pte of every entry of the page table of an mm (a row), ascending."""
    m = state.mm[mm]
    vpns, entries = np.zeros(1, np.int64), np.full(1, m.pgd, np.int64)
    if m.pt_height == 0:
        return vpns[:0], entries[:0]
    for _ in range(m.pt_height):
        below = state.pt.array[entries[:, None] * PT_STRIDE + np.arange(PT_ENTRIES)]
        block, slot = np.nonzero(below)
        vpns, entries = (vpns[block] << PT_BITS) | slot, below[block, slot]
    return vpns, entries


def pte_of(state: State, mm: int, vpn: int) -> int:
    """Return the entry of the page table of an mm (a row) at a page number, 0 if there is none."""
    m = state.mm[mm]
    height, entry = int(m.pt_height), int(m.pgd)
    if vpn >> (PT_BITS * height):
        return 0
    for level in reversed(range(height)):
        if entry == 0:
            return 0
        slot = (vpn >> (PT_BITS * level)) & (PT_ENTRIES - 1)
        entry = int(state.pt.array[entry * PT_STRIDE + slot])
    return entry if height else 0
