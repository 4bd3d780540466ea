"""What every reverse-mapping scheme offers, and how the core reaches the scheme of a replay.

The core is written once and calls the functions below. numba specialises it by the type of its arguments, so
the type of `State.rmap` (a NamedTuple of the scheme's own tables) chooses the functions at compile time:
one specialised core for each scheme, compiled when that scheme is first used, without a test at run time.
``docs/decisions/0002-binding-schemes.md`` tells what was measured.

A scheme is a module with one function for each name here (same parameters) and a class for its tables, made
known by `register_scheme`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from numba.extending import overload

from ..bundle import BundleType
from ..compiled import LINKED_OPTIONS

_modules: dict[type, ModuleType] = {}
_check_modules: dict[type, ModuleType] = {}


def register_scheme(tables: type, module: ModuleType) -> None:
    """Make a scheme known: `tables` is the class of its `State.rmap`."""
    _modules[tables] = module


def register_checks(tables: type, module: ModuleType) -> None:
    """Make the checks of a scheme known: a module of its own, imported only where replays are checked."""
    _check_modules[tables] = module


def _bind(name: str, purpose: str, modules: dict[type, ModuleType] = _modules) -> Callable[..., Any]:
    """Return a function that stands for ``name`` of whichever scheme the state belongs to."""

    def interpreted(s: Any, *arguments: Any) -> Any:  # under NUMBA_DISABLE_JIT
        return getattr(modules[type(s.rmap)], name)(s, *arguments)

    interpreted.__name__ = interpreted.__qualname__ = name
    interpreted.__doc__ = purpose

    @overload(interpreted, jit_options=cast(Any, LINKED_OPTIONS), strict=False)
    def specialise(s, *arguments):
        if not isinstance(s, BundleType):
            return None
        tables, _ = s.fields["rmap"]
        return getattr(modules[tables.instance_class], name)

    return interpreted


anon_vma_prepare = _bind("anon_vma_prepare", "(s, vma): before a new anonymous page comes into `vma`.")
anon_vma_fork = _bind("anon_vma_fork", "(s, vma, parent): `vma` is the child's copy of `parent`.")
anon_vma_link = _bind("anon_vma_link", "(s, vma): `vma` is a split part or a moved copy of another vma.")
anon_vma_merge = _bind("anon_vma_merge", "(s, vma, next): `next` disappears into `vma`.")
anon_vma_shift = _bind("anon_vma_shift", "(s, importer, exporter): their common boundary is about to move.")
anon_vma_moved = _bind(
    "anon_vma_moved",
    "(s, vma, anon_vma): pages of `anon_vma` (NULL: of none) are about to move into `vma`.",
)
anon_vma_unlink = _bind("anon_vma_unlink", "(s, vma): `vma` is about to be freed.")
anon_vmas_compatible = _bind(
    "anon_vmas_compatible", "(s, a, b): whether vmas with these anon_vmas may become one."
)
merge_side = _bind(
    "merge_side",
    "(s, vma, flags, file, anon_vma, pgoff_fits): whether `vma` may grow over a range of these properties: SIDE_*.",
)
anon_rmap_bug = _bind(
    "anon_rmap_bug",
    "(s, page, vma, vpn): what page_add_anon_rmap would trip over, BUG_*; `page` may be NULL (new).",
)
page_add_anon_rmap = _bind("page_add_anon_rmap", "(s, page, vma, vpn): `page` is mapped there.")
page_dup_rmap = _bind("page_dup_rmap", "(s, page, vma): fork maps `page` into the child's `vma` too.")
page_remove_rmap = _bind("page_remove_rmap", "(s, page, vma): one pte of `page`, in `vma`, is gone.")
page_reused = _bind("page_reused", "(s, page, vma): do_wp_page found `page` exclusive and keeps it.")
page_referenced = _bind(
    "page_referenced",
    "(s, page): walk, counting and clearing young bits; returns how many references were found.",
)
try_to_unmap = _bind(
    "try_to_unmap", "(s, page, slot, force): walk, turning ptes into swap entries; returns WALK_*."
)
page_reachable = _bind(
    "page_reachable", "(s, page, vma, vpn): whether a walk finds this pte: 0 no, 1 yes, -1 the page dangles."
)
settle_peaks = _bind("settle_peaks", "(s): the event is over; bring peaks and overhead up to date.")

# Checks, by the module that `register_checks` named; `c` is the census.
validate_rmap_tops = _bind(
    "validate_rmap_tops",
    "(s, c): whether the scheme's pools are sound; clears the scheme's part of the census.",
    _check_modules,
)
validate_rmap_lists = _bind(
    "validate_rmap_lists", "(s, c): note what is wrong with lists, once vmas are checked.", _check_modules
)
validate_anon_pte = _bind(
    "validate_anon_pte",
    "(s, c, vma, vpn, page): note what is wrong with this pte; `page` NULL: a swap entry.",
    _check_modules,
)
validate_rmap_figures = _bind(
    "validate_rmap_figures",
    "(s, c): note what is wrong with mappings and counts, once ptes are checked.",
    _check_modules,
)
