"""The core's own source run as plain Python: what compiling gives. It says nothing of Python written for speed."""

from __future__ import annotations

import os
import subprocess
import sys

_RUN = """
from benchmarks.runs import replay
from tests.replay.generated import fault_heavy, first_rows
print(replay(first_rows(fault_heavy({events}), {events})).events_per_second)
"""


def interpreted_events_per_second(events: int) -> float:
    """Replay the first events of the fault-heavy load with nothing compiled; the time is that of one run."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(events=events)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout)
