"""The section of the report on two results that tells at which events they part."""

from __future__ import annotations

import shlex

from ...difference_tables import DifferenceTables, EventDifferences
from ...result_tables import ResultTables
from ..document import Column, Part, Section, Table
from ..numbers import counted
from ..run_differences import is_whole, left_out

EVENTS_SHOWN = 20
_INTRODUCTION = (
    "The events at which A and B part. What differs once changes what later events meet, so the first "
    "one tells most."
)


def where_section(difference: DifferenceTables) -> Section:
    """Return the section: the first event that differs, then merges and walks."""
    return Section("Where", "where", _INTRODUCTION, _where(difference, difference.events))


def _where(difference: DifferenceTables, events: EventDifferences | None) -> tuple[Part, ...]:
    if events is None:
        return (
            Part(
                "Events",
                f"Not told: only events of one trace can be joined, and {difference.why_other_trace}.",
            ),
        )
    if events.first.is_empty():
        parts = [Part("First differences", "At no event do merges, walks, anon_vmas or findings differ.")]
    else:
        columns = (
            Column("subject", "subject", "text"),
            Column("event", "event"),
            Column("a", "A", "text"),
            Column("b", "B", "text"),
        )
        table = Table.from_frame("First event at which they differ", columns, events.first, limit=None)
        first = events.first.row(0, named=True)
        parts = [
            Part(
                "First differences",
                f"The first event that differs at all is {first['event']:,}, in {first['subject']}.",
                (table,),
                f"Why: {_explain(difference.a, first['event'])} and {_explain(difference.b, first['event'])}.",
            )
        ]
    return (*parts, _merges(difference, events), _walks(difference, events))


def _explain(results: ResultTables, event: int) -> str:
    """Return the command that explains an event as this side replayed it."""
    summary = results.summary
    path = summary["trace"]["path"]
    words = ["anonvma-trace", "explain", path if path not in ("", "-") else "TRACE", "--event", str(event)]
    if summary["scheme"] != "anon_vma":
        words += ["--scheme", summary["scheme"]]
    for rule in summary["rules"]:
        words += ["--rule", rule]
    for name, value in summary["options"].items():
        words += ["--option", f"{name}={value}"]
    return f"`{shlex.join(words)}`"


def _merges(difference: DifferenceTables, events: EventDifferences) -> Part:
    heading = "Merges that ended differently"
    if not is_whole(difference.a, difference.b, "merges"):
        return left_out(heading, "merges")
    more = (
        f" At {counted(events.other_reasons, 'further event')} the same merged, or nothing, and only the refusals "
        "differ."
        if events.other_reasons
        else ""
    )
    if events.merges.is_empty():
        return Part(heading, f"At every event the same case merged, or none.{more}")
    kinds = Table.from_frame(
        "Kinds of merges that ended differently",
        (
            Column("events", "events", summed=True),
            Column("first_events", "first", "text"),
            Column("a", "A", "text"),
            Column("b", "B", "text"),
        ),
        events.merge_outcomes,
    )
    listed = Table.from_frame(
        "Events whose merges ended differently, in order",
        (
            Column("event", "event"),
            Column("pid", "pid", "number"),
            Column("op", "op", "code"),
            Column("addr", "addr", "address"),
            Column("a", "A", "text"),
            Column("b", "B", "text"),
        ),
        events.merges,
        limit=EVENTS_SHOWN,
    )
    reading = f"{counted(events.merges.height, 'event')} merged on one side and not, or otherwise, on the other.{more}"
    return Part(heading, reading, (kinds, listed))


def _walks(difference: DifferenceTables, events: EventDifferences) -> Part:
    heading = "Walks that cost otherwise"
    if not is_whole(difference.a, difference.b, "walks"):
        return left_out(heading, "walks")
    counts = events.counts
    if not any(counts[kind] for kind in ("visited_more", "visited_fewer", "found_otherwise")):
        return Part(
            heading, "At every event walks visited as many vmas and found as many ptes, or there were none."
        )
    reading = (
        f"B visited more vmas at {counted(counts['visited_more'], 'event')}, fewer at {counts['visited_fewer']:,}, "
        f"and found another number of ptes at {counts['found_otherwise']:,}."
    )
    if events.walks.is_empty():
        return Part(heading, reading)
    columns = (Column("event", "event"), Column("a", "visited in A"), Column("b", "visited in B"))
    table = Table.from_frame(
        "Events whose walks differ most in the vmas visited", columns, events.walks, limit=None
    )
    return Part(heading, reading, (table,))
