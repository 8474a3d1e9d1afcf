"""How lanes are drawn: bars for attempts, lines for waits, and what each of them tells when it is pointed at.

Colour tells activities apart and nothing else: a failed attempt is hatched, an unknown outcome dashed, a wait a line.
The hatching is drawn line by line, because patterns are found by an id, and ids of several pictures on one page meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from interp.explore.axis import Axis, lasted
from interp.explore.chart import ATTEMPTS, Kind, Lane, Segment
from interp.explore.markup import Markup, element
from interp.explore.names import activity_name, command_line
from interp.explore.picture import ink_on, paint, rect, words, words_width
from interp.explore.theme import hues_of
from interp.outline.nodes import Node, State
from interp.outline.words import count, elide, failure_line, heading, one_line, recorded

__all__ = ["clusters", "draw_lane", "hue_key", "hues_for", "least_of", "sample", "told"]

# What is drawn together is at least so wide, in pixels: below it bars cannot be told apart. It is wider where there
# would be more marks than a page shows in no time.
_LEAST = 3.0
_MOST_MARKS = 2500

# Of so many that are drawn as one, one that failed decides how they look; of more, it is only marked.
_FEW = 4

_PLAIN = "#8b949e"  # of what has no activity; seen on light and dark


def hue_key(node: Node) -> str:
    """Return what decides on a command's colour: its activity, by the whole name."""
    return node.record.target if node.record.kind in ("call", "transact", "child") else ""


def hues_for(lanes: Iterable[Lane]) -> dict[str, str]:
    """Give each activity of some lanes its colour, in the order in which they first came."""
    firsts: dict[str, datetime] = {}
    for lane in lanes:
        for segment in lane.segments:
            key = "" if segment.node is None else hue_key(segment.node)
            if key and (key not in firsts or segment.begin < firsts[key]):
                firsts[key] = segment.begin
    return hues_of(sorted(firsts, key=lambda key: firsts[key]))


def least_of(lanes: Iterable[Lane], axis: Axis) -> float:
    """Return how wide what is drawn together must be, so that some lanes do not have too many marks."""
    rows = [(len(lane.segments), axis.x(lane.end) - axis.x(lane.begin)) for lane in lanes]
    least = _LEAST
    while sum(min(number, width / least) for number, width in rows) > _MOST_MARKS:
        least *= 1.5
    return least


def clusters(segments: Sequence[Segment], axis: Axis, least: float) -> Iterator[list[Segment]]:
    """Give what is drawn as one: a segment, or several that are too close together to be seen."""
    held: list[Segment] = []
    begin = axis.left
    for segment in segments:
        if held and axis.x(segment.end) - begin >= least:
            yield held
            held = []
        if not held:
            begin = axis.x(segment.begin)
        held.append(segment)
    if held:
        yield held


def draw_lane(
    lane: Lane,
    axis: Axis,
    middle: float,
    height: float,
    hues: Mapping[str, str],
    begin: datetime,
    least: float = _LEAST,
) -> Markup:
    """Draw what a lane did.

    Args:
        lane: The lane.
        axis: The time axis.
        middle: Where the middle of the lane is.
        height: How high its bars are.
        hues: The colours of activities.
        begin: When the run began.
        least: How wide what is drawn together must be: `least_of(...)`.
    """
    drawn: list[Markup] = []
    for group in clusters(lane.segments, axis, least):
        shown = _chief(group)
        left, right = axis.x(group[0].begin), axis.x(group[-1].end)
        hue = _PLAIN if shown.node is None else hues.get(hue_key(shown.node), _PLAIN)
        shape = _shape(shown, left, right, middle, height, hue)
        if shown.kind is not Kind.FAILED and any(segment.kind is Kind.FAILED for segment in group):
            shape.append(rect(left, middle - height / 2, max(right - left, 2.0), 4, "crash"))
        title = element("title", _summary(group, begin) if len(group) > 1 else told(shown, begin))
        drawn.append(element("g", title, shape))
    drawn += [_diamond(node, axis, middle, height, begin) for node in lane.signals]
    return element("g", drawn)


def _chief(group: Sequence[Segment]) -> Segment:
    """Return the one that stands for several: the longest that did something, of a few one that failed."""
    failed = [segment for segment in group if segment.kind in (Kind.FAILED, Kind.LOST)]
    at_work = [segment for segment in group if segment.kind in ATTEMPTS]
    if failed and len(group) <= _FEW:
        return failed[-1]
    return max(at_work or group, key=lambda segment: segment.end - segment.begin)


