"""What the rows of the event table say, for the core: codes of operations, and pages of byte addresses."""

from __future__ import annotations

from ..events import OPS, PAGE_SHIFT
from .compiled import kernel

(
    OP_VMA,
    OP_MMAP,
    OP_MUNMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_BRK,
    OP_MADVISE,
    OP_MLOCK,
    OP_MUNLOCK,
    OP_FORK,
    OP_EXEC,
    OP_EXIT,
    OP_READ_FAULT,
    OP_WRITE_FAULT,
    OP_TOUCH,
    OP_RECLAIM,
    OP_REFERENCED,
    OP_TRY_UNMAP,
    OP_SWAP_OUT,
    OP_SCAN,
    OP_MARK,
    OP_LOST,
) = range(len(OPS))

PAGE_ROUND = (1 << PAGE_SHIFT) - 1
VPN_MASK = (1 << 52) - 1
VPN_END = 1 << 52  # one past the last page of the address space
NOT_GIVEN = -1  # a null in a column that tells it from every value


@kernel
def page_below(address):
    """Return the page that holds a byte address (a uint64 seen as int64)."""
    return (address >> PAGE_SHIFT) & VPN_MASK


@kernel
def page_end(address, length):
    """Return one past the last page of [address, address + length), at most the end of the address space."""
    if length == 0:
        return page_below(address)
    offset = address & PAGE_ROUND
    pages = ((length >> PAGE_SHIFT) & VPN_MASK) + (
        ((length & PAGE_ROUND) + offset + PAGE_ROUND) >> PAGE_SHIFT
    )
    return min(page_below(address) + pages, VPN_END)
