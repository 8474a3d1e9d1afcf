"""The source around lines that records or errors name, with the `yield` there underlined."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import attrs

from interp.outline.words import clean

__all__ = ["SourceLine", "excerpt", "full_name", "place_of"]

# Lines before and behind one that is lit; between two that are further apart than twice that, lines are left out.
_AROUND = 3

# Longer files are not parsed, and longer lines cut: somebody generated them.
_FILE_LINES = 20_000
_COLUMNS = 200


@attrs.frozen
class SourceLine:
    """A line of source.

    Attributes:
        number: From 1; 0 for a gap.
        text: Without what all lines are indented by.
        roles: What stands at it, such as `recorded`; empty for none.
        marked: From and to where in the text the `yield` is; None without.
    """

    number: int
    text: str
    roles: tuple[str, ...] = ()
    marked: tuple[int, int] | None = None


def place_of(where: str | None) -> tuple[str, int] | None:
    """Split `file:line`; None when it is none."""
    name, _, number = (where or "").rpartition(":")
    return (name, int(number)) if name and number.isascii() and number.isdigit() and len(number) < 9 else None


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


def excerpt(file: str, lit: Mapping[int, tuple[str, ...]]) -> list[SourceLine]:
    """Return the source around lines; empty when it is not at hand.

    Args:
        file: Full name of the file.
        lit: The lines, and what stands at each.
    """
    lines = linecache.getlines(file) if file else []
    wanted = sorted(number for number in lit if 0 < number <= len(lines))
    if not wanted:
        return []
    yields = _yields("".join(lines)) if len(lines) <= _FILE_LINES else ()
    shown: list[int] = []
    for number in wanted:
        # A long expression is shown to its end, if that is near.
        last = next((end for begin, end, _, _ in yields if begin <= number <= end), number)
        around = range(max(number - _AROUND, 1), min(max(min(last, number + 8), number) + _AROUND, len(lines)) + 1)
        shown += [each for each in around if each not in shown]
    shown = _trimmed(sorted(shown), lines, wanted)
    texts = {number: lines[number - 1].rstrip().expandtabs(8) for number in shown}
    indent = min((len(text) - len(text.lstrip()) for text in texts.values() if text), default=0)
    found: list[SourceLine] = []
    for number in shown:
        if found and number > found[-1].number + 1:
            found.append(SourceLine(0, "⋮"))
        mark = _marked(lines[number - 1], number, yields, indent) if number in lit else None
        found.append(SourceLine(number, clean(texts[number][indent : indent + _COLUMNS]), lit.get(number, ()), mark))
    return found


def _trimmed(shown: list[int], lines: list[str], wanted: list[int]) -> list[int]:
    """Leave out empty lines at both ends."""
    while shown[0] not in wanted and not lines[shown[0] - 1].strip():
        shown = shown[1:]
    while shown[-1] not in wanted and not lines[shown[-1] - 1].strip():
        shown = shown[:-1]
    return shown


def _marked(line: str, number: int, yields: Iterable[tuple[int, int, int, int]], indent: int) -> tuple[int, int] | None:
    """Return where in a line the smallest `yield` expression is that it is a part of."""
    around = [each for each in yields if each[0] <= number <= each[1]]
    if not around or "\t" in line or not line.isascii():
        return None
    begin, end, column, last_column = min(around, key=lambda each: (each[1] - each[0], each[3] - each[2]))
    first = column if number == begin else len(line) - len(line.lstrip())
    last = last_column if number == end else len(line.rstrip())
    return (max(first - indent, 0), max(last - indent, 0)) if indent <= first < last else None


@lru_cache(maxsize=16)
def _yields(source: str) -> tuple[tuple[int, int, int, int], ...]:
    """Return where the `yield` expressions of a source are: first and last line, first and last column."""
    try:
        return tuple(_found(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _found(tree: ast.AST) -> Iterator[tuple[int, int, int, int]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Yield, ast.YieldFrom)) and node.end_lineno is not None:
            yield node.lineno, node.end_lineno, node.col_offset, node.end_col_offset or node.col_offset + 1
