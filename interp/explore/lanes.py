"""A run laid out in lanes: one line of time for each fiber, with what it did and what it waited for. Pure.

A fiber waits for one thing at a time, so what is drawn in a lane never overlaps; hundreds of commands need only as
many lanes as there were fibers at once. Fibers of one owner that have the same name, one after the other, share a lane:
a loop that races a signal against a timer a hundred times has two lanes beside its own, not two hundred.

Everything comes from the records, so the lanes of a run can be drawn without its code. What they do not tell is not
made up: when the attempt began that a lost worker left behind is unknown, and so is what came of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from interp.events import (
    CancelRequested,
    ContinuedAs,
    Failed,
    Outgrown,
    Retried,
    Transition,
    WasCancelled,
    WorkerLost,
)
from interp.explore.chart import ATTEMPTS, Chart, Kind, Lane, Note, Segment, Tone
from interp.explore.names import fiber_names, is_instant, root_name
from interp.outline.nodes import Node, State
from interp.outline.tree import Tree
from interp.outline.words import count, elide, failure_line, long_history, one_line
from interp.runtime.live import moment
from interp.store import RunRow, Status

__all__ = ["lanes_of", "segments_of"]

# Longest text that a note quotes: a message, a reason; in characters. Longer ones are not cleaned as a whole.
_QUOTED = 400


def lanes_of(tree: Tree, history: Sequence[Transition], row: RunRow, now: datetime) -> Chart:
    """Lay a run out in lanes.

    Args:
        tree: Its history, folded.
        history: Its records, those that can be read.
        row: As the store lists it.
        now: The time of the picture, until which goes on what has not ended.
    """
    begin = tree.at or (history[0].at if history else now)
    recorded = max((transition.at for transition in history), default=begin)
    # The record that ended it may be one that cannot be read.
    is_open = tree.outcome is None and not row.status.ended and row.status is not Status.PARKED and bool(history)
    is_held = is_open and row.status is Status.RUNNING
    end = max(now, recorded) if is_open else recorded
    notes = (*_unread(begin, row.length - len(history)), *_notes(history, tree, row))
    losses = {note.end: note.begin for note in notes if note.tone is Tone.CRASH}
    root = _Builder(tree, fiber_names(tree), end, is_open, is_held, losses).root(begin, root_name(tree, row.workflow))
    return Chart(begin, end, recorded, root, notes, is_open, is_held)


@attrs.frozen
class _Builder:
    """Makes lanes from the root down."""

    tree: Tree
    names: dict[str, str]
    now: datetime
    is_open: bool
    is_held: bool
    losses: dict[datetime, datetime]
    alike: dict[tuple[int, str], list[Lane]] = attrs.field(factory=dict[tuple[int, str], list["Lane"]])

    def root(self, begin: datetime, name: str) -> Lane:
        lane = Lane(name, 0, begin, begin, path=name)
        self._fill(lane, "")
        lane.end = self.now
        lane.is_open = self.is_open
        return lane

    def _fill(self, lane: Lane, fiber: str) -> None:
        """Add a fiber, and all below it, to its lane."""
        lane.fibers.append(fiber)
        spans = [self._group(lane, group) for group in self.tree.owned.get(fiber, ())]
        own = list(self._own(lane, fiber))
        lane.end = max([lane.end, *(segment.end for segment in own), *(end for _, end in spans)])
        lane.is_open |= any(segment.is_open for segment in own) or any(below.is_open for below in lane.lanes)
        lane.segments += _with_waits(own, spans, lane.segments[-1].end if lane.segments else lane.begin)

    def _group(self, lane: Lane, group: str) -> tuple[datetime, datetime]:
        """Add the fibers of a group to lanes below; return from when to when there were any."""
        begins: list[datetime] = []
        ends: list[datetime] = []
        for fiber in self.tree.groups[group]:
            begin = self._begun(fiber)
            below = self._lane_for(lane, fiber, begin)
            self._fill(below, fiber)
            begins.append(begin)
            ends.append(below.end)
        return min(begins), max(ends)

    def _lane_for(self, owner: Lane, fiber: str, begin: datetime) -> Lane:
        name = self.names.get(fiber, fiber)
        alike = self.alike.setdefault((id(owner), name), [])
        for lane in alike:
            if lane.end <= begin and not lane.is_open:
                return lane
        lane = Lane(name, owner.depth + 1, begin, begin)
        lane.path = f"{owner.path} › {name}" if owner.depth else name
        owner.lanes.append(lane)
        alike.append(lane)
        return lane

    def _begun(self, fiber: str) -> datetime:
        """Return when a fiber began: when it, or a fiber below, came to its first command."""
        own = [node.at for node in self.tree.fibers.get(fiber, ())[:1]]
        below = [self._begun(self.tree.groups[group][0]) for group in self.tree.owned.get(fiber, ())[:1]]
        return min([*own, *below], default=self.now)

    def _own(self, lane: Lane, fiber: str) -> Iterator[Segment]:
        """Give what the commands of a fiber show, one after the other."""
        nodes = self.tree.fibers.get(fiber, [])
        waited = [node for node in nodes if not is_instant(node)]
        lane.instants += [node for node in nodes if is_instant(node) and node.early is None]
        lane.signals += [node for node in nodes if node.early is not None]
        reached = lane.segments[-1].end if lane.segments else lane.begin
        limits = [node.at for node in waited[1:]] + [self.now]
        for node, limit in zip(waited, limits, strict=False):
            limit = max(limit, reached)
            for segment in segments_of(node, self.now, self.losses, is_held=self.is_held):
                begin = min(max(segment.begin, reached), limit)
                end = min(max(segment.end, begin), limit)
                if end > begin or segment.kind in ATTEMPTS or segment.is_last:
                    is_whole = begin == segment.begin and end == segment.end
                    yield segment if is_whole else attrs.evolve(segment, begin=begin, end=end)
                    reached = end
                lane.failures += segment.kind in (Kind.FAILED, Kind.LOST)
            if node.record.kind in ("await_signal", "await_request") and node.state is State.DONE:
                lane.signals.append(node)


def segments_of(node: Node, now: datetime, losses: Mapping[datetime, datetime], *, is_held: bool) -> Iterator[Segment]:
    """Give what a command that was waited for shows, one after the other, from when it was yielded to its answer.

    Args:
        node: The command.
        now: Until when goes on what has no answer.
        losses: When workers were taken over from, and when each was known to be alive.
        is_held: Whether a call without an answer is at work.
    """
    end = node.ended or now
    kind = node.record.kind
    if kind in ("call", "transact"):
        at, again_at = node.at, node.at
        for tried in node.tries:
            if tried.failure is None:  # its worker was lost
                down = max(losses.get(tried.ended, at), at)
                yield Segment(Kind.LOST, at, down, node, tried.number)
                yield from _waits(node, tried.number + 1, down, tried.ended, tried.ended, Kind.DOWN)
            else:
                begun = min(tried.begun or again_at, tried.ended)
                yield from _waits(node, tried.number, at, again_at, begun)
                yield Segment(Kind.FAILED, max(begun, at), tried.ended, node, tried.number, tried.failure)
            at, again_at = tried.ended, tried.retry_at or tried.ended
        yield from _final(node, at, again_at, end, is_held=is_held)
        return
    if kind in ("sleep", "sleep_until"):
        shown = Kind.SLEEP
    else:
        shown = Kind.CHILD if kind in ("child", "send") else Kind.SIGNAL
    is_open = node.state is State.WAITS
    yield Segment(shown, node.at, end, node, failure=node.failure, is_open=is_open, is_last=True)


def _final(node: Node, at: datetime, again_at: datetime, end: datetime, *, is_held: bool) -> Iterator[Segment]:
    """Give the attempt that brought the answer, or is awaited."""
    match node.state:
        case State.WAITS:
            begun = max(at, min(again_at, end)) if is_held else end
            waits = list(_waits(node, node.attempt, at, again_at, begun))
            if begun < end or not waits:
                waits.append(Segment(Kind.RAN if is_held else Kind.QUEUED, begun, end, node, node.attempt))
            yield from waits[:-1]
            yield attrs.evolve(waits[-1], is_open=True, is_last=True)
        case State.WITHDRAWN:
            begun = min(max(at, again_at), end)
            yield from _waits(node, node.attempt, at, again_at, begun)
            yield Segment(Kind.WITHDRAWN, begun, end, node, node.attempt, is_last=True)
        case State.DONE | State.FAILED | State.TIMED_OUT:
            begun = min(max(node.begun or again_at, at), end)
            yield from _waits(node, node.attempt, at, again_at, begun)
            kind = Kind.RAN if node.failure is None else Kind.FAILED
            yield Segment(kind, begun, end, node, node.attempt, node.failure, is_last=True)


def _waits(
    node: Node, attempt: int, at: datetime, again_at: datetime, until: datetime, kind: Kind = Kind.RETRY
) -> Iterator[Segment]:
    """Give the wait before an attempt: until it may begin, and from then on for a worker."""
    again_at = min(max(again_at, at), until)
    if again_at > at:
        yield Segment(kind, at, again_at, node, attempt)
    if until > again_at:
        yield Segment(Kind.QUEUED, again_at, until, node, attempt)


def _with_waits(
    own: Sequence[Segment], spans: Iterable[tuple[datetime, datetime]], reached: datetime
) -> Iterator[Segment]:
    """Put the waits for branches where a fiber had none of its own commands to wait for."""
    left = deque(_joined(spans))
    for segment in [*own, None]:
        while left and (segment is None or left[0][0] < segment.begin):
            begin, end = left[0]
            stop = end if segment is None else min(end, segment.begin)
            if stop > max(begin, reached):
                yield Segment(Kind.BRANCHES, max(begin, reached), stop)
            if segment is not None and end > segment.begin:
                break  # it goes on beside the command
            left.popleft()
        if segment is not None:
            yield segment
            reached = segment.end


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, datetime]]:
    """Give stretches of time in order, those that meet as one."""
    held: tuple[datetime, datetime] | None = None
    for begin, end in sorted(spans):
        if held is not None and begin <= held[1]:
            held = (held[0], max(held[1], end))
            continue
        if held is not None:
            yield held
        held = (begin, end)
    if held is not None:
        yield held


# What happened to the run as a whole.


def _unread(begin: datetime, number: int) -> Iterator[Note]:
    if number > 0:
        told = f"{count(number, 'record')} cannot be read: what {'it' if number == 1 else 'they'} told is missing here"
        yield Note(begin, begin, "?", told, Tone.BAD)


def _notes(history: Sequence[Transition], tree: Tree, row: RunRow) -> Iterator[Note]:
    before: datetime | None = None
    if tree.started is not None and tree.started.forked_from and tree.started.forked_from[-1].length:
        origin, created = tree.started.forked_from[-1], moment(row.created_us)
        told = f"forked from {_quoted(origin.run_id)} at record {origin.length}"
        yield Note(created, created, "↳", told, Tone.ODD)
    for transition in history:
        at, event = transition.at, transition.cause
        begin = min(before or at, at)
        match event:
            case WorkerLost():
                yield Note(begin, at, "▲", _lost(event, transition.index), Tone.CRASH)
            case CancelRequested():
                why = _quoted(event.reason)
                yield Note(at, at, "■", f"cancellation asked for{': ' if why else ''}{why}", Tone.ODD)
            case Retried():
                yield Note(begin, at, "↻", f"retried after {failure_line(event.failure, _QUOTED)}", Tone.ODD)
            case Outgrown():
                yield Note(at, at, "≡", f"long history: {long_history(event)}", Tone.DIM)
            case _:
                pass
        before = at
    end = before
    if end is None:
        return
    match tree.outcome:
        case Failed(failure):
            yield Note(end, end, "✗", f"failed: {failure_line(failure, _QUOTED)}", Tone.BAD)
        case WasCancelled(reason):
            yield Note(end, end, "✗", f"cancelled{': ' if reason else ''}{_quoted(reason)}", Tone.BAD)
        case ContinuedAs(started):
            yield Note(end, end, "→", f"continued as round {started.round + 1}", Tone.ODD)
        case _ if row.status is Status.PARKED:
            why = _quoted(row.reason) or "no reason is known"
            yield Note(end, end, "✗", f"parked: {why}", Tone.BAD)
        case _:
            pass


def _lost(event: WorkerLost, replayed: int) -> str:
    lost = f"{_quoted(event.worker)} lost" if event.worker else "taken up again"
    by = _quoted(event.successor) or "another worker"
    return f"{lost} · {by} replayed {count(replayed, 'record')}"


def _quoted(text: str) -> str:
    return elide(one_line(text[: 2 * _QUOTED]), _QUOTED)
