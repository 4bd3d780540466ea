"""Flags that are printed by name have the value of the number that the kernel takes."""

import mmap

import pytest

from anonvma_trace.parsers.flag_names import CLONE, MADVISE, MAP, MREMAP, PROT


@pytest.mark.parametrize(
    ("names", "text", "value"),
    [
        (PROT, b"PROT_READ|PROT_WRITE", 3),
        (PROT, b"READ|WRITE", 3),  # perf trace
        (PROT, b"PROT_NONE", 0),
        (PROT, b"0x5", 5),  # strace -X raw
        (PROT, b"0x3 /* PROT_READ|PROT_WRITE */", 3),  # strace -X verbose
        (PROT, b"0 /* PROT_NONE */", 0),
        (MAP, b"MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS", 0x32),
        (MAP, b"PRIVATE|FIXED|DENYWRITE", 0x812),
        (MAP, b"MAP_PRIVATE|MAP_ANONYMOUS|0x8000000", 0x8000022),
        (MAP, b"MAP_PRIVATE|MAP_HUGETLB|21<<MAP_HUGE_SHIFT", 0x2 | 0x40000 | 21 << 26),
        (MREMAP, b"MREMAP_MAYMOVE|MREMAP_DONTUNMAP", 5),
        (MADVISE, b"MADV_DONTNEED", 4),
        (MADVISE, b"0x270f /* MADV_??? */", 0x270F),
        (CLONE, b"CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD", 0x1200000),
        (CLONE, b"CHILD_CLEARTID|CHILD_SETTID|0x11", 0x1200011),
        (CLONE, b"0x1200000 /* CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID */|17 /* SIGCHLD */", 0x1200011),
    ],
)
def test_all_ways_to_print_a_flag_have_its_value(names, text, value):
    assert names.value(text) == value
    assert text not in names.unknown


def test_values_are_those_of_this_system():
    known = {
        name: value
        for name, value in vars(mmap).items()
        if name.startswith(("PROT_", "MAP_", "MADV_")) and name not in ("MAP_DENYWRITE", "MAP_EXECUTABLE")
    }
    tables = {"PROT": PROT, "MAP": MAP, "MADV": MADVISE}
    assert len(known) > 20
    for name, value in known.items():
        assert tables[name.partition("_")[0]].value(name.encode()) == value, name


def test_an_unknown_name_counts_as_nothing_and_is_told():
    assert MAP.value(b"MAP_PRIVATE|MAP_NOVEL") == 2
    assert MAP.unknown[b"MAP_PRIVATE|MAP_NOVEL"] == ("MAP_NOVEL",)
    assert MADVISE.value(b"MADV_NOVEL") == 0xFFFFFFFF  # 0 would be MADV_NORMAL, which splits vmas


@pytest.mark.parametrize("text", [b"", b"PROT_READ|", b"PROT_RE@D", b"0x", b"prot_read", b"1" * 30])
def test_what_is_no_flag_is_refused(text):
    with pytest.raises(ValueError):
        PROT.value(text)
