"""Numbers over many runs: percentiles, spans of time, calls in groups, histograms. Pure: the views draw them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import attrs

from interp.explore.commands import CALLS
from interp.explore.frames import Frame
from interp.outline.nodes import State
from interp.outline.words import span

__all__ = [
    "Group",
    "Scale",
    "groups_of",
    "percentile",
    "period",
    "scale_of",
    "share",
]


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return what so large a part of the values is not above: linear between two values (Hyndman and Fan, type 7).

    Args:
        ordered: The values, in ascending order; at least one.
        part: From 0 to 1.
    """
    place = (len(ordered) - 1) * part
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def period(seconds: float) -> str:
    """Return a span of time in at most two units: `840 µs`, `4.2 ms`, `2 min 5 s`; short ones finer than elsewhere."""
    if seconds < 0.0995:
        return f"{seconds * 1e6:.0f} µs" if seconds < 0.0009995 else f"{seconds * 1e3:.2g} ms"
    return span(timedelta(seconds=seconds))


def share(part: float, whole: float) -> str:
    """Return a share in percent, `–` for none: what is not nothing is never written as 0 %."""
    if not part or not whole:
        return "–"
    percent = 100 * part / whole
    return "<1 %" if percent < 0.995 else ">99 %" if 99.5 <= percent < 100 else f"{percent:.0f} %"


# Calls in groups.


@attrs.frozen
class Group:
    """The calls of one activity, or whatever they were grouped by.

    Attributes:
        name: What they have in common.
        number: How many there are.
        took: How long the attempts took that gave answers, in seconds, in ascending order.
        queued: How long the calls waited for a worker, in seconds, in ascending order.
        worked: Seconds of all attempts together.
        attempts: How many attempts there were.
        failed: How many of them failed.
        lost: How many were lost with their workers.
        unsuccessful: How many calls failed for good.
    """

    name: str
    number: int
    took: tuple[float, ...]
    queued: tuple[float, ...]
    worked: float
    attempts: int
    failed: int
    lost: int
    unsuccessful: int


def groups_of(commands: Frame, by: str) -> list[Group]:
    """Group calls by a column; what took most work comes first.

    Args:
        commands: Rows of `Journal.commands`.
        by: Name of a column.

    Raises:
        UsageError: There is no such column.
    """
    names = ("kind", "took_s", "queued_s", "worked_s", "attempts", "failed_attempts", "lost_attempts", "status")
    rows: defaultdict[str, list[tuple[float | None, float | None, float | None, int, int, int, str]]] = defaultdict(
        list
    )
    for key, kind, *row in zip(commands[by], *(commands[name] for name in names), strict=True):
        if kind in CALLS:
            rows[str(key)].append(tuple(row))
    groups = [_group(name, found) for name, found in rows.items()]
    return sorted(groups, key=lambda group: (-group.worked, group.name))


def _group(name: str, rows: list[tuple[float | None, float | None, float | None, int, int, int, str]]) -> Group:
    took, queued, worked, attempts, failed, lost, status = zip(*rows, strict=True)
    return Group(
        name,
        len(rows),
        tuple(sorted(value for value in took if value is not None)),
        tuple(sorted(value for value in queued if value is not None)),
        sum(value for value in worked if value is not None),
        sum(attempts),
        sum(failed),
        sum(lost),
        sum(value == State.FAILED.value for value in status),
    )


# Latencies below a microsecond cannot be told from none.
_LEAST = 1e-6


@attrs.frozen
class Scale:
    """A logarithmic axis of seconds.

    Attributes:
        least: Seconds at its left end.
        most: Seconds at its right end.
    """

    least: float
    most: float

    def place(self, seconds: float) -> float:
        """Return where a time is, from 0 to 1."""
        return math.log(max(seconds, self.least) / self.least) / math.log(self.most / self.least)

    def bins(self, values: Sequence[float], number: int) -> list[int]:
        """Count values in so many steps of one width."""
        counts = [0] * number
        for value in values:
            counts[min(int(self.place(value) * number), number - 1)] += 1
        return counts

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Give round times on the axis, with their labels."""
        for seconds, label in _TICKS:
            if self.least <= seconds <= self.most:
                yield seconds, label


_TICKS = (
    (1e-6, "1 µs"),
    (1e-5, "10 µs"),
    (1e-4, "100 µs"),
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (0.1, "100 ms"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (36_000.0, "10 h"),
    (86_400.0, "1 d"),
    (864_000.0, "10 d"),
    (8_640_000.0, "100 d"),
)


def scale_of(groups: Iterable[Group]) -> Scale:
    """Return the axis that holds all latencies of some groups."""
    ends = [value for group in groups if group.took for value in (group.took[0], group.took[-1])]
    least = max(min(ends, default=1.0), _LEAST)
    most = max(max(ends, default=1.0), least)
    room = max((most / least) ** 0.02, 1.05)
    if most / least < 4:  # all alike: an axis of one instant would blow its noise up
        room = max(room, 2.0)
    return Scale(least / room, most * room)
