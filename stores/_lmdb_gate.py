"""A gate for the transactions of one process: many may be inside, and now and then nobody."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Gate"]


class Gate:
    """`with gate:` around each transaction; `with gate.alone():` where there must be none.

    LMDB cuts off the open transactions of a process that changes the size of its map or forks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # used as it is where nobody waits: a Condition adds calls of its own
        self._moved = threading.Condition(self._lock)
        self._inside = 0
        self._barred = False

    def __enter__(self) -> None:
        with self._lock:
            while self._barred:
                self._moved.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._barred:
                self._moved.notify_all()

    def bar(self) -> None:
        """Let nobody in, and wait until nobody is inside."""
        with self._moved:
            while self._barred:
                self._moved.wait()
            self._barred = True
            while self._inside:
                self._moved.wait()

    def unbar(self) -> None:
        """Let everybody in again."""
        with self._moved:
            self._barred = False
            self._moved.notify_all()

    @contextmanager
    def alone(self) -> Generator[None]:
        """Have nobody inside."""
        self.bar()
        try:
            yield
        finally:
            self.unbar()
