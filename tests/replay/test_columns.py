"""Columns of the event table as the core reads them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonvma_trace.errors import TraceError
from anonvma_trace.events import OPS
from anonvma_trace.replay.columns import EventColumns, integers

from .core_state import batch_of

KINDS = {
    pa.uint8(): 1 << 8,
    pa.int32(): 1 << 31,
    pa.uint32(): 1 << 32,
    pa.int64(): 1 << 63,
    pa.uint64(): 1 << 64,
}


@settings(deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(KINDS)), offset=st.integers(0, 9))
def test_integers_are_those_of_the_column_and_nulls_have_their_value(data, kind, offset):
    values = data.draw(st.lists(st.none() | st.integers(0, KINDS[kind] - 1), max_size=30))
    found = integers(pa.array([None] * offset + values, kind).slice(offset), -1)
    assert found.tolist() == [
        -1 if value is None else value - (1 << 64) * (value >= 1 << 63) for value in values
    ]
    assert not found.flags.writeable


@pytest.mark.parametrize(
    "names", [list(OPS), list(reversed(OPS)), [*OPS, "unused"]], ids=["ours", "other", "more"]
)
def test_operations_are_numbered_as_ours_whatever_the_dictionary(names):
    batch = batch_of([{"pid": 1, "op": op} for op in OPS])
    indices = pa.array([names.index(op) for op in OPS], pa.int32())
    batch = batch.set_column(
        batch.schema.get_field_index("op"),
        batch.schema.field("op"),
        pa.DictionaryArray.from_arrays(indices, names),
    )
    assert EventColumns("").read(batch)[3].tolist() == list(range(len(OPS)))


def test_an_operation_that_there_is_not_is_an_error():
    batch = batch_of([{"pid": 1, "op": "mmap"}])
    broken = batch.set_column(
        batch.schema.get_field_index("op"), batch.schema.field("op"), pa.array(["mnap"]).dictionary_encode()
    )
    with pytest.raises(TraceError, match="'mnap'"):
        EventColumns("").read(broken)
