"""What one thread waits for, and another one gives."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

__all__ = ["Receipt"]

T = TypeVar("T")


class Receipt(Generic[T]):
    """The answer to one request: a value or an exception, set once.

    Not `concurrent.futures.Future`, which can do more: it takes three times as long to make, and its ten objects are
    looked through by every collection of garbage while the run that was asked for is at work.
    """

    __slots__ = ("_came", "_error", "_value", "done")

    def __init__(self) -> None:
        """Begin without an answer."""
        self._came = threading.Lock()
        self._came.acquire()
        self._value: T
        self._error: BaseException | None = None
        self.done = False

    def result(self) -> T:
        """Wait for the answer; returns the value or raises the exception."""
        with self._came:
            error = self._error
        if error is None:
            return self._value
        try:
            raise error
        finally:
            del self, error  # the error holds this frame: it must not hold the error

    def set_result(self, value: T) -> None:
        """Answer with a value."""
        assert not self.done, "answered twice"
        self._value = value
        self._answered()

    def set_exception(self, error: BaseException) -> None:
        """Answer with an exception."""
        assert not self.done, "answered twice"
        self._error = error
        self._answered()

    def _answered(self) -> None:
        self.done = True
        self._came.release()
