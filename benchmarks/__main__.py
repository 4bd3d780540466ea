"""Print every figure of ``docs/performance.md``, its ratio to the goal first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from anonvma_trace.replay.layout import MM, PAGE, PROC, PT_ENTRIES, PT_STRIDE, SLOT, VMA
from anonvma_trace.replay.schemes.anon_vma import ANON_VMA
from anonvma_trace.replay.schemes.members import MEMBER
from tests.replay.generated import (
    fault_heavy,
    first_rows,
    fork_family,
    many_vmas,
    to_batches,
    two_families,
    walk_every_page,
)

from .families import gain
from .interpreted import interpreted_events_per_second
from .runs import fastest, replay, replay_plainly, replay_slowly, require_equal
from .start_up import answer_seconds, start_up_seconds

WIDTH = 120  # columns, where the output is no terminal
SLICE_EVENTS = 50_000  # of the fault-heavy load, for what is slow
INTERPRETED_EVENTS = 20_000  # the same, for what is slower still
SHORTER_EVENTS = 1_000_000  # of the load that the cost of an event is compared with


@dataclass(frozen=True)
class Figure:
    """One measured figure and its goal.

    `at_least` tells on which side of the goal is good; a figure without goal is shown for what it is.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False

    def row(self) -> tuple[str, str, str, str]:
        if self.goal is None:
            return "", self.name, f"{self.value:,.4g} {self.unit}", ""
        ratio = self.value / self.goal
        good = ratio >= 1 if self.at_least else ratio <= 1
        bound = ">=" if self.at_least else "<="
        return (
            f"[{'green' if good else 'red'}]{ratio:.2f}",
            self.name,
            f"{self.value:,.4g} {self.unit}",
            f"{bound} {self.goal:g} {self.unit}",
        )


