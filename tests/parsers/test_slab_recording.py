"""Recordings of the slab allocator: which objects are followed, and what is told of the rest."""

from __future__ import annotations

import gzip

import pytest

from anonvma_trace.errors import TraceError
from anonvma_trace.parsers.slab_recording import (
    ANON_VMA,
    ANON_VMA_CHAIN,
    is_slab_recording,
    read_slab_recording,
)

HEAD = "              sh-32261   (  32261) [001] ....."


def made(time, thing, site="__anon_vma_prepare", cache="anon_vma"):
    return (
        f"{HEAD}  {time}: kmem_cache_alloc: call_site={site}+0x40/0x1e0 ptr=00000000{thing} name={cache} "
        "bytes_req=96 bytes_alloc=104 gfp_flags=GFP_KERNEL node=-1 accounted=true"
    )


def freed(time, thing, cache="anon_vma"):
    return f"{HEAD}  {time}: kmem_cache_free: call_site=__put_anon_vma+0x2d/0xa0 ptr=00000000{thing} name={cache}"


@pytest.fixture
def read(tmp_path):
    def read(*files):
        paths = []
        for n, lines in enumerate(files):
            path = tmp_path / f"{n}.txt"
            path.write_text("# tracer: nop\n#\n" + "".join(line + "\n" for line in lines))
            paths.append(str(path))
        return read_slab_recording(paths)

    return read


def test_objects_are_counted_from_their_allocation_to_their_end(read):
    recording = read(
        [
            freed("5.000001", "aa"),  # its allocation is not shown
            made("5.000002", "aa"),
            made("5.000004", "bb", "anon_vma_fork"),
            freed("5.000005", "aa"),
        ]
    )
    at = {
        ts: recording.live_at(ANON_VMA, ts) for ts in (0, 5_000_001_000, 5_000_002_000, 5_000_004_999, 10**10)
    }
    assert list(at.values()) == [0, 0, 1, 2, 1]
    assert recording.allocations[ANON_VMA] == {"__anon_vma_prepare": 1, "anon_vma_fork": 1}


def test_the_call_site_tells_chains_from_other_objects_of_the_merged_cache(read):
    recording = read(
        [
            made("5.1", "aa"),
            made("5.2", "cc", "copy_fs_struct", ANON_VMA_CHAIN),
            made("5.3", "dd", "anon_vma_clone", ANON_VMA_CHAIN),
            freed("5.4", "cc", ANON_VMA_CHAIN),
        ]
    )
    assert recording.live_at(ANON_VMA_CHAIN, 6 * 10**9) == 1
    assert recording.allocations[ANON_VMA_CHAIN] == {
        "__anon_vma_prepare": 0,
        "anon_vma_clone": 1,
        "anon_vma_fork": 0,
    }


def test_an_object_allocated_anew_was_freed_unseen(read):
    recording = read([made("5.1", "aa"), made("5.2", "aa")])
    assert recording.live_at(ANON_VMA, 6 * 10**9) == 1


def test_files_of_one_recording_are_merged_by_time(read):
    recording = read([made("5.1", "aa"), freed("5.3", "bb")], [made("5.2", "bb")])
    assert [recording.live_at(ANON_VMA, ts * 10**8) for ts in (50, 51, 52, 53)] == [0, 1, 2, 1]


def test_damage_and_losses_are_told_with_their_place(read):
    recording = read([made("5.1", "aa"), made("5.2", "bb")[:80], "CPU:1 [LOST 12 EVENTS]"])
    assert [line for _, line in recording.unreadable] == [4]
    assert [line for _, line in recording.lost] == [5]


def test_events_of_other_caches_alone_are_an_error(read):
    with pytest.raises(TraceError, match="none of them one"):
        read([made("5.1", "aa", "vm_area_alloc", "vm_area_struct")])


def test_a_recording_is_known_by_its_content(tmp_path):
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(("# tracer: nop\n" + made("5.1", "aa") + "\n").encode()))
    snapshots = tmp_path / "b.kmem.txt"
    snapshots.write_text("# SNAP n=1 why=mark t_mono=1.5 pid=1\n")
    assert is_slab_recording(str(packed)) and not is_slab_recording(str(snapshots))
    assert not is_slab_recording("-")
