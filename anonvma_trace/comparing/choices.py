"""Which schemes to compare: names as a user writes them, with rules behind a plus sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import UsageError
from ..replay import RULES, SCHEMES, check_choice

REFERENCE = "anon_vma"
"""The scheme that the others are measured against, if it is among them; else the first one is."""


class Choice(NamedTuple):
    """One replay of a comparison.

    Attributes
    ----------
    name : str
        As it stands in results: the scheme, and behind plus signs its rules (``anon_vma+rmap40``).
    scheme : str
        One of `replay.SCHEMES`.
    rules : tuple of str
        Rules of that scheme.
    """

    name: str
    scheme: str
    rules: tuple[str, ...]


def chosen_schemes(texts: Iterable[str], rules: Iterable[str] = ()) -> list[Choice]:
    """Return the replays to compare.

    Parameters
    ----------
    texts : iterable of str
        Schemes, each with rules of its own if need be: ``anon_vma``, ``anon_vma+rmap40``; none: every scheme.
    rules : iterable of str
        Rules for each scheme that has them.

    Raises
    ------
    UsageError
        A name that there is not, a rule that none of the schemes has, the same replay twice.
    """
    rules = list(rules)
    choices = [_choice(text, rules) for text in (list(texts) or SCHEMES)]
    for rule in rules:
        check_choice("rule", rule, dict.fromkeys(each for c in choices for each in RULES[c.scheme]))
    names = [choice.name for choice in choices]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                "--schemes",
                expected="each scheme once",
                found=f"'{name}' {names.count(name)} times",
                hint="rules make a difference: anon_vma,anon_vma+rmap40",
            )
    return choices


def reference_of(choices: Iterable[Choice]) -> str:
    """Return the name of the replay that the others are measured against."""
    names = [choice.name for choice in choices]
    return REFERENCE if REFERENCE in names else names[0]


def _choice(text: str, rules: list[str]) -> Choice:
    scheme, *own = (part.strip() for part in text.split("+"))
    check_choice("schemes", scheme, SCHEMES)
    for rule in own:
        check_choice(f"rule of {scheme}", rule, RULES[scheme])
    own += [rule for rule in rules if rule in RULES[scheme] and rule not in own]
    return Choice("+".join([scheme, *own]), scheme, tuple(own))
