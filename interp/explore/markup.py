"""HTML and SVG, written so that nothing which a journal holds can become more than text.

There is one way in: `element` escapes every child and every attribute that is not `Markup` already. No view writes a
tag by hand around a value. No scripts, styles or addresses are ever made from recorded text. See
docs/decisions/0031-views-are-our-own-markup.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Child", "Markup", "element", "indented", "joined", "table", "text"]

# XML and HTML cannot hold these, escaped or not: a browser drops them, an SVG reader stops at them.
_UNHOLDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

# Elements that have no content and no end.
_VOID = frozenset({"br", "col", "hr", "img", "input", "meta"})


class Markup(str):
    """Text that is markup already, and is not escaped again."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Iterable[Child] | None"
"""What stands inside of an element: text (escaped), markup (as it is), nothing, or several of these."""


def element(tag: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """Write an element.

    Args:
        tag: Its name, from the program and never from a journal.
        children: What stands inside.
        attributes: By name; `class_` is `class`, other underscores are hyphens. None and False leave one out, True
            writes its name alone.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(children)}</{tag}>")


def table(heads: Iterable[str], rows: Child, *, class_: str | None = None) -> Markup:
    """Write a table with a line of headings.

    Args:
        heads: What its columns are called.
        rows: Its rows, as markup.
        class_: Its class.
    """
    head = element("tr", [element("th", name, scope="col") for name in heads])
    return element("table", element("thead", head), element("tbody", rows), class_=class_)


def joined(children: Child) -> Markup:
    """Write children one after the other."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int, float)):
        return text(children)
    return Markup("".join(map(joined, children)))


def text(value: str | float) -> Markup:
    """Escape text: whatever it is, it shows as itself, and what cannot be shown as its code."""
    plain = str(value)
    if not plain.isprintable():
        plain = _UNHOLDABLE.sub(_code, plain)
    return Markup(escape(plain))


def indented(space: str) -> str:
    """Return the beginning of a line of source, so that it keeps its width where it is nothing but blanks.

    Exporters of notebooks squeeze text that is white space alone to one blank (nbconvert, by Beautiful Soup), whatever
    the style sheet says.

    Args:
        space: What stands before an element.
    """
    return space.replace(" ", "\xa0") if space.isspace() else space


def _code(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'
