"""What must hold after every event, as data: each way in which it can fail, the invariant it breaks, and the words.

I1 to I11 are the invariants of reverse mapping itself; the others are about the tables that hold the state and
about figures that are kept up to date as events go by. ``docs/checking.md`` lists them for readers.
"""

from __future__ import annotations

POOLS = ("vma", "page", "mm", "proc", "slot", "block")
"""Tables of rows that are reused (those of `proc` are not); the scheme's own follow, from OWN_POOL on."""
POOL_VMA, POOL_PAGE, POOL_MM, POOL_PROC, POOL_SLOT, POOL_BLOCK = range(len(POOLS))
OWN_POOL = len(POOLS)

HASHES = ("pids", "frames", "file pages")
"""Those of the scheme follow, from OWN_HASH on."""
HASH_PIDS, HASH_FRAMES, HASH_FILE_PAGES = range(len(HASHES))
OWN_HASH = len(HASHES)

FIGURES = (
    "vmas live",
    "mapped ptes",
    "anonymous pages live",
    "file pages",
    "processes",
    "anon_vmas live",
    "members",
    "length of the longest list",
    "vmas visited by walks",
    "walks in the histogram of visits",
    "walks of file pages in the histogram of visits",
    "merge attempts by case",
    "pages on the active list",
    "pages on the inactive list",
)
(
    FIGURE_VMAS,
    FIGURE_MAPPED_PTES,
    FIGURE_ANON_PAGES,
    FIGURE_FILE_PAGES,
    FIGURE_PROCESSES,
    FIGURE_ANON_VMAS,
    FIGURE_MEMBERS,
    FIGURE_LONGEST,
    FIGURE_VISITED,
    FIGURE_WALKS,
    FIGURE_FILE_WALKS,
    FIGURE_ATTEMPTS,
    FIGURE_ACTIVE,
    FIGURE_INACTIVE,
) = range(len(FIGURES))

