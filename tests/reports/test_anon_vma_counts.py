"""Statistics of the anon_vmas, from tables small enough to count by hand."""

from __future__ import annotations

import pytest

from anonvma_trace.reports import anon_vma_counts

from .hand_made import HOSTILE, empty_results, hand_made_results


@pytest.fixture(scope="module")
def results():
    return hand_made_results()


def test_counts_over_time_keep_the_highest_sample_of_each_bin(results):
    frame = anon_vma_counts.counts_over_time(results)
    # Events 1 and 1,050 share the first of the 40 bins of 92,855 events; bins without a sample are left out.
    assert frame.select("from_event", "anon_vmas", "longest_list", "vmas", "anon_pages").rows() == [
        (1, 5, 4, 51, 60),
        (18_572, 4, 17, 77, 1_003),
        (58_036, 3, 12, 64, 990),
        (90_535, 2, 11, 40, 870),
    ]


def test_the_timeline_reaches_the_peaks_of_the_summary(results):
    frame = anon_vma_counts.counts_over_time(results)
    assert frame["anon_vmas"].max() == results.summary["anon_vmas"]["peak"]
    assert frame["longest_list"].max() == results.summary["anon_vmas"]["longest_list"]
    assert frame["overhead_bytes"].max() == results.summary["overhead_bytes"]["x86_64"]


def test_anon_vmas_are_grouped_by_their_longest_list(results):
    frame = anon_vma_counts.peak_list_lengths(results)
    assert frame.select("bin", "anon_vmas").rows() == [
        ("1", 2),
        ("2", 1),
        ("3–4", 1),
        ("5–8", 0),
        ("9–16", 0),
        ("17–32", 1),
    ]


def test_walks_are_grouped_by_the_list_they_went_over(results):
    frame = anon_vma_counts.walked_list_lengths(results)
    busy = frame.filter(frame["walks"] > 0)
    assert busy.select("bin", "walks", "vmas_visited").rows() == [
        ("1", 2, 2),
        ("2", 1, 1),
        ("3–4", 5, 14),
        ("17–32", 2, 20),
    ]


def test_allocations_are_counted_by_operation(results):
    frame = anon_vma_counts.allocated_by_operation(results)
    assert frame.drop("share").rows() == [("write_fault", 3, 2, 0), ("exec", 1, 0, 0), ("mprotect", 1, 0, 1)]
    assert frame["share"].to_list() == pytest.approx([0.6, 0.2, 0.2])


def test_allocations_are_counted_by_process(results):
    frame = anon_vma_counts.allocated_by_process(results)
    assert frame.drop("share").rows() == [
        (100, "server", 2, 1, 0, 4),
        (300, "worker, worker again", 2, 1, 0, 17),
        (200, HOSTILE, 1, 0, 1, 1),
    ]


def test_never_used_means_freed_without_ever_having_had_a_page(results):
    rows = anon_vma_counts.allocated_by_process(results)
    assert rows["never_used"].sum() == results.summary["extra"]["anon_vmas_never_used"]


def test_an_anon_vma_that_still_lives_without_a_page_is_not_yet_never_used():
    fresh = (1, 10, 10, "mprotect", 100, None, None, 1, 0, 0, 0, 0)
    frame = anon_vma_counts.allocated_by_operation(hand_made_results(anon_vmas=[fresh]))
    assert frame.select("live", "never_used").rows() == [(1, 0)]


def test_the_longest_lists_come_first(results):
    frame = anon_vma_counts.longest_lists(results)
    assert frame.select("anon_vma", "peak_vmas", "processes", "lifetime_events").rows() == [
        (5, 17, 1, None),  # lives at the end
        (1, 4, 2, None),
        (4, 2, 1, 30_000),
        (2, 1, 1, 1_000),
        (3, 1, None, 1),
    ]


def test_lifetimes_leave_out_what_still_lives(results):
    lives = anon_vma_counts.lifetimes(results)
    assert (lives.freed, lives.live) == (3, 2)
    assert lives.events == (1_000, 30_000, 30_000)  # of 1, 1,000 and 30,000
    assert lives.span_ns == (3_000_000, 1_000_000_000, 1_000_000_000)


def test_lifetimes_are_grouped_by_events(results):
    frame = anon_vma_counts.lifetime_distribution(results)
    busy = frame.filter(frame["anon_vmas"] > 0)
    assert busy.select("low", "high", "anon_vmas", "never_used").rows() == [
        (1, 1, 1, 1),
        (257, 1_024, 1, 0),
        (16_385, 65_536, 1, 0),
    ]


def test_a_replay_of_nothing_has_empty_statistics():
    empty = empty_results()
    for statistic in (
        anon_vma_counts.counts_over_time,
        anon_vma_counts.peak_list_lengths,
        anon_vma_counts.walked_list_lengths,
        anon_vma_counts.allocated_by_operation,
        anon_vma_counts.allocated_by_process,
        anon_vma_counts.longest_lists,
        anon_vma_counts.lifetime_distribution,
    ):
        assert statistic(empty).height == 0
    assert anon_vma_counts.lifetimes(empty) == anon_vma_counts.Lifetimes(0, 0, (None,) * 3, (None,) * 3)
