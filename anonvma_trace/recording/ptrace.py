"""The few ptrace requests that a recording needs, through the C library.

Source: Linux include/uapi/linux/ptrace.h, and ptrace(2) for what the stops mean.
"""

from __future__ import annotations

import ctypes
import os

_CONT = 7
_GETEVENTMSG = 0x4201
_SEIZE = 0x4206
_LISTEN = 0x4208

EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_EXIT = 1, 2, 3, 4, 6
EVENT_STOP = 128
"""A new child that is traced from its first instruction, or a thread whose whole process is being stopped."""

_OPTION_EXITKILL = 1 << 20
_OPTIONS = _OPTION_EXITKILL | sum(
    1 << event for event in (EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_EXIT)
)

WAIT_ALL = 0x40000000
"""``__WALL`` of waitpid: threads too."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def seize(pid: int) -> None:
    """Trace a process and all that it starts: they stop at fork, exec and exit, and die with the tracer.

    Raises
    ------
    OSError
        The kernel refuses it.
    """
    _ptrace(_SEIZE, pid, _OPTIONS)


def resume(tid: int, signal: int = 0) -> None:
    """Let a stopped thread run on, with a signal delivered; one that was killed meanwhile is left alone."""
    _try(_CONT, tid, signal)


def leave_stopped(tid: int) -> None:
    """Let a thread stay in the stop that its whole process is in, until SIGCONT comes."""
    _try(_LISTEN, tid, 0)


def event_message(tid: int) -> int:
    """Return what a stop is about: the new tid after a fork, the former tid after an exec."""
    message = ctypes.c_ulong(0)
    _try(_GETEVENTMSG, tid, ctypes.addressof(message))
    return message.value


def _ptrace(request: int, tid: int, data: int) -> None:
    if _libc.ptrace(request, tid, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _try(request: int, tid: int, data: int) -> None:
    """Make a request to a thread that SIGKILL may have taken away at any time."""
    try:
        _ptrace(request, tid, data)
    except ProcessLookupError:
        return
