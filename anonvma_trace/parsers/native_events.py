"""The kernel's tracepoints and system calls as data: their fields, and the row that each becomes.

A new tracepoint is a new entry here. The formats that print the same events (ftrace, trace-cmd, perf) share
these entries and the arrays that `native_tables` builds of them for the line scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np

MAX_ARGS = 6
"""Numbers kept of one event; no system call has more arguments."""

PID_MAX_LIMIT = 4 * 1024 * 1024
"""Highest tid (include/linux/threads.h): the tables of the stages behind are as large as the tids."""


class Form(IntEnum):
    """How a field's value is written."""

    HEX = 1  # 0x1f, or 1f where the kernel prints arguments without 0x
    DECIMAL = 2  # 31, -1, 4096B, or 0x1f (pfn since 5.16; options/fields)
    BARE_HEX = 3  # 1200000 means 0x1200000
    ADDRESS = 4  # 0x7f…, or the symbol of a kernel address (read as -1)
    FLAG = 5  # true or false
    WORDS = (
        6  # GFP_KERNEL|__GFP_ZERO: the bits of those words that `WORD_BITS` names, whatever the others are
    )
    TEXT = 7  # anything up to the next field: kept as the event's text
    SKIPPED_TEXT = 8  # anything up to the next field: only needed to find where the next one begins


class Family(IntEnum):
    """What a line means to the stages behind the scanner."""

    UNUSED = 0  # known by name, makes no row
    FAULT_USER = 1
    FAULT_KERNEL = 2
    ENTER = 3
    EXIT = 4
    NEWTASK = 5
    FORK = 6
    EXEC = 7
    TASK_EXIT = 8
    RENAME = 9
    MARK = 10
    LOST = 11
    IMAGE = 12  # a snapshot of an address space that the recording itself holds
    # What `page_join` and `reclaim_rows` read; they are no acts of their thread.
    PAGE_ALLOC = 13
    PAGE_FREE = 14
    RSS_STAT = 15
    PAGE_WRITE = 16
    SCAN = 17


PAGE_FAMILIES = (Family.PAGE_ALLOC, Family.PAGE_FREE, Family.RSS_STAT, Family.PAGE_WRITE, Family.SCAN)
"""Events about pages: they tell nothing of tasks, and may be logged by threads outside the recording."""

WORD_BITS: dict[str, int] = {
    word: 1 << number
    for number, word in enumerate(
        (
            "GFP_HIGHUSER_MOVABLE",
            "__GFP_WRITE",
            "__GFP_NORETRY",
            "MM_SWAPENTS",
            "RECLAIM_WB_ANON",
            "inactive_anon",
        )
    )
}
"""Words in the values of fields that mean something here -> their bit."""


@dataclass(frozen=True)
class Field:
    """One field of an event.

    Attributes
    ----------
    name : str
        As printed; `aliases` are what other kernels or trace options print.
    form : Form
        How its value is written.
    required : bool
        A line without it cannot be used.
    """

    name: str
    form: Form
    required: bool = True
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracepoint:
    """A tracepoint that prints ``name: field=value field=value``; fields in the order printed."""

    name: str
    family: Family
    fields: tuple[Field, ...] = ()


RETURNED = "return value"
"""Stands, in `Row`, for what the system call returned."""


@dataclass(frozen=True)
class Row:
    """The event row that a successful system call becomes.

    Attributes
    ----------
    op : str
        Operation of the event table.
    columns : dict of str to str
        Column of the event table -> argument of the call, or `RETURNED`.
    """

    op: str
    columns: dict[str, str]


@dataclass(frozen=True)
class Syscall:
    """A system call: the arguments needed of it, and its row (None: it makes none by itself)."""

    name: str
    arguments: tuple[str, ...] = ()
    row: Row | None = None