def _shape(segment: Segment, left: float, right: float, middle: float, height: float, hue: str) -> list[Markup]:
    if segment.kind not in ATTEMPTS:
        return _line(segment, left, right, middle, height, hue)
    top, width = middle - height / 2, max(right - left, 2.0)
    point = min(height / 3, width / 2) if segment.is_open else 0.0
    outline = _bar(left, top, width, height, point)
    match segment.kind:
        case Kind.FAILED:
            return [
                element("path", d=outline, style=f"fill:{paint('card')};stroke:{paint('crash')};stroke-width:1.2"),
                _hatching(left, top, width, height, "crash"),
            ]
        case Kind.LOST:
            style = f"fill:{paint('card')};stroke:{hue};stroke-width:1.2;stroke-dasharray:3 2"
            return [element("path", d=outline, style=style), _hatching(left, top, width, height, hue)]
        case Kind.WITHDRAWN:
            return [element("path", d=outline, style=f"fill:{hue};fill-opacity:.3")]
        case Kind.CHILD:
            marks = [element("path", d=outline, style=f"fill:{hue};fill-opacity:.35;stroke:{hue};stroke-width:1.2")]
            return marks + _name(segment, left, width - point, middle, "fg")
        case _:
            marks = [element("path", d=outline, style=f"fill:{hue}")]
            return marks + _name(segment, left, width - point, middle, ink_on(hue))


def _name(segment: Segment, left: float, width: float, middle: float, ink: str) -> list[Markup]:
    if segment.node is None or width < 24:
        return []
    name = activity_name(segment.node.record)
    return [words(left + 6, middle + 4, name, size=11, fill=ink)] if words_width(name, 11) + 10 <= width else []


def _bar(left: float, top: float, width: float, height: float, point: float) -> str:
    """Return the outline of a bar; one that goes on ends in a point."""
    curve = min(2.0, width / 2)
    right = left + width - point
    end = f"l{point:.1f} {height / 2:.1f}l{-point:.1f} {height / 2:.1f}" if point else f"v{height:.1f}"
    lower = f"q{-curve:.1f} 0 {-curve:.1f} {-curve:.1f}"
    upper = f"q0 {-curve:.1f} {curve:.1f} {-curve:.1f}"
    start = left + curve
    return f"M{start:.1f} {top:.1f}H{right:.1f}{end}H{start:.1f}{lower}v{2 * curve - height:.1f}{upper}Z"


def _hatching(left: float, top: float, width: float, height: float, colour: str) -> Markup:
    """Draw slanted lines through a rectangle, each cut off at its edges."""
    lines: list[str] = []
    start = -height + 3.0
    while start < width:
        begin, end = max(start, 0.0), min(start + height, width)
        if end > begin:
            lines.append(
                f"M{left + begin:.1f} {top + height - (begin - start):.1f}l{end - begin:.1f} {begin - end:.1f}"
            )
        start += 6.0
    return element("path", d="".join(lines), style=f"stroke:{paint(colour)};stroke-width:1.8;fill:none")


_LINES = {
    Kind.QUEUED: "stroke-width:2;stroke-opacity:.6",
    Kind.DOWN: "stroke-width:2;stroke-opacity:.6",
    Kind.RETRY: "stroke-width:2;stroke-opacity:.75;stroke-dasharray:5 4",
    Kind.SLEEP: "stroke-width:2.2;stroke-dasharray:.1 5;stroke-linecap:round",
    Kind.SIGNAL: "stroke-width:2.5;stroke-opacity:.6",
    Kind.BRANCHES: "stroke-width:1",
}


def _line(segment: Segment, left: float, right: float, middle: float, height: float, hue: str) -> list[Markup]:
    """Draw a wait: a line, and around it room to point at."""
    is_call = segment.kind in (Kind.QUEUED, Kind.DOWN, Kind.RETRY)
    colour = hue if is_call else "line" if segment.kind is Kind.BRANCHES else "dim"
    style = f"stroke:{paint(colour)};{_LINES[segment.kind]}"
    right = max(right, left + 1.5)
    marks = [
        rect(left, middle - height / 2, right - left, height, "none", pointer_events="all"),
        element("path", d=f"M{left:.1f} {middle:.1f}H{right:.1f}", style=style),
    ]
    if segment.is_open:
        tip = f"M{right - 4:.1f} {middle - 4:.1f}l4 4l-4 4"
        marks.append(element("path", d=tip, style=f"stroke:{paint(colour)};stroke-width:1.6;fill:none"))
    return marks


