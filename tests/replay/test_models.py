"""The slow models of the schemes: what the specification says of each, by worked example and closed form."""

from __future__ import annotations

import numpy as np
import pytest

from .generated import events, family_pids, fork_family, to_batches, walk_every_page
from .models import MODELS
from .scenario_text import scenario_rows

BEFORE = ("pte_chain", "anonmm")  # schemes that merge by the rules before rmap 39
CHAINS = ("anon_vma_chain", "linux6")
ALL = tuple(MODELS)


def replay(scheme, scenario, rules=(), **options):
    """Replay a scenario, or rows; after each event nothing may be broken that no defect explains."""
    model = MODELS[scheme](rules=rules, **options)
    for row in scenario_rows(scenario) if isinstance(scenario, str) else scenario:
        model.feed(row)
        assert model.violations() == []
    return model


def replay_family(scheme, *pieces):
    model = MODELS[scheme]()
    for batch in to_batches(np.concatenate(pieces)):
        for row in batch.to_pylist():
            model.feed(row)
    assert model.violations() == []
    return model


def borders(model, pid=1):
    return [(v.start, v.end) for v in model.processes[pid].mm.vmas]


def sides(model):
    """Return (case, left, right) of the last attempt to merge."""
    row = model.merges[-1]
    return row["case"], row["left"], row["right"]


def last_walk(model):
    return {
        name: value for name, value in model.walks[-1].items() if value and name not in ("event", "ts", "pid")
    }


def vma_at(model, vpn, pid=1):
    return model.processes[pid].mm.vma_at(vpn)


# ---- fork families: section 10, small


SIZES = [(1, 1), (4, 2), (7, 5)]


@pytest.mark.parametrize(("n_children", "n_pages"), SIZES)
@pytest.mark.parametrize("scheme", ALL)
def test_walking_all_pages_after_all_were_copied(scheme, n_children, n_pages):
    """Under rmap 39 P (N+1)(N+2) / 2 vmas are visited, under every other scheme one for each page."""
    model = replay_family(scheme, fork_family(n_children, n_pages), walk_every_page(n_children, n_pages))
    reclaim, pages = model.summary()["reclaim"], n_pages * (n_children + 1)
    visits = pages * (n_children + 2) // 2 if scheme == "anon_vma" else pages
    assert (reclaim["walks"], reclaim["hits"], reclaim["vmas_visited"]) == (pages, pages, visits)
    assert reclaim["miss_other"] == visits - pages
    allocated = {"pte_chain": 0, "anon_vma": 1}.get(scheme, n_children + 1)
    assert model.summary()["anon_vmas"]["allocated"] == allocated
    insertions = {"anon_vma": n_children, "anonmm": n_children, "pte_chain": n_children * n_pages}
    assert model.counts["fork_insertions"] == insertions.get(scheme, 2 * n_children)
    if scheme in CHAINS:
        assert model.counts["avcs_live"] == 2 * n_children + 1
    # The parent's list is as long as the family; with chains a child has one of its own.
    lists = dict.fromkeys(CHAINS, n_pages * (n_children + 1) + pages - n_pages) | {"pte_chain": pages}
    assert reclaim["list_length_sum"] == lists.get(scheme, pages * (n_children + 1))


@pytest.mark.parametrize("scheme", ALL)
def test_walking_all_pages_before_any_is_copied(scheme):
    """All N+1 mappers are found, whatever the scheme; nothing else is met."""
    model = replay_family(scheme, fork_family(6, 3, copied=False), walk_every_page(0, 3))
    reclaim = model.summary()["reclaim"]
    assert (reclaim["walks"], reclaim["vmas_visited"], reclaim["hits"]) == (3, 21, 21)
    assert reclaim["early_stops"] == 0


