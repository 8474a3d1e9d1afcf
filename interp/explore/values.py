"""Live objects of users (variables of a suspended workflow), shown: bounded, and safe whatever their `__repr__` does.

Gives one line of text, which is escaped when it becomes markup. What was recorded is shown by `outline.words.recorded`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from interp.frames import brief
from interp.outline.words import elide, one_line

__all__ = ["shown"]

# Items of one container, levels of nesting, characters of one string: enough to know a value again.
_ITEMS = 8
_DEPTH = 4
_TEXT = 60


def shown(value: object, width: int = 90) -> str:
    """Show a live object on one line of at most `width` characters; never raises.

    Args:
        value: Anything; it is looked at, and not changed.
        width: Longest text, in characters.
    """
    try:
        return elide(one_line(_shown(value, _DEPTH)), width)
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001  a user's class may do anything when it is looked at
        return f"<{type(value).__name__}>"


def _shown(value: object, depth: int) -> str:
    kind = type(value)
    if kind in (str, bytes, bytearray):
        return _text(cast("str | bytes", value))
    if kind is int and abs(cast("int", value)) > 10**_TEXT:
        return f"<int of {cast('int', value).bit_length():,} bits>"
    if kind in _BRACKETS:
        return _items(cast("Iterable[object]", value), depth, *_BRACKETS[kind])
    if kind is dict:
        return _mapping(cast("Mapping[object, object]", value), depth)
    if attrs.has(kind) and "__repr__" in vars(kind):
        return _fields(value, depth)
    return brief(value, _TEXT * 2)


_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def _text(value: str | bytes) -> str:
    if len(value) <= _TEXT:
        return repr(value)
    unit = "bytes" if isinstance(value, (bytes, bytearray)) else "characters"
    return f"{value[: _TEXT - 20]!r}… ({len(value):,} {unit})"


def _items(value: Iterable[object], depth: int, begin: str, end: str) -> str:
    if not value:
        return f"{begin}{end}" if begin in "([" else f"{type(value).__name__}()"
    if depth == 0:
        return f"{begin}…{end}"
    parts = [_shown(item, depth - 1) for item in itertools.islice(value, _ITEMS)]
    size = len(cast("list[object]", value))
    if size > _ITEMS:
        parts.append(f"… {size - _ITEMS:,} more")
    comma = "," if begin == "(" and size == 1 else ""
    return f"{begin}{', '.join(parts)}{comma}{end}"


def _mapping(value: Mapping[object, object], depth: int) -> str:
    """Show a dict in its own order, which is what the workflow sees."""
    if depth == 0 and value:
        return "{…}"
    pairs = [
        f"{_shown(key, depth - 1)}: {_shown(item, depth - 1)}" for key, item in itertools.islice(value.items(), _ITEMS)
    ]
    if len(value) > _ITEMS:
        pairs.append(f"… {len(value) - _ITEMS:,} more")
    return f"{{{', '.join(pairs)}}}"


def _fields(value: Any, depth: int) -> str:
    name = type(value).__name__
    if depth == 0:
        return f"{name}(…)"
    named = [field.name for field in cast("Any", attrs.fields)(type(value)) if field.repr]
    told = [f"{field}={_shown(getattr(value, field), depth - 1)}" for field in named]
    if len(told) > _ITEMS:
        told[_ITEMS:] = [f"… {len(told) - _ITEMS} more"]
    return f"{name}({', '.join(told)})"
