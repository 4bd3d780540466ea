"""`Bundle`: all tables of a replay as the core sees them, by one address.

The state of a replay is a NamedTuple of a dozen tables. Passed as such, each call of one function of the core by
another copies a dozen words, more than there are registers for. A bundle is one word, the address of a list of the
tables' addresses; a function loads those that it uses. They do not change during a call of the core, and the
compiler is told so.

Uses numba's low-level extension interface, as `table` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

from .table import Table

_WORDS = 2 if config.BOUNDSCHECK else 1  # of each table: its address, and its length if bounds are checked
_BYTE_POINTER = ir.IntType(8).as_pointer()


class Bundle:
    """A NamedTuple of tables, or of such NamedTuples, ready to be handed to compiled code.

    Parameters
    ----------
    tables : NamedTuple
        Kept alive.
    """

    __slots__ = ("address", "tables", "words")

    def __init__(self, tables: Any) -> None:
        self.tables = tables
        self.words = np.array(list(_words(tables)), np.uint64)
        self.address = self.words.ctypes.data


def _words(tables: Any) -> Iterator[int]:
    for table in tables:
        if isinstance(table, Table):
            yield from (table.address, len(table))[:_WORDS]
        else:
            yield from _words(table)


class BundleType(types.Type):
    """numba's type of a `Bundle`: the class of the NamedTuple, and of each field its type and first word."""

    def __init__(self, instance_class: type, fields: dict[str, tuple[types.Type, int]], words: int) -> None:
        self.instance_class = instance_class
        self.fields = fields
        self.words = words
        told = ", ".join(f"{name}: {field}" for name, (field, _) in fields.items())
        super().__init__(name=f"Bundle({instance_class.__module__}.{instance_class.__qualname__}: {told})")


@typeof_impl.register(Bundle)
def _typeof_bundle(value: Bundle, context: Any) -> BundleType:
    return _bundle_type(value.tables)


def _bundle_type(tables: Any) -> BundleType:
    fields: dict[str, tuple[types.Type, int]] = {}
    words = 0
    for name, table in zip(tables._fields, tables, strict=True):
        if isinstance(table, Table):
            fields[name] = table.numba_type, words
            words += _WORDS
        else:
            inner = _bundle_type(table)
            fields[name] = inner, words
            words += inner.words
    return BundleType(type(tables), fields, words)


@register_model(BundleType)
class _BundleModel(models.PrimitiveModel):
    def __init__(self, manager: Any, bundle: BundleType) -> None:
        super().__init__(manager, bundle, _BYTE_POINTER)


@unbox(BundleType)
def _unbox_bundle(bundle: BundleType, value: Any, c: Any) -> NativeValue:
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_ulonglong(address)
    c.pyapi.decref(address)
    return NativeValue(c.builder.inttoptr(pointer, _BYTE_POINTER))


@infer_getattr
class _BundleFields(AttributeTemplate):
    key = BundleType

    def generic_resolve(self, bundle: Any, name: Any) -> Any:  # type: ignore[override]
        return bundle.fields[name][0] if name in bundle.fields else None


@lower_getattr_generic(BundleType)
def _lower_field(context: Any, builder: Any, bundle: BundleType, value: Any, name: str) -> Any:
    field, word = bundle.fields[name]
    if isinstance(field, BundleType):
        return _word_pointer(builder, value, word)
    proxy = cgutils.create_struct_proxy(field)(context, builder)
    proxy.data = _load(builder, value, word, _BYTE_POINTER)
    if config.BOUNDSCHECK:
        proxy.length = _load(builder, value, word + 1, ir.IntType(64))
    return proxy._getvalue()


def _word_pointer(builder: Any, value: Any, word: int) -> Any:
    return builder.gep(value, [ir.Constant(ir.IntType(64), 8 * word)])


def _load(builder: Any, value: Any, word: int, kind: Any) -> Any:
    """Load a word that never changes while compiled code runs."""
    loaded = builder.load(builder.bitcast(_word_pointer(builder, value, word), kind.as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded
