"""Two lists of commands, aligned. Pure.

The ends are compared one by one; what is left in the middle by the greedy algorithm of Myers (1986, "An O(ND)
difference algorithm and its variations"), whose cost grows with the number of differences and not with the length. Its
work is bounded: lists that have next to nothing in common are aligned by position.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeAlias

__all__ = ["Match", "aligned"]

Match: TypeAlias = tuple[int | None, int | None]
"""Positions in both lists; None where one has nothing that fits."""

# Differences up to which the shortest alignment is looked for: the work grows with their square (0.1 s).
_MOST_EDITS = 400


def aligned(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Match]:
    """Align two lists: equal items with each other, in order; of what is left, those of `a` first.

    Args:
        a: What identifies each item of one list.
        b: The same of the other one.
    """
    begin = 0
    while begin < min(len(a), len(b)) and a[begin] == b[begin]:
        begin += 1
    end = 0
    while end < min(len(a), len(b)) - begin and a[-1 - end] == b[-1 - end]:
        end += 1
    left, right = a[begin : len(a) - end], b[begin : len(b) - end]
    matches: list[Match] = [(at, at) for at in range(begin)]
    for one, other in _middle(left, right):
        matches.append((None if one is None else one + begin, None if other is None else other + begin))
    matches += [(len(a) - at, len(b) - at) for at in range(end, 0, -1)]
    return matches


def _middle(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[Match]:
    """Align what is left between the equal ends."""
    equal = iter(_equal(a, b)) if a and b else iter(())
    x = y = 0
    for one, other in (*equal, (len(a), len(b))):
        yield from ((at, None) for at in range(x, one))
        yield from ((None, at) for at in range(y, other))
        if one < len(a) and other < len(b):
            yield one, other
        x, y = one + 1, other + 1


def _equal(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the positions of equal items in the shortest script of edits."""
    if not set(a) & set(b):
        return []
    furthest = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(len(a) + len(b), _MOST_EDITS) + 1):
        trail.append(dict(furthest))
        for diagonal in range(-edits, edits + 1, 2):
            x = _reached(furthest, diagonal, edits)
            while x < len(a) and 0 <= x - diagonal < len(b) and a[x] == b[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            if x >= len(a) and x - diagonal >= len(b):
                return _walked_back(a, b, trail)
    return [(at, at) for at in range(min(len(a), len(b))) if a[at] == b[at]]


def _reached(furthest: dict[int, int], diagonal: int, edits: int) -> int:
    """Return where a diagonal is entered: from the one above or the one below, whichever got further."""
    above, below = furthest.get(diagonal + 1, -1), furthest.get(diagonal - 1, -1)
    return above if diagonal == -edits or (diagonal != edits and below < above) else below + 1


def _walked_back(
    a: Sequence[Hashable], b: Sequence[Hashable], trail: Sequence[dict[int, int]]
) -> list[tuple[int, int]]:
    equal: list[tuple[int, int]] = []
    x, y = len(a), len(b)
    for edits in range(len(trail) - 1, -1, -1):
        furthest = trail[edits]
        diagonal = x - y
        begin = _reached(furthest, diagonal, edits)
        while x > begin and y > 0 and x > 0:
            x, y = x - 1, y - 1
            equal.append((x, y))
        if edits:
            above = diagonal == -edits or (
                diagonal != edits and furthest.get(diagonal - 1, -1) < furthest.get(diagonal + 1, -1)
            )
            diagonal = diagonal + 1 if above else diagonal - 1
            x = furthest[diagonal]
            y = x - diagonal
    return equal[::-1]
