"""`Table`: an array as the core sees it, by its address alone.

numba hands a NumPy array from function to function as seven words. The state of a replay has a dozen
arrays and is passed to every function of the core, so most of the compiled code would be copying: measured,
130 s to compile instead of under 20. A table is one word. It has no length, counts no references and checks no
bounds unless ``NUMBA_BOUNDSCHECK`` is set; the core asks for room before each event instead (`headroom`).

Uses numba's low-level extension interface: a type, its data model, unboxing, and two operators.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numba
import numpy as np
from numba.core import cgutils, config, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import NativeValue, lower_builtin, models, register_model, typeof_impl, unbox

from .room import larger_view, room_to_grow


class Table:
    """A one-dimensional array of records or int64.

    Parameters
    ----------
    array : ndarray
        Contiguous; a record array where it has fields. The table keeps it alive.
    """

    # Address and type are kept: a call of the core asks for both of each of a dozen tables.
    __slots__ = ("address", "array", "numba_type")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.address = array.ctypes.data
        self.numba_type = _table_type(array.dtype)

    @classmethod
    def zeros(cls, rows: int, dtype: np.dtype | type) -> Table:
        """Return a table of so many rows, all zero, that can be `grown`."""
        return cls(_with_fields(room_to_grow(rows, np.dtype(dtype))))

    def grown(self, rows: int) -> Table:
        """Return a table with these rows and zero ones behind them, in the same memory if that has room."""
        array = larger_view(self.array, rows)
        if array is None:
            array = room_to_grow(rows, self.array.dtype)
            array[: len(self)] = self.array
        return Table(_with_fields(array))

    def __reduce__(self) -> tuple[type, tuple[np.ndarray]]:
        return Table, (self.array,)  # a copy has an address of its own

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[index] = value


def _with_fields(array: np.ndarray) -> np.ndarray:
    return array.view(np.recarray) if array.dtype.names else array


class TableType(types.Type):
    """numba's type of a `Table` whose items are `dtype`."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Table({dtype})")


@functools.cache
def _table_type(dtype: np.dtype) -> TableType:
    return TableType(numba.from_dtype(dtype))


@typeof_impl.register(Table)
def _typeof_table(value: Table, context: Any) -> TableType:
    return value.numba_type


@register_model(TableType)
class _TableModel(models.StructModel):
    def __init__(self, manager: Any, table: TableType) -> None:
        words: list[tuple[str, types.Type]] = [("data", types.CPointer(types.uint8))]
        if config.BOUNDSCHECK:
            words.append(("length", types.intp))
        super().__init__(manager, table, words)


@unbox(TableType)
def _unbox_table(table: TableType, value: Any, c: Any) -> NativeValue:
    proxy = cgutils.create_struct_proxy(table)(c.context, c.builder)
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_ulonglong(address)
    proxy.data = c.builder.inttoptr(pointer, c.context.get_value_type(types.CPointer(types.uint8)))
    c.pyapi.decref(address)
    if config.BOUNDSCHECK:
        array = c.pyapi.object_getattr_string(value, "array")
        size = c.pyapi.object_getattr_string(array, "size")
        proxy.length = c.builder.bitcast(c.pyapi.long_as_longlong(size), c.context.get_value_type(types.intp))
        c.pyapi.decref(size)
        c.pyapi.decref(array)
    return NativeValue(proxy._getvalue())


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
    if config.BOUNDSCHECK:
        cgutils.do_boundscheck(context, builder, index, proxy.length)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(table.dtype)))
    item = builder.gep(proxy.data, [builder.mul(index, size)])
    return builder.bitcast(item, context.get_data_type(table.dtype).as_pointer())


@lower_builtin(operator.getitem, TableType, types.Integer)
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _item_pointer(context, builder, sig.args[0], args[0], args[1])
    return context.unpack_value(builder, sig.args[0].dtype, pointer)


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
def _lower_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pointer = _item_pointer(context, builder, sig.args[0], args[0], args[1])
    context.pack_value(builder, sig.args[0].dtype, args[2], pointer)
    return context.get_dummy_value()
