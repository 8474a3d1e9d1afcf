"""Source, quoted: the lines around those that frames, records and errors name, with the expression there underlined."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import attrs

from interp.definitions import WorkflowDefinition
from interp.explore.scenes import FrameAt
from interp.explore.staleness import recorded_code
from interp.explore.subject import Subject
from interp.outline.words import clean

__all__ = ["Source", "SourceLine", "around_frame", "around_lines", "full_name", "place_of"]

# Lines before and behind those that are lit: where a frame stands, and where records and errors point at. Between two
# that are further apart than twice that, lines are left out.
_AROUND_FRAME = 2
_AROUND_LINES = 3

# An expression of more lines than this is not shown to its end.
_LONG_EXPRESSION = 8
_LONG_FRAME = 12

# Longer files are not parsed, and longer lines cut: somebody generated them.
_FILE_LINES = 20_000
_COLUMNS = 200

# Numbers of more digits are those of no line, and `int` refuses very long ones.
_DIGITS = 8

_Span: TypeAlias = tuple[int, int, int, int]
"""Where an expression stands: its first and last line, and the columns there in UTF-8 bytes, as Python counts them."""


@attrs.frozen
class SourceLine:
    """A line of source.

    Attributes:
        number: From 1; 0 for a gap.
        text: Without what all lines are indented by.
        roles: What stands at it, such as `recorded` or `now`; empty for nothing.
        marked: From and to where in the text the expression is that is meant; None for nowhere.
    """

    number: int
    text: str
    roles: tuple[str, ...] = ()
    marked: tuple[int, int] | None = None


def place_of(where: str | None) -> tuple[str, int] | None:
    """Split `file:line`; None when it is none."""
    name, _, number = (where or "").rpartition(":")
    is_line = number.isascii() and number.isdigit() and len(number) <= _DIGITS
    return (name, int(number)) if name and is_line else None


def full_name(short: str, likely: Iterable[str]) -> str:
    """Find a source file by the last part of its name; empty where none is found, or several.

    Args:
        short: As records name it.
        likely: Files to look at first, by their full names.
    """
    near = {file for file in likely if _short(file) == short}
    if not near:
        files = (getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values()))
        near = {file for file in files if isinstance(file, str) and _short(file) == short}
    return near.pop() if len(near) == 1 else ""


def _short(file: str) -> str:
    return file.replace("\\", "/").rpartition("/")[2]


class Source:
    """The source of a run's workflow, and of what it delegates to: single lines, as it was when they were recorded."""

    def __init__(self, run: Subject) -> None:
        """Find out whether it is at hand, and what was recorded."""
        definition = run.code
        self._own = ""
        if isinstance(definition, WorkflowDefinition) and recorded_code(run.history) == definition.code:
            self._own = definition.fn.__code__.co_filename
        self._files: dict[str, str] = {}

    def line(self, where: str) -> str:
        """Return the line that a record points at, cleaned and without its indentation.

        Args:
            where: `file:line`, as recorded. The name of the file has no directory: it is found among the modules that
                are imported, and is not quoted where two have the same.

        Returns:
            The line; empty where it is not at hand, or the workflow has changed since: another line would stand there.
        """
        place = place_of(where)
        if place is None or not self._own:
            return ""
        name, number = place
        if name not in self._files:
            self._files[name] = full_name(name, [self._own])
        return clean(linecache.getline(self._files[name], number).strip()) if self._files[name] else ""


def around_lines(file: str, lit: Mapping[int, tuple[str, ...]]) -> list[SourceLine]:
    """Return the source around lines that are known by their numbers; empty when it is not at hand.

    The smallest `yield` that a lit line is a part of is underlined.

    Args:
        file: Full name of the file.
        lit: The lines, and what stands at each.
    """
    lines = linecache.getlines(file) if file else []
    wanted = sorted(number for number in lit if 0 < number <= len(lines))
    if not wanted:
        return []
    yields = _yields("".join(lines)) if len(lines) <= _FILE_LINES else ()
    shown: set[int] = set()
    for number in wanted:
        # A long expression is shown to its end, if that is near.
        last = next((end for begin, end, _, _ in yields if begin <= number <= end), number)
        last = max(min(last, number + _LONG_EXPRESSION), number)
        shown.update(range(max(number - _AROUND_LINES, 1), min(last + _AROUND_LINES, len(lines)) + 1))
    return _quoted(
        lines, _trimmed(sorted(shown), lines, wanted), lit, {each: _yield_at(each, yields) for each in wanted}
    )


