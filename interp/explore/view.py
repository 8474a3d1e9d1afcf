"""What all views have in common: how they show themselves in a notebook, in a terminal, and in a file.

A view writes its `html` and its `text`; it never fails where it is shown: a notebook that displays a broken journal
must display the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from interp.errors import UsageError
from interp.explore.markup import Markup, element
from interp.explore.theme import STYLE, outranking
from interp.frames import message
from interp.outline.words import elide, one_line

__all__ = ["View", "page", "part"]

# Characters of an error that stands where a part of a view would.
_ERROR = 500


class View:
    """Something that shows itself: as HTML where there is a page, as text elsewhere."""

    def html(self) -> Markup:
        """Return the view as markup without the style sheet, to be put together with others."""
        raise NotImplementedError

    def text(self) -> str:
        """Return the view as plain text of at most 120 columns."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Say on one line what it is; `print` shows it."""
        of = getattr(self, "run_id", None)
        return f"<{_spoken(type(self).__name__)}{f' of run {of!r}' if isinstance(of, str) else ''}: print() shows it>"

    def __str__(self) -> str:
        """Show the view as text; never raises."""
        try:
            return self.text()
        except Exception as error:  # noqa: BLE001  whatever the journal holds, the notebook goes on
            return f"{type(self).__name__} cannot be shown: {type(error).__name__}: {message(error)}"

    def _repr_html_(self) -> str:
        return outranking(element("div", Markup(f"<style>{STYLE}</style>"), self._safe_html(), class_="interp"))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Give text and HTML: whoever asks takes what it can show (IPython's protocol)."""
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _safe_html(self) -> Markup:
        try:
            return self.html()
        except Exception as error:  # noqa: BLE001  as in __str__
            told = f"{type(self).__name__} cannot be drawn: {type(error).__name__}: {message(error)}"
            return element("div", element("p", told, class_="bad"), element("pre", str(self)))

    def save(self, path: str | Path) -> Path:
        """Write the view into a file of its own, which needs nothing else.

        Args:
            path: Ends in `.html` or `.txt`; pictures can also be `.svg` and `.png`.

        Returns:
            The path.

        Raises:
            UsageError: The path ends in something else.
        """
        path = Path(path)
        kinds = self._kinds()
        if path.suffix not in kinds:
            raise UsageError(f"{path}: {type(self).__name__} can be saved as {', '.join(kinds)}")
        path.write_bytes(self._as_file(path.suffix))
        return path

    def _kinds(self) -> tuple[str, ...]:
        return (".html", ".txt")

    def _as_file(self, kind: str) -> bytes:
        if kind == ".txt":
            return f"{self}\n".encode()
        return page(type(self).__name__, self._safe_html()).encode()


def _spoken(name: str) -> str:
    """Write the name of a class as words: `CriticalPath` is a critical path."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def part(name: str, draw: Callable[[], Markup | None]) -> Markup | None:
    """Draw a part of a view; where that cannot be, say so in its place: the other parts are still worth seeing.

    Args:
        name: What it is called.
        draw: Draws it; None for nothing.
    """
    try:
        return draw()
    except Exception as error:  # noqa: BLE001  as for views
        told = f"{name} cannot be drawn: {type(error).__name__}: {message(error)}"
        return element("p", elide(one_line(told), _ERROR), class_="bad", role="note")


def page(title: str, body: Markup) -> str:
    """Write a whole HTML page: one file, nothing loaded from elsewhere, no script.

    Args:
        title: Its title, as text.
        body: What it shows.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Markup(f"<style>body {{ margin: 24px auto; max-width: 1200px; padding: 0 16px; }}{STYLE}</style>"),
    )
    return (
        f"<!doctype html>\n{element('html', head, element('body', element('div', body, class_='interp')), lang='en')}"
    )