@pytest.mark.parametrize(("n_children", "blocks"), [(0, 0), (1, 1), (30, 1), (31, 2), (62, 3)])
def test_a_page_of_n_ptes_needs_a_block_for_each_31(n_children, blocks):
    model = replay_family("pte_chain", fork_family(n_children, 2, copied=False))
    assert model.blocks["i386"] == 2 * blocks == 2 * (-(-(n_children + 1) // 31) if n_children else 0)
    assert model.blocks["x86_64"] == 2 * (-(-(n_children + 1) // 7) if n_children else 0)
    assert model.counts["rmap_adds"] == 2 * (n_children + 1)
    assert model.summary()["overhead_bytes"] == {"i386": 256 * blocks, "x86_64": 64 * model.blocks["x86_64"]}


@pytest.mark.parametrize(("line", "i386", "x86_64"), [(32, 7, 3), (64, 15, 7), (128, 31, 15)])
def test_a_block_holds_what_fits_beside_a_pointer(line, i386, x86_64):
    assert MODELS["pte_chain"](pte_chain_line=line).entries_per_block == {"i386": i386, "x86_64": x86_64}


@pytest.mark.parametrize("scheme", ALL)
def test_after_the_parent_has_gone(scheme):
    """rmap 39: child k still N+1-k; the others one, but the parent's anonmm is gone with its pages."""
    n = 5
    walks = events("referenced", family_pids(n)[1:], 0x10000)
    model = replay_family(scheme, fork_family(n, 1), events("exit", 1), walks)
    visited = [row["vmas_visited"] for row in model.walks]
    assert visited == ([5, 4, 3, 2, 1] if scheme == "anon_vma" else [1] * n)


@pytest.mark.parametrize("scheme", ["anon_vma", *CHAINS])
def test_a_vma_in_three_pieces_is_met_as_often_unless_a_tree_is_asked(scheme):
    n, pages = 4, 6
    model = replay_family(scheme, fork_family(n, pages, split=True), walk_every_page(n, pages))
    reclaim = model.summary()["reclaim"]
    assert model.summary()["anon_vmas"]["longest_list"] == 3 * (n + 1)
    assert (reclaim["miss_range"] == 0) == (scheme == "linux6")


def test_bytes_of_a_family():
    """2N+1 avcs: 48,024 and 96,048 bytes of N = 1000, here N = 4 with its anon_vmas and fields of vmas."""
    size = {scheme: replay_family(scheme, fork_family(4, 2)).summary()["overhead_bytes"] for scheme in ALL}
    assert size["anon_vma"] == {"i386": 12 * 5 + 12, "x86_64": 24 * 5 + 24}
    assert size["anon_vma_chain"] == {"i386": 12 * 5 + 12 * 5 + 24 * 9, "x86_64": 24 * 5 + 24 * 5 + 48 * 9}
    assert size["linux6"] == {"i386": None, "x86_64": 24 * 5 + 96 * 5 + 64 * 9}
    assert size["anonmm"] == {"i386": 24 * 5 + 4 * 5, "x86_64": 40 * 5 + 8 * 5}
    assert size["pte_chain"] == {"i386": 2 * 128, "x86_64": 2 * 64}


# ---- worked examples that name other schemes

FAMILY = "map 10 12 rw; w 10,11; fork m2; fork m3; fork m4; fork m5; "
FAMILY += "".join(f"m{pid}: w 10,11; " for pid in (2, 3, 4, 5))
FAMILY += "; ".join(f"m{pid}: referenced 10,11" for pid in (5, 4, 3, 2, 1))


@pytest.mark.parametrize("scheme", ALL)
def test_11_20_four_children_and_two_pages(scheme):
    model = replay(scheme, FAMILY)
    visited = sorted((row["vmas_visited"] for row in model.walks), reverse=True)
    if scheme == "anon_vma":
        assert visited == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
        assert model.summary()["reclaim"]["miss_other"] == 20
    else:
        assert visited == [1] * 10
    expected = {"anon_vma": (1, 0, 4), "anon_vma_chain": (5, 9, 8), "linux6": (5, 9, 8)}
    if scheme in expected:
        figures = (
            model.summary()["anon_vmas"]["live"],
            model.counts["avcs_live"],
            model.counts["fork_insertions"],
        )
        assert figures == expected[scheme]


CHAIN_OF_FORKS = "map 10 11 rw; w 10; fork m2; exit; " + "".join(
    f"m{pid}: fork m{pid + 1}; m{pid}: exit; " for pid in range(2, 7)
)


def avcs_of_each_generation(scheme):
    found, model = [], MODELS[scheme]()
    for row in scenario_rows(CHAIN_OF_FORKS):
        model.feed(row)
        if row["op"] == "fork":
            found.append(len(vma_at(model, 10, row["child"]).chain))
        assert model.violations() == []
    return found, model


def test_11_21_a_chain_of_forks_whose_parents_exit():
    found, model = avcs_of_each_generation("anon_vma_chain")
    assert found == [2, 3, 4, 5, 6, 7]
    assert model.summary()["anon_vmas"]["live"] == 7  # all ancestors' are kept
    found, model = avcs_of_each_generation("linux6")
    assert found == [2, 3, 3, 3, 3, 3]
    # From C3 on each takes over that of its grandparent: C1's and C2's by turns.
    assert [anon_vma.id for anon_vma in vma_at(model, 10, 7).chain] == [3, 2, 1]
    assert vma_at(model, 10, 7).anon_vma.id == 3
    assert model.summary()["anon_vmas"]["allocated"] == 3
    assert [len(a.list) for a in replay("anon_vma", CHAIN_OF_FORKS).anon_vmas] == [1]


D1A = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"
D1A_NORESERVE = "map 10 14 rw noreserve; prot 12 14 r; w 11; prot 11 12 r"


def test_11_22a_boundary_shift_by_era():
    found = replay("anon_vma", D1A)
    assert (sides(found)[0], borders(found)) == (4, [(10, 11), (11, 14)])
    assert found.findings() != []  # D1
    found = replay("anon_vma_chain", D1A)
    assert (sides(found), borders(found)) == ((4, "not_adjacent", "ok"), [(10, 11), (11, 14)])
    assert found.findings() == [] and vma_at(found, 11).anon_vma is vma_at(found, 10).anon_vma
    found = replay("anon_vma_chain", D1A, rules=["avc_rule_2011"])
    assert (sides(found), len(borders(found))) == ((0, "not_adjacent", "cloned"), 3)
    found = replay("linux6", D1A)
    assert (sides(found), len(borders(found))) == ((0, "not_adjacent", "flags"), 3)
    assert vma_at(found, 12).flags == {"READ"} and vma_at(found, 11).flags == {"READ", "ACCOUNT"}
    found = replay("linux6", D1A_NORESERVE)
    assert (sides(found), borders(found)) == ((4, "not_adjacent", "ok"), [(10, 11), (11, 14)])
    assert (
        found.findings() == [] and last_walk(replay("linux6", D1A_NORESERVE + "; referenced 11"))["hits"] == 1
    )


GROWTH_AFTER_FORK = "map 10 12 rw; w 10; fork m2; m2: map 12 14 rw"


@pytest.mark.parametrize(
    ("scheme", "rules", "expected"),
    [
        ("anon_vma", (), (2, "ok", "not_adjacent")),
        ("anon_vma_chain", (), (2, "ok", "not_adjacent")),
        ("anon_vma_chain", ("avc_rule_2011",), (0, "cloned", "not_adjacent")),
        ("linux6", (), (0, "cloned", "not_adjacent")),
    ],
)
def test_11_22b_growth_after_fork(scheme, rules, expected):
    model = replay(scheme, GROWTH_AFTER_FORK, rules)
    assert sides(model) == expected
    assert len(borders(model, 2)) == (1 if expected[0] else 2)
    assert model.merges[-1]["left_new"] == (expected[1] == "cloned")
    assert sides(replay(scheme, GROWTH_AFTER_FORK + "; map 12 14 rw", rules)) == (2, "ok", "not_adjacent")


HOLE = "map 10 14 rw; w 10; map 16 18 rw; w 16; map 14 16 rw"


@pytest.mark.parametrize("scheme", ALL)
def test_11_2_and_11_22c_filling_a_hole(scheme):
    model = replay(scheme, HOLE)
    if scheme in BEFORE:
        assert (sides(model), borders(model)) == ((1, "ok", "ok"), [(10, 18)])
    else:
        assert (sides(model), borders(model)) == ((2, "ok", "prev_next"), [(10, 16), (16, 18)])


ALTERNATING = "map 10 20 rw; prot 10 11 r; prot 12 13 r; prot 14 15 r; prot 16 17 r; prot 18 19 r; "
ALTERNATING += "w 11,13,15,17,19; prot 10 20 rw"


@pytest.mark.parametrize("scheme", BEFORE)
def test_before_rmap_39_nothing_is_refused_for_its_anon_vma_or_pgoff(scheme):
    model = replay(scheme, ALTERNATING)  # 11.5
    assert borders(model) == [(10, 20)]
    assert [row["case"] for row in model.merges[-5:]] == [8, 6, 6, 6, 6]
    assert model.summary()["merges"]["refused_new"] == 0
    model = replay(scheme, "map 10 12 rw; w 10; move 10 12 50; map 52 54 rw")  # 11.9
    assert (sides(model), borders(model)) == ((2, "ok", "not_adjacent"), [(50, 54)])


MOVE = "map 10 14 rw; w 10,13; fork m2; move 12 14 50"


def test_11_7_move_of_shared_pages():
    model = replay("anonmm", MOVE + "; m2: referenced 13; referenced 51")
    assert model.counts["mremap_copies"] == 1
    shared, copied = model.walks
    assert (shared["vmas_visited"], shared["miss_none"], shared["hits"]) == (2, 1, 1)
    assert (copied["vmas_visited"], copied["hits"]) == (1, 1)
    assert model.processes[1].mm.ptes[51].page.index == 51
    before, model = replay("pte_chain", MOVE[: -len("; move 12 14 50")]), replay("pte_chain", MOVE)
    assert (before.blocks["i386"], model.blocks["i386"]) == (2, 2)
    assert model.counts["rmap_removes"] == 1 and model.counts["rmap_remove_steps"] == 2
    assert model.counts["rmap_adds"] == before.counts["rmap_adds"] + 1
    for scheme in ("anon_vma", *CHAINS):
        assert replay(scheme, MOVE).counts["mremap_copies"] == 0


D2A = "map 10 12 rw; w 10,11; move 10 12 50; map 8 10 rw; move 50 52 10"


def test_d2_by_scheme():
    """pte_chain and anonmm never had it; the 2010 rule still has; that of 2011 refuses; today it is fixed."""
    for scheme in ("anon_vma", "anon_vma_chain"):
        model = replay(scheme, D2A + "; referenced 10")
        assert model.findings() and model.summary()["findings"]["dangling_pages"] == 2
        assert model.walks[-1]["outcome"] == "bug:empty_anon_vma"
    for scheme in BEFORE:
        assert replay(scheme, D2A).findings() == []
    model = replay("anon_vma_chain", D2A, rules=["avc_rule_2011"])
    assert sides(model) == (0, "cloned", "not_adjacent") and model.findings() == []
    model = replay("linux6", D2A + "; referenced 10,11")
    assert borders(model) == [(8, 12)] and model.findings() == []
    assert [row["hits"] for row in model.walks] == [1, 1]


# ---- pte_chain


def test_a_chain_of_one_entry_becomes_direct_when_it_is_looked_at():
    model = replay("pte_chain", "map 10 11 rw; w 10; fork m2; fork m3; m2: exit; m3: exit")
    assert model.blocks["i386"] == 1
    model = replay("pte_chain", "map 10 11 rw; w 10; fork m2; m2: exit; referenced 10")
    assert model.blocks["i386"] == 0


def test_the_first_entry_takes_the_place_of_a_removed_one():
    model = replay("pte_chain", "map 10 11 rw; w 10; fork m2; fork m3; fork m4")
    assert [mm.owner.pid for mm, _ in model.pages[1].entries] == [4, 3, 2, 1]
    model.feed({"op": "exit", "pid": 2})
    assert [mm.owner.pid for mm, _ in model.pages[1].entries] == [3, 4, 1]
    assert model.counts["rmap_remove_steps"] == 3


def test_pte_chains_unmap_young_ptes_but_not_locked_ones():
    model = replay("pte_chain", "map 10 11 rw; w 10; fork m2; try_unmap 10")
    assert (model.walks[-1]["outcome"], model.counts["find_vma"]) == ("success", 2)
    model = replay("pte_chain", "map 10 11 rw; w 10; fork m2; mlock 10 11; try_unmap 10")
    assert model.walks[-1]["outcome"] == "fail_locked"


# ---- anonmm


def test_a_walk_goes_round_the_ring_from_the_pages_own_anonmm():
    model = replay(
        "anonmm", "map 10 11 rw; fork m2; fork m3; m2: w 10; m2: fork m4; referenced 10; m4: referenced 10"
    )
    # Ring: 1 2 3 4. m2's page: its own, 3 (no pte), 4.
    assert last_walk(model)["vmas_visited"] == 3
    assert (model.walks[-1]["miss_rss"], model.walks[-1]["hits"], model.walks[-1]["list_length"]) == (1, 2, 4)


def test_the_anonmm_of_a_dead_process_lives_while_pages_point_to_it():
    model = replay("anonmm", "map 10 11 rw; w 10; fork m2; exit; m2: referenced 10; m2: referenced 10")
    first, second = model.walks
    assert (first["vmas_visited"], first["hits"], second["vmas_visited"]) == (2, 1, 1)
    assert (model.counts["miss_extinct"], model.counts["migrations"]) == (1, 1)
    assert model.summary()["anon_vmas"]["live"] == 2  # the head lives while it has members
    assert replay("anonmm", "map 10 11 rw; w 10; fork m2; exit; m2: exit").summary()["anon_vmas"]["live"] == 0


def test_exec_begins_a_family():
    model = replay("anonmm", "map 10 11 rw; fork m2; m2: exec; m2: fork m3")
    rings = {pid: [a.id for a in process.mm.anonmm.list] for pid, process in model.processes.items()}
    assert rings == {1: [1], 2: [3, 4], 3: [3, 4]}


def test_a_moved_swap_pte_is_copied_when_it_comes_back_elsewhere():
    model = replay("anonmm", "map 10 11 rw; w 10; fork m2; swap_out 10; move 10 11 50; m2: r 10; r 50")
    assert model.counts["swapin_copies"] == 1
    assert model.processes[1].mm.ptes[50].page is not model.processes[2].mm.ptes[10].page
    assert (
        replay("anonmm", "map 10 11 rw; w 10; swap_out 10; move 10 11 50; r 50").counts["swapin_copies"] == 0
    )


# ---- anon_vma_chain


def test_a_neighbours_anon_vma_is_lent_unless_it_was_inherited():
    text = "map 10 14 rw; prot 12 14 rwx; w 10; w 12"
    for scheme in CHAINS:
        assert replay(scheme, text).summary()["anon_vmas"]["allocated"] == 1
        assert (
            replay(scheme, text.replace("w 12", "fork m2; m2: w 12")).summary()["anon_vmas"]["allocated"] == 3
        )
    assert replay("anon_vma", text).summary()["anon_vmas"]["allocated"] == 2
    model = replay("anon_vma_chain", text)
    assert [v.start for v in model.anon_vmas[0].list] == [12, 10]  # 2.6.34: at the head


def test_forks_append_at_the_tail_and_are_walked_oldest_first():
    model = replay("anon_vma_chain", "map 10 12 rw; w 10; fork m2; fork m3; m2: fork m4; referenced 10")
    assert [v.mm.owner.pid for v in model.anon_vmas[0].list] == [1, 2, 3, 4]
    assert [anon_vma.id for anon_vma in vma_at(model, 10, 4).chain] == [4, 2, 1]
    assert model.walks[-1]["vmas_visited"] == 4


@pytest.mark.parametrize("scheme", CHAINS)
def test_a_page_written_alone_moves_to_the_vmas_own_anon_vma(scheme):
    model = replay(scheme, "map 10 12 rw; w 10; fork m2; exit; m2: w 10; m2: referenced 10")
    assert (model.counts["cow_reuses"], model.walks[-1]["anon_vma"]) == (1, 2)


@pytest.mark.parametrize(("scheme", "home"), [("anon_vma_chain", 1), ("linux6", 2)])
def test_where_a_page_read_from_swap_belongs(scheme, home):
    """2.6.34: to the oldest anon_vma unless it is written at once; today to the own if nobody else has it."""
    alone = "map 10 12 rw; w 10; fork m2; m2: w 10; m2: swap_out 10; m2: r 10"
    assert replay(scheme, alone).processes[2].mm.ptes[10].page.mapping.id == home
    written = alone.replace("r 10", "w 10")
    assert replay(scheme, written).processes[2].mm.ptes[10].page.mapping.id == 2
    shared = "map 10 12 rw; w 10; fork m2; swap_out 10; m2: r 10; r 10; m2: referenced 10"
    model = replay(scheme, shared)
    assert (model.walks[-1]["anon_vma"], model.walks[-1]["hits"]) == (1, 2)


# ---- linux6


def test_roots_are_not_taken_over_while_they_have_a_child():
    model = replay("linux6", "map 10 11 rw; w 10; fork m2; exit; m2: fork m3")
    assert [anon_vma.id for anon_vma in vma_at(model, 10, 3).chain] == [3, 2, 1]


def test_the_heap_is_extended_only_above_its_start():
    model = replay(
        "linux6",
        "map 10 20 rwx; brk 20; brk 22; brk 24; brk 20; brk 21; map 22 24 rwx; brk 22",
        brk_flags="rwx",
    )
    assert borders(model) == [(10, 20), (20, 22), (22, 24)]
    assert [(row["case"], row["left"], row["right"]) for row in model.merges if row["op"] == "brk"] == [
        (2, "ok", "not_adjacent"),
        (2, "ok", "not_adjacent"),
    ]


def rows_of(text, **columns):
    """Return the rows of a scenario, the last with other columns."""
    rows = scenario_rows(text)
    rows[-1] |= columns
    return rows


@pytest.mark.parametrize(
    ("flags", "expected"), [(0x22, (2, "ok")), (0x20022, (0, "flags")), (0x4022, (0, "flags"))]
)
def test_stacks_of_threads_and_noreserve_mappings_stay_apart(flags, expected):
    model = replay("linux6", rows_of("map 10 12 rw; map 12 14 rw", flags=flags))
    assert sides(model)[:2] == expected


def test_what_was_never_written_gives_its_account_back():
    model = replay("linux6", "map 10 12 rw; prot 10 12 r; map 12 14 r")
    assert borders(model) == [(10, 14)]
    model = replay("linux6", "map 10 12 rw; w 10; prot 10 12 r; map 12 14 r")
    assert sides(model)[:2] == (0, "flags")


def test_advice_and_locks_merge_and_what_changes_nothing_does_nothing():
    model = replay("linux6", "map 10 16 r; mlock 12 14; munlock 12 14")
    assert borders(model) == [(10, 16)] and sides(model) == (6, "ok", "ok")
    model = replay("linux6", "map 10 16 r; advise 12 14 random; advise 12 14 normal; advise 13 14 normal")
    assert borders(model) == [(10, 16)] and len(model.merges) == 3
    model = replay("linux6", "map 10 16 r; advise 12 14 dontfork; advise 14 15 dontfork")
    assert borders(model) == [(10, 12), (12, 15), (15, 16)]  # DONTCOPY is not special
    huge = rows_of("map 10 16 r; advise 12 14 normal", flags=15)
    model = replay("linux6", huge)
    assert len(borders(model)) == 3 and "NOHUGEPAGE" in vma_at(model, 12).flags
    model = replay("linux6", rows_of("map 10 16 r; advise 12 14 normal", flags=8))  # FREE
    assert borders(model) == [(10, 16)]


def test_growth_in_place_takes_the_neighbour_too():
    assert sides(replay("linux6", "map 10 12 rw; map 14 16 rw; resize 10 12 14")) == (1, "ok", "ok")
    model = replay("linux6", "map 10 12 rw; w 10; map 14 16 rw; w 14; resize 10 12 14")
    assert sides(model) == (2, "ok", "anon_diff")


def test_shared_anonymous_mappings_begin_at_0():
    rows = rows_of("map 10 12 rw shared", pgoff=3)
    assert vma_at(replay("linux6", rows), 10).pgoff == 0
    assert vma_at(replay("anon_vma", rows), 10).pgoff == 3


def test_what_a_move_without_unmap_leaves():
    model = replay("linux6", rows_of("map 10 14 rw; w 10; move 10 14 20", flags=7))
    assert vma_at(model, 10).anon_vma is None and vma_at(model, 10).flags == {"READ", "WRITE"}
    rows = scenario_rows("map 10 14 rw; w 10; move 10 12 20")
    rows[-1]["flags"] = 7
    assert vma_at(replay("linux6", rows), 10).anon_vma is not None


def test_a_move_may_span_vmas():
    text = "map 10 12 rw; map 12 14 r; move 10 14 20"
    assert {scheme: replay(scheme, text).counts["span_forced"] for scheme in ALL} == {
        scheme: int(scheme != "linux6") for scheme in ALL
    }
