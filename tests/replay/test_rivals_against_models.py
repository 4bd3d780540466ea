"""The schemes before rmap 39 and their independent models agree on random traces: pages, figures, walks, merges."""

from __future__ import annotations

import numba
import pytest

from anonvma_trace.events import TraceMetadata
from anonvma_trace.replay import ReplayCore

from .comparison import LOGS, Difference, first_difference
from .core_state import CoreReplay
from .models import MODELS
from .random_events import SETTINGS, random_rows

SCHEMES = ("pte_chain", "anonmm")
# Interpreted, the core is over sixty times slower; the same rules then hold on fewer traces.
SEEDS = range(2) if numba.config.DISABLE_JIT else range(15)
STRIDE = 25  # events between two looks at the state
SUMMARY = ("vmas", "anon_vmas", "pages", "merges", "reclaim", "file_reclaim", "overhead_bytes", "findings")
SUMMARY += ("unmapped_faults",)


class SchemeReplay(CoreReplay):
    """A core of another scheme; of its state, what every scheme has."""

    def __init__(self, scheme: str, metadata: TraceMetadata | None = None, **options: str) -> None:
        super().__init__()
        self.core = ReplayCore(metadata or TraceMetadata(), options, scheme=scheme)

    def state(self):
        s = self.core.state
        return {
            "mms": {key: self._mm(row) for key, row in self._mms().items()},
            "active": self._lru(int(s.glob[0].active_head)),
            "inactive": self._lru(int(s.glob[0].inactive_head)),
        }


def shared_state(state):
    """Return of a state what all schemes have; the pgoff of a vma without file means nothing before rmap 39."""
    mms = {
        pid: mm | {"vmas": [(*vma[:4], vma[4] if vma[5] else None, vma[5]) for vma in mm["vmas"]]}
        for pid, mm in state["mms"].items()
    }
    return {"mms": mms, "active": state["active"], "inactive": state["inactive"]}


def compare(event, what, core, model):
    if core != model:
        path, core, model = first_difference(core, model)
        raise Difference(event, what + path, core, model)


def replay_both(scheme, seed, setting):
    metadata, options = SETTINGS[setting]
    core = SchemeReplay(scheme, metadata, **options)
    switches = {name: value == "on" if value in ("on", "off") else value for name, value in options.items()}
    model = MODELS[scheme](metadata, **switches)
    rows = random_rows(seed, 250, file_reclaim=True)
    for begin in range(0, len(rows), STRIDE):
        core.feed(*rows[begin : begin + STRIDE])
        for row in rows[begin : begin + STRIDE]:
            model.feed(row)
        compare(begin + STRIDE, "state", shared_state(core.state()), shared_state(model.state()))
    for name in LOGS:
        for mine, other in zip(core.rows(name), getattr(model, name), strict=True):
            # The table has no column for members of a ring whose mm is gone; their sum is in `extra`.
            compare(mine["event"], name, mine, {key: other[key] for key in other if key != "miss_extinct"})
    mine, other = core.summary(), model.summary()
    for key in SUMMARY:
        compare(len(rows), f"summary.{key}", mine[key], other[key])
    both = mine["extra"].keys() & other["extra"].keys()
    compare(
        len(rows), "extra", *({key: each["extra"][key] for key in sorted(both)} for each in (mine, other))
    )
    return both


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_core_and_model_agree(seed, scheme, setting):
    replay_both(scheme, seed + 1000 * list(SETTINGS).index(setting), setting)
