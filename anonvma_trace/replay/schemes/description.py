"""What the shared code must know of a scheme beside its functions: tables, fields of its own, names of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Pool(NamedTuple):
    """A table of rows that are reused through a free list.

    The scheme's record `glob` gets ``NAME_top``, ``NAME_cap``, ``NAME_free``, ``NAME_n_free`` and ``NAME_need`` for it.
    """

    dtype: np.dtype
    rows: int = 1 << 12  # to begin with


@dataclass(frozen=True)
class Scheme:
    """A scheme as `state`, `results` and the checks see it; each module of a scheme has one as ``SCHEME``.

    Attributes
    ----------
    tables : type
        A NamedTuple class of `Table`, a field for each of `pools`: the class of `State.rmap`.
    pools : mapping of str to Pool
    hashes : tuple of str
        Pools whose rows are found by a hash as well: one word for each bucket in `ints`. `glob` gets ``NAME_base``
        (of the buckets), ``NAME_mask`` and ``n_NAMEs``, the number of entries, which the scheme keeps up to date.
    glob_fields, vma_fields, mm_fields, page_fields : tuple of str
        Fields of its own, int64 (of pages int32), in `glob`, `vma`, `mm`, `page`. A field of `glob` called as an option
        gets its value.
    heads : str
        Pool with the fields of `HEAD_FIELDS`, whose live rows (id not 0) end up in the table `anon_vmas`; or ''.
    members : str
        Pool with the fields of `MEMBER_FIELDS`, whose live rows (anon_vma not NULL) end up in `members`; or ''.
    extra : tuple of str
        Fields of `glob` that go into ``summary["extra"]``.
    layout_rule : str
        A rule under which lists and mappings mean nothing; or ''.
    follows_pgoff : bool
        Whether ``vm_pgoff`` of an anonymous vma means something (it is compared before merging).
    families_add_up : bool
        Whether every figure of a trace is the sum of those of its process families, or a peak that the shared code
        follows, so that families can be replayed apart.
    counts_locks : bool
        Whether the locks that the shared code counts are those of this scheme.
    list_members : callable, optional
        Returns, of a `State`, the vmas on the lists as they are walked: ndarrays of int64, equally long, of the rows of
        list heads, the rows of vmas, and positions from 1.
    sizes_i386 : bool
        Whether its objects have sizes on i386 too.
    """

    tables: type
    pools: Mapping[str, Pool] = field(default_factory=dict)
    hashes: tuple[str, ...] = ()
    glob_fields: tuple[str, ...] = ()
    vma_fields: tuple[str, ...] = ()
    mm_fields: tuple[str, ...] = ()
    page_fields: tuple[str, ...] = ()
    heads: str = ""
    members: str = ""
    extra: tuple[str, ...] = ()
    layout_rule: str = ""
    follows_pgoff: bool = True
    families_add_up: bool = False
    counts_locks: bool = False
    list_members: Callable[[Any], tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None
    sizes_i386: bool = True

    def marks(self) -> tuple[str, ...]:
        """Return all fields that `glob` gets for this scheme."""
        pools = (f"{pool}_{what}" for pool in self.pools for what in ("top", "cap", "free", "n_free", "need"))
        hashes = (name for pool in self.hashes for name in (f"{pool}_base", f"{pool}_mask", f"n_{pool}s"))
        return (*self.glob_fields, *pools, *hashes)


HEAD_FIELDS = (
    *("id", "allocated_event", "allocated_ts", "allocated_by", "proc"),
    *("peak_vmas", "peak_pages", "pages_ever", "walks", "vmas_visited"),
)
MEMBER_FIELDS = ("anon_vma", "proc", "vmas_peak", "pages_peak")
