"""Items of a stream as a command shows them: those that are there, or also those that come."""

from __future__ import annotations

from collections.abc import Iterator

from interp.runtime.streams import Tail
from interp.store import Item

__all__ = ["items_of"]

# The store rings when there is an item; the look in between is for safety.
_LOOK_S = 1.0


def items_of(tail: Tail, *, follow: bool) -> Iterator[Item]:
    """Give the items from a place on.

    Args:
        tail: The place.
        follow: Whether to wait for more until the run has ended.

    Raises:
        UnknownRun: There is no such run.
        RunParked: Nothing more will come until someone acts; only when it follows.
    """
    while True:
        items, row = tail.look()
        yield from items
        if not items:
            if not follow or tail.is_over(row):
                return
            tail.store.changed(_LOOK_S)
