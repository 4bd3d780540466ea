"""The claims made for and against the patch, each run as a command, its figures and verdict as a page: docs/claims.md.

``python -m benchmarks.claims > docs/claims.md`` writes the page anew; ``--family FILE.parquet`` writes the trace of the
largest claim, a thousand children with a thousand pages each. Verdicts follow from the figures: one that changes may
change a verdict.
"""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from anonvma_trace import cli
from anonvma_trace.events import TraceMetadata, schema_with_metadata
from tests.replay.generated import fork_family, to_batches, walk_every_page

FAMILY = "family.parquet"
CHILDREN = PAGES = 1000

VISITED, WALKS, MEAN, MOST = (
    ("vmas visited", "reclaim.vmas_visited"),
    ("walks", "reclaim.walks"),
    ("mean", "reclaim.visited_per_walk.mean"),
    ("most", "reclaim.visited_per_walk.max"),
)
COPIES = ("mremap copies", "extra.mremap_copies")
HOT_OPS = ("operations for single ptes", "extra.rmap_hot_ops")
FIND_VMA = ("find_vma calls", "extra.find_vma_calls")
HITS = ("hits", "reclaim.hits")
I386, X86_64 = ("bytes at the peak, i386", "overhead_bytes.i386"), ("x86_64", "overhead_bytes.x86_64")
VMAS = ("vmas at the peak", "vmas.peak")
VMAS_LEFT = ("vmas at the end", "vmas.live")
NEW = ("refusals new with rmap 39", "merges.refused_new")
MERGED = ("merged", "merges.merged")
INSERTIONS = ("list insertions by forks", "extra.fork_insertions")
HEADS = ("anon_vmas", "anon_vmas.allocated")
UNREACHABLE = ("pages lost at the end", "findings.unreachable_pages")
PTES_LOST = ("ptes that a merge lost", "extra.ptes_lost")
SPANS = ("mremap calls over several vmas", "extra.span_forced")
BEFORE = "anon_vma+merge_pre_rmap39"
OLD_RULES, CURE = f"anon_vma,{BEFORE}", "anon_vma,anon_vma+rmap40"

Figures = dict[str, dict[str, Any]]  # by scheme, then by label


@dataclass(frozen=True)
class Claim:
    """One claim on one trace.

    Attributes
    ----------
    said : str
        What is claimed, in short.
    where : str
        Heading under which it stands: who says so.
    trace : str
        Sample, or the family trace.
    schemes : str
        As ``--schemes`` takes them; empty for all.
    figures : tuple of (str, str)
        Labels, and where each stands in a summary.
    verdict : callable
        Takes the figures; returns a sentence.
    """

    said: str
    where: str
    trace: str
    schemes: str
    figures: tuple[tuple[str, str], ...]
    verdict: Callable[[Figures], str]

    @property
    def command(self) -> list[str]:
        """The arguments of `anonvma-trace`."""
        return ["compare", self.trace, *(["--schemes", self.schemes] if self.schemes else [])]

    def measure(self, directory: Path) -> Figures:
        """Run the command; return the figures by scheme."""
        trace = str(directory / self.trace) if self.trace == FAMILY else self.trace
        arguments = [trace if each == self.trace else each for each in self.command]
        result = CliRunner().invoke(cli.app, [*arguments, "--json"])
        assert result.exit_code in (0, 3), result.output
        schemes = json.loads(result.stdout)["schemes"]
        return {
            name: {label: _find(summary, path) for label, path in self.figures}
            for name, summary in schemes.items()
        }


def _find(summary: dict[str, Any], path: str) -> Any:
    value: Any = summary
    for key in path.split("."):
        value = value.get(key, 0 if path.startswith("extra.") else None)
    return value


def _holds(condition: bool, why: str) -> str:
    return f"{'Holds' if condition else 'Does not hold'} here: {why}."


def _free_moves(f: Figures) -> str:
    here, before = f["anon_vma"][COPIES[0]], f["anonmm"][COPIES[0]]
    return _holds(here == 0 < before, f"{here:,} pages copied, {before:,} under anonmm")


def _no_find_vma(f: Figures) -> str:
    here, before = f["anon_vma"][FIND_VMA[0]], f["anonmm"][FIND_VMA[0]]
    return _holds(here == 0 < before, f"{here:,} calls, {before:,} under anonmm")


def _more_memory(f: Figures) -> str:
    here, before = f["anon_vma"][I386[0]], f["anonmm"][I386[0]]
    return _holds(here > before, f"{here:,} bytes to {before:,} of anonmm, {here / max(before, 1):.1f} times")


def _restricts(f: Figures) -> str:
    new, here, before = f["anon_vma"][NEW[0]], f["anon_vma"][VMAS[0]], f[BEFORE][VMAS[0]]
    return _holds(new > 0, f"{new:,} new refusals; at the peak {here - before:+,} vmas")


def _cured(f: Figures) -> str:
    here, cured = f["anon_vma"][VMAS_LEFT[0]], f["anon_vma+rmap40"][VMAS_LEFT[0]]
    return _holds(cured < here, f"vmas left with it: {cured:,}, without it: {here:,}")


def _no_spans(f: Figures) -> str:
    spans = f["anon_vma"][SPANS[0]]
    return f"{'Met' if spans else 'Not met'} here: {spans:,} calls over several vmas."


def _shorter_scans(f: Figures) -> str:
    here, later = f["anon_vma"][MEAN[0]], f["anon_vma_chain"][MEAN[0]]
    return _holds(here > later, f"the mean falls from {here:,.2f} to {later:,.2f}")


