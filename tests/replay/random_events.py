"""Random rows of the event table for comparing two replays: small spaces in which all collides.

The generator keeps a rough picture of what is mapped (it never asks a replay), so that most rows act on
something that is there, and some hit holes all the same. Short sequences that lead to rare states are
strewn in, at random places and with other rows between theirs.
"""

from __future__ import annotations

import random

from anonvma_trace.events import TraceMetadata

from .scenario_text import scenario_rows

PAGE = 4096

SETTINGS = {  # what a replay is told besides the rows: metadata, options
    "complete": (TraceMetadata(), {}),
    "incomplete": (TraceMetadata(complete=False, known_pids=(2,), brk_flags="rw"), {}),
    "no inventions, slow freeing": (
        TraceMetadata(complete=False),
        {"invent_vmas": "off", "instant_free": "off"},
    ),
}
RULE_SETS = (
    ("fix_propagate",),
    ("propagate_all",),
    ("fix_move_merge",),
    ("rmap40",),
    ("merge_pre_rmap39",),
    ("fix_propagate", "fix_move_merge"),
    ("fix_propagate", "fix_move_merge", "rmap40"),
    ("fix_move_merge", "propagate_all", "rmap40"),
)
CHOICES = {  # scheme -> the sets of rules under which to compare it
    "pte_chain": ((),),
    "anonmm": ((),),
    "anon_vma": ((), (), *RULE_SETS),
    "anon_vma_chain": ((), ("avc_rule_2011",)),
    "linux6": ((),),
}

