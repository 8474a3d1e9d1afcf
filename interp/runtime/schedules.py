"""`Schedule`: a handle on one schedule, for the program that made it, for another, and for the command line."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import attrs

from interp.codec import ANY, codec_for
from interp.definitions import WorkflowDefinition, newest_tag, workflow_of, workflows
from interp.errors import RunEnded, UnknownRun, UnknownSchedule, UsageError
from interp.events import Signalled
from interp.runtime.sealed import readable
from interp.schedules.book import CHANNEL, NAME, Book, Fire, Message, fire_id
from interp.schedules.keeper import schedule
from interp.schedules.specs import Overlap, Spec, aware
from interp.schedules.times import fire_times
from interp.store import RunFilter, RunRow, Status, Store

__all__ = [
    "HEARD_WITHIN_S",
    "Schedule",
    "ScheduleInfo",
    "find_schedules",
    "first_args",
    "schedule_digest",
    "schedule_workflow",
]

# How long a handle waits for a worker to take a message in. It is durable before: this only makes what follows see it.
HEARD_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.002

# A run that no worker has taken up for so long has a workflow that none of them knows, or there is no worker.
_TAKEN_UP_WITHIN = timedelta(seconds=30)

# How many times of the past one call makes good: more are a slip of the pen, such as a year of every second.
_MOST_BACKFILLED = 100_000

_MESSAGE = codec_for(Message)

schedule_digest = b"interp.schedule"
"""Tells the runs of schedules from others under their ids; what a schedule is may change under the same id."""


def schedule_workflow() -> WorkflowDefinition:
    """Return the workflow that schedules are runs of."""
    return workflow_of(schedule)


def first_args(spec: Spec) -> bytes:
    """Return the arguments with which a schedule starts."""
    return schedule_workflow().arguments.encode((spec, Book()), {})


@attrs.frozen
class ScheduleInfo:
    """How a schedule stands.

    Attributes:
        id: Its id.
        workflow: What it starts.
        cron: When, as a cron expression; None when it has a period.
        every: When, as a period; None when it has a cron expression.
        timezone: In which the cron expression is read.
        overlap: What becomes of a fire while a run is at work: `skip`, `queue`, `allow` or `cancel`.
        catch_up: How late a fire may be made good.
        jitter: By how much a fire is delayed at most.
        start: Nothing fires before; None for no limit.
        end: Nothing fires from then on; None for no limit.
        paused: Whether it is paused.
        reason: Why it is paused.
        deleted: Whether it is deleted.
        next_fire: The next time, without jitter, UTC; None when there is none, or it is paused or deleted.
        running: The ids of its runs that are at work, the last ten.
        waiting: How many fires wait for a run to end.
        fired: How many runs it has started.
        skipped: How many fires it has skipped, since a run was at work.
        missed: How many fires came too late to be made good.
        refused: How many runs it could not start, since their ids were taken.
        recent: What came of its last ten fires, the oldest first.
        troubles: What somebody should look at, in words; empty when all is well.
    """

    id: str
    workflow: str
    cron: str | None
    every: timedelta | None
    timezone: str
    overlap: Overlap
    catch_up: timedelta
    jitter: timedelta
    start: datetime | None
    end: datetime | None
    paused: bool
    reason: str
    deleted: bool
    next_fire: datetime | None
    running: tuple[str, ...]
    waiting: int
    fired: int
    skipped: int
    missed: int
    refused: int
    recent: tuple[Fire, ...]
    troubles: tuple[str, ...]


class Schedule:
    """A handle on a schedule. Handles are cheap, hold nothing, and may be used from any thread.

    What is asked for is durable on return, and done by the worker that moves the schedule: usually before the call
    returns, else as soon as there is a worker.
    """

    def __init__(self, schedule_id: str, store: Store, post: Callable[[str, Signalled], None], wait_s: float) -> None:
        """Made by `Engine.schedule` and `Engine.get_schedule`.

        Args:
            schedule_id: The id.
            store: Where it is kept.
            post: Sends a signal to a run.
            wait_s: How long to wait for a message to be taken in, at most.
        """
        self.id = schedule_id
        self._store = store
        self._post = post
        self._wait_s = wait_s

    def __repr__(self) -> str:
        """Name the schedule and its store."""
        return f"<Schedule {self.id!r} in {self._store.url}>"

    def check(self) -> None:
        """Raise `UnknownSchedule` if there is none, or it was deleted."""
        if _book(self._row()).deleted:
            raise UnknownSchedule(self.id, self._store.url, tuple(row.id for row in find_schedules(self._store)))

    def pause(self, reason: str = "") -> None:
        """Stop firing; fires that come due meanwhile are not made good. Runs at work, or that wait, go on.

        Args:
            reason: Why, for those who look.

        Raises:
            UnknownSchedule: It was deleted.
        """
        self._ask(Message("pause", _now(), reason=reason))

    def resume(self) -> None:
        """Go on firing, from now on.

        Raises:
            UnknownSchedule: It was deleted.
        """
        self._ask(Message("resume", _now()))

    def trigger(self) -> str:
        """Fire now, also when paused; the overlap policy holds.

        Returns:
            The id of the run; there is none if the policy skips it, and not yet if it has to wait.

        Raises:
            UnknownSchedule: It was deleted.
        """
        message = Message("trigger", _now())
        self._ask(message)
        return fire_id(self.id, message.at)

    def backfill(self, start: datetime, end: datetime) -> int:
        """Fire for each time of a span of the past that has no run yet, one run after the other, the oldest first.

        With `overlap="allow"` they run side by side. A time that was fired is not fired again: its run has that id.

        Args:
            start: The first moment, aware.
            end: The end; itself not part of the span.

        Returns:
            How many times of the schedule are in the span, those included that have a run.

        Raises:
            UnknownSchedule: It was deleted.
            UsageError: The span is empty, reaches into the future or has more than 100,000 times; or its moments are
                not aware.
        """
        begin, until = aware(start, "backfill(start"), aware(end, "backfill(end")
        assert begin is not None and until is not None
        at = _now()
        if begin >= until:
            raise UsageError(f"backfill(start={start!s}, end={end!s}): the end must be after the start")
        if until > at:
            raise UsageError(f"backfill(end={end!s}): lies in the future, where the schedule fires by itself")
        timing = self._spec(self._row()).timing
        found = takewhile(lambda moment: moment < until, fire_times(timing, begin - timedelta(microseconds=1)))
        count = sum(1 for _ in islice(found, _MOST_BACKFILLED + 1))
        if count > _MOST_BACKFILLED:
            raise UsageError(
                f"backfill(start={start!s}, end={end!s}): the schedule fires more than {_MOST_BACKFILLED:,} times in "
                "this span; ask for a shorter one"
            )
        self._ask(Message("backfill", at, start=begin, end=until))
        return count

    def delete(self) -> None:
        """Fire no more, and forget what waits; runs at work go on. `Engine.schedule` may use the id again.

        Raises:
            UnknownSchedule: It was deleted before.
        """
        self._ask(Message("delete", _now()))

    def update(self, spec: Spec) -> None:
        """Become what `Engine.schedule` was given; used by it."""
        self._tell(Message("update", _now(), spec=spec))

    def next_fires(self, count: int = 5) -> list[datetime]:
        """Return the next times, UTC and without jitter; none when it is paused or deleted.

        Args:
            count: How many at most.
        """
        row = self._row()
        book = _book(row)
        return [] if book.paused or book.deleted else list(islice(self._coming(row, book), count))

    def describe(self) -> ScheduleInfo:
        """Say how the schedule stands.

        Raises:
            UnknownSchedule: There is none.
        """
        row = self._row()
        spec, book, state = self._spec(row), _book(row), _state(row)
        is_still = book.paused or book.deleted
        return ScheduleInfo(
            id=self.id,
            workflow=spec.workflow,
            cron=spec.timing.cron,
            every=spec.timing.every,
            timezone=spec.timing.timezone,
            overlap=spec.overlap,
            catch_up=spec.catch_up,
            jitter=spec.timing.jitter,
            start=spec.timing.start,
            end=spec.timing.end,
            paused=book.paused,
            reason=book.reason,
            deleted=book.deleted,
            next_fire=None if is_still else next(self._coming(row, book), None),
            running=tuple(book.running),
            waiting=int(state.get("waiting", 0)),
            fired=book.fired,
            skipped=book.skipped,
            missed=book.missed,
            refused=book.refused,
            recent=tuple(book.recent),
            troubles=tuple(self._troubles(row, spec, book)),
        )

    def _coming(self, row: RunRow, book: Book) -> Iterator[datetime]:
        """Give the times to come, those aside that are done."""
        if row.status.ended:
            return iter(())
        at = _now()
        return fire_times(self._spec(row).timing, at if book.last is None else max(at, book.last))

    def _troubles(self, row: RunRow, spec: Spec, book: Book) -> Iterator[str]:
        """Say what somebody should look at."""
        if row.status is Status.PARKED:
            yield f"it is parked: {row.reason.partition(chr(10))[0]} (release it: interp retry {self.id})"
        elif row.status.ended:
            yield f"its run has ended ({row.status}): it will never fire again"
        now = _now()
        for fire in book.recent:
            found = self._store.run(fire.run_id) if fire.outcome == "started" else None
            if found is not None and found.status is Status.PARKED:
                yield f"run {fire.run_id} is parked, and counts as at work until somebody acts"
            elif found is not None and not found.length and now - fire.at > _TAKEN_UP_WITHIN:
                here = (
                    ""
                    if newest_tag(spec.workflow) in workflows()
                    else f"; {spec.workflow!r} is not registered in this program"
                )
                yield f"run {fire.run_id} was taken up by no worker so far{here}"
            elif fire.outcome == "exists" and fire.how == "time":
                yield f"run {fire.run_id} could not be started: there is one of that id"

    def _row(self) -> RunRow:
        row = self._store.run(self.id)
        if row is None or row.workflow != NAME:
            raise UnknownSchedule(self.id, self._store.url, tuple(each.id for each in find_schedules(self._store)))
        return row

    def _spec(self, row: RunRow) -> Spec:
        state = _state(row)
        if "spec" not in state:
            raise UsageError(f"schedule {self.id!r} has not begun: no worker has taken it up yet")
        return codec_for(Spec).decode(ANY.encode(state["spec"]))

    def _ask(self, message: Message) -> None:
        """Send a message to a schedule that is not deleted."""
        self.check()
        self._tell(message)

    def _tell(self, message: Message) -> None:
        """Send a message, and wait a little until it was taken in."""
        token = secrets.token_hex(4)
        try:
            self._post(self.id, Signalled(CHANNEL, _MESSAGE.encode(attrs.evolve(message, token=token))))
        except RunEnded as error:
            raise UsageError(
                f"schedule {self.id!r} has ended ({error.status}): its run was cancelled, or failed\n"
                f"  `interp retry {self.id}` makes one that failed go on; else take another id. Schedules are ended by "
                "delete(), which leaves the id free."
            ) from None
        except UnknownRun:
            raise UnknownSchedule(self.id, self._store.url, ()) from None
        end = time.monotonic() + self._wait_s
        while time.monotonic() < end and token not in _book(self._row()).heard:
            time.sleep(_LOOK_EVERY_S)


def find_schedules(store: Store) -> list[RunRow]:
    """Return the runs of the schedules of a store that are not deleted, the oldest first."""
    return [row for row in store.runs(RunFilter(workflow=NAME)) if not _book(row).deleted]


def _state(row: RunRow) -> dict[str, Any]:
    attributes = readable(f"the state of schedule {row.id!r}", row.attributes)
    return ANY.decode(attributes) if attributes else {}


def _book(row: RunRow) -> Book:
    state = _state(row)
    return codec_for(Book).decode(ANY.encode(state["book"])) if "book" in state else Book()


def _now() -> datetime:
    return datetime.now(UTC)
