"""A tiny reader of scenarios for the tests, so that they do not rest on the package's own parser.

One statement more than the package's grammar has: ``reclaim file NAME OFFSET`` names a page of a file.
"""

from __future__ import annotations

import re

PROT_BITS = {"r": 1, "w": 2, "x": 4}
MAP_BITS = {"fixed": 0x10, "growsdown": 0x100, "locked": 0x2000, "noreserve": 0x4000}
ADVICE = {"normal": 0, "random": 1, "sequential": 2, "willneed": 3, "dontneed": 4}
ADVICE |= {"dontfork": 10, "dofork": 11}
PAGE_OPS = {"w": "write_fault", "r": "read_fault"} | {
    word: word for word in ("touch", "reclaim", "referenced", "try_unmap", "swap_out")
}
RANGE_OPS = {"unmap": "munmap", "mlock": "mlock", "munlock": "munlock"}


def scenario_rows(text):
    """Return the rows of the event table that a scenario stands for, as dicts without the null columns."""
    rows = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        for statement in line.split("#")[0].split(";"):
            if statement.strip():
                for row in _statement_rows(statement.strip()):
                    rows.append({"ts": len(rows) + 1, "line": line_number, **row})
    return rows


def _statement_rows(statement):
    match = re.fullmatch(r"(?:m(\d+)\s*:)?\s*(\w+)\s*(.*)", statement)
    assert match, statement
    pid, verb, words = int(match[1] or 1), match[2], match[3].split()
    if verb == "reclaim" and words[0] == "file":
        return [{"pid": pid, "op": "reclaim", "file": words[1], "pgoff": int(words[2])}]
    if verb in PAGE_OPS:
        pages = "".join(words).split(",")
        return [{"pid": pid, "op": PAGE_OPS[verb], "addr": int(page) << 12} for page in pages]
    return [{"pid": pid, **_row(verb, words)}]


def _row(verb, words):
    if verb in RANGE_OPS:
        return {"op": RANGE_OPS[verb], **_range(words)}
    if verb == "map":
        return {"op": "mmap", **_range(words), "prot": _prot(words[2]), **_mapping(words[3:])}
    if verb == "prot":
        return {"op": "mprotect", **_range(words), "prot": _prot(words[2])}
    if verb == "move":
        span = _range(words)
        return {"op": "mremap", **span, "new_addr": int(words[2]) << 12, "new_len": span["len"], "flags": 3}
    if verb == "resize":
        span = _range(words)
        new_len = (int(words[2]) << 12) - span["addr"]
        return {"op": "mremap", **span, "new_addr": span["addr"], "new_len": new_len, "flags": 0}
    if verb == "brk":
        return {"op": "brk", "addr": int(words[0]) << 12}
    if verb == "scan":
        return {"op": "scan", "len": int(words[0])}
    if verb == "dontneed":
        return {"op": "madvise", **_range(words), "flags": ADVICE["dontneed"]}
    if verb == "advise":
        return {"op": "madvise", **_range(words), "flags": ADVICE[words[2]]}
    if verb == "fork":
        clone_vm = 0x100 if words[1:] == ["vm"] else 0
        return {"op": "fork", "child": int(words[0].lstrip("m")), "flags": clone_vm}
    assert verb in ("exec", "exit") and not words, (verb, words)
    return {"op": verb}


def _range(words):
    low, high = int(words[0]) << 12, int(words[1]) << 12
    return {"addr": low, "len": high - low}


def _prot(word):
    return 0 if word == "none" else sum(PROT_BITS[letter] for letter in word)


def _mapping(words):
    """Return `flags`, and `file` and `pgoff` where there is a file."""
    columns, flags = {}, 0x02
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "shared":
            flags = flags & ~0x02 | 0x01
        elif word == "file":
            columns = {"file": words.pop(0), "pgoff": int(words.pop(0))}
        else:
            flags |= MAP_BITS[word]
    return {"flags": flags if columns else flags | 0x20, **columns}