def around_frame(frame: FrameAt, around: int = _AROUND_FRAME) -> list[SourceLine]:
    """Return the source around the expression that a frame stands at, lit; empty when it is not at hand.

    Args:
        frame: The frame.
        around: How many lines before and behind it, of its own function.
    """
    lines = linecache.getlines(frame.file)
    if not 0 < frame.line <= len(lines):
        return []
    begin, end = _expression(frame)
    first = max(begin - around, min(frame.first or 1, begin), 1)
    last = _within(lines, frame, min(max(end, begin) + around, len(lines), begin + _LONG_FRAME))
    shown = range(first, last + 1)
    lit = [number for number in shown if begin <= number <= end]
    return _quoted(lines, shown, dict.fromkeys(lit, ("now",)), dict.fromkeys(lit, frame.span))


def _quoted(
    lines: Sequence[str], shown: Sequence[int], lit: Mapping[int, tuple[str, ...]], spans: Mapping[int, _Span | None]
) -> list[SourceLine]:
    """Quote lines by their numbers, with a gap where some are left out between."""
    texts = {number: lines[number - 1].rstrip().expandtabs(8) for number in shown}
    indent = min((_depth(text) for text in texts.values() if text), default=0)
    found: list[SourceLine] = []
    for number in shown:
        if found and number > found[-1].number + 1:
            found.append(SourceLine(0, "⋮"))
        text = clean(texts[number][indent : indent + _COLUMNS])
        mark = _marked(lines[number - 1].rstrip(), number, spans.get(number), indent)
        found.append(SourceLine(number, text, lit.get(number, ()), mark))
    return found


def _marked(line: str, number: int, span: _Span | None, indent: int) -> tuple[int, int] | None:
    """Return where in a line, less its indentation and cut, an expression is that it is a part of."""
    # What is written in more characters than it has would shift the mark.
    if span is None or not span[0] <= number <= span[1] or not line.isprintable():
        return None
    begin, end, column, last_column = span
    start = _characters(line, column) if number == begin else _depth(line)
    stop = _characters(line, last_column) if number == end else len(line)
    stop = min(stop, indent + _COLUMNS)
    return (start - indent, stop - indent) if indent <= start < stop else None


def _characters(line: str, column: int) -> int:
    """Turn a column in bytes into one in characters."""
    return len(line.encode("utf-8", "replace")[:column].decode("utf-8", "replace"))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


# Around lines.


def _trimmed(shown: list[int], lines: Sequence[str], wanted: Sequence[int]) -> list[int]:
    """Leave out empty lines at both ends."""
    while shown[0] not in wanted and not lines[shown[0] - 1].strip():
        shown = shown[1:]
    while shown[-1] not in wanted and not lines[shown[-1] - 1].strip():
        shown = shown[:-1]
    return shown


def _yield_at(number: int, yields: Iterable[_Span]) -> _Span | None:
    """Return the smallest `yield` expression that a line is a part of."""
    around = [each for each in yields if each[0] <= number <= each[1]]
    return min(around, key=lambda each: (each[1] - each[0], each[3] - each[2]), default=None)


@lru_cache(maxsize=16)
def _yields(source: str) -> tuple[_Span, ...]:
    """Return where the `yield` expressions of a source are."""
    try:
        return tuple(_found(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _found(tree: ast.AST) -> Iterator[_Span]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Yield, ast.YieldFrom)) and node.end_lineno is not None:
            yield node.lineno, node.end_lineno, node.col_offset, node.end_col_offset or node.col_offset + 1


# Around a frame.


def _expression(frame: FrameAt) -> tuple[int, int]:
    """Return the lines of the expression that a frame stands at."""
    if frame.span is None or frame.span[0] > frame.line or frame.span[1] < frame.line:
        return frame.line, frame.line
    return frame.span[0], frame.span[1]


def _within(lines: Sequence[str], frame: FrameAt, last: int) -> int:
    """Return the last line, or an earlier one when the function has ended there; no empty one."""
    depth = _depth(lines[frame.first - 1]) if 0 < frame.first <= len(lines) else 0
    for number in range(_expression(frame)[1] + 1, last + 1):
        text = lines[number - 1]
        if text.strip() and _depth(text) <= depth:
            last = number - 1
            break
    while last > frame.line and not lines[last - 1].strip():
        last -= 1
    return last
