"""Names of the replays to compare."""

from __future__ import annotations

import pytest

from anonvma_trace.comparing.choices import chosen_schemes, reference_of
from anonvma_trace.errors import UsageError
from anonvma_trace.replay import SCHEMES


def test_by_default_every_scheme_is_compared():
    assert [choice.name for choice in chosen_schemes([])] == list(SCHEMES)


def test_rules_stand_behind_plus_signs():
    plain, fixed = chosen_schemes(["anon_vma", " anon_vma + rmap40+fix_propagate"])
    assert (plain.scheme, plain.rules) == ("anon_vma", ())
    assert (fixed.name, fixed.scheme) == ("anon_vma+rmap40+fix_propagate", "anon_vma")
    assert fixed.rules == ("rmap40", "fix_propagate")


def test_a_rule_for_all_goes_to_the_schemes_that_have_it():
    choices = chosen_schemes(SCHEMES, ["rmap40"])
    assert {choice.scheme for choice in choices if choice.rules} == {"anon_vma"}


@pytest.mark.parametrize(
    ("schemes", "rules", "hint"),
    [
        (["anonvma"], [], "did you mean 'anon_vma'?"),
        (["anon_vma+rmap_40"], [], "did you mean 'rmap40'?"),
        (["anon_vma"], ["rmap_40"], "did you mean 'rmap40'?"),
        (["anon_vma", "anon_vma"], [], "anon_vma+rmap40"),
    ],
)
def test_what_cannot_be_compared_is_wrong_usage(schemes, rules, hint):
    with pytest.raises(UsageError) as caught:
        chosen_schemes(schemes, rules)
    assert hint in caught.value.hint


def test_the_reference_is_the_patch_if_it_is_there():
    assert reference_of(chosen_schemes(["anon_vma+rmap40", "anon_vma"])) == "anon_vma"
    assert reference_of(chosen_schemes(["anon_vma+rmap40"])) == "anon_vma+rmap40"
