"""What a schedule remembers from one fire to the next, and what it is told. Recorded: fields are only ever added."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias

import attrs

from interp.schedules.specs import Spec
from interp.schedules.times import Timing

__all__ = ["CHANNEL", "MOST_RECENT", "NAME", "Backfill", "Book", "Fire", "How", "Message", "Plan", "Tick", "fire_id"]

NAME = "interp.schedule"
"""The name of the workflow."""

CHANNEL = "interp.schedule"
"""The name of the signal that carries all messages: one name, so that they are taken in the order they came in."""

# How many of its last fires a schedule tells of, and of how many messages it knows that it has heard them.
MOST_RECENT = 10
MOST_HEARD = 16

How: TypeAlias = Literal["time", "trigger", "backfill"]


@attrs.frozen
class Tick:
    """A fire to come.

    Attributes:
        at: The time for which it is.
        due: When it happens: later than `at` by the jitter.
        how: Its time came, somebody asked for it now, or for a span of the past.
    """

    at: datetime
    due: datetime
    how: How = "time"


@attrs.frozen
class Fire:
    """What came of one fire.

    Attributes:
        scheduled_at: The time for which it was, UTC.
        at: When it was decided on.
        run_id: The run that it started, or would have.
        outcome: `started`, and then how the run ended: `completed`, `failed`, `cancelled`; or `waits` (for the run
            before it), `skipped` (that was still at work), `missed` (too late to be made good), `exists` (there is a
            run of that id already, which was left alone).
        how: `time`, `trigger` or `backfill`.
    """

    scheduled_at: datetime
    at: datetime
    run_id: str
    outcome: str
    how: How = "time"


@attrs.frozen
class Plan:
    """The next fires, as they were worked out once.

    Attributes:
        ticks: Fires, the earliest first.
        until: All fires up to this time are among them.
        missed: How many fires before them were too late to be made good.
        is_over: Whether there are none after them.
    """

    ticks: list[Tick]
    until: datetime
    missed: int = 0
    is_over: bool = False


@attrs.define
class Backfill:
    """A span of the past that is made good: what is left of it.

    Attributes:
        timing: When the schedule fired, as it was when this was asked for.
        after: Fires up to this time are done, or in `ticks`.
        end: Fires from this time on are not part of it.
        ticks: The next ones.
        is_over: Whether there are none after them.
    """

    timing: Timing
    after: datetime
    end: datetime
    ticks: list[Tick] = attrs.field(factory=list[Tick])
    is_over: bool = False


@attrs.frozen
class Message:
    """What a schedule is told.

    Attributes:
        do: What has happened or is asked for.
        at: When, by the clock of who tells it.
        token: By which the schedule says that it has heard it.
        run: The run that ended.
        status: How it ended.
        reason: Why it is paused.
        start: Where a backfill begins.
        end: Where it ends.
        spec: What the schedule is from now on.
    """

    do: Literal["ended", "pause", "resume", "trigger", "backfill", "update", "delete"]
    at: datetime
    token: str = ""
    run: str = ""
    status: str = ""
    reason: str = ""
    start: datetime | None = None
    end: datetime | None = None
    spec: Spec | None = None


@attrs.define
class Book:
    """What a schedule remembers.

    Attributes:
        until: All fires up to this time are planned or done; None before the first plan.
        ticks: Planned fires.
        is_over: Whether there are none after them.
        last: The latest time for which a fire was done.
        running: Runs that it started and that have not ended.
        asked: Those of them that were asked to cancel.
        waiting: Fires that wait for a run to end.
        backfills: Spans of the past that are made good.
        recent: What came of the last fires.
        paused: Whether it is paused.
        reason: Why.
        deleted: Whether it is deleted: it fires no more, and its id can be used again.
        fired: How many runs it started.
        skipped: How many fires were skipped.
        missed: How many fires came too late.
        refused: How many runs could not be started, since their ids were taken.
        heard: The tokens of the last messages.
        taken: The message that is being done, while fires of before it are.
    """

    until: datetime | None = None
    ticks: list[Tick] = attrs.field(factory=list[Tick])
    is_over: bool = False
    last: datetime | None = None
    running: list[str] = attrs.field(factory=list[str])
    asked: list[str] = attrs.field(factory=list[str])
    waiting: list[Tick] = attrs.field(factory=list[Tick])
    backfills: list[Backfill] = attrs.field(factory=list[Backfill])
    recent: list[Fire] = attrs.field(factory=list[Fire])
    paused: bool = False
    reason: str = ""
    deleted: bool = False
    fired: int = 0
    skipped: int = 0
    missed: int = 0
    refused: int = 0
    heard: list[str] = attrs.field(factory=list[str])
    taken: Message | None = None

    def tell(self, fire: Fire) -> None:
        """Remember what came of a fire; a later word on the same one takes its place."""
        rest = [each for each in self.recent if each.run_id != fire.run_id]
        self.recent = [*rest, fire][-MOST_RECENT:]

    def ended(self, run_id: str, status: str) -> None:
        """Remember that a run has ended."""
        self.running = [each for each in self.running if each != run_id]
        self.asked = [each for each in self.asked if each != run_id]
        self.recent = [attrs.evolve(fire, outcome=status) if fire.run_id == run_id else fire for fire in self.recent]

    def hear(self, token: str) -> None:
        """Remember that a message was taken in."""
        self.heard = [*self.heard, token][-MOST_HEARD:]

    def restart(self, at: datetime) -> None:
        """Plan anew from a moment on, but nothing for a time that was done: the clock may have been set back."""
        self.ticks = [tick for tick in self.ticks if tick.at <= at]
        done = [at, *(tick.at for tick in self.ticks)]
        self.until = max(done if self.last is None else [*done, self.last])
        self.is_over = False


def fire_id(schedule_id: str, moment: datetime) -> str:
    """Return the id of the run for a time, such as `nightly/2026-03-29T01:00:00Z`: no fire can have two."""
    return f"{schedule_id}/{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
