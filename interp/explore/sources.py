"""The source around a line, and what is lit in it."""

from __future__ import annotations

import hashlib
import inspect
import linecache
from collections.abc import Sequence

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition, WorkerLost
from interp.explore.scenes import FrameAt
from interp.outline.words import clean

__all__ = ["Line", "Staleness", "excerpt"]

# Lines before and after the one that is lit.
_AROUND = 2

# Longer lines are cut: a generated one may have megabytes.
_WIDTH = 300


@attrs.frozen
class Line:
    """A line of source.

    Attributes:
        number: From 1.
        text: Without what all lines of the excerpt are indented by.
        lit: Whether the program stands at it.
        marked: Where in the text the expression is that it stands at: from, to; None for nowhere.
    """

    number: int
    text: str
    lit: bool = False
    marked: tuple[int, int] | None = None


def excerpt(frame: FrameAt, around: int = _AROUND) -> list[Line]:
    """Return the source around a frame's line; empty when it is not at hand.

    Args:
        frame: The frame.
        around: How many lines before and after.
    """
    lines = linecache.getlines(frame.file)
    if not 0 < frame.line <= len(lines):
        return []
    begin, end = _expression(frame)
    first = max(begin - around, min(frame.first or 1, begin), 1)
    last = min(max(end, begin) + around, len(lines), begin + 12)
    last = _within(lines, frame, last)
    texts = [lines[number - 1].rstrip().expandtabs(8)[:_WIDTH] for number in range(first, last + 1)]
    indent = min((len(text) - len(text.lstrip()) for text in texts if text), default=0)
    return [
        Line(number, clean(text[indent:]), begin <= number <= end, _marked(frame, number, lines[number - 1], indent))
        for number, text in enumerate(texts, first)
    ]


def _expression(frame: FrameAt) -> tuple[int, int]:
    """Return the lines of the expression that a frame stands at."""
    if frame.span is None or frame.span[0] > frame.line or frame.span[1] < frame.line:
        return frame.line, frame.line
    return frame.span[0], frame.span[1]


def _within(lines: list[str], frame: FrameAt, last: int) -> int:
    """Return the last line, or an earlier one when the function has ended there."""
    depth = _depth(lines[frame.first - 1]) if 0 < frame.first <= len(lines) else 0
    for number in range(_expression(frame)[1] + 1, last + 1):
        text = lines[number - 1]
        if text.strip() and _depth(text) <= depth:
            return number - 1
    while last > frame.line and not lines[last - 1].strip():
        last -= 1
    return last


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _marked(frame: FrameAt, number: int, line: str, indent: int) -> tuple[int, int] | None:
    if frame.span is None:
        return None
    begin, end, column, last_column = frame.span
    if not begin <= number <= end or "\t" in line:
        return None
    start = _characters(line, column) if number == begin else _depth(line)
    stop = _characters(line, last_column) if number == end else len(line.rstrip())
    return (max(start - indent, 0), max(stop - indent, 0)) if start < stop else None


def _characters(line: str, column: int) -> int:
    """Turn a column in bytes into one in characters."""
    return len(line.encode("utf-8", "replace")[:column].decode("utf-8", "replace"))


class Staleness:
    """Tells whether the source is what a run was recorded with."""

    def __init__(self, definition: WorkflowDefinition, history: Sequence[Transition]) -> None:
        """Look at the source as it is now.

        Args:
            definition: The workflow as it is here.
            history: The records of the run.
        """
        self._definition = definition
        self._edited = _on_disk(definition) not in ("", definition.code)
        self._recorded = [
            (transition.index, transition.cause.code)
            for transition in history
            if isinstance(transition.cause, (Started, WorkerLost)) and transition.cause.code
        ]

    def at(self, index: int) -> str:
        """Say what makes the source doubtful at a record; empty for nothing."""
        name, code = self._definition.name, self._definition.code
        since, recorded = next(((since, code) for since, code in reversed(self._recorded) if since <= index), (0, ""))
        if recorded and recorded != code:
            return (
                f"The source of {name} is not what record {since} was written with (fingerprint {code}, recorded "
                f"{recorded}): the history fits so far, but lines and variables may differ."
            )
        if self._edited:
            return f"The file of {name} was edited after it was imported: the lines shown may not be those that run."
        return ""


def _on_disk(definition: WorkflowDefinition) -> str:
    """Return the fingerprint of the source as it is in the file now, as `WorkflowDefinition.code` makes it."""
    try:
        linecache.checkcache(definition.fn.__code__.co_filename)
        source = inspect.getsource(definition.fn).encode()
    except (OSError, TypeError, IndexError, SyntaxError):
        return ""
    return hashlib.blake2b(source, digest_size=6).hexdigest()
