"""Counts of a long walk without visiting every vma: an index of one anon_vma's list, for many walks in a row.

A walk visits the list head first until it has found as many ptes of the page as its mapcount says. So the number of
vmas visited is the place of the last mapper, and what the vmas before it missed by can be counted beforehand. The
index holds

* for each page index ("column") the vmas that cover it, by place in the list, and two sets of bits over them: those
  whose pte there is a swap entry, and those whose pte is anything else but none,
* for each page its mappers, by place,
* how many vmas before each place have no present pte at all (rss 0): they are passed over, and stand in no column.

It is made once walks of one anon_vma, with no other event in between, have visited as many vmas as making it costs,
and goes with the next event that is not a walk. Walks bring it up to date themselves.

Words of `s.index`: vmas by place; vmas without rss before each place, and at the end; where each column begins in the
places, and its bits in the bits, and where they end; a cursor for each column while it is filled; places; swap bits;
other bits; first mapper by row of the page; mappers (rank in its column, place in `pt`, column, next).
"""

from __future__ import annotations

from ..compiled import kernel
from ..layout import NULL, PTE_PRESENT, PTE_SHIFT, PTE_SWAP
from ..page_table import find_pte, next_pte

SHORTEST = 32  # vmas of a list worth an index: `glob.index_shortest`
PATIENCE = 16  # walks of the whole list before the price of an index is asked for: `glob.index_patience`; 0: it is free
MOST_WORDS = 1 << 24  # 128 MiB
NEVER, UNKNOWN = 1 << 62, -1  # as prices
_MAPPER = 4  # words
_WORD = 32  # bits in use of a word: sums of two never meet the sign


@kernel
def forget_index(s):
    """Drop index and plans: the event about to be replayed may change what they rest on."""
    glob = s.glob[0]
    glob.index_anon_vma = NULL
    glob.index_wanted = NULL
    glob.index_need = 0


@kernel
def drop_index(s):
    """Drop the index, which a walk of another kind has passed by; it may be worth its price once more."""
    glob = s.glob[0]
    glob.index_anon_vma = NULL
    glob.index_credit = 0
    glob.index_need = 0


@kernel
def note_plain_walk(s, anon_vma, visited):
    """Count what a walk of a live anon_vma visited, and plan for an index when that would have been cheaper."""
    glob = s.glob[0]
    n_vmas = s.rmap.anon_vma[anon_vma].n_vmas
    if n_vmas < glob.index_shortest:
        return
    if glob.index_wanted != anon_vma:
        glob.index_wanted = anon_vma
        glob.index_credit = 0
        glob.index_price = UNKNOWN
        glob.index_need = 0
    glob.index_credit += visited
    if glob.index_price == UNKNOWN and glob.index_credit >= glob.index_patience * n_vmas:
        _ask_price(s, anon_vma)
    if glob.index_price != UNKNOWN and glob.index_credit >= glob.index_price:
        glob.index_need = glob.index_words


@kernel
def index_is_ready(s, anon_vma):
    """Return whether there is an index of this anon_vma; it is made now if it is due and there is room."""
    glob = s.glob[0]
    if glob.index_anon_vma == anon_vma:
        return True
    if glob.index_wanted != anon_vma or glob.index_need == 0 or glob.index_need > glob.index_cap:
        return False
    _make_index(s, anon_vma)
    return True


