"""The compiled core and the independent model agree on random traces: state, figures and every result table."""

from __future__ import annotations

import numba
import pytest

from anonvma_trace.events import TraceMetadata

from .core_state import CoreReplay
from .naive import NaiveReplay
from .random_events import random_rows

# Interpreted, the core is over sixty times slower; the same rules then hold on fewer traces.
SEEDS = range(4) if numba.config.DISABLE_JIT else range(60)
SETTINGS = {
    "complete": (TraceMetadata(), {}),
    "incomplete": (TraceMetadata(complete=False, known_pids=(2,), brk_flags="rw"), {}),
    "no inventions, slow freeing": (
        TraceMetadata(complete=False),
        {"invent_vmas": "off", "instant_free": "off"},
    ),
}


def replay_both(seed, metadata, options, rows=250):
    events = random_rows(seed, rows)
    model = NaiveReplay(
        metadata,
        invent_vmas=options.get("invent_vmas", "on") == "on",
        instant_free=options.get("instant_free", "on") == "on",
    )
    for event in events:
        model.feed(event)
    core = CoreReplay(metadata, **options)
    core.feed(*events)
    return model, core


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_core_and_model_agree(seed, setting):
    metadata, options = SETTINGS[setting]
    model, core = replay_both(seed + 1000 * list(SETTINGS).index(setting), metadata, options)
    assert core.state() == model.state()
    assert summary_of(core) == summary_of(model)
    assert core.merges == model.merges
    assert core.walks == model.walks
    assert_same_rows(core.rows("anon_vmas"), model.anon_vma_rows())
    assert_same_rows(core.rows("members"), model.members_rows())
    assert_same_rows(core.rows("processes"), model.process_rows())
    assert_same_rows(core.rows("vma_spans"), model.vma_span_rows())
    assert_same_rows(core.rows("vmas"), model.vma_rows())


def test_result_does_not_depend_on_how_the_events_are_cut_into_batches():
    events = random_rows(7, 400)
    whole, pieces = CoreReplay(), CoreReplay()
    whole.feed(*events)
    for begin in range(0, len(events), 13):
        pieces.feed(*events[begin : begin + 13])
    assert pieces.state() == whole.state()
    assert pieces.summary() == whole.summary()
    for name in ("merges", "walks", "vma_spans", "anon_vmas", "members", "timeline", "diagnostics"):
        assert pieces.rows(name) == whole.rows(name)


def summary_of(replay):
    """The summary without what the model does not know: the trace, settings, and further keys of `extra`."""
    summary = replay.summary()
    known = ("anon_vmas_never_used", "mremap_efault_span", "span_forced", "zero_copies", "early_copies")
    outside = ("trace", "scheme", "rules", "options", "checked_events", "violations", "locks", "file_reclaim")
    shown = {key: value for key, value in summary.items() if key not in outside}
    return shown | {"extra": {key: summary["extra"][key] for key in known}}


def assert_same_rows(left, right):
    def in_order(rows):
        return sorted(rows, key=lambda row: [(value is None, value) for value in row.values()])

    assert in_order(left) == in_order(
        [{name: row[name] for name in left[0]} for row in right] if left else right
    )
