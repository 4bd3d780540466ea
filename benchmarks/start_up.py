"""What it takes until the first event is replayed, cold and from the second start on, and until help is shown."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile

_IMPORTS = "import polars, pyarrow"  # what every replay needs; numba is needed only to compile
_FIRST_REPLAY = "import anonvma_trace; anonvma_trace.replay_trace('fork-and-copy')"

ANSWERS = ("--version", "--help", "replay --help", "replay --no-such-option", "replay")
"""Command lines that are answered before anything of a replay is imported."""


def _cpu_seconds(arguments: list[str], cache: str) -> float:
    """Return the CPU seconds of Python with these arguments and its own cache folder."""
    environment = os.environ | {"XDG_CACHE_HOME": cache, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is kept where the package is installed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    must_work = arguments[0] == "-c"  # wrong usage is answered with a status of its own
    subprocess.run([sys.executable, *arguments], env=environment, check=must_work, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def start_up_seconds(repeat: int) -> tuple[float, float, float]:
    """Return CPU seconds: of the imports alone, and above them of a first replay, cold and with cached code."""
    with tempfile.TemporaryDirectory() as cache:
        cold = _cpu_seconds(["-c", _FIRST_REPLAY], cache)
        imports = min(_cpu_seconds(["-c", _IMPORTS], cache) for _ in range(repeat))
        cached = min(_cpu_seconds(["-c", _FIRST_REPLAY], cache) for _ in range(repeat))
    return imports, cold - imports, cached - imports


def answer_seconds(repeat: int) -> dict[str, float]:
    """Return the CPU seconds of the whole process for each of `ANSWERS`."""
    with tempfile.TemporaryDirectory() as cache:
        return {
            line: min(_cpu_seconds(["-m", "anonvma_trace", *line.split()], cache) for _ in range(repeat))
            for line in ANSWERS
        }