@kernel
def _ask_price(s, anon_vma):
    """Work out which columns an index would have, how many words it takes, and how many visits it is worth."""
    glob = s.glob[0]
    low, high, n_ptes = NEVER, -1, 0
    vma = s.rmap.anon_vma[anon_vma].head
    while vma != NULL:
        v = s.vma[vma]
        if s.mm[v.mm].rss != 0:
            vpn = next_pte(s, v.mm, v.start, v.end)
            while vpn < v.end:
                low = min(low, v.pgoff + (vpn - v.start))
                high = max(high, v.pgoff + (vpn - v.start))
                n_ptes += 1
                vpn = next_pte(s, v.mm, vpn + 1, v.end)
        vma = v.anon_next
    glob.index_price = NEVER
    if high < low or high - low >= MOST_WORDS:
        return
    n_covers = 0
    vma = s.rmap.anon_vma[anon_vma].head
    while vma != NULL:
        v = s.vma[vma]
        if s.mm[v.mm].rss != 0:
            n_covers += max(0, min(v.pgoff + (v.end - v.start), high + 1) - max(v.pgoff, low))
        vma = v.anon_next
    n_vmas = s.rmap.anon_vma[anon_vma].n_vmas
    n_columns = high - low + 1
    bits = n_covers // _WORD + n_columns
    words = 2 * n_vmas + 3 * n_columns + 3 + n_covers + 2 * bits + glob.page_top + _MAPPER * n_ptes
    if words > MOST_WORDS:
        return
    glob.index_wanted_low = low
    glob.index_wanted_columns = n_columns
    glob.index_words = words
    glob.index_price = 2 * n_covers + n_ptes + n_vmas if glob.index_patience > 0 else 0


@kernel
def _make_index(s, anon_vma):
    glob = s.glob[0]
    n_vmas = s.rmap.anon_vma[anon_vma].n_vmas
    low, n_columns = glob.index_wanted_low, glob.index_wanted_columns
    glob.index_low, glob.index_columns = low, n_columns
    words = s.index
    glob.index_no_rss = n_vmas
    glob.index_column = glob.index_no_rss + n_vmas + 1
    glob.index_bits = glob.index_column + n_columns + 1
    glob.index_cursor = glob.index_bits + n_columns + 1
    glob.index_places = glob.index_cursor + n_columns
    for at in range(glob.index_column, glob.index_places):
        words[at] = 0

    tail, place, no_rss = NULL, 0, 0
    vma = s.rmap.anon_vma[anon_vma].head
    while vma != NULL:  # vmas by place; how many cover each column
        v = s.vma[vma]
        words[place] = vma
        words[glob.index_no_rss + place] = no_rss
        if s.mm[v.mm].rss == 0:
            no_rss += 1
        else:
            for column in range(max(v.pgoff - low, 0), min(v.pgoff + (v.end - v.start) - low, n_columns)):
                words[glob.index_column + column + 1] += 1
        place += 1
        tail = vma
        vma = v.anon_next
    words[glob.index_no_rss + place] = no_rss
    for column in range(n_columns):  # where each column and its bits begin
        covers = words[glob.index_column + column + 1]
        words[glob.index_column + column + 1] += words[glob.index_column + column]
        words[glob.index_cursor + column] = words[glob.index_column + column + 1]
        words[glob.index_bits + column + 1] = words[glob.index_bits + column] + (covers + _WORD - 1) // _WORD
    glob.index_swap = glob.index_places + words[glob.index_column + n_columns]
    glob.index_other = glob.index_swap + words[glob.index_bits + n_columns]
    glob.index_first = glob.index_other + words[glob.index_bits + n_columns]
    glob.index_mappers = glob.index_first + glob.page_top
    for at in range(glob.index_swap, glob.index_mappers):
        words[at] = 0

    # Tail first: columns fill from their ends, and the first mapper of a page comes to be the one entered last.
    glob.index_n_mappers = 0
    place = n_vmas - 1
    vma = tail
    while vma != NULL:
        v = s.vma[vma]
        if s.mm[v.mm].rss != 0:
            for column in range(max(v.pgoff - low, 0), min(v.pgoff + (v.end - v.start) - low, n_columns)):
                _enter(s, v.mm, v.start + (column + low - v.pgoff), column, place)
        place -= 1
        vma = v.anon_prev
    glob.index_anon_vma = anon_vma


