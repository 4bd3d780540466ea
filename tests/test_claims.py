"""docs/claims.md says what its commands print: the quick ones are run again, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.claims import CLAIMS, FAMILY, section

PAGE = Path(__file__).parents[1] / "docs" / "claims.md"
QUICK = [claim for claim in CLAIMS if claim.trace != FAMILY]  # its closed forms have tests of their own


@pytest.mark.compiled
@pytest.mark.parametrize("claim", QUICK, ids=lambda claim: f"{claim.where[:8]}-{claim.trace}-{claim.schemes}")
def test_the_page_holds_what_the_command_prints(claim, tmp_path):
    assert section(claim, claim.measure(tmp_path)) in PAGE.read_text(encoding="utf-8")


def test_every_claim_has_its_part_of_the_page():
    text = PAGE.read_text(encoding="utf-8")
    headings = [f"### {claim.said[0].upper()}{claim.said[1:]}: {claim.trace}\n" for claim in CLAIMS]
    assert [line + "\n" for line in text.splitlines() if line.startswith("### ")] == headings
