"""Captured log lines: those of workflows and activities are kept with their run, in a reserved stream.

Lines of a workflow are written with the record of the step that wrote them, those of an activity like its items. The
newest are kept: what led to a failure stands at the end.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from interp.store import Emit
from interp.streams import RESERVED, Emitted, encode_emitted

__all__ = ["LOG_TOPIC", "MOST_LINES", "Capture", "Line", "Message", "capturing", "line_of"]

LOG_TOPIC = f"{RESERVED}log"

MOST_LINES = 1_000
"""How many lines of a run are kept, the newest."""

# Longer lines are cut: a dump of something large must not fill the store.
_MOST_CHARACTERS = 8_000


class Line(msgspec.Struct, frozen=True):
    """One captured line, without what its item tells (time, command, attempt)."""

    level: int
    logger: str
    text: str


class Capture:
    """What the workflows that run on a worker's thread log, until it is taken to be written."""

    def __init__(self, level: int) -> None:
        """Begin with no lines.

        Args:
            level: The lowest level that is captured, as in `logging`.
        """
        self.level = level
        self._lines: list[tuple[str, str, Line, datetime]] = []

    def add(self, run_id: str, command_id: str, line: Line) -> None:
        """Take a line of a workflow."""
        self._lines.append((run_id, command_id, line, datetime.now(UTC)))
        del self._lines[:-MOST_LINES]

    def taken(self, run_id: str, round_no: int) -> list[Emit]:
        """Give the lines of a run as items, and forget all."""
        lines, self._lines = self._lines, []
        return [
            line_of(Emitted(at, command_id, 0, b"", round_no), line)
            for of_run, command_id, line, at in lines
            if of_run == run_id
        ]


capturing: ContextVar[Capture | None] = ContextVar("interp_capturing", default=None)
"""Where the workflows log that run here; set by the worker on its thread, and nowhere else."""


def line_of(origin: Emitted, line: Line) -> Emit:
    """Return the item of a line."""
    return Emit(
        LOG_TOPIC, encode_emitted(msgspec.structs.replace(origin, payload=msgspec.json.encode(line))), MOST_LINES
    )


@attrs.frozen
class Message:
    """What a logger was given; formatted only when somebody wants it."""

    msg: object
    args: tuple[object, ...]
    exc_info: Any = None

    def line(self, logger: str, level: int) -> Line:
        """Format it. Never raises: a line must not fail what it tells of."""
        try:
            text = logging.LogRecord(logger, level, "", 0, str(self.msg), self.args, None).getMessage()
            text += self._trouble()
        except Exception:  # noqa: BLE001  as `logging` does, which tells of its own mistakes on stderr
            written = self.msg if isinstance(self.msg, str) else type(self.msg).__name__
            text = f"{written} (it could not be formatted)"
        if len(text) > _MOST_CHARACTERS:
            text = f"{text[:_MOST_CHARACTERS]}… ({len(text):,} characters)"
        # A lone surrogate cannot be written as UTF-8.
        return Line(level, logger, text.encode("utf-8", "backslashreplace").decode())

    def _trouble(self) -> str:
        """Return the traceback that goes with it, if one does."""
        given = self.exc_info
        if not given:
            return ""
        error = given if isinstance(given, BaseException) else sys.exception()
        return "" if error is None else "\n" + "".join(traceback.format_exception(error)).rstrip()
