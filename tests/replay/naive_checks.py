"""The invariants of the replay, checked by brute force over the whole state of the slow model."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest

from .naive_objects import FilePage, Page, PresentPte, SwapPte


def holds_anon_page(pte):
    """Whether a pte maps an anonymous page (not the zero page, not a file's)."""
    return isinstance(pte, PresentPte) and isinstance(pte.page, Page)


def anon_ptes(replay):
    """Yield (mm, page number, page) of every pte that holds an anonymous page."""
    for mm in replay.mms:
        for vpn, pte in mm.ptes.items():
            if holds_anon_page(pte):
                yield mm, vpn, pte.page


def unreachable_pages(replay):
    """Return the anonymous pages that have a mapping which no walk can find."""
    return {page for mm, vpn, page in anon_ptes(replay) if not replay.is_reachable(mm, vpn, page)}


def findings(replay):
    """Return the broken invariants that the patch as posted allows.

    They begin with a merge that gives a range with an anon_vma to a vma without one. Such a vma passes for
    never written, so that moving it resets its pgoff: then not even the index of its pages is right (I11).
    """
    found = []
    for mm, vpn, page in anon_ptes(replay):
        if not replay.is_reachable(mm, vpn, page):
            found.append(f"I1 page {page.id} is not found at pid {mm.owner.pid} page {vpn}")
        v = mm.vma_at(vpn)
        if v and replay.index_at(v, vpn) != page.index:
            found.append(
                f"I11 page {page.id} has index {page.index}, vma {v.id} gives {replay.index_at(v, vpn)}"
            )
    for page in replay.pages.values():
        if page.mapping and page.mapping.freed:
            found.append(f"I4 page {page.id} dangles from freed anon_vma {page.mapping.id}")
    for mm in replay.mms:
        for vpn, pte in mm.ptes.items():
            v = mm.vma_at(vpn)
            if v and not replay.may_hold_anon(v) and (isinstance(pte, SwapPte) or holds_anon_page(pte)):
                found.append(f"I7 vma of pid {mm.owner.pid} at {v.start} holds {vpn} but has no anon_vma")
    return found


def violations(replay):
    """Return the broken invariants that no defect of the patch explains."""
    broken = []
    if "merge_pre_rmap39" not in replay.rules and not replay.may_lose_pages():
        broken += [f"{text}, though no merge lost an anon_vma" for text in findings(replay)]
    for check in (
        _check_mapcounts,
        type(replay).check_lists,
        _check_unmapped_pages,
        _check_layout,
        _check_copies,
        _check_files,
        _check_slots,
        _check_lru,
        _check_figures,
    ):
        broken += check(replay)
    return broken


def _check_mapcounts(replay):
    ptes = Counter()
    for mm in replay.mms:
        present = [pte for pte in mm.ptes.values() if isinstance(pte, PresentPte)]
        ptes.update(pte.page for pte in present)
        if mm.rss != len(present):
            yield f"I2 rss of pid {mm.owner.pid} is {mm.rss}, ptes {len(present)}"
    for page in {*replay.pages.values(), *replay.file_pages.values(), *ptes}:
        if page.mapcount != ptes[page]:
            yield f"I2 mapcount of page {vars(page)} is {page.mapcount}, ptes {ptes[page]}"


def check_anon_vma_lists(replay):
    """Yield what is wrong with the lists of anon_vmas, each vma on one of them."""
    live = [v for mm in replay.mms for v in mm.vmas]
    for v in live:
        if v.anon_vma and (v.anon_vma.freed or v.anon_vma.list.count(v) != 1):
            yield f"I3 vma {v.id} is not once on the list of anon_vma {v.anon_vma.id}"
    for anon_vma in replay.anon_vmas:
        if anon_vma.freed == bool(anon_vma.list):
            yield f"I3 anon_vma {anon_vma.id}: freed {anon_vma.freed}, list of {len(anon_vma.list)}"
        for v in anon_vma.list:
            if v not in live or v.anon_vma is not anon_vma:
                yield f"I3 anon_vma {anon_vma.id} lists vma {v.id}, which is gone or not its own"


def _check_unmapped_pages(replay):
    for page in replay.pages.values():
        if page.mapcount == 0 and (page.anon or page.mapping):
            yield f"I4 page {page.id} is unmapped but has a mapping"
        if page.mapcount == 0 and page.slot is None:
            yield f"I4 page {page.id} is neither mapped nor cached"


def _check_layout(replay):
    for mm in replay.mms:
        for v, following in zip_longest(mm.vmas, mm.vmas[1:]):
            if v.mm is not mm or v.start >= v.end or (following and v.end > following.start):
                yield f"I5 vma {v.id} of pid {mm.owner.pid} [{v.start}, {v.end}) is empty or overlaps"
            pgoff_means = v.file is not None or not replay.merges_like_before
            if pgoff_means and v.pgoff - v.start != v.slide:
                yield f"I6 vma {v.id} was made with pgoff - start = {v.slide}, now {v.pgoff - v.start}"
        for vpn in mm.ptes:
            if mm.vma_at(vpn) is None:
                yield f"I5 a pte at pid {mm.owner.pid} page {vpn} lies outside every vma"


def _check_copies(replay):
    holders = Counter()
    for mm, _, page in anon_ptes(replay):
        holders[mm.id, page.id] += 1
    for (mm_id, page_id), n in holders.items():
        if n > 1:
            yield f"I8 mm {mm_id} maps page {page_id} {n} times"


def _check_files(replay):
    for mm in replay.mms:
        for v in mm.vmas:
            if "SHARED" in v.flags and v.anon_vma:
                yield f"I9 shared vma {v.id} has anon_vma {v.anon_vma.id}"
        for vpn, pte in mm.ptes.items():
            v = mm.vma_at(vpn)
            if isinstance(pte, PresentPte) and isinstance(pte.page, FilePage):
                if v and (v.file, v.index_of(vpn)) != (pte.page.file, pte.page.pgoff):
                    yield f"I9 pid {mm.owner.pid} page {vpn} holds a page of another file or offset"
            elif v and "SHARED" in v.flags:
                yield f"I9 pid {mm.owner.pid} page {vpn} is not a file's page in a shared vma"


def _check_slots(replay):
    named = Counter(pte.slot for mm in replay.mms for pte in mm.ptes.values() if isinstance(pte, SwapPte))
    for slot in {*replay.slots.values(), *named}:
        if slot.map != named[slot] + (slot.cache is not None) or slot.map == 0:
            yield f"I10 slot {slot.id} has map {slot.map}, {named[slot]} ptes, cache {slot.cache}"
        if slot.cache is not None and slot.cache.slot is not slot:
            yield f"I10 slot {slot.id} caches a page that is not in it"


def _check_lru(replay):
    """Not of the specification: each page is on the list that its active flag names, once."""
    for pages, active in ((replay.active, True), (replay.inactive, False)):
        for page in pages:
            if page.active != active or page.freed or pages.count(page) != 1:
                yield f"LRU page {page.id} is on the wrong list"
    if len(replay.active) + len(replay.inactive) != len(replay.pages):
        yield "LRU does not hold every page"


def _check_figures(replay):
    """Not of the specification: running counts agree with a census."""
    vmas = [v for mm in replay.mms for v in mm.vmas]
    if len(vmas) != replay.counts["vmas_live"]:
        yield f"figures: {replay.counts['vmas_live']} vmas counted, {len(vmas)} there"
    ptes = Counter((page.mapping.id, mm.owner) for mm, _, page in anon_ptes(replay) if page.mapping)
    members = Counter(
        (anon_vma.id, mm.owner) for anon_vma in replay.anon_vmas for mm in replay.mms_of(anon_vma)
    )
    for anon_vma in replay.anon_vmas:
        mapped = sum(page.mapping is anon_vma for page in replay.pages.values())
        if anon_vma.n_pages != mapped:
            yield f"figures: anon_vma {anon_vma.id} counts {anon_vma.n_pages} pages, has {mapped}"
        for counted, census in ((anon_vma.ptes_of, ptes), (anon_vma.vmas_of, members)):
            for process, n in counted.items():
                if n != census[anon_vma.id, process]:
                    yield f"figures: anon_vma {anon_vma.id} counts {n} in pid {process.pid}"