def _dearer_forks(f: Figures) -> str:
    here, later = f["anon_vma"][INSERTIONS[0]], f["anon_vma_chain"][INSERTIONS[0]]
    return _holds(later > here, f"{later:,} insertions to {here:,}")


def _lossless(f: Figures) -> str:
    lost = {name: figures[UNREACHABLE[0]] for name, figures in f.items()}
    losers = [name for name, pages in lost.items() if pages]
    return f"Lost under {', '.join(losers)}." if losers else "Lost under no scheme."


PATCH, RMAP40, CHAINS, DEFECTS = (
    "rmap 39 (May 2004)",
    "rmap 40 (May 2004)",
    "anon_vma_chain (2010)",
    "Not claimed: pages that the patch loses",
)
_MOVES, _SWAP = (COPIES, HOT_OPS), (WALKS, VISITED, MEAN, MOST, HITS, FIND_VMA)
_MERGES, _SCANS = (NEW, MERGED, VMAS, VMAS_LEFT), (WALKS, VISITED, MEAN, MOST, HEADS, INSERTIONS)
_THREE, ERAS = "pte_chain,anonmm,anon_vma", "anon_vma,anon_vma_chain,linux6"

CLAIMS: tuple[Claim, ...] = (
    Claim("mremap moves without effort", PATCH, "move-after-fork", _THREE, _MOVES, _free_moves),
    Claim("swap-out finds vmas without find_vma", PATCH, "swapfork", "", _SWAP, _no_find_vma),
    Claim("it takes more low memory", PATCH, "cowfork-50", "", (I386, X86_64), _more_memory),
    Claim("it takes more low memory", PATCH, "pycow", "", (I386, X86_64), _more_memory),
    Claim(
        "one more restriction on merging",
        PATCH,
        "alternating-protections",
        OLD_RULES,
        _MERGES,
        _restricts,
    ),
    Claim("one more restriction on merging", PATCH, "zoo", OLD_RULES, _MERGES, _restricts),
    Claim("one more restriction on merging", PATCH, "pycow", OLD_RULES, _MERGES, _restricts),
    Claim(
        "neighbours that may be joined again should share",
        RMAP40,
        "needless-anon-vmas",
        CURE,
        _MERGES,
        _cured,
    ),
    Claim(
        "system calls and faults in turn leave many vmas",
        RMAP40,
        "alternating-protections",
        CURE,
        _MERGES,
        _cured,
    ),
    Claim(
        "refused merges let mremap span vmas",
        RMAP40,
        "zoo",
        CURE,
        (SPANS, *_MERGES),
        _no_spans,
    ),
    Claim("one list for a thousand children makes scans O(N)", CHAINS, FAMILY, "", _SCANS, _shorter_scans),
    Claim("the same in a recording: 50 children", CHAINS, "cowfork-50", "", _SCANS, _dearer_forks),
    Claim(
        "forks pay for it",
        CHAINS,
        "zoo",
        ERAS,
        (HEADS, INSERTIONS, X86_64),
        _dearer_forks,
    ),
    Claim(
        "a boundary that moves (D1)",
        DEFECTS,
        "boundary-shift-loses-page",
        "",
        (PTES_LOST, UNREACHABLE),
        _lossless,
    ),
    Claim(
        "a move back into a vma never written (D2)",
        DEFECTS,
        "move-back-loses-pages",
        "",
        (PTES_LOST, UNREACHABLE),
        _lossless,
    ),
)

HEAD = """# The claims, measured

What was claimed of the patch, of its successor and of the change of 2010, each on a trace that tests it. Every figure
comes from the command above it, every verdict follows from the figures. `python -m benchmarks.claims` runs all of them
and prints this page; `tests/test_claims.py` holds it to the quick ones.

`family.parquet` is a generated trace (`python -m benchmarks.claims --family family.parquet`): a parent writes 1,000
pages and forks 1,000 children, each of which writes all of them; then every page is looked at once. The other traces
are bundled samples: recordings made on Linux 6.18 ([list](validation.md#figures)) and
[scenarios](event-table.md#scenarios).
"""


def section(claim: Claim, figures: Figures) -> str:
    """Return a claim's part of the page."""
    labels = [label for label, _ in claim.figures]
    rows = [["scheme", *labels], ["---", *["--:"] * len(labels)]]
    rows += [[f"`{name}`", *(_text(found[label]) for label in labels)] for name, found in figures.items()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    command = shlex.join(["anonvma-trace", *claim.command])
    return (
        f"### {claim.said[0].upper()}{claim.said[1:]}: {claim.trace}\n\n```console\n$ {command}\n```\n\n{table}\n\n"
        f"{claim.verdict(figures)}\n"
    )


def _text(value: Any) -> str:
    if value is None:
        return "not defined"
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def write_family(path: Path) -> None:
    """Write the trace of a parent and its children as an event table."""
    rows = np.concatenate([fork_family(CHILDREN, PAGES), walk_every_page(CHILDREN, PAGES)])
    table = pa.Table.from_batches(to_batches(rows), schema=schema_with_metadata(TraceMetadata()))
    pq.write_table(table, path, compression="zstd")


def page() -> str:
    """Run all claims and return the page."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as directory:
        write_family(Path(directory) / FAMILY)
        for at, claim in enumerate(CLAIMS):
            if at == 0 or claim.where != CLAIMS[at - 1].where:
                parts.append(f"## {claim.where}\n")
            parts.append(section(claim, claim.measure(Path(directory))))
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument(
        "--family", type=Path, metavar="FILE.parquet", help="write the generated trace and leave"
    )
    family = parser.parse_args().family
    if family is None:
        print(page(), end="")
    else:
        write_family(family)


if __name__ == "__main__":
    main()
