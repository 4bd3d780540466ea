"""How long lists are: a histogram of their lengths, and the longest of all, kept up to date as they change."""

from __future__ import annotations

from ..compiled import kernel


@kernel
def length_grew(s, length):
    """Note that one list has grown to `length`."""
    glob = s.glob[0]
    s.ints[glob.lengths_base + length] += 1
    if length > 1:
        s.ints[glob.lengths_base + length - 1] -= 1
    if length > glob.longest_now:
        glob.longest_now = length


@kernel
def length_shrinks(s, length):
    """Note that one list of `length` loses a member.

    The longest can shrink by one at most: this list is then the next longest.
    """
    glob = s.glob[0]
    s.ints[glob.lengths_base + length] -= 1
    if length == glob.longest_now and s.ints[glob.lengths_base + length] == 0:
        glob.longest_now -= 1
    if length > 1:
        s.ints[glob.lengths_base + length - 1] += 1
