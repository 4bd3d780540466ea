"""Help of each command: its examples run, and its one line is whole."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner, Result

from anonvma_trace import cli, samples
from anonvma_trace.cli.help_texts import EXAMPLES, SHORT, START
from anonvma_trace.recording import bpftrace_script

COMMANDS = list(typer.main.get_command(cli.app).commands)


def run(line: str, stdin: bytes = b"") -> Result:
    """Run the last program of a command line, without what it pipes from and to."""
    words = shlex.split(line.split(" | ")[-1].split(" > ")[0])
    arguments = words[words.index("anonvma-trace") + 1 :]
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, arguments, input=stdin)


def all_examples() -> list[str]:
    own = [line.strip() for line in START.splitlines() if "anonvma-trace" in line]
    return [*own, *(line for lines in EXAMPLES.values() for line in lines)]


def test_every_command_has_examples_and_a_line():
    assert list(EXAMPLES) == list(SHORT) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_examples_as_they_can_be_copied(name: str):
    shown = run(f"anonvma-trace {name} --help").stdout
    for example in EXAMPLES[name]:
        assert example.startswith(("anonvma-trace ", "sudo ", "zcat "))
        assert f"    {example}\n" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_list_of_commands_has_no_line_cut_short():
    shown = run("anonvma-trace --help").stdout
    assert "..." not in shown.split("Commands:")[1]
    for name, line in SHORT.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.MULTILINE)


@pytest.mark.parametrize("line", all_examples())
def test_an_example_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sample's trace, with its snapshots, stands for the recording of the examples."""
    sample = samples.get_sample("tiny-sh")
    recording = tmp_path / "run.trace.zst"
    recording.write_bytes(sample.path.read_bytes())
    with contextlib.chdir(tmp_path):
        for directory in {"results", "before", "after"} & set(line.split()):
            CliRunner().invoke(cli.app, ["replay", "split-order", "--out", directory])
        if " record " in line and "--print-bpftrace" not in line:
            taken = record_arguments(line, monkeypatch)
            assert taken["output"] == Path("run.trace.zst")
            assert taken["command"] in (["make", "-j2"], ["./server"])
            return
        done = run(line.replace("--validate run.trace.zst", "--validate tiny-sh"), sample.path.read_bytes())
    assert done.exit_code == int("--exit-code" in line), done.stderr  # the two named differ
    if "--print-bpftrace" in line:
        assert done.stdout == bpftrace_script()


def record_arguments(line: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return what `record` would record with, which needs root."""
    taken: dict[str, object] = {}

    def record_command(command: list[str], output: Path, **how: object) -> None:
        taken.update(how, command=command, output=output)
        raise KeyboardInterrupt

    monkeypatch.setattr("anonvma_trace.recording.record_command", record_command)
    assert run(line).exit_code == 130
    return taken