# Ways to break an invariant. Each: the invariant, and a message for `str.format`: {key} and {other} (ids, or rows
# where nothing sound has an id; a page-cache page has a negative one), {pid}, {addr:#x}, {a}, {b}; {pool}, {hash} and
# {figure} are names for {key}. A breach that stands is known by its code, {key} and {other}: those two must stay as
# they are while it stands.
BREACHES: tuple[tuple[str, str], ...] = (
    ("null-rows", "row 0 of table {pool} was written"),
    ("free-lists", "table {pool} has {a} rows in use and room for {b}"),
    ("free-lists", "the free list of table {pool} leads to row {other}, which is not free"),
    ("free-lists", "the free list of table {pool} holds {a} rows, {b} are free"),
    ("vma-order", "pid {pid}: the vma list leads to row {other}, which is no vma of this mm, or met before"),
    ("vma-order", "pid {pid}: vma {key} at {addr:#x} does not point back to the vma before it"),
    ("vma-order", "pid {pid}: {a} vmas are counted, the list holds {b}"),
    ("vma-tree", "pid {pid}: the vma tree leads to row {other}, which is not on the vma list, or met before"),
    ("vma-tree", "pid {pid}: the vma tree and the vma list differ in order at {addr:#x}"),
    ("vma-tree", "pid {pid}: vma {key} at {addr:#x} has less weight than one below it in the tree"),
    ("vma-tree", "pid {pid}: mmap_cache is row {other}, no vma of this mm"),
    ("page-tables", "pid {pid}: the page table leads to block {other}, out of range or met before"),
    ("page-tables", "pid {pid}: block {other} of the page table counts {a} entries, {b} are there"),
    ("page-tables", "pid {pid}: {a} blocks are counted, the page table has {b}"),
    ("page-tables", "pid {pid}: the leaf block remembered for {addr:#x} is not the one that is there"),
    ("page-tables", "pid {pid}: the pte at {addr:#x} is {a:#x}, neither present, nor swap, nor zero page"),
    ("page-tables", "pid {pid}: the pte at {addr:#x} names row {a}, which holds nothing"),
    ("processes", "pid {pid}: its mm is row {a}, which is free or out of range"),
    ("processes", "mm row {key} is owned by row {a}, which is no process"),
    ("processes", "the mm of pid {pid} has {a} users, {b} processes share it"),
    ("hashes", "the hash of {hash} has an entry at {other} that is out of range, or met before"),
    ("hashes", "the hash of {hash} does not find the entry of {other}"),
    ("hashes", "the hash of {hash} counts {a} entries, {b} are there"),
    ("i2", "rss of pid {pid} is {a}, its page table holds {b} present ptes"),
    ("i2", "mapcount of page {key} is {a}, {b} ptes hold it"),
    ("i3", "pid {pid}: vma {key} at {addr:#x} has an anon_vma whose list does not hold it"),
    ("i3", "vma {key} is in use, but in no mm"),
    ("i3", "the list of anon_vma {key} leads to row {other}, which is no vma of it, or met before"),
    ("i3", "pid {pid}: vma {other} at {addr:#x} does not point back on the list of anon_vma {key}"),
    ("i3", "anon_vma {key} exists with an empty list"),
    ("i3", "anon_vma {key} counts {a} vmas, its list holds {b}"),
    ("i3", "pid {pid}: vma {key} at {addr:#x} has anon_vma row {a}, out of range"),
    ("i4", "page {key} is not mapped, but has a mapping or PG_anon"),
    ("i4", "page {key} is mapped, but has no mapping or no PG_anon"),
    ("i4", "page {key} is neither mapped nor in the swap cache"),
    ("i5", "pid {pid}: vma {key} at {addr:#x} is empty, or overlaps the one before it"),
    ("i5", "pid {pid}: the pte at {addr:#x} lies outside every vma"),
    ("i6", "pid {pid}: vma {key} at {addr:#x} had pgoff - start = {a}, now {b}"),
    ("i6", "pid {pid}: new vma {key} at {addr:#x} has pgoff - start = {a}, though nothing was moved there"),
    ("i8", "pid {pid}: page {key} is mapped at {addr:#x} and once more"),
    ("i9", "pid {pid}: shared vma {key} at {addr:#x} has an anon_vma"),
    ("i9", "page {key} of a file has a mapping, PG_anon, or no pte"),
    (
        "i9",
        "pid {pid}: the pte at {addr:#x} does not fit its vma: anonymous in a shared one, or of another file",
    ),
    ("i10", "swap slot {key} has map {a}, swap ptes and cache make {b}"),
    ("i10", "swap slot {key} and page {other} do not name each other"),
    ("protection", "pid {pid}: the pte at {addr:#x} is writable, its vma is not"),
    ("protection", "pid {pid}: page {key} is writable at {addr:#x} in a private vma, though it is shared"),
    ("lru", "the {key}. LRU list leads to row {other}, no page of this list, or met before"),
    ("lru", "page {key} does not point back on its LRU list, or the list does not end there"),
    ("lru", "page {key} is on neither LRU list"),
    ("members", "pid {pid}: vma {key} at {addr:#x} is counted with a member of another anon_vma or process"),
    ("members", "anon_vma {key} in pid {pid}: {a} vmas are counted, {b} are there"),
    ("members", "anon_vma {key} in pid {pid}: {a} ptes are counted, {b} are there"),
    ("members", "the list of members of anon_vma {key} leads to row {other}, no member of it, or met before"),
    ("members", "pid {pid}: no member counts page {key} at {addr:#x}"),
    ("figures", "{figure}: {a} by the running count, {b} by a recount"),
    ("figures", "anon_vma {key} counts {a} pages, {b} have it as their mapping"),
    ("figures", "{a} lists of {key} vmas are counted, {b} are there"),
    # From here on: what the patch as posted allows after a merge that lost an anon_vma (defects D1, D2).
    ("i1", "pid {pid}: page {key} at {addr:#x} cannot be reached from its anon_vma"),
    ("i4", "page {key}, first mapped at {addr:#x}, points to freed anon_vma {a}"),
    (
        "i7",
        "pid {pid}: vma {key} holds an anonymous page or its swap entry at {addr:#x}, but has no anon_vma",
    ),
    ("i11", "pid {pid}: page {key} at {addr:#x} has index {a}, its vma gives {b}"),
)
(
    NULL_ROW,
    POOL_TOP,
    FREE_ROW,
    FREE_COUNT,
    VMA_ORDER,
    VMA_PREV,
    VMA_COUNT,
    TREE_ROW,
    TREE_ORDER,
    TREE_WEIGHT,
    MMAP_CACHE,
    BLOCK_ROW,
    BLOCK_USED,
    BLOCK_COUNT,
    LEAF_CACHE,
    PTE_FORM,
    PTE_ROW,
    PROC_MM,
    MM_OWNER,
    MM_USERS,
    HASH_ENTRY,
    HASH_LOOKUP,
    HASH_COUNT,
    RSS,
    MAPCOUNT,
    VMA_NOT_LISTED,
    VMA_NOWHERE,
    LIST_ROW,
    LIST_PREV,
    LIST_EMPTY,
    LIST_LENGTH,
    VMA_ANON_VMA,
    UNMAPPED_MAPPING,
    MAPPED_NO_MAPPING,
    PAGE_UNUSED,
    VMA_BOUNDS,
    PTE_OUTSIDE,
    SLIDE_CHANGED,
    SLIDE_STRANGE,
    MAPPED_TWICE,
    SHARED_ANON_VMA,
    FILE_PAGE,
    PTE_KIND,
    SLOT_MAP,
    SLOT_PAGE,
    PTE_WRITABLE,
    PTE_COW,
    LRU_ROW,
    LRU_PREV,
    LRU_NONE,
    MEMBER_OF_VMA,
    MEMBER_VMAS,
    MEMBER_PAGES,
    MEMBER_ROW,
    MEMBER_NONE,
    FIGURE,
    FIGURE_PAGES,
    FIGURE_LENGTHS,
    UNREACHABLE,
    DANGLING,
    NO_ANON_VMA,
    INDEX,
) = range(len(BREACHES))

FIRST_FINDING = UNREACHABLE
FINDING_CODES = {
    UNREACHABLE: "unreachable-pte",
    DANGLING: "dangling-mapping",
    NO_ANON_VMA: "vma-without-anon-vma",
    INDEX: "index-mismatch",
}
"""Codes in `diagnostics` of what is a finding; a violation is told as ``validate-`` and the invariant."""
