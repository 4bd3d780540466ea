"""`Bundle`: all tables of a replay as the core sees them, by one address.

The state of a replay is a NamedTuple of a dozen tables. Passed as such, each call of one function of the core by
another copies a dozen words, more than there are registers for. A bundle is one word, the address of a list of the
tables' addresses; a function loads those that it uses. They do not change during a call of the core, and the
compiler is told so (`numba_types`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..compiling.arguments import class_name
from ..compiling.code_cache import BOUNDSCHECK
from .table import Table

WORDS = 2 if BOUNDSCHECK else 1
"""Words of each table: its address, and its length if bounds are checked."""


class Bundle:
    """A NamedTuple of tables, or of such NamedTuples, ready to be handed to compiled code.

    Parameters
    ----------
    tables : NamedTuple
        Kept alive.
    """

    __slots__ = ("_addresses", "tables", "words")

    def __init__(self, tables: Any) -> None:
        self.tables = tables
        self._addresses = np.array(list(_words(tables)), np.uint64)
        self.words = (self._addresses.ctypes.data,)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What compiled code depends on: the classes, and what the tables hold."""
        return _kind(self.tables)

    def numba_type(self) -> Any:
        """Return the type of the bundle as numba knows it."""
        from .numba_types import bundle_type

        return bundle_type(self.tables)


def _kind(tables: Any) -> tuple[Any, ...]:
    return class_name(tables), *(each.kind if isinstance(each, Table) else _kind(each) for each in tables)


def _words(tables: Any) -> Iterator[int]:
    for table in tables:
        if isinstance(table, Table):
            yield from (table.address, len(table))[:WORDS]
        else:
            yield from _words(table)