TRACEPOINTS: tuple[Tracepoint, ...] = (
    Tracepoint(
        "page_fault_user", Family.FAULT_USER, (Field("address", Form.ADDRESS), Field("error_code", Form.HEX))
    ),
    Tracepoint(
        "page_fault_kernel",
        Family.FAULT_KERNEL,
        (Field("address", Form.ADDRESS), Field("error_code", Form.HEX)),
    ),
    # Software events of perf: nothing tells read from write or user from kernel mode.
    *(
        Tracepoint(name, Family.FAULT_KERNEL, (Field("addr", Form.BARE_HEX),))
        for name in ("page-faults", "minor-faults", "major-faults")
    ),
    Tracepoint(
        "task_newtask",
        Family.NEWTASK,
        (
            Field("pid", Form.DECIMAL),
            Field("comm", Form.TEXT),
            Field("clone_flags", Form.BARE_HEX),
            Field("oom_score_adj", Form.SKIPPED_TEXT, required=False),
        ),
    ),
    Tracepoint(
        "sched_process_fork",
        Family.FORK,
        (
            Field("comm", Form.SKIPPED_TEXT, aliases=("parent_comm",)),
            Field("pid", Form.DECIMAL, aliases=("parent_pid",)),
            Field("child_comm", Form.TEXT),
            Field("child_pid", Form.DECIMAL),
        ),
    ),
    Tracepoint(
        "sched_process_exec",
        Family.EXEC,
        (
            Field("filename", Form.TEXT),
            Field("pid", Form.DECIMAL),
            Field("old_pid", Form.DECIMAL),
        ),
    ),
    Tracepoint(
        "sched_process_exit",
        Family.TASK_EXIT,
        (
            Field("comm", Form.SKIPPED_TEXT),
            Field("pid", Form.DECIMAL),
            Field("prio", Form.SKIPPED_TEXT, required=False),
            Field("group_dead", Form.FLAG, required=False),  # recent kernels only
        ),
    ),
    Tracepoint(
        "task_rename",
        Family.RENAME,
        (
            Field("pid", Form.DECIMAL, required=False),  # gone from recent kernels: the task column says it
            Field("oldcomm", Form.SKIPPED_TEXT),
            Field("newcomm", Form.TEXT),
            Field("oom_score_adj", Form.SKIPPED_TEXT, required=False),
        ),
    ),
    Tracepoint(
        "mm_page_alloc",
        Family.PAGE_ALLOC,
        (
            Field("pfn", Form.DECIMAL),
            Field("order", Form.DECIMAL),
            Field("migratetype", Form.DECIMAL),
            Field("gfp_flags", Form.WORDS),
        ),
    ),
    Tracepoint("mm_page_free", Family.PAGE_FREE, (Field("pfn", Form.DECIMAL), Field("order", Form.DECIMAL))),
    Tracepoint(
        "mm_page_free_batched",
        Family.PAGE_FREE,
        (Field("pfn", Form.DECIMAL), Field("order", Form.DECIMAL, required=False)),
    ),
    Tracepoint(
        "rss_stat",
        Family.RSS_STAT,
        (
            Field("mm_id", Form.DECIMAL),
            Field("curr", Form.DECIMAL),
            Field("size", Form.DECIMAL),
            Field("type", Form.WORDS, required=False),
            Field("member", Form.DECIMAL, required=False),  # until 5.15 the number of the type
        ),
    ),
    *(
        Tracepoint(name, Family.PAGE_WRITE, (Field("pfn", Form.DECIMAL), Field("flags", Form.WORDS)))
        for name in ("mm_vmscan_write_folio", "mm_vmscan_writepage")  # the second before 6.3 or so
    ),
    Tracepoint(
        "mm_vmscan_lru_isolate",
        Family.SCAN,
        (Field("nr_scanned", Form.DECIMAL), Field("lru", Form.WORDS, required=False)),
    ),
    Tracepoint(
        "mm_vmscan_lru_shrink_inactive",
        Family.SCAN,
        (Field("nr_scanned", Form.DECIMAL), Field("flags", Form.WORDS, required=False)),
    ),
    *(
        Tracepoint(name, Family.UNUSED)
        for name in (
            "mm_vmscan_lru_shrink_active",
            "mm_vmscan_memcg_reclaim_begin",
            "mm_vmscan_memcg_reclaim_end",
            "mm_vmscan_reclaim_pages",
            "exit_mmap",
            "vm_unmapped_area",
            "kmem_cache_alloc",
            "kmem_cache_free",
        )
    ),
)


def _unmaps(start: str, length: str) -> dict[str, str]:
    return {"addr": start, "len": length}


_MPROTECT = Row("mprotect", {"addr": "start", "len": "len", "prot": "prot"})

