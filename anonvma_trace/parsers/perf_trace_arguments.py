"""The arguments of system calls as perf trace prints them: by name, those that are 0 not at all."""

from __future__ import annotations

from .printed_calls import CALLS, Call, converter_of, unknown_names

# What a call prints beside the arguments that are needed.
_NOT_NEEDED = {
    "mremap": {b"new_addr"},
    "pkey_mprotect": {b"pkey"},
    "mlock2": {b"flags"},
    "shmat": {b"shmaddr"},
    "shmget": {b"key", b"shmflg"},
    "remap_file_pages": {b"prot", b"flags"},
    "clone": {b"newsp", b"parent_tidptr", b"child_tidptr", b"tls"},
}
_OTHER_NAMES = {"len_in": b"len", "clone_flags": b"flags"}  # on other kernels
_NO_DESCRIPTOR = -1
_NO_NAME = b"UNKNOWN"  # in place of a flag that perf has no name for


def _names(call: Call) -> dict[bytes, str]:
    """Return the argument that each name of a call stands for."""
    names = {name.encode(): name for name in call.arguments}
    return names | {_OTHER_NAMES[name]: name for name in call.arguments if name in _OTHER_NAMES}


_NAMES = {call.name: _names(call) for call in CALLS.values()}


def read_arguments(call: Call, text: bytes) -> tuple[list[int], tuple[str, ...]]:
    """Read the arguments of a call; those that are not printed are 0, a descriptor -1.

    Returns
    -------
    numbers : list of int
        In the order of `Call.arguments`.
    unknown : tuple of str
        Names among its flags that are in no table; ``UNKNOWN`` where perf has none either.

    Raises
    ------
    ValueError
        It is not what perf trace prints.
    """
    if not call.arguments:
        return [], ()
    numbers = dict.fromkeys(call.arguments, 0)
    if "fd" in numbers:
        numbers["fd"] = _NO_DESCRIPTOR
    texts = []
    for part in text.split(b", ") if text else ():
        name, colon, value = part.partition(b": ")
        argument = _NAMES[call.name].get(name)
        if argument is not None and colon:
            numbers[argument] = converter_of(call, argument)(value or _NO_NAME)
            texts.append(value or _NO_NAME)
        elif not colon or name not in _NOT_NEEDED.get(call.name, ()):
            raise ValueError(part)
    return list(numbers.values()), unknown_names(call, texts)
