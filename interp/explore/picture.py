"""Pictures: views that are drawn as SVG, and how they become files that need nothing else.

Inside a page a picture takes its colours from the style sheet, by CSS variables. A file of its own has no style sheet:
an `.svg` brings the variables along, in light and dark, and a `.png` gets the colours themselves. Here are also the
few marks that all pictures are made of. Colours stand in `style` attributes only: the style sheet of a page would
win against `fill`, and one place is enough to find them again.
"""

from __future__ import annotations

import re
import unicodedata
from importlib import import_module
from typing import Any

from interp.errors import UsageError
from interp.explore.markup import Child, Markup, element
from interp.explore.theme import palette
from interp.explore.view import View
from interp.outline.words import clean

__all__ = [
    "FONT",
    "Picture",
    "canvas",
    "fitted",
    "headline",
    "headline_width",
    "ink_on",
    "paint",
    "rect",
    "words",
    "words_width",
]

FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', 'Noto Sans', Helvetica, Arial, sans-serif"
"""What the text of all pictures is written in: one of these is on each system, also where no browser draws."""

# A picture for a page of paper or a slide; more is needed for posters only.
_ZOOM = 2.0

# Of a headline: the size of its title, and how much room that has; in pixels.
_TITLE = 16
_TITLE_ROOM = 500

_STYLES = re.compile(r'(?<= style=")[^"]*')
_VARIABLE = re.compile(r"var\((--[a-z-]+)\)")


class Picture(View):
    """A view that is drawn: it can also be saved as `.svg` and `.png`."""

    def svg(self) -> Markup:
        """Return the picture as one `<svg>` element, for a page that has the style sheet."""
        raise NotImplementedError

    def html(self) -> Markup:
        """Show the picture."""
        return element("div", self.svg(), class_="picture")

    def png(self, *, zoom: float = _ZOOM, dark: bool = False) -> bytes:
        """Return the picture as PNG.

        Args:
            zoom: Pixels for each pixel of the picture.
            dark: Whether it is for a dark page.

        Raises:
            UsageError: The package that draws it is not installed.
        """
        try:
            resvg: Any = import_module("resvg_py")
        except ImportError:
            told = "pictures become PNG by the package resvg_py, which is not installed here"
            raise UsageError(f"{told}: pip install 'interp[notebook]', or save as .svg or .html") from None
        colours = palette(dark=dark)
        svg = _resolved(self.svg(), colours)
        return bytes(resvg.svg_to_bytes(svg_string=svg, background=colours["--page"], zoom=zoom))

    def _kinds(self) -> tuple[str, ...]:
        return (".svg", ".png", ".html", ".txt")

    def _as_file(self, kind: str) -> bytes:
        if kind == ".svg":
            return _alone(self.svg()).encode()
        return self.png() if kind == ".png" else super()._as_file(kind)


def _alone(svg: Markup) -> str:
    """Return a picture with the colours that its variables stand for, and a background."""
    light, dark = (";".join(map(":".join, palette(dark=is_dark).items())) for is_dark in (False, True))
    style = f"svg{{{light};color-scheme:light dark}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}"
    page = element("rect", width="100%", height="100%", style="fill:var(--page)")
    root, rest = svg.split(">", 1)  # no attribute holds a bare one
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}><style>{style}</style>{page}{rest}\n'


def _resolved(svg: str, colours: dict[str, str]) -> str:
    """Put colours in the place of variables: in styles only, never in what a journal holds."""
    return _STYLES.sub(lambda style: _VARIABLE.sub(lambda name: colours[name[1]], style[0]), svg)


# Marks.


def canvas(width: float, height: float, *children: Child, label: str) -> Markup:
    """Return a whole picture.

    Args:
        width: In pixels; a page that is narrower shows it smaller.
        height: In pixels.
        children: What is drawn.
        label: What it shows, for those who do not see it.
    """
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        width=_short(width),
        height=_short(height),
        role="img",
        aria_label=label,
        font_family=FONT,
    )


def paint(name: str) -> str:
    """Return a colour as styles have it: of the palette by its name (`fg`), or as it is (`#0072b2`)."""
    return name if name.startswith(("#", "url(", "none")) else f"var(--{name})"


def rect(x: float, y: float, width: float, height: float, fill: str, *children: Child, **more: Any) -> Markup:
    """Draw a rectangle; more attributes by name."""
    style = f"fill:{paint(fill)}" + more.pop("style", "")
    return element(
        "rect", *children, x=_short(x), y=_short(y), width=_short(width), height=_short(height), style=style, **more
    )


def words(
    x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", fill: str = "fg", bold: bool = False
) -> Markup:
    """Write a line of text.

    Args:
        x: Where it starts, ends or has its middle.
        y: Its base line.
        text: Anything; it is escaped.
        size: In pixels.
        anchor: `start`, `middle` or `end`.
        fill: Its colour.
        bold: Whether it is bold.
    """
    return element(
        "text",
        text,
        x=_short(x),
        y=_short(y),
        font_size=size,
        text_anchor=None if anchor == "start" else anchor,
        font_weight=600 if bold else None,
        style=f"fill:{paint(fill)}",
    )


def _short(number: float) -> str:
    """Return a number as pictures have it: a tenth of a pixel is enough."""
    return f"{number:.1f}".removesuffix(".0")


# How wide text is.

# Of the size, for DejaVu Sans: of the faces that the pictures name, the widest. What fits in it fits in all.
_NARROW = frozenset("iIjl|!.,:;'` ")
_WIDE = frozenset("mwMWOQ@%&+=<>~—…→■")
_EMS = {"narrow": 0.34, "wide": 0.9, "upper": 0.7, "other": 0.62, "full": 1.05}


def headline(title: str, told: str) -> list[Markup]:
    """Write what a picture is of, and behind it how much of it there is.

    Args:
        title: What was looked at; it is cut where it is long.
        told: In words, how much.
    """
    title = fitted(clean(title), _TITLE_ROOM, _TITLE, bold=True)
    return [
        words(0, 18, title, size=_TITLE, bold=True),
        words(words_width(title, _TITLE, bold=True) + 8, 18, told, size=13, fill="dim"),
    ]


def headline_width(title: str, told: str) -> float:
    """Return how wide a headline is at most, in pixels."""
    title = fitted(clean(title), _TITLE_ROOM, _TITLE, bold=True)
    return words_width(title, _TITLE, bold=True) + 8 + words_width(told, 13)


def words_width(text: str, size: float = 12, *, bold: bool = False) -> float:
    """Return how wide a text is at most, about; in pixels."""
    return sum(map(_ems, text)) * size * (1.1 if bold else 1.0)


def _ems(char: str) -> float:
    if char in _NARROW:
        return _EMS["narrow"]
    if char in _WIDE:
        return _EMS["wide"]
    if char.isascii():
        return _EMS["upper" if char.isupper() else "other"]
    return _EMS["full" if unicodedata.east_asian_width(char) in "WF" else "upper"]


def fitted(text: str, room: float, size: float = 12, *, bold: bool = False) -> str:
    """Cut a text to what fits in so many pixels, and say so by an ellipsis; empty where not even two letters fit."""
    text = text[: int(room / size * 3) + 1]  # the narrowest letters; whatever comes behind cannot be seen
    if words_width(text, size, bold=bold) <= room:
        return text
    while text and words_width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return f"{text.rstrip()}…" if len(text) > 1 else ""


def ink_on(colour: str) -> str:
    """Return the colour of text on a colour: the one of black and white that is told apart better (WCAG 2)."""
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.058 else "#14181d"
