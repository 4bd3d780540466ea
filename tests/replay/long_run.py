"""Compare core and model after each of very many events: ``python -m tests.replay.long_run --steps N --seed S``.

With ``--machine`` hypothesis draws the events (the machine of `test_state_machine`), else `random_events` does,
which costs less for each. Prints where it is, then the seed, the steps and what was met; a difference ends it
with the sequence that led there.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

import hypothesis

from .comparison import Difference, Lockstep
from .narration import statement_of
from .random_events import CHOICES, SETTINGS, random_rows
from .test_state_machine import ReplayMachine, run_machine

SESSION = 500  # events of one pair of replays; what was ever made is kept, so longer ones cost more
MACHINES = 50  # run under one seed: hypothesis remembers what it has tried
REPORT = 50_000  # events between two lines of progress
PAGES = (24, 32, 64)  # sizes of the address spaces


def run_sessions(steps, seed, scheme):
    """Yield after each session (steps so far, what the session met); raise Difference, told in full."""
    for number in range(-(-steps // SESSION)):
        session_seed = seed * 1_000_000 + number
        chance = random.Random(session_seed)
        setting, rules, pages = (
            chance.choice(list(SETTINGS)),
            chance.choice(CHOICES[scheme]),
            chance.choice(PAGES),
        )
        metadata, options = SETTINGS[setting]
        rows = random_rows(session_seed, SESSION, pages=pages, pids=4, file_reclaim=True)
        both = Lockstep(metadata, rules, scheme=scheme, **options)
        try:
            for row in rows:
                both.step(row)
            both.compare_results()
        except Difference as difference:
            told = "\n".join(statement_of(row) for row in rows[: difference.event])
            difference.add_note(
                f"{told}\nseed of the session {session_seed}, setting {setting}, rules {rules}"
            )
            raise
        assert both.model.violations() == [], (session_seed, setting, rules)
        yield (number + 1) * SESSION, met_by(both.model)


def run_machines(steps, seed, scheme):
    """Yield as `run_sessions` does, for events drawn by hypothesis; a failure is told by hypothesis, shrunk."""
    done, number = 0, 0
    while done < steps:
        met = Counter()
        hypothesis.seed(seed * 1_000_000 + number)(ReplayMachine)
        done += run_machine(
            MACHINES, 100, scheme=scheme, after=lambda model, met=met: met.update(met_by(model))
        )
        number += 1
        yield done, met


def met_by(model):
    """Return how often a replay met what is worth meeting."""
    met = Counter(f"case {row['case']}" for row in model.merges if row["case"])
    met.update(f"refused {row[side]}" for row in model.merges for side in ("left", "right"))
    met.update(row["outcome"] for row in model.walks)
    met.update(f"file {row['outcome']}" for row in model.file_walks)
    met.update(name for _, name in model.bugs)
    met["unreachable"] += sum(row["unreachable"] > 0 for row in model.walks)
    return met - Counter(dict.fromkeys(("refused ok", "refused not_adjacent"), 10**9))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scheme", choices=CHOICES, default="anon_vma")
    parser.add_argument("--machine", action="store_true", help="let hypothesis draw the events")
    arguments = parser.parse_args()
    run = run_machines if arguments.machine else run_sessions
    began, done, met = time.monotonic(), 0, Counter()
    for steps, session in run(arguments.steps, arguments.seed, arguments.scheme):
        met += session
        if steps // REPORT > done // REPORT:
            print(f"{steps} steps, {time.monotonic() - began:.0f} s", flush=True)
        done = steps
    print(f"seed {arguments.seed}: {done} steps without a difference, {time.monotonic() - began:.0f} s")
    print(", ".join(f"{name} {n}" for name, n in sorted(met.items())))


if __name__ == "__main__":
    main()
