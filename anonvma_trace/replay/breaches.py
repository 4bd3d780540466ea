"""Noting a breach, that is, an invariant found broken, for Python to put into words."""

from __future__ import annotations

from .compiled import kernel

BREACH_FIELDS = ("code", "key", "other", "proc", "vpn", "a", "b")
BREACH_WIDTH = len(BREACH_FIELDS)


@kernel
def tell(c, code, key, other, proc, vpn, a, b):
    """Note a breach in the census as a row of BREACH_FIELDS; one that finds no room is only counted.

    Parameters
    ----------
    code : int64
        Index into `invariants.BREACHES`, which says what the others are.
    key, other, proc, vpn, a, b : int64
        `proc` is a row of `proc`, 0 for none; `vpn` is a page number.
    """
    check = c.check[0]
    if check.n_breaches < check.room:
        at = check.n_breaches * BREACH_WIDTH
        breaches = c.breaches
        breaches[at] = code
        breaches[at + 1] = key
        breaches[at + 2] = other
        breaches[at + 3] = proc
        breaches[at + 4] = vpn
        breaches[at + 5] = a
        breaches[at + 6] = b
    check.n_breaches += 1


@kernel
def compare(c, code, key, counted, found):
    """Note a running count that differs from what a recount found."""
    if counted != found:
        tell(c, code, key, 0, 0, 0, counted, found)
