"""How much went on at once, over many runs: calls stacked by activity or by what they did, and runs above them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import attrs

from interp.errors import UsageError
from interp.explore.axis import Axis, axis_of, draw_axis, idle_of
from interp.explore.commands import Past
from interp.explore.doings import AT_WORK, QUEUED, RETRY, UNKNOWN, doings
from interp.explore.frames import Frame, Kind
from interp.explore.markup import Markup, element
from interp.explore.picture import Picture, canvas, fitted, headline, paint, rect, words
from interp.explore.statistics import period
from interp.explore.theme import hues_of
from interp.outline.tree import tree_of
from interp.outline.words import clean, count, elide, stamp

__all__ = ["Concurrency", "Layer", "concurrency_of"]

# Where things stand, in pixels.
_WIDTH = 1180.0
_LEFT, _RIGHT = 64.0, 944.0
_TOP, _HEIGHT = 76.0, 220.0
_RUNS = 56.0
_GAP = 30.0

# Activities that have a layer of their own; the others share one.
_MOST = 8
_OTHERS = "other activities"

# What calls do, from the bottom up, with the colour and how much of it.
_STATES = {AT_WORK: ("#0072b2", 1.0), UNKNOWN: ("crash", 0.9), RETRY: ("crash", 0.45), QUEUED: ("dim", 0.35)}

_STEPS = 220
_COLUMNS = 88
_SPARKS = " ▁▂▃▄▅▆▇█"


@attrs.frozen
class Layer:
    """What some calls did over time.

    Attributes:
        name: What they are, or what they did.
        colour: In which colour that is drawn.
        opacity: How much of it.
        spans: From when to when each did it.
    """

    name: str
    colour: str
    opacity: float
    spans: tuple[tuple[datetime, datetime], ...]

    @property
    def seconds(self) -> float:
        """How long they did it, together."""
        return sum((end - begin).total_seconds() for begin, end in self.spans)


@attrs.frozen(eq=False, repr=False)
class Concurrency(Picture):
    """How many calls and runs there were at once.

    Attributes:
        title: What was looked at.
        by: What the layers are: `activity` or `status`.
        layers: From the bottom up.
        runs: From when to when each run went on.
        damaged: How many records could not be read.
    """

    title: str
    by: str
    layers: tuple[Layer, ...]
    runs: tuple[tuple[datetime, datetime], ...]
    damaged: int = 0

    @property
    def frame(self) -> Frame:
        """The numbers behind the picture: one row per change of a layer: `at`, `layer`, and `calls` from then on.

        The layer `runs` counts the runs.
        """
        rows = [
            (at, layer, number)
            for layer, spans in [*((each.name, each.spans) for each in self.layers), ("runs", self.runs)]
            for at, number in _changes(spans)
        ]
        at, names, numbers = zip(*rows, strict=True) if rows else ((), (), ())
        columns = {"at": (Kind.MOMENT, at), "layer": (Kind.TEXT, names), "calls": (Kind.WHOLE, numbers)}
        return Frame(columns, damaged=self.damaged, noun="change")

    def _axis(self, left: float, right: float, narrow: float) -> Axis:
        begin = min(begin for begin, _ in self.runs)
        end = max(end for _, end in self.runs)
        busy = [each for layer in self.layers for each in layer.spans]
        moments = [(at, at) for each in self.runs for at in each]
        end = max(end, begin + timedelta(microseconds=1))
        return axis_of(begin, end, idle_of(begin, end, [*busy, *moments]), left=left, right=right, narrow=narrow)

    def svg(self) -> Markup:
        """Draw the areas."""
        if not self.runs:
            return canvas(_WIDTH, 40, words(0, 18, "no runs", fill="dim"), label="No runs")
        axis = self._axis(_LEFT, _RIGHT, 40.0)
        numbers = [_numbers(layer.spans, axis, _STEPS) for layer in self.layers]
        peak = max(map(sum, zip(*numbers, strict=True)), default=0.0)
        bottom = _TOP + _HEIGHT
        floor_of_runs = bottom + _GAP + _RUNS
        marks = [
            *self._headline(),
            draw_axis(axis, _TOP, floor_of_runs),
            *_levels(peak, _TOP, _HEIGHT),
            *_stack(self.layers, numbers, peak),
            *_legend(self.layers),
            *self._runs_area(axis, bottom + _GAP),
            words(_LEFT, floor_of_runs + 20, self._foot(), fill="dim"),
        ]
        return canvas(_WIDTH, floor_of_runs + 32, *marks, label=self._label(peak))

    def _headline(self) -> list[Markup]:
        told = "calls at work at once, by activity" if self.by == "activity" else "calls at once, by what they did"
        return headline(self.title, f"{told} · {count(len(self.runs), 'run')}")

    def _runs_area(self, axis: Axis, top: float) -> list[Markup]:
        numbers = _numbers(self.runs, axis, _STEPS)
        peak = max(numbers)
        bottom = top + _RUNS
        path = _outline([0.0] * len(numbers), numbers, bottom, _RUNS / max(peak, 1e-9))
        title = element("title", f"runs: {peak:,.1f} at once at most")
        style = f"fill:{paint('dim')};fill-opacity:0.28;stroke:{paint('dim')};stroke-width:1"
        return [
            element("path", title, d=path, style=style),
            *_levels(peak, top, _RUNS),
            words(_RIGHT + 16, top + 18, "runs at once", size=12, bold=True),
            words(_RIGHT + 16, top + 36, f"{_most(self.runs):,} at most", fill="dim"),
        ]

    def _foot(self) -> str:
        begin = min(begin for begin, _ in self.runs)
        damaged = f"; {count(self.damaged, 'damaged record')} left out" if self.damaged else ""
        return f"from {stamp(begin, UTC)} UTC{damaged}"

    def _label(self, peak: float) -> str:
        told = ", ".join(f"{layer.name} {period(layer.seconds)} in all" for layer in self.layers[:8])
        return elide(f"{count(round(peak), 'call')} at once at most. {told}", 600)

    def text(self) -> str:
        """Write a line of blocks for each layer."""
        if not self.runs:
            return "no runs"
        axis = self._axis(0.0, float(_COLUMNS), 2.0)
        rows = [(layer.name, _numbers(layer.spans, axis, _COLUMNS), layer.spans) for layer in [*self.layers][::-1]]
        rows.append(("runs", _numbers(self.runs, axis, _COLUMNS), self.runs))
        width = min(max(len(name) for name, _, _ in rows), 20)
        lines = [
            f"{elide(clean(name), width):<{width}}  {_sparks(numbers):<{_COLUMNS}}  {_most(spans):>6,}"
            for name, numbers, spans in rows
        ]
        length = period((axis.end - axis.begin).total_seconds())
        head = f"{elide(clean(self.title), 60)}  {count(len(self.runs), 'run')}, at once; most on the right"
        return "\n".join([head, *lines, f"{self._foot()}, {length}" + (", idle time folded" if axis.idle else "")])


def _changes(spans: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, int]]:
    """Give each moment at which a number of spans changes, with the number from then on."""
    steps: defaultdict[datetime, int] = defaultdict(int)
    for begin, end in spans:
        steps[begin] += 1
        steps[end] -= 1
    number = 0
    for at in sorted(steps):
        if steps[at]:
            number += steps[at]
            yield at, number


def _most(spans: Iterable[tuple[datetime, datetime]]) -> int:
    return max((number for _, number in _changes(spans)), default=0)


def _numbers(spans: Sequence[tuple[datetime, datetime]], axis: Axis, steps: int) -> list[float]:
    """Return how many spans there were on average in each step of an axis."""
    width = (axis.right - axis.left) / steps
    edges, shares = [0] * (steps + 1), [0.0] * steps
    for begin, end in spans:
        first, last = ((axis.x(at) - axis.left) / width for at in (begin, end))
        from_step, to_step = min(int(first), steps - 1), min(int(last), steps - 1)
        if from_step == to_step:
            shares[from_step] += last - first
            continue
        shares[from_step] += from_step + 1 - first
        shares[to_step] += last - to_step
        edges[from_step + 1] += 1
        edges[to_step] -= 1
    numbers: list[float] = []
    height = 0
    for edge, part in zip(edges, shares, strict=False):
        height += edge
        numbers.append(height + part)
    return numbers


def _levels(peak: float, top: float, height: float) -> list[Markup]:
    """Draw lines at round numbers, with the numbers on the left."""
    levels = [level for level in _round(peak) if level <= peak * 1.001]
    marks: list[Markup] = []
    for level in [0, *levels]:
        y = top + height - height * level / max(peak, 1e-9)
        marks.append(element("path", d=f"M{_LEFT:.1f} {y:.1f}H{_RIGHT:.1f}", style=f"stroke:{paint('grid')}"))
        marks.append(words(_LEFT - 8, y + 4, f"{level:,g}", size=11, anchor="end", fill="dim"))
    return marks


def _round(peak: float) -> list[float]:
    """Return one to four round numbers up to a peak."""
    if peak <= 0:
        return []
    step = next(
        step for power in range(-3, 12) for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if peak / step < 4
    )
    step = max(step, 1.0) if peak >= 1 else step
    return [step * number for number in range(1, int(peak / step * 1.001) + 1)]


def _stack(layers: Sequence[Layer], numbers: Sequence[Sequence[float]], peak: float) -> Iterator[Markup]:
    floor = [0.0] * _STEPS
    for layer, each in zip(layers, numbers, strict=True):
        roof = [below + number for below, number in zip(floor, each, strict=True)]
        told = f"{clean(layer.name)}: {_most(layer.spans):,} at once at most, {period(layer.seconds)} in all"
        style = f"fill:{paint(layer.colour)};fill-opacity:{layer.opacity:g}"
        path = _outline(floor, roof, _TOP + _HEIGHT, _HEIGHT / max(peak, 1e-9))
        yield element("path", element("title", told), d=path, style=style)
        floor = roof


def _outline(floor: Sequence[float], roof: Sequence[float], bottom: float, scale: float) -> str:
    """Return the outline of an area: steps along its roof, and back along its floor."""
    there = [*_corners(roof, bottom, scale)]
    back = [*_corners(floor, bottom, scale)][::-1]
    return "M" + "L".join([*there, *back]) + "Z"


def _corners(numbers: Sequence[float], bottom: float, scale: float) -> Iterator[str]:
    """Give the corners of a staircase."""
    width = (_RIGHT - _LEFT) / len(numbers)
    for place, number in enumerate(numbers):
        y = bottom - number * scale
        if place == 0 or numbers[place - 1] != number:
            yield f"{_LEFT + place * width:.1f} {y:.1f}"
        if place == len(numbers) - 1 or numbers[place + 1] != number:
            yield f"{_LEFT + (place + 1) * width:.1f} {y:.1f}"


def _legend(layers: Sequence[Layer]) -> Iterator[Markup]:
    """Name the layers in the order in which they are stacked, the topmost first."""
    for place, layer in enumerate([*layers][::-1]):
        y = _TOP + 4 + place * 24
        yield rect(_RIGHT + 16, y, 12, 12, layer.colour, rx=2, fill_opacity=f"{layer.opacity:g}")
        name = fitted(clean(layer.name), 132, 12)
        yield words(_RIGHT + 34, y + 10, name)
        yield words(_WIDTH, y + 10, f"{_most(layer.spans):,} at most", anchor="end", fill="dim", size=11)


def _sparks(numbers: Sequence[float]) -> str:
    most = max(numbers, default=0.0)
    if most <= 0:
        return ""
    return "".join(_SPARKS[max(min(round(each / most * 8), 8), 1 if each > 1e-6 else 0)] for each in numbers)


def concurrency_of(pasts: Iterable[Past], *, title: str, by: Literal["activity", "status"] = "activity") -> Concurrency:
    """Count what went on at once.

    Args:
        pasts: The runs; each is looked at once.
        title: What was looked at.
        by: `activity` for calls at work, `status` for all calls by what they did: at work, queued, waiting to try
            again, or their worker was lost and nobody knows.

    Raises:
        UsageError: `by` is something else.
    """
    if by not in ("activity", "status"):
        raise UsageError(f"by={by!r}: expected 'activity' or 'status'")
    spans: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    runs: list[tuple[datetime, datetime]] = []
    damaged = 0
    for past in pasts:
        damaged += past.damaged
        tree = tree_of(past.history)
        if tree.at is None or tree.last_at is None:
            continue
        runs.append((tree.at, max(tree.last_at, tree.at)))
        for node in tree.nodes.values():
            for doing in doings(node, tree.last_at):
                key = doing.what if by == "status" else doing.activity
                if doing.end > doing.begin and (by == "status" or doing.what == AT_WORK):
                    spans[key].append((doing.begin, doing.end))
    layers = tuple(_by_status(spans) if by == "status" else _by_activity(spans))
    return Concurrency(title, by, layers, tuple(runs), damaged)


def _by_status(spans: dict[str, list[tuple[datetime, datetime]]]) -> Iterator[Layer]:
    for name, (colour, opacity) in _STATES.items():
        if name in spans:
            yield Layer(name, colour, opacity, tuple(spans[name]))


def _by_activity(spans: dict[str, list[tuple[datetime, datetime]]]) -> Iterator[Layer]:
    """Give a layer for each of the activities with most work, and one for all others; the most work at the bottom."""
    worked = {name: sum((end - begin).total_seconds() for begin, end in each) for name, each in spans.items()}
    ranked = sorted(worked, key=lambda name: (-worked[name], name))
    hues = hues_of(ranked[:_MOST])
    for name in ranked[:_MOST]:
        yield Layer(name.rpartition(".")[2], hues[name], 1.0, tuple(spans[name]))
    rest = [each for name in ranked[_MOST:] for each in spans[name]]
    if rest:
        yield Layer(_OTHERS, "fg", 0.6, tuple(rest))
