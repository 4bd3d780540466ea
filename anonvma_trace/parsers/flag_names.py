"""Names of flags as data: what strace and perf trace print instead of numbers.

strace prints ``PROT_READ|PROT_WRITE``, or with ``-X`` ``0x3`` or ``0x3 /* PROT_READ|PROT_WRITE */``; perf trace
prints ``READ|WRITE``, and what it has no name for as a number. All of that has the same value.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(rb" ?/\*.*?\*/")
_HUGE_SHIFT = re.compile(rb"(\d+)<<(?:MAP_)?HUGE_SHIFT\Z")
_NUMBER = re.compile(rb"(?:0x[0-9a-fA-F]+|\d+)\Z")
_NAME = re.compile(rb"[A-Z][A-Z0-9_]*\Z")
_LARGEST = (1 << 64) - 1
_TEXTS_KEPT = 4096  # different texts whose value is remembered: real traces hold a few dozen
_MAP_HUGE_SHIFT = 26


class FlagNames:
    """The flags that one argument of a system call takes.

    Parameters
    ----------
    prefix : bytes
        What all names begin with, in full; perf trace leaves it out.
    values : dict of bytes to int
        Names without their prefix.
    passed_over : bytes, optional
        Names that begin so are no flags of interest: they count as 0.
    stands_for_unknown : int, optional
        Value of a name that is not in `values`.

    Attributes
    ----------
    unknown : dict of bytes to tuple of str
        Texts met so far that hold names which are not in `values`, and those names.
    """

    def __init__(
        self,
        prefix: bytes,
        values: dict[bytes, int],
        *,
        passed_over: bytes = b"",
        stands_for_unknown: int = 0,
    ) -> None:
        self.unknown: dict[bytes, tuple[str, ...]] = {}
        self._prefix = prefix
        self._values = values
        self._passed_over = passed_over
        self._stands_for_unknown = stands_for_unknown
        self._known: dict[bytes, int] = {}

    def value(self, text: bytes) -> int:
        """Return the number that `text` stands for.

        Raises
        ------
        ValueError
            It is neither a number nor names joined by ``|``.
        """
        value = self._known.get(text)
        if value is None:
            value, unknown = self._evaluate(text)
            if len(self._known) < _TEXTS_KEPT:
                self._known[text] = value
                if unknown:
                    self.unknown[text] = unknown
        return value

    def _evaluate(self, text: bytes) -> tuple[int, tuple[str, ...]]:
        value, unknown = 0, []
        for word in _COMMENT.sub(b"", text).split(b"|"):
            bits = self._evaluate_word(word)
            if bits is None:
                unknown.append(word.decode())
                bits = self._stands_for_unknown
            value |= bits
        if value > _LARGEST:
            raise ValueError(text)
        return value, tuple(unknown)

    def _evaluate_word(self, word: bytes) -> int | None:
        if _NUMBER.match(word):
            return int(word, 16 if word.startswith(b"0x") else 10)
        if not _NAME.match(word):
            shift = _HUGE_SHIFT.match(word)
            if shift is None:
                raise ValueError(word)
            return int(shift[1]) << _MAP_HUGE_SHIFT
        if self._passed_over and word.startswith(self._passed_over):
            return 0
        return self._values.get(word.removeprefix(self._prefix))


PROT = FlagNames(
    b"PROT_",
    {
        b"NONE": 0,
        b"READ": 1,
        b"WRITE": 2,
        b"EXEC": 4,
        b"SEM": 8,
        b"GROWSDOWN": 0x01000000,
        b"GROWSUP": 0x02000000,
    },
)

MAP = FlagNames(
    b"MAP_",
    {
        b"FILE": 0,
        b"SHARED": 0x01,
        b"PRIVATE": 0x02,
        b"SHARED_VALIDATE": 0x03,
        b"DROPPABLE": 0x08,
        b"FIXED": 0x10,
        b"ANONYMOUS": 0x20,
        b"ANON": 0x20,
        b"32BIT": 0x40,
        b"ABOVE4G": 0x80,
        b"GROWSDOWN": 0x0100,
        b"DENYWRITE": 0x0800,
        b"EXECUTABLE": 0x1000,
        b"LOCKED": 0x2000,
        b"NORESERVE": 0x4000,
        b"POPULATE": 0x8000,
        b"NONBLOCK": 0x10000,
        b"STACK": 0x20000,
        b"HUGETLB": 0x40000,
        b"SYNC": 0x80000,
        b"FIXED_NOREPLACE": 0x100000,
        b"UNINITIALIZED": 0x4000000,
        b"HUGE_2MB": 21 << _MAP_HUGE_SHIFT,
        b"HUGE_1GB": 30 << _MAP_HUGE_SHIFT,
    },
)

MREMAP = FlagNames(b"MREMAP_", {b"MAYMOVE": 1, b"FIXED": 2, b"DONTUNMAP": 4})

MADVISE = FlagNames(
    b"MADV_",
    {
        b"NORMAL": 0,
        b"RANDOM": 1,
        b"SEQUENTIAL": 2,
        b"WILLNEED": 3,
        b"DONTNEED": 4,
        b"FREE": 8,
        b"REMOVE": 9,
        b"DONTFORK": 10,
        b"DOFORK": 11,
        b"MERGEABLE": 12,
        b"UNMERGEABLE": 13,
        b"HUGEPAGE": 14,
        b"NOHUGEPAGE": 15,
        b"DONTDUMP": 16,
        b"DODUMP": 17,
        b"WIPEONFORK": 18,
        b"KEEPONFORK": 19,
        b"COLD": 20,
        b"PAGEOUT": 21,
        b"POPULATE_READ": 22,
        b"POPULATE_WRITE": 23,
        b"DONTNEED_LOCKED": 24,
        b"COLLAPSE": 25,
        b"HWPOISON": 100,
        b"SOFT_OFFLINE": 101,
        b"GUARD_INSTALL": 102,
        b"GUARD_REMOVE": 103,
    },
    stands_for_unknown=0xFFFFFFFF,  # no advice at all: it changes nothing
)

CLONE = FlagNames(
    b"CLONE_",
    {
        b"NEWTIME": 0x80,
        b"VM": 0x100,
        b"FS": 0x200,
        b"FILES": 0x400,
        b"SIGHAND": 0x800,
        b"PIDFD": 0x1000,
        b"PTRACE": 0x2000,
        b"VFORK": 0x4000,
        b"PARENT": 0x8000,
        b"THREAD": 0x10000,
        b"NEWNS": 0x20000,
        b"SYSVSEM": 0x40000,
        b"SETTLS": 0x80000,
        b"PARENT_SETTID": 0x100000,
        b"CHILD_CLEARTID": 0x200000,
        b"DETACHED": 0x400000,
        b"UNTRACED": 0x800000,
        b"CHILD_SETTID": 0x1000000,
        b"NEWCGROUP": 0x2000000,
        b"NEWUTS": 0x4000000,
        b"NEWIPC": 0x8000000,
        b"NEWUSER": 0x10000000,
        b"NEWPID": 0x20000000,
        b"NEWNET": 0x40000000,
        b"IO": 0x80000000,
        b"CLEAR_SIGHAND": 0x100000000,
        b"INTO_CGROUP": 0x200000000,
    },
    passed_over=b"SIG",  # the signal at exit, in the lowest byte
)

SHM = FlagNames(
    b"SHM_",
    {b"RDONLY": 0o10000, b"RND": 0o20000, b"REMAP": 0o40000, b"EXEC": 0o100000, b"HUGETLB": 0o4000},
)
