import numpy as np
import pytest

from anonvma_trace.parsers.native_block import (
    BlockBuilder,
    Names,
    NativeBlock,
    concatenate,
    merge_by_time,
    sort_nearly_sorted,
)


def block(*times, line=1):
    n = len(times)
    columns = dict.fromkeys(("kind", "tid", "tgid", "cpu", "found", "text", "comm"), np.zeros(n, np.int64))
    return NativeBlock(
        line=np.arange(line, line + n),
        ts=np.array(times, np.int64),
        args=np.zeros((n, 6), np.int64),
        **columns,
    )


def times_of(blocks):
    return [int(ts) for part in blocks for ts in part.ts]


def test_names_are_numbered_once():
    names = Names()
    assert [names.number(name) for name in ("a", "b", "a")] == [0, 1, 0]
    assert names.values == ["a", "b"]


def test_late_events_go_to_their_place_as_far_as_one_block_back():
    assert times_of(sort_nearly_sorted(iter([block(1, 5), block(3, 6), block(7, 2)]))) == [1, 3, 2, 5, 6, 7]
    assert times_of(sort_nearly_sorted(iter([block(), block(2, 1), block()]))) == [1, 2]


def test_events_of_equal_time_keep_their_order():
    (part,) = sort_nearly_sorted(iter([block(5, 4, 5, 4)]))
    assert part.line.tolist() == [2, 4, 1, 3]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_streams_merge_by_time_and_the_earlier_stream_comes_first(cut):
    one = [block(*(1, 4, 4, 9)[:cut], line=10), block(*(1, 4, 4, 9)[cut:], line=10 + cut)]
    merged = concatenate(list(merge_by_time([iter(one), iter([block(2, 4, line=50)]), iter([])])))
    assert merged.ts.tolist() == [1, 2, 4, 4, 4, 9]
    assert merged.line.tolist() == [10, 50, 11, 12, 51, 13]


def test_a_builder_tells_absent_arguments_and_keeps_the_bits_of_large_ones():
    builder = BlockBuilder()
    builder.add(3, 1, 7, 5, [0, None, 1 << 63, -12], cpu=1)
    built = builder.block()
    assert built.args.tolist() == [[0, 0, -(1 << 63), -12, 0, 0]]
    assert built.found.tolist() == [0b1101]
    assert (built.tgid[0], built.cpu[0], built.text[0], built.comm[0]) == (-1, 1, -1, -1)
    assert len(builder.block()) == 0
