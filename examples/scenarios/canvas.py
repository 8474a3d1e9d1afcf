"""Celery's canvas: a chain is one line after the other, a group is `map_`, and a chord is the line after a group.

The body of the chord runs once, also when a member has failed: what becomes of failures is said in the group. Killed
anywhere, no member runs again whose result is recorded, and the chord's body is the last.
"""

from __future__ import annotations

from examples.scenarios import world
from interp import Workflow, activity, call, map_, workflow

__all__ = ["Unreadable", "chain", "chord", "group"]


@workflow
def chain(n: int) -> Workflow[int]:
    """(n + 1) * 2 - 3."""
    n = yield from call(add, n, 1)
    n = yield from call(multiply, n, 2)
    return (yield from call(add, n, -3))


@workflow
def group(pages: list[str]) -> Workflow[list[int]]:
    """Count the words of all pages; one that cannot be read fails the group, and stops the others."""
    return list((yield from map_(count_words, pages)))


@workflow
def chord(pages: list[str]) -> Workflow[int]:
    """Count the words of all pages that can be read, then write down the sum."""
    counts = yield from map_(count_words, pages, return_errors=True)
    return (yield from call(write_sum, [count for count in counts if isinstance(count, int)]))


class Unreadable(Exception):
    """A page without words."""


@activity
def add(a: int, b: int) -> int:
    """Return a + b."""
    world.do(f"add {a} {b}")
    return a + b


@activity
def multiply(a: int, b: int) -> int:
    """Return a * b."""
    world.do(f"multiply {a} {b}")
    return a * b


@activity(raises=Unreadable)
def count_words(page: str) -> int:
    """Count the words of a page."""
    if not page:
        raise Unreadable
    world.do(f"count {page}")
    return len(page.split())


@activity
def write_sum(counts: list[int]) -> int:
    """Add up, and write the sum down."""
    world.do(f"sum of {len(counts)} is {sum(counts)}")
    return sum(counts)
