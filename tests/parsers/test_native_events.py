import numpy as np

from anonvma_trace.events import EVENT_SCHEMA, OPS
from anonvma_trace.parsers.native_events import (
    KIND_LOST,
    KIND_MARK,
    MAX_ARGS,
    RETURNED,
    SYSCALLS,
    TRACEPOINTS,
    Family,
    Form,
    hash_word,
    native_tables,
)


def test_every_row_is_made_of_arguments_and_columns_that_exist():
    for call in SYSCALLS:
        assert len(call.arguments) <= MAX_ARGS
        if call.row is not None:
            assert call.row.op in OPS
            assert set(call.row.columns) <= set(EVENT_SCHEMA.names)
            assert set(call.row.columns.values()) <= {*call.arguments, RETURNED}


def test_an_event_keeps_one_text_at_most():
    for tracepoint in TRACEPOINTS:
        assert sum(field.form == Form.TEXT for field in tracepoint.fields) <= 1


def test_each_system_call_has_an_enter_and_an_exit():
    tables = native_tables()
    for number, call in enumerate(SYSCALLS):
        kinds = np.flatnonzero(tables.syscall == number)
        assert [tables.names[kind] for kind in kinds] == [f"sys_enter_{call.name}", f"sys_exit_{call.name}"]
        assert tables.family[kinds].tolist() == [Family.ENTER, Family.EXIT]


def test_the_words_are_sorted_by_hash_for_the_scanner():
    tables = native_tables()
    assert (np.diff(tables.words[:, 0]) > 0).all()
    kind_of = dict(tables.words.tolist())
    assert tables.names[kind_of[hash_word(b"sys_mmap(")]] == "sys_enter_mmap"
    assert tables.names[kind_of[hash_word(b"sys_mmap ")]] == "sys_exit_mmap"
    assert kind_of[hash_word(b"tracing_mark_write:")] == KIND_MARK
    assert tables.family[KIND_LOST] == Family.LOST
