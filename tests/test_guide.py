"""The user guide: its commands print what it shows, every reason and miss has its section and its picture."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from anonvma_trace import cli, replay_trace
from anonvma_trace.parsers import scenario_trace
from anonvma_trace.reports.reclaim_cost import VISIT_RESULTS
from anonvma_trace.tables import MERGE_REASONS, WALK_OUTCOMES

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHOWN = [
    each
    for page in ("first-ten-minutes.md", "explain.md")
    for each in re.findall(
        r"^```console\n\$ (anonvma-trace [^\n]*)\n(.+?)^```$",
        (DOCS / page).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]
PYTHON_PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
REASONS_PAGE = (DOCS / "refusals-and-misses.md").read_text(encoding="utf-8")
NEVER_IN_A_REPLAY = {"policy", "close_op"}
ENDS = ("early_stop", "unreachable")


def console_blocks(text: str) -> list[tuple[str, str]]:
    """Return the command of each console block, and the output that is shown below it."""
    return re.findall(r"^```console\n\$ (anonvma-trace [^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return what stands below a heading of the page of reasons, up to the next heading."""
    found = re.search(rf"^### `{title}`$(.*?)(?=^##|\Z)", REASONS_PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {title}"
    return found[1]


def drawn() -> ModuleType:
    """Return docs/site/pictures.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "site" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_pages_show_what_their_commands_print(command: str, shown: str, tmp_path: Path):
    """A line `…` stands for lines left out; all between two of them comes out in one piece, in this order."""
    with contextlib.chdir(tmp_path):
        done = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.stderr
    rest = "\n" + done.stdout
    pieces = [piece for piece in re.split(r"^…\n", shown, flags=re.MULTILINE) if piece]
    assert pieces
    for piece in pieces:
        assert "\n" + piece in rest
        rest = rest[rest.index(piece) + len(piece) - 1 :]


def test_every_reason_and_miss_has_a_section_in_the_order_of_the_tests():
    titles = re.findall(r"^### `(\w+)`$", REASONS_PAGE, re.MULTILINE)
    misses = [name for name in VISIT_RESULTS if name != "hit"]
    assert titles == [*MERGE_REASONS, *misses, "hit", *ENDS]


def test_every_outcome_of_a_walk_has_its_line():
    told = REASONS_PAGE.split("### Outcomes")[1]
    assert tuple(re.findall(r"^\| `([\w:]+)` \| ", told, re.MULTILINE)) == ("outcome", *WALK_OUTCOMES)


@pytest.mark.parametrize("name", [*MERGE_REASONS, *VISIT_RESULTS, *ENDS])
def test_every_section_has_a_picture_with_a_text_for_those_who_do_not_see_it(name: str):
    ((text, target),) = re.findall(r"!\[([^]]*)\]\(([^)]+)\)", section(name))
    assert len(text) > 20
    assert Path(target).stem == name
    picture = (DOCS / target).read_text(encoding="utf-8")
    assert "<title>" in picture and 'role="img"' in picture
    assert "prefers-color-scheme:dark" in picture


@pytest.mark.parametrize("name", [*MERGE_REASONS, *VISIT_RESULTS, *ENDS])
def test_the_command_of_every_section_shows_what_the_section_is_about(name: str):
    commands = [command for command, _ in console_blocks(section(name))]
    if name in NEVER_IN_A_REPLAY:
        assert commands == []
        assert "never fails in a replay" in section(name)
        return
    (words,) = map(shlex.split, commands)
    given = dict(zip(words[2::2], words[3::2], strict=True))
    replay = replay_trace(scenario_trace(given["--scenario"]), given.get("--scheme", "anon_vma"))
    event = int(given["--event"])
    if name in MERGE_REASONS:
        row = replay.merges.filter(event=event).row(0, named=True)
        assert name in (row["left"], row["right"])
    else:
        row = replay.walks.filter(event=event).row(0, named=True)
        assert row[VISIT_RESULTS[name][0] if name in VISIT_RESULTS else name]


def test_pictures_are_those_that_the_script_draws():
    drawings = drawn().pictures()
    there = [*DOCS.glob("images/refusal/*.svg"), *DOCS.glob("images/miss/*.svg")]
    assert {str(path.relative_to(DOCS / "images")) for path in there} == set(drawings)
    for path, drawing in drawings.items():
        assert (DOCS / "images" / path).read_text(encoding="utf-8") == drawing


def frame_columns(frame: str) -> list[str]:
    """Return the columns that the page on Python tells of a frame of `Replay.at`."""
    rows = re.findall(r"^\| (`\w+`)? ?\| (`[^|]*`) \| [a-z, ]+ \| ", PYTHON_PAGE, re.MULTILINE)
    told: dict[str, list[str]] = {}
    name = ""
    for first, columns in rows:
        name = first.strip("`") or name
        told.setdefault(name, []).extend(re.findall(r"`(\w+)`", columns))
    return told[frame]


def test_the_python_page_runs_from_top_to_bottom_and_tells_the_columns_of_every_frame(tmp_path: Path):
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path):
        for block in re.findall(r"^```python\n(.*?)^```$", PYTHON_PAGE, re.MULTILINE | re.DOTALL):
            exec(block, names)
    moment, comparison, difference = (names[name] for name in ("moment", "comparison", "difference"))
    assert sorted(frame_columns("anon_vma_lists")) == sorted(moment.anon_vma_lists.columns)
    assert sorted(frame_columns("pages")) == sorted(moment.pages.columns)
    assert moment.vmas.columns == names["replay"].vma_spans.columns
    for name, frame in comparison.frames().items():
        (told,) = re.findall(
            rf"^\| `{name}` \| (subject|events|event|scheme)(.*) \|$", PYTHON_PAGE, re.MULTILINE
        )
        for column in set(frame.columns) - set(comparison.names):
            assert re.search(rf"\b{column}\b", "".join(told)), (name, column)
    page = PYTHON_PAGE.split("frame of a [difference]")[1]
    for name, frame in difference.frames().items():
        (told,) = re.findall(rf"^\|[^|]*`{re.escape(name)}`[^|]*\| (.*) \|$", page, re.MULTILINE)
        for column in set(frame.columns) - {"a", "b", "change", "relative"}:
            assert name.startswith("events.") or re.search(rf"\b{column}\b", told), (name, column)
