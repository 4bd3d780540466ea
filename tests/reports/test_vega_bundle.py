"""The chart library: made once, kept, and never able to end the element that holds it."""

from __future__ import annotations

import pytest

from anonvma_trace.reports import vega_bundle as module
from anonvma_trace.reports.vega_bundle import vega_bundle


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "anonvma_trace" / "charts"


def test_the_script_cannot_end_its_element_and_names_one_thing():
    script = vega_bundle()
    assert "</script" not in script.lower()
    assert "<!--" not in script
    assert "window.vegaEmbed" in script
    assert 500_000 < len(script) < 1_000_000


def test_it_is_made_once_and_kept(cache, monkeypatch):
    made = []
    monkeypatch.setattr(module, "_made", lambda: made.append(1) or f"script{module._END}")
    assert vega_bundle() == vega_bundle() == f"script{module._END}"
    assert made == [1]
    assert len(list(cache.iterdir())) == 1


def test_one_that_was_not_written_whole_is_made_again(cache, monkeypatch):
    monkeypatch.setattr(module, "_made", lambda: f"script{module._END}")
    vega_bundle()
    (kept,) = cache.iterdir()
    kept.write_text("scr")
    assert vega_bundle() == f"script{module._END}"


def test_where_nothing_can_be_kept_it_is_made_each_time(monkeypatch):
    monkeypatch.setattr(module, "_cache_directory", lambda: None)
    monkeypatch.setattr(module, "_made", lambda: "script")
    assert vega_bundle() == "script"
