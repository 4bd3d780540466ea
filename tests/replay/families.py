"""Traces of many process families, made of random ones that know nothing of each other."""

from __future__ import annotations

import random

from .random_events import random_rows

NAMES_A_PAGE = ("reclaim", "referenced", "try_unmap", "swap_out")


def many_families(seed, n_families, n_rows, *, n_pids=12, burst=8):
    """Return rows of families that take turns, and pids that go from one family to another when a process exits.

    Parameters
    ----------
    seed, n_families, n_rows : int
        Seed, families of at most `n_rows` rows each; rows for which families cannot be replayed apart are left out.
    n_pids : int
        Pids handed out again and again, unless more processes live.
    burst : int
        Rows of one family before another has its turn, at most.
    """
    rng = random.Random(seed)
    waiting = [
        [row for row in random_rows(1000 * seed + family, n_rows) if _is_apart(row)]
        for family in range(n_families)
    ]
    pids = _Pids(n_pids)
    rows = []
    while any(waiting):
        family = rng.choice([number for number, left in enumerate(waiting) if left])
        for _ in range(rng.randint(1, burst)):
            if waiting[family] and (row := pids.rename(family, waiting[family].pop(0))) is not None:
                rows.append(row | {"ts": 10 * len(rows) + 1})
    return rows


def _is_apart(row):
    return row["op"] != "scan" and not (row["op"] in NAMES_A_PAGE and "addr" not in row)


class _Pids:
    """Gives each life of a process the pid that was freed last, so that pids are reused across families."""

    def __init__(self, n_pids):
        self.free = list(range(1, n_pids + 1))
        self.highest = n_pids
        self.lives = {}  # (family, its pid) -> pid
        self.first = {}  # pid -> the mark of the fork family in which it lives

    def rename(self, family, row):
        """Return the row with other pids, or None for a fork that would join two families."""
        parent = self._pid(family, row["pid"])
        row = row | {"pid": parent}
        if "child" in row:
            child = (family, row["child"])
            if child in self.lives and self.first[self.lives[child]] != self.first[parent]:
                return None
            row["child"] = self._pid(*child, parent)
        if row["op"] == "exit":
            life = next(life for life, pid in self.lives.items() if pid == parent)
            self.free.append(self.lives.pop(life))
        return row

    def _pid(self, family, pid, parent=None):
        life = (family, pid)
        if life not in self.lives:
            if not self.free:
                self.highest += 1
                self.free.append(self.highest)
            new = self.free.pop()
            self.lives[life] = new
            self.first[new] = object() if parent is None else self.first[parent]
        return self.lives[life]
