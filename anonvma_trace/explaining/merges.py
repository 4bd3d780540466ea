"""Merge attempts and splits in words: which neighbour was asked, which test it failed."""

from __future__ import annotations

from typing import Any

from ..events import PAGE_SHIFT
from ..replay.stepping import Step
from ..summary_text import Section
from ..tables import MERGE_SIDES
from .wording import anon_vma_text, backing, flags_text, page_range, properties, step_vma

CASES = {
    1: "PPPP rrrr NNNN → PPPPPPPPPPPP: the range fills the hole between both neighbours; the left one grows over "
    "all, the right one disappears",
    2: "PPPP rrrr → PPPPPPPP: the left neighbour grows over the range",
    3: "rrrr NNNN → NNNNNNNN: the right neighbour grows over the range",
    4: "PPPPrrrr|NNNN → PPPP|NNNNNNNN: the range is the tail of P; the border moves down, so N gets it",
    5: "PPPP|rrrrXXXX → PPPPPPPP|XXXX: the range is the head of X; the border moves up, so P gets it",
    6: "PPPP|rrrr|NNNN → PPPPPPPPPPPP: the range was a vma of its own; all three become one",
    7: "PPPP|rrrr|NNNN → PPPPPPPP|NNNN: the range was a vma of its own; the left neighbour swallows it",
    8: "PPPP|rrrr|NNNN → PPPP|rrrrrrrr: the range is a vma of its own; it swallows the right neighbour",
}
"""The eight cases as the comment above ``vma_merge`` draws them, in words."""

_BORDERS_MOVED = (4, 5)


def step_section(step: Step) -> Section:
    """Return one step of an event as a section."""
    return Section(step.kind, merge_lines(step) if step.kind == "merge" else split_lines(step))


def merge_lines(step: Step) -> list[str]:
    """Return a merge attempt in words: the question, both sides, the outcome."""
    here = page_range(step.start, step.end)
    asked = {"flags": step.flags, "file": step.file, "pgoff": step.pgoff, "anon_vma": step.anon_vma}
    lines = [f"vma_merge(): can {here} ({properties(asked)}) join a neighbour?"]
    lines += [f"left:  {_side(step, 'left')}", f"right: {_side(step, 'right')}"]
    if step.case == 0:
        return [*lines, "so no merge: the range gets, or keeps, a vma of its own"]
    lines.append(f"so case {step.case}. {CASES[step.case]}")
    return lines + _inheritance(step)


def _inheritance(step: Step) -> list[str]:
    """Tell of a moved border that leaves pages with a vma whose anon_vma is another."""
    if step.case not in _BORDERS_MOVED:
        return []
    taker = step.right if step.case == 4 else step.left
    assert taker is not None
    if step.anon_vma and not taker["anon_vma"]:
        return [
            f"vma {taker['vma']} has no anon_vma, and the pages that it takes over point to anon_vma {step.anon_vma}. "
            "vma_adjust() as posted links it to no list (defect D1), so reclaim may not find them there any more"
        ]
    return []


def _side(step: Step, side: str) -> str:
    outcome = MERGE_SIDES[step.left_side if side == "left" else step.right_side]
    vma = step.left if side == "left" else step.right
    if outcome == "special":
        return "refused (special): a vma that is IO, DONTCOPY, DONTEXPAND or RESERVED is never merged (VM_SPECIAL)"
    if outcome == "not_adjacent":
        return _nobody(step, side, vma)
    assert vma is not None
    test = "can_vma_merge_after" if side == "left" else "can_vma_merge_before"
    asked = f"{step_vma(vma)} touches it. {test}()"
    if outcome == "ok":
        return f"{asked}: every test is passed"
    return f"{asked}: refused ({outcome}). {_REASONS[outcome](step, side, vma)}"


