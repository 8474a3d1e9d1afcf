"""Pictures of results, as SVG: dots for one size, lines for how something grows. Scales are logarithmic, and say so.

Dots, not bars: a bar on a logarithmic scale begins nowhere, and its length says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

import attrs

__all__ = ["Span", "dots", "lines"]

_WIDTH = 720
_LABELS = 190
_ROW = 26
_TOP = 44
_RIGHT = 96
_HEIGHT = 300
_OURS, _PEER = "#0b6e4f", "#8a94a6"
# Distinguishable also by those who see no difference between red and green (Okabe and Ito).
_COLOURS = ("#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00", "#8a8a00", "#555555", "#999933")


@attrs.frozen
class Span:
    """A median, and what it was the median of."""

    low: float
    middle: float
    high: float


class _Log:
    """A logarithmic axis over whole decades."""

    def __init__(self, values: list[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """Return where a value is."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def dots(title: str, unit: str, rows: Mapping[str, Span], ours: str) -> str:
    """Draw a dot for each system, with the range of its rounds as a line."""
    height = _TOP + _ROW * len(rows) + 30
    axis = _Log([end for span in rows.values() for end in (span.low, span.high)], _LABELS, _WIDTH - _RIGHT)
    parts = [_text(12, 22, f"{title}: {unit}, logarithmic", size=15, weight="bold")]
    bottom = height - 26
    for tick in axis.ticks:
        parts += [_line(axis.at(tick), _TOP - 8, axis.at(tick), bottom, "#dddddd")]
        parts += [_text(axis.at(tick), bottom + 16, _short(tick), anchor="middle", size=11)]
    for number, (name, span) in enumerate(rows.items()):
        y = _TOP + number * _ROW
        colour = _OURS if name == ours else _PEER
        parts += [
            _text(_LABELS - 8, y + 13, name, anchor="end"),
            _line(_LABELS, y + 8.5, _WIDTH - _RIGHT, y + 8.5, "#eeeeee"),
            _line(axis.at(span.low), y + 8.5, axis.at(span.high), y + 8.5, colour, 2.5),
            f'<circle cx="{axis.at(span.middle):.1f}" cy="{y + 8.5}" r="5.5" fill="{colour}"/>',
            _text(max(axis.at(span.middle), axis.at(span.high)) + 9, y + 13, _short(span.middle)),
        ]
    return _svg(height, parts)


def lines(title: str, unit: str, series: Mapping[str, Mapping[int, float]], ours: str) -> str:
    """Draw a line for each system, over the sizes."""
    height = _HEIGHT + 18 * ((len(series) + 2) // 3)
    across = _Log([size for points in series.values() for size in points], 70, _WIDTH - 40)
    along = _Log([value for points in series.values() for value in points.values()], _HEIGHT - 30, _TOP)
    parts = [_text(12, 22, f"{title}: {unit} by size, both logarithmic", size=15, weight="bold")]
    for tick in along.ticks:
        parts += [_line(70, along.at(tick), _WIDTH - 40, along.at(tick), "#dddddd")]
        parts += [_text(64, along.at(tick) + 4, _short(tick), anchor="end", size=11)]
    for size in sorted({size for points in series.values() for size in points}):
        parts += [_text(across.at(size), _HEIGHT - 10, f"{size:,}", anchor="middle", size=11)]
    colours = iter(_COLOURS * 2)
    for number, (name, points) in enumerate(series.items()):
        colour, width = (_OURS, 3.0) if name == ours else (next(colours), 1.5)
        places = [(across.at(size), along.at(value)) for size, value in sorted(points.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>']
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1.5}" fill="{colour}"/>' for x, y in places]
        x, y = 70 + 215 * (number % 3), _HEIGHT + 8 + 18 * (number // 3)
        parts += [_line(x, y - 4, x + 18, y - 4, colour, width), _text(x + 24, y, name)]
    return _svg(height, parts)


def _svg(height: float, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text {where} fill="#222222">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1e6:,.3g}M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
