"""Functions are compiled with or without a place to keep what was compiled, and never from older sources."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from anonvma_trace import compiling

KERNELS = """
from anonvma_trace.compiling import kernel

@kernel
def twice(number):
    return {factor} * number
"""
ENTRIES = """
from anonvma_trace.compiling import entry_point
from kernels import twice

@entry_point
def add(first, second):
    return twice(first) + twice(second)

print(add(1, 2), add.stats.cache_hits)
"""


@pytest.fixture(autouse=True)
def no_folder_is_remembered():
    compiling._cache_directory.cache_clear()
    compiling.source_hash.cache_clear()
    yield
    compiling._cache_directory.cache_clear()
    compiling.source_hash.cache_clear()


def run(folder, factor):
    """Run an entry point that calls a kernel of another file; what it printed."""
    (folder / "kernels.py").write_text(KERNELS.format(factor=factor))
    (folder / "entries.py").write_text(ENTRIES)
    environment = {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(Path(compiling.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "entries.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    result, hits = done.stdout.split(" ", 1)
    return int(result), "1" in hits


@pytest.mark.compiled
def test_machine_code_is_kept_until_the_file_of_any_kernel_changes(tmp_path):
    assert run(tmp_path, 2) == (6, False)
    assert run(tmp_path, 2) == (6, True)
    assert run(tmp_path, 3) == (9, False)


@pytest.mark.compiled
def test_functions_are_compiled_where_no_machine_code_can_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder: nothing can be made in it
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    assert compiling._cache_directory(tmp_path) is None

    @compiling.entry_point
    def add(first, second):
        return first + second

    assert add(1, 2) == 3


def test_every_part_of_the_package_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package = Path(compiling.__file__).parent
    names = [Path(compiling._cache_directory(package / part)).name for part in ("parsers", "replay")]
    assert [name.split("-")[0] for name in names] == ["parsers", "replay"]
    assert all((tmp_path / "anonvma_trace" / name).is_dir() for name in names)
