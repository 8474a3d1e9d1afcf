"""Hundreds of fibers at a glance: how many did what at once, and which lanes are worth a look.

All lanes of a run with thousands of fibers are a wall that nobody reads. What one wants to know is how much went on, of
what, what it waited for, and where it went wrong; the size of the answer depends on the width of the picture alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import attrs

from interp.explore.axis import Axis, lasted
from interp.explore.chart import Chart, Kind, Lane, Segment
from interp.explore.marks import hue_key
from interp.explore.markup import Markup, element
from interp.explore.picture import paint, words

__all__ = ["Crowd", "Layer", "crowd_of", "draw_crowd", "sparks", "worst_of"]

# How wide a step of the area is, in pixels: finer cannot be seen.
_STEP = 2.0

# Activities that have a layer of their own; the others share one.
_MOST = 7
_OTHERS = "other activities"

# Beside the activities, from the bottom up: what went wrong, then the waits. Colour and how much of it.
_KINDS: dict[Kind, tuple[str, str, float]] = {
    Kind.FAILED: ("failed attempts", "crash", 1.0),
    # Which of them were at work, and which were still in the queue, no record says.
    Kind.LOST: ("lost with the worker", "crash", 0.3),
    Kind.WITHDRAWN: ("withdrawn", "odd", 0.35),
    Kind.CHILD: ("other runs", "wait", 0.6),
    Kind.RETRY: ("wait to try again", "bad", 0.3),
    Kind.SLEEP: ("sleep", "dim", 0.5),
    Kind.SIGNAL: ("wait for a signal", "wait", 0.25),
    Kind.DOWN: ("wait for a worker", "dim", 0.16),
    Kind.QUEUED: ("wait for a worker", "dim", 0.16),
}


@attrs.frozen
class Layer:
    """What some fibers did, over time.

    Attributes:
        name: What they did.
        colour: In which colour that is drawn.
        opacity: How much of it.
        numbers: How many did it, on average in each step of the axis.
        total: How long they did, together.
    """

    name: str
    colour: str
    opacity: float
    numbers: tuple[float, ...]
    total: timedelta


@attrs.frozen
class Crowd:
    """How many fibers did what at once.

    Attributes:
        layers: What they did, from the bottom up.
        peak: How many there were at once, at most.
    """

    layers: tuple[Layer, ...]
    peak: float


def crowd_of(chart: Chart, axis: Axis, hues: Mapping[str, str], step: float = _STEP) -> Crowd:
    """Count what the fibers of a run did at once.

    Args:
        chart: The run.
        axis: The time axis.
        hues: The colours of activities.
        step: How wide the steps are, in units of the axis.
    """
    steps = max(int((axis.right - axis.left) / step), 1)
    sums: defaultdict[str | Kind, _Sum] = defaultdict(lambda: _Sum(steps))
    for lane in chart.root.every():
        for segment in lane.segments:
            if segment.kind is not Kind.BRANCHES:
                begin, end = axis.x(segment.begin) - axis.left, axis.x(segment.end) - axis.left
                sums[_what(segment)].add(begin / step, end / step, segment.end - segment.begin)
    layers = tuple(_layers(sums, hues))
    peak = max(map(sum, zip(*(layer.numbers for layer in layers), strict=True)), default=0.0)
    return Crowd(layers, peak)


def _what(segment: Segment) -> str | Kind:
    """Return the activity that was at work, or else the kind."""
    return hue_key(segment.node) if segment.kind is Kind.RAN and segment.node is not None else segment.kind


class _Sum:
    """Adds up intervals over steps, each in constant time: whole steps by their ends, the rest by its share."""

    def __init__(self, steps: int) -> None:
        self._edges = [0.0] * (steps + 1)
        self._shares = [0.0] * steps
        self.total = timedelta(0)

    def add(self, begin: float, end: float, length: timedelta) -> None:
        self.total += length
        last = len(self._shares) - 1
        first, final = min(int(begin), last), min(int(end), last)
        if first == final:
            self._shares[first] += end - begin
            return
        self._shares[first] += first + 1 - begin
        self._shares[final] += end - final
        self._edges[first + 1] += 1
        self._edges[final] -= 1

    def numbers(self) -> tuple[float, ...]:
        height = 0.0
        numbers: list[float] = []
        for edge, share in zip(self._edges, self._shares, strict=False):
            height += edge
            numbers.append(height + share)
        return tuple(numbers)


def _layers(sums: Mapping[str | Kind, _Sum], hues: Mapping[str, str]) -> Iterator[Layer]:
    activities = {key: sums[key] for key in hues if key in sums}
    large = sorted(activities, key=lambda key: activities[key].total, reverse=True)[:_MOST]
    for key, activity in activities.items():
        if key in large:
            yield Layer(key.rpartition(".")[2], hues[key], 1.0, activity.numbers(), activity.total)
    rest = [activity for key, activity in activities.items() if key not in large]
    if rest:
        yield _joined(_OTHERS, "fg", 0.6, rest)
    named: dict[str, tuple[str, float, list[_Sum]]] = {}
    for kind, (name, colour, opacity) in _KINDS.items():
        if kind in sums:
            named.setdefault(name, (colour, opacity, []))[2].append(sums[kind])
    for name, (colour, opacity, parts) in named.items():
        yield _joined(name, colour, opacity, parts)


def _joined(name: str, colour: str, opacity: float, parts: Sequence[_Sum]) -> Layer:
    numbers = tuple(map(sum, zip(*(part.numbers() for part in parts), strict=True)))
    return Layer(name, colour, opacity, numbers, sum((part.total for part in parts), timedelta(0)))


def worst_of(chart: Chart, number: int) -> tuple[str, list[Lane]]:
    """Return the lanes that are worth a look, in their order, and say which they are.

    Args:
        chart: The run.
        number: How many.
    """
    lanes = list(chart.root.every())[1:]
    ranked = sorted(lanes, key=lambda lane: (-lane.failures, lane.begin - lane.end))[:number]
    chosen = {id(lane) for lane in ranked}
    which = "with most failed attempts" if ranked and ranked[0].failures else "that took longest"
    told = f"the {number} fibers {which}, of {len(lanes):,}"
    return told, [lane for lane in lanes if id(lane) in chosen]


def draw_crowd(crowd: Crowd, axis: Axis, top: float, height: float) -> Markup:
    """Draw the layers on top of each other.

    Args:
        crowd: What is drawn.
        axis: The time axis.
        top: Where the highest may reach.
        height: How high that is.
    """
    bottom = top + height
    scale = height / max(crowd.peak, 1.0)
    marks = [words(8, bottom - 4, "fibers at once", size=13, bold=True)]
    for number in _levels(crowd.peak):
        y = bottom - number * scale
        line = f"stroke:{paint('grid')}"
        marks.append(element("path", d=f"M{axis.left:.1f} {y:.1f}H{axis.right:.1f}", style=line))
        marks.append(words(axis.left - 8, y + 4, f"{number:,}", size=11, anchor="end", fill="dim"))
    floor = [0.0] * len(crowd.layers[0].numbers) if crowd.layers else []
    for layer in crowd.layers:
        roof = [below + number for below, number in zip(floor, layer.numbers, strict=True)]
        title = element(
            "title",
            f"{layer.name}: at most {max(round(max(layer.numbers)), 1):,} at once, {lasted(layer.total)} in all",
        )
        style = f"fill:{paint(layer.colour)};fill-opacity:{layer.opacity:g}"
        marks.append(element("path", title, d=_outline(floor, roof, axis, bottom, scale), style=style))
        floor = roof
    return element("g", marks)


def _levels(peak: float) -> list[int]:
    """Return the numbers to write beside the area: the highest, and half of it."""
    whole = round(peak)
    return [whole, whole // 2] if whole >= 4 else [whole] if whole else []


def _outline(floor: Sequence[float], roof: Sequence[float], axis: Axis, bottom: float, scale: float) -> str:
    """Return the outline of a layer: along its roof, and back along its floor."""
    step = (axis.right - axis.left) / len(roof)
    there = list(_points(roof, axis.left, step, bottom, scale))
    back = list(_points(floor, axis.left, step, bottom, scale))[::-1]
    return "M" + "L".join(there + back) + "Z"


def _points(numbers: Sequence[float], left: float, step: float, bottom: float, scale: float) -> Iterator[str]:
    """Give the corners of a line; not the points on a level stretch, which nobody would miss."""
    last = len(numbers) - 1
    for place, number in enumerate(numbers):
        is_level = 0 < place < last and numbers[place - 1] == number == numbers[place + 1]
        if place in (0, last) or not is_level:
            x = left + (place + 0.5) * step if 0 < place < last else left + (0 if place == 0 else (last + 1) * step)
            yield f"{x:.0f} {bottom - number * scale:.1f}"


_SPARKS = " ▁▂▃▄▅▆▇█"


def sparks(layer: Layer) -> str:
    """Write a layer as one line of blocks, the highest of which stands for its highest number."""
    peak = max(layer.numbers)
    return "".join(
        _SPARKS[max(min(round(number / max(peak, 1e-9) * 8), 8), 1 if number > 0.001 else 0)]
        for number in layer.numbers
    )
