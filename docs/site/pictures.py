"""Draw the pictures of docs/refusals-and-misses.md: ``python docs/site/pictures.py`` writes them to docs/images/.

Each is an SVG file that stands alone: its own background, so that it can be read on a light and on a dark page, and a
title that a screen reader tells.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

IMAGES = Path(__file__).resolve().parents[1] / "images"
WIDTH = 660
CELL = 50  # width of a page

STYLE = """
.card{fill:#fff;stroke:#c5cad3} text{fill:#1c2430;font:14px system-ui,sans-serif;text-anchor:middle}
.small{font-size:12px;fill:#525c6b} .box{fill:#e6edfd;stroke:#4a6fd4}
.look{fill:none;stroke:#4a6fd4;stroke-width:3} .ask{fill:none;stroke:#4a6fd4;stroke-dasharray:6 4}
.gone{fill:none;stroke:#9aa2ae} .bad{fill:#b3261e;font-weight:bold} .good{fill:#1b7a34;font-weight:bold}
.line{stroke:#525c6b;fill:none} .lost{stroke:#b3261e;fill:none;stroke-dasharray:4 4} .ring{fill:#fff;stroke:#525c6b}
@media (prefers-color-scheme:dark){.card{fill:#1d222b;stroke:#464f5e} text{fill:#e8ebf0} .small{fill:#aab3c0}
.box{fill:#263657;stroke:#7d9df0} .look,.ask{stroke:#7d9df0} .bad{fill:#ff8a80} .good{fill:#7ddc93}
.line{stroke:#aab3c0}
.lost{stroke:#ff8a80} .ring{fill:#1d222b;stroke:#aab3c0}}
""".replace("\n", "")


class Merge(NamedTuple):
    """A range that asks to join its neighbours: what is compared of each, and what comes of it on either side."""

    title: str
    left: str
    asked: str
    right: str
    at_left: str  # "✓", "✗", or nothing where it is not the subject
    at_right: str
    caption: str


class Visit(NamedTuple):
    """One vma visited in a walk for page P, whose index is 12: the vma's first page and what its ptes hold."""

    title: str
    vma: str
    first: int
    ptes: tuple[str, ...]
    good: bool
    caption: str


class Walk(NamedTuple):
    """A walk over a list: each vma, and ``hit``, ``miss``, ``left`` (not visited) or ``lost`` (not on the list)."""

    title: str
    vmas: tuple[tuple[str, str, str], ...]
    caption: str


REFUSALS = {
    "special": Merge(
        "A range with a special flag asks for no neighbour",
        "rw-",
        "rw- DONTCOPY",
        "rw-",
        "✗",
        "✗",
        "special flags: vma_merge gives up before it looks at a neighbour",
    ),
    "policy": Merge(
        "Left neighbour and range have different memory policies",
        "prefers node 0",
        "prefers node 1",
        "",
        "✗",
        "",
        "a vma has one policy on which NUMA node its pages go",
    ),
    "flags": Merge(
        "Left neighbour and range have different flags",
        "rw-",
        "r--",
        "",
        "✗",
        "",
        "a vma has one set of permissions and flags",
    ),
    "file": Merge(
        "Left neighbour maps a file, the range is anonymous",
        "file a",
        "anonymous",
        "",
        "✗",
        "",
        "a vma maps one file, or none",
    ),
    "close_op": Merge(
        "The left neighbour belongs to a driver that wants to be told when it goes",
        "driver: close()",
        "the same driver",
        "",
        "✗",
        "",
        "the driver counts its vmas: none may vanish by a merge",
    ),
    "anon_diff": Merge(
        "Left neighbour and range are on the lists of different anon_vmas",
        "anon_vma 1",
        "anon_vma 2",
        "",
        "✗",
        "",
        "pages point to both lists, and a vma can be on one only",
    ),
    "pgoff_anon": Merge(
        "The left neighbour was moved and keeps the page offsets of its old place",
        "moved: offsets 10, 11",
        "offsets 22, 23",
        "",
        "✗",
        "",
        "12 should come next: a walk finds an address by its offset",
    ),
    "pgoff_file": Merge(
        "Left neighbour and range map parts of a file that do not follow one another",
        "file a: pages 0, 1",
        "file a: pages 7, 8",
        "",
        "✗",
        "",
        "page 2 of the file should come next",
    ),
    "prev_next": Merge(
        "The range fits to both neighbours, which are on the lists of different anon_vmas",
        "anon_vma 1",
        "none yet",
        "anon_vma 2",
        "✓",
        "✗",
        "each alone would do; one vma of all three would be on two lists",
    ),
    "cloned": Merge(
        "The left neighbour has inherited its anon_vma from a parent, the range has none",
        "a parent's anon_vma",
        "none yet",
        "",
        "✗",
        "",
        "later kernels: an inherited list does not grow with new ranges",
    ),
}

VISITS = {
    "hit": Visit(
        "Hit: page P is mapped at its address in the vma",
        "vma of process 2",
        10,
        ("", "", "P", ""),
        True,
        "index 12 → page 12 of the vma: P is there",
    ),
    "miss_rss": Visit(
        "Miss: the process has no page at all",
        "vma of process 2, which has no page (rss 0)",
        10,
        (),
        False,
        "no page at all: no address is computed",
    ),
    "miss_range": Visit(
        "Miss: the vma does not cover the page's index",
        "vma of process 2",
        14,
        ("", "", ""),
        False,
        "index 12 lies outside: no page table is read",
    ),
    "miss_none": Visit(
        "Miss: nothing is mapped at the address",
        "vma of process 2",
        10,
        ("", "", "–", ""),
        False,
        "process 2 has nothing there (any more)",
    ),
    "miss_swap": Visit(
        "Miss: a swap entry is at the address",
        "vma of process 2",
        10,
        ("", "", "swap", ""),
        False,
        "what process 2 had there is in swap",
    ),
    "miss_other": Visit(
        "Miss: another page is mapped at the address",
        "vma of process 2",
        10,
        ("", "", "Q", ""),
        False,
        "process 2 wrote there and has its own copy, Q",
    ),
}

WALKS = {
    "walk": Walk(
        "A walk: from page P over the list of its anon_vma, vma by vma",
        (("process 3", "own copy", "miss"), ("process 2", "maps P", "hit"), ("process 1", "maps P", "hit")),
        "the list of anon_vma 1: three visits to find the two page tables that map P",
    ),
    "early_stop": Walk(
        "Early stop: the walk ends before the end of the list",
        (
            ("process 3", "own copy", "miss"),
            ("process 2", "maps P", "hit"),
            ("process 1", "not visited", "left"),
        ),
        "P has one mapper (mapcount 1) and it is found: the rest of the list costs nothing",
    ),
    "unreachable": Walk(
        "Unreachable: a vma maps the page but is not on the list",
        (("process 1", "does not map P", "miss"), ("process 1", "maps P", "lost")),
        "the walk ends without the one mapper: reclaim can never free P",
    ),
}


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """Return one line of text around `x`."""
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{mark}>{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" class="{kind}"/>'


def arrow(x: float, y: float, to: float, kind: str = "line") -> str:
    """Return an arrow to the right."""
    return f'<path d="M{x:g} {y:g}H{to:g}m-8 -5l8 5l-8 5" class="{kind}"/>'


def document(title: str, height: int, parts: list[str]) -> str:
    """Return the SVG file."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">'
    )
    card = box(0.5, 0.5, WIDTH - 1, height - 1, "card")
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", card, *parts, "</svg>\n"]
    )


def draw_merge(picture: Merge) -> str:
    """Draw the range between its neighbours, and a mark on each border that is asked about."""
    width = 200
    parts = []
    for place, (name, content) in enumerate(
        [("left neighbour", picture.left), ("the range", picture.asked), ("right neighbour", picture.right)]
    ):
        x = 30 + place * width
        if not content:
            parts.append(text(x + width / 2, 66, "(no neighbour here)", "small"))
            continue
        kind = "ask" if place == 1 else "box"
        parts += [
            box(x, 34, width, 54, kind),
            text(x + width / 2, 26, name, "small"),
            text(x + width / 2, 66, content),
        ]
    for x, mark in ((230, picture.at_left), (430, picture.at_right)):
        if mark:
            parts.append(f'<circle cx="{x}" cy="61" r="13" class="ring"/>')
            parts.append(text(x, 66, mark, "good" if mark == "✓" else "bad"))
    return document(picture.title, 128, [*parts, text(WIDTH / 2, 114, picture.caption, "small")])


def draw_page() -> list[str]:
    """Draw page P, where every walk begins."""
    return [
        box(15, 46, 150, 50, "box"),
        text(90, 67, "page P"),
        text(90, 86, "index 12, anon_vma 1", "small"),
    ]


def draw_visit(picture: Visit) -> str:
    """Draw the page and one vma of its list, page by page, with a pointer at the index."""
    start = 210 + (picture.first - 10) * CELL
    width = CELL * (len(picture.ptes) or 4)
    parts = [
        *draw_page(),
        text(start + width / 2, 30, picture.vma, "small"),
        box(start, 46, width, 50, "box"),
    ]
    for place, content in enumerate(picture.ptes):
        x = start + place * CELL
        if place:
            parts.append(f'<path d="M{x} 46v50" class="line"/>')
        parts += [
            text(x + CELL / 2, 62, str(picture.first + place), "small"),
            text(x + CELL / 2, 86, content),
        ]
    looked_at = 210 + 2 * CELL  # page 12
    if picture.ptes:
        parts.append(box(looked_at, 46, CELL, 50, "look"))
    outside = picture.first > 12
    if outside:
        parts.append(text(looked_at + CELL / 2, 62, "12", "small"))
    parts.append(arrow(165, 71, looked_at if outside else 210))
    verdict = text(615, 76, "hit" if picture.good else "miss", "good" if picture.good else "bad")
    return document(picture.title, 132, [*parts, verdict, text(WIDTH / 2, 120, picture.caption, "small")])


def draw_walk(picture: Walk) -> str:
    """Draw the page and the list in the order of the walk."""
    parts = draw_page()
    for place, (name, content, state) in enumerate(picture.vmas):
        x = 205 + place * 155
        mark = {"hit": "good", "miss": "bad", "left": "small", "lost": "bad"}[state]
        parts.append(box(x, 46, 120, 50, "box" if state in ("hit", "miss") else "gone"))
        parts += [text(x + 60, 67, f"vma of {name}", "small"), text(x + 60, 86, content)]
        parts.append(
            arrow(x - (40 if place == 0 else 35), 71, x, "lost" if state in ("left", "lost") else "line")
        )
        told = {"left": "not visited", "lost": "not on the list"}.get(state, state)
        parts.append(text(x + 60, 34, told, mark))
    return document(picture.title, 132, [*parts, text(WIDTH / 2, 120, picture.caption, "small")])


def pictures() -> dict[str, str]:
    """Return every picture by its path below docs/images/."""
    return (
        {f"refusal/{name}.svg": draw_merge(each) for name, each in REFUSALS.items()}
        | {f"miss/{name}.svg": draw_visit(each) for name, each in VISITS.items()}
        | {f"miss/{name}.svg": draw_walk(each) for name, each in WALKS.items()}
    )


if __name__ == "__main__":
    for path, svg in pictures().items():
        (IMAGES / path).parent.mkdir(exist_ok=True)
        (IMAGES / path).write_text(svg, encoding="utf-8")
