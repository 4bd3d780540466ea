"""The same events under several schemes: figures side by side, and what they are beside the reference's.

The list below says which figures, where each stands in a `summary`, and how it is written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from ..comparison_tables import ComparisonTables
from ..tables import MERGE_REASONS
from .numbers import Kind


class Figure(NamedTuple):
    """One figure of the comparison.

    Attributes
    ----------
    subject : str
        What it belongs to: one table of the report for each.
    label : str
        For a reader.
    path : tuple of str
        Keys under which it stands in a `summary`.
    kind : str
        How it is written.
    has_ratio : bool
        Its ratio to the reference's is worth a row.
    always : bool
        It is shown even where it is zero, or absent, under every scheme.
    """

    subject: str
    label: str
    path: tuple[str, ...]
    kind: Kind = "figure"
    has_ratio: bool = False
    always: bool = True


FIGURES: tuple[Figure, ...] = (
    Figure("vmas", "at the peak", ("vmas", "peak"), has_ratio=True),
    Figure("vmas", "at the end", ("vmas", "live")),
    Figure("vmas", "created", ("vmas", "created")),
    Figure("vmas", "splits", ("vmas", "splits")),
    Figure("merges", "attempts", ("merges", "attempts")),
    Figure("merges", "merged", ("merges", "merged"), has_ratio=True),
    *(
        Figure("merges", f"case {case}", ("merges", "by_case", str(case)), always=False)
        for case in range(1, 9)
    ),
    *(
        Figure("merges", f"refused {reason}", ("merges", "refused", reason), always=False)
        for reason in MERGE_REASONS
    ),
    Figure("swap-out", "walks", ("reclaim", "walks")),
    Figure("swap-out", "visited", ("reclaim", "vmas_visited"), has_ratio=True),
    Figure("swap-out", "mean per walk", ("reclaim", "visited_per_walk", "mean"), "mean"),
    Figure("swap-out", "most in a walk", ("reclaim", "visited_per_walk", "max")),
    Figure("swap-out", "list lengths, sum", ("reclaim", "list_length_sum")),
    Figure("swap-out", "ptes read", ("reclaim", "ptes_read"), has_ratio=True),
    Figure("swap-out", "hits", ("reclaim", "hits")),
    Figure("swap-out", "find_vma calls", ("extra", "find_vma_calls")),
    Figure("swap-out", "pages unmapped", ("reclaim", "unmapped")),
    Figure("fork", "objects made", ("extra", "fork_objects")),
    Figure("fork", "list insertions", ("extra", "fork_insertions"), has_ratio=True),
    Figure("fault", "objects made", ("extra", "fault_objects")),
    Figure("fault", "hot-path operations", ("extra", "rmap_hot_ops")),
    Figure("fault", "entries added", ("extra", "rmap_adds"), always=False),
    Figure("fault", "entries removed", ("extra", "rmap_removes"), always=False),
    Figure("fault", "entries compared", ("extra", "rmap_remove_steps"), always=False),
    Figure("moves", "mremap copies", ("extra", "mremap_copies")),
    Figure("moves", "swap-in copies", ("extra", "swapin_copies")),
    Figure("moves", "spans forced", ("extra", "span_forced")),
    Figure("memory", "objects allocated", ("anon_vmas", "allocated")),
    Figure("memory", "objects at the peak", ("anon_vmas", "peak")),
    Figure("memory", "objects at the end", ("anon_vmas", "live")),
    Figure("memory", "chains at the peak", ("extra", "chains_peak"), always=False),
    Figure("memory", "chains at the end", ("extra", "chains_live"), always=False),
    Figure("memory", "blocks, i386", ("extra", "pte_chain_blocks_i386_peak"), always=False),
    Figure("memory", "blocks, x86_64", ("extra", "pte_chain_blocks_x86_64_peak"), always=False),
    Figure("memory", "bytes, i386", ("overhead_bytes", "i386"), has_ratio=True),
    Figure("memory", "bytes, x86_64", ("overhead_bytes", "x86_64"), has_ratio=True),
    Figure("findings", "pages unreachable", ("findings", "unreachable_pages")),
    Figure("findings", "of these dangling", ("findings", "dangling_pages")),
    Figure("findings", "events undone (BUG)", ("findings", "bugs")),
)
"""All figures, in the order of reports."""


def figure_value(summary: dict[str, Any], figure: Figure) -> float | int | None:
    """Return a figure of one summary; None where it is not defined there.

    What is not among the further counts of a scheme is something that it never does: 0.
    """
    if figure.path[0] == "extra":
        count: int = summary["extra"].get(figure.path[1], 0)
        return count
    value: Any = summary
    for key in figure.path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def shown_figures(
    comparison: ComparisonTables, subject: str
) -> list[tuple[Figure, list[float | int | None]]]:
    """Return the figures of one subject with a value for each scheme, those that say nothing left out."""
    rows = [
        (figure, [figure_value(summary, figure) for summary in comparison.summaries.values()])
        for figure in FIGURES
        if figure.subject == subject
    ]
    return [(figure, values) for figure, values in rows if figure.always or any(values)]


def figures_by_scheme(comparison: ComparisonTables) -> pl.DataFrame:
    """Return all figures as tidy data, for a notebook.

    Returns
    -------
    polars.DataFrame
        ``subject``, ``figure``, ``scheme``, ``value`` and ``ratio`` (to the reference's value, null where that is 0 or
        not defined), both float64.
    """
    rows = []
    for figure in FIGURES:
        base = figure_value(comparison.summaries[comparison.reference], figure)
        for name, summary in comparison.summaries.items():
            value = figure_value(summary, figure)
            rows.append((figure.subject, figure.label, name, value, ratio_to(value, base)))
    schema = {"subject": pl.String, "figure": pl.String, "scheme": pl.String}
    return pl.DataFrame(
        rows, schema=schema | {"value": pl.Float64, "ratio": pl.Float64}, orient="row", strict=False
    )


def ratio_to(value: float | None, base: float | None) -> float | None:
    """Return ``value / base``; None where one is not defined, or `base` is 0."""
    return value / base if value is not None and base else None
