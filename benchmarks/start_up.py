"""What it takes until the first event is replayed: with nothing cached, and from the second start on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile

_IMPORTS = "import polars, pyarrow"  # what every replay needs; numba is needed only to compile
_FIRST_REPLAY = "import anonvma_trace; anonvma_trace.replay_trace('fork-and-copy')"


def _cpu_seconds(code: str, cache: str) -> float:
    """Return the CPU seconds of a Python process that runs `code`, with its own cache folder."""
    environment = os.environ | {"XDG_CACHE_HOME": cache, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode is kept where the package is installed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def start_up_seconds(repeat: int) -> tuple[float, float, float]:
    """Return CPU seconds: of the imports alone, and above them of a first replay, cold and with cached code."""
    with tempfile.TemporaryDirectory() as cache:
        cold = _cpu_seconds(_FIRST_REPLAY, cache)
        imports = min(_cpu_seconds(_IMPORTS, cache) for _ in range(repeat))
        cached = min(_cpu_seconds(_FIRST_REPLAY, cache) for _ in range(repeat))
    return imports, cold - imports, cached - imports
