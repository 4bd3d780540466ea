"""Make the pictures of the documentation: ``python -m tests.reports.screenshots [DIRECTORY]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from anonvma_trace import replay_trace

from .browser import Page, why_not

SAMPLE = "swapfork"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
FIRST, WIDE, NARROW = (1120, 1190), (1120, 840), (390, 780)


def main(directory: Path) -> None:
    """Write report.png and its fellows into a directory."""
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.html"
        replay_trace(SAMPLE).report(report)
        with Page(report, width=FIRST[0], height=FIRST[1]) as page:
            page.wait_for("document.documentElement.dataset.drawn === 'light'")
            page.screenshot(directory / "report.png")
            page.resize(*WIDE)
            page.run("document.getElementById('address-space').scrollIntoView()")
            page.screenshot(directory / "report-address-space.png")
            page.run("document.getElementById('theme').click()")
            page.wait_for("document.documentElement.dataset.drawn === 'dark'")
            page.run("document.querySelector('#reclaim-cost').scrollIntoView()")
            page.screenshot(directory / "report-dark.png")
        with Page(report, width=NARROW[0], height=NARROW[1]) as page:
            page.wait_for("document.documentElement.dataset.drawn === 'light'")
            page.run("document.getElementById('family').scrollIntoView()")
            page.screenshot(directory / "report-narrow.png")


if __name__ == "__main__":
    if why_not():
        sys.exit(why_not())
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
