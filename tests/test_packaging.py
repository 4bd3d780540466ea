"""What the project's files promise: bounded dependencies, one version, samples in the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import anonvma_trace
from anonvma_trace import samples

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _all_requirements() -> list[str]:
    project = PROJECT["project"]
    return [
        *PROJECT["build-system"]["requires"],
        *project["dependencies"],
        *(each for group in project["optional-dependencies"].values() for each in group),
    ]


@pytest.mark.parametrize("requirement", _all_requirements())
def test_every_dependency_has_a_lower_and_an_upper_bound(requirement: str):
    assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+,<[\d.]+", requirement)


def test_dependencies_stand_in_one_place():
    project = PROJECT["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = [re.split(r"[>=<]", each)[0] for each in requirements]
    assert len(names) == len(set(names))
    assert "dependency-groups" not in PROJECT


def test_python_311_is_enough():
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)


def test_the_version_stands_in_the_package_alone():
    assert "version" in PROJECT["project"]["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", anonvma_trace.__version__)


def test_samples_are_found_where_they_lie():
    directory = samples.samples_directory()
    assert directory.name == "sample_traces"
    assert (directory / "scenarios").is_dir()


def test_the_wheel_holds_package_samples_and_templates(tmp_path: Path):
    """Built without isolation, so that no network is needed."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"anonvma_trace/py.typed", "anonvma_trace/cli/__init__.py"} <= names
    for folder, prefix in (
        ("sample_traces", "anonvma_trace/sample_traces"),
        ("anonvma_trace", "anonvma_trace"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{prefix}/{path.relative_to(ROOT / folder)}" in names
    assert not any(name.startswith("tests/") for name in names)


def test_an_installed_package_looks_for_samples_inside_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "site-packages" / "anonvma_trace"
    (package / "sample_traces").mkdir(parents=True)
    monkeypatch.setattr(samples, "__file__", str(package / "samples.py"))
    assert samples.samples_directory() == package / "sample_traces"


def test_a_source_tree_has_its_samples_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "__file__", str(tmp_path / "anonvma_trace" / "samples.py"))
    assert samples.samples_directory() == tmp_path / "sample_traces"


def test_the_changelog_has_a_place_for_what_comes():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
