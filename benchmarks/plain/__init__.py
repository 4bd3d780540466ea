"""The replay of the fault-heavy load in plain Python objects: an opponent for the core, no second replay.

It is what a Python programmer would write for speed: objects with `__slots__`, a dict of pages and sets of
addresses for each page table, the vmas of a process in a sorted list, faults handled inside the event loop.
It does what the scheme `anon_vma` does for the operations of `tests.replay.generated.fault_heavy` (`mmap`
of private anonymous memory, `munmap`, `mprotect`, `fork`, `exit`, `write_fault`, `referenced`), keeps the
same figures, and collects the rows of the same result tables. Any other operation, or a kind of mapping
that the load does not have, raises `NotInTheLoad`: nothing is done by halves.

It makes use of what follows from these operations. Only written anonymous pages are ever mapped (no zero
page, file page or swap entry), so every pte is dirty. Nothing is swapped, so a page that no pte maps is
gone. A process and its mm are one. A copy always leaves the page that it copied to another pte. Of the
core's work it leaves out the counts of locks, findings and diagnostics, and the making of columns from
rows.
"""

from .columns import Columns, columns_of
from .replay import PlainReplay
from .state import NotInTheLoad

__all__ = ["Columns", "NotInTheLoad", "PlainReplay", "columns_of"]
