"""Which file is mapped where: the rows of remap_file_pages, against a model that knows each page by itself."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from anonvma_trace.events import CLONE_VM, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MREMAP_DONTUNMAP
from anonvma_trace.parsers.notes import Notes
from anonvma_trace.parsers.row_table import (
    ADDR,
    CHILD,
    FILE,
    FLAGS,
    LEN,
    LINE,
    NEW_ADDR,
    NEW_LEN,
    OP,
    OP_CODE,
    PGOFF,
    PID,
    PROT,
    new_rows,
)
from anonvma_trace.parsers.shared_layouts import FILE_AT_ADDRESS
from anonvma_trace.parsers.shared_mappings import SharedMappings

PAGE = 4096
N_PAGES = 10


def rows_of(*events):
    """Return rows from dicts of what is not 0."""
    rows = new_rows(len(events))
    columns = {
        "pid": PID,
        "addr": ADDR,
        "len": LEN,
        "prot": PROT,
        "flags": FLAGS,
        "pgoff": PGOFF,
        "file": FILE,
    }
    columns |= {"new_addr": NEW_ADDR, "new_len": NEW_LEN, "child": CHILD}
    for row, event in enumerate(events):
        rows[OP, row], rows[LINE, row] = OP_CODE[event["op"]], row + 1
        for name, value in event.items():
            if name != "op":
                rows[columns[name], row] = value
    return rows


def complete(shared, *events):
    """Let the rows of `events` be followed, with some behind them that are not certain yet."""
    held = remap(1, 0, 1, 0)
    return shared.complete(rows_of(*events, held, held), len(events))


def mmap(pid, first, n_pages, file=0, pgoff=0, prot=3, flags=MAP_SHARED):
    return {
        "op": "mmap",
        "pid": pid,
        "addr": first * PAGE,
        "len": n_pages * PAGE,
        "file": file,
        "pgoff": pgoff,
        "prot": prot,
        "flags": flags,
    }


def remap(pid, first, n_pages, pgoff):
    return mmap(pid, first, n_pages, -1, pgoff, 0, FILE_AT_ADDRESS) | {"new_len": 2}


class PageByPage:
    """The model: {pid: {page: (file, place, prot)}}; tasks that share an mm share the inner dict."""

    def __init__(self):
        self.of = {}

    def feed(self, event):
        """Follow an event; return what a remap_file_pages is to become, None if it is to be left out."""
        pages = self.of.setdefault(event["pid"], {})
        first, n_pages = event.get("addr", 0) // PAGE, -(-event.get("len", 0) // PAGE)
        op, flags = event["op"], event.get("flags", 0)
        if op == "fork":
            self.of[event["child"]] = pages if flags & CLONE_VM else dict(pages)
        elif op in ("exec", "exit"):
            self.of[event["pid"]] = {}
        elif op == "mprotect":
            for page in range(first, first + n_pages):
                if page in pages:
                    pages[page] = (*pages[page][:2], event["prot"])
        elif op == "mremap":
            self._mremap(pages, event, first, n_pages)
        elif flags == FILE_AT_ADDRESS:
            if first not in pages:
                return None
            file, _, prot = pages[first]
            for page in range(n_pages):
                pages[first + page] = (file, event["pgoff"] + page, prot)
            return file, prot
        else:
            for page in range(n_pages):
                pages.pop(first + page, None)
                if op == "mmap" and flags & MAP_SHARED and event["file"] >= 0:
                    pages[first + page] = (event["file"], event["pgoff"] + page, event["prot"])
        return None

    @staticmethod
    def _mremap(pages, event, first, n_pages):
        to, n_new = event["new_addr"] // PAGE, event["new_len"] // PAGE
        old = [pages.get(first + page) for page in range(max(n_pages, 1))]
        if event["flags"] != MREMAP_DONTUNMAP:
            for page in range(n_pages):
                pages.pop(first + page, None)
        for page in range(n_new):
            pages.pop(to + page, None)
        while len(old) < n_new:  # what is at the end grows
            last = old[-1]
            old.append(last and (last[0], last[1] + 1, last[2]))
        for page, there in enumerate(old[:n_new]):
            if there:
                pages[to + page] = there


def random_event(random):
    """Return an event of one of few processes at one of few places, so that they meet."""
    pid, first, n_pages = random.randint(1, 3), random.randrange(N_PAGES), random.randint(1, 5)
    at = {"pid": pid, "addr": first * PAGE, "len": n_pages * PAGE}
    prot, pgoff = random.randrange(8), random.randrange(10)
    match random.choices(
        ("mmap", "remap", "munmap", "mprotect", "mremap", "fork", "exec", "exit"),
        (20, 30, 5, 15, 15, 4, 1, 1),
    )[0]:
        case "mmap":
            flags = random.choice((MAP_SHARED, MAP_SHARED, MAP_SHARED | MAP_FIXED, MAP_PRIVATE))
            return mmap(pid, first, n_pages, random.choice((0, 1, 1, -1)), pgoff, prot, flags)
        case "remap":
            return remap(pid, first, n_pages, pgoff)
        case "munmap":
            return dict(op="munmap", **at | {"len": random.randint(1, 5 * PAGE)})
        case "mprotect":
            return dict(op="mprotect", **at, prot=prot)
        case "mremap" if random.random() < 0.3:  # MREMAP_DONTUNMAP: to elsewhere, as long as before
            to = {"new_addr": (N_PAGES + 5 + first) * PAGE, "new_len": at["len"], "flags": MREMAP_DONTUNMAP}
            return dict(op="mremap", **at | to)
        case "mremap":
            to = {
                "new_addr": random.randrange(N_PAGES) * PAGE,
                "new_len": random.randint(1, 5) * PAGE,
                "flags": 1,
            }
            return dict(op="mremap", **at | {"len": random.randint(0, 5) * PAGE} | to)
        case "fork":
            return {
                "op": "fork",
                "pid": pid,
                "child": random.randint(1, 3),
                "flags": random.choice((0, CLONE_VM)),
            }
        case op:
            return {"op": op, "pid": pid}


@pytest.mark.parametrize("seed", range(100))
def test_rows_say_what_each_page_says(seed):
    random = Random(seed)
    events = [random_event(random) for _ in range(200)]
    events = [event for event in events if event["op"] != "fork" or event["child"] != event["pid"]]
    notes, model = Notes(), PageByPage()
    shared = SharedMappings(notes)
    expected, n_calls, n_left_out = [], 0, 0
    batch = random.randint(1, 40)
    for number, event in enumerate(events):
        told = model.feed(event)
        if event.get("flags") != FILE_AT_ADDRESS:
            told = event.get("file", -1), event.get("prot", 0)
        else:
            n_calls, n_left_out = n_calls + 1, n_left_out + (told is None)
        if told is not None:
            expected.append([number % batch + 1, *told])
    got = [complete(shared, *events[i : i + batch]) for i in range(0, len(events), batch)]
    assert np.concatenate(got, axis=1)[[LINE, FILE, PROT]].T.tolist() == expected
    assert n_calls - n_left_out > 5
    assert shared.used_lines == 2 * (n_calls - n_left_out)
    assert ("call-not-replayed" in {note.code for note in notes.diagnostics()}) == (n_left_out > 0)


def test_ends_of_the_range_are_rounded_as_the_kernel_does():
    shared = SharedMappings(Notes())
    call = remap(1, 2, 3, 4) | {"addr": 2 * PAGE + 5, "len": 3 * PAGE + 7}
    _, row = complete(shared, mmap(1, 0, 8), call).T
    assert row[[ADDR, LEN, PGOFF, FILE, FLAGS]].tolist() == [2 * PAGE, 3 * PAGE, 4, 0, MAP_SHARED | MAP_FIXED]


@pytest.mark.parametrize("there", [mmap(2, 0, 8), mmap(1, 0, 8, flags=MAP_PRIVATE), mmap(1, 0, 8, file=-1)])
def test_a_call_whose_file_nothing_tells_is_left_out(there):
    notes = Notes()
    shared = SharedMappings(notes)
    assert complete(shared, there, remap(1, 2, 3, 4))[LINE].tolist() == [1]
    (note,) = notes.diagnostics()
    assert note.code == "call-not-replayed"
    assert "1 call of remap_file_pages" in note.message


def test_room_for_mappings_and_processes_grows():
    shared, n_files, children = SharedMappings(Notes()), 300, range(2, 202)
    maps = [mmap(1, 2 * n, 1, file=n) for n in range(n_files)]
    forks = [{"op": "fork", "pid": 1, "child": child} for child in children]
    complete(shared, *maps, *forks)
    assert sorted(set(shared.files.tolist())) == list(range(-1, n_files))
    asked = [remap(child, 2 * n, 1, 7) for child in children for n in (0, child, n_files - 1)]
    found = complete(shared, *asked)
    assert found[FILE].tolist() == [n for child in children for n in (0, child, n_files - 1)]
    complete(shared, *({"op": "exit", "pid": pid} for pid in (1, *children)))
    assert set(shared.files.tolist()) == {-1}
