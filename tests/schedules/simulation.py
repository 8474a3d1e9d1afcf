"""One schedule in virtual time: the real workflow in the runtime's `LiveRun`, with a store and a worker made of lists.

Nothing waits and nothing is slow, so that weeks with clock changes pass in milliseconds, and the worker can die at any
record: between two commits, before a commit, after one and before its effects.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import attrs
import msgspec

from interp.codec import ANY, codec_for
from interp.events import (
    CancelRequested,
    Event,
    Fired,
    Resolved,
    Signalled,
    Started,
    WorkerLost,
    decode_event,
    encode_event,
)
from interp.runtime.live import LiveRun, decoded, microseconds
from interp.runtime.schedules import first_args, schedule_workflow
from interp.schedules.book import CHANNEL, Book, Message
from interp.schedules.specs import Spec
from interp.store import Create, Why

__all__ = ["Simulation"]

# More turns without waiting than any test needs: a schedule that never comes to rest.
_MOST_TURNS = 100_000

_MESSAGE = codec_for(Message)


@attrs.define(eq=False)
class Simulation:
    """A schedule, its journal, and the runs that it has started.

    Attributes:
        spec: What it is at first.
        now: The time.
        dies: Asked before and after each commit whether the worker dies there.
        made: The runs that it started, with the time at which that was durable.
        cancelled: The runs that it asked to cancel.
        deaths: How many workers were lost.
        longest: The longest history that there was.
        rounds: How often the history began anew.
    """

    spec: Spec
    now: datetime
    dies: Callable[[], bool] = lambda: False
    schedule_id: str = "nightly"
    made: dict[str, datetime] = attrs.field(factory=dict[str, datetime])
    cancelled: list[str] = attrs.field(factory=list[str])
    deaths: int = 0
    longest: int = 0
    rounds: int = 0
    _creates: dict[str, Create] = attrs.field(factory=dict[str, Create])
    _journal: list[bytes] = attrs.field(factory=list[bytes])
    _inbox: list[bytes] = attrs.field(factory=list[bytes])
    _taken: int = 0
    _run: LiveRun = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        definition = schedule_workflow()
        started = Started(definition.name, first_args(self.spec), bytes(16))
        self._run = LiveRun.begin(self.schedule_id, definition, started, 1, self.now)
        self._commit()
        self._run.committed()

    # What happens to it.

    def until(self, moment: datetime) -> None:
        """Let time pass, with the worker there all the time."""
        self.settle()
        while (due := self._run.due()) is not None and due <= moment:
            self.now = max(self.now, due)
            self.settle()
        self.now = max(self.now, moment)

    def tell(self, message: Message) -> None:
        """Put a message into the inbox."""
        self._inbox.append(encode_event(Signalled(CHANNEL, _MESSAGE.encode(message))))

    def end(self, run_id: str, status: str = "completed") -> None:
        """Let a run end that the schedule has started, as `LiveRun` reports it."""
        self.tell(Message("ended", self.now, run=run_id, status=status))

    def settle(self) -> None:
        """Let the worker do all there is to do now."""
        for _ in range(_MOST_TURNS):
            self._feed_inbox()
            if self._run.records or self._run.asked or self._run.calls:
                self._turn()
                continue
            command_id = self._run.interpreter.due_timer(self.now)
            if command_id is None:
                return
            self._feed(Fired(command_id))
        raise AssertionError("it never comes to rest")

    def restart(self) -> None:
        """Let another worker take the run over: all that was not committed is gone."""
        self.deaths += 1
        self._run.interpreter.close()
        records = list(self._journal)
        self._run = LiveRun.load(self.schedule_id, schedule_workflow(), records, 1, self.now)
        self._taken = 0
        if self._run.calls:
            self._feed(WorkerLost("old", "new"))

    # What can be seen.

    @property
    def book(self) -> Book:
        """What it remembers, as everyone can read it."""
        return codec_for(Book).decode(ANY.encode(self._run.interpreter.state["book"]))

    @property
    def counts(self) -> dict[str, Any]:
        """How many runs are at work and how many fires wait."""
        return {name: self._run.interpreter.state[name] for name in ("running", "waiting", "backfills")}

    def arguments_of(self, run_id: str) -> Started:
        """Return how a run was started."""
        event = decode_event(self._creates[run_id].start)
        assert isinstance(event, Started)
        return event

    # The worker.

    def _feed(self, event: Event) -> None:
        self._run.feed(decode_event(encode_event(event)), self.now)
        assert self._run.outcome is None, self._run.outcome
        assert not self._run.parked, self._run.parked

    def _feed_inbox(self) -> None:
        while self._taken < len(self._inbox):
            self._taken += 1
            self._feed(decode_event(self._inbox[self._taken - 1]))

    def _turn(self) -> None:
        """Commit, then let the effects happen, unless the worker dies before or after the commit."""
        if self.dies():
            self.restart()
            return
        refused = self._commit()
        if self.dies():
            self.restart()
            return
        calls = self._run.committed()
        events = [*self._run.answers(refused), *(self._called(issued) for issued in calls)]
        for event in events:
            self._feed(event)

    def _commit(self) -> dict[tuple[str, str], Why]:
        append = self._run.append(microseconds(self.now), draining=False)
        if append.restart:
            self._journal = []
            self.rounds += 1
        assert append.index == len(self._journal)
        self._journal += append.records
        self.longest = max(self.longest, len(self._journal))
        del self._inbox[: self._taken]
        self._taken = 0
        refused: dict[tuple[str, str], Why] = {}
        for create in append.creates:
            there = self._creates.setdefault(create.run_id, create)
            if there.digest != create.digest:
                refused["child", create.run_id] = "differs"
            self.made.setdefault(create.run_id, self.now)
        for post in append.posts:
            if isinstance(decode_event(post.body), CancelRequested):
                self.cancelled.append(post.run_id)
        return refused

    def _called(self, issued: Any) -> Event:
        """Run an activity; those of schedules are coroutines that never wait."""
        args, kwargs = issued.definition.arguments.decode(issued.record.payload)
        try:
            issued.definition.fn(*args, **kwargs).send(None)
        except StopIteration as stop:
            return Resolved(issued.id, issued.definition.arguments.result.encode(stop.value), issued.attempt)
        raise AssertionError("an activity of a schedule has waited")

    def check_journal(self) -> None:
        """Check that what is written can be replayed."""
        before = msgspec.msgpack.encode(list(decoded(self.schedule_id, self._journal)))
        self.restart()
        assert before == msgspec.msgpack.encode(list(decoded(self.schedule_id, self._journal)))


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
