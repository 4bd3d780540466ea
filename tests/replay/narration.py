"""Rows of the event table told as statements of a scenario, so that a failing sequence can be read and replayed."""

from __future__ import annotations

from .scenario_text import ADVICE, MAP_BITS, PAGE_OPS, PROT_BITS, RANGE_OPS

VERBS = {op: verb for verb, op in (PAGE_OPS | RANGE_OPS).items()}
ADVICE_WORDS = {advice: word for word, advice in ADVICE.items()}
CLONE_VM = 0x100


def statement_of(row):
    """Return the statement that stands for a row; what the grammar has no word for is told in its terms."""
    tell = TELLERS.get(row["op"], _tell_pages)
    frame = f" frame {row['frame']}" if "frame" in row else ""
    return f"m{row['pid']}: " + " ".join(str(word) for word in tell(row)) + frame


def _range(row):
    start = row["addr"] >> 12
    return start, start + (row.get("len", 0) >> 12)


def _prot(row):
    return "".join(letter for letter, bit in PROT_BITS.items() if row["prot"] & bit) or "none"


def _tell_pages(row):
    words = [VERBS.get(row["op"], row["op"])]
    if "addr" in row and "len" in row:
        words += _range(row)
    elif "addr" in row:
        words.append(row["addr"] >> 12)
    elif "file" in row and row["op"] == "reclaim":
        words += ["file", row["file"], row["pgoff"]]
    return words


def _tell_mapping(row):
    flags = row.get("flags", 0)
    words = ["map" if row["op"] == "mmap" else "vma", *_range(row), _prot(row)]
    words += ["shared"] if flags & 0x0F in (1, 3) else []
    words += [word for word, bit in MAP_BITS.items() if flags & bit]
    return words + (["file", row["file"], row.get("pgoff", 0)] if "file" in row else [])


def _tell_mremap(row):
    start, end = _range(row)
    new = row.get("new_addr", row["addr"]) >> 12
    length = row["new_len"] >> 12
    if new == start:
        return ["resize", start, end, start + length]
    words = ["move", start, end, new]
    words += ["length", length] if row["new_len"] != row["len"] else []
    return words + (["dontunmap"] if row.get("flags", 0) & 4 else [])


def _tell_fork(row):
    return ["fork", f"m{row['child']}", *(["vm"] if row.get("flags", 0) & CLONE_VM else [])]


TELLERS = {
    "mmap": _tell_mapping,
    "vma": _tell_mapping,
    "mremap": _tell_mremap,
    "fork": _tell_fork,
    "mprotect": lambda row: ["prot", *_range(row), _prot(row)],
    "madvise": lambda row: ["advise", *_range(row), ADVICE_WORDS.get(row["flags"], row["flags"])],
    "scan": lambda row: ["scan", row["len"]],
    "exec": lambda row: ["exec"],
    "exit": lambda row: ["exit"],
}
