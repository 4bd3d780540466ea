"""What every reverse-mapping scheme offers, and how the core reaches the scheme of a replay.

The core is written once and calls the functions below. It is compiled for the types of its arguments, so
the type of `State.rmap` (a NamedTuple of the scheme's own tables) chooses the functions at compile time:
one specialised core for each scheme, compiled when that scheme is first used, without a test at run time.
``docs/decisions/0002-binding-schemes.md`` tells what was measured.

A scheme is a module with one function for each name here (same parameters; `defaults` has what most do alike) and a
`Scheme`, made known by `register_scheme`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from ..compiled import specialised
from . import defaults
from .description import Scheme

_modules: dict[type, ModuleType] = {}
_check_modules: dict[type, ModuleType] = {}


def register_scheme(scheme: Scheme, module: ModuleType) -> None:
    """Make a scheme known by the class of its `State.rmap`; `module` has its functions, and it as ``SCHEME``."""
    _modules[scheme.tables] = module


def register_checks(scheme: Scheme, module: ModuleType) -> None:
    """Make the checks of a scheme known: a module of its own, imported only where replays are checked."""
    _check_modules[scheme.tables] = module


def scheme_of(state: Any) -> Scheme:
    """Return the scheme of a state."""
    scheme: Scheme = _modules[type(state.rmap)].SCHEME
    return scheme


def checks_of(state: Any) -> ModuleType:
    """Return the module with the checks of a state's scheme: ``validate_NAME`` beside that of the scheme."""
    tables = type(state.rmap)
    if tables not in _check_modules:
        package, _, name = _modules[tables].__name__.rpartition(".")
        import_module(f"{package}.validate_{name}")  # registers itself
    return _check_modules[tables]


def bind(name: str, purpose: str, modules: dict[type, ModuleType] = _modules) -> Callable[..., Any]:
    """Return a function that stands for ``name`` of whichever scheme the state belongs to."""

    def interpreted(s: Any, *arguments: Any) -> Any:  # under NUMBA_DISABLE_JIT
        return function_of(type(s.rmap))(s, *arguments)

    def function_of(tables: type) -> Callable[..., Any]:
        module = modules[tables]
        return cast(Callable[..., Any], getattr(module if hasattr(module, name) else defaults, name))

    interpreted.__name__ = interpreted.__qualname__ = name
    interpreted.__doc__ = purpose

    specialised(interpreted, function_of)
    return interpreted


