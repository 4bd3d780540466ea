"""How ranges, flags, vmas and pages are put into words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import PAGE_SHIFT, PAGE_SIZE
from ..replay.layout import VM_EXEC, VM_READ, VM_WRITE
from ..replay.results import render_vm_flags
from ..reports.numbers import counted

_LETTERS = ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))
_ACCESS = VM_READ | VM_WRITE | VM_EXEC


def access(prot: int | None) -> str:
    """Return an access as ``/proc/PID/maps`` writes it: ``rw-``. PROT_* and VM_* have the same bits."""
    return "".join(letter if (prot or 0) & bit else "-" for bit, letter in _LETTERS)


def flags_text(vm_flags: int) -> str:
    """Return all flags of a vma: ``rw- ACCOUNT``."""
    return f"{access(vm_flags & _ACCESS)} {render_vm_flags(vm_flags & ~_ACCESS)}".rstrip()


def byte_range(start: int, end: int) -> str:
    """Return a range of bytes with its size: ``0xa000-0xd000 (3 pages)``."""
    return f"{start:#x}-{end:#x} ({counted(-(-(end - start) // PAGE_SIZE), 'page')})"


def page_range(start: int, end: int) -> str:
    """Return a range of page numbers as bytes: ``0xa000-0xd000``."""
    return f"{start << PAGE_SHIFT:#x}-{end << PAGE_SHIFT:#x}"


def backing(file: str | None) -> str:
    """Return what is behind a mapping."""
    return "anonymous" if file is None else f"file {file}"


def anon_vma_text(anon_vma: int | None) -> str:
    """Return ``anon_vma 3`` or ``no anon_vma``."""
    return f"anon_vma {anon_vma}" if anon_vma else "no anon_vma"


def step_vma(vma: Mapping[str, Any]) -> str:
    """Return a vma of a `Step` in words."""
    return f"vma {vma['vma']} ({page_range(vma['start'], vma['end'])}, {properties(vma)})"


def properties(what: Mapping[str, Any]) -> str:
    """Return flags, file, page offset and anon_vma of a vma of a `Step`."""
    return (
        f"{flags_text(what['flags'])}, {backing(what['file'])}, page offset {what['pgoff']:#x}, "
        f"{anon_vma_text(what['anon_vma'])}"
    )


def table_vma(row: Mapping[str, Any]) -> str:
    """Return a row of `Standing.vmas` in words."""
    flags = f"{access(row['prot'])} {row['flags'] or ''}".rstrip()
    return (
        f"vma {row['vma']}  {row['start']:#x}-{row['end']:#x}  {flags}  {backing(row['file'])}, "
        f"page offset {row['pgoff']:#x}, {anon_vma_text(row['anon_vma'])}"
    )


def pte_text(pte: Mapping[str, Any] | None) -> str:
    """Return what a row of `Standing.pages` says, None for no pte."""
    if pte is None:
        return "nothing is mapped"
    match pte["kind"]:
        case "zero":
            return "the zero page, which every first read of anonymous memory shares"
        case "swapped":
            return f"swapped out: the pte names swap slot {pte['page']}"
        case "file":
            return f"page {pte['index']:#x} of the file, mapped {_times(pte['mapcount'])}, {_bits(pte)}"
        case _:
            of = anon_vma_text(pte["anon_vma"])
            return (
                f"anonymous page {pte['page']}, mapped {_times(pte['mapcount'])}, {_bits(pte)}; it points to {of}, "
                f"index {pte['index']:#x}"
            )


def _times(mapcount: int) -> str:
    return "once" if mapcount == 1 else f"{mapcount:,} times"


def _bits(pte: Mapping[str, Any]) -> str:
    return "writable here" if pte["writable"] else "write-protected here"
