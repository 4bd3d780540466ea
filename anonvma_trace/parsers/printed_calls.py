"""What strace and perf trace have in common: lines that print a whole system call, with names for its flags."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..events import CLONE_THREAD, CLONE_VFORK, CLONE_VM
from .flag_names import CLONE, MADVISE, MAP, MREMAP, PROT, SHM, FlagNames
from .native_events import SYSCALLS, kind_of

NEWTASK, FORK = kind_of("task_newtask"), kind_of("sched_process_fork")
EXEC, TASK_EXIT = kind_of("sched_process_exec"), kind_of("sched_process_exit")

FLAGS_OF: dict[str, dict[str, FlagNames]] = {
    "mmap": {"prot": PROT, "flags": MAP},
    "mprotect": {"prot": PROT},
    "pkey_mprotect": {"prot": PROT},
    "mremap": {"flags": MREMAP},
    "madvise": {"behavior": MADVISE},
    "shmat": {"shmflg": SHM},
    "clone": {"clone_flags": CLONE},
    "clone3": {"clone_flags": CLONE},
}
"""Arguments that are printed by name, by system call (`native_events.SYSCALLS`)."""

_FLAGS_OF = {name: tuple(arguments.values()) for name, arguments in FLAGS_OF.items()}


class Call(NamedTuple):
    """One system call of `native_events.SYSCALLS`.

    Attributes
    ----------
    name : str
        As the kernel calls it.
    enter, leave : int
        Kinds of its two native events.
    arguments : tuple of str
        Those that are needed, in the order of the event's numbers.
    """

    name: str
    enter: int
    leave: int
    arguments: tuple[str, ...]


CALLS: dict[bytes, Call] = {
    call.name.encode(): Call(
        call.name, kind_of(f"sys_enter_{call.name}"), kind_of(f"sys_exit_{call.name}"), call.arguments
    )
    for call in SYSCALLS
}
"""The system calls that matter, by name."""

NEW_TASK_CALLS = frozenset(("clone", "clone3", "fork", "vfork"))
SIGNAL_AT_EXIT = 0xFF
"""Bits of clone's flags that task_newtask does not tell either."""

FLAGS_OF_CALL = {"fork": 0, "vfork": CLONE_VM | CLONE_VFORK, "clone3": CLONE_VM | CLONE_THREAD}
"""Flags of a new task as far as the name of the call tells them: clone3, whose own can be hidden, makes threads."""

EXEC_CALLS = frozenset(("execve", "execveat"))
EXIT_CALLS = frozenset(("exit", "exit_group"))


REASONS = {
    "not-a-call": (
        "expected a line of the format: a system call, a signal, an exit; the file looks damaged there, or "
        "the traced program's own output is mixed into it (record with -o FILE)"
    ),
    "bad-task": "expected the number of a thread, from 1 to 4194304; the file looks damaged there",
    "bad-time": "expected a time in the style of the other lines; the file looks damaged there",
    "bad-arguments": "expected the arguments of the system call as the format prints them; the file looks "
    "damaged there",
    "bad-return": "expected the end of the system call: '= RESULT', or what says that it goes on later; the "
    "file looks damaged there",
    "bad-mark": "expected a signal, an exit or another mark as the format prints it; the file looks damaged "
    "there",
}
"""What is wrong with a line that cannot be read, for a reader: what was expected and what to do."""


_ERROR_NUMBERS = {name.encode(): number for number, name in errno.errorcode.items()}
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1
_KERNEL_ONLY = 512  # ERESTARTSYS and the others that no program sees


def returned_value(number: bytes, error: bytes | None) -> int:
    """Return what a system call returned, errors as the kernel returns them.

    Raises
    ------
    ValueError
        `number` is none.
    """
    if error is not None:
        return -_ERROR_NUMBERS.get(error, _KERNEL_ONLY)
    return int(number, 0)


def number_of(text: bytes) -> int:
    """Return a number as it is printed: decimal, hexadecimal with 0x, or NULL.

    Raises
    ------
    ValueError
        It is none, or has more than 64 bits.
    """
    if text == b"NULL":
        return 0
    value = int(text, 0)
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError(text)
    return value


def converter_of(call: Call, argument: str) -> Callable[[bytes], int]:
    """Return what turns the text of an argument into its number; it raises ValueError if it cannot."""
    flags = FLAGS_OF.get(call.name, {}).get(argument)
    return number_of if flags is None else flags.value


def unknown_names(call: Call, texts: Sequence[bytes]) -> tuple[str, ...]:
    """Return the flags in `texts`, the arguments of a call, that are in no table, after their conversion."""
    found: tuple[str, ...] = ()
    for flags in _FLAGS_OF.get(call.name, ()):
        if flags.unknown:
            found += tuple(name for text in texts for name in flags.unknown.get(text, ()))
    return found
