"""What `explain --event` says of every merge case, every refusal and every path of a fault: golden texts.

``python -m tests.explaining.test_events`` writes them anew; read what changed before committing it.
"""

from pathlib import Path

import pytest

from anonvma_trace.errors import UsageError
from anonvma_trace.explaining import explain_event
from anonvma_trace.parsers import scenario_trace

GOLDEN = Path(__file__).parent / "golden"

EVENTS = {
    "case-1": "map 10 12 rw; map 14 16 rw; map 12 14 rw",
    "case-2": "map 10 12 rw; map 12 14 rw",
    "case-3": "map 12 14 rw; map 10 12 rw",
    "case-4": "map 10 20 rw; prot 15 20 r; prot 12 15 r",
    "case-4-d1": "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r",
    "case-5": "map 10 20 rw; prot 10 15 r; prot 15 17 r",
    "case-6": "map 10 20 rw; prot 12 15 r; prot 12 15 rw",
    "case-7": "map 10 20 rw; prot 10 12 r; prot 15 20 none; prot 12 15 r",
    "case-8": "map 10 20 rw; prot 15 20 r; prot 10 12 none; prot 12 15 r",
    "refused-special": "map 10 14 rw; advise 10 14 dontfork; prot 10 12 r",
    "refused-flags": "map 10 12 rw; map 12 14 r",
    "refused-file": "map 10 12 r file a 0; map 12 14 r",
    "refused-anon_diff": "map 10 12 rw; w 10; map 12 14 rwx; w 12; prot 12 14 rw",
    "refused-pgoff_anon": "map 10 12 rw; w 10; move 10 12 20; map 22 24 rw",
    "refused-pgoff_file": "map 10 12 r file a 0; map 12 14 r file a 7",
    "refused-prev_next": "map 10 12 rw; w 10; map 14 16 rw; w 14; map 12 14 rw",
    "refused-cloned": "map 10 14 rw; w 12; fork m2; m2: w 12; m2: map 14 16 rw",
    "no-neighbour": "map 10 12 rw; map 20 22 rw; map 14 16 rw",
    "mprotect-over-two-vmas": "map 10 14 rw; map 14 18 rwx; prot 12 16 r",
    "munmap": "map 10 20 rw; w 12; unmap 14 16",
    "mremap-move": "map 10 14 rw; w 12; move 11 13 30",
    "first-write": "map 10 14 rw; w 12",
    "first-read": "map 10 14 rw; r 12",
    "write-after-read": "map 10 14 rw; r 12; w 12",
    "copy-on-write": "map 10 14 rw; w 12; fork m2; m2: w 12",
    "kept-on-write": "map 10 14 rw; w 12; fork m2; m2: exit; w 12",
    "file-read": "map 10 14 r file a 0; r 12",
    "file-written-privately": "map 10 14 rw file a 0; w 12",
    "swap-in": "map 10 14 rw; w 12; swap_out 12; r 12",
    "swap-cache": "map 10 14 rw; w 12; fork m2; swap_out 12; r 12; m2: r 12",
    "forbidden": "map 10 14 r; w 12",
    "unmapped": "map 10 14 rw; w 20",
    "stack-growth": "map 10 14 rw growsdown; w 8",
    "fork": "map 10 14 rw; w 12; map 20 24 r; fork m2",
    "vfork": "map 10 14 rw; w 12; fork m2 vm",
    "exit": "map 10 14 rw; w 12; fork m2; m2: exit",
    "exec": "map 10 14 rw; w 12; exec",
    "brk": "brk 100; brk 102",
    "reclaim": "map 10 14 rw; w 12; fork m2; m2: w 12; referenced 12; reclaim 12",
    "lost-page": "map 10 14 rw; prot 12 14 r; w 11; prot 11 12 r; referenced 11",
    "advice": "map 10 14 rw; w 12; dontneed 10 14",
    "mlock": "map 10 14 rw; mlock 11 12",
    "touch": "map 10 14 rw; w 12; touch 12",
}
"""Name of the golden text -> scenario, whose last event is explained."""

SCHEMES = {"refused-cloned": "linux6"}
"""Where it is another scheme than `anon_vma`."""


def text_of(name):
    trace = scenario_trace(EVENTS[name])
    sections = explain_event(trace, trace.table.num_rows, SCHEMES.get(name, "anon_vma"))
    return "".join(
        f"[{section.name}]\n" + "".join(f"{line}\n" for line in section.lines) for section in sections
    )


@pytest.mark.parametrize("name", EVENTS)
def test_golden_text(name):
    assert text_of(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_text_is_tested():
    assert {path.stem for path in GOLDEN.iterdir()} == set(EVENTS)


@pytest.mark.parametrize("event", [0, 3, 1000])
def test_an_event_that_there_is_not(event):
    with pytest.raises(UsageError, match=f"found {event:,}"):
        explain_event(scenario_trace("map 10 14 rw; w 12"), event)


if __name__ == "__main__":
    for old in GOLDEN.iterdir():
        old.unlink()
    for name in EVENTS:
        (GOLDEN / f"{name}.txt").write_text(text_of(name), encoding="utf-8")
