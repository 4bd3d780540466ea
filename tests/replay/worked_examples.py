"""The worked examples of the specification, spelled as scenarios, with what must come out of them.

How results are written (all of it rendered by `test_worked_examples.py`; only what is given is compared):

layout  pid -> vmas in address order, ``v2 10-13 rwA 10 a1``: vma, pages, access and flags (A ACCOUNT,
        S SHARED, G GROWSDOWN, L LOCKED), pgoff, anon_vma or ``-``, then the file if there is one
lists   anon_vma -> its vmas, head first
ptes    pid -> ``10 p1w, 11 p2, 12 zero, 13 s1, 14 f+2``: w where the pte may be written
young   pid -> pages whose pte (not swap) is young
pages   page -> ``2 a1 10``: mapcount, anon_vma (``a1!`` if that was freed), index; ``0`` if unmapped
slots   slot -> ``2 p2``: uses, cached page or ``-``
merges  the last attempts, ``14-16 case 2 ok prev_next!``: range, case, left, right; ``-`` not adjacent,
        ``!`` refused only since rmap 39, ``(same)`` or ``(null)`` with a refused anonymous pgoff, ``self``
walks   the last walks, ``2: range 1, hits 1, early, referenced``: vmas visited, what became of them, outcome
file_walks  the same of pages of files
figures path in the summary -> value

`rules` are in force where an example names some. Under ``merge_pre_rmap39`` neither anon_vmas nor the pgoff of a
vma without a file are defined: its layouts leave both out, ``v1 10-18 rwA``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """One scenario and what is to be seen after it; empty fields are not compared."""

    name: str
    scenario: str
    rules: tuple[str, ...] = ()
    layout: dict[int, str] = field(default_factory=dict)
    lists: dict[int, str] | None = None
    ptes: dict[int, str] = field(default_factory=dict)
    young: dict[int, str] = field(default_factory=dict)
    rss: dict[int, int] = field(default_factory=dict)
    pages: dict[int, str] = field(default_factory=dict)
    slots: dict[int, str] | None = None
    active: str | None = None
    inactive: str | None = None
    merges: str = ""  # separated by ";"
    walks: str = ""  # separated by ";"
    file_walks: str = ""  # separated by ";"
    figures: dict[str, int | float] = field(default_factory=dict)


D1A = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"
ALTERNATING = "prot 10 11 r; prot 12 13 r; prot 14 15 r; prot 16 17 r; prot 18 19 r"
FAMILY = "map 10 12 rw; w 10; w 11; fork m2; fork m3"

MERGING = [
    Example(
        "11.1 two splits put the new parts at the head",
        "map 10 20 rw; w 12; w 15; prot 13 16 r; referenced 12; referenced 15",
        # Split below at 13: v2 is new; split above at 16: v3 is new; v1 is what lies between.
        layout={1: "v2 10-13 rwA 10 a1; v1 13-16 rA 13 a1; v3 16-20 rwA 16 a1"},
        lists={1: "v3 v2 v1"},
        ptes={1: "12 p1w, 15 p2"},  # change_protection
        merges="10-20 case 0 - -; 13-16 case 0 - -",
        walks="2: range 1, hits 1, early, referenced; 3: range 2, hits 1, referenced",
    ),
    Example(
        "11.1 case 6 joins the three again",
        "map 10 20 rw; w 12; w 15; prot 13 16 r; prot 13 16 rw",
        layout={1: "v2 10-20 rwA 10 a1"},
        lists={1: "v2"},
        merges="13-16 case 6 ok ok",
        figures={"anon_vmas.allocated": 1, "anon_vmas.freed": 0, "merges.refused_new": 0, "vmas.created": 3},
    ),
    Example(
        "11.1 a write after that reuses the page",
        "map 10 20 rw; w 12; w 15; prot 13 16 r; prot 13 16 rw; w 15",
        ptes={1: "12 p1w, 15 p2w"},
        figures={"pages.allocated": 2, "pages.cow_reuses": 1, "pages.cow_copies": 0},
    ),
    Example(
        "11.2 a hole between two faulted mappings joins one side only",
        "map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw",
        layout={1: "v1 10-16 rwA 10 a1; v2 16-18 rwA 16 a2"},
        merges="14-16 case 2 ok prev_next!",
        figures={"merges.refused.prev_next": 1, "merges.refused_new": 1, "anon_vmas.live": 2},
    ),
    Example(
        "11.2 without the second write it joins both",
        "map 10 14 rw; w 10; map 16 18 rw; map 14 16 rw",
        layout={1: "v1 10-18 rwA 10 a1"},
        lists={1: "v1"},
        merges="14-16 case 1 ok ok",
    ),
    Example(
        "11.2 without the first write the survivor takes the neighbour's place",
        "map 10 14 rw; map 16 18 rw; w 16; map 14 16 rw; referenced 16",
        layout={1: "v1 10-18 rwA 10 a1"},
        lists={1: "v1"},
        merges="14-16 case 1 ok ok",
        walks="1: hits 1, referenced",
    ),
    Example(
        "11.2 the place in the list is inherited, not the head",
        "map 10 14 rw; map 16 18 rw; w 16; fork m2; map 14 16 rw",
        # The child's copy of [16,18) is v4, in front of v2; v1 takes v2's place behind it.
        layout={1: "v1 10-18 rwA 10 a1", 2: "v3 10-14 rwA 10 -; v4 16-18 rwA 16 a1"},
        lists={1: "v4 v1"},
    ),
    Example(
        "11.5 alternating protections: the pieces get anon_vmas of their own",
        f"map 10 20 rw; {ALTERNATING}; w 11,13,15,17,19",
        figures={"vmas.live": 10, "anon_vmas.live": 5},
    ),
    Example(
        "11.5 and making all writable again meets four new refusals",
        f"map 10 20 rw; {ALTERNATING}; w 11,13,15,17,19; prot 10 20 rw",
        layout={
            1: "v1 10-13 rwA 10 a1; v5 13-15 rwA 13 a2; v7 15-17 rwA 15 a3; v9 17-19 rwA 17 a4;"
            " v10 19-20 rwA 19 a5"
        },
        merges="10-11 case 8 - ok; 12-13 case 7 ok prev_next!; 14-15 case 7 ok prev_next!;"
        " 16-17 case 7 ok prev_next!; 18-19 case 7 ok prev_next!",
        figures={"merges.refused_new": 4, "merges.by_case.7": 4, "merges.by_case.8": 1},
    ),
    Example(
        "11.5 with one write before the first protection all pieces share an anon_vma",
        f"map 10 20 rw; w 19; {ALTERNATING}; w 11,13,15,17",
        lists={1: "v10 v9 v8 v7 v6 v5 v4 v3 v2 v1"},
    ),
    Example(
        "11.5 and then all become one vma again",
        f"map 10 20 rw; w 19; {ALTERNATING}; w 11,13,15,17; prot 10 20 rw",
        layout={1: "v1 10-20 rwA 10 a1"},
        lists={1: "v1"},
        merges="10-11 case 8 - ok; 12-13 case 6 ok ok; 14-15 case 6 ok ok; 16-17 case 6 ok ok;"
        " 18-19 case 6 ok ok",
        figures={"merges.refused_new": 0, "merges.refused.prev_next": 0},
    ),
    Example(
        "11.9 a moved vma stops merging",
        "map 10 12 rw; w 10; move 10 12 50; map 52 54 rw",
        layout={1: "v2 50-52 rwA 10 a1; v3 52-54 rwA 52 -"},
        merges="52-54 case 0 pgoff_anon(null)! -",
        figures={"merges.refused.pgoff_anon": 1, "merges.refused_new": 1},
    ),
    Example(
        "11.9 unless it was never written: then its pgoff moves with it",
        "map 10 12 rw; move 10 12 50; map 52 54 rw",
        layout={1: "v2 50-54 rwA 50 -"},
        merges="52-54 case 2 ok -",
    ),
    Example(
        "11.16 the stack grows downwards and keeps pgoff and address in step",
        "map 98 100 rw growsdown; w 95",
        layout={1: "v1 95-100 rwAG 95 a1"},
        pages={1: "1 a1 95"},
    ),
    Example(
        "11.16 an arena grows by case 5, into the vma that has the anon_vma",
        "map 100 132 none; prot 100 104 rw; w 100; prot 104 108 rw; prot 108 112 rw",
        layout={1: "v1 100-112 rwA 100 a1; v2 112-132 - 112 -"},
        merges="100-104 case 0 - -; 104-108 case 5 ok -; 108-112 case 5 ok -",
        figures={"findings.unreachable_pages": 0, "merges.refused_new": 0},
    ),
    Example(
        "11.17 a mapping made read-only differs from one created so",
        "map 10 12 r; map 12 14 rw; prot 12 14 r",
        layout={1: "v1 10-12 r 10 -; v2 12-14 rA 12 -"},
        merges="10-12 case 0 - -; 12-14 case 0 flags -; 12-14 case 0 flags -",
        figures={"merges.refused.flags": 2, "merges.refused_new": 0},
    ),
    Example(
        "11.17 until both have been writable",
        "map 10 12 r; map 12 14 rw; prot 12 14 r; prot 10 14 rw",
        layout={1: "v1 10-14 rwA 10 -"},
        merges="10-12 case 0 - flags; 12-14 case 7 ok -",
    ),
    Example(
        "11.18 munmap of the middle: the upper part is new, the middle dies",
        "map 10 18 rw; w 14; unmap 12 14",
        layout={1: "v1 10-12 rwA 10 a1; v2 14-18 rwA 14 a1"},
        lists={1: "v2 v1"},
        figures={"vmas.created": 3},
    ),
    Example(
        "11.18 and the refill joins all, both sides being of one anon_vma",
        "map 10 18 rw; w 14; unmap 12 14; map 12 14 rw",
        layout={1: "v1 10-18 rwA 10 a1"},
        lists={1: "v1"},
        merges="12-14 case 1 ok ok",
    ),
    Example(
        "11.22b a forked heap goes on growing by merges",
        "map 10 12 rw; w 10; fork m2; m2: map 12 14 rw",
        layout={2: "v2 10-14 rwA 10 a1"},
        merges="12-14 case 2 ok -",
    ),
    Example(
        "D3 neighbours written apart cannot be joined again",
        "map 10 14 rw; prot 12 14 rwx; w 10; w 12; prot 12 14 rw",
        layout={1: "v2 10-12 rwA 10 a1; v1 12-14 rwA 12 a2"},
        merges="12-14 case 0 anon_diff! -",
        figures={"merges.refused.anon_diff": 1, "merges.refused_new": 1},
    ),
]

FORKS = [
    Example(
        "11.3 fork puts the children's vmas in front",
        f"{FAMILY}; referenced 10; referenced 10",
        lists={1: "v3 v2 v1"},
        ptes={1: "10 p1, 11 p2", 2: "10 p1, 11 p2", 3: "10 p1, 11 p2"},
        rss={1: 2, 2: 2, 3: 2},
        pages={1: "3 a1 10", 2: "3 a1 11"},
        walks="3: hits 3, referenced; 3: hits 3, not_referenced",  # the first took PG_referenced and young
        figures={"anon_vmas.allocated": 1, "pages.allocated": 2},
    ),
    Example(
        "11.3 only the parent's ptes are young",
        FAMILY,
        young={1: "10 11", 2: "", 3: ""},
    ),
    Example(
        "11.3 a child's copy is a page of its own on the same list",
        f"{FAMILY}; m2: w 10; referenced 10; m2: referenced 10",
        ptes={2: "10 p3w, 11 p2"},
        pages={1: "2 a1 10", 3: "1 a1 10"},
        walks="3: other 1, hits 2, referenced; 2: other 1, hits 1, early, referenced",
    ),
    Example(
        "11.3 the parent's exit leaves the children's vmas on the list",
        f"{FAMILY}; m2: w 10; exit; m3: referenced 10; m3: referenced 11; m2: referenced 10",
        lists={1: "v3 v2"},
        pages={1: "1 a1 10", 2: "2 a1 11", 3: "1 a1 10"},
        walks="1: hits 1, early, referenced; 2: hits 2, referenced; 2: other 1, hits 1, referenced",
        figures={"anon_vmas.freed": 0},
    ),
    Example(
        "11.3 the last copy is written in place",
        f"{FAMILY}; m2: w 10; exit; m3: w 10",
        ptes={3: "10 p1w, 11 p2"},
        figures={"pages.cow_reuses": 1, "pages.cow_copies": 1},
    ),
    Example(
        "11.3 the anon_vma goes with the last of the family",
        f"{FAMILY}; m2: w 10; exit; m2: exit; m3: exit",
        lists={},
        figures={"anon_vmas.freed": 1, "pages.live": 0, "vmas.live": 0},
    ),
    Example(
        "11.4 fork before the first write makes two families",
        "map 10 12 rw; fork m2; w 10; m2: w 10; referenced 10; m2: referenced 10; m2: fork m3",
        lists={1: "v1", 2: "v3 v2"},
        walks="1: hits 1, referenced; 1: hits 1, referenced",
    ),
    Example(
        "11.11 a read of untouched memory maps the zero page",
        "map 10 12 rw; r 10",
        layout={1: "v1 10-12 rwA 10 -"},
        ptes={1: "10 zero"},
        rss={1: 0},
        figures={"pages.allocated": 0, "anon_vmas.allocated": 0},
    ),
    Example(
        "11.11 and a write replaces it, in either process",
        "map 10 12 rw; r 10; w 10; fork m2; m2: r 11; m2: w 11; w 11;"
        " referenced 10; m2: referenced 11; referenced 11",
        lists={1: "v2 v1"},
        pages={1: "2 a1 10", 2: "1 a1 11", 3: "1 a1 11"},
        rss={1: 2, 2: 2},
        # The copies were made without PG_referenced, but their ptes are young.
        walks="2: hits 2, referenced; 1: hits 1, early, referenced; 2: other 1, hits 1, referenced",
        figures={"extra.zero_copies": 2, "pages.cow_copies": 0},
    ),
    Example(
        "11.14 an mm without pages is passed over",
        "map 10 12 rw; w 10; fork m2; m2: dontneed 10 12; referenced 10; m2: r 11; referenced 10;"
        " m2: map 30 31 rw; m2: w 30; referenced 10",
        rss={1: 1, 2: 1},
        walks="2: rss 1, hits 1, referenced; 2: rss 1, hits 1, not_referenced;"
        " 2: none 1, hits 1, not_referenced",
    ),
    Example(
        "11.15 a private file mapping: pages are anonymous only when copied",
        "map 10 14 rw file f 100; r 10; w 11",
        layout={1: "v1 10-14 rwA 100 a1 f"},
        ptes={1: "10 f+100, 11 p1w"},
        rss={1: 2},
        pages={1: "1 a1 101"},
        figures={"extra.early_copies": 1},
    ),
    Example(
        "11.15 and merge by file offset",
        "map 10 14 rw file f 100; r 10; w 11; w 10; fork m2; map 14 16 rw file f 104;"
        " map 16 18 rw file f 200; referenced 11; referenced 10",
        layout={1: "v1 10-16 rwA 100 a1 f; v3 16-18 rwA 200 - f"},
        lists={1: "v2 v1"},
        pages={1: "2 a1 101", 2: "2 a1 100"},
        merges="14-16 case 2 ok -; 16-18 case 0 pgoff_file -",
        walks="2: hits 2, referenced; 2: hits 2, referenced",
        figures={"merges.refused_new": 0, "pages.cow_copies": 1},
    ),
    Example(
        "11.20 four children, two pages, all copied, each page walked once",
        "map 10 12 rw; w 10,11; fork m2; fork m3; fork m4; fork m5;"
        " m2: w 10,11; m3: w 10,11; m4: w 10,11; m5: w 10,11;"
        " referenced 10,11; m2: referenced 10,11; m3: referenced 10,11; m4: referenced 10,11;"
        " m5: referenced 10,11",
        lists={1: "v5 v4 v3 v2 v1"},
        figures={
            "reclaim.walks": 10,
            "reclaim.vmas_visited": 30,
            "reclaim.miss_other": 20,
            "reclaim.hits": 10,
            "reclaim.list_length_sum": 50,
            "reclaim.early_stops": 8,  # all but the parent's
            "reclaim.visited_per_walk.mean": 3.0,
            "reclaim.visited_per_walk.p50": 3,
            "reclaim.visited_per_walk.max": 5,
            "anon_vmas.allocated": 1,
        },
    ),
    Example(
        "11.21 a chain of forks whose parents exit keeps one list of one vma",
        "map 10 11 rw; w 10; fork m2; exit; m2: fork m3; m2: exit; m3: fork m4; m3: exit",
        lists={1: "v4"},
        figures={"anon_vmas.allocated": 1, "anon_vmas.longest_list": 2},
    ),
]

MOVES = [
    Example(
        "11.7 a moved tail keeps its pgoff and goes to the head",
        "map 10 14 rw; w 10; w 13; fork m2; move 12 14 50; referenced 10; referenced 51",
        layout={1: "v1 10-12 rwA 10 a1; v3 50-52 rwA 12 a1", 2: "v2 10-14 rwA 10 a1"},
        lists={1: "v3 v2 v1"},
        ptes={1: "10 p1, 51 p2", 2: "10 p1, 13 p2"},
        pages={1: "2 a1 10", 2: "2 a1 13"},
        merges="50-52 case 0 - -",
        walks="3: range 1, hits 2, referenced; 2: hits 2, early, referenced",
        figures={"vmas.created": 4, "pages.cow_copies": 0},
    ),
    Example(
        "11.7 the hole it leaves may be filled, and then two vmas cover one index",
        "map 10 14 rw; w 10; w 13; fork m2; move 12 14 50; map 12 14 rw; w 13; referenced 13",
        layout={1: "v1 10-14 rwA 10 a1; v3 50-52 rwA 12 a1"},
        pages={3: "1 a1 13"},
        merges="12-14 case 2 ok -",
        walks="3: other 2, hits 1, referenced",
    ),
    Example(
        "11.8 a move of the middle splits twice",
        "map 10 16 rw; w 10,12,15; move 12 14 50; referenced 10; referenced 50; referenced 15",
        layout={1: "v1 10-12 rwA 10 a1; v3 14-16 rwA 14 a1; v2 50-52 rwA 12 a1"},
        lists={1: "v3 v2 v1"},
        walks="3: range 2, hits 1, referenced; 2: range 1, hits 1, early, referenced;"
        " 1: hits 1, early, referenced",
        figures={"vmas.created": 4, "vmas.live": 3},
    ),
    Example(
        "11.24a the source may be what the destination merges with",
        "map 50 52 rw; move 50 52 48",
        layout={1: "v1 48-50 rwA 48 -"},
        merges="48-50 case 3 - ok self",
    ),
    Example(
        "11.24b or be swallowed by the other side",
        "map 46 48 rw; map 50 52 rw; move 50 52 48",
        layout={1: "v1 46-50 rwA 46 -"},
        merges="48-50 case 1 ok ok self",
    ),
    Example(
        "11.24c unless both were written",
        "map 46 48 rw; w 46; map 50 52 rw; w 50; move 50 52 48",
        layout={1: "v1 46-48 rwA 46 a1; v3 48-50 rwA 50 a2"},
        merges="48-50 case 0 anon_diff! pgoff_anon(same)! self",
        figures={"merges.refused_new": 2},
    ),
    Example(
        "D8 a move over two vmas is followed as recorded, piece by piece",
        "map 10 12 rw; map 12 14 r; w 10; move 10 14 30",
        layout={1: "v3 30-32 rwA 10 a1; v4 32-34 r 32 -"},
        ptes={1: "30 p1w"},
        figures={"extra.span_forced": 1, "extra.mremap_efault_span": 0},
    ),
    Example(
        "D8 a growth over two vmas is refused as the patch would",
        "map 10 12 rw; map 12 14 r; resize 10 14 16",
        layout={1: "v1 10-12 rwA 10 -; v2 12-14 r 12 -"},
        figures={"extra.span_forced": 0, "extra.mremap_efault_span": 1},
    ),
]

RECLAIM = [
    Example(
        "11.12 the first look activates, the second swaps out of both processes",
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10",
        lists={1: "v2 v1"},
        ptes={1: "10 s1", 2: "10 s1"},
        rss={1: 0, 2: 0},
        slots={1: "2 -"},
        walks="2: hits 2, referenced; 2: hits 2, not_referenced; 2: hits 2, success",
        figures={
            "reclaim.pages": 2,
            "reclaim.activated": 1,
            "reclaim.unmapped": 1,
            "pages.swapped_out": 1,
            "pages.live": 0,
        },
    ),
    Example(
        "11.12 the first reader brings the page back, cached and write protected",
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10; m2: r 10",
        ptes={1: "10 s1", 2: "10 p2"},
        pages={2: "1 a1 10"},
        slots={1: "2 p2"},
        figures={"pages.swapped_in": 1},
    ),
    Example(
        "11.12 a writer after it copies",
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10; m2: r 10; w 10",
        ptes={1: "10 p3w", 2: "10 p2"},
        pages={2: "1 a1 10", 3: "1 a1 10"},
        slots={1: "1 p2"},
        figures={"pages.swapped_in": 1, "pages.cow_copies": 1},
    ),
    Example(
        "11.12 and the last one writes in place",
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10; m2: r 10; w 10; m2: w 10",
        ptes={1: "10 p3w", 2: "10 p2w"},
        slots={1: "1 p2"},
        figures={"pages.cow_copies": 1, "pages.cow_reuses": 1},
    ),
    Example(
        "11.12 the slot goes with the page",
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10; m2: r 10; w 10; m2: w 10; m2: unmap 10 11",
        slots={},
        figures={"pages.live": 1, "pages.freed": 2},
    ),
    Example(
        "11.12 a process whose only page is still swapped is passed over",
        # The reader must be behind the other on the list, or the walk stops before it gets there.
        "map 10 11 rw; w 10; fork m2; reclaim 10; reclaim 10; r 10; referenced 10",
        rss={1: 1, 2: 0},
        walks="2: rss 1, hits 1, referenced",
    ),
    Example(
        "11.13 a young pte stops the unmapping half way",
        "map 10 11 rw; w 10; fork m2; referenced 10; touch 10; try_unmap 10",
        ptes={1: "10 p1", 2: "10 s1"},
        young={1: ""},  # the test clears it
        pages={1: "1 a1 10"},
        slots={1: "2 p1"},
        walks="2: hits 2, fail_young",
        figures={"reclaim.young_fail": 1, "reclaim.unmapped": 0, "reclaim.activated": 0},
    ),
    Example(
        "11.19 one scan finds every page referenced",
        "map 10 13 rw; w 10,11,12; scan 3",
        active="p3 p2 p1",
        inactive="",
        figures={"reclaim.walks": 3, "reclaim.pages": 0, "reclaim.activated": 0},
    ),
    Example(
        "11.19 the next swaps them out",
        "map 10 13 rw; w 10,11,12; scan 3; scan 3",
        active="",
        inactive="",
        ptes={1: "10 s1, 11 s2, 12 s3"},
        rss={1: 0},
        slots={1: "1 -", 2: "1 -", 3: "1 -"},
        figures={
            "reclaim.walks": 12,
            "reclaim.vmas_visited": 12,
            "reclaim.hits": 12,
            "reclaim.pages": 3,
            "reclaim.unmapped": 3,
        },
    ),
]

DEFECTS = [
    Example(
        "D1a case 4 takes a page where no walk finds it",
        f"{D1A}; referenced 11",
        # The first split left the upper part as v1; it grows downwards over the written page.
        layout={1: "v2 10-11 rwA 10 a1; v1 11-14 rA 11 -"},
        lists={1: "v2"},
        ptes={1: "11 p1"},
        merges="10-14 case 0 - -; 12-14 case 0 - -; 11-12 case 4 - ok",
        walks="1: range 1, unreachable 1, referenced",  # PG_referenced; the young bit is out of sight
        figures={
            "findings.unreachable_pages": 1,
            "findings.dangling_pages": 0,
            "extra.lossy_merges": 1,
            "extra.lossy_moves": 0,
            "extra.ptes_lost": 1,
        },
    ),
    Example(
        "D1a reclaim tries again for ever",
        f"{D1A}; reclaim 11; reclaim 11; reclaim 11",
        slots={1: "1 p1"},
        walks="1: range 1, unreachable 1, referenced;"
        " 1: range 1, unreachable 1, not_referenced; 1: range 1, unreachable 1, again;"
        " 1: range 1, unreachable 1, not_referenced; 1: range 1, unreachable 1, again",
        figures={"reclaim.activated": 1, "reclaim.unmapped": 0, "reclaim.unreachable": 5},
    ),
    Example(
        "D1a heals when the boundary moves back",
        f"{D1A}; prot 11 14 rw; referenced 11",
        layout={1: "v2 10-14 rwA 10 a1"},
        merges="11-14 case 7 ok -",
        walks="1: hits 1, referenced",
        figures={"findings.unreachable_pages": 0},
    ),
    Example(
        "D1b case 5 does the same upwards",
        "map 10 14 rw; prot 10 12 r; w 12; prot 12 13 r; referenced 12",
        layout={1: "v1 10-13 rA 10 -; v2 13-14 rwA 13 a1"},
        lists={1: "v2"},
        pages={1: "1 a1 12"},
        merges="12-13 case 5 ok -",
        walks="1: range 1, unreachable 1, referenced",
        figures={"findings.unreachable_pages": 1},
    ),
    Example(
        "D1c the list empties and the page dangles",
        f"{D1A}; unmap 10 11; referenced 11",
        layout={1: "v1 11-14 rA 11 -"},
        lists={},
        pages={1: "1 a1! 11"},
        walks="0: unreachable 1, bug:empty_anon_vma",
        figures={"findings.unreachable_pages": 1, "findings.dangling_pages": 1, "findings.bugs": 0},
    ),
    Example(
        "D1d a page swapped out before the shift cannot come back",
        "map 10 14 rw; prot 12 14 r; w 11; referenced 11; referenced 11; try_unmap 11; prot 11 12 r; r 11",
        ptes={1: "11 s1"},
        slots={1: "1 -"},
        merges="11-12 case 4 - ok",
        walks="1: hits 1, referenced; 1: hits 1, not_referenced; 1: hits 1, success",
        figures={"findings.bugs": 1, "pages.swapped_in": 0, "pages.live": 0},
    ),
    Example(
        "D1e fork doubles what cannot be found",
        f"{D1A}; fork m2; referenced 11",
        layout={2: "v3 10-11 rwA 10 a1; v4 11-14 rA 11 -"},
        lists={1: "v3 v2"},
        pages={1: "2 a1 11"},
        walks="2: range 2, unreachable 2, referenced",
        figures={"findings.unreachable_pages": 1},
    ),
    Example(
        "D1f parent and child disagree about the anon_vma of a swapped page",
        "map 10 14 rw; prot 12 14 r; w 11; fork m2; reclaim 11; reclaim 11;"
        " prot 11 12 r; prot 11 14 rwx; w 12; m2: r 11; r 11",
        layout={1: "v2 10-11 rwA 10 a1; v1 11-14 rwxA 11 a2"},
        ptes={1: "11 s1, 12 p2w", 2: "11 p3"},
        pages={2: "1 a2 12", 3: "1 a1 11"},
        slots={1: "2 p3"},
        figures={"findings.bugs": 1},
    ),
    Example(
        "D2a, 11.10 a move home into a mapping that was never written",
        "map 10 12 rw; w 10; w 11; move 10 12 50; map 8 10 rw; move 50 52 10; referenced 10",
        layout={1: "v3 8-12 rwA 8 -"},
        lists={},
        ptes={1: "10 p1w, 11 p2w"},
        pages={1: "1 a1! 10", 2: "1 a1! 11"},
        merges="10-12 case 2 ok -",
        walks="0: unreachable 1, bug:empty_anon_vma",
        figures={
            "findings.unreachable_pages": 2,
            "findings.dangling_pages": 2,
            "anon_vmas.freed": 1,
            "extra.lossy_merges": 1,
            "extra.lossy_moves": 1,
            "extra.ptes_lost": 2,
        },
    ),
    Example(
        "D2, 11.10 file form: any offset that continues the file will do",
        "map 10 12 rw file f 0; map 50 52 rw file f 2; w 50; move 50 52 12",
        layout={1: "v1 10-14 rwA 0 - f"},
        lists={},
        pages={1: "1 a1! 2"},
        merges="12-14 case 2 ok -",
        figures={"findings.dangling_pages": 1},
    ),
    Example(
        "D2, 11.10b the same between two such mappings",
        "map 10 12 rw; w 10; move 10 12 50; map 8 10 rw; map 12 14 rw; move 50 52 10",
        layout={1: "v3 8-14 rwA 8 -"},
        lists={},
        pages={1: "1 a1! 10"},
        merges="10-12 case 1 ok ok",
        figures={"findings.dangling_pages": 1},
    ),
    Example(
        "11.10b no defect where a part of the original stayed",
        "map 10 14 rw; w 10; w 12; move 10 12 50; move 50 52 10; referenced 10; referenced 12",
        layout={1: "v1 10-14 rwA 10 a1"},
        lists={1: "v1"},
        merges="50-52 case 0 - -; 10-12 case 3 - ok",
        walks="1: hits 1, referenced; 1: hits 1, referenced",
        figures={"findings.unreachable_pages": 0},
    ),
    Example(
        "D7 growth of the stack allocates an anon_vma before there is a page",
        "map 98 100 r growsdown; r 96; unmap 96 100",
        figures={"anon_vmas.allocated": 1, "anon_vmas.freed": 1, "extra.anon_vmas_never_used": 1},
    ),
]

D2A = "map 10 12 rw; w 10; w 11; move 10 12 50; map 8 10 rw; move 50 52 10"
D3 = "map 10 14 rw; prot 12 14 rwx; w 10; w 12"

FIXED = [
    Example(
        "D1a fixed: the vma that takes the page over joins the list, in front",
        f"{D1A}; referenced 11",
        rules=("fix_propagate",),
        layout={1: "v2 10-11 rwA 10 a1; v1 11-14 rA 11 a1"},
        lists={1: "v1 v2"},
        merges="11-12 case 4 - ok",
        walks="1: hits 1, early, referenced",
        figures={
            "findings.unreachable_pages": 0,
            "anon_vmas.allocated": 1,
            "extra.lossy_merges": 0,
            "extra.lossy_moves": 0,
            "extra.ptes_lost": 0,
        },
    ),
    Example(
        "D1a fixed: reclaim gets the page",
        f"{D1A}; reclaim 11; reclaim 11",
        rules=("fix_propagate",),
        ptes={1: "11 s1"},
        walks="1: hits 1, early, referenced; 1: hits 1, early, not_referenced; 1: hits 1, early, success",
        figures={"reclaim.unmapped": 1, "pages.live": 0},
    ),
    Example(
        "D1b fixed",
        "map 10 14 rw; prot 10 12 r; w 12; prot 12 13 r; referenced 12",
        rules=("fix_propagate",),
        layout={1: "v1 10-13 rA 10 a1; v2 13-14 rwA 13 a1"},
        lists={1: "v1 v2"},
        merges="12-13 case 5 ok -",
        walks="1: hits 1, early, referenced",
        figures={"findings.unreachable_pages": 0},
    ),
    Example(
        "D1c, 11.6 fixed: nothing dangles",
        f"{D1A}; unmap 10 11; referenced 11",
        rules=("fix_propagate",),
        layout={1: "v1 11-14 rA 11 a1"},
        lists={1: "v1"},
        pages={1: "1 a1 11"},
        walks="1: hits 1, referenced",
        figures={"findings.dangling_pages": 0, "anon_vmas.freed": 0},
    ),
    Example(
        "D1d, 11.6 fixed: the page comes back from swap",
        "map 10 14 rw; prot 12 14 r; w 11; referenced 11; referenced 11; try_unmap 11; prot 11 12 r; r 11",
        rules=("fix_propagate",),
        lists={1: "v1 v2"},
        ptes={1: "11 p2"},
        pages={2: "1 a1 11"},
        figures={"findings.bugs": 0, "pages.swapped_in": 1},
    ),
    Example(
        "D1e fixed: parent and child are both found",
        f"{D1A}; fork m2; referenced 11",
        rules=("fix_propagate",),
        layout={2: "v3 10-11 rwA 10 a1; v4 11-14 rA 11 a1"},
        lists={1: "v4 v3 v1 v2"},
        walks="3: range 1, hits 2, early, referenced",
        figures={"findings.unreachable_pages": 0},
    ),
    Example(
        "D1f fixed: parent and child agree about the anon_vma",
        "map 10 14 rw; prot 12 14 r; w 11; fork m2; reclaim 11; reclaim 11;"
        " prot 11 12 r; prot 11 14 rwx; w 12; m2: r 11; r 11",
        rules=("fix_propagate",),
        layout={1: "v2 10-11 rwA 10 a1; v1 11-14 rwxA 11 a1"},
        ptes={1: "11 p3, 12 p2w", 2: "11 p3"},
        pages={2: "1 a1 12", 3: "2 a1 11"},
        figures={"findings.bugs": 0},
    ),
    Example(
        "propagate_all covers the boundary shift as well",
        f"{D1A}; referenced 11",
        rules=("propagate_all",),
        lists={1: "v1 v2"},
        walks="1: hits 1, early, referenced",
    ),
    Example(
        "propagate_all: a survivor without an anon_vma goes to the head, not into its neighbour's place",
        # As in 11.2: the child's v4 is in front of v2, which the hole's filling removes.
        "map 10 14 rw; map 16 18 rw; w 16; fork m2; map 14 16 rw",
        rules=("propagate_all",),
        layout={1: "v1 10-18 rwA 10 a1"},
        lists={1: "v1 v4"},
        merges="14-16 case 1 ok ok",
    ),
    Example(
        "fix_propagate leaves whole removals as they were: the place is inherited",
        "map 10 14 rw; map 16 18 rw; w 16; fork m2; map 14 16 rw",
        rules=("fix_propagate",),
        lists={1: "v4 v1"},
    ),
    Example(
        "propagate_all: in case 6 the first removal brings the anon_vma, also to the head",
        "map 10 16 rw; prot 12 14 rwx; w 12; fork m2; prot 12 14 rw",
        rules=("propagate_all",),
        layout={1: "v2 10-16 rwA 10 a1"},
        lists={1: "v2 v5"},
        merges="12-14 case 6 ok ok",
    ),
    Example(
        "D2a, 11.10 fixed: the merged vma joins the list before the source leaves it",
        f"{D2A}; referenced 10; referenced 11",
        rules=("fix_move_merge",),
        layout={1: "v3 8-12 rwA 8 a1"},
        lists={1: "v3"},
        pages={1: "1 a1 10", 2: "1 a1 11"},
        merges="10-12 case 2 ok -",
        walks="1: hits 1, referenced; 1: hits 1, referenced",
        figures={"findings.unreachable_pages": 0, "anon_vmas.freed": 0},
    ),
    Example(
        "D2, 11.10 file form fixed",
        "map 10 12 rw file f 0; map 50 52 rw file f 2; w 50; move 50 52 12; referenced 12",
        rules=("fix_move_merge",),
        layout={1: "v1 10-14 rwA 0 a1 f"},
        lists={1: "v1"},
        pages={1: "1 a1 2"},
        walks="1: hits 1, referenced",
        figures={"findings.dangling_pages": 0},
    ),
    Example(
        "D2, 11.10b fixed",
        "map 10 12 rw; w 10; move 10 12 50; map 8 10 rw; map 12 14 rw; move 50 52 10; referenced 10",
        rules=("fix_move_merge",),
        layout={1: "v3 8-14 rwA 8 a1"},
        lists={1: "v3"},
        merges="10-12 case 1 ok ok",
        walks="1: hits 1, referenced",
        figures={"findings.unreachable_pages": 0},
    ),
    Example(
        "D2 is not covered by the fix of June 2004",
        D2A,
        rules=("fix_propagate",),
        layout={1: "v3 8-12 rwA 8 -"},
        lists={},
        figures={"findings.dangling_pages": 2},
    ),
    Example(
        "D2 nor by that of 2.6.11",
        D2A,
        rules=("propagate_all",),
        layout={1: "v3 8-12 rwA 8 -"},
        lists={},
        figures={"findings.dangling_pages": 2},
    ),
    Example(
        "D1 is not covered by the fix of moves",
        f"{D1A}; referenced 11",
        rules=("fix_move_merge",),
        lists={1: "v2"},
        figures={"findings.unreachable_pages": 1},
    ),
]

RMAP40 = [
    Example(
        "D3 rmap 40: the second write takes over the neighbour's anon_vma",
        D3,
        rules=("rmap40",),
        layout={1: "v2 10-12 rwA 10 a1; v1 12-14 rwxA 12 a1"},
        lists={1: "v1 v2"},
        pages={2: "1 a1 12"},
        figures={"anon_vmas.allocated": 1},
    ),
    Example(
        "D3 rmap 40: and then the two can be joined again",
        f"{D3}; prot 12 14 rw",
        rules=("rmap40",),
        layout={1: "v2 10-14 rwA 10 a1"},
        lists={1: "v2"},
        merges="12-14 case 7 ok -",
        figures={"merges.refused_new": 0},
    ),
    Example(
        "D3 rmap 40 asks the vma behind before the one in front",
        "map 10 16 rw; prot 12 14 rwx; w 10; w 15; w 12",
        rules=("rmap40",),
        layout={1: "v2 10-12 rwA 10 a1; v1 12-14 rwxA 12 a2; v3 14-16 rwA 14 a2"},
        lists={1: "v2", 2: "v1 v3"},
    ),
    Example(
        "D3 rmap 40 looks at touching neighbours only",
        "map 10 12 rw; w 10; map 13 15 rw; w 13",
        rules=("rmap40",),
        lists={1: "v1", 2: "v2"},
    ),
    Example(
        "D3 rmap 40 ignores differences of protection, and no others",
        "map 10 14 rw; mlock 12 14; w 10",
        rules=("rmap40",),
        layout={1: "v2 10-12 rwA 10 a2; v1 12-14 rwAL 12 a1"},
        lists={1: "v1", 2: "v2"},
    ),
    Example(
        "D3 rmap 40 does not ask whether the flags forbid merging",
        "map 10 14 rw; advise 10 14 dontfork; prot 12 14 r; w 10; prot 12 14 rw; w 12",
        rules=("rmap40",),
        lists={1: "v1 v2"},
        merges="12-14 case 0 special special",
    ),
    Example(
        "D3 rmap 40 asks for a fitting pgoff: a moved vma is no neighbour",
        "map 10 12 rw; w 10; move 10 12 50; map 52 54 rw; w 52",
        rules=("rmap40",),
        lists={1: "v2", 2: "v3"},
    ),
    Example(
        "11.2 rmap 40 does not help: at the second write no neighbour touches",
        "map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw",
        rules=("rmap40",),
        layout={1: "v1 10-16 rwA 10 a1; v2 16-18 rwA 16 a2"},
        merges="14-16 case 2 ok prev_next!",
    ),
    Example(
        "11.5 rmap 40 does not help: the pieces between were never written",
        f"map 10 20 rw; {ALTERNATING}; w 11,13,15,17,19; prot 10 20 rw",
        rules=("rmap40",),
        layout={
            1: "v1 10-13 rwA 10 a1; v5 13-15 rwA 13 a2; v7 15-17 rwA 15 a3; v9 17-19 rwA 17 a4;"
            " v10 19-20 rwA 19 a5"
        },
        merges="10-11 case 8 - ok; 12-13 case 7 ok prev_next!; 14-15 case 7 ok prev_next!;"
        " 16-17 case 7 ok prev_next!; 18-19 case 7 ok prev_next!",
        figures={"merges.refused_new": 4},
    ),
]

BEFORE = [
    Example(
        "11.2 before rmap 39: the hole joins both sides",
        "map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw",
        rules=("merge_pre_rmap39",),
        layout={1: "v1 10-18 rwA"},
        merges="14-16 case 1 ok ok",
        figures={"merges.refused.prev_next": 0, "merges.refused_new": 0, "vmas.live": 1},
    ),
    Example(
        "11.5 before rmap 39: all become one vma again",
        f"map 10 20 rw; {ALTERNATING}; w 11,13,15,17,19; prot 10 20 rw",
        rules=("merge_pre_rmap39",),
        layout={1: "v1 10-20 rwA"},
        merges="10-11 case 8 - ok; 12-13 case 6 ok ok; 14-15 case 6 ok ok; 16-17 case 6 ok ok;"
        " 18-19 case 6 ok ok",
        figures={"merges.refused_new": 0},
    ),
    Example(
        "11.9 before rmap 39: a moved vma goes on merging",
        "map 10 12 rw; w 10; move 10 12 50; map 52 54 rw",
        rules=("merge_pre_rmap39",),
        layout={1: "v2 50-54 rwA"},
        merges="52-54 case 2 ok -",
        figures={"merges.refused.pgoff_anon": 0},
    ),
    Example(
        "11.15 before rmap 39: offsets in a file had to fit already",
        "map 10 14 rw file f 100; map 14 16 rw file f 104; map 16 18 rw file f 200",
        rules=("merge_pre_rmap39",),
        layout={1: "v1 10-16 rwA 100 f; v2 16-18 rwA 200 f"},
        merges="14-16 case 2 ok -; 16-18 case 0 pgoff_file -",
    ),
    Example(
        "11.17 before rmap 39: ACCOUNT kept mappings apart already",
        "map 10 12 r; map 12 14 rw; prot 12 14 r",
        rules=("merge_pre_rmap39",),
        layout={1: "v1 10-12 r; v2 12-14 rA"},
        merges="12-14 case 0 flags -; 12-14 case 0 flags -",
    ),
    Example(
        "11.24c before rmap 39: the source and its new neighbour become one",
        "map 46 48 rw; w 46; map 50 52 rw; w 50; move 50 52 48",
        rules=("merge_pre_rmap39",),
        layout={1: "v1 46-50 rwA"},
        merges="48-50 case 1 ok ok self",
    ),
    Example(
        "D3 before rmap 39: neighbours written apart are joined",
        f"{D3}; prot 12 14 rw",
        rules=("merge_pre_rmap39",),
        layout={1: "v2 10-14 rwA"},
        merges="12-14 case 7 ok -",
    ),
]

FILES = [
    Example(
        "14 the linear walk goes over the vmas that cover the index, by offset",
        "map 20 24 r file f 2; map 10 14 rw shared file f 0; r 12; r 20; r 13; reclaim file f 2",
        # v2 has pgoff 0 and comes first; the pte of page 13 holds another page and is not looked at.
        file_walks="2: hits 2, referenced",
        figures={"file_reclaim.activated": 1, "file_reclaim.pages": 1, "reclaim.walks": 0},
    ),
    Example(
        "14 a hit becomes None, never a swap entry",
        "map 20 24 r file f 2; map 10 14 rw shared file f 0; r 12; r 20; reclaim file f 2; reclaim file f 2",
        ptes={1: ""},
        rss={1: 0},
        slots={},
        file_walks="2: hits 2, referenced; 2: hits 2, not_referenced; 2: hits 2, success",
        figures={"file_reclaim.unmapped": 1, "file_reclaim.walks": 3, "file_reclaim.hits": 6},
    ),
    Example(
        "14 a copied page of the same mapping is another page",
        "map 10 12 rw file f 0; w 10; map 20 22 r file f 0; r 20; reclaim file f 0",
        ptes={1: "10 p1w, 20 f+0"},
        file_walks="2: other 1, hits 1, referenced",
    ),
    Example(
        "14 an mm without pages is passed over, and no index is out of range",
        "map 10 12 r file f 0; r 10; fork m2; dontneed 10 12; reclaim file f 0",
        ptes={1: "", 2: ""},
        rss={1: 0, 2: 0},
        # Fork left the child's pte old, so that the test finds nothing and the unmap follows at once.
        file_walks="2: rss 1, hits 1, not_referenced; 2: rss 1, hits 1, success",
        figures={"file_reclaim.miss_range": 0},
    ),
    Example(
        "14 a locked shared mapping counts as a reference and ends the test",
        "map 10 12 rw shared file f 0; r 10; fork m2; mlock 10 12; reclaim file f 0",
        ptes={1: "10 f+0w, 11 f+1w", 2: "10 f+0w"},
        file_walks="1: early, referenced",
        figures={"file_reclaim.activated": 1, "file_reclaim.hits": 0, "file_reclaim.unreachable": 0},
    ),
    Example(
        "14 a locked private one does not, but stops the unmap",
        "map 10 12 r file f 0; r 10; mlock 10 11; reclaim file f 0; reclaim file f 0",
        ptes={1: "10 f+0"},
        file_walks="1: hits 1, referenced; 1: hits 1, not_referenced; 1: hits 1, fail_locked",
        figures={"file_reclaim.locked_fail": 1, "file_reclaim.activated": 2, "file_reclaim.unmapped": 0},
    ),
    Example(
        "14 the walk ends where all mappers are found",
        "map 10 12 r file f 0; map 20 22 r file f 0; r 10; reclaim file f 0",
        file_walks="1: hits 1, early, referenced",
        figures={"file_reclaim.early_stops": 1, "file_reclaim.list_length_sum": 2},
    ),
]

EXAMPLES = [*MERGING, *FORKS, *MOVES, *RECLAIM, *DEFECTS, *FIXED, *RMAP40, *BEFORE, *FILES]
