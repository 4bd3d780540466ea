"""The slow model itself: rules of the notes on the semantics that no worked example shows, invariants."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.events import EVENT_SCHEMA, OPS, TraceMetadata
from anonvma_trace.tables import TABLES, empty_summary

from .naive import NaiveReplay, page_range
from .random_events import random_rows
from .scenario_text import scenario_rows

UNKNOWN = TraceMetadata(complete=False)
PAGE = 4096


def replay(scenario, metadata=None, **options):
    """Replay a scenario, or rows; after each event nothing may be broken that no defect explains."""
    model = NaiveReplay(metadata, **options)
    for row in scenario_rows(scenario) if isinstance(scenario, str) else scenario:
        model.feed(row)
        assert model.violations() == []
    return model


def layout(model, pid=1):
    return [(start, end, flags) for start, end, flags, *_ in model.state()["mms"][pid]["vmas"]]


def ptes(model, pid=1):
    return model.state()["mms"][pid]["ptes"]


# ---- ranges


@pytest.mark.parametrize(
    ("addr", "length", "expected"),
    [
        (PAGE, PAGE, (1, 2)),
        (PAGE + 1, PAGE, (1, 3)),  # touches a second page
        (PAGE - 1, 1, (0, 1)),
        (PAGE, 0, (1, 1)),  # nothing
        (PAGE + 5, 0, (1, 1)),
        (2**64 - PAGE, 2 * PAGE, (2**52 - 1, 2**52)),  # ends with the address space
    ],
)
def test_a_range_covers_every_page_it_touches(addr, length, expected):
    assert page_range(addr, length) == expected


# ---- layout


def test_mmap_clears_its_range_first():
    assert layout(replay("map 10 20 r; map 12 14 rw")) == [
        (10, 12, ""),
        (12, 14, "ACCOUNT"),
        (14, 20, ""),
    ]


def test_shared_anonymous_mappings_get_a_file_each_and_never_merge():
    model = replay("map 10 12 rw shared; map 12 14 rw shared; w 10")
    assert model.state()["mms"][1]["vmas"] == [
        (10, 12, "SHARED", 3, 0, "shm:1", None),
        (12, 14, "SHARED", 3, 0, "shm:2", None),
    ]
    assert model.merges == []  # they are not even offered
    assert ptes(model) == {10: ("file", "shm:1", 0, True, True, True)}


def test_noreserve_mappings_have_no_account():
    assert layout(replay("map 10 12 rw noreserve")) == [(10, 12, "")]


@pytest.mark.parametrize(("brk_flags", "prot"), [(None, 7), ("rwx", 7), ("rw", 3)])
def test_the_first_brk_fixes_the_start_of_the_heap(brk_flags, prot):
    model = replay("brk 10; brk 12; w 11; brk 14; brk 11", brk_flags=brk_flags)
    assert model.state()["mms"][1]["vmas"] == [(10, 11, "ACCOUNT", prot, 10, None, 1)]
    assert model.state()["mms"][1]["brk"] == 11
    assert [(row["op"], row["case"]) for row in model.merges] == [("brk", 0), ("brk", 2)]


def test_mprotect_stops_at_a_hole():
    vmas = replay("map 10 12 rw; map 14 16 rw; prot 10 16 r").state()["mms"][1]["vmas"]
    assert [(start, prot) for start, _, _, prot, *_ in vmas] == [(10, 1), (14, 3)]


def test_advice_splits_and_never_merges():
    model = replay("map 10 16 rw; advise 12 14 random; advise 12 14 normal")
    assert layout(model) == [(10, 12, "ACCOUNT"), (12, 14, "ACCOUNT"), (14, 16, "ACCOUNT")]
    assert len(model.merges) == 1


def test_dontfork_mappings_are_special_and_not_inherited():
    model = replay("map 10 12 rw; map 20 22 rw; advise 10 12 dontfork; prot 10 12 r; fork m2")
    assert [(row["left"], row["right"]) for row in model.merges[-1:]] == [("special", "special")]
    assert layout(model, 2) == [(20, 22, "ACCOUNT")]
    assert model.summary()["merges"]["refused"]["special"] == 2


def test_dontneed_stops_at_a_locked_vma():
    model = replay("map 10 16 rw; w 10,12,14; mlock 12 13; dontneed 10 16")
    assert sorted(ptes(model)) == [12, 14]


def test_munlock_leaves_the_pieces():
    model = replay("map 10 16 r; mlock 12 14; mlock 12 14; munlock 12 14")
    assert layout(model) == [(10, 12, ""), (12, 14, ""), (14, 16, "")]
    assert model.summary()["vmas"]["splits"] == 2
    assert sorted(ptes(model)) == [12, 13]  # read faults: no WRITE


def test_mlock_writes_to_what_may_be_written():
    model = replay("map 10 14 rw; r 10; w 11; fork m2; mlock 10 13")
    assert [ptes(model)[vpn][0] for vpn in (10, 11, 12)] == ["page"] * 3
    assert all(ptes(model)[vpn][2] for vpn in (10, 11, 12))
    figures = model.summary()
    assert (figures["extra"]["zero_copies"], figures["pages"]["cow_copies"]) == (1, 1)
    assert layout(replay("map 10 12 rw locked; fork m2"), 2) == [(10, 12, "ACCOUNT")]  # not inherited


def test_a_move_without_unmap_leaves_the_old_vma_empty():
    rows = scenario_rows("map 10 12 rw; w 10; move 10 12 20")
    rows[-1]["flags"] |= 4
    model = replay(rows)
    assert [(start, anon_vma) for start, *_, anon_vma in model.state()["mms"][1]["vmas"]] == [
        (10, 1),
        (20, 1),
    ]
    assert list(ptes(model)) == [20]
    assert model.state()["anon_vmas"] == {1: [(1, 20), (1, 10)]}


def test_growth_in_place_takes_no_neighbour():
    model = replay("map 10 12 rw; map 14 16 rw; resize 10 12 14")
    assert layout(model) == [(10, 14, "ACCOUNT"), (14, 16, "ACCOUNT")]
    assert len(model.merges) == 2  # of the two mmaps


# ---- processes


def test_clone_vm_shares_the_mm_until_the_last_user_is_gone():
    model = replay("map 10 12 rw; w 10; fork m2 vm; exit; m2: w 11")
    assert model.state()["processes"] == {2: 2}
    assert model.state()["mms"][2]["owner"] == 1  # the one that made it
    assert sorted(ptes(model, 2)) == [10, 11]
    model = replay("map 10 12 rw; w 10; fork m2 vm; m2: exec; m2: exit")
    assert sorted(ptes(model)) == [10]


def test_fork_onto_a_living_pid_ends_it_first():
    model = replay("m2: map 30 32 rw; m2: w 30; map 10 12 rw; fork m2")
    assert layout(model, 2) == [(10, 12, "ACCOUNT")]
    assert model.summary()["anon_vmas"]["freed"] == 1
    assert [(row["pid"], row["first_event"], row["last_event"]) for row in model.process_rows()] == [
        (2, 1, 2),
        (1, 3, 4),
        (2, 4, 4),
    ]


def test_two_mms_of_one_maker_are_told_apart():
    model = replay("map 10 12 rw; fork m2 vm; exec; map 20 22 r")
    assert model.state()["processes"] == {1: 1, 2: 2}
    assert [mm["owner"] for mm in model.state()["mms"].values()] == [1, 1]


# ---- faults


def test_a_fault_outside_every_vma_of_a_known_process_does_nothing():
    model = replay("map 10 12 rw; w 20")
    assert layout(model) == [(10, 12, "ACCOUNT")]
    assert model.summary()["unmapped_faults"] == 1


def test_a_fault_that_is_forbidden_does_nothing_and_is_not_unmapped():
    model = replay("map 10 12 r; w 10; map 12 14 none; r 12")
    assert ptes(model) == {}
    assert model.summary()["unmapped_faults"] == 0


def test_unknown_processes_get_the_vmas_that_their_faults_prove():
    model = replay("w 10; w 11; r 12; r 13; map 14 15 r; w 12", UNKNOWN)
    # Readable and writable ones merge among themselves only; the last write gives its vma WRITE as a whole.
    assert model.state()["mms"][1]["vmas"] == [
        (10, 12, "ACCOUNT|UNKNOWN_ORIGIN", 3, 10, None, 1),
        (12, 14, "ACCOUNT|UNKNOWN_ORIGIN", 3, 12, None, 2),
        (14, 15, "", 1, 14, None, None),
    ]
    assert model.summary()["unmapped_faults"] == 4
    assert [row["event"] for row in model.merges] == [5]  # inventing is no attempt to merge


@pytest.mark.parametrize(
    ("metadata", "options"),
    [
        (UNKNOWN, {"invent_vmas": False}),
        (TraceMetadata(complete=False, known_pids=(1,)), {}),
        (TraceMetadata(), {}),
    ],
)
def test_vmas_are_invented_for_unknown_processes_only(metadata, options):
    model = replay("w 10", metadata, **options)
    assert layout(model) == []
    assert model.summary()["unmapped_faults"] == 1


def test_vma_rows_make_a_process_known():
    rows = [{"ts": 1, "pid": 1, "op": "vma", "addr": 10 * PAGE, "len": PAGE, "prot": 3, "flags": 0x6122}]
    model = replay([*rows, {"ts": 2, "pid": 1, "op": "write_fault", "addr": 20 * PAGE}], UNKNOWN)
    assert layout(model) == [(10, 11, "GROWSDOWN|ACCOUNT")]  # LOCKED and NORESERVE are not taken from it


def test_vdso_rows_cannot_merge():
    rows = [{"pid": 1, "op": "vma", "addr": 10 * PAGE, "len": PAGE, "prot": 5, "flags": 2, "file": "[vdso]"}]
    model = replay([*rows, {"pid": 1, "op": "mprotect", "addr": 10 * PAGE, "len": PAGE, "prot": 1}])
    assert layout(model) == [(10, 11, "DONTEXPAND")]
    assert (model.merges[0]["left"], model.merges[0]["right"]) == ("special", "special")


def test_a_bug_in_mlock_undoes_the_whole_call():
    scenario = "map 10 14 rw; prot 12 14 r; w 11; swap_out 11; prot 11 12 r; map 20 22 rw"
    before = replay(scenario).state()
    model = replay(scenario + "; mlock 10 14")
    assert model.bugs == [(7, "no_anon_vma")]
    assert model.state() == before
    assert model.summary()["vmas"]["splits"] == 1


@pytest.mark.parametrize(
    ("scenario", "bug"),
    [
        # The vma has taken a swapped page over by case 4 and never had an anon_vma.
        ("r 11", "no_anon_vma"),
        # It gets one of its own, and the child maps the page first.
        ("prot 11 14 rwx; w 12; m2: r 11; r 11", "mapping_mismatch"),
        # It is moved as if it had never been written, so that the page has another index there.
        ("prot 11 14 rwx; move 11 14 51; w 52; m2: r 11; r 51", "index_mismatch"),
    ],
)
def test_swap_in_stops_where_page_add_anon_rmap_would(scenario, bug):
    shift = "map 10 14 rw; prot 12 14 r; w 11; fork m2; swap_out 11; prot 11 12 r; "
    model = replay(shift + scenario)
    assert [name for _, name in model.bugs] == [bug]


def test_a_boundary_shift_breaks_reachability_and_a_move_the_index_too():
    shift = "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r"
    assert [text.split()[0] for text in replay(shift).findings()] == ["I1", "I7"]
    assert [text.split()[0] for text in replay(shift + "; move 11 14 51").findings()] == ["I1", "I11", "I7"]
    assert replay(shift).invariants()[0] == "finding: I1 page 1 is not found at pid 1 page 11"


# ---- reclaim


def test_a_frame_names_the_page_of_the_latest_fault_with_it():
    rows = scenario_rows("map 10 12 rw; w 10; w 11")
    for row in rows[1:]:
        row["frame"] = 7
    model = replay(
        [*rows, {"pid": 99, "op": "referenced", "frame": 7}, {"pid": 99, "op": "swap_out", "frame": 8}]
    )
    assert [(row["addr"], row["outcome"]) for row in model.walks] == [(11 * PAGE, "referenced")]
    assert len(model.process_rows()) == 1


def test_swap_out_stops_for_nothing():
    model = replay("map 10 12 rw; w 10; mlock 10 12; swap_out 10")
    assert ptes(model)[10] == ("swap", 1)
    assert model.walks[-1]["outcome"] == "success"


def test_locked_vmas_stop_try_unmap_before_the_young_bit_is_looked_at():
    model = replay("map 10 12 rw locked; try_unmap 10")
    assert model.walks[-1]["outcome"] == "fail_locked"
    assert ptes(model)[10] == ("page", 1, True, True, True)


def test_without_instant_free_the_second_visit_frees():
    model = replay("map 10 12 rw; w 10; scan 1; scan 1", instant_free=False)
    assert (model.state()["inactive"], model.state()["slots"]) == ([1], {1: (2, 1)})
    model = replay("map 10 12 rw; w 10; scan 1; scan 1; scan 1", instant_free=False)
    assert (model.state()["inactive"], model.state()["slots"]) == ([], {1: (1, None)})
    assert model.summary()["pages"]["swapped_out"] == 1


@pytest.mark.parametrize("word", ["reclaim", "referenced", "try_unmap", "swap_out"])
def test_naming_what_is_no_mapped_anonymous_page_does_nothing(word):
    model = replay(f"map 10 12 rw; r 10; map 20 22 rw file f 0; r 20; {word} 10,11,20,30")
    assert (model.walks, model.summary()["reclaim"]["pages"]) == ([], 0)


# ---- figures and tables


def test_n_children_cost_what_the_closed_form_says():
    n, pages = 10, 6
    lines = [f"map 10 {10 + pages} rw"]
    everything = ",".join(str(10 + i) for i in range(pages))
    lines += [f"w {everything}"] + [f"fork m{child}" for child in range(2, n + 2)]
    lines += [f"m{child}: w {everything}" for child in range(2, n + 2)]
    lines += [f"m{pid}: referenced {everything}" for pid in range(1, n + 2)]
    figures = replay("; ".join(lines)).summary()["reclaim"]
    assert figures["vmas_visited"] == pages * (n + 1) * (n + 2) // 2
    assert figures["visited_per_walk"]["mean"] == (n + 2) / 2
    assert figures["miss_other"] == figures["vmas_visited"] - pages * (n + 1)


def test_spans_are_cut_where_a_vma_changes():
    model = replay("map 10 14 rw; w 10; prot 12 14 r; unmap 10 12")
    spans = [
        (
            row["vma"],
            row["start"] >> 12,
            row["end"] >> 12,
            row["anon_vma"],
            row["from_event"],
            row["to_event"],
        )
        for row in model.vma_span_rows()
    ]
    assert spans == [
        (1, 10, 14, None, 1, 2),
        (1, 10, 14, 1, 2, 3),
        (1, 12, 14, 1, 3, None),
        (2, 10, 12, 1, 3, 4),
    ]


def test_members_and_anon_vmas_tell_peaks_of_whole_events():
    model = replay("map 10 14 rw; w 10,11; fork m2; prot 12 14 r; m2: w 10; m2: exit; exit")
    assert model.members_rows() == [
        {"anon_vma": 1, "pid": 1, "vmas_peak": 2, "pages_peak": 2},
        {"anon_vma": 1, "pid": 2, "vmas_peak": 1, "pages_peak": 2},
    ]
    row = model.anon_vma_rows()[0]
    assert (row["peak_vmas"], row["peak_pages"], row["pages_ever"], row["freed_event"]) == (3, 3, 3, 8)


@pytest.mark.parametrize("seed", range(20))
def test_rows_have_the_columns_of_their_tables(seed):
    model = replay(random_rows(seed, 150), UNKNOWN)
    assert model.merges and model.walks
    for name, rows in {
        "merges": model.merges,
        "walks": model.walks,
        "anon_vmas": model.anon_vma_rows(),
        "members": model.members_rows(),
        "processes": model.process_rows(),
        "vma_spans": model.vma_span_rows(),
        "vmas": model.vma_rows(),
    }.items():
        for row in rows:
            assert list(row) == TABLES[name].names


def keys(tree):
    return {name: keys(value) if isinstance(value, dict) else None for name, value in tree.items()}


def test_the_summary_has_the_keys_of_the_contract():
    contract = keys(empty_summary())
    files = contract["reclaim"] | dict.fromkeys(("clusters", "ptes_swept", "unmapped_other"))
    summary = replay("map 10 12 rw; w 10; reclaim 10").summary()
    assert keys(summary) == contract | {"file_reclaim": files}


# ---- pages of files


@pytest.mark.parametrize(
    ("columns", "walks", "file_walks"),
    [
        ({"file": "f", "pgoff": 1}, 0, 1),
        ({"file": "f"}, 0, 1),  # page 0
        ({"file": "f", "pgoff": 2}, 0, 0),  # not mapped
        ({"file": "g", "pgoff": 1}, 0, 0),
        ({"file": "f", "pgoff": 1, "addr": 10 * PAGE, "pid": 1}, 1, 0),
        ({"file": "f", "pgoff": 1, "frame": 7}, 1, 0),
        ({"file": "f", "pgoff": 1, "op": "referenced"}, 0, 0),
        ({"file": "f", "pgoff": 1, "op": "try_unmap"}, 0, 0),
        ({"file": "f", "pgoff": 1, "op": "swap_out"}, 0, 0),
    ],
)
def test_only_reclaim_names_a_page_by_its_file_and_only_without_address_and_frame(columns, walks, file_walks):
    rows = scenario_rows("map 10 12 rw; map 20 24 r file f 0; r 20,21; w 10")
    rows[-1]["frame"] = 7
    model = replay([*rows, {"pid": 99, "op": "reclaim"} | columns])
    assert (len(model.walks), len(model.file_walks)) == (walks, file_walks)
    assert len(model.process_rows()) == 1


def test_file_walks_tell_who_mapped_the_page_first_since_nobody_did():
    model = replay(
        "map 20 24 r file f 0; r 21; m2: map 30 34 r file f 0; m2: r 31; reclaim file f 1; exit;"
        " m2: dontneed 30 34; m2: r 31; reclaim file f 1"
    )
    assert [(row["pid"], row["addr"] // PAGE) for row in model.file_walks] == [(1, 21), (2, 31)]
    assert [row["walks_caused"] for row in model.process_rows()] == [0, 0]
    assert list(model.file_walks[0]) == TABLES["file_walks"].names


# ---- invariants


def test_broken_states_are_told():
    """Each way to break the state is reported under the invariant that it breaks."""

    def told(break_it):
        model = replay(
            "map 10 14 rw; w 10,11; map 20 22 rw shared; r 20; fork m2; swap_out 11; m2: r 11; r 12"
        )
        break_it(model, model.mms[0], model.mms[0].vmas[0])
        return {text.split()[0].rstrip(":") for text in model.violations()}

    assert told(lambda model, mm, v: None) == set()
    assert "I1" in told(lambda model, mm, v: v.anon_vma.list.remove(v))
    assert "I2" in told(lambda model, mm, v: setattr(mm, "rss", 7))
    assert "I2" in told(lambda model, mm, v: mm.ptes.pop(10))
    assert "I3" in told(lambda model, mm, v: v.anon_vma.list.append(v))
    assert "I4" in told(lambda model, mm, v: setattr(model.pages[1], "mapcount", 0))
    assert "I5" in told(lambda model, mm, v: setattr(v, "end", 11))
    assert "I5" in told(lambda model, mm, v: mm.vmas.reverse())
    assert "I6" in told(lambda model, mm, v: setattr(v, "pgoff", 11))
    assert "I8" in told(lambda model, mm, v: mm.ptes.update({13: mm.ptes[10]}))
    assert "I9" in told(lambda model, mm, v: setattr(mm.vmas[1], "anon_vma", v.anon_vma))
    assert "I9" in told(lambda model, mm, v: mm.ptes.update({21: mm.ptes[10]}))
    assert "I10" in told(lambda model, mm, v: mm.ptes.pop(11))
    assert "LRU" in told(lambda model, mm, v: model.active.pop())
    assert "figures" in told(lambda model, mm, v: model.counts.update({"vmas_live": 1}))


# ---- random events


def test_random_rows_are_the_same_for_the_same_seed_and_cover_every_operation():
    assert random_rows(1, 100) == random_rows(1, 100)
    rows = [row for seed in range(40) for row in random_rows(seed, 200)]
    assert {row["op"] for row in rows} == set(OPS)
    assert {name for row in rows for name in row} <= set(EVENT_SCHEMA.names)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 120),
    complete=st.booleans(),
    instant_free=st.booleans(),
)
def test_random_events_break_no_invariant(seed, n, complete, instant_free):
    model = replay(random_rows(seed, n), TraceMetadata(complete=complete), instant_free=instant_free)
    check_identities(model)


def check_identities(model):
    """What the specification says of the figures, whatever the events were."""
    for row in model.walks:
        misses = sum(row["miss_" + name] for name in ("rss", "range", "none", "swap", "other"))
        assert row["vmas_visited"] == misses + row["hits"] <= row["list_length"]
        assert row["hits"] + row["unreachable"] <= row["mapcount"]
    figures = model.summary()
    assert figures["vmas"]["live"] == len(model.vma_rows())
    assert figures["pages"]["allocated"] - figures["pages"]["freed"] == figures["pages"]["live"]
    assert sum(figures["merges"]["by_case"].values()) == figures["merges"]["merged"]