@kernel
def _enter(s, mm, vpn, column, place):
    """Put the vma at `place`, which covers `column` at `vpn`, at the front of what the column holds so far."""
    glob = s.glob[0]
    words = s.index
    words[glob.index_cursor + column] -= 1
    at = words[glob.index_cursor + column]
    words[at + glob.index_places] = place
    pte_at = find_pte(s, mm, vpn)
    pte = s.pt[pte_at] if pte_at != 0 else 0
    if pte == 0:
        return
    rank = at - words[glob.index_column + column]
    bits = glob.index_swap if pte & PTE_SWAP else glob.index_other
    _flip(s, bits + words[glob.index_bits + column], rank)
    if pte & PTE_PRESENT:
        page = pte >> PTE_SHIFT
        mapper = glob.index_mappers + _MAPPER * glob.index_n_mappers
        glob.index_n_mappers += 1
        words[mapper] = rank
        words[mapper + 1] = pte_at
        words[mapper + 2] = column
        words[mapper + 3] = words[glob.index_first + page]
        words[glob.index_first + page] = mapper


@kernel
def _flip(s, bits, rank):
    s.index[bits + rank // _WORD] ^= 1 << (rank % _WORD)


@kernel
def column_of(s, index):
    """Return the column of a page index, or -1 if the index has none."""
    glob = s.glob[0]
    column = index - glob.index_low
    return column if column >= 0 and column < glob.index_columns else -1


@kernel
def first_mapper(s, page, column):
    """Return the first mapper of a page in this column, or NULL."""
    return _in_column(s, s.index[s.glob[0].index_first + page], column)


@kernel
def next_mapper(s, mapper):
    """Return the mapper of the same page and column behind this one, or NULL."""
    return _in_column(s, s.index[mapper + 3], s.index[mapper + 2])


@kernel
def _in_column(s, mapper, column):
    while mapper != NULL and s.index[mapper + 2] != column:
        mapper = s.index[mapper + 3]
    return mapper


@kernel
def mapper_vma(s, mapper):
    """Return the vma of a mapper."""
    column = s.index[mapper + 2]
    at = s.glob[0].index_places + s.index[s.glob[0].index_column + column] + s.index[mapper]
    return s.index[s.index[at]]


@kernel
def mapper_pte(s, mapper):
    """Return where in `pt` the pte of a mapper lies."""
    return s.index[mapper + 1]


@kernel
def mapper_unmapped(s, page, mapper):
    """Note that the pte of the page's first mapper in its column has become a swap entry."""
    glob = s.glob[0]
    column, rank = s.index[mapper + 2], s.index[mapper]
    bits = s.index[glob.index_bits + column]
    _flip(s, glob.index_other + bits, rank)
    _flip(s, glob.index_swap + bits, rank)
    if s.index[glob.index_first + page] == mapper:
        s.index[glob.index_first + page] = s.index[mapper + 3]
    else:  # an earlier one is of another column
        before = s.index[glob.index_first + page]
        while s.index[before + 3] != mapper:
            before = s.index[before + 3]
        s.index[before + 3] = s.index[mapper + 3]


@kernel
def counts_before(s, column, mapper):
    """Return what a walk meets up to a mapper, that one included; up to the end of the list with `mapper` NULL.

    Returns
    -------
    visited, no_rss, covering, swap, other : int64
        Vmas; those without rss; those that cover the column, among them those with a swap entry, and those with
        a pte of another kind, there.
    """
    glob = s.glob[0]
    words = s.index
    begin = words[glob.index_column + column]
    if mapper == NULL:
        covering = words[glob.index_column + column + 1] - begin
        visited = glob.index_no_rss  # the vmas stand before it
    else:
        covering = words[mapper] + 1
        visited = words[glob.index_places + begin + words[mapper]] + 1
    no_rss = words[glob.index_no_rss + visited]
    bits = words[glob.index_bits + column]
    swap = _bits_set(s, glob.index_swap + bits, covering)
    other = _bits_set(s, glob.index_other + bits, covering)
    return visited, no_rss, covering, swap, other


@kernel
def _bits_set(s, bits, n):
    """Return how many of the first `n` bits from a word on are set."""
    count = 0
    for at in range(bits, bits + n // _WORD):
        count += _population(s.index[at])
    rest = n % _WORD
    if rest != 0:
        count += _population(s.index[bits + n // _WORD] & ((1 << rest) - 1))
    return count


@kernel
def _population(word):
    """Return how many of the 32 bits are set."""
    word -= (word >> 1) & 0x55555555
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) >> 24) & 0xFF
