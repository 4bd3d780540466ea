"""The reverse-mapping schemes: each module is the mm/rmap.c of its time.

A new scheme is a module here and a line in `RULES`; its invariants are ``validate_NAME.py`` beside it. Modules are
imported, and compiled, only when a replay asks for their scheme.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .description import Scheme

RULES: dict[str, tuple[str, ...]] = {
    "pte_chain": (),
    "anonmm": (),
    "anon_vma": ("fix_propagate", "propagate_all", "fix_move_merge", "rmap40", "merge_pre_rmap39"),
    "anon_vma_chain": ("avc_rule_2011",),
    "linux6": (),
}
"""Schemes by name, with the rules of each; a rule's place is its bit in `glob.rules`."""


def load_scheme(name: str) -> Scheme:
    """Return the description of a scheme; its module is imported now if it was not."""
    description: Scheme = import_module(f".{name}", __name__).SCHEME
    return description


def rule_bits(scheme: str, rules: set[str]) -> int:
    """Return the bits of these rules of a scheme."""
    return sum(1 << RULES[scheme].index(rule) for rule in rules)