vma_init = bind("vma_init", "(s, vma): the row was taken for a new vma: set the scheme's own fields.")
head_id = bind("head_id", "(s, anon_vma): id of an anon_vma (a row), 0 for NULL.")
anon_vma_id = bind("anon_vma_id", "(s, vma): id of the vma's anon_vma, 0 if it has none.")
exec_rmap = bind("exec_rmap", "(s, mm): a new mm begins, empty.")
dup_rmap = bind("dup_rmap", "(s, mm, parent): a new mm begins, as a copy of `parent`; nothing is copied yet.")
exit_rmap = bind("exit_rmap", "(s, mm): the mm has neither vmas nor ptes any more, and goes.")
anon_vma_prepare = bind("anon_vma_prepare", "(s, vma): before a new anonymous page comes into `vma`.")
anon_vma_fork = bind("anon_vma_fork", "(s, vma, parent): `vma` is the child's copy of `parent`.")
anon_vma_link = bind(
    "anon_vma_link", "(s, vma, source): `vma` is a split part or a moved copy of `source`; it is in its mm."
)
anon_vma_merge = bind("anon_vma_merge", "(s, vma, next): `next` disappears into `vma`.")
anon_vma_shift = bind("anon_vma_shift", "(s, importer, exporter): their common boundary is about to move.")
anon_vma_resized = bind("anon_vma_resized", "(s, vma): its bounds have changed.")
anon_vma_moved = bind(
    "anon_vma_moved",
    "(s, vma, source, anon_vma): pages of `anon_vma` (NULL: of none) are about to move into `vma`. They come from "
    "`source`, which is gone if it was merged into `vma`; then `vma` has an anon_vma.",
)
anon_vma_left = bind(
    "anon_vma_left",
    "(s, vma, whole): a move left `vma` behind without ptes (MREMAP_DONTUNMAP); `whole`: all of it moved.",
)
anon_vma_unlink = bind("anon_vma_unlink", "(s, vma): `vma` is about to be freed.")
anon_vmas_compatible = bind(
    "anon_vmas_compatible", "(s, a, b): whether vmas with these anon_vmas may become one."
)
merge_side = bind(
    "merge_side",
    "(s, vma, flags, file, anon_vma, source, pgoff_fits): whether `vma` may grow over a range of these properties: "
    "SIDE_*. `source` is the vma that the range is part of or copied from, NULL if there is none.",
)
special_flags = bind("special_flags", "(s): flags that keep a range from merging at all.")
mmap_vm_flags = bind("mmap_vm_flags", "(s, prot, map_flags): flags of a new mapping.")
shared_anonymous_pgoff = bind(
    "shared_anonymous_pgoff",
    "(s, pgoff): pgoff of a shared mapping without file that was called with `pgoff`.",
)
brk_sides = bind(
    "brk_sides", "(s, mm, prev, start): with which neighbours a heap that grows at `start` may merge: BRK_*."
)
mprotect_vm_flags = bind(
    "mprotect_vm_flags", "(s, vma, flags): what mprotect of `vma` to `flags`, which differ, makes of them."
)
madvise_vm_flags = bind("madvise_vm_flags", "(s, flags, advice): flags after this advice, or NO_FLAGS.")
moves_span_vmas = bind("moves_span_vmas", "(s): whether mremap may move a range of several vmas.")
changes_merge = bind("changes_merge", "(s): whether mlock, madvise and mremap in place try to merge.")
anon_rmap_bug = bind(
    "anon_rmap_bug",
    "(s, page, vma, vpn): what page_add_anon_rmap would trip over, BUG_*; `page` may be NULL (new).",
)
page_add_anon_rmap = bind(
    "page_add_anon_rmap",
    "(s, page, vma, vpn, exclusive): `page` is mapped there. `exclusive`: MAPPED_SHARED, MAPPED_ALONE if nothing else "
    "refers to it, WRITTEN_ALONE if it is written as well (so is every new page).",
)
room_for_new_pages = bind(
    "room_for_new_pages",
    "(s, vma): how many new pages, one in each event, the scheme can map in `vma` now by `map_new_page`; 0 where that "
    "is a matter for `page_add_anon_rmap`, as in a vma without anon_vma.",
)
new_page_mapping = bind(
    "new_page_mapping", "(s, vma): row, id and (pgoff - start) of what pages new in `vma` point to."
)
map_new_page = bind(
    "map_new_page", "(s, page, vma, vpn, mapping): `page_add_anon_rmap` of a new page but for `pages_mapped`."
)
pages_mapped = bind(
    "pages_mapped", "(s, vma, pages): count so many pages that `map_new_page` mapped in `vma`."
)
page_dup_rmap = bind("page_dup_rmap", "(s, page, vma, vpn): fork maps `page` into the child's `vma` too.")
page_remove_rmap = bind("page_remove_rmap", "(s, page, vma, vpn): the pte of `page` there is gone.")
page_reused = bind("page_reused", "(s, page, vma): do_wp_page found `page` exclusive and keeps it.")
move_pte = bind(
    "move_pte",
    "(s, mm, vpn, new_vpn, pte): mremap moves a pte of any kind; returns the one to set. Neither place has a pte now.",
)
page_misplaced = bind(
    "page_misplaced",
    "(s, page, vpn): whether a page just swapped in may not stay at `vpn`: it is then copied.",
)
page_referenced = bind(
    "page_referenced",
    "(s, page): walk, counting and clearing young bits; returns how many references were found.",
)
try_to_unmap = bind(
    "try_to_unmap", "(s, page, slot, force): walk, turning ptes into swap entries; returns WALK_*."
)
page_reachable = bind(
    "page_reachable", "(s, page, vma, vpn): whether a walk finds this pte: 0 no, 1 yes, -1 the page dangles."
)
state_may_change = bind("state_may_change", "(s): an event begins that is no walk of anonymous pages.")
rehash_rmap = bind("rehash_rmap", "(s): put all rows into the scheme's own hashes, which are empty.")
rmap_has_room = bind(
    "rmap_has_room",
    "(s, n_vmas, n_new_vmas, n_pages, n_ptes, few): whether the scheme's pools have room for an event that changes so "
    "many vmas and makes so many vmas, pages, ptes, and a few things more; sets ``NAME_need``.",
)
settle_peaks = bind("settle_peaks", "(s): the event is over; bring peaks and overhead up to date.")

# Checks, by the module that `register_checks` named; `c` is the census.
validate_rmap_tops = bind(
    "validate_rmap_tops",
    "(s, c): whether the scheme's pools are sound; clears the scheme's part of the census.",
    _check_modules,
)
validate_rmap_lists = bind(
    "validate_rmap_lists", "(s, c): note what is wrong with lists, once vmas are checked.", _check_modules
)
validate_anon_pte = bind(
    "validate_anon_pte",
    "(s, c, vma, vpn, page): note what is wrong with this pte; `page` NULL: a swap entry.",
    _check_modules,
)
validate_rmap_figures = bind(
    "validate_rmap_figures",
    "(s, c): note what is wrong with mappings and counts, once ptes are checked.",
    _check_modules,
)