def _nobody(step: Step, side: str, vma: dict[str, Any] | None) -> str:
    if side == "left":
        if vma is None:
            return "nobody to ask: no vma lies below"
        if vma["end"] > step.start:
            return f"nobody to ask: the range begins inside vma {vma['vma']}"
        return f"nobody to ask: vma {vma['vma']} ends at {vma['end'] << PAGE_SHIFT:#x}, before the range"
    if vma is None:
        if step.left is not None and step.left["end"] > step.end:
            return f"nobody to ask: the range ends inside vma {step.left['vma']}"
        return "nobody to ask: no vma lies above"
    if vma["start"] < step.end:
        return f"nobody to ask: the range ends inside vma {vma['vma']}"
    return f"nobody to ask: vma {vma['vma']} begins at {vma['start'] << PAGE_SHIFT:#x}, behind the range"


def _flags(step: Step, side: str, vma: dict[str, Any]) -> str:
    theirs = flags_text(vma["flags"])
    return f"The flags must be equal: the range has {flags_text(step.flags)}, vma {vma['vma']} {theirs}"


def _file(step: Step, side: str, vma: dict[str, Any]) -> str:
    return f"The range is {backing(step.file)}, vma {vma['vma']} is {backing(vma['file'])}"


def _anon_diff(step: Step, side: str, vma: dict[str, Any]) -> str:
    return (
        f"Both have an anon_vma, and not the same: the range {anon_vma_text(step.anon_vma)}, vma {vma['vma']} "
        f"{anon_vma_text(vma['anon_vma'])}. Their pages point to these, and one vma can be on one list only. Before "
        "rmap 39 this was no obstacle"
    )


def _pgoff(step: Step, side: str, vma: dict[str, Any]) -> str:
    name = f"vma {vma['vma']}"
    if side == "left":
        goes_on, then, at = name, "the range", step.pgoff
        expected = vma["pgoff"] + (vma["end"] - vma["start"])
    else:
        goes_on, then, at = "the range", name, vma["pgoff"]
        expected = step.pgoff + (step.end - step.start)
    return f"The page offsets do not continue: {goes_on} goes on at {expected:#x}, {then} is at {at:#x}"


def _pgoff_anon(step: Step, side: str, vma: dict[str, Any]) -> str:
    return (
        f"{_pgoff(step, side, vma)}. Since rmap 39 a page of anonymous memory is found by its offset too; a vma that "
        "was moved when it had pages keeps the offsets of its old place"
    )


def _prev_next(step: Step, side: str, vma: dict[str, Any]) -> str:
    left = step.left["anon_vma"] if step.left else 0
    return (
        f"Each neighbour alone would do, but not both together: the left one has {anon_vma_text(left)}, this one "
        f"{anon_vma_text(vma['anon_vma'])}, so the range joins the left one only"
    )


def _cloned(step: Step, side: str, vma: dict[str, Any]) -> str:
    return (
        "One side has no anon_vma, and the other has inherited its own from a parent at fork: today's kernel does not "
        "let such a vma grow by merging"
    )


_REASONS = {
    "policy": lambda step, side, vma: "The memory policies differ",
    "flags": _flags,
    "file": _file,
    "close_op": lambda step, side, vma: "The vma must tell its driver when it goes (vm_ops->close)",
    "anon_diff": _anon_diff,
    "pgoff_anon": _pgoff_anon,
    "pgoff_file": _pgoff,
    "prev_next": _prev_next,
    "cloned": _cloned,
}


def split_lines(step: Step) -> list[str]:
    """Return a split in words."""
    lower, upper = step.left, step.right
    assert lower is not None and upper is not None
    new, old = (lower, upper) if step.case else (upper, lower)
    parts = [f"{page_range(part['start'], part['end'])}" for part in (new, old)]
    lines = [
        f"split_vma() cuts vma {old['vma']} at {step.pgoff << PAGE_SHIFT:#x}: {parts[0]} becomes vma {new['vma']}, "
        f"{parts[1]} stays vma {old['vma']}"
    ]
    if new["anon_vma"]:
        lines.append(
            f"vma {new['vma']} goes onto the list of anon_vma {new['anon_vma']} as well: each walk of it may take "
            "one visit more"
        )
    return lines
