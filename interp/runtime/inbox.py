"""What comes in for a worker: handed in on any thread, taken by the one that gives the next turn."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Inbox"]

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue on which waiting is one thing and taking is another.

    With `queue.SimpleQueue` the thread that waits holds what came until it may use it, and another thread that takes
    meanwhile overtakes it. Here what came stays in its place until it is taken. Putting something in wakes nobody while
    nobody waits, which is most of the time under load.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._is_awaited = False
        self._ring = threading.Lock()  # taken while nobody has rung: to wait is to take it once more
        self._ring.acquire()

    def __bool__(self) -> bool:
        """Whether something is there."""
        return bool(self._items)

    def put(self, item: T) -> None:
        """Put something in, and wake the thread that waits."""
        self._items.append(item)
        if self._is_awaited:
            self._is_awaited = False
            with contextlib.suppress(RuntimeError):  # another thread has rung in this moment
                self._ring.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is there; only one thread may. A ring that comes late ends the next wait early.

        Args:
            timeout_s: How long to wait at most, in seconds.

        Returns:
            Whether something is there.
        """
        self._is_awaited = True  # before the look: who puts something in after it rings
        if not self._items and timeout_s > 0:
            self._ring.acquire(timeout=timeout_s)
        self._is_awaited = False
        return bool(self._items)

    def take(self, most: int) -> list[T]:
        """Take out what is there, in order.

        Args:
            most: How many items at most.
        """
        taken: list[T] = []
        if not self._items:
            return taken  # in a chain of calls, always
        try:
            while len(taken) < most:
                taken.append(self._items.popleft())
        except IndexError:
            pass
        return taken
