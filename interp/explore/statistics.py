"""Numbers over many runs: percentiles, histograms, spans of time, failures grouped. Pure: the views draw them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import attrs

from interp.events import Failed, Failure
from interp.explore.commands import CALLS, Past, attempts_of, short_name
from interp.explore.frames import Frame
from interp.outline.nodes import Node, State
from interp.outline.tree import tree_of
from interp.outline.words import elide, one_line

__all__ = [
    "AT_WORK",
    "QUEUED",
    "RETRY",
    "UNKNOWN",
    "Doing",
    "FailureGroup",
    "Group",
    "Scale",
    "doings",
    "failure_groups",
    "groups_of",
    "percentile",
    "period",
    "scale_of",
    "shape_of",
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
    """Return a span of time in at most two units: `840 µs`, `4.2 ms`, `2 min 5 s`."""
    if seconds < 0.0995:
        return f"{seconds * 1e6:.0f} µs" if seconds < 0.0009995 else f"{seconds * 1e3:.2g} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, lesser, lesser_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def share(part: float, whole: float) -> str:
    """Return a share in percent, `–` for none: what is not nothing is never written as 0 %."""
    if not part or not whole:
        return "–"
    percent = 100 * part / whole
    return "<1 %" if percent < 0.995 else ">99 %" if 99.5 <= percent < 100 else f"{percent:.0f} %"


# Latency.


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


# What calls did over time.


@attrs.frozen
class Doing:
    """What a call did for a while.

    Attributes:
        activity: Name of the activity.
        what: `at work`, `queued`, `waits to try again`, `outcome unknown`.
        begin: From when.
        end: Until when.
    """

    activity: str
    what: str
    begin: datetime
    end: datetime


AT_WORK, QUEUED, RETRY, UNKNOWN = "at work", "queued", "waits to try again", "worker lost"


def doings(node: Node, until: datetime) -> Iterator[Doing]:
    """Give what a call did, in order.

    Args:
        node: The call.
        until: The last moment that is known of its run, for what has not ended.
    """
    if node.record.kind not in CALLS:
        return
    name, ready = node.record.target, node.at
    for attempt in node.tries:
        if attempt.begun is None:
            yield Doing(name, UNKNOWN, ready, attempt.ended)
        else:
            yield Doing(name, QUEUED, ready, attempt.begun)
            yield Doing(name, AT_WORK, attempt.begun, attempt.ended)
        ready = attempt.ended
        if attempt.retry_at is not None:
            retry_at = min(attempt.retry_at, node.ended or until)
            yield Doing(name, RETRY, attempt.ended, retry_at)
            ready = max(retry_at, attempt.ended)
    ended = node.ended or until
    if node.begun is not None:
        yield Doing(name, QUEUED, ready, node.begun)
        yield Doing(name, AT_WORK, node.begun, ended)
    elif node.state is State.WAITS and ended > ready:
        yield Doing(name, QUEUED, ready, ended)  # or at work: that is recorded when it ends


# Failures.

# What differs between two messages of one kind: quoted text, ids, and whatever begins with a digit.
_PARTICULAR = re.compile(
    r"""(?<!\w)'[^']*'(?!\w) | "[^"]*"
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b
    | \d(?:[\w.:-]*\w)?""",
    re.VERBOSE,
)

_SHAPE = 90

# Runs that are named as examples.
_EXAMPLES = 3


@attrs.define
class FailureGroup:
    """Failures that are alike: one type, one activity, one shape of message.

    Attributes:
        type_name: Name of the exception's class.
        activity: Name of the activity; empty for what the workflow itself raised.
        shape: The message with what differs left out.
        message: One of the messages, whole.
        tries: How many attempts failed with it.
        calls: How many calls failed for good with it.
        runs_failed: How many runs ended with it.
        runs: In which runs it happened; in order.
        last: When it happened last.
    """

    type_name: str
    activity: str
    shape: str
    message: str
    tries: int = 0
    calls: int = 0
    runs_failed: int = 0
    runs: dict[str, None] = attrs.field(factory=dict[str, None])
    last: datetime | None = None

    @property
    def examples(self) -> list[str]:
        """Ids of a few of the runs."""
        return [*self.runs][:_EXAMPLES]


def failure_groups(pasts: Iterable[Past]) -> list[FailureGroup]:
    """Group failures; those that ended runs come first, then those of most attempts.

    Args:
        pasts: The runs; each is looked at once.
    """
    groups: dict[tuple[str, str, str], FailureGroup] = {}

    def group(past: Past, activity: str, failure: Failure, at: datetime | None) -> FailureGroup:
        shape = shape_of(failure.message)
        key = (failure.type_name, activity, shape)
        if key not in groups:
            groups[key] = FailureGroup(
                short_name(failure), activity, shape, elide(one_line(failure.message[:2000]), 400)
            )
        found = groups[key]
        found.runs[past.run] = None
        found.last = at if found.last is None else max(found.last, at or found.last)
        return found

    for past in pasts:
        tree = tree_of(past.history)
        for node in tree.nodes.values():
            target = node.record.target if node.record.kind in CALLS | {"child"} else ""
            for attempt in node.tries:
                if attempt.failure is not None:
                    group(past, target, attempt.failure, attempt.ended).tries += 1
            if node.state is State.FAILED and node.failure is not None:
                found = group(past, target, node.failure, node.ended)
                found.calls += 1
                found.tries += node.record.kind in CALLS and attempts_of(node).number > len(node.tries)
        if isinstance(tree.outcome, Failed):
            group(past, "", tree.outcome.failure, tree.last_at).runs_failed += 1
    return sorted(groups.values(), key=lambda each: (-each.runs_failed, -each.calls, -each.tries, each.type_name))


def shape_of(message: str) -> str:
    """Return what messages of one kind have in common: `no room in …: … of … used`."""
    return elide(_PARTICULAR.sub("…", one_line(message[:2000])), _SHAPE)