@dataclass(frozen=True)
class Sizes:
    """How large the loads are."""

    events: int
    children: int
    pages: int
    vmas: int

    @classmethod
    def of(cls, events: int, quick: bool) -> Sizes:
        return cls(events // 10, 300, 300, 9_000) if quick else cls(events, 1000, 1000, 30_000)


def warm_up() -> None:
    """Compile, or load, all that the loads use; the second part grows the hash tables."""
    replay(to_batches(fork_family(1, 1)))
    replay(to_batches(many_vmas(10_000, 0, 1)))


def fault_heavy_figures(sizes: Sizes, repeat: int) -> Iterator[Figure]:
    """W1: fork families, 95 % faults."""
    beginning = first_rows(fault_heavy(SLICE_EVENTS), SLICE_EVENTS)
    slow = replay_slowly(beginning)
    quick = fastest(lambda: beginning, repeat)
    require_equal(quick, slow)
    whole = fastest(lambda: fault_heavy(sizes.events), repeat)
    beginning_of_whole = min(SHORTER_EVENTS, sizes.events // 5)
    shorter = fastest(lambda: fault_heavy(beginning_of_whole), repeat)
    plain = replay_plainly(fault_heavy(beginning_of_whole))
    require_equal(shorter, plain, "the plain Python version")
    yield Figure(
        f"core to plain Python objects, both the first {plain.events:,} events",
        shorter.events_per_second / plain.events_per_second,
        "times",
        8,
        at_least=True,
    )
    yield Figure(
        f"core to slow model, both the first {slow.events:,} events",
        quick.events_per_second / slow.events_per_second,
        "times",
    )
    first = fastest(lambda: first_rows(beginning, INTERPRETED_EVENTS), repeat)
    yield Figure(
        f"core to its source interpreted, both the first {first.events:,} events",
        first.events_per_second / interpreted_events_per_second(first.events),
        "times",
    )
    yield Figure(
        f"cost of an event, {whole.events:,} events to {shorter.events:,}",
        shorter.events_per_second / whole.events_per_second,
        "times",
        1.3,
    )
    yield Figure("speed of the core", whole.events_per_second / 1e6, "M events/s", 4, at_least=True)
    yield Figure("speed of plain Python objects", plain.events_per_second / 1e6, "M events/s")
    yield Figure("speed of the slow model", slow.events_per_second / 1e6, "M events/s")


def family_figures(sizes: Sizes, repeat: int) -> Iterator[Figure]:
    """W2: one parent and its children, which copy all pages; then each page walked."""
    n, p = sizes.children, sizes.pages
    faults = to_batches(fork_family(n, p))
    yield Figure(
        f"{n:,} children copy {p:,} pages each",
        fastest(lambda: faults, repeat).events_per_second / 1e6,
        "M events/s",
        10,
        at_least=True,
    )
    walked = to_batches(np.concatenate([fork_family(n, p), walk_every_page(n, p)]))
    longer = to_batches(np.concatenate([fork_family(2 * n, p // 2), walk_every_page(2 * n, p // 2)]))
    run, longer_run = fastest(lambda: walked, repeat), fastest(lambda: longer, repeat)
    visits = run.summary["reclaim"]["vmas_visited"]
    yield Figure(f"the same, then each page walked: {visits:,} vmas visited", run.seconds, "s", 3)
    yield Figure(
        f"{2 * n:,} children x {p // 2:,} pages to {n:,} x {p:,}, walked",
        longer_run.seconds / run.seconds,
        "times",
        1.3,
    )


def many_vmas_figures(sizes: Sizes, repeat: int) -> Iterator[Figure]:
    """W3: many vmas in one mm, changed and then walked."""
    rows = many_vmas(sizes.vmas, 2 * sizes.vmas // 3, 9 * sizes.vmas // 29)
    batches = to_batches(rows)
    changes = to_batches(many_vmas(sizes.vmas, 2 * sizes.vmas // 3, 0))
    run, changed = fastest(lambda: batches, repeat), fastest(lambda: changes, repeat)
    visits = run.summary["reclaim"]["vmas_visited"]
    yield Figure(
        f"{sizes.vmas:,} vmas in one mm, mprotect, then {visits:,} vmas visited", run.seconds, "s", 1.5
    )
    yield Figure("the same without the walks", changed.seconds, "s")


def side_by_side_figures(sizes: Sizes, repeat: int) -> Iterator[Figure]:
    """Families replayed by two threads: faults wait for memory, calls keep a processor busy."""
    calls = two_families(many_vmas(sizes.vmas, 13 * sizes.vmas, 0))
    loads = {
        "two families, faults": fault_heavy(sizes.events, families=2),
        "ten families, faults": fault_heavy(sizes.events, families=10),
        f"two families, mprotect among {sizes.vmas:,} vmas each": to_batches(calls),
    }
    for name, events in loads.items():
        by_clock, by_cpu = gain(events, 2, repeat)
        yield Figure(f"{name}: two threads to one, by the clock", by_clock, "times", 1.7, at_least=True)
        yield Figure(f"{name}: twice the ratio of CPU seconds", by_cpu, "times")


def start_up_figures(repeat: int) -> Iterator[Figure]:
    imports, cold, cached = start_up_seconds(repeat)
    yield Figure("first replay, machine code cached, above the imports", cached, "s", 0.5)
    yield Figure("first replay, nothing cached, above the imports", cold, "s", 25)
    yield Figure("the imports: polars, pyarrow", imports, "s")
    for line, seconds in answer_seconds(repeat).items():
        yield Figure(f"anonvma-trace {line}", seconds, "s", 0.3)


def memory_figures() -> Iterator[Figure]:
    yield Figure("vma", VMA.itemsize, "bytes", 128)
    yield Figure("page", PAGE.itemsize, "bytes", 32)
    yield Figure("pte", 8 * PT_STRIDE / PT_ENTRIES, "bytes", 16)
    for name, dtype in {
        "anon_vma": ANON_VMA,
        "process on an anon_vma": MEMBER,
        "mm": MM,
        "process": PROC,
        "swap slot": SLOT,
    }.items():
        yield Figure(name, dtype.itemsize, "bytes")


def main(
    events: Annotated[int, typer.Option(help="Events of the fault-heavy load.", min=100_000)] = 5_000_000,
    repeat: Annotated[int, typer.Option(help="Runs of each load; the fastest counts.", min=1)] = 3,
    quick: Annotated[bool, typer.Option(help="Smaller loads; the goals are for the full ones.")] = False,
    start_up: Annotated[bool, typer.Option(help="Measure start-up too; compiles the core.")] = True,
) -> None:
    """Measure the replay beside its goals, result tables on, in one run."""
    sizes = Sizes.of(events, quick)
    parts = {
        "fault-heavy: 10 fork families, 95 % faults": fault_heavy_figures(sizes, repeat),
        "one fork family": family_figures(sizes, repeat),
        "many vmas": many_vmas_figures(sizes, repeat),
        "families side by side": side_by_side_figures(sizes, repeat),
        "memory": memory_figures(),
    }
    if start_up:
        parts["start-up"] = start_up_figures(repeat)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table("to goal", "figure", "measured", "goal", title="Replay: CPU seconds, one thread")
    with console.status("preparing the replay core") as status:
        warm_up()
        for part, figures in parts.items():
            status.update(f"measuring: {part}")
            table.add_section()
            table.add_row("", f"[bold]{part}")
            for figure in figures:
                table.add_row(*figure.row())
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
