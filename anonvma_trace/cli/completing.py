"""What the shell completes: names that arguments and options take, told without importing the replay.

The names stand here a second time, since the modules that define them import Arrow and Numba; a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten

import typer

RULES: dict[str, tuple[str, ...]] = {
    "pte_chain": (),
    "anonmm": (),
    "anon_vma": ("fix_propagate", "propagate_all", "fix_move_merge", "rmap40", "merge_pre_rmap39"),
    "anon_vma_chain": ("avc_rule_2011",),
    "linux6": (),
}
"""Schemes, and the rules of each."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "instant_free": ("on", "off"),
    "brk_flags": ("rw", "rwx"),
    "reuse": ("2004", "modern"),
    "invent_vmas": ("on", "off"),
    "pte_chain_line": ("128", "64", "32"),
}
"""Options of a replay, and the values of each."""

FORMATS = (
    "parquet",
    "arrow",
    "csv",
    "jsonl",
    "scenario",
    "ftrace",
    "trace-cmd",
    "perf-script",
    "strace",
    "perf-trace",
    "bpftrace",
)
DETAILS = ("full", "sampled", "none")

_SAID = 60  # characters: longer texts come out on two lines, and fish takes the second for another word

Completion = tuple[str, str]
"""A word, and what shells that show it (zsh, fish) say of it."""


def complete_trace(incomplete: str) -> list[Completion]:
    """Return samples, and files here, that begin so; nothing where the shell completes paths better by itself."""
    from ..samples import list_samples

    found = [
        (sample.name, shorten(sample.description, _SAID, placeholder="…"))
        for sample in list_samples()
        if sample.name.startswith(incomplete)
    ]
    if not found or "/" in incomplete:
        return []
    files = [
        (path.name, "file") for path in sorted(Path().glob(f"{_literally(incomplete)}*")) if path.is_file()
    ]
    return [*files, *found]


def complete_format(incomplete: str) -> list[str]:
    """Return names of formats."""
    return _beginning(FORMATS, incomplete)


def complete_detail(incomplete: str) -> list[str]:
    """Return values of --detail."""
    return _beginning(DETAILS, incomplete)


def complete_scheme(incomplete: str) -> list[str]:
    """Return names of schemes."""
    return _beginning(RULES, incomplete)


def complete_schemes(incomplete: str) -> list[str]:
    """Return completions of the last of several schemes: its name, or a rule of it behind a plus sign."""
    before, comma, last = incomplete.rpartition(",")
    scheme, plus, _ = last.rpartition("+")
    names = [f"{scheme}+{rule}" for rule in RULES.get(scheme.partition("+")[0], ())] if plus else RULES
    return _beginning((f"{before}{comma}{name}" for name in names), incomplete)


def complete_rule(context: typer.Context, incomplete: str) -> list[str]:
    """Return rules of the scheme that was given before; of all schemes with `compare`, which has no --scheme."""
    scheme = context.params.get("scheme")
    rules = RULES.get(scheme, ()) if scheme else [rule for rules in RULES.values() for rule in rules]
    return _beginning(rules, incomplete)


def complete_option(incomplete: str) -> list[str]:
    """Return NAME=VALUE for options of the replay."""
    return _beginning((f"{name}={value}" for name, values in OPTIONS.items() for value in values), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _literally(text: str) -> str:
    """Return a glob pattern that matches this text only."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