SYSCALLS: tuple[Syscall, ...] = (
    Syscall(
        "mmap",
        ("addr", "len", "prot", "flags", "fd", "off"),
        Row("mmap", {"addr": RETURNED, "len": "len", "prot": "prot", "flags": "flags"}),
    ),
    Syscall("munmap", ("addr", "len"), Row("munmap", _unmaps("addr", "len"))),
    Syscall("mprotect", ("start", "len", "prot"), _MPROTECT),
    Syscall("pkey_mprotect", ("start", "len", "prot"), _MPROTECT),
    Syscall(
        "mremap",
        ("addr", "old_len", "new_len", "flags"),
        Row(
            "mremap",
            {"addr": "addr", "len": "old_len", "new_len": "new_len", "flags": "flags", "new_addr": RETURNED},
        ),
    ),
    Syscall("brk", ("brk",), Row("brk", {"addr": RETURNED})),
    Syscall(
        "madvise",
        ("start", "len_in", "behavior"),
        Row("madvise", {"addr": "start", "len": "len_in", "flags": "behavior"}),
    ),
    Syscall("mlock", ("start", "len"), Row("mlock", _unmaps("start", "len"))),
    Syscall("mlock2", ("start", "len"), Row("mlock", _unmaps("start", "len"))),
    Syscall("munlock", ("start", "len"), Row("munlock", _unmaps("start", "len"))),
    # The length of these is not among the arguments: `native_rows` looks it up.
    Syscall("shmat", ("shmid", "shmflg"), Row("mmap", {"addr": RETURNED})),
    Syscall("shmdt", ("shmaddr",), Row("munmap", {"addr": "shmaddr"})),
    Syscall("shmget", ("size",)),
    # Its file is that of the mapping at its address: `shared_mappings` looks it up.
    Syscall("remap_file_pages", ("start", "size", "pgoff"), Row("mmap", {"addr": "start", "len": "size"})),
    Syscall("clone", ("clone_flags",)),
    Syscall("clone3"),
    Syscall("fork"),
    Syscall("vfork"),
    Syscall("execve"),
    Syscall("execveat"),
    Syscall("exit"),
    Syscall("exit_group"),
    Syscall("mlockall"),
    Syscall("munlockall"),
    Syscall("process_madvise"),
)

# What some kernels call an argument, beside its name above.
_ARGUMENT_ALIASES = {"len_in": ("len",), "clone_flags": ("flags",)}

# Values of the `kind` column below the known events.
KIND_OTHER = 0  # an event that `TRACEPOINTS` and `SYSCALLS` do not name
KIND_BLANK, KIND_HEADER, KIND_UNREADABLE, KIND_FRAME = -1, -2, -3, -4
KIND_LOST = 1
KIND_MARK = 2
KIND_RECORD = 3  # a line PERF_RECORD_… of perf, which its reader takes apart
KIND_IMAGE = 4  # slot 0: place in the reader's `images`

GROUP_DEAD, LEADER_LAST = 1, 2
"""Second number of a sched_process_exit: all threads of the process are gone; they are if this is the leader."""

MARK_EVENT = "tracing_mark_write"
"""Text that a user wrote to trace_marker; the snapshot tool writes ``snap n=… why=… pid=…`` there."""


class NativeTables(NamedTuple):
    """`TRACEPOINTS` and `SYSCALLS` as arrays for the scanner and the stages behind it.

    Kinds number the events: each tracepoint is one, each system call two (enter and exit).

    Attributes
    ----------
    names : list of str
        Name of each kind.
    family : ndarray of int64, shape (n_kinds,)
        `Family` of each kind.
    syscall : ndarray of int64, shape (n_kinds,)
        Index into `SYSCALLS`; -1 for tracepoints.
    words : ndarray of int64, shape (n_words, 2)
        What an event's text may begin with (`hash_word` of it, the character after it included) and its kind,
        sorted by hash.
    fields : ndarray of int64, shape (n_kinds, n, 5)
        Fields of the events without text: length of the name, form, the slot of the number, and the name itself,
        its first and its second eight bytes as numbers; length 0 pads.
    layout : ndarray of int64, shape (n_kinds, n, 5)
        Fields of the events with text, in the order printed: where the name begins and ends in `text_name`,
        form, slot (-1 for text), required; form 0 pads.
    required : ndarray of int64, shape (n_kinds,)
        Bit mask of the slots that must be found; -1 for events that make no row, which need not be read.
    text_name : ndarray of uint8
        Names of the fields of events with text, one after another, each followed by ``=``.
    word_bits : ndarray of int64, shape (n, 2)
        `WORD_BITS`: hash of the word and its bit, sorted by hash.
    """

    names: list[str]
    family: np.ndarray
    syscall: np.ndarray
    words: np.ndarray
    fields: np.ndarray
    layout: np.ndarray
    required: np.ndarray
    text_name: np.ndarray
    word_bits: np.ndarray


HASH_FACTOR = 0x9E3779B97F4A7C15
HASH_MASK = (1 << 46) - 1


def hash_word(word: bytes) -> int:
    """Return the hash that the scanner computes of `word`, eight bytes at a time."""
    value = len(word)
    for begin in range(0, len(word), 8):
        value = (value ^ int.from_bytes(word[begin : begin + 8], "little")) * HASH_FACTOR % (1 << 64)
        value ^= value >> 32
    return value & HASH_MASK


_PADDING = 8  # more fields than any event has, aliases included
_LONGEST_NAME = 16  # bytes of the names of fields without text: two words


