"""Keeps one thread from being heard: what a workflow prints and logs while it is replayed must not spill into the page.

Other threads print and log as ever, so that a worker beside it in the same process loses nothing.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

__all__ = ["quiet"]

# Streams are put in place and taken away again in pairs, like parentheses: by one thread at a time.
_lock = threading.RLock()


@contextmanager
def quiet() -> Generator[None]:
    """Drop what this thread writes to stdout and stderr, and what it logs, until the block ends."""
    with _lock:
        thread = threading.get_ident()
        out, err = _Muted(sys.stdout, thread), _Muted(sys.stderr, thread)
        silence = _Silence(thread)
        handlers = _handlers()
        sys.stdout, sys.stderr = out, err
        for handler in handlers:
            handler.addFilter(silence)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(silence)
            if sys.stdout is out:  # else somebody has put his own in place
                sys.stdout = out.stream
            if sys.stderr is err:
                sys.stderr = err.stream


def _handlers() -> list[logging.Handler]:
    """Return all handlers that a logger may reach."""
    loggers = [logging.root, *logging.root.manager.loggerDict.copy().values()]
    found = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
    return [*found, *([logging.lastResort] if logging.lastResort is not None else ())]


class _Silence(logging.Filter):
    """Lets no line of one thread pass."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return threading.get_ident() != self._thread


class _Muted(io.TextIOBase):
    """A stream that takes what one thread writes to nowhere, and is the stream below to all others."""

    def __init__(self, stream: Any, thread: int) -> None:
        self.stream = stream
        self._thread = thread

    @property
    def _is_heard(self) -> bool:
        return self.stream is not None and threading.get_ident() != self._thread

    def write(self, text: str) -> int:
        return self.stream.write(text) if self._is_heard else len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # typeshed's is of bytes, too
        if self._is_heard:
            self.stream.writelines(lines)

    def flush(self) -> None:
        if self._is_heard:
            self.stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_heard and self.stream.isatty()

    def fileno(self) -> int:
        return int(self.stream.fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def buffer(self) -> Any:
        return self.stream.buffer if self._is_heard else io.BytesIO()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __del__(self) -> None:
        """Leave the stream below open, which closing this one would not."""
