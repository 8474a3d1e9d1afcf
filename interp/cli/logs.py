"""What the library logs while a command owns a worker, on stderr and for people."""

from __future__ import annotations

import logging

from interp.cli.output import note

__all__ = ["LEVELS", "level_of", "log_to_stderr"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""The levels that can be chosen on the command line."""


def level_of(name: str | None) -> int | None:
    """Return the number of a level; None for none."""
    return None if name is None else logging.getLevelNamesMapping()[name.upper()]


class _Notes(logging.Handler):
    """Writes messages without tracebacks; one that repeats the one before is left out."""

    _last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        message = record.getMessage()
        if message != self._last:
            self._last = message
            note(message)


def log_to_stderr(most: int = logging.CRITICAL) -> None:
    """Show warnings of the library, up to a level: what ends the command, it reports itself."""
    handler = _Notes(logging.WARNING)
    handler.addFilter(lambda record: record.levelno <= most)
    logger = logging.getLogger("interp")
    logger.handlers = [handler]
    logger.propagate = False