def _diamond(node: Node, axis: Axis, middle: float, height: float, begin: datetime) -> Markup:
    at, half = node.ended or node.at, min(height / 2, 6.5)
    x = axis.x(at)
    when = f"{_since(at, begin)}: {one_line(heading(node.record)[0])} came"
    early = "; it had come before it was awaited" if node.early is not None else ""
    title = element("title", elide(f"{when}{early}", _TITLE), f"\n→ {_payload(node.payload)}" if node.payload else None)
    path = f"M{x - half:.1f} {middle:.1f}l{half:.1f} {-half:.1f}l{half:.1f} {half:.1f}l{-half:.1f} {half:.1f}Z"
    return element("g", title, element("path", d=path, style=f"fill:{paint('odd')}"))


def sample(kind: Kind, x: float, middle: float) -> Markup:
    """Draw a sample of a kind, 18 pixels wide, for the legend."""
    segment = Segment(kind, _NO_TIME, _NO_TIME)
    return element("g", _shape(segment, x, x + 18, middle, 11, _PLAIN))


_NO_TIME = datetime.min.replace(tzinfo=UTC)


# What is told where one points at it.

_TITLE = 160


def told(segment: Segment, begin: datetime) -> str:
    """Tell what a segment is: the command, how it went, when, where in the source, and what came of it."""
    when = f"{_since(segment.begin, begin)}, {'so far' if segment.is_open else 'took'} {_length(segment)}"
    node = segment.node
    if node is None:
        return f"waits for its branches\n{when}"
    lines = [f"{node.id}  {command_line(node.record, _TITLE)}", f"{_state(segment)}\n{when}"]
    if node.record.where:
        lines.append(elide(one_line(node.record.where), _TITLE))
    if segment.failure is not None:
        lines.append(elide(failure_line(segment.failure), _TITLE))
    elif segment.is_last and node.payload not in (None, b"null"):
        lines.append(f"→ {_payload(node.payload)}")
    return "\n".join(lines)


def _payload(payload: bytes) -> str:
    return recorded(payload, _TITLE - 40)


def _state(segment: Segment) -> str:
    node = segment.node
    assert node is not None
    attempt = f"attempt {segment.attempt}"
    match segment.kind:
        case Kind.RAN:
            return f"{attempt}: {'at work' if segment.is_open else 'returned'}"
        case Kind.FAILED:
            return f"{attempt}: {'raised a declared error' if node.declared and segment.is_last else 'failed'}"
        case Kind.LOST:
            return f"{attempt}: its worker was lost; what came of it, and when it began if it did, is unknown"
        case Kind.WITHDRAWN:
            return f"{attempt}: withdrawn, nobody waits for it any more"
        case Kind.QUEUED | Kind.DOWN | Kind.RETRY:
            return f"{segment.kind.value}: {attempt}"
        case _ if node.state is State.TIMED_OUT:
            return "timed out"
        case _ if node.state is State.WITHDRAWN:
            return "withdrawn: nobody waits for it any more"
        case Kind.CHILD:
            return "waits for another run" if node.record.kind == "child" else "is delivered"
        case _:
            return str(segment.kind.value)


def _summary(group: Sequence[Segment], begin: datetime) -> str:
    """Tell what several segments are that are drawn as one."""
    nodes = {segment.node.id: segment.node for segment in group if segment.node is not None}
    names = Counter(activity_name(node.record) for node in nodes.values()).most_common(4)
    failed = sum(segment.kind in (Kind.FAILED, Kind.LOST) for segment in group)
    what = ", ".join(f"{number:,} × {name}" for name, number in names)
    bad = f"; {count(failed, 'attempt')} failed" if failed else ""
    took = lasted(group[-1].end - group[0].begin)
    return f"{count(len(nodes), 'command')}: {what}{bad}\n{_since(group[0].begin, begin)}, took {took}"


def _since(at: datetime, begin: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC, {lasted(at - begin)} after the begin"


def _length(segment: Segment) -> str:
    return lasted(segment.end - segment.begin)