class _TableBuilder:
    """Collects the kinds; `build` turns them into `NativeTables`."""

    def __init__(self) -> None:
        self.names = ["", "lost", MARK_EVENT, "PERF_RECORD", "image"]
        self.family = [Family.UNUSED, Family.LOST, Family.MARK, Family.UNUSED, Family.IMAGE]
        self.syscall = [-1] * len(self.names)
        self.words: dict[int, int] = {hash_word(MARK_EVENT.encode() + b":"): KIND_MARK}
        self.fields: dict[int, list[tuple[bytes, Form, int]]] = {}
        self.required: dict[int, int] = {}
        self.text_name = b""
        self.layouts: dict[int, list[tuple[int, int, Form, int, bool]]] = {}

    def add_kind(self, name: str, family: Family, syscall: int, *words: bytes) -> int:
        kind = len(self.names)
        self.names.append(name)
        self.family.append(family)
        self.syscall.append(syscall)
        for word in words:
            assert hash_word(word) not in self.words, f"two events begin with the same hash: {word!r}"
            self.words[hash_word(word)] = kind
        return kind

    def add_fields(self, kind: int, fields: tuple[Field, ...]) -> None:
        """Fields in any order, none of them text."""
        self.required[kind] = sum(1 << slot for slot, field in enumerate(fields) if field.required)
        self.fields[kind] = [
            (name.encode(), field.form, slot)
            for slot, field in enumerate(fields)
            for name in (field.name, *field.aliases)
        ]

    def add_layout(self, kind: int, fields: tuple[Field, ...]) -> None:
        """Fields in the order printed; some are text, which may hold anything."""
        slot = 0
        rows = self.layouts.setdefault(kind, [])
        for field in fields:
            numeric = field.form < Form.TEXT
            for name in (field.name, *field.aliases):
                begin = len(self.text_name)
                self.text_name += name.encode() + b"="
                required = field.required and not field.aliases
                rows.append((begin, len(self.text_name), field.form, slot if numeric else -1, required))
            if numeric:
                self.required[kind] = self.required.get(kind, 0) | (1 << slot if field.required else 0)
                slot += 1

    def build(self) -> NativeTables:
        n_kinds = len(self.names)
        field_table = np.zeros((n_kinds, _PADDING, 5), dtype=np.int64)
        for kind, fields in self.fields.items():
            for position, (name, form, slot) in enumerate(fields):
                words = np.frombuffer(name.ljust(_LONGEST_NAME, b"\0"), dtype="<i8")
                field_table[kind, position] = len(name), form, slot, *words
        layout_table = np.zeros((n_kinds, _PADDING, 5), dtype=np.int64)
        for kind, layout in self.layouts.items():
            for position, row in enumerate(layout):
                layout_table[kind, position] = row
        return NativeTables(
            names=self.names,
            family=np.array(self.family, dtype=np.int64),
            syscall=np.array(self.syscall, dtype=np.int64),
            words=np.array(sorted(self.words.items()), dtype=np.int64),
            fields=field_table,
            layout=layout_table,
            required=np.array(
                [
                    -1 if family == Family.UNUSED else self.required.get(kind, 0)
                    for kind, family in enumerate(self.family)
                ],
                dtype=np.int64,
            ),
            text_name=np.frombuffer(self.text_name, dtype=np.uint8),
            word_bits=np.array(
                sorted((hash_word(word.encode()), bit) for word, bit in WORD_BITS.items()), dtype=np.int64
            ),
        )


@cache
def kind_of(name: str) -> int:
    """Return the kind of an event by its name in `NativeTables.names`: ``"sys_enter_mmap"``."""
    return native_tables().names.index(name)


@cache
def native_tables() -> NativeTables:
    """Return the tables of all known events."""
    builder = _TableBuilder()
    for tracepoint in TRACEPOINTS:
        kind = builder.add_kind(tracepoint.name, tracepoint.family, -1, tracepoint.name.encode() + b":")
        if any(field.form >= Form.TEXT for field in tracepoint.fields):
            builder.add_layout(kind, tracepoint.fields)
        else:
            builder.add_fields(kind, tracepoint.fields)
    for number, call in enumerate(SYSCALLS):
        name = call.name.encode()
        # ftrace text says "sys_mmap(" and "sys_mmap -> "; options/fields and other tools the longer names.
        enter = builder.add_kind(
            f"sys_enter_{call.name}", Family.ENTER, number, b"sys_" + name + b"(", b"sys_enter_" + name + b":"
        )
        builder.add_fields(
            enter,
            tuple(
                Field(argument, Form.HEX, aliases=_ARGUMENT_ALIASES.get(argument, ()))
                for argument in call.arguments
            ),
        )
        leave = builder.add_kind(
            f"sys_exit_{call.name}", Family.EXIT, number, b"sys_" + name + b" ", b"sys_exit_" + name + b":"
        )
        builder.add_fields(leave, (Field("ret", Form.HEX),))
    return builder.build()
