"""numba's view of `Table` and `Bundle`: their types, data models, and the operators that the core uses.

Uses numba's low-level extension interface. An item of a table is read and written at its address; what a bundle
holds does not change during a call of the core, and the compiler is told so.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import lower_builtin, models, overload, register_model

from ..compiling.code_cache import BOUNDSCHECK
from ..compiling.compiler import LINKED_OPTIONS
from .bundle import WORDS
from .compiled import specialisations
from .table import Table

_BYTE_POINTER = ir.IntType(8).as_pointer()


def _digest(told: str) -> str:
    """Return a short name for what a type is: it becomes part of each function's, thousands of characters otherwise."""
    return hashlib.sha256(told.encode()).hexdigest()[:12]


class TableType(types.Type):
    """numba's type of a `Table` whose items are `dtype`."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Table({_digest(str(dtype))})")


@functools.cache
def table_type(dtype: np.dtype) -> TableType:
    """Return numba's type of a table of such items."""
    return TableType(numba.from_dtype(dtype))


@register_model(TableType)
class _TableModel(models.StructModel):
    def __init__(self, manager: Any, table: TableType) -> None:
        words: list[tuple[str, types.Type]] = [("data", types.CPointer(types.uint8))]
        if BOUNDSCHECK:
            words.append(("length", types.intp))
        super().__init__(manager, table, words)


@infer_global(operator.getitem)
class _TableGetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index = args
        if isinstance(table, TableType) and isinstance(index, types.Integer):
            return signature(table.dtype, table, types.intp)
        return None


@infer_global(operator.setitem)
class _TableSetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        table, index, value = args
        if (
            isinstance(table, TableType)
            and isinstance(index, types.Integer)
            and isinstance(value, types.Number | types.Boolean)
        ):
            return signature(types.none, table, types.intp, table.dtype)
        return None


def _item_pointer(context: Any, builder: Any, table: TableType, value: Any, index: Any) -> Any:
    proxy = cgutils.create_struct_proxy(table)(context, builder, value=value)
    if BOUNDSCHECK:
        cgutils.do_boundscheck(context, builder, index, proxy.length)
    items = builder.bitcast(proxy.data, context.get_data_type(table.dtype).as_pointer())
    return builder.gep(items, [index])


@lower_builtin(operator.getitem, TableType, types.Integer)
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _item_pointer(context, builder, sig.args[0], args[0], args[1])
    return context.unpack_value(builder, sig.args[0].dtype, pointer)


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
def _lower_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _item_pointer(context, builder, sig.args[0], args[0], args[1])
    context.pack_value(builder, sig.args[0].dtype, args[2], pointer)
    return context.get_dummy_value()


class BundleType(types.Type):
    """numba's type of a `Bundle`: the class of the NamedTuple, and of each field its type and first word."""

    def __init__(self, instance_class: type, fields: dict[str, tuple[types.Type, int]], words: int) -> None:
        self.instance_class = instance_class
        self.fields = fields
        self.words = words
        told = f"{instance_class.__module__}.{instance_class.__qualname__} {fields}"
        super().__init__(name=f"Bundle({_digest(told)})")


def bundle_type(tables: Any) -> BundleType:
    """Return numba's type of a `Bundle` of these tables."""
    _specialise()
    fields: dict[str, tuple[types.Type, int]] = {}
    words = 0
    for name, table in zip(tables._fields, tables, strict=True):
        if isinstance(table, Table):
            fields[name] = table_type(table.array.dtype), words
            words += WORDS
        else:
            inner = bundle_type(table)
            fields[name] = inner, words
            words += inner.words
    return BundleType(type(tables), fields, words)


@register_model(BundleType)
class _BundleModel(models.PrimitiveModel):
    def __init__(self, manager: Any, bundle: BundleType) -> None:
        super().__init__(manager, bundle, _BYTE_POINTER)


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
    if BOUNDSCHECK:
        proxy.length = _load(builder, value, word + 1, ir.IntType(64))
    return proxy._getvalue()


def _word_pointer(builder: Any, value: Any, word: int) -> Any:
    return builder.gep(value, [ir.Constant(ir.IntType(64), 8 * word)])


def _load(builder: Any, value: Any, word: int, kind: Any) -> Any:
    """Load a word that never changes while compiled code runs."""
    loaded = builder.load(builder.bitcast(_word_pointer(builder, value, word), kind.as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


def _specialise() -> None:
    """Tell numba which function of a scheme stands behind each name that all schemes have."""
    while specialisations:
        function, choose = specialisations.pop()
        overload(function, jit_options=cast(Any, LINKED_OPTIONS), strict=False)(_chooser(choose))


def _chooser(choose: Callable[[type], Callable[..., Any]]) -> Callable[..., Any]:
    def specialise(s, *arguments):  # numba wants the parameters of `function`
        if not isinstance(s, BundleType):
            return None
        tables: Any = s.fields["rmap"][0]
        return choose(tables.instance_class)

    return specialise
