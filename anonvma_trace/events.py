"""The event table as code: its Arrow schema, its operations and the bits its columns carry.

Every parser yields record batches of `EVENT_SCHEMA`; the replay consumes them in row order and numbers
the rows from 1. Addresses and lengths are bytes; a page is `PAGE_SIZE` bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from .arrow_arrays import array_of, strings

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
SCHEMA_VERSION = 1
METADATA_PREFIX = "anonvma_trace."

_NAME = pa.dictionary(pa.int32(), pa.string())

EVENT_SCHEMA = pa.schema(
    [
        pa.field("ts", pa.int64(), nullable=False),  # nanoseconds on the trace's own clock
        pa.field("cpu", pa.int16()),
        pa.field("pid", pa.int32(), nullable=False),  # thread group whose mm is acted on
        pa.field("tid", pa.int32()),
        pa.field("comm", _NAME),
        pa.field("op", _NAME, nullable=False),
        pa.field("addr", pa.uint64()),
        pa.field("len", pa.uint64()),
        pa.field("prot", pa.uint8()),
        pa.field("flags", pa.uint32()),
        pa.field("pgoff", pa.uint64()),  # pages
        pa.field("file", _NAME),
        pa.field("new_addr", pa.uint64()),
        pa.field("new_len", pa.uint64()),
        pa.field("child", pa.int32()),
        pa.field("frame", pa.uint64()),
        pa.field("line", pa.int64()),
    ]
)
"""Columns of the event table; ``interfaces`` page of the docs, section "event table"."""

OPS: tuple[str, ...] = (
    "vma",
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "brk",
    "madvise",
    "mlock",
    "munlock",
    "fork",
    "exec",
    "exit",
    "read_fault",
    "write_fault",
    "touch",
    "reclaim",
    "referenced",
    "try_unmap",
    "swap_out",
    "scan",
    "mark",
    "lost",
)
"""All operations of the event table, in the order of their codes (0, 1, …)."""

# Bits of `prot` (asm-generic/mman-common.h).
PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4

# Bits of `flags` of mmap (asm-generic/mman-common.h, asm-generic/mman.h).
MAP_SHARED, MAP_PRIVATE, MAP_TYPE = 0x01, 0x02, 0x0F
MAP_FIXED, MAP_ANONYMOUS, MAP_GROWSDOWN = 0x10, 0x20, 0x0100
MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_STACK = 0x2000, 0x4000, 0x8000, 0x20000

MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4

MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED = 0, 1, 2, 3, 4
MADV_DONTFORK, MADV_DOFORK = 10, 11

CLONE_VM, CLONE_VFORK, CLONE_THREAD = 0x100, 0x4000, 0x10000


@dataclass(frozen=True)
class TraceMetadata:
    """What decides the result of a replay beside the rows.

    Attributes
    ----------
    format : str
        Name of the format the events were first read from (kept through conversions).
    source : str
        Where they were read from.
    complete : bool
        Every process starts from a known image. If not, faults of unknown processes outside every
        known vma make the replay invent one.
    known_pids : tuple of int
        Processes whose image is known although `complete` is False.
    brk_flags : str
        ``"rw"`` (programs of today) or ``"rwx"`` (the era of the patch): the flags of a new heap vma.
    lost_events, unreadable_lines : int
        What the recorder dropped and what the parser could not read. Final when the stream is exhausted.
    """

    format: str = ""
    source: str = ""
    complete: bool = True
    known_pids: tuple[int, ...] = field(default=())
    brk_flags: str = "rwx"
    lost_events: int = 0
    unreadable_lines: int = 0

    def to_strings(self) -> dict[str, str]:
        """Return the metadata as the ``anonvma_trace.*`` keys of an Arrow schema or a ``.meta.json`` file."""
        return {
            METADATA_PREFIX + "schema": str(SCHEMA_VERSION),
            METADATA_PREFIX + "format": self.format,
            METADATA_PREFIX + "source": self.source,
            METADATA_PREFIX + "complete": "1" if self.complete else "0",
            METADATA_PREFIX + "known_pids": ",".join(str(pid) for pid in self.known_pids),
            METADATA_PREFIX + "brk_flags": self.brk_flags,
            METADATA_PREFIX + "lost_events": str(self.lost_events),
            METADATA_PREFIX + "unreadable_lines": str(self.unreadable_lines),
        }

    @classmethod
    def from_strings(cls, strings: dict[str, str]) -> TraceMetadata:
        """Read what `to_strings` wrote; a missing key keeps its default.

        Raises
        ------
        ValueError
            A value is not what its key promises; the message names key, value and what was expected.
        """

        def get(key: str, default: str) -> str:
            return strings.get(METADATA_PREFIX + key, default)

        def number(key: str) -> int:
            text = get(key, "0")
            if not text.isdecimal():
                raise ValueError(f"expected a number in {METADATA_PREFIX}{key}, found {text!r}")
            return int(text)

        if number("schema") > SCHEMA_VERSION:
            raise ValueError(
                f"expected {METADATA_PREFIX}schema up to {SCHEMA_VERSION}, found {get('schema', '')!r}"
            )
        brk_flags = get("brk_flags", "rwx")
        if brk_flags not in ("rw", "rwx"):
            raise ValueError(f"expected 'rw' or 'rwx' in {METADATA_PREFIX}brk_flags, found {brk_flags!r}")
        complete = get("complete", "1")
        if complete not in ("0", "1"):
            raise ValueError(f"expected '0' or '1' in {METADATA_PREFIX}complete, found {complete!r}")
        try:
            known = tuple(int(pid) for pid in get("known_pids", "").split(",") if pid)
        except ValueError:
            raise ValueError(
                f"expected pids separated by commas in {METADATA_PREFIX}known_pids, "
                f"found {get('known_pids', '')!r}"
            ) from None
        return cls(
            format=get("format", ""),
            source=get("source", ""),
            complete=complete == "1",
            known_pids=known,
            brk_flags=brk_flags,
            lost_events=number("lost_events"),
            unreadable_lines=number("unreadable_lines"),
        )

    def with_changes(self, **changes: Any) -> TraceMetadata:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)


def schema_with_metadata(metadata: TraceMetadata) -> pa.Schema:
    """Return `EVENT_SCHEMA` carrying `metadata`."""
    return EVENT_SCHEMA.with_metadata(metadata.to_strings())


def batch_from_columns(columns: dict[str, Any], n_rows: int) -> pa.RecordBatch:
    """Build a batch of `EVENT_SCHEMA` from whatever columns an event source has.

    Parameters
    ----------
    columns : dict of str to array-like
        Any subset of the schema's columns: NumPy arrays, Arrow arrays or lists; the others become null.
    n_rows : int
        Rows of the batch.

    Raises
    ------
    KeyError
        A column that the event table does not have.
    """
    unknown = set(columns) - set(EVENT_SCHEMA.names)
    if unknown:
        raise KeyError(f"no such event column: {', '.join(sorted(unknown))}")
    arrays = []
    for column in EVENT_SCHEMA:
        values = columns.get(column.name)
        if values is None:
            arrays.append(pa.nulls(n_rows, column.type))
        elif isinstance(values, pa.Array | pa.ChunkedArray):
            array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            arrays.append(array if array.type == column.type else array.cast(column.type))
        elif pa.types.is_dictionary(column.type):
            arrays.append(strings(values).dictionary_encode())
        else:
            arrays.append(array_of(values, column.type))
    return pa.RecordBatch.from_arrays(arrays, schema=EVENT_SCHEMA)
