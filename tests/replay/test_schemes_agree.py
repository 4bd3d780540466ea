"""What is mapped where does not depend on the scheme: schemes decide how mappings are found, not what they are."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .models import MODELS
from .random_events import SETTINGS, random_rows
from .scenario_text import scenario_rows

MAP_LOCKED = 0x2000


def comparable(rows):
    """Yield rows, those of locks left out, mappings grown by mremap left as large as they are.

    Whether a range that grows lies in one vma is a matter of the layout. A `try_unmap` becomes a `reclaim`, which
    looks at the young bits first: pte_chain unmaps young ptes.
    """
    for row in rows:
        if row["op"] in ("mlock", "munlock"):
            continue
        if "flags" in row and row["op"] == "mmap":
            row = row | {"flags": row["flags"] & ~MAP_LOCKED}
        if row["op"] == "mremap":
            row = row | {"new_len": min(row["len"], row["new_len"])}
        yield row | {"op": "reclaim"} if row["op"] == "try_unmap" else row


def page_tables(model):
    """Return what each pte is, by (lowest pid of the mm's users, page number)."""
    mms = model.state()["mms"]
    return {(pid, vpn): pte[0] for pid, mm in mms.items() for vpn, pte in mm["ptes"].items()}


def has_diverged(model):
    """Whether a defect (D1, D2), a BUG or a copy forced by a move may have set this replay apart."""
    return bool(
        model.counts["lossy_merges"]
        or model.bugs
        or model.counts["mremap_copies"]
        or model.counts["swapin_copies"]
    )


def replay_all(rows, metadata=None, **options):
    """Feed all models alike; after each row those that nothing has set apart must hold the same page tables.

    Returns the models that came through to the end.
    """
    models = {name: model(metadata, **options) for name, model in MODELS.items()}
    for row in rows:
        for model in models.values():
            model.feed(row)
        models = {name: model for name, model in models.items() if not has_diverged(model)}
        tables = {name: page_tables(model) for name, model in models.items()}
        for one, other in pairwise(tables):
            assert tables[one] == tables[other], (row, one, other)
    return models


CAME_THROUGH = Counter()


@settings(
    max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(seed=st.integers(0, 2**32), setting=st.sampled_from(list(SETTINGS)), pages=st.sampled_from((24, 40)))
def compare_page_tables(seed, setting, pages):
    metadata, options = SETTINGS[setting]
    switches = {name: value == "on" for name, value in options.items()}
    rows = random_rows(seed, 120, pages=pages, pids=4)
    CAME_THROUGH.update(replay_all(comparable(rows), metadata, **switches).keys())


def test_page_tables_are_the_same_under_every_scheme():
    CAME_THROUGH.clear()
    compare_page_tables()
    assert all(CAME_THROUGH[name] >= 3 for name in MODELS), CAME_THROUGH  # else the test compares nothing


@pytest.mark.parametrize(
    "scenario",
    [
        "map 10 14 rw; w 10,12; fork m2; m2: w 10; r 11; swap_out 12; fork m3; m3: r 12; m2: w 12; exit; m2: r 10",
        "map 10 14 rw file a 0; r 10; w 11; fork m2; prot 10 12 r; map 14 16 rw; m2: w 10; unmap 12 14; m2: r 13",
        "brk 20; brk 24; w 20,23; fork m2; m2: brk 26; m2: w 25; m2: brk 21; brk 28; w 27; scan 9; scan 9; r 20",
    ],
)
def test_page_tables_of_a_scenario_are_the_same_under_every_scheme(scenario):
    assert replay_all(scenario_rows(scenario)).keys() == MODELS.keys()
