"""Damage to a recording costs the damaged lines, is told, and costs no other."""

import pytest
from typer.testing import CliRunner

from anonvma_trace.cli import app

from .damage import Damaged, problems_of, text_of
from .recordings import recordings

LARGEST_FILE = 100_000
LARGE_TEXT = 200_000
SEED = 4

RECORDINGS = [
    pytest.param(recording, id=str(recording))
    for recording in recordings()
    if recording.path.stat().st_size < LARGEST_FILE and "context-info" not in recording.run
]


@pytest.mark.parametrize("recording", RECORDINGS)
def test_cuts_and_flipped_bytes_cost_only_the_lines_that_they_touch(recording, tmp_path):
    text = text_of(recording)
    assert problems_of(text, 10 if len(text) < LARGE_TEXT else 3, SEED, tmp_path) == []


def test_rows_lost_elsewhere_would_be_found(tmp_path):
    recording = next(each.values[0] for each in RECORDINGS if each.id == "tiny-sh.ftrace")
    damaged = Damaged(text_of(recording), tmp_path)
    of_faults = [line for line, rows in damaged.whole.rows.items() if "fault" in str(rows)]
    for line in of_faults[-3:]:
        damaged.whole.rows[line + 1000] = damaged.whole.rows.pop(line)
    at = damaged.text.index(b"page_fault")
    assert damaged.flip(at, ord("P"))
    assert not Damaged(damaged.text, tmp_path).flip(at, ord("P"))


def test_a_rejected_line_is_told_with_its_place_and_the_status_says_so(tmp_path):
    text = text_of(next(each.values[0] for each in RECORDINGS if each.id == "tiny-sh.ftrace"))
    path = tmp_path / "damaged"
    path.write_bytes(text.replace(b"address=0x", b"address=?x", 1))
    result = CliRunner().invoke(app, ["inspect", str(path)])
    assert result.exit_code == 3
    path.write_bytes(text)
    assert CliRunner().invoke(app, ["inspect", str(path)]).exit_code == 0
