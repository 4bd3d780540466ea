"""How bpftrace scripts name the kernel's events and their fields.

Two scripts are known. The one that `anonvma-trace record --print-bpftrace` prints has the kernel's names; an
older one has its own. A script of somebody else is read if it prints as one of them does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .native_events import SYSCALLS, TRACEPOINTS, Form, kind_of


@dataclass(frozen=True)
class Printed:
    """An event as a script prints it.

    Attributes
    ----------
    kind : int
        Of `native_events.NativeTables`.
    slots : dict of bytes to int
        Field -> slot of its number; other fields are passed over.
    required : frozenset of bytes
        Fields without which a line cannot be used.
    text : bytes
        Field that is the event's text; empty for none.
    own_tid : bool
        Slot 0 is the thread itself, which the task columns tell.
    """

    kind: int
    slots: dict[bytes, int]
    required: frozenset[bytes]
    text: bytes = b""
    own_tid: bool = False


@cache
def events_by_kernel_names() -> dict[bytes, Printed]:
    """Return the events of the script that this package ships, by name."""
    events = {}
    for tracepoint in TRACEPOINTS:
        numbers = [field for field in tracepoint.fields if field.form < Form.TEXT]
        if not tracepoint.fields:
            continue  # makes no row
        texts = [field.name.encode() for field in tracepoint.fields if field.form == Form.TEXT]
        events[tracepoint.name.encode()] = Printed(
            kind_of(tracepoint.name),
            {field.name.encode(): slot for slot, field in enumerate(numbers)},
            frozenset(field.name.encode() for field in numbers if field.required),
            texts[0] if texts else b"",
        )
    for call in SYSCALLS:
        names = [name.encode() for name in call.arguments]
        slots = {name: slot for slot, name in enumerate(names)}
        for name in (f"sys_enter_{call.name}", f"sys_exit_{call.name}"):
            enters = name.startswith("sys_enter_")
            printed = Printed(
                kind_of(name),
                slots if enters else {b"ret": 0},
                frozenset(names) if enters else frozenset((b"ret",)),
            )
            # A probe that serves several events prints its own full name.
            events[name.encode()] = events[b"tracepoint:syscalls:" + name.encode()] = printed
    return events


@cache
def events_by_short_names() -> dict[bytes, Printed]:
    """Return the events of the older script, by name."""
    fault = ({b"addr": 0, b"err": 1}, frozenset((b"addr", b"err")))
    newtask = {b"child": 0, b"flags": 1}
    events = {
        b"fault": Printed(kind_of("page_fault_user"), *fault),
        b"faultk": Printed(kind_of("page_fault_kernel"), *fault),
        b"newtask": Printed(kind_of("task_newtask"), newtask, frozenset(newtask)),
        b"exec": Printed(
            kind_of("sched_process_exec"), {b"old_tid": 1}, frozenset((b"old_tid",)), b"file", own_tid=True
        ),
        b"exit": Printed(kind_of("sched_process_exit"), {}, frozenset(), own_tid=True),
    }
    other_names = {b"mprotect": {b"start": b"addr"}}
    other_names[b"madvise"] = {b"start": b"addr", b"len_in": b"len", b"behavior": b"advice"}
    for call in ("mmap", "munmap", "mprotect", "mremap", "brk", "madvise"):
        short = call.encode()
        renamed = other_names.get(short, {})
        enter = events_by_kernel_names()[b"sys_enter_" + short]
        slots = {renamed.get(name, name): slot for name, slot in enter.slots.items()}
        events[short + b"_enter"] = Printed(enter.kind, slots, frozenset(slots))
        events[short + b"_exit"] = events_by_kernel_names()[b"sys_exit_" + short]
    return events


TASK_FIELDS = frozenset((b"pid", b"old_pid", b"child_pid", b"child", b"old_tid"))
"""Fields that name a task."""
