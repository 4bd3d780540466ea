"""The compiled core and the independent model agree on random traces: state, figures and every result table."""

from __future__ import annotations

import numba
import pytest

from anonvma_trace.replay import SCHEMES

from .comparison import Lockstep
from .core_state import CoreReplay
from .random_events import CHOICES, RULE_SETS, SETTINGS, random_rows

# Interpreted, the core is over sixty times slower; the same rules then hold on fewer traces.
SEEDS = range(4) if numba.config.DISABLE_JIT else range(60)
RULE_SEEDS = SEEDS[:15]
OTHER_CHOICES = [(scheme, rules) for scheme in SCHEMES if scheme != "anon_vma" for rules in CHOICES[scheme]]


def replay_both(seed, setting="complete", rules=(), scheme="anon_vma", stride=250):
    """Replay random rows both ways; look at the state after every `stride` of them, at results in the end."""
    metadata, options = SETTINGS[setting]
    both = Lockstep(metadata, rules, scheme=scheme, **options)
    rows = random_rows(seed, 250, file_reclaim=True)
    for begin in range(0, len(rows), stride):
        both.feed(*rows[begin : begin + stride])
        both.compare_state()
    both.compare_results()


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_core_and_model_agree(seed, setting):
    replay_both(seed + 1000 * list(SETTINGS).index(setting), setting)


@pytest.mark.parametrize("rules", RULE_SETS, ids=" ".join)
@pytest.mark.parametrize("seed", RULE_SEEDS)
def test_core_and_model_agree_under_the_rules(seed, rules):
    replay_both(seed, list(SETTINGS)[seed % len(SETTINGS)], rules)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("scheme", "rules"), OTHER_CHOICES)
@pytest.mark.parametrize("seed", RULE_SEEDS)
def test_core_and_model_agree_under_the_other_schemes(seed, scheme, rules, setting):
    replay_both(seed + 1000 * list(SETTINGS).index(setting), setting, rules, scheme, stride=25)


@pytest.mark.parametrize("seed", RULE_SEEDS)
def test_the_exclusive_mark_keeps_the_pages_that_counting_references_keeps(seed):
    both = Lockstep(core=CoreReplay(reuse="modern"))
    both.feed(*random_rows(seed, 400, pages=32))
    both.compare_state()
    both.compare_results()


def test_result_does_not_depend_on_how_the_events_are_cut_into_batches():
    events = random_rows(7, 400)
    whole, pieces = CoreReplay(), CoreReplay()
    whole.feed(*events)
    for begin in range(0, len(events), 13):
        pieces.feed(*events[begin : begin + 13])
    assert pieces.state() == whole.state()
    assert pieces.summary() == whole.summary()
    for name in ("merges", "walks", "vma_spans", "anon_vmas", "members", "timeline", "diagnostics"):
        assert pieces.rows(name) == whole.rows(name)
