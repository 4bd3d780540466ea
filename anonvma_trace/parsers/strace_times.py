"""The times that strace prints, as nanoseconds that never fall from line to line.

strace prints the wall clock, which can be set back, or the time of day, which begins anew at midnight; a damaged
digit makes one line of a file seem early or late. Its lines stand in the order in which it saw things, so that
the order of the lines decides, and times follow it.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from .strace_head import CLOCK_DAY, CLOCK_NONE, CLOCK_RELATIVE

SECOND = 1_000_000_000
DAY = 24 * 3600 * SECOND

_DAY_TIME = re.compile(rb"(\d\d):(\d\d):(\d\d)")
_SCALE = [10 ** (9 - digits) for digits in range(10)]


def nanoseconds(text: bytes) -> int:
    """Return a time as strace prints it: seconds, or hours, minutes and seconds, with a fraction or without.

    Raises
    ------
    ValueError
        It is none.
    """
    whole, point, fraction = text.partition(b".")
    if len(fraction) > 9 or len(whole) > 10:
        raise ValueError(text)
    ns = int(fraction) * _SCALE[len(fraction)] if point else 0
    return _seconds(whole) * SECOND + ns


@lru_cache(maxsize=16)  # lines of one second follow one another
def _seconds(text: bytes) -> int:
    match = _DAY_TIME.fullmatch(text)
    if match is None:
        return int(text)
    return 3600 * int(match[1]) + 60 * int(match[2]) + int(match[3])


class LineTimes:
    """The times of the lines of one file, made to rise.

    Parameters
    ----------
    clock : str
        One of ``strace_head.CLOCK_…``.

    Attributes
    ----------
    steps : int
        How often the clock was set back, midnight aside.
    """

    def __init__(self, clock: str) -> None:
        self.steps = 0
        self._clock = clock
        self._sum = 0  # of the times since the line before
        self._offset = 0  # of what follows a step
        self._last = np.empty(0, dtype=np.int64)  # the two lines before, corrected

    @property
    def printed(self) -> bool:
        """The lines have a time."""
        return self._clock != CLOCK_NONE

    def read(self, text: bytes) -> int:
        """Return the time of the next line, which prints `text`, before `corrections`.

        Raises
        ------
        ValueError
            `text` is no time of this clock.
        """
        if (b":" in text) != (self._clock == CLOCK_DAY):
            raise ValueError(text)
        time = nanoseconds(text)
        if self._clock != CLOCK_RELATIVE:
            return time
        self._sum += time
        return self._sum

    def corrections(self, times: np.ndarray) -> np.ndarray:
        """Return what to add to the times of the next lines.

        Parameters
        ----------
        times : ndarray of int64
            As `read` returned them, line by line.
        """
        before = len(self._last)
        raw = np.concatenate([self._last, times + self._offset])
        corrected = raw.copy()
        for late in np.flatnonzero(np.diff(raw) < 0).tolist():
            # raw[late] is later than the line behind it: one of the two is wrong, or the clock was set back.
            fall = int(raw[late] - raw[late + 1])
            if late + 2 < len(raw) and raw[late + 2] >= raw[late]:
                corrected[late + 1] = corrected[late]
            elif late and raw[late - 1] <= raw[late + 1]:
                corrected[late] = corrected[late - 1]
            elif not late and not self._is_midnight(fall):
                corrected[0] = raw[1]
            else:
                step = self._step(fall)
                corrected[late + 1 :] += step
                self._offset += step
        self._last = corrected[-2:]
        return corrected[before:] - times

    def _is_midnight(self, fall: int) -> bool:
        return self._clock == CLOCK_DAY and fall > DAY // 2

    def _step(self, fall: int) -> int:
        """Return by how much the times behind a fall have to rise."""
        if self._is_midnight(fall):
            return DAY
        self.steps += 1
        return fall
