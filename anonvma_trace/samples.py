"""The bundled sample traces: which there are, where they lie, which snapshots belong to them.

A recording is a folder ``NAME/`` with ``NAME.ftrace.txt[.zst]``, mostly ``NAME.snapshots.txt[.zst]``, and a
``README.md``; a scenario is a file ``scenarios/NAME.scenario`` that begins with a comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError, did_you_mean

_TRACE_PATTERN = "{name}.ftrace.txt*"
_SNAPSHOT_PATTERN = "{name}.snapshots.txt*"


@dataclass(frozen=True)
class Sample:
    """One bundled trace.

    Attributes
    ----------
    name : str
        What the commands take in place of a path.
    kind : str
        ``"recording"`` or ``"scenario"``.
    path : Path
        The trace.
    maps : tuple of Path
        Address-space snapshots that belong to it.
    description : str
        One sentence.
    """

    name: str
    kind: str
    path: Path
    maps: tuple[Path, ...]
    description: str


def samples_directory() -> Path:
    """Return the folder of the sample traces: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parent
    installed = package / "sample_traces"
    return installed if installed.is_dir() else package.parent / "sample_traces"


def list_samples() -> list[Sample]:
    """Return all bundled samples: recordings by name, then scenarios by name."""
    directory = samples_directory()
    recordings = [_recording(folder) for folder in sorted(directory.glob("*/")) if folder.name != "scenarios"]
    scenarios = [_scenario(path) for path in sorted(directory.glob("scenarios/*.scenario"), key=_stem)]
    return [*(sample for sample in recordings if sample is not None), *scenarios]


def find_sample(name: str) -> Sample | None:
    """Return the sample of that name, or None."""
    directory = samples_directory()
    if not name or Path(name).name != name:
        return None
    scenario = directory / "scenarios" / f"{name}.scenario"
    return _scenario(scenario) if scenario.is_file() else _recording(directory / name)


def get_sample(name: str) -> Sample:
    """Return the sample of that name.

    Raises
    ------
    UsageError
        There is none; the message names the nearest.
    """
    sample = find_sample(name)
    if sample is None:
        raise UsageError(
            name,
            expected="the name of a bundled sample",
            found=f"'{name}'",
            hint=suggest_sample(name) or "`anonvma-trace samples` lists them",
        )
    return sample


def suggest_sample(name: str) -> str:
    """Return a hint that names the sample nearest to `name`, or an empty string if none is near."""
    nearest = did_you_mean(name, (sample.name for sample in list_samples()))
    return f"{nearest} `anonvma-trace samples` lists all samples" if nearest else ""


def _stem(path: Path) -> str:
    return path.stem


def _recording(folder: Path) -> Sample | None:
    traces = sorted(folder.glob(_TRACE_PATTERN.format(name=folder.name)))
    if not traces:
        return None
    maps = tuple(sorted(folder.glob(_SNAPSHOT_PATTERN.format(name=folder.name))))
    return Sample(folder.name, "recording", traces[0], maps, _first_sentence(folder / "README.md"))


def _scenario(path: Path) -> Sample:
    with path.open(encoding="utf-8") as lines:
        description = lines.readline().lstrip("#").strip()
    return Sample(path.stem, "scenario", path, (), description)


def _first_sentence(readme: Path) -> str:
    """Return the first line of text below the heading."""
    if not readme.is_file():
        return ""
    lines = readme.read_text(encoding="utf-8").splitlines()
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
