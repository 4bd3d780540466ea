"""README and docs are true: their commands are those of CI, examples run, tables of columns are complete."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import anonvma_trace
from anonvma_trace import cli, samples
from anonvma_trace.events import EVENT_SCHEMA, OPS
from anonvma_trace.tables import MERGE_REASONS, NAME, TABLES, empty_summary

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def own_commands(text: str) -> list[str]:
    """The lines `$ anonvma-trace …` of all console blocks."""
    shown = [line for block in blocks(text, "console") for line in block.splitlines()]
    return [line[2:] for line in shown if line.startswith("$ anonvma-trace ")]


def test_the_first_screen_has_the_two_commands_a_picture_and_a_notebook():
    setups = blocks(README, "sh")[:2]
    assert [setup.count("\n") for setup in setups] == [1, 1]
    assert "anonvma-trace replay" in setups[0]
    assert "pytest" in setups[1]
    assert len([line for line in blocks(README, "python")[0].splitlines() if line]) == 4
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()


@pytest.mark.parametrize("command", [block.strip() for block in blocks(README, "sh")[:2]])
def test_ci_runs_exactly_the_commands_of_the_readme(command: str):
    assert command in [line.strip() for line in CI.splitlines()]


def test_ci_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_the_output_shown_is_what_the_first_command_prints(tmp_path: Path):
    arguments = shlex.split(blocks(README, "sh")[0].split(".venv/bin/anonvma-trace ")[-1])
    with contextlib.chdir(tmp_path):
        done = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, arguments)
        assert (tmp_path / "results" / "report.html").is_file()
        assert (tmp_path / "results" / "report.md").is_file()
    assert done.exit_code == 0
    assert done.stdout == blocks(README, "text")[0]


def test_every_page_is_linked_from_the_first_one():
    linked = set(
        re.findall(r"\]\(([\w/-]+\.md)[)#]", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    )
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert pages - linked == {"index.md"}
    assert linked <= pages


def test_the_readme_names_every_format_that_records():
    named = re.findall(
        r"^\| \[`([\w-]+)`\]\(#", (ROOT / "docs" / "formats.md").read_text(encoding="utf-8"), re.M
    )
    assert len(named) == 6
    for name in named:
        assert name.replace("-", " ") in README.replace("trace-cmd", "trace cmd")


def test_the_notebook_lines_run_as_shown():
    with contextlib.redirect_stdout(io.StringIO()):
        names: dict[str, object] = {}
        exec(blocks(README, "python")[0], names)
    assert isinstance(names["replay"], anonvma_trace.Replay)


@pytest.mark.parametrize("command", own_commands((ROOT / "docs" / "command-line.md").read_text()))
def test_the_examples_of_the_command_line_page_run(command: str, tmp_path: Path):
    """Samples stand in for the files of the examples; a pipe into another program is cut off."""
    recording = samples.get_sample("tiny-sh")
    command = command.split(" | ")[0].replace("run.trace", str(recording.path))
    command = command.replace("snapshots.txt", str(recording.maps[0]))
    with contextlib.chdir(tmp_path):
        if " results " in command and "--out" not in command:
            CliRunner().invoke(cli.app, ["replay", "split-order", "--out", "results"])
        done = CliRunner().invoke(cli.app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.stderr


def documented_columns(page: str) -> list[str]:
    """Names in backticks in the first cells of a page's tables."""
    rows = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_column_of_every_result_table_is_documented():
    page = (ROOT / "docs" / "result-tables.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    sections["merges"], reasons = sections["merges"].split("The reasons")
    for name, schema in TABLES.items():
        assert sorted(documented_columns(sections[name])) == sorted(schema.names), name
    assert documented_columns(reasons) == list(MERGE_REASONS)
    assert set(documented_columns(sections["summary"])) == set(empty_summary()) - {"schema"}


def unit_of(name: str, kind: pa.DataType) -> set[str]:
    """The units that a column of this name and type can have."""
    if re.search(r"(^|_)(ts|event)$", name) and pa.types.is_int64(kind):
        return {"ns"} if name.endswith("ts") else {"event number"}
    by_type = {
        pa.bool_(): {"yes or no"},
        pa.string(): {"text"},
        pa.uint8(): {"bits"},
        pa.uint64(): {"pages" if name == "pgoff" else "bytes"},
        NAME: {"name"},
    }
    counted = {"vmas", "pages", "ptes", "anon_vmas", "visits", "walks", "faults", "merges", "sides", "bytes"}
    return by_type.get(kind, counted | {"id", "pid", "number", "line number"})


def test_every_column_of_every_result_table_has_its_unit():
    page = (ROOT / "docs" / "result-tables.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for table, schema in TABLES.items():
        rows = re.findall(
            r"^\| (`[^|]*`) \| ([^|]+) \|", sections[table].split("The reasons")[0], re.MULTILINE
        )
        for cell, told in rows:
            names, units = re.findall(r"`([^`]+)`", cell), told.split(", ")
            units = units * len(names) if len(units) == 1 else units
            for name, unit in zip(names, units, strict=True):
                assert unit in unit_of(name, schema.field(name).type), (table, name)


def test_every_column_and_operation_of_the_event_table_is_documented():
    page = (ROOT / "docs" / "event-table.md").read_text(encoding="utf-8")
    columns, operations = (
        page.split(f"## {title}")[1].split("\n## ")[0] for title in ("Columns", "Operations")
    )
    assert documented_columns(columns) == EVENT_SCHEMA.names
    assert documented_columns(operations) == list(OPS)


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name
)
def test_links_between_pages_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