OPS = {  # op -> how often
    "write_fault": 26,
    "read_fault": 9,
    "mmap": 11,
    "munmap": 4,
    "mprotect": 14,
    "mremap": 8,
    "fork": 4,
    "exec": 0.5,
    "exit": 1.5,
    "vma": 1.5,
    "brk": 2.5,
    "madvise": 4,
    "mlock": 2,
    "munlock": 2,
    "touch": 4,
    "reclaim": 8,
    "referenced": 4,
    "try_unmap": 5,
    "swap_out": 3,
    "scan": 3,
    "mark": 0.3,
    "lost": 0.3,
}
MOTIFS = (
    # A boundary shift hands pages to a vma without anon_vma (cases 4 and 5), then they are looked at.
    "map 2 6 rw; prot 4 6 r; w 3; prot 3 4 r; referenced 3; try_unmap 3; r 3",
    "map 2 6 rw; prot 2 4 r; w 4; prot 4 5 r; referenced 4; reclaim 4",
    "map 2 6 rw; prot 4 6 r; w 3; swap_out 3; prot 3 4 r; r 3; mlock 2 6",
    "map 2 6 rw; prot 4 6 r; w 3; prot 3 4 r; unmap 2 3; referenced 3; fork m2; m2: referenced 3; r 3",
    "map 2 6 rw; prot 4 6 r; w 3; fork m2; swap_out 3; prot 3 4 r; prot 3 6 rwx; w 4; m2: r 3; r 3; w 3",
    "map 2 6 rw; prot 4 6 r; w 3; prot 3 4 r; prot 3 6 rw; referenced 3; w 5",
    "map 2 6 rw; prot 4 6 r; w 3; fork m2; swap_out 3; prot 3 4 r; prot 3 6 rwx; move 3 6 13; w 14;"
    " m2: r 3; r 13",
    "map 2 6 rw; prot 4 6 r; w 3; prot 3 4 r; move 3 6 13; referenced 13; prot 13 16 rw; w 13; referenced 13",
    # Pages moved into a vma that was never written.
    "map 4 6 rw; w 4,5; move 4 6 14; map 2 4 rw; move 14 16 4; referenced 4,5; try_unmap 4; r 4",
    "map 4 6 rw; w 4; move 4 6 14; map 2 4 rw; map 6 8 rw; move 14 16 4; swap_out 4; w 4; w 2",
    "map 4 8 rw; w 4,6; move 4 6 14; move 14 16 4; referenced 4,6",
    "map 4 6 rw file f 0; map 14 16 rw file f 2; w 14; move 14 16 6; referenced 6; fork m2; m2: w 7; w 6",
    "map 4 6 rw; w 4; swap_out 4; move 4 6 14; map 2 4 rw; move 14 16 4; mlock 2 6; r 4",
    # Merges and refusals.
    "map 2 12 rw; prot 2 3 r; prot 4 5 r; prot 6 7 r; prot 8 9 r; w 3,5,7,9; prot 2 12 rw",
    "map 2 12 rw; w 11; prot 2 3 r; prot 4 5 r; prot 6 7 r; prot 8 9 r; prot 2 12 rw",
    "map 2 6 rw; w 2; map 8 10 rw; w 8; map 6 8 rw",
    "map 2 6 rw; map 8 10 rw; w 8; map 6 8 rw; referenced 8",
    "map 2 8 rw; w 2,7; unmap 4 6; map 4 6 rw",
    "map 2 4 rw; move 2 4 4; move 4 6 3; map 5 7 rw; w 3; move 3 5 1; map 3 5 rw",
    "map 2 8 rw; prot 4 6 r; w 2,6; prot 4 6 rw; w 4",
    "map 2 8 rw; w 3; prot 4 6 r; prot 6 8 r; move 3 7 13; resize 13 15 18; resize 15 17 19",
    "map 2 4 rw locked; resize 2 4 6; prot 3 5 r; munlock 2 6; prot 2 6 rw; mlock 3 5",
    # Sharing, swap, walks.
    "map 2 6 rw; w 2,5; fork m2; move 4 6 14; map 4 6 rw; w 5; referenced 2,5,15; m2: referenced 5",
    "map 2 4 rw; w 2,3; fork m2; swap_out 2,3; m2: r 2; w 2; m2: w 2; w 3; m2: w 3; unmap 2 3; m2: exit",
    "map 2 4 rw; w 2; fork m2; m2: dontneed 2 4; referenced 2; m2: r 3; referenced 2; try_unmap 2",
    "map 2 4 rw; w 2; fork m2; m2: mlock 2 4; referenced 2; referenced 2; try_unmap 2; m2: munlock 2 4",
    "map 2 6 rw; w 2,3,4; scan 3; scan 3; r 2; w 3; scan 8; scan 8; w 2,3,4",
    "map 2 4 rw; w 2; swap_out 2; r 2; fork m2; try_unmap 2; try_unmap 2; m2: w 2; w 2",
    "map 4 8 rw growsdown; fork m2; w 2; m2: r 3; m2: w 1; unmap 5 6; w 5",
    "map 2 4 rw; r 2; fork m2; w 2; m2: w 2; m2: r 2; fork m3; m3: w 2; referenced 2",
    "map 2 6 rw; w 3; fork m2 vm; m2: w 4; m2: exec; w 5; referenced 4; m2: w 4",
    "map 2 6 rw; w 3; fork m2 vm; exit; m2: w 4; m2: map 6 8 rw; m2: reclaim 4",
)
FILE_MOTIFS = (
    # Reclaim of file pages: private and shared mappers, copies and locks among them.
    "map 2 6 rw file a 0; map 8 12 rw shared file a 0; r 3,9; reclaim file a 1; reclaim file a 1; r 3; w 9",
    "map 2 6 r file a 0; r 2,3; fork m2; m2: r 2; reclaim file a 0; reclaim file a 0; m2: r 3; reclaim file a 1",
    "map 2 6 rw file b 3; r 2; fork m2; m2: w 2; map 8 9 r file b 3; r 8; reclaim file b 3; reclaim file b 3",
    "map 2 6 rw shared file a 0; w 2; fork m2; m2: r 2; m2: mlock 2 4; reclaim file a 0; reclaim file a 1;"
    " m2: munlock 2 4; reclaim file a 0; reclaim file a 0",
    "map 2 6 r file a 0; r 2; mlock 2 3; reclaim file a 0; reclaim file a 0; munlock 2 3; reclaim file a 0",
    "map 2 4 rw file a 0; w 2; swap_out 2; map 5 7 r shared file a 0; r 5; reclaim file a 0; reclaim file a 0",
    "map 2 4 r file a 0; map 5 7 rw file a 0; r 2; dontneed 5 7; touch 2; reclaim file a 0; reclaim file a 0",
    "map 2 6 r file b 0; r 4; move 4 6 12; map 4 6 r file b 2; r 4; reclaim file b 2; touch 4; reclaim file b 2",
)
MOTIF_ROWS = [scenario_rows(text) for text in MOTIFS]
FILE_MOTIF_ROWS = [scenario_rows(text) for text in FILE_MOTIFS]
PROTS = ((3, 12), (1, 6), (7, 2), (0, 1), (5, 1), (2, 0.5))  # prot -> how often
ADVICE = ((0, 2), (1, 2), (2, 2), (3, 0.5), (4, 4), (10, 1), (11, 2))
FRAMES = 12
FILES = ("a", "b")


