"""`NamedFrames`: results that hold several Polars frames by name, as Arrow tables and pandas frames too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from .errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


class NamedFrames(ABC):
    """Results whose frames can be had as Polars, Arrow and pandas."""

    @abstractmethod
    def frames(self) -> Mapping[str, pl.DataFrame]:
        """Return every frame by its name."""

    def frame(self, name: str) -> pl.DataFrame:
        """Return one frame; UsageError for a name that is not in `frames`."""
        found = self.frames()
        if name not in found:
            raise UsageError(
                f"frame {name!r}",
                expected=f"one of {', '.join(found)}",
                found="another name",
                hint="`frames()` has all of them",
            )
        return found[name]

    def to_arrow(self, name: str) -> pa.Table:
        """Return one frame as an Arrow table; UsageError as `frame`."""
        return self.frame(name).to_arrow()

    def to_pandas(self, name: str) -> pd.DataFrame:
        """Return one frame as a pandas frame; UsageError as `frame`."""
        return self.frame(name).to_pandas()
