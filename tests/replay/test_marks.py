"""What a watcher is shown at `mark` rows: the address space as it stands there; looking changes nothing."""

from __future__ import annotations

import numba
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay.marks import Mark

from .core_state import CoreReplay
from .random_events import random_rows
from .scenario_text import scenario_rows

PAGE = 4096
SEEDS = range(2) if numba.config.DISABLE_JIT else range(6)


class EveryMark:
    """Keeps what it is shown, and the state of the replay at that moment in words of the model."""

    def __init__(self, replay: CoreReplay) -> None:
        self.replay = replay
        self.marks: list[Mark] = []
        self.states: list[dict] = []
        replay.core.watch(self)

    def wants(self, pid, number):
        return number >= 0

    def look(self, mark):
        self.marks.append(mark)
        self.states.append(self.replay.state())

    def end(self, standing_ts):
        self.standing_ts = standing_ts.tolist()

    def diagnostics(self):
        return []


def watched(rows, metadata=None):
    replay = CoreReplay(metadata)
    watcher = EveryMark(replay)
    replay.feed(*rows)
    return watcher


def mark(number, pid=1):
    return {"ts": 1, "op": "mark", "pid": pid, "len": number}


def with_marks(rows):
    """Put marks of all pids behind every tenth row."""
    marked = []
    for at, row in enumerate(rows):
        marked.append(row)
        if at % 10 == 9:
            marked += [mark(at, pid) for pid in range(1, 7)]
    return marked


def pages_of(addresses):
    assert addresses.dtype == "uint64"
    return [int(address) // PAGE for address in addresses]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_space_is_what_the_state_holds_at_the_mark(seed):
    watcher = watched(with_marks(random_rows(seed, 250)))
    assert len(watcher.marks) >= 150
    compared = 0
    for shown, state in zip(watcher.marks, watcher.states, strict=True):
        if shown.pid not in state["processes"]:
            assert shown.space is None
            continue
        mm, space = state["mms"][state["processes"][shown.pid]], shown.space
        assert list(zip(pages_of(space.start), pages_of(space.end), space.prot.tolist(), strict=True)) == [
            (start, end, prot) for start, end, _, prot, *_ in mm["vmas"]
        ]
        flags = [flags.split("|") for _, _, flags, *_ in mm["vmas"]]
        assert space.shared.tolist() == ["SHARED" in names for names in flags]
        assert space.growsdown.tolist() == ["GROWSDOWN" in names for names in flags]
        assert pages_of(space.anon_pages) == [
            vpn for vpn, pte in sorted(mm["ptes"].items()) if pte[0] in ("page", "swap")
        ]
        compared += len(space.anon_pages)
    assert compared > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_looking_changes_nothing(seed):
    rows = with_marks(random_rows(seed, 250))
    alone = CoreReplay()
    alone.feed(*rows)
    watched_replay = watched(rows).replay
    assert watched_replay.state() == alone.state()
    assert watched_replay.summary() == alone.summary()
    for name in ("merges", "walks", "vma_spans", "anon_vmas", "members", "timeline", "diagnostics"):
        assert watched_replay.rows(name) == alone.rows(name)


def test_only_what_came_before_the_mark_is_there():
    rows = [*scenario_rows("map 10 12 rw; w 10"), mark(7), *scenario_rows("w 11; unmap 10 11"), mark(8)]
    first, second = watched(rows).marks
    assert pages_of(first.space.anon_pages) == [10]
    assert pages_of(second.space.anon_pages) == [11]
    assert (first.event, first.number, second.event, second.number) == (3, 7, 6, 8)


def test_pages_far_apart_are_in_order():
    """They lie in different blocks of a page table of several levels."""
    pages = [3, 511, 512, 1 << 20, (1 << 35) - 1]
    text = "; ".join(f"map {page} {page + 1} rw; w {page}" for page in reversed(pages))
    (shown,) = watched([*scenario_rows(text), mark(0)]).marks
    assert pages_of(shown.space.anon_pages) == pages


def test_zero_page_and_file_pages_are_not_anonymous_and_swapped_ones_are():
    text = "map 10 13 rw; r 10; w 11,12; swap_out 12; map 20 22 rw file f 0; r 20; w 21"
    (shown,) = watched([*scenario_rows(text), mark(0)]).marks
    assert pages_of(shown.space.anon_pages) == [11, 12, 21]


def test_a_process_that_exited_or_was_never_seen_has_no_space():
    rows = [*scenario_rows("map 1 2 rw; fork m2; m2: exit"), mark(1, pid=2), mark(2, pid=3)]
    exited, never = watched(rows).marks
    assert (exited.was_seen, exited.space) == (True, None)
    assert (never.was_seen, never.space) == (False, None)


def test_processes_that_share_an_mm_show_the_same():
    rows = [*scenario_rows("map 1 4 rw; fork m2 vm; m2: w 2"), mark(1, pid=1), mark(2, pid=2)]
    parent, child = watched(rows).marks
    assert pages_of(parent.space.anon_pages) == pages_of(child.space.anon_pages) == [2]


def test_special_mappings_are_told():
    vdso = {"ts": 1, "op": "vma", "pid": 1, "addr": 8 * PAGE, "len": PAGE, "prot": 5, "file": "[vdso]"}
    shm = {"ts": 1, "op": "mmap", "pid": 1, "addr": 4 * PAGE, "len": PAGE, "prot": 3, "flags": 0x21}
    (shown,) = watched([vdso, shm, mark(1)]).marks
    assert shown.space.special.tolist() == [False, True]
    assert shown.space.shared.tolist() == [True, False]


def vma(pid=1):
    return {"ts": 1, "op": "vma", "pid": pid, "addr": PAGE, "len": PAGE, "prot": 3, "flags": 0x22}


LOST = {"ts": 1, "op": "lost", "len": 5}
EXEC = {"ts": 1, "op": "exec", "pid": 1, "file": "/bin/sh"}
WRITE = {"ts": 1, "op": "write_fault", "pid": 1, "addr": 9 * PAGE}
FORK = {"ts": 1, "op": "fork", "pid": 1, "child": 2, "flags": 0}


@pytest.mark.parametrize(
    ("rows", "pid", "known_since", "last_loss"),
    [
        ([vma(), LOST], 1, 1, 2),
        ([LOST, vma()], 1, 2, 1),
        ([WRITE, LOST], 1, 0, 2),  # never known
        ([WRITE, LOST, vma()], 1, 3, 2),
        ([vma(), LOST, vma()], 1, 1, 2),  # more of the same image
        ([vma(), EXEC], 1, 0, 0),  # its new image is not told
        ([vma(), LOST, EXEC, vma()], 1, 4, 2),
        ([vma(), LOST, FORK, LOST], 2, 1, 4),  # the child is as uncertain as its parent
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_since_when_a_space_is_known_and_what_was_lost(rows, pid, known_since, last_loss, cut):
    replay = CoreReplay(TraceMetadata(complete=False))
    watcher = EveryMark(replay)
    for part in [[row] for row in rows] if cut else [rows]:
        replay.feed(*part)
    replay.feed(mark(1, pid))
    (shown,) = watcher.marks
    assert (shown.space.known_since, shown.last_loss) == (known_since, last_loss)


def test_in_a_complete_table_a_space_is_known_from_its_exec_on():
    (shown,) = watched([vma(), LOST, EXEC, WRITE, mark(1)]).marks
    assert (shown.space.known_since, shown.last_loss) == (3, 2)


def test_a_loss_after_the_mark_does_not_count():
    (shown,) = watched([vma(), mark(1), LOST]).marks
    assert shown.last_loss == 0
