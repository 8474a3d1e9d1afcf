"""The time axis of all pictures: idle time folded, ticks at round times, and where a moment is drawn.

A run may work for a minute, wait a month for a signal, and work for another minute. Drawn to scale, all work would be
two hairlines; so a long gap in which nothing at all happened is folded to a narrow strip that tells how long it was.
What is folded is decided on everything that there is, never on the part that is shown: two pictures of one run agree.
Pure, and the same for pictures (pixels) and text (columns).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import attrs

from interp.explore.markup import Markup, element
from interp.explore.picture import paint, rect, words, words_width
from interp.outline.words import span

__all__ = ["Axis", "Idle", "Tick", "axis_of", "draw_axis", "elapsed", "idle_of", "lasted", "roughly"]

# A gap is folded when it is more than this share of the time that is left to be drawn.
_SHARE = 0.12
_MOST_FOLDS = 6

# How wide a folded gap is, in pixels.
NARROW = 46.0

_US = timedelta(microseconds=1)
_S = 1_000_000
_DAY = 86_400 * _S

# The steps between ticks, in microseconds: 1, 2, 5 below a second, then what clocks and calendars have.
_STEPS = (
    *(number * 10**power for power in range(6) for number in (1, 2, 5)),
    *(number * _S for number in (1, 2, 5, 10, 15, 30)),
    *(number * 60 * _S for number in (1, 2, 5, 10, 15, 30)),
    *(number * 3600 * _S for number in (1, 2, 3, 6, 12)),
    *(number * _DAY for number in (1, 2, 7, 14, 30, 60, 90, 180, 365)),
)


@attrs.frozen
class Idle:
    """A gap without work that is drawn narrow.

    Attributes:
        begin: From when.
        end: Until when.
        word: What it was.
    """

    begin: datetime
    end: datetime
    word: str = "idle"


@attrs.frozen
class Tick:
    """A round time on the axis.

    Attributes:
        x: Where.
        label: How long after the begin.
    """

    x: float
    label: str


@attrs.frozen
class Axis:
    """Where moments are drawn. Made by `axis_of`.

    Attributes:
        begin: The moment at the left end.
        end: The moment at the right end.
        left: The left end.
        right: The right end.
        idle: The folded gaps, in order.
    """

    begin: datetime
    end: datetime
    left: float
    right: float
    idle: tuple[Idle, ...]
    # Where pieces of one scale meet: microseconds since the begin, and where that is.
    _times: tuple[int, ...]
    _places: tuple[float, ...]

    def x(self, at: datetime) -> float:
        """Return where a moment is drawn; one before the begin or after the end, at that end."""
        us = (at - self.begin) // _US
        times, places = self._times, self._places
        piece = bisect_right(times, us)
        if piece == 0 or len(times) == 1:
            return self.left
        if piece == len(times):
            return self.right
        begin, end = times[piece - 1], times[piece]
        return places[piece - 1] + (us - begin) / (end - begin) * (places[piece] - places[piece - 1])

    def ticks(self, room: float = 90.0) -> tuple[Tick, ...]:
        """Return ticks that are at least `room` apart, none of them inside of a folded gap."""
        whole = self._times[-1]
        folded = sum((gap.end - gap.begin) // _US for gap in self.idle)
        gaps = [(self.x(gap.begin), self.x(gap.end)) for gap in self.idle]
        drawn = self.right - self.left - sum(end - begin for begin, end in gaps)
        if whole == 0 or drawn <= 0:
            return (Tick(self.left, "0"),)
        least = (whole - folded) / drawn * room
        step = next((step for step in _STEPS if step >= least), -(-int(least) // _STEPS[-1]) * _STEPS[-1])
        return tuple(self._ticks(step))

    def _ticks(self, step: int) -> Iterator[Tick]:
        """Give the multiples of a step that fall where the axis is to scale; not by going through a year of gap."""
        edges = [0, *((moment - self.begin) // _US for gap in self.idle for moment in (gap.begin, gap.end))]
        edges.append(self._times[-1])
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            for us in range(-(-begin // step) * step, end + 1, step):
                label = elapsed(us)
                if label:
                    yield Tick(self.x(self.begin + us * _US), label)


def elapsed(us: int) -> str:
    """Return a time since the begin, exact in two units: `5 min`, `1 h 30 min`; empty when it needs more of them."""
    for unit, size, lesser, lesser_size in (
        ("d", _DAY, "h", 3600 * _S),
        ("h", 3600 * _S, "min", 60 * _S),
        ("min", 60 * _S, "s", _S),
    ):
        if us >= size:
            rest = us % size
            if rest % lesser_size:
                return ""
            return f"{us // size} {unit}" + (f" {rest // lesser_size} {lesser}" if rest else "")
    for unit, size in (("s", _S), ("ms", 1000), ("µs", 1)):
        if us >= size:
            return f"{us / size:.6g} {unit}"
    return "0"


def lasted(delta: timedelta) -> str:
    """Return how long something took, also when it was microseconds: `640 µs`, `310 ms`, `3 min 20 s`."""
    us = delta // _US
    return f"{us} µs" if 0 < us < 1000 else span(delta)


def roughly(delta: timedelta) -> str:
    """Return a length in one unit, the largest that is not far off: `98 s`, `25 min`, `3 d`."""
    us = delta // _US
    for unit, size in (("d", _DAY), ("h", 3600 * _S), ("min", 60 * _S), ("s", _S), ("ms", 1000)):
        whole = round(us / size)
        if whole and abs(whole * size - us) < us * 0.1:
            return f"{whole:,} {unit}"
    return lasted(delta)


def idle_of(begin: datetime, end: datetime, busy: Iterable[tuple[datetime, datetime]]) -> tuple[Idle, ...]:
    """Return the gaps to fold, in order.

    The longest comes first, then the next, as long as each is a large part of the time that is then left: a wait of an
    hour is long once the month beside it is folded. If nothing is left, nothing is folded.

    Args:
        begin: The left end of the axis.
        end: Its right end.
        busy: From when to when there was work; a moment at which something happened is (at, at).
    """
    gaps: list[Idle] = []
    reached = begin
    for start, stop in sorted(busy):
        if start > reached:
            gaps.append(Idle(reached, min(start, end)))
        reached = max(reached, start, stop)
    if reached < end:
        gaps.append(Idle(reached, end))
    left = end - begin
    folded: list[Idle] = []
    for gap in sorted(gaps, key=lambda gap: gap.begin - gap.end)[:_MOST_FOLDS]:
        if gap.end - gap.begin <= left * _SHARE:
            break
        left -= gap.end - gap.begin
        folded.append(gap)
    return tuple(sorted(folded, key=lambda gap: gap.begin)) if left else ()


def axis_of(
    begin: datetime,
    end: datetime,
    idle: tuple[Idle, ...] = (),
    *,
    left: float,
    right: float,
    narrow: float = NARROW,
) -> Axis:
    """Lay an axis out.

    Args:
        begin: The moment at the left end.
        end: The moment at the right end.
        idle: What is folded: `idle_of(...)`, or nothing.
        left: Its left end, in pixels or columns.
        right: Its right end.
        narrow: How wide a folded gap is.
    """
    narrow = min(narrow, (right - left) / 2 / len(idle)) if idle else 0.0
    folded = sum((gap.end - gap.begin for gap in idle), timedelta(0))
    scale = (right - left - narrow * len(idle)) / max((end - begin - folded) / _US, 1)
    times, places = [0], [left]
    for gap in idle:
        if gap.begin > begin:
            _extend(times, places, (gap.begin - begin) // _US, scale)
        times.append((gap.end - begin) // _US)
        places.append(places[-1] + narrow)
    whole = (end - begin) // _US
    if whole > times[-1]:
        _extend(times, places, whole, scale)
    return Axis(begin, end, left, right, idle, tuple(times), tuple(places))


def _extend(times: list[int], places: list[float], us: int, scale: float) -> None:
    places.append(places[-1] + (us - times[-1]) * scale)
    times.append(us)


def draw_axis(axis: Axis, top: float, bottom: float, *, room: float = 90.0) -> Markup:
    """Draw the ticks, their labels above `top`, and the folded gaps down to `bottom`.

    Args:
        axis: The axis, in pixels.
        top: Where the grid begins; the labels need 20 pixels above it.
        bottom: Where it ends.
        room: How far apart ticks are, at least.
    """
    taken: list[tuple[float, float]] = []
    marks: list[Markup] = []
    for gap in sorted(axis.idle, key=lambda gap: gap.begin - gap.end):  # the longest one's label comes first
        begin, end = axis.x(gap.begin), axis.x(gap.end)
        marks.append(rect(begin, top, end - begin, bottom - top, "idle"))
        marks += [rect(begin + (end - begin) * part - 1.2, top, 2.4, bottom - top, "band") for part in (0.42, 0.58)]
        length = roughly(gap.end - gap.begin)
        for told in (f"{length} {gap.word}", length):
            label = _placed(told, (begin + end) / 2, top, taken, bold=True)
            if label:
                marks.append(label)
                break
    for tick in axis.ticks(room):
        line = f"stroke:{paint('grid')}"
        marks.append(
            element("line", x1=f"{tick.x:.1f}", x2=f"{tick.x:.1f}", y1=f"{top:.1f}", y2=f"{bottom:.1f}", style=line)
        )
        label = _placed(tick.label, tick.x, top, taken)
        if label:
            marks.append(label)
    return element("g", marks)


def _placed(
    told: str, middle: float, top: float, taken: list[tuple[float, float]], *, bold: bool = False
) -> Markup | None:
    """Write a label of the axis, if there is room for it."""
    half = words_width(told, 11, bold=bold) / 2
    if any(begin < middle + half + 6 and middle - half - 6 < end for begin, end in taken):
        return None
    taken.append((middle - half, middle + half))
    return words(middle, top - 7, told, size=11, anchor="middle", fill="fg" if bold else "dim", bold=bold)