def random_rows(seed, n, *, pages=64, pids=6, file_reclaim=False):
    """Return `n` rows as dicts without null columns, the same for the same arguments.

    Parameters
    ----------
    seed, n : int
        Seed of the generator and number of rows; `ts` of a row is its number, from 1.
    pages : int
        Pages of each address space that are used, from page 16 on.
    pids : int
        Processes, numbered from 1; at least three.
    file_reclaim : bool
        Whether some `reclaim` rows name a page of a file.
    """
    return _Generator(seed, pages, pids, file_reclaim).rows(n)


class _Generator:
    def __init__(self, seed, pages, pids, file_reclaim):
        self.random = random.Random(seed)
        self.file_reclaim = file_reclaim
        self.low, self.high = 16, 16 + pages
        self.pids = range(1, pids + 1)
        self.mapped = {1: set()}  # living pid -> pages with a mapping, roughly
        self.moves = []  # (pid, from, to, pages): to be moved back some day
        self.motif = []  # rows of a motif still to come
        # Each run prefers some kinds of event, so that rare states are met often in some runs.
        weights = {op: weight * self.random.choice((0.3, 1, 1, 1, 3)) for op, weight in OPS.items()}
        self.ops, self.weights = list(weights), list(weights.values())
        self.motif_chance = self.random.choice((0, 0.05, 0.15))
        self.patience = self.random.choice((0.6, 0.95))  # how often the next row of a motif comes next
        self.start_prots = self.random.choice((PROTS, ((3, 1),)))

    def rows(self, n):
        rows = []
        while len(rows) < n:
            if not self.motif and self.random.random() < self.motif_chance:
                self._begin_motif()
            if self.motif and self.random.random() < self.patience:
                row = self.motif.pop(0)
            else:
                row = self._random_row()
            if row is not None:
                rows.append(row | {"ts": len(rows) + 1})
        return rows

    def _random_row(self):
        pid = self._pid()
        op = self.random.choices(self.ops, self.weights)[0]
        if not self.mapped[pid] and self.random.random() < 0.8:
            op = self.random.choice(("mmap", "mmap", "vma"))
        columns = getattr(self, "_" + op)(pid)
        return None if columns is None else {"pid": pid, "op": op} | columns

    def _begin_motif(self):
        """Put the rows of a motif on the waiting list, at a random place and for random processes."""
        base = self.random.randrange(self.low, self.high - 20)
        pids = [self._pid()]
        pids += self.random.sample([pid for pid in self.pids if pid not in pids], 2)
        motifs = MOTIF_ROWS + FILE_MOTIF_ROWS if self.file_reclaim else MOTIF_ROWS
        for row in self.random.choice(motifs):
            row = {name: value for name, value in row.items() if name != "line"}
            for name in ("addr", "new_addr"):
                if name in row:
                    row[name] += base * PAGE
            row["pid"] = pids[row["pid"] - 1]
            if row["op"] == "fork":
                row["child"] = pids[row["child"] - 1]
                self.mapped[row["child"]] = set(self.mapped[row["pid"]])
            elif row["op"] == "mmap":
                page = row["addr"] // PAGE
                self.mapped[row["pid"]].update(range(page, page + row["len"] // PAGE))
            self.motif.append(row)

    # ---- choices

    def _pid(self):
        """Return a living pid mostly: a row of a dead or unknown one begins a process."""
        if not self.mapped or self.random.random() < 0.005:
            pid = self.random.choice(self.pids)
        else:
            living = list(self.mapped)
            pid = living[min(self.random.randrange(len(living)), self.random.randrange(len(living)))]
        self.mapped.setdefault(pid, set())
        return pid

    def _weighted(self, choices):
        return self.random.choices([value for value, _ in choices], [weight for _, weight in choices])[0]

    def _page(self, pid):
        """Return a page, mapped if there is one, a few times any or one just outside."""
        mapped = self.mapped[pid]
        if not mapped or self.random.random() < 0.04:
            return self.random.randrange(self.low, self.high)
        page = self.random.choice(sorted(mapped))
        return page - 1 if self.random.random() < 0.03 else page

    def _length(self):
        return min(self.random.randint(1, 4) * self.random.choice((1, 1, 1, 3)), 12)

    def _range(self, pid):
        """Return (first page, pages): mostly inside one run of mapped pages."""
        page, length = self._page(pid), self._length()
        if self.random.random() < 0.8:
            while length > 1 and page + length - 1 not in self.mapped[pid]:
                length -= 1
        return page, length

    def _run(self, pid):
        """Return (first page, pages) of a whole run of mapped pages, or of a part of it."""
        page = end = self._page(pid)
        while page - 1 in self.mapped[pid]:
            page -= 1
        while end in self.mapped[pid]:
            end += 1
        return page, max(min(end - page, 12), 1)

    @staticmethod
    def _bytes(page, length):
        return {"addr": page * PAGE, "len": length * PAGE}

    # ---- layout

    def _mmap(self, pid):
        start, length = self._free_range(pid)
        self.mapped[pid].update(range(start, start + length))
        columns = self._bytes(start, length) | {"prot": self._weighted(self.start_prots)}
        kind = self.random.random()
        if kind < 0.7:
            flags = 0x22
            if self.random.random() < 0.05:
                flags |= 0x100
        elif kind < 0.85:
            flags = 0x02
            columns |= self._file(start)
        elif kind < 0.93:
            flags = self.random.choice((0x01, 0x03))
            columns |= self._file(start)
        else:
            flags = 0x21
            columns["pgoff"] = self.random.randrange(4)
        for bit, chance in ((0x10, 0.3), (0x2000, 0.07), (0x4000, 0.06), (0x8000, 0.05), (0x20000, 0.05)):
            if self.random.random() < chance:
                flags |= bit
        return columns | {"flags": flags}

    def _free_range(self, pid):
        """Return (first page, pages), mostly where nothing is mapped, often next to something."""
        mapped, length = self.mapped[pid], self._length()
        for _ in range(6):
            start = self.random.randrange(self.low, self.high - length)
            if mapped and self.random.random() < 0.7:
                page = self.random.choice(sorted(mapped))
                start = self.random.choice((page + 1, page - length))
                start = min(max(start, self.low), self.high - length)
            free = next((i for i in range(length) if start + i in mapped), length)
            if free:
                return start, free
        return start, length

    def _file(self, start):
        """Return a file and an offset that often continues what lies next to it."""
        pgoff = start - self.low if self.random.random() < 0.8 else self.random.randrange(16)
        return {"file": self.random.choice(FILES), "pgoff": pgoff}

    def _vma(self, pid):
        start, length = self._free_range(pid)
        self.mapped[pid].update(range(start, start + length))
        columns = self._bytes(start, length) | {"prot": self._weighted(PROTS)}
        kind = self.random.randrange(6)
        if kind == 0:
            return columns | self._file(start) | {"flags": 0x02}
        if kind == 1:
            return columns | self._file(start) | {"flags": 0x01}
        if kind == 2:
            return columns | {"flags": 0x122}
        if kind == 3:
            return columns | {"flags": 0x22, "file": self.random.choice(("[vdso]", "[vvar_vclock]"))}
        if kind == 4:
            return columns | {"flags": self.random.choice((0x01, 0x21, 0x6022))}
        return columns | {"flags": 0x22} | ({"pgoff": start + 3} if self.random.random() < 0.2 else {})

    def _munmap(self, pid):
        page, length = self._range(pid)
        self.mapped[pid].difference_update(range(page, page + length))
        return self._bytes(page, length)

    def _mprotect(self, pid):
        page, length = self._run(pid) if self.random.random() < 0.25 else self._range(pid)
        return self._bytes(page, length) | {"prot": self._weighted(PROTS)}

    def _mremap(self, pid):
        if self.random.random() < 0.25:
            return self._resize(pid)
        page, length = self._run(pid) if self.random.random() < 0.3 else self._range(pid)
        target = self._free_range(pid)[0]
        back = [move for move in self.moves if move[0] == pid]
        if back and self.random.random() < 0.5:  # home again: anonymous pages fit there as before
            move = self.random.choice(back)
            self.moves.remove(move)
            _, target, page, length = move
        new_length = length
        if self.random.random() < 0.2:
            new_length = max(1, length + self.random.randint(-2, 3))
        if target + new_length > self.high or (target < page + length and page < target + new_length):
            return None
        self.moves.append((pid, page, target, min(length, new_length)))
        flags = 3 | (4 if self.random.random() < 0.1 else 0)
        mapped = self.mapped[pid]
        if not flags & 4:
            mapped.difference_update(range(page, page + length))
        mapped.update(range(target, target + new_length))
        return self._bytes(page, length) | {
            "new_addr": target * PAGE,
            "new_len": new_length * PAGE,
            "flags": flags,
        }

    def _resize(self, pid):
        page, length = self._run(pid)
        new_length = max(1, length + self.random.randint(-3, 3))
        if page + new_length > self.high:
            return None
        self.mapped[pid].difference_update(range(page, page + length))
        self.mapped[pid].update(range(page, page + new_length))
        columns = self._bytes(page, length) | {"new_len": new_length * PAGE, "flags": 1}
        if self.random.random() < 0.5:
            columns["new_addr"] = page * PAGE
        return columns

    def _brk(self, pid):
        middle = (self.low + self.high) // 2
        page = self.random.randrange(middle, min(middle + 12, self.high))
        self.mapped[pid].update(range(middle, page))
        return {"addr": page * PAGE - self.random.choice((0, 0, 100))}

    def _madvise(self, pid):
        return self._bytes(*self._range(pid)) | {"flags": self._weighted(ADVICE)}

    def _mlock(self, pid):
        return self._bytes(*self._range(pid))

    _munlock = _mlock

    # ---- processes

    def _fork(self, pid):
        dead = [other for other in self.pids if other not in self.mapped]
        child = self.random.choice(dead if dead and self.random.random() < 0.9 else self.pids)
        if child == pid:
            return None
        share = self.random.random() < 0.15
        self.mapped[child] = self.mapped[pid] if share else set(self.mapped[pid])
        self.moves += [(child, *move[1:]) for move in self.moves if move[0] == pid]
        return {"child": child, "flags": self.random.choice((0x100, 0x4100)) if share else 0}

    def _exec(self, pid):
        self.mapped[pid] = set()
        return {"file": "program"}

    def _exit(self, pid):
        del self.mapped[pid]
        self.moves = [move for move in self.moves if move[0] != pid]
        return {}

    # ---- pages

    def _write_fault(self, pid):
        columns = {"addr": self._page(pid) * PAGE + self.random.choice((0, 8))}
        if self.random.random() < 0.2:
            columns["frame"] = self.random.randrange(FRAMES)
        return columns

    _read_fault = _write_fault

    def _touch(self, pid):
        page, length = self._range(pid)
        return self._bytes(page, length) if self.random.random() < 0.5 else {"addr": page * PAGE}

    def _referenced(self, pid):
        if self.random.random() < 0.15:
            return {"frame": self.random.randrange(FRAMES + 2)}
        return {"addr": self._page(pid) * PAGE}

    _try_unmap = _swap_out = _referenced

    def _reclaim(self, pid):
        if self.file_reclaim and self.random.random() < 0.4:
            pgoff = self._page(pid) - self.low if self.random.random() < 0.7 else self.random.randrange(16)
            return {"file": self.random.choice(FILES), "pgoff": max(pgoff, 0)}
        return self._referenced(pid)

    def _scan(self, pid):
        return {"len": self.random.choice((1, 2, 4, 8, 32))}

    def _mark(self, pid):
        return {"len": 1}

    def _lost(self, pid):
        return {"len": 5}
