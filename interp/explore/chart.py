"""What is drawn of a run over time: its lanes and their segments, and what happened to the run as a whole. Pure.

`interp.explore.lanes` makes a chart of a history; the views draw it, as a picture or as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import attrs

from interp.events import Failure
from interp.explore.axis import Idle, idle_of
from interp.outline.nodes import Node

__all__ = ["ATTEMPTS", "Chart", "Kind", "Lane", "Note", "Segment", "Tone"]

# When no record came for more than this share of the whole time, that time is folded, whatever is at work.
_SILENT = 0.75


class Kind(Enum):
    """What a fiber did, or waited for."""

    RAN = "ran"
    FAILED = "failed"
    LOST = "outcome unknown"
    WITHDRAWN = "withdrawn"
    CHILD = "another run"
    QUEUED = "waits for a worker"
    DOWN = "waits for another worker to take over"
    RETRY = "waits to try again"
    SLEEP = "sleeps"
    SIGNAL = "waits for a signal"
    BRANCHES = "waits for its branches"


ATTEMPTS = frozenset({Kind.RAN, Kind.FAILED, Kind.LOST, Kind.WITHDRAWN, Kind.CHILD})
"""What is work, of this run or another: drawn as bars, and never folded away."""


@attrs.frozen
class Segment:
    """A stretch of a lane.

    Attributes:
        kind: What it was.
        begin: From when.
        end: Until when; for what goes on, the time of the picture.
        node: The command; None for the wait for branches.
        attempt: Which attempt, from 1.
        failure: Why that failed.
        is_open: Whether it goes on.
        is_last: Whether the command's answer came with it.
    """

    kind: Kind
    begin: datetime
    end: datetime
    node: Node | None = None
    attempt: int = 1
    failure: Failure | None = None
    is_open: bool = False
    is_last: bool = False


@attrs.define
class Lane:
    """The line of one fiber, or of several of one name, one after the other.

    Attributes:
        name: What the fiber is called.
        depth: How deep it is nested; the root is 0.
        begin: When it began.
        end: When its last command ended, or that of a fiber below.
        fibers: The ids of its fibers.
        segments: What it did, in order; they do not overlap.
        signals: The commands that a signal or request answered.
        instants: The commands that were answered at once.
        is_open: Whether it goes on.
        failures: How many attempts failed, or were lost.
        lanes: Those of the fibers that it started.
        path: Its name, and before it those of the lanes above but the root.
    """

    name: str
    depth: int
    begin: datetime
    end: datetime
    fibers: list[str] = attrs.field(factory=list[str])
    segments: list[Segment] = attrs.field(factory=list[Segment])
    signals: list[Node] = attrs.field(factory=list[Node])
    instants: list[Node] = attrs.field(factory=list[Node])
    is_open: bool = False
    failures: int = 0
    lanes: list[Lane] = attrs.field(factory=list["Lane"])
    path: str = ""

    def every(self) -> Iterator[Lane]:
        """Give the lane and all below it, in the order in which they are drawn."""
        yield self
        for lane in self.lanes:
            yield from lane.every()


class Tone(Enum):
    """How much a note matters, which decides on its colour."""

    CRASH = "crash"
    BAD = "bad"
    ODD = "odd"
    DIM = "dim"


@attrs.frozen
class Note:
    """What happened to the run as a whole.

    Attributes:
        begin: From when; the same as the end for a moment.
        end: Until when.
        mark: One character, so that colour is not needed.
        text: What happened.
        tone: How much it matters.
    """

    begin: datetime
    end: datetime
    mark: str
    text: str
    tone: Tone


@attrs.frozen
class Chart:
    """A run as lanes.

    Attributes:
        begin: When it began.
        end: When it ended, or the time of the picture.
        recorded: When the last record was written.
        root: The lane of the root fiber, with all others below it.
        notes: What happened to the run as a whole, in order.
        is_open: Whether it goes on.
        is_held: Whether it was at work when it was read.
    """

    begin: datetime
    end: datetime
    recorded: datetime
    root: Lane
    notes: tuple[Note, ...]
    is_open: bool
    is_held: bool

    @property
    def losses(self) -> dict[datetime, datetime]:
        """When runs were taken over from lost workers, and until when each of these was known to be alive."""
        return {note.end: note.begin for note in self.notes if note.tone is Tone.CRASH}

    def idle(self) -> tuple[Idle, ...]:
        """Return the gaps to fold, in order."""
        return tuple(attrs.evolve(gap, word=self._word(gap)) for gap in idle_of(self.begin, self.end, self._busy()))

    def _word(self, gap: Idle) -> str:
        """Say what a gap was: nobody was there, nobody was heard of, or there was nothing to do."""
        if any(begin <= gap.begin and gap.end <= end for end, begin in self.losses.items()):
            return "down"
        return "without a record" if self.is_held and gap.begin >= self.recorded else "idle"

    def _busy(self) -> Iterator[tuple[datetime, datetime]]:
        """Give the times at which something was done or happened: what the axis must not fold."""
        # What is at work since the last record may be at work indeed, or have died months ago with its machine.
        is_silent = self.end - self.recorded > (self.end - self.begin) * _SILENT
        heard = self.recorded if is_silent else self.end
        yield self.begin, self.begin
        yield self.recorded, self.recorded
        for note in self.notes:
            yield note.begin, note.begin
            yield note.end, note.end
        for lane in self.root.every():
            for segment in lane.segments:
                if segment.kind in ATTEMPTS:
                    yield segment.begin, max(min(segment.end, heard), segment.begin)
                elif segment.node is not None:
                    yield segment.begin, segment.begin
            for node in [*lane.instants, *lane.signals]:
                yield node.at, node.at
