"""The section on validation: the replay compared with what a kernel was seen to hold."""

from __future__ import annotations

from ...result_tables import ResultTables
from ..document import Column, Part, Section, Table
from ..numbers import counted, share_text

_INTRODUCTION = (
    "Snapshots of the address spaces, taken while the trace was recorded, tell what the kernel held at that "
    "moment. Here the replay is compared with them. Differences are no defect of the scheme; each is a "
    "row of the diagnostics. The stack, [vdso] and [vvar] stand aside."
)
_MEANINGS = {
    "snapshots": "recorded snapshots of running and of exiting processes",
    "compared": "of these, snapshots that have a place in the trace and could be compared",
    "pages_equal": "snapshots in which the same pages are mapped with the same permissions",
    "borders_equal": "snapshots in which all vmas begin and end at the same addresses",
    "anon_pages_equal": "snapshots in which exactly the same pages are anonymous",
    "anon_pages": "anonymous pages in these snapshots, present or swapped",
    "anon_pages_missing": "of these, pages that the replay does not have",
    "anon_pages_extra": "anonymous pages that only the replay has",
    "anon_vmas_prepared_recorded": "anon_vmas that __anon_vma_prepare made in the kernel that was recorded",
    "anon_vmas_prepared": "anon_vmas that the replay made for a new page",
    "anon_vmas_forked_recorded": "anon_vmas that anon_vma_fork made in the kernel that was recorded",
    "anon_vmas_forked": "anon_vmas that the replay made at forks",
    "live_anon_vmas_marks": "marks at which the anon_vmas alive were counted",
    "live_anon_vmas_equal": "of these, marks at which there were as many in the kernel",
    "live_anon_vma_chains_marks": "marks at which the anon_vma_chains alive were counted",
    "live_anon_vma_chains_equal": "of these, marks at which there were as many in the kernel",
}


def validation_sections(results: ResultTables) -> tuple[Section, ...]:
    """Return the section on validation, or none where the replay was not compared with snapshots."""
    if "validation" not in results.summary:
        return ()
    return (Section("Validation", "validation", _INTRODUCTION, (_comparison(results),)),)


def _comparison(results: ResultTables) -> Part:
    validation = results.summary["validation"]
    compared = validation.get("compared", validation["snapshots"])
    table = Table(
        "Replay and snapshots",
        (
            Column("figure", "figure", "code"),
            Column("value", "number", "figure"),
            Column("meaning", "what it counts", "text"),
        ),
        tuple((name, value, _MEANINGS.get(name, "")) for name, value in validation.items()),
    )
    explanation = (
        "Borders follow the merge rules of the kernel that was recorded, which are not those of the scheme "
        "replayed here: they may differ where pages and permissions do not."
    )
    return Part("Compared with the kernel", _reading(validation, compared), (table,), explanation)


def _reading(validation: dict[str, int], compared: int) -> str:
    if not compared:
        return f"None of {counted(validation['snapshots'], 'recorded snapshot')} could be compared."
    pages = validation["anon_pages"]
    found = pages - validation["anon_pages_missing"]
    return (
        f"Pages and permissions are equal in {validation['pages_equal']:,} of {counted(compared, 'snapshot')}, "
        f"the anonymous pages in {validation['anon_pages_equal']:,}, the borders of the vmas in "
        f"{validation['borders_equal']:,}. Of {counted(pages, 'anonymous page')} the replay has "
        f"{share_text(found, pages)}, and {counted(validation['anon_pages_extra'], 'page')} that the "
        "snapshots have not."
    )
