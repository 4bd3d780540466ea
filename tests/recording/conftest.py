"""What a test needs to record for real; where it is not to be had, the test is skipped with the reason."""

import os
import subprocess

import pytest

from anonvma_trace.errors import RecordingError
from anonvma_trace.recording.tracefs import Instance, find_tracefs


@pytest.fixture(scope="session")
def tracefs(tmp_path_factory):
    """Return where tracefs is mounted; root mounts it for the session if it is not."""
    if os.geteuid() != 0:
        pytest.skip("recording needs root")
    mounted = None
    try:
        find_tracefs()
    except RecordingError:
        mounted = tmp_path_factory.mktemp("tracefs")
        run = subprocess.run(
            ["mount", "-t", "tracefs", "none", mounted], capture_output=True, text=True, check=False
        )
        if run.returncode:
            pytest.skip(f"tracefs is not mounted and cannot be: {run.stderr.strip()}")
    try:
        try:
            Instance(find_tracefs(), buffer_kb=64).close()
        except RecordingError as error:
            pytest.skip(f"this kernel cannot record: {error}")
        yield find_tracefs()
    finally:
        if mounted is not None:
            subprocess.run(["umount", mounted], check=True)
