"""The checks of pte_chain and anonmm find what is planted in a sound state, and nothing in one that is left alone."""

from __future__ import annotations

import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore
from anonvma_trace.replay.examiner import Examiner
from anonvma_trace.replay.invariants import BREACHES
from anonvma_trace.replay.layout import PG_ANON
from anonvma_trace.replay.schemes.interface import checks_of

from .core_state import batch_of
from .scenario_text import scenario_rows

FAMILY = "map 10 14 rw; w 10,11,12; fork m2; fork m3; m2: w 10; m3: exit; m2: fork m4; exit"


def replayed(scheme):
    core = ReplayCore(TraceMetadata(), {}, scheme=scheme)
    core.feed(batch_of(scenario_rows(FAMILY)))
    return core.state


def broken(state):
    """Return the invariants that a check finds broken."""
    messages = (*BREACHES, *checks_of(state).OWN_BREACHES)
    return {messages[row[0]][0] for row in Examiner().breaches(state, moved=False).tolist()}


def shared_page(state):
    """Return the row of a page that several map."""
    return next(row for row in range(1, len(state.page)) if state.page[row].mapcount > 1)


def swap_places(state):
    top = state.rmap.pte_addr[state.page[shared_page(state)].chain]
    top.place -= 1


def lose_an_entry(state):
    page = state.page[shared_page(state)]
    page.chain = state.rmap.pte_addr[page.chain].down


def entry_of_another_address(state):
    state.rmap.pte_addr[state.page[shared_page(state)].chain].vpn += 1


def entry_of_another_page(state):
    state.rmap.pte_addr[state.page[shared_page(state)].chain].page += 1


def miscount_blocks(state):
    state.glob[0].pte_chain_blocks_x86_64 += 1


def forget_that_it_is_chained(state):
    state.page[shared_page(state)].is_chained = 0


def miscount_entries(state):
    state.glob[0].n_pte_addrs += 1


def free_an_entry_in_use(state):
    state.glob[0].pte_addr_free = state.page[shared_page(state)].chain


def anonmm_of(state, pid):
    return next(int(p.mm) for p in state.proc if p.pid == pid and p.mm)


def member(state, pid=4):
    return state.rmap.anonmm[state.mm[anonmm_of(state, pid)].anonmm]


def leave_the_ring(state):
    one = member(state)
    state.rmap.anonmm[one.prev].next = one.next


def point_back_wrongly(state):
    one = member(state)
    state.rmap.anonmm[one.next].prev = one.head


def take_a_reference_too_many(state):
    member(state).count += 1


def lose_the_mm(state):
    state.mm[anonmm_of(state, 4)].anonmm = 0


def miscount_pages(state):
    state.rmap.anonmm[member(state).head].n_pages += 1


def another_index(state):
    state.page[shared_page(state)].index += 1


def a_page_without_mapping(state):
    state.page[shared_page(state)].pg_flags &= ~PG_ANON


def another_id(state):
    state.page[shared_page(state)].mapping_id += 1


def miscount_lengths(state):
    state.glob[0].longest_now += 1


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (swap_places, "chain"),
        (lose_an_entry, "chain"),
        (entry_of_another_address, "chain"),
        (entry_of_another_page, "chain"),
        (miscount_blocks, "figures"),
        (forget_that_it_is_chained, "i4"),
        (miscount_entries, "hashes"),
        (free_an_entry_in_use, "free-lists"),
    ],
)
def test_what_is_wrong_with_chains_is_found(plant, found):
    state = replayed("pte_chain")
    assert broken(state) == set()
    plant(state)
    assert found in broken(state)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (leave_the_ring, "family"),
        (point_back_wrongly, "family"),
        (take_a_reference_too_many, "references"),
        (lose_the_mm, "family"),
        (miscount_pages, "references"),
        (another_index, "i1"),
        (a_page_without_mapping, "i4"),
        (another_id, "i4"),
        (miscount_lengths, "figures"),
    ],
)
def test_what_is_wrong_with_families_is_found(plant, found):
    state = replayed("anonmm")
    assert broken(state) == set()
    plant(state)
    assert found in broken(state)
