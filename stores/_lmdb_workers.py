"""Which worker processes live: each registered worker holds a lock on a file of its own, and the kernel lets go of it.

POSIX record locks, because they belong to the process: a fork does not inherit them, and a process that ends in any way
gives them up at that moment. They have one trap: closing *any* descriptor of a file drops the process's locks on it. So
a process never opens the files of its own workers a second time, and there is one `WorkerLocks` for a directory.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

__all__ = ["WorkerLocks"]

# Somebody's glance at the lock (`alive`) takes microseconds and may come between.
_TRIES = 20
_PAUSE_S = 0.001


class WorkerLocks:
    """The lock files of one store directory, as this process sees them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[int, int] = {}

    def holds(self, number: int) -> bool:
        """Whether the worker is registered by this process."""
        return number in self._held

    def hold(self, number: int) -> bool:
        """Lock the worker's file until `drop` or the end of the process; False if another process holds it."""
        if self.holds(number):
            return True
        descriptor = os.open(self._file(number), os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(_TRIES):
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # POSIX allows either
                time.sleep(_PAUSE_S)
            else:
                self._held[number] = descriptor
                return True
        os.close(descriptor)
        return False

    def drop(self, number: int) -> None:
        """Remove the worker's file and its lock, whoever made it."""
        self._file(number).unlink(missing_ok=True)
        if (descriptor := self._held.pop(number, None)) is not None:
            os.close(descriptor)

    def alive(self, number: int) -> bool | None:
        """Whether the process of a registered worker lives; None if the worker is not registered."""
        if self.holds(number):
            return True
        try:
            descriptor = os.open(self._file(number), os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            # Shared, so that two that look at the same moment do not take each other for the owner.
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        finally:
            os.close(descriptor)
        return False

    def abandon(self) -> None:
        """Forget the locks in a forked child: they are its parent's."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def close(self) -> None:
        """Let go of all locks: the workers count as dead."""
        for number in list(self._held):
            self.drop(number)

    def _file(self, number: int) -> Path:
        return self._directory / str(number)
