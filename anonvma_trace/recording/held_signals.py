"""Signals of the recorder, held back so that they arrive where it can put everything back in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HELD = (*_ENDING, signal.SIGCHLD)


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold back SIGCHLD and what would end this process; afterwards the latter take their course."""
    former_child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish unseen
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, former_child or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def release_signals() -> None:
    """Give a new process what its parent holds back or Python ignores, before it becomes another program."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def wait_for_signal(timeout: float) -> bool:
    """Sleep until a child stops or exits; False if none did for `timeout` seconds.

    Raises
    ------
    KeyboardInterrupt
        This process was asked to end.
    """
    came = signal.sigtimedwait(_HELD, timeout)
    if came is not None and came.si_signo in _ENDING:
        raise KeyboardInterrupt
    return came is not None


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if this process was asked to end."""
    if signal.sigpending() & set(_ENDING):
        signal.sigwait(_ENDING)
        raise KeyboardInterrupt
