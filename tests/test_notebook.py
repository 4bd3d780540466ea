"""What a notebook gets: frames as Polars, pandas and Arrow, charts, and how results show themselves."""

from __future__ import annotations

import altair as alt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import anonvma_trace
from anonvma_trace.errors import UsageError
from anonvma_trace.reports.charts import chart_of
from anonvma_trace.tables import TABLES


@pytest.fixture(scope="module")
def trace():
    return anonvma_trace.read_trace("fork-family")


@pytest.fixture(scope="module")
def replay(trace):
    return anonvma_trace.replay_trace(trace)


@pytest.fixture(scope="module")
def comparison(trace):
    return anonvma_trace.compare_schemes(trace, ["anon_vma", "anon_vma_chain"])


@pytest.fixture(scope="module")
def difference(trace, replay):
    return anonvma_trace.diff(replay, anonvma_trace.replay_trace(trace, "anon_vma_chain"))


@pytest.fixture(params=["replay", "comparison", "difference"])
def shown(request):
    return request.getfixturevalue(request.param)


def test_events_are_frames(trace):
    assert trace.to_arrow() is trace.table
    polars, pandas = trace.to_polars(), trace.to_pandas()
    assert isinstance(polars, pl.DataFrame) and isinstance(pandas, pd.DataFrame)
    assert polars.columns == list(pandas.columns) == trace.table.column_names
    assert polars.height == len(pandas) == trace.table.num_rows


def test_result_tables_are_frames(replay):
    for name, schema in TABLES.items():
        assert getattr(replay, name).columns == schema.names
        assert isinstance(replay.to_arrow(name), pa.Table)
        assert len(replay.to_pandas(name)) == replay.frame(name).height


@pytest.mark.parametrize("kind", ["comparison", "difference"])
def test_other_results_are_frames_by_name(kind, request):
    result = request.getfixturevalue(kind)
    assert "figures" in result.frames()
    for name, frame in result.frames().items():
        assert frame.equals(result.frame(name))
        assert result.to_arrow(name).column_names == frame.columns
        assert len(result.to_pandas(name)) == frame.height
    with pytest.raises(UsageError, match="expected one of figures"):
        result.frame("figure")


def test_plots_are_the_figures_of_the_report(shown):
    report = shown._report()
    assert shown.plots() == [figure.table.title for figure in report.figures()]
    for figure in report.figures():
        chart = shown.plot(figure.table.title)
        assert isinstance(chart, alt.Chart | alt.LayerChart | alt.FacetChart)
        assert chart.to_dict() == chart_of(figure).to_dict()


def test_a_plot_is_found_whatever_its_capitals_and_another_one_is_suggested(replay):
    title = replay.plots()[0]
    assert replay.plot(title.upper()).to_dict() == replay.plot(title).to_dict()
    with pytest.raises(UsageError, match=f"did you mean '{title}'"):
        replay.plot(title[:-2])


def test_the_process_of_an_address_space_is_chosen(replay):
    title = "Vmas over the trace, by address"
    pids = replay.vma_spans["pid"].unique().sort().to_list()[:2]
    charts = [replay.plot(title, pid=pid).to_dict() for pid in pids]
    for pid, chart in zip(pids, charts, strict=True):
        (figure,) = [each for each in replay._report(pid=pid).figures() if each.table.title == title]
        assert chart == chart_of(figure).to_dict()
    assert charts[0] != charts[1]


def test_results_show_themselves(shown):
    html = shown._repr_html_()
    assert "<table>" in html
    assert "over time" in html if isinstance(shown, anonvma_trace.Replay) else "<li>" in html


def test_a_trace_shows_itself_without_being_read():
    trace = anonvma_trace.read_trace("tiny-sh")
    assert "not read yet" in trace._repr_html_()
    events = trace.table.num_rows
    assert f"{events:,}" in trace._repr_html_() and "not read yet" not in trace._repr_html_()


def test_a_trace_with_markup_in_its_name_shows_text(trace):
    other = anonvma_trace.read_trace("fork-family")
    other.path = "<script>alert(1)</script>"
    assert "<script>" not in other._repr_html_() and "&lt;script&gt;" in other._repr_html_()


def test_a_replay_that_kept_few_tables_shows_itself(trace):
    assert "over time" not in anonvma_trace.replay_trace(trace, tables=["vmas"])._repr_html_()
