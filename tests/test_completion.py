"""What the shell completes, asked as the shells ask it, and without anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anonvma_trace.cli import completing
from anonvma_trace.parsers import FORMATS
from anonvma_trace.replay import OPTIONS, RULES
from anonvma_trace.replay.detail import DETAILS
from tests.test_cli import HEAVY

PROGRAM = f"""\
import sys
from anonvma_trace import cli
try:
    cli.main()
finally:
    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.__stderr__)
"""


def ask(how: str, folder: Path, **environment: str) -> list[str]:
    """Run the program as a shell does to complete a word; return the lines it prints."""
    root = str(Path(__file__).resolve().parents[1])
    given = {"PYTHONPATH": root, "_ANONVMA_TRACE_COMPLETE": how, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    return done.stdout.split("\n")


def completions(line: str, folder: Path) -> list[str]:
    """Return the words that bash is told for a line whose last word is being typed."""
    words = line.split(" ")
    return [
        word
        for word in ask("complete_bash", folder, COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1))
        if word
    ]


def test_the_names_are_those_of_the_replay_and_the_parsers():
    assert completing.RULES == RULES
    assert completing.OPTIONS == OPTIONS
    assert tuple(known.name for known in FORMATS) == completing.FORMATS
    assert tuple(DETAILS) == completing.DETAILS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("anonvma-trace rep", ["replay", "report"]),
        ("anonvma-trace replay swapf", ["swapfork"]),
        ("anonvma-trace report swapf", ["swapfork"]),
        ("anonvma-trace replay --schem", ["--scheme"]),
        ("anonvma-trace replay --scheme anon_", ["anon_vma", "anon_vma_chain"]),
        ("anonvma-trace replay --scheme anon_vma_chain --rule ", ["avc_rule_2011"]),
        ("anonvma-trace replay --rule rm", ["rmap40"]),
        ("anonvma-trace replay zoo --baseline merge", ["merge_pre_rmap39"]),
        ("anonvma-trace compare --rule a", ["avc_rule_2011"]),
        ("anonvma-trace compare --schemes pte", ["pte_chain"]),
        ("anonvma-trace compare --schemes anonmm,l", ["anonmm,linux6"]),
        ("anonvma-trace compare --schemes anonmm,anon_vma+r", ["anonmm,anon_vma+rmap40"]),
        ("anonvma-trace diff swapf", ["swapfork"]),
        ("anonvma-trace diff zoo --schemes anonmm,l", ["anonmm,linux6"]),
        ("anonvma-trace replay --option reuse", ["reuse=2004", "reuse=modern"]),
        ("anonvma-trace replay --detail s", ["sampled"]),
        ("anonvma-trace inspect --format perf", ["perf-script", "perf-trace"]),
    ],
)
def test_bash_completes(line: str, expected: list[str], tmp_path: Path):
    assert completions(line, tmp_path) == expected


def test_files_stand_beside_samples_and_are_left_to_the_shell_where_no_sample_begins_so(tmp_path: Path):
    (tmp_path / "swapping.trace").touch()
    (tmp_path / "swaps").mkdir()
    assert completions("anonvma-trace replay swap", tmp_path)[:2] == ["swapping.trace", "swapfork"]
    (tmp_path / "run.trace").touch()
    assert completions("anonvma-trace replay run", tmp_path) == []


@pytest.mark.parametrize(
    ("how", "environment"),
    [
        ("complete_fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
        ("complete_zsh", {}),
    ],
)
def test_fish_and_zsh_are_told_a_word_and_one_line_about_it(
    how: str, environment: dict[str, str], tmp_path: Path
):
    told = ask(how, tmp_path, _TYPER_COMPLETE_ARGS="anonvma-trace replay swapf", **environment)
    (line,) = [each for each in told if "swapfork" in each]
    assert "A parent and three children under memory pressure" in line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_own_script_names_the_program(shell: str, tmp_path: Path):
    assert "anonvma-trace" in "\n".join(ask(f"source_{shell}", tmp_path))


def test_bash_takes_the_script_and_completes_with_it(tmp_path: Path):
    """The program stands in the path under its own name, as an installation puts it."""
    program = tmp_path / "anonvma-trace"
    root = Path(__file__).resolve().parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m anonvma_trace "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_ANONVMA_TRACE_COMPLETE=source_bash anonvma-trace)"\n'
        "COMP_WORDS=(anonvma-trace replay --scheme lin) COMP_CWORD=3\n"
        '_anonvma_trace_completion anonvma-trace\necho "${COMPREPLY[@]}"\n'
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "linux6\n"
