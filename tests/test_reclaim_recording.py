"""The recording under memory pressure: its pages leave in the replay as they left in the kernel."""

from __future__ import annotations

import re
from collections import defaultdict

import polars as pl
import pytest

import anonvma_trace
from anonvma_trace import samples
from anonvma_trace.parsers.source import open_source

from .test_samples import replay_of

EVENT = re.compile(
    rb"-(?P<tid>\d+) +\[\d+\] \S+ +[\d.]+: (?:"
    rb"rss_stat: mm_id=(?P<mm>\d+) curr=[01] type=MM_SWAPENTS size=(?P<size>-?\d+)B"
    rb"|mm_vmscan_write_folio: page=\S+ pfn=0x(?P<pfn>[0-9a-f]+))"
)


def mappers_seen_by_the_kernel(path):
    """Return, for each line of mm_vmscan_write_folio, how many page table entries the kernel had replaced for it.

    Each makes the swap entries of its mm one more, which rss_stat tells in front of the write. A walk meets an mm
    once: one that comes again belongs to the next page, and what went before to a page that was not written.
    """
    swapped = defaultdict(int)
    met = defaultdict(list)
    mappers = {}
    with open_source(str(path)) as source:
        text = b"".join(source.blocks())
    for number, line in enumerate(text.splitlines(), start=1):
        event = EVENT.search(line)
        if event is None:
            continue
        tid = event["tid"]
        if event["pfn"]:
            mappers[number] = len(met.pop(tid))
        elif int(event["size"]) > swapped[event["mm"]]:
            met[tid] = [*([] if event["mm"] in met[tid] else met[tid]), event["mm"]]
        if event["mm"]:
            swapped[event["mm"]] = int(event["size"])
    return mappers


@pytest.mark.compiled
def test_reclaim_finds_the_mappers_that_the_kernel_found():
    kernels = mappers_seen_by_the_kernel(samples.get_sample("swapfork").path)
    replay = replay_of("swapfork")
    rows = pl.from_arrow(anonvma_trace.read_trace("swapfork").table).with_row_index("event", offset=1)
    unmaps = (
        rows.filter(pl.col("op") == "swap_out")
        .select(pl.col("event").cast(pl.Int64), "line")
        .join(
            replay.walks.filter(pl.col("purpose") == "unmap").select("event", "hits"), on="event", how="left"
        )
    )
    replayed = dict(zip(unmaps["line"], unmaps["hits"], strict=True))
    joined = [line for line in kernels if line in replayed]
    equal = sum(replayed[line] == kernels[line] for line in joined)
    swapped_out = replay.summary["pages"]["swapped_out"]
    print(
        f"mm_vmscan_write_folio {len(kernels)}, swapped_out {swapped_out} ({swapped_out / len(kernels):.1%})"
    )
    print(
        f"joined with a fault {len(joined)}, as many mappers as the kernel {equal} ({equal / len(joined):.1%})"
    )
    # Three had been swapped in by a read and not written to by any fault: clean in the replay, not in this kernel,
    # which maps such a page writable at once or takes its slot away.
    assert (len(kernels), swapped_out, len(joined), equal) == (4118, 4115, 4118, 4118)
    assert len(unmaps) == 4118 + 211  # and pages whose copy in swap was still good


@pytest.mark.compiled
def test_every_entry_that_the_kernel_replaced_is_replaced_in_the_replay():
    reclaim = replay_of("swapfork").summary["reclaim"]
    assert (reclaim["hits"], reclaim["unmapped"], reclaim["unreachable"]) == (9925, 4329, 0)
